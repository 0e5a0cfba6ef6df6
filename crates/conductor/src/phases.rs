//! What is due to begin: setup, then load, one scenario after the other, then teardown.

use proofload_plan::Role;
use proofload_results::Snapshot;

use crate::decide::Begin;
use crate::sight::{Sight, has_ended, is_idle};

impl Sight<'_> {
    /// What is due to begin on the runners at work, while nobody stops the run.
    pub(crate) fn begins(&self, at_work: &[u32]) -> Vec<Begin> {
        if let Some(setup) = self.plan().index_of(Role::Setup).filter(|_| !self.has_begun_load()) {
            if let Some(late) = self.begin_where(at_work, setup, |snapshot| is_idle(snapshot, setup)) {
                return vec![late];
            }
            // Its figures tell whether it was done; until then, and while a runner does not answer, nothing begins.
            let is_over = at_work.iter().all(|index| has_ended(self.present[index], setup));
            if !is_over || self.has_silent() || self.setup_done(setup).is_none() {
                return Vec::new();
            }
        }
        let begins = self.begin_load(at_work);
        if begins.is_empty() && self.is_load_over(at_work) {
            self.teardown(at_work).into_iter().collect()
        } else {
            begins
        }
    }

    /// The first scenarios, on runners that were late too, and scenarios whose predecessor has ended on every runner that
    /// is left.
    fn begin_load(&self, at_work: &[u32]) -> Vec<Begin> {
        let mut begins: Vec<Begin> = Vec::new();
        for (scenario, spec) in self.plan().main().iter().enumerate() {
            let due =
                spec.after.is_none_or(|before| at_work.iter().all(|index| has_ended(self.present[index], before)));
            // A silent runner may still be at work on the predecessor: wait until it answers or is lost.
            if !due || (spec.after.is_some() && self.has_silent()) {
                continue;
            }
            let Some(mut begin) = self.begin_where(at_work, scenario, |snapshot| is_idle(snapshot, scenario)) else {
                continue;
            };
            begin.together = spec.after.is_some() || !self.has_begun(scenario);
            begin.variables = self.variables();
            match begins.iter_mut().find(|other| (&other.runners, other.together) == (&begin.runners, begin.together)) {
                Some(other) => other.scenarios.push(scenario),
                None => begins.push(begin),
            }
        }
        begins
    }

    fn is_load_over(&self, at_work: &[u32]) -> bool {
        let is_over = |snapshot: &Snapshot| (0..self.plan().main().len()).all(|main| has_ended(snapshot, main));
        at_work.iter().all(|index| is_over(self.present[index]))
    }

    /// The teardown, once nothing that has begun is under way on any runner any more. Runners without a share of it end
    /// with its begin, so all of them are told.
    pub(crate) fn teardown(&self, at_work: &[u32]) -> Option<Begin> {
        let teardown = self.plan().index_of(Role::Teardown)?;
        let is_under_way = |snapshot: &Snapshot| {
            let others = (0..self.plan().scenarios.len()).filter(|scenario| *scenario != teardown);
            others.into_iter().any(|other| !is_idle(snapshot, other) && !has_ended(snapshot, other))
        };
        if self.has_silent() || at_work.iter().any(|index| is_under_way(self.present[index])) {
            return None;
        }
        self.begin_where(at_work, teardown, |snapshot| is_idle(snapshot, teardown))
    }

    /// A begin of a scenario at once, on those runners; none where there is none.
    fn begin_where(&self, at_work: &[u32], scenario: usize, on: impl Fn(&Snapshot) -> bool) -> Option<Begin> {
        let runners: Vec<u32> = at_work.iter().copied().filter(|index| on(self.present[index])).collect();
        let begin = || Begin { scenarios: vec![scenario], runners, together: false, variables: self.variables() };
        (!at_work.iter().all(|index| !on(self.present[index]))).then(begin)
    }

    /// What setup extracted: of the runner that did it, or of one that was told.
    fn variables(&self) -> Vec<(u32, String)> {
        let seen = self.present.values();
        seen.map(|snapshot| &snapshot.variables).find(|known| !known.is_empty()).cloned().unwrap_or_default()
    }
}

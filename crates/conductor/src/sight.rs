//! The runners as one pass sees them, sorted by what they mean for the run; and the decision that follows.

use std::collections::BTreeMap;

use proofload_api::Micros;
use proofload_api::loadtest::OnLost;
use proofload_plan::{Plan, Role};
use proofload_results::setup::{SETUP_FAILED, failure};
use proofload_results::{EndCause, LostRunner, RunnerState, ScenarioProgress, Snapshot, StopNote};

use crate::decide::{Action, Begin, Conditions, Decision, Ending};
use crate::fleet::RunnerView;

/// After the plan's longest time, how much longer a runner may take before it is stopped.
const OVERTIME: Micros = Micros::from_secs(30);
/// After that, and after the deadline for the start, how much longer before it is given up.
const PATIENCE: Micros = Micros::from_secs(30);

/// The runners, sorted by what they mean for the run.
pub(crate) struct Sight<'a> {
    pub(crate) conditions: &'a Conditions<'a>,
    pub(crate) runners: &'a [RunnerView],
    pub(crate) present: BTreeMap<u32, &'a Snapshot>,
    pub(crate) lost: Vec<LostRunner>,
}

impl<'a> Sight<'a> {
    pub(crate) fn new(runners: &'a [RunnerView], conditions: &'a Conditions<'a>) -> Self {
        let mut present = BTreeMap::new();
        let mut lost = Vec::new();
        for (index, view) in (0..).zip(runners) {
            if let RunnerView::Present { snapshot, .. } = view {
                present.insert(index, &**snapshot);
            }
            if let Some(reason) = loss(view, conditions) {
                lost.push(LostRunner { index, reason });
            }
        }
        Self { conditions, runners, present, lost }
    }

    pub(crate) fn plan(&self) -> &'a Plan {
        self.conditions.plan
    }

    /// Runners whose load has begun or is about to.
    pub(crate) fn begun(&self) -> impl Iterator<Item = (u32, &'a Snapshot)> {
        self.present.iter().filter(|(_, snapshot)| snapshot.state != RunnerState::Waiting).map(|(i, s)| (*i, *s))
    }

    pub(crate) fn is_lost(&self, index: u32) -> bool {
        self.lost.iter().any(|lost| lost.index == index)
    }

    /// Whether some runner does not answer now, and may come back.
    pub(crate) fn has_silent(&self) -> bool {
        let mut views = (0..).zip(self.runners);
        views.any(|(index, view)| matches!(view, RunnerView::Silent { .. }) && !self.is_lost(index))
    }

    /// Whether some runner that is there has begun a scenario.
    pub(crate) fn has_begun(&self, scenario: usize) -> bool {
        self.present.values().any(|snapshot| progress(snapshot, scenario).is_some_and(|s| s.began.is_some()))
    }

    /// Whether some runner that is there has begun any load.
    pub(crate) fn has_begun_load(&self) -> bool {
        (0..self.plan().main().len()).any(|scenario| self.has_begun(scenario))
    }

    /// The latest of a runner that has figures: views may come without.
    pub(crate) fn figures_of(&self, index: u32) -> Option<&'a Snapshot> {
        let seen = self.present.get(&index).copied().filter(|snapshot| !snapshot.cells.is_empty());
        let known = self.conditions.figures.get(index).filter(|snapshot| !snapshot.cells.is_empty());
        // On equal terms the view: it is what this pass saw.
        known.into_iter().chain(seen).max_by_key(|snapshot| snapshot.sequence)
    }

    fn decision(self, action: Action, waiting_for: impl Into<String>) -> Decision {
        Decision { action, waiting_for: waiting_for.into(), lost: self.lost }
    }

    pub(crate) fn before_begin(self) -> Decision {
        let conditions = self.conditions;
        if let Some(note) = &conditions.stop {
            return self.decision(Action::GiveUp { reason: note.reason.clone(), wanted: true }, "");
        }
        if let Some(lost) = self.lost.first() {
            let reason = format!("runner {} ended before the load began: {}", lost.index, lost.reason);
            return self.decision(Action::GiveUp { reason, wanted: false }, "");
        }
        let ready = self.present.len();
        if ready == self.runners.len() && conditions.waited < conditions.start_deadline + PATIENCE {
            let begin = Begin {
                scenarios: self.plan().index_of(Role::Setup).map_or_else(|| self.roots(), |setup| vec![setup]),
                runners: self.present.keys().copied().collect(),
                together: true,
                variables: Vec::new(),
            };
            return self.decision(Action::Begin(vec![begin]), "");
        }
        let blockers = self.blockers();
        if conditions.waited >= conditions.start_deadline {
            let total = self.runners.len();
            let reason =
                format!("{ready} of {total} runners were ready within {}{blockers}", conditions.start_deadline);
            return self.decision(Action::GiveUp { reason, wanted: false }, "");
        }
        let waiting_for = format!("{} of {} runners{blockers}", self.runners.len() - ready, self.runners.len());
        self.decision(Action::Wait, waiting_for)
    }

    fn roots(&self) -> Vec<usize> {
        let main = self.plan().main().iter().enumerate();
        main.filter(|(_, scenario)| scenario.after.is_none()).map(|(index, _)| index).collect()
    }

    /// Why runners are not ready: each different reason once, with how many have it.
    fn blockers(&self) -> String {
        let mut reasons: BTreeMap<&str, u32> = BTreeMap::new();
        for view in self.runners {
            if let RunnerView::Pending { reason: Some(reason) } = view {
                *reasons.entry(reason).or_default() += 1;
            }
        }
        let lines = reasons.iter().take(5).map(|(reason, count)| format!("{count}x {reason}"));
        let text = lines.collect::<Vec<_>>().join("; ");
        if text.is_empty() { text } else { format!(": {text}") }
    }

    pub(crate) fn after_begin(self) -> Decision {
        let at_work: Vec<u32> = self
            .present
            .iter()
            .filter(|(index, snapshot)| !self.is_lost(**index) && !matches!(snapshot.state, RunnerState::Ended(_)))
            .map(|(index, _)| *index)
            .collect();
        let unsettled = (0..).zip(self.runners).any(|(index, view)| {
            matches!(view, RunnerView::Silent { .. } | RunnerView::Pending { .. }) && !self.is_lost(index)
        });
        let note = self.stop_note();
        if at_work.is_empty() && !unsettled {
            let ending = Ending { lost: self.lost.clone(), stopped: note.or_else(|| self.stopped_by_conductor()) };
            return self.decision(Action::Finish(ending), "");
        }
        if let Some(note) = note {
            return self.stopping(&at_work, note);
        }
        let begins = self.begins(&at_work);
        if !begins.is_empty() {
            return self.decision(Action::Begin(begins), "");
        }
        let steers = self.steers(&at_work);
        if !steers.is_empty() {
            return self.decision(Action::Steer(steers), "");
        }
        let waiting_for = if unsettled { "a runner that does not answer" } else { self.phase() };
        self.decision(Action::Wait, waiting_for)
    }

    /// All load ends, and then comes the teardown.
    fn stopping(self, at_work: &[u32], note: StopNote) -> Decision {
        let waiting_for = format!("{} runners to stop", at_work.len());
        let unaware = |index: &u32| self.present[index].stop.is_none();
        let runners: Vec<u32> = at_work.iter().copied().filter(unaware).collect();
        if !runners.is_empty() {
            return self.decision(Action::Stop { runners, note }, waiting_for);
        }
        match self.teardown(at_work) {
            Some(begin) => self.decision(Action::Begin(vec![begin]), ""),
            None => self.decision(Action::Wait, waiting_for),
        }
    }

    /// What the run is doing where it is not load.
    fn phase(&self) -> &'static str {
        let is = |role| self.plan().index_of(role).is_some_and(|scenario| self.has_begun(scenario));
        match (is(Role::Teardown), is(Role::Setup) && !self.has_begun_load()) {
            (true, _) => "teardown",
            (_, true) => "setup",
            _ => "",
        }
    }

    /// Why the run is to end before its plan does. A runner that was told so remembers it, and that counts first: of two
    /// conductors the second goes on with what the first one said.
    fn stop_note(&self) -> Option<StopNote> {
        let because = |reason| Some(StopNote { reason, aborted: None });
        let known = self.present.values().find_map(|snapshot| snapshot.stop.clone());
        if let Some(note) = known.or_else(|| self.conditions.stop.clone()) {
            return Some(note);
        }
        if let Some(why) = self.setup_failure() {
            return because(format!("{SETUP_FAILED}: {why}"));
        }
        if let Some(lost) = self.lost.first().filter(|_| self.conditions.on_lost == OnLost::Abort) {
            return because(format!("runner {} was lost ({}) and runners.onLost is Abort", lost.index, lost.reason));
        }
        let longest = self.plan().longest();
        let overdue = self.begun().any(|(_, snapshot)| elapsed(snapshot) > longest + OVERTIME);
        if overdue { because(format!("the run took longer than the {longest} that its plan can take")) } else { None }
    }

    /// Why the setup has failed, once it has; only for as long as no load has begun.
    fn setup_failure(&self) -> Option<String> {
        let setup = self.plan().index_of(Role::Setup)?;
        if self.has_begun_load() {
            return None;
        }
        // Whatever was heard of a runner before it was lost, another conductor may not have heard it. And of a run that has
        // lost every runner nobody knows how far it was.
        match self.lost.iter().find(|lost| lost.index == 0) {
            Some(_) if self.present.is_empty() => None,
            Some(lost) => Some(format!("runner 0 was lost ({})", lost.reason)),
            None => failure(self.plan(), setup, self.setup_done(setup)?),
        }
    }

    /// The figures of the setup, once it has ended on the runner that does it.
    pub(crate) fn setup_done(&self, setup: usize) -> Option<&'a Snapshot> {
        self.figures_of(0).filter(|snapshot| has_ended(snapshot, setup))
    }

    /// An operator that was killed after it stopped the run still finds that out.
    fn stopped_by_conductor(&self) -> Option<StopNote> {
        let stopped = |snapshot: &&&Snapshot| snapshot.state == RunnerState::Ended(EndCause::Stopped);
        let unknown = || StopNote { reason: "the run was stopped".to_owned(), aborted: None };
        self.present.values().find(stopped).map(|snapshot| snapshot.stop.clone().unwrap_or_else(unknown))
    }
}

/// How far a runner is with a scenario.
pub(crate) fn progress(snapshot: &Snapshot, scenario: usize) -> Option<&ScenarioProgress> {
    snapshot.scenarios.get(scenario)
}

/// Whether a runner has not been told of a scenario.
pub(crate) fn is_idle(snapshot: &Snapshot, scenario: usize) -> bool {
    progress(snapshot, scenario).is_none_or(|progress| progress.began.is_none())
}

/// Whether a scenario is over on a runner.
pub(crate) fn has_ended(snapshot: &Snapshot, scenario: usize) -> bool {
    progress(snapshot, scenario).is_some_and(|progress| progress.ended.is_some())
}

/// How long a runner's load has lasted.
pub(crate) fn elapsed(snapshot: &Snapshot) -> Micros {
    Micros(snapshot.began.map_or(0, |began| snapshot.clock.saturating_sub(began)))
}

/// Why a runner's load is missing, if it is.
fn loss(view: &RunnerView, conditions: &Conditions<'_>) -> Option<String> {
    let plan = conditions.plan;
    // A run that is stopped for being late still has the time for its teardown.
    let teardown = plan.index_of(Role::Teardown).map(|index| plan.scenarios[index].load.duration());
    let patience = OVERTIME + PATIENCE + teardown.unwrap_or_default();
    match view {
        RunnerView::Gone { reason } => Some(reason.clone()),
        RunnerView::Silent { lasting } if *lasting >= conditions.lost_after => {
            Some(format!("it has not answered for {}", Micros::from_secs(lasting.0 / 1_000_000)))
        }
        RunnerView::Present { snapshot, .. } => match snapshot.state {
            RunnerState::Ended(EndCause::Terminated) => Some("its pod was told to end".to_owned()),
            RunnerState::Ended(EndCause::Abandoned) => Some("it was out of touch and stopped its load".to_owned()),
            RunnerState::Running if elapsed(snapshot) > plan.longest() + patience => Some("it did not stop".to_owned()),
            _ => None,
        },
        RunnerView::Silent { .. } | RunnerView::Pending { .. } => None,
    }
}

//! Levels of load: the steps of searches, and changes that someone wants while a run is under way.
//!
//! The runners' records of levels are the only memory. Of several lists of a scenario the longest counts, and runners
//! that have a shorter one are brought up to date.

use proofload_api::Micros;
use proofload_plan::{Level, Load, Scope, Search};
use proofload_results::search::{Next, judge_step, level_after, next};
use proofload_results::{LevelRecord, Part, Region, Snapshot};

use crate::decide::Steer;
use crate::sight::{Sight, elapsed, has_ended, is_idle, progress};

/// How long after the decision a level begins at the earliest, so that every runner has heard of it by then.
const LEAD: Micros = Micros::from_millis(300);
/// For each runner that has to be told, so much more.
const LEAD_OF_RUNNER: Micros = Micros::from_millis(2);

impl Sight<'_> {
    /// Levels that runners have to take up.
    pub(crate) fn steers(&self, at_work: &[u32]) -> Vec<Steer> {
        (0..self.plan().main().len()).filter_map(|scenario| self.steer(scenario, at_work)).collect()
    }

    fn steer(&self, scenario: usize, at_work: &[u32]) -> Option<Steer> {
        let is_under_way = |snapshot: &Snapshot| !is_idle(snapshot, scenario) && !has_ended(snapshot, scenario);
        let steered: Vec<u32> = at_work.iter().copied().filter(|index| is_under_way(self.present[index])).collect();
        // Until all have begun there is nobody to steer: the begins come first.
        if steered.is_empty() || at_work.iter().any(|index| is_idle(self.present[index], scenario)) {
            return None;
        }
        let mut levels = self.levels(scenario);
        let lags = |index: &u32| progress(self.present[index], scenario).is_none_or(|p| p.levels.len() < levels.len());
        let lagging: Vec<u32> = steered.iter().copied().filter(lags).collect();
        let fresh = match &self.plan().scenarios[scenario].load {
            Load::Search(search) if lagging.is_empty() => self.next_step(scenario, search, &levels, &steered),
            Load::Search(_) | Load::Iterations { .. } => None,
            load => {
                self.wanted(scenario, load).filter(|wanted| levels.last().is_none_or(|last| last.level != *wanted)).map(
                    |level| LevelRecord { level, from: self.begin_of_level(scenario, &steered, &levels), before: None },
                )
            }
        };
        let runners = if fresh.is_some() { steered } else { lagging };
        levels.extend(fresh);
        (!runners.is_empty()).then_some(Steer { scenario, runners, levels })
    }

    /// The longest list of levels that a runner has; of equally long ones that of the first runner.
    fn levels(&self, scenario: usize) -> Vec<LevelRecord> {
        let mut longest: &[LevelRecord] = &[];
        for snapshot in self.present.values() {
            let levels = progress(snapshot, scenario).map_or(&[][..], |progress| &progress.levels);
            if levels.len() > longest.len() {
                longest = levels;
            }
        }
        longest.to_vec()
    }

    /// The last word on a scenario's load, where it is of the kind that the load model has.
    fn wanted(&self, scenario: usize, load: &Load) -> Option<Level> {
        let (_, level) = self.conditions.scale.iter().rev().find(|(wanted, _)| *wanted == scenario)?;
        let fits = matches!((load, level), (Load::Users(_), Level::Users(_)) | (Load::Arrivals { .. }, Level::Rate(_)));
        fits.then_some(*level)
    }

    /// When a level that is decided on now begins: a little ahead of the runner that is furthest.
    fn begin_of_level(&self, scenario: usize, steered: &[u32], levels: &[LevelRecord]) -> u64 {
        let snapshots = || steered.iter().map(|index| self.present[index]);
        let now = snapshots().map(elapsed).max().unwrap_or_default();
        let lead = Micros(LEAD.0 + LEAD_OF_RUNNER.0.saturating_mul(self.runners.len() as u64));
        let began = snapshots().filter_map(|snapshot| progress(snapshot, scenario)?.began).max().unwrap_or(0);
        let after_last = levels.last().map_or(0, |last| last.from.saturating_add(1));
        (now + lead).0.max(began).max(after_last)
    }

    /// The first step of a search, or the one after a step that is over; none while a step is under way.
    fn next_step(
        &self,
        scenario: usize,
        search: &Search,
        levels: &[LevelRecord],
        steered: &[u32],
    ) -> Option<LevelRecord> {
        let from = || self.begin_of_level(scenario, steered, levels);
        let (stage, due) = match next(search, levels) {
            Next::Begin(level) => return Some(LevelRecord { level, from: from(), before: None }),
            Next::Judge { stage, due } => (stage, due),
            Next::Done => return None,
        };
        // A runner that does not answer may have load on: its part of the window would be missing.
        let is_there = |index: &u32| self.figures_of(*index).is_some_and(|snapshot| elapsed(snapshot).0 >= due);
        if self.has_silent() || !steered.iter().all(is_there) {
            return None;
        }
        let seen = self.window(scenario, search, stage);
        let result = judge_step(search, &seen);
        let from = from();
        // No step that the scenario's own end would cut off: what was found until now is the answer then.
        let end = from.saturating_add(search.settle.0).saturating_add(search.window.0);
        let ends_too_late = self.end_of(scenario, steered).is_some_and(|last| end > last);
        let level = level_after(search, levels, result);
        let level = if ends_too_late { zero(level) } else { level };
        Some(LevelRecord { level, from, before: Some(result) })
    }

    /// What all runners saw in a step's window.
    fn window(&self, scenario: usize, search: &Search, stage: usize) -> Part {
        let runners = 0..u32::try_from(self.runners.len()).unwrap_or(u32::MAX);
        let snapshots = runners.filter_map(|index| self.figures_of(index));
        let during = [(scenario, stage)];
        let expr = search.until.parse().ok();
        let whole = Region { scope: Scope::Scenario(scenario), during: Some(&during), check: None, times: false };
        let region = expr.as_ref().map_or(whole, |expr| Region::of(expr, whole.scope, whole.during));
        Part::so_far(self.plan(), snapshots, region)
    }

    /// When the scenario ends by itself.
    fn end_of(&self, scenario: usize, steered: &[u32]) -> Option<u64> {
        let began = steered.iter().filter_map(|index| progress(self.present[index], scenario)?.began).min()?;
        Some(began.saturating_add(self.plan().scenarios[scenario].load.duration().0))
    }
}

fn zero(level: Level) -> Level {
    match level {
        Level::Users(_) => Level::Users(0),
        Level::Rate(_) => Level::Rate(proofload_api::units::Rate { per_hour: 0 }),
    }
}

//! What all runners measured together: exact sums, and distributions merged bucket by bucket.

use std::collections::BTreeMap;
use std::ops::Range;

use proofload_api::{Micros, Outcome};
use proofload_plan::{Layout, Plan, Scope};

use crate::cell::{Cell, CellSum, EncodedCell};
use crate::histogram::{DIGITS, EncodedTimes, InvalidHistogram, Sum, TIMELINE_DIGITS, Times};
use crate::snapshot::{ErrorRecord, GeneratorRecord, LevelRecord, MAX_ERRORS, RunnerState, ScenarioProgress, Snapshot};

/// What all runners measured together. All times are microseconds from the run's begin.
#[derive(Debug, Clone, PartialEq)]
pub struct Totals {
    /// Each cell, in the layout's order.
    pub cells: Vec<Cell>,
    /// The timeline, in buckets of the plan's width.
    pub timeline: Vec<Bucket>,
    /// Errors in words, the most frequent first, at most [`MAX_ERRORS`] different ones.
    pub errors: Vec<ErrorRecord>,
    /// Each scenario, in the plan's order.
    pub scenarios: Vec<ScenarioTotals>,
    /// Actual minus intended send time of every request.
    pub lateness: Times,
    /// Each runner of which something was heard.
    pub runners: BTreeMap<u32, RunnerTotals>,
    /// Runners whose snapshot could not be read, and why. Nothing of them is in the other fields.
    pub unreadable: BTreeMap<u32, String>,
    layout: Layout,
    /// How many scenarios are load; those come first.
    main: usize,
}

/// A bucket of the timeline.
#[derive(Debug, Clone, PartialEq)]
pub struct Bucket {
    /// Requests that ended.
    pub requests: u64,
    /// Those that failed.
    pub errors: u64,
    /// The most users at work at once on each runner, summed.
    pub users: u32,
    /// Latency.
    pub latency: Times,
}

/// How far a scenario is, over all runners.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ScenarioTotals {
    /// When its load began, on the first runner.
    pub began: Option<u64>,
    /// When its last request was done; while some runner is at work, how far the last one has got.
    pub until: Option<u64>,
    /// Users at work now.
    pub users: u32,
    /// Iterations done.
    pub iterations: u64,
    /// Iterations cut off by the end of the scenario.
    pub cut_iterations: u64,
    /// Iterations that ended early, since a step needed a value that an earlier one had failed to extract, or a web socket
    /// that was not open.
    pub broken_iterations: u64,
    /// Arrivals that found no free user.
    pub dropped: u64,
    /// Users that found no row left in a `Unique` data set, and stopped.
    pub starved: u64,
    /// Levels of load that the conductor chose: those of the runner that knows the most of them.
    pub levels: Vec<LevelRecord>,
}

/// What one runner says of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct RunnerTotals {
    /// What it is doing.
    pub state: RunnerState,
    /// Requests of load that it sent.
    pub requests: u64,
    /// How far it is with each scenario; empty before the begin.
    pub scenarios: Vec<ScenarioProgress>,
    /// Its health.
    pub generator: GeneratorRecord,
    /// Its lateness.
    pub lateness: Times,
}

impl Bucket {
    fn new() -> Self {
        Self { requests: 0, errors: 0, users: 0, latency: Times::coarse() }
    }

    fn with(self, latency: &Sum) -> Self {
        Self { latency: latency.finish(), ..self }
    }

    /// Adds the bucket that follows in time: its users are the same ones.
    pub(crate) fn append(&mut self, next: &Self) {
        self.users = self.users.max(next.users);
        self.requests = self.requests.saturating_add(next.requests);
        self.errors = self.errors.saturating_add(next.errors);
        self.latency.add(&next.latency);
    }
}

impl ScenarioTotals {
    /// How long its load lasted so far.
    pub fn elapsed(&self) -> Micros {
        Micros(self.until.unwrap_or(0).saturating_sub(self.began.unwrap_or(0)))
    }

    /// Iterations that were begun and are over, in whatever way.
    pub(crate) fn iterations_begun(&self) -> u64 {
        self.iterations.saturating_add(self.cut_iterations).saturating_add(self.broken_iterations)
    }

    pub(crate) fn add(&mut self, progress: &ScenarioProgress, now: u64) {
        let until = progress.began.map(|began| progress.ended.unwrap_or(now.max(began)));
        // `None` is smaller than any time, so `max` needs no care and `min` does.
        self.began = self.began.into_iter().chain(progress.began).min();
        self.until = self.until.max(until);
        self.users = self.users.saturating_add(progress.users);
        self.iterations = self.iterations.saturating_add(progress.iterations);
        self.cut_iterations = self.cut_iterations.saturating_add(progress.cut_iterations);
        self.broken_iterations = self.broken_iterations.saturating_add(progress.broken_iterations);
        self.dropped = self.dropped.saturating_add(progress.dropped);
        self.starved = self.starved.saturating_add(progress.starved);
        if self.levels.len() < progress.levels.len() {
            self.levels.clone_from(&progress.levels);
        }
    }
}

impl Totals {
    pub(crate) fn of<'a>(snapshots: impl Iterator<Item = &'a Snapshot>, plan: &Plan) -> Self {
        let layout = plan.layout();
        let mut sums = Sums::new(plan, layout.len());
        let (mut runners, mut unreadable, mut errors) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for snapshot in snapshots {
            match sums.add(snapshot, &layout) {
                Ok(runner) => {
                    runners.insert(snapshot.segment.index, runner);
                    snapshot.errors.iter().for_each(|error| add_error(&mut errors, error));
                }
                Err(error) => {
                    unreadable.insert(snapshot.segment.index, error.to_string());
                }
            }
        }
        let mut errors: Vec<ErrorRecord> = errors.into_values().collect();
        errors.sort_by_key(|error| std::cmp::Reverse(error.count));
        errors.truncate(MAX_ERRORS);
        Self {
            cells: sums.cells.into_iter().map(CellSum::finish).collect(),
            timeline: sums.timeline.into_iter().map(|(bucket, latency)| bucket.with(&latency)).collect(),
            errors,
            scenarios: sums.scenarios,
            lateness: sums.lateness.finish(),
            runners,
            unreadable,
            layout,
            main: plan.main().len(),
        }
    }

    /// The layout of [`Totals::cells`].
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The sum of a part of the run.
    pub fn scope(&self, scope: Scope) -> Cell {
        self.sum(self.layout.cells_of(scope))
    }

    /// The sum of some cells.
    pub fn sum(&self, cells: Range<usize>) -> Cell {
        let mut sum = Cell::default();
        self.cells[cells].iter().for_each(|cell| sum.add(cell));
        sum
    }

    /// How long a part of the run was under load so far: from the begin of its scenario to its end; of the whole run,
    /// from the first begin to the last end.
    pub fn elapsed(&self, scope: Scope) -> Micros {
        match scope {
            Scope::Scenario(scenario) | Scope::Steps(scenario, ..) => {
                self.scenarios.get(scenario).map(ScenarioTotals::elapsed).unwrap_or_default()
            }
            Scope::Run => {
                let began = self.load().iter().filter_map(|scenario| scenario.began).min();
                let until = self.load().iter().filter_map(|scenario| scenario.until).max();
                Micros(until.unwrap_or(0).saturating_sub(began.unwrap_or(0)))
            }
        }
    }

    /// Scenarios that are load: neither setup nor teardown.
    fn load(&self) -> &[ScenarioTotals] {
        self.scenarios.get(..self.main).unwrap_or(&self.scenarios)
    }

    /// Requests of load that were sent.
    pub fn requests(&self) -> u64 {
        self.cells[self.layout.cells_of(Scope::Run)].iter().map(Cell::requests).fold(0, u64::saturating_add)
    }

    /// Users at work now.
    pub fn users(&self) -> u32 {
        self.load().iter().map(|scenario| scenario.users).fold(0, u32::saturating_add)
    }
}

/// What the snapshots add up to, while they are added.
struct Sums {
    cells: Vec<CellSum>,
    /// Each bucket without its latency, and that.
    timeline: Vec<(Bucket, Sum)>,
    scenarios: Vec<ScenarioTotals>,
    lateness: Sum,
}

impl Sums {
    fn new(plan: &Plan, cells: usize) -> Self {
        Self {
            cells: (0..cells).map(|_| CellSum::default()).collect(),
            timeline: Vec::new(),
            scenarios: vec![ScenarioTotals::default(); plan.scenarios.len()],
            lateness: Sum::new(DIGITS),
        }
    }

    /// Adds a snapshot as a whole or not at all; what its runner says of itself.
    fn add(&mut self, snapshot: &Snapshot, layout: &Layout) -> Result<RunnerTotals, InvalidHistogram> {
        let known = self.timeline.len();
        if known < snapshot.timeline.len() {
            self.timeline.resize_with(snapshot.timeline.len(), || (Bucket::new(), Sum::new(TIMELINE_DIGITS)));
        }
        if let Err(error) = self.add_distributions(snapshot) {
            self.timeline.truncate(known);
            return Err(error);
        }
        for (sum, cell) in self.cells.iter_mut().zip(&snapshot.cells) {
            sum.add_counts(cell);
        }
        for ((sum, _), bucket) in self.timeline.iter_mut().zip(&snapshot.timeline) {
            // Users of two runners are at work together.
            sum.users = sum.users.saturating_add(bucket.users);
            sum.requests = sum.requests.saturating_add(bucket.requests);
            sum.errors = sum.errors.saturating_add(bucket.errors);
        }
        for (sum, progress) in self.scenarios.iter_mut().zip(&snapshot.scenarios) {
            sum.add(progress, snapshot.generator.elapsed);
        }
        let load = snapshot.cells.get(layout.cells_of(Scope::Run)).unwrap_or_default();
        Ok(RunnerTotals {
            state: snapshot.state,
            requests: load.iter().map(EncodedCell::requests).fold(0, u64::saturating_add),
            scenarios: snapshot.scenarios.clone(),
            generator: snapshot.generator.clone(),
            lateness: snapshot.generator.lateness.decode(DIGITS)?,
        })
    }

    fn add_distributions(&mut self, snapshot: &Snapshot) -> Result<(), InvalidHistogram> {
        let mut added = 0_usize;
        let result = self.each(snapshot, |sum, times| {
            sum.add(times)?;
            added += 1;
            Ok(())
        });
        if result.is_err() {
            // In the same order, up to the one that could not be added.
            let _: Result<(), ()> = self.each(snapshot, |sum, times| {
                added = added.checked_sub(1).ok_or(())?;
                sum.take_away(times);
                Ok(())
            });
        }
        result
    }

    /// Does something with each distribution of a snapshot and the sum of those like it, up to the first error.
    fn each<'a, E>(
        &mut self,
        snapshot: &'a Snapshot,
        mut action: impl FnMut(&mut Sum, &'a EncodedTimes) -> Result<(), E>,
    ) -> Result<(), E> {
        for (sum, cell) in self.cells.iter_mut().zip(&snapshot.cells) {
            sum.each(cell, &mut action)?;
        }
        for ((_, sum), bucket) in self.timeline.iter_mut().zip(&snapshot.timeline) {
            action(sum, &bucket.latency)?;
        }
        action(&mut self.lateness, &snapshot.generator.lateness)
    }
}

type ErrorKey = (u32, u32, Outcome, String);

fn add_error(errors: &mut BTreeMap<ErrorKey, ErrorRecord>, error: &ErrorRecord) {
    let key = (error.scenario, error.step, error.outcome, error.message.clone());
    errors
        .entry(key)
        .and_modify(|known| {
            known.count = known.count.saturating_add(error.count);
            known.first_seen = known.first_seen.min(error.first_seen);
            known.last_seen = known.last_seen.max(error.last_seen);
        })
        .or_insert_with(|| error.clone());
}

impl Default for Bucket {
    fn default() -> Self {
        Self::new()
    }
}

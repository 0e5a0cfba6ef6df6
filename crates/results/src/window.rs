//! Windows of time that criteria with `abort` are judged on while a run is under way.

use std::collections::VecDeque;

use proofload_api::Micros;
use proofload_api::criterion::Value;
use proofload_api::units::short_time;
use proofload_plan::{Criterion, Plan};

use crate::cell::EncodedCell;
use crate::histogram::{DIGITS, EncodedTimes};
use crate::judge::is_explained_by_missing_load;
use crate::merge::SnapshotSet;
use crate::part::{Part, Region};
use crate::snapshot::{Aborted, EndCause, RunnerState, Snapshot, StopNote};

/// So many states of a part are kept over a window: what is judged is longer than the window by one part of so many.
const PARTS: u64 = 8;

/// The most that a runner's figures may be behind those of the others for the load of a window to be all of it.
const MAX_LAG: Micros = Micros::from_secs(1);

/// What was seen of the criteria that end a run, over their last windows. Cumulative figures are remembered at a few
/// moments, and what is judged is the exact difference between two of them. A conductor that was killed begins anew, and
/// judges again once it has seen a whole window.
#[derive(Debug, Clone, Default)]
pub struct Windows {
    windows: Vec<Window>,
    /// Runners whose figures were there at the last look.
    known: Vec<u32>,
}

/// The last window of one criterion.
#[derive(Debug, Clone)]
struct Window {
    /// Its place among the test's.
    criterion: usize,
    /// States of the part, with how long it had been under load; the oldest first.
    seen: VecDeque<Earlier>,
}

/// A state of a part, its distributions in their compact form: of many criteria there are hundreds.
#[derive(Debug, Clone, Default)]
struct Earlier {
    /// All but the distributions.
    counted: Part,
    cell: EncodedCell,
    lateness: EncodedTimes,
}

impl Earlier {
    fn of(part: &Part) -> Self {
        let Part { check, iterations, dropped, elapsed, .. } = *part;
        let (cell, lateness) = (part.cell.encode(), part.lateness.encode());
        let counted = Part { check, iterations, dropped, elapsed, ..Part::default() };
        Self { counted, cell, lateness }
    }

    fn elapsed(&self) -> Micros {
        self.counted.elapsed
    }

    /// What was seen since; none where it was no earlier state.
    fn until(&self, now: &Part) -> Option<Part> {
        let (cell, lateness) = (self.cell.decode().ok()?, self.lateness.decode(DIGITS).ok()?);
        now.since(&Part { cell, lateness, ..self.counted.clone() })
    }
}

impl Windows {
    /// Windows of those criteria that end a run.
    pub fn new(criteria: &[Criterion]) -> Self {
        let ending = criteria.iter().enumerate().filter(|(_, criterion)| criterion.abort.is_some());
        let windows = ending.map(|(criterion, _)| Window { criterion, seen: VecDeque::new() }).collect();
        Self { windows, known: Vec::new() }
    }

    /// Whether there is anything to look for; without it [`Windows::look`] needs no figures.
    pub fn is_empty(&self) -> bool {
        self.windows.is_empty()
    }

    /// Looks at what all runners have measured so far, and judges each window that is over: why the run is to end, if one
    /// of them does not hold. To be called about every second, and at least four times in the shortest window.
    ///
    /// Where a runner is lost, or its figures are behind, load is missing: what only that may have broken ends no run.
    pub fn look(&mut self, plan: &Plan, criteria: &[Criterion], snapshots: &SnapshotSet) -> Option<StopNote> {
        let has_figures = |snapshot: &&Snapshot| !snapshot.cells.is_empty();
        let known: Vec<u32> = snapshots.iter().filter(has_figures).map(|snapshot| snapshot.segment.index).collect();
        if known != self.known {
            // Another runner's figures are of the whole run, and not of the last window.
            self.windows.iter_mut().for_each(|window| window.seen.clear());
            self.known = known;
        }
        let now = Micros(snapshots.iter().map(|snapshot| snapshot.generator.elapsed).max().unwrap_or(0));
        let judged = self.windows.iter_mut().filter_map(|window| {
            let criterion = criteria.get(window.criterion)?;
            let region = Region::of(&criterion.expr, criterion.scope, criterion.during.as_deref());
            let observed = window.look(criterion, &Part::so_far(plan, snapshots.iter(), region))?;
            let is_explained = is_explained_by_missing_load(&criterion.expr, observed);
            if (is_explained && !is_whole(snapshots, now, criterion)) || !is_under_load(plan, region, snapshots) {
                return None;
            }
            let aborted = Aborted { criterion: u32::try_from(window.criterion).ok()?, observed };
            Some(StopNote { reason: reason(criterion, observed, now), aborted: Some(aborted) })
        });
        // Every window is fed, and the first criterion in the order of the spec is the one that is named.
        judged.collect::<Vec<_>>().into_iter().next()
    }
}

/// Whether the figures of every runner are here, and none are behind the others.
fn is_whole(snapshots: &SnapshotSet, now: Micros, criterion: &Criterion) -> bool {
    let window = criterion.abort.map_or(Micros::ZERO, |abort| abort.window);
    let lag = MAX_LAG.min(Micros(window.0 / PARTS));
    let is_there = |snapshot: &Snapshot| match snapshot.state {
        RunnerState::Waiting => false,
        RunnerState::Running => Micros(snapshot.generator.elapsed) + lag >= now,
        RunnerState::Ended(cause) => cause <= EndCause::Stopped,
    };
    snapshots.iter().count() == snapshots.runners() as usize && snapshots.iter().all(is_there)
}

/// Whether the plan still puts load on a part of the run. What is left after that are the last answers: few, late, and
/// with no load to end.
fn is_under_load(plan: &Plan, region: Region<'_>, snapshots: &SnapshotSet) -> bool {
    let is_on = |scenario: usize| {
        let length = plan.scenarios[scenario].load.duration().0;
        let each = || snapshots.iter().filter_map(|one| Some((one.scenarios.get(scenario)?, one.generator.elapsed)));
        each().any(|(progress, now)| {
            progress.ended.is_none() && progress.began.is_some_and(|began| now < began.saturating_add(length))
        })
    };
    region.scenarios(plan).into_iter().any(is_on)
}

impl Window {
    /// Takes in a state of the part. Returns what was seen in the last window if the criterion does not hold there.
    fn look(&mut self, criterion: &Criterion, now: &Part) -> Option<f64> {
        let abort = criterion.abort?;
        if now.elapsed < abort.after {
            self.seen.clear();
            return None;
        }
        // A run that is looked at from its begin on is judged from its begin on.
        if self.seen.is_empty() && abort.after == Micros::ZERO && now.elapsed <= abort.window {
            self.seen.push_back(Earlier::default());
        }
        // The youngest state that is at least a window old is where the window begins.
        while self.seen.get(1).is_some_and(|next| is_past(next, now, abort.window)) {
            self.seen.pop_front();
        }
        let begin = self.seen.front().filter(|begin| is_past(begin, now, abort.window));
        let seen = begin.and_then(|begin| begin.until(now)).and_then(|seen| seen.observe(&criterion.expr));
        if self.seen.back().is_some_and(|last| last.until(now).is_none()) {
            // What was counted is not any more, which only a damaged answer does: what is remembered is of no use.
            self.seen.clear();
        }
        let step = Micros(abort.window.0 / PARTS);
        if self.seen.back().is_none_or(|last| now.elapsed >= last.elapsed() + step) {
            self.seen.push_back(Earlier::of(now));
        }
        seen.filter(|observed| !criterion.expr.operator.holds(*observed, criterion.expr.limit.amount))
    }
}

fn is_past(begin: &Earlier, now: &Part, window: Micros) -> bool {
    now.elapsed >= begin.elapsed() + window
}

/// `rate(errors) < 1% did not hold over 10s: 34% (seen 12s after the begin)`.
fn reason(criterion: &Criterion, observed: f64, at: Micros) -> String {
    let value = Value { unit: criterion.expr.unit(), amount: observed };
    let of = criterion.of.as_ref().map(|of| format!(" on {of}")).unwrap_or_default();
    let during = criterion.during_text.as_ref().map(|during| format!(" during {during}")).unwrap_or_default();
    let window = short_time(criterion.abort.map_or(0, |abort| abort.window.0) as f64);
    let (text, at) = (criterion.text.trim(), short_time(at.0 as f64));
    format!("{text}{of}{during} did not hold over {window}: {value} (seen {at} after the begin)")
}

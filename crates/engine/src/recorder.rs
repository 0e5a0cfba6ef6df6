//! What one thread has measured since it was asked last.
//!
//! Recording a request touches a handful of counters and histograms and allocates nothing, but for the first of its
//! kind. Asking for what was measured takes it away, so that it costs the thread no copy.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;
use std::time::Instant;

use proofload_api::Outcome;
use proofload_api::units::Micros;
use proofload_results::snapshot::{MAX_BUCKETS, MAX_ERRORS};
use proofload_results::{Cell, Sample, Times};

use crate::failure::Detail;
use crate::health::Tally;
use crate::script::Script;

/// One finished request, and where it belongs.
pub(crate) struct Finished<'a> {
    pub(crate) scenario: usize,
    pub(crate) step: usize,
    pub(crate) cell: usize,
    pub(crate) sample: Sample,
    pub(crate) lateness: Micros,
    pub(crate) end: Instant,
    /// What went wrong, if something did.
    pub(crate) detail: Option<&'a Detail>,
    /// Which of the step's checks held, in their order; none where they were not looked at.
    pub(crate) checks: &'a [bool],
}

/// What one thread measured since it was asked last. The scenarios' progress is cumulative.
pub(crate) struct Delta {
    pub(crate) cells: Vec<(usize, Cell)>,
    pub(crate) lateness: Times,
    pub(crate) buckets: Vec<(usize, Bucket)>,
    pub(crate) errors: BTreeMap<ErrorKey, Seen>,
    pub(crate) progress: Vec<Progress>,
}

/// A bucket of the timeline.
pub(crate) struct Bucket {
    pub(crate) requests: u64,
    pub(crate) errors: u64,
    /// The most at once on this thread.
    pub(crate) users: u32,
    pub(crate) latency: Times,
}

/// How far a thread is with a scenario.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Progress {
    pub(crate) ended: Option<Instant>,
    pub(crate) users: u32,
    pub(crate) iterations: u64,
    pub(crate) cut_iterations: u64,
    pub(crate) broken_iterations: u64,
    pub(crate) dropped: u64,
    pub(crate) starved: u64,
}

/// Errors that are one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ErrorKey {
    pub(crate) scenario: u32,
    pub(crate) step: u32,
    pub(crate) outcome: Outcome,
    pub(crate) detail: Detail,
}

/// How often, and when first and last, from the run's begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) count: u64,
    pub(crate) first: Micros,
    pub(crate) last: Micros,
}

/// The recorder of one thread.
pub(crate) struct Recorder {
    script: Arc<Script>,
    tally: Arc<Tally>,
    /// The run's begin.
    began: Option<Instant>,
    cells: Vec<Option<Box<Cell>>>,
    lateness: Times,
    /// The buckets from `first_bucket` to the present.
    buckets: Vec<Bucket>,
    first_bucket: usize,
    errors: BTreeMap<ErrorKey, Seen>,
    pub(crate) progress: Vec<Progress>,
    users: u32,
}

impl Bucket {
    pub(crate) fn new(users: u32) -> Self {
        Self { requests: 0, errors: 0, users, latency: Times::coarse() }
    }
}

impl Recorder {
    pub(crate) fn new(script: Arc<Script>, tally: Arc<Tally>) -> Self {
        Self {
            began: None,
            cells: (0..script.layout.len()).map(|_| None).collect(),
            lateness: Times::new(),
            buckets: Vec::new(),
            first_bucket: 0,
            errors: BTreeMap::new(),
            progress: vec![Progress::default(); script.tracks.len()],
            users: 0,
            script,
            tally,
        }
    }

    /// Fixes the run's begin, once.
    pub(crate) fn begin(&mut self, at: Instant) {
        self.began.get_or_insert(at);
    }

    fn since_begin(&self, at: Instant) -> Micros {
        self.began.map_or(Micros::ZERO, |began| at.saturating_duration_since(began).into())
    }

    /// Counts an arrival that found no free user; the cell is that of its stage and the scenario's first step.
    pub(crate) fn drop_arrival(&mut self, scenario: usize, cell: usize) {
        self.progress[scenario].dropped += 1;
        self.cells[cell].get_or_insert_default().dropped += 1;
    }

    /// Counts a request, once.
    pub(crate) fn record(&mut self, finished: &Finished<'_>) {
        let sample = &finished.sample;
        let cell = self.cells[finished.cell].get_or_insert_default();
        cell.record(sample);
        for (place, held) in finished.checks.iter().enumerate() {
            cell.check(place, *held);
        }
        self.lateness.record(finished.lateness.0);
        self.tally.count(finished.lateness);
        let is_error = sample.outcome.is_error();
        let bucket = self.bucket(finished.end);
        bucket.requests += 1;
        bucket.errors += u64::from(is_error);
        if sample.outcome.has_latency() {
            bucket.latency.record(sample.latency);
        }
        if let Some(detail) = finished.detail {
            self.note(finished, detail);
        }
    }

    fn note(&mut self, finished: &Finished<'_>, detail: &Detail) {
        if let Some(shortage) = detail.shortage() {
            self.tally.count_shortage(shortage);
        }
        let at = self.since_begin(finished.end);
        let key = ErrorKey {
            scenario: finished.scenario as u32,
            step: finished.step as u32,
            outcome: finished.sample.outcome,
            detail: detail.clone(),
        };
        if let Some(seen) = self.errors.get_mut(&key) {
            seen.count += 1;
            seen.last = at;
        } else if self.errors.len() < MAX_ERRORS {
            self.errors.insert(key, Seen { count: 1, first: at, last: at });
        }
    }

    /// A user goes to work.
    pub(crate) fn user_begins(&mut self, scenario: usize, now: Instant) {
        // The buckets up to now did not have this user.
        self.bucket(now);
        self.progress[scenario].users += 1;
        self.users += 1;
        let users = self.users;
        let bucket = self.bucket(now);
        bucket.users = bucket.users.max(users);
    }

    /// A user leaves work.
    pub(crate) fn user_ends(&mut self, scenario: usize, now: Instant) {
        // The buckets up to now had this user.
        self.bucket(now);
        self.progress[scenario].users -= 1;
        self.users -= 1;
    }

    /// The bucket of a time, or the earliest that has not been taken.
    fn bucket(&mut self, at: Instant) -> &mut Bucket {
        let index = (self.since_begin(at).0 / self.script.plan.timeline_width.0) as usize;
        let index = index.min(MAX_BUCKETS - 1).max(self.first_bucket) - self.first_bucket;
        while self.buckets.len() <= index {
            self.buckets.push(Bucket::new(self.users));
        }
        &mut self.buckets[index]
    }

    /// Takes what was measured since the last time.
    pub(crate) fn take(&mut self, now: Instant, has_ended: bool) -> Delta {
        if self.began.is_some_and(|began| began <= now) && !has_ended {
            self.bucket(now);
        }
        let dirty = self.cells.iter_mut().enumerate();
        let cells = dirty.filter_map(|(i, cell)| Some((i, *cell.take()?))).collect();
        let taken = mem::take(&mut self.buckets);
        let first = self.first_bucket;
        // The last one goes on.
        self.first_bucket += taken.len().saturating_sub(1);
        Delta {
            cells,
            lateness: mem::take(&mut self.lateness),
            buckets: (first..).zip(taken).collect(),
            errors: mem::take(&mut self.errors),
            progress: self.progress.clone(),
        }
    }
}

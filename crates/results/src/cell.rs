//! A cell: the counters and distributions of one step in one stage of one scenario.

use std::collections::BTreeMap;

use proofload_api::Outcome;
use proofload_api::criterion::Ended;
use serde::{Deserialize, Serialize};

use crate::histogram::{DIGITS, EncodedTimes, InvalidHistogram, Sum, Times};

/// What is known of one finished request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// What became of it.
    pub outcome: Outcome,
    /// The response's status, if its head came.
    pub status: Option<u16>,
    /// From the intended time to the end, in microseconds. Counted only where the outcome has an end.
    pub latency: u64,
    /// From the actual send to the end, in microseconds. Counted only where the outcome has a latency.
    pub service_time: u64,
    /// Bytes sent, head and body.
    pub bytes_out: u64,
    /// Bytes received, head and body.
    pub bytes_in: u64,
}

/// Counters and distributions, mergeable by [`Cell::add`]. Its size depends on the plan and on how many different
/// statuses there are, never on the number of requests.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cell {
    /// Requests by outcome, in the order of [`Outcome::ALL`].
    pub outcomes: [u64; Outcome::COUNT],
    /// Responses by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Those of them that were of requests that failed: what a criterion leaves out that asks for errors without a status.
    pub failed_statuses: BTreeMap<u16, u64>,
    /// From the intended time to the end, by outcome, of those that have an end.
    pub latency: BTreeMap<Outcome, Times>,
    /// Service time of all outcomes that have a latency.
    pub service_time: Times,
    /// Bytes sent.
    pub bytes_out: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Checks of answers, in the order of the step's: first its `checks`, then its `extract`. Empty where the step has
    /// none, or where nothing was checked yet.
    pub checks: Vec<CheckCount>,
    /// Arrivals of this stage that found no free user. No step has them, so those of a scenario are all counted in the
    /// cells of its first step.
    pub dropped: u64,
}

/// How often a check held, and how often not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CheckCount {
    /// Held.
    pub passed: u64,
    /// Did not hold.
    pub failed: u64,
}

impl CheckCount {
    /// Adds another count.
    pub fn add(&mut self, other: Self) {
        self.passed = self.passed.saturating_add(other.passed);
        self.failed = self.failed.saturating_add(other.failed);
    }

    /// Takes an earlier count away; `None` if it is not an earlier one.
    pub fn since(self, earlier: Self) -> Option<Self> {
        let passed = self.passed.checked_sub(earlier.passed)?;
        Some(Self { passed, failed: self.failed.checked_sub(earlier.failed)? })
    }
}

impl Cell {
    /// Counts a request, once.
    pub fn record(&mut self, sample: &Sample) {
        self.outcomes[sample.outcome.index()] += 1;
        if let Some(status) = sample.status {
            *self.statuses.entry(status).or_default() += 1;
            if sample.outcome.is_error() {
                *self.failed_statuses.entry(status).or_default() += 1;
            }
        }
        if sample.outcome.has_end() {
            self.latency.entry(sample.outcome).or_default().record(sample.latency);
            if sample.outcome.has_latency() {
                self.service_time.record(sample.service_time);
            }
        }
        self.bytes_out += sample.bytes_out;
        self.bytes_in += sample.bytes_in;
    }

    /// Adds another cell. Commutative, associative, exact; damaged counters saturate rather than wrap.
    pub fn add(&mut self, other: &Self) {
        self.add_counts(&other.counts());
        for (outcome, times) in &other.latency {
            self.latency.entry(*outcome).or_default().add(times);
        }
        self.service_time.add(&other.service_time);
    }

    fn add_counts(&mut self, other: &Counts<'_>) {
        for (mine, theirs) in self.outcomes.iter_mut().zip(other.outcomes) {
            *mine = mine.saturating_add(*theirs);
        }
        add_statuses(&mut self.statuses, other.statuses);
        add_statuses(&mut self.failed_statuses, other.failed_statuses);
        self.bytes_out = self.bytes_out.saturating_add(other.bytes_out);
        self.bytes_in = self.bytes_in.saturating_add(other.bytes_in);
        if self.checks.len() < other.checks.len() {
            self.checks.resize_with(other.checks.len(), CheckCount::default);
        }
        for (mine, theirs) in self.checks.iter_mut().zip(other.checks) {
            mine.add(*theirs);
        }
        self.dropped = self.dropped.saturating_add(other.dropped);
    }

    /// Takes an earlier state of this cell away: what was counted since. Exact; `None` if it is not an earlier state.
    pub fn since(&self, earlier: &Self) -> Option<Self> {
        let mut since = self.clone();
        for (mine, theirs) in since.outcomes.iter_mut().zip(&earlier.outcomes) {
            *mine = mine.checked_sub(*theirs)?;
        }
        statuses_since(&mut since.statuses, &earlier.statuses)?;
        statuses_since(&mut since.failed_statuses, &earlier.failed_statuses)?;
        for (outcome, times) in &earlier.latency {
            let mine = since.latency.get_mut(outcome)?;
            *mine = mine.since(times)?;
        }
        since.service_time = since.service_time.since(&earlier.service_time)?;
        since.bytes_out = since.bytes_out.checked_sub(earlier.bytes_out)?;
        since.bytes_in = since.bytes_in.checked_sub(earlier.bytes_in)?;
        for (place, theirs) in earlier.checks.iter().enumerate() {
            let mine = since.checks.get_mut(place)?;
            *mine = mine.since(*theirs)?;
        }
        since.dropped = since.dropped.checked_sub(earlier.dropped)?;
        Some(since)
    }

    /// Counts what became of a check; `place` is its place in [`Cell::checks`].
    pub fn check(&mut self, place: usize, passed: bool) {
        if self.checks.len() <= place {
            self.checks.resize_with(place + 1, CheckCount::default);
        }
        let count = &mut self.checks[place];
        *(if passed { &mut count.passed } else { &mut count.failed }) += 1;
    }

    /// Requests sent.
    pub fn requests(&self) -> u64 {
        self.outcomes.iter().copied().fold(0, u64::saturating_add)
    }

    /// Requests with this outcome.
    pub fn count(&self, outcome: Outcome) -> u64 {
        self.outcomes[outcome.index()]
    }

    /// Requests that failed.
    pub fn errors(&self) -> u64 {
        let failed = Outcome::ALL.into_iter().filter(|outcome| outcome.is_error());
        failed.map(|outcome| self.count(outcome)).fold(0, u64::saturating_add)
    }

    /// Requests that failed, without those that were answered with a status.
    pub(crate) fn errors_without(&self, status: u16) -> u64 {
        self.errors().saturating_sub(self.failed_statuses.get(&status).copied().unwrap_or(0))
    }

    /// Requests with a good answer, without those of a status: 429 is a good answer to a step that expects it.
    pub(crate) fn ok_without(&self, status: u16) -> u64 {
        let count = |statuses: &BTreeMap<u16, u64>| statuses.get(&status).copied().unwrap_or(0);
        let good = count(&self.statuses).saturating_sub(count(&self.failed_statuses));
        self.count(Outcome::Ok).saturating_sub(good)
    }

    /// Latency of the requests that ended so.
    pub fn latency(&self, ended: Ended) -> Times {
        let mut all = Times::new();
        self.latency.iter().filter(|(outcome, _)| ended.includes(**outcome)).for_each(|(_, times)| all.add(times));
        all
    }

    /// Whether some requests have an end and no latency, so that the two are not the same.
    pub(crate) fn has_other_ends(&self) -> bool {
        self.latency.iter().any(|(outcome, times)| !outcome.has_latency() && !times.is_empty())
    }

    /// The compact form.
    pub fn encode(&self) -> EncodedCell {
        EncodedCell {
            outcomes: self.outcomes,
            statuses: self.statuses.clone(),
            failed_statuses: self.failed_statuses.clone(),
            latency: self.latency.iter().map(|(outcome, times)| (*outcome, times.encode())).collect(),
            service_time: self.service_time.encode(),
            bytes_out: self.bytes_out,
            bytes_in: self.bytes_in,
            checks: self.checks.clone(),
            dropped: self.dropped,
        }
    }
}

/// Adds counts by status.
fn add_statuses(sum: &mut BTreeMap<u16, u64>, other: &BTreeMap<u16, u64>) {
    for (status, count) in other {
        let mine = sum.entry(*status).or_default();
        *mine = mine.saturating_add(*count);
    }
}

/// Takes earlier counts by status away; `None` if they are not earlier ones.
fn statuses_since(now: &mut BTreeMap<u16, u64>, earlier: &BTreeMap<u16, u64>) -> Option<()> {
    for (status, count) in earlier {
        let mine = now.get_mut(status)?;
        *mine = mine.checked_sub(*count)?;
    }
    Some(())
}

/// What of a cell is no distribution.
struct Counts<'a> {
    outcomes: &'a [u64; Outcome::COUNT],
    statuses: &'a BTreeMap<u16, u64>,
    failed_statuses: &'a BTreeMap<u16, u64>,
    bytes_out: u64,
    bytes_in: u64,
    checks: &'a [CheckCount],
    dropped: u64,
}

impl Cell {
    fn counts(&self) -> Counts<'_> {
        let Self { outcomes, statuses, failed_statuses, bytes_out, bytes_in, checks, dropped, .. } = self;
        let (bytes_out, bytes_in, dropped) = (*bytes_out, *bytes_in, *dropped);
        Counts { outcomes, statuses, failed_statuses, bytes_out, bytes_in, checks, dropped }
    }
}

/// A sum of many cells.
pub(crate) struct CellSum {
    counts: Cell,
    latency: BTreeMap<Outcome, Sum>,
    service_time: Sum,
}

impl Default for CellSum {
    fn default() -> Self {
        Self { counts: Cell::default(), latency: BTreeMap::new(), service_time: Sum::new(DIGITS) }
    }
}

impl CellSum {
    /// Adds what of a cell is no distribution.
    pub(crate) fn add_counts(&mut self, cell: &EncodedCell) {
        let EncodedCell { outcomes, statuses, failed_statuses, bytes_out, bytes_in, checks, dropped, .. } = cell;
        let (bytes_out, bytes_in, dropped) = (*bytes_out, *bytes_in, *dropped);
        let counts = Counts { outcomes, statuses, failed_statuses, bytes_out, bytes_in, checks, dropped };
        self.counts.add_counts(&counts);
    }

    /// Does something with each distribution of a cell and the sum of those like it, up to the first error.
    pub(crate) fn each<'a, E>(
        &mut self,
        cell: &'a EncodedCell,
        mut action: impl FnMut(&mut Sum, &'a EncodedTimes) -> Result<(), E>,
    ) -> Result<(), E> {
        for (outcome, times) in &cell.latency {
            action(self.latency.entry(*outcome).or_insert_with(|| Sum::new(DIGITS)), times)?;
        }
        action(&mut self.service_time, &cell.service_time)
    }

    /// The sum as a cell.
    pub(crate) fn finish(self) -> Cell {
        let latency = self.latency.iter().map(|(outcome, sum)| (*outcome, sum.finish()));
        // What one damaged snapshot alone had, and was taken away again.
        let latency = latency.filter(|(_, times)| !times.is_empty()).collect();
        Cell { latency, service_time: self.service_time.finish(), ..self.counts }
    }
}

/// A cell as it stands in a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[allow(missing_docs)] // The fields are those of `Cell`.
pub struct EncodedCell {
    pub outcomes: [u64; Outcome::COUNT],
    pub statuses: BTreeMap<u16, u64>,
    pub failed_statuses: BTreeMap<u16, u64>,
    pub latency: Vec<(Outcome, EncodedTimes)>,
    pub service_time: EncodedTimes,
    pub bytes_out: u64,
    pub bytes_in: u64,
    pub checks: Vec<CheckCount>,
    pub dropped: u64,
}

impl EncodedCell {
    /// Requests sent.
    pub fn requests(&self) -> u64 {
        self.outcomes.iter().copied().fold(0, u64::saturating_add)
    }

    /// The cell.
    pub fn decode(&self) -> Result<Cell, InvalidHistogram> {
        let mut sum = CellSum::default();
        sum.each(self, Sum::add)?;
        sum.add_counts(self);
        Ok(sum.finish())
    }

    /// The cell without its distributions.
    pub fn counts(&self) -> Cell {
        Cell {
            outcomes: self.outcomes,
            statuses: self.statuses.clone(),
            failed_statuses: self.failed_statuses.clone(),
            latency: BTreeMap::new(),
            service_time: Times::new(),
            bytes_out: self.bytes_out,
            bytes_in: self.bytes_in,
            checks: self.checks.clone(),
            dropped: self.dropped,
        }
    }
}

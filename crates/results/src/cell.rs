//! A cell: the counters and distributions of one step in one stage of one scenario.

use std::collections::BTreeMap;

use proofload_api::Outcome;
use serde::{Deserialize, Serialize};

use crate::histogram::{DIGITS, EncodedTimes, InvalidHistogram, Times};

/// What is known of one finished request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// What became of it.
    pub outcome: Outcome,
    /// The response's status, if its head came.
    pub status: Option<u16>,
    /// From the intended time to the end, in microseconds. Counted only where the outcome has a latency.
    pub latency: u64,
    /// From the actual send to the end, in microseconds. Counted as latency is.
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
    /// Latency by outcome.
    pub latency: BTreeMap<Outcome, Times>,
    /// Service time of all outcomes that have one.
    pub service_time: Times,
    /// Bytes sent.
    pub bytes_out: u64,
    /// Bytes received.
    pub bytes_in: u64,
}

impl Cell {
    /// Counts a request, once.
    pub fn record(&mut self, sample: &Sample) {
        self.outcomes[sample.outcome.index()] += 1;
        if let Some(status) = sample.status {
            *self.statuses.entry(status).or_default() += 1;
        }
        if sample.outcome.has_latency() {
            self.latency.entry(sample.outcome).or_default().record(sample.latency);
            self.service_time.record(sample.service_time);
        }
        self.bytes_out += sample.bytes_out;
        self.bytes_in += sample.bytes_in;
    }

    /// Adds another cell. Commutative, associative, exact; damaged counters saturate rather than wrap.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.outcomes.iter_mut().zip(&other.outcomes) {
            *mine = mine.saturating_add(*theirs);
        }
        for (status, count) in &other.statuses {
            let mine = self.statuses.entry(*status).or_default();
            *mine = mine.saturating_add(*count);
        }
        for (outcome, times) in &other.latency {
            self.latency.entry(*outcome).or_default().add(times);
        }
        self.service_time.add(&other.service_time);
        self.bytes_out = self.bytes_out.saturating_add(other.bytes_out);
        self.bytes_in = self.bytes_in.saturating_add(other.bytes_in);
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

    /// Latency of all outcomes that have one, or of one of them.
    pub fn latency(&self, only: Option<Outcome>) -> Times {
        let mut all = Times::new();
        self.latency.iter().filter(|(outcome, _)| only.is_none_or(|only| only == **outcome)).for_each(|(_, times)| {
            all.add(times);
        });
        all
    }

    /// The compact form.
    pub fn encode(&self) -> EncodedCell {
        EncodedCell {
            outcomes: self.outcomes,
            statuses: self.statuses.clone(),
            latency: self.latency.iter().map(|(outcome, times)| (*outcome, times.encode())).collect(),
            service_time: self.service_time.encode(),
            bytes_out: self.bytes_out,
            bytes_in: self.bytes_in,
        }
    }
}

/// A cell as it stands in a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[allow(missing_docs)] // The fields are those of `Cell`.
pub struct EncodedCell {
    pub outcomes: [u64; Outcome::COUNT],
    pub statuses: BTreeMap<u16, u64>,
    pub latency: Vec<(Outcome, EncodedTimes)>,
    pub service_time: EncodedTimes,
    pub bytes_out: u64,
    pub bytes_in: u64,
}

impl EncodedCell {
    /// The cell.
    pub fn decode(&self) -> Result<Cell, InvalidHistogram> {
        let latency = self.latency.iter().map(|(outcome, times)| Ok((*outcome, times.decode(DIGITS)?)));
        Ok(Cell {
            outcomes: self.outcomes,
            statuses: self.statuses.clone(),
            latency: latency.collect::<Result<_, InvalidHistogram>>()?,
            service_time: self.service_time.decode(DIGITS)?,
            bytes_out: self.bytes_out,
            bytes_in: self.bytes_in,
        })
    }
}

//! Figures: the same at every level of a report, from the whole run down to one stage of one step.

use std::collections::BTreeMap;

use proofload_api::criterion::Ended;
use proofload_api::{Micros, Outcome};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cell::Cell;
use crate::distribution::Distribution;
use crate::histogram::Times;
use crate::words::{rounded, share};

/// What was measured of a run or a part of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// Requests sent: `ok`, `errors`, and those that the end of the run interrupted.
    pub requests: u64,
    /// Requests with a good answer.
    pub ok: u64,
    /// Requests that failed.
    pub errors: u64,
    /// Requests per second, over the time under load.
    pub rate: f64,
    /// Requests by outcome, without those that are zero.
    #[serde(default)]
    pub outcomes: BTreeMap<String, u64>,
    /// Responses by status code.
    #[serde(default)]
    pub statuses: BTreeMap<String, u64>,
    /// Those of them that were of requests that failed. A status that is expected may come with an answer that fails a check.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub failed_statuses: BTreeMap<String, u64>,
    /// From the intended time of a request to the end of its response: of every request that got a response, and of
    /// timeouts. Absent if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<TimeFigures>,
    /// From the intended time of a request to its end, however it ended: of the same requests, and of those whose connection
    /// was reset, closed, or held what is no response. Absent if there was none of the latter: then it is the same as latency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_to_end: Option<TimeFigures>,
    /// From the actual send to the end of the response, of the requests that have a latency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_time: Option<TimeFigures>,
    /// All of latency: of the whole run, of scenarios and of their steps. Absent elsewhere, without a sample, and where it
    /// does not fit into where the report is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distribution: Option<Distribution>,
    /// Bytes received, heads and bodies.
    pub bytes_in: u64,
    /// Bytes sent, heads and bodies.
    pub bytes_out: u64,
}

/// A distribution of times, in microseconds, three digits exact.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct TimeFigures {
    /// The shortest.
    pub min: u64,
    /// The mean.
    pub mean: f64,
    /// The standard deviation.
    pub stddev: f64,
    /// The median.
    pub p50: u64,
    /// 75th percentile.
    pub p75: u64,
    /// 90th percentile.
    pub p90: u64,
    /// 95th percentile.
    pub p95: u64,
    /// 99th percentile.
    pub p99: u64,
    /// 99.9th percentile.
    #[serde(rename = "p99.9")]
    pub p99_9: u64,
    /// The longest.
    pub max: u64,
}

impl TimeFigures {
    /// The figures of a distribution; none of no samples.
    pub fn of(times: &Times) -> Option<Self> {
        let (min, max, mean, stddev) = times.extremes();
        let percentile = |percentile| times.percentile(percentile);
        Some(Self {
            min,
            mean: rounded(mean, 1),
            stddev: rounded(stddev, 1),
            p50: percentile(50.0)?,
            p75: percentile(75.0)?,
            p90: percentile(90.0)?,
            p95: percentile(95.0)?,
            p99: percentile(99.0)?,
            p99_9: percentile(99.9)?,
            max,
        })
    }
}

impl Figures {
    /// The figures of a sum of cells that were under load for so long.
    pub fn of(cell: &Cell, elapsed: Micros) -> Self {
        let requests = cell.requests();
        let rate = if elapsed == Micros::ZERO { 0.0 } else { requests as f64 / elapsed.as_secs_f64() };
        let outcomes = Outcome::ALL.into_iter().map(|outcome| (outcome.name().to_owned(), cell.count(outcome)));
        Self {
            requests,
            ok: cell.count(Outcome::Ok),
            errors: cell.errors(),
            rate: rounded(rate, 3),
            outcomes: outcomes.filter(|(_, count)| *count > 0).collect(),
            statuses: by_name(&cell.statuses),
            failed_statuses: by_name(&cell.failed_statuses),
            latency: TimeFigures::of(&cell.latency(Ended::Answered)),
            time_to_end: cell.has_other_ends().then(|| TimeFigures::of(&cell.latency(Ended::Any))).flatten(),
            service_time: TimeFigures::of(&cell.service_time),
            distribution: None,
            bytes_in: cell.bytes_in,
            bytes_out: cell.bytes_out,
        }
    }

    /// The same with all of latency.
    pub fn whole(cell: &Cell, elapsed: Micros) -> Self {
        Self { distribution: Distribution::of(&cell.latency(Ended::Answered)), ..Self::of(cell, elapsed) }
    }

    /// The time to the end of every request that has one, whether there were ends without an answer or not.
    pub fn ends(&self) -> Option<&TimeFigures> {
        self.time_to_end.as_ref().or(self.latency.as_ref())
    }

    /// The share of requests that failed, 0..=1, of those that were not interrupted; none if there were none.
    pub fn error_share(&self) -> Option<f64> {
        let answered = self.ok.saturating_add(self.errors);
        (answered > 0).then(|| share(self.errors, answered))
    }
}

fn by_name(statuses: &BTreeMap<u16, u64>) -> BTreeMap<String, u64> {
    statuses.iter().map(|(status, count)| (status.to_string(), *count)).collect()
}

//! The timeline of a report: the run's buckets, merged and set against the plan.

use proofload_api::Micros;
use proofload_plan::Plan;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::LoadLevel;
use super::steered::planned;
use crate::histogram::Times;
use crate::totals::{Bucket, Totals};
use crate::words::rounded;

/// The run over time.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Timeline {
    /// The width of a bucket, in microseconds.
    pub width: u64,
    /// The buckets, one after the other from the run's begin on.
    pub buckets: Vec<TimelineBucket>,
}

/// A part of the timeline. A request is in the bucket of its end.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TimelineBucket {
    /// Its begin, in microseconds from the run's begin.
    pub at: u64,
    /// Requests that ended.
    pub requests: u64,
    /// Those that failed.
    pub errors: u64,
    /// The most users at once.
    pub users: u32,
    /// The most users at once, by the plan.
    pub planned_users: u32,
    /// Iterations that begin in a second, by the plan: of load models that plan arrivals. Absent without such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned_rate: Option<f64>,
    /// Requests per second; of the last part, which the end cut short, over a whole width up to the end.
    pub rate: f64,
    /// Median of latency, in microseconds, two digits exact. Absent without a sample, as the others are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50: Option<u64>,
    /// 95th percentile of latency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p95: Option<u64>,
    /// 99th percentile of latency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99: Option<u64>,
    /// Latency in bands, as `[band, requests]`, in order, without those that are empty. Band `b` begins at `10^(b/8)`
    /// microseconds and ends where the next one begins; band 0 has all that is shorter, too. Empty where it does not fit
    /// into where the report is stored.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub heat: Vec<(u8, u64)>,
}

/// The timeline, with so many buckets of the plan in each.
pub(super) fn timeline(plan: &Plan, totals: &Totals, per_bucket: usize) -> Timeline {
    let width = plan.timeline_width.0.max(1).saturating_mul(per_bucket as u64);
    // From the run's begin, as the buckets are: setup and teardown are in them too.
    let end = totals.scenarios.iter().filter_map(|scenario| scenario.until).max().unwrap_or(0);
    let sum = |chunk: &[Bucket]| {
        let mut sum = Bucket::default();
        for bucket in chunk {
            sum.append(bucket);
        }
        sum
    };
    let merged: Vec<Bucket> = totals.timeline.chunks(per_bucket).map(sum).collect();
    let bucket = |(place, sum): (usize, &Bucket)| {
        let at = width.saturating_mul(place as u64);
        let before = place.checked_sub(1).map(|place| merged[place].requests);
        let length = if end > at && place + 1 == merged.len() { end - at } else { width };
        let rate = rate(sum.requests, before, length, width);
        let (planned_users, planned_rate) = planned_load(plan, totals, at, width);
        TimelineBucket {
            at,
            requests: sum.requests,
            errors: sum.errors,
            users: sum.users,
            planned_users,
            planned_rate: planned_rate.map(|rate| rounded(rate, 3)),
            rate: rounded(rate, 1),
            p50: sum.latency.percentile(50.0),
            p95: sum.latency.percentile(95.0),
            p99: sum.latency.percentile(99.0),
            heat: heat(&sum.latency),
        }
    };
    Timeline { width, buckets: merged.iter().enumerate().map(bucket).collect() }
}

/// Bands for each power of ten.
const BANDS: f64 = 8.0;

/// Latency in bands. A bucket of the histogram is in the band of its middle.
fn heat(latency: &Times) -> Vec<(u8, u64)> {
    let mut bands: Vec<(u8, u64)> = Vec::new();
    for (micros, count) in latency.counts() {
        let band = ((micros.max(1) as f64).log10() * BANDS).floor() as u8;
        match bands.last_mut() {
            Some((last, sum)) if *last == band => *sum = sum.saturating_add(count),
            _ => bands.push((band, count)),
        }
    }
    bands
}

/// Requests per second in a bucket. The last one is not full: whatever was under way at the end is in its few
/// milliseconds, so that its rate is over a whole width up to the end, with a part of the bucket before it. Where the run
/// took longer than the timeline is, it takes all that came after.
fn rate(requests: u64, before: Option<u64>, length: u64, width: u64) -> f64 {
    let per_second = |requests: f64, time: u64| requests / Micros(time).as_secs_f64();
    match before {
        Some(before) if length < width => {
            let part = (width - length) as f64 / width as f64;
            per_second(requests as f64 + before as f64 * part, width)
        }
        _ => per_second(requests as f64, length),
    }
}

/// The most users, and the highest rate, by the plan at the bucket's begin, middle and end, each scenario from when it
/// really began.
fn planned_load(plan: &Plan, totals: &Totals, at: u64, width: u64) -> (u32, Option<f64>) {
    let moments = [at, at.saturating_add(width / 2), at.saturating_add(width - 1)];
    let loads = |moment: u64| -> Vec<LoadLevel> {
        (0..plan.main().len()).filter_map(|scenario| planned(plan, totals, scenario, moment)).collect()
    };
    let (mut most_users, mut highest_rate) = (0, None);
    for moment in moments {
        let loads = loads(moment);
        most_users = most_users.max(loads.iter().filter_map(|load| load.users).fold(0, u32::saturating_add));
        let rates = loads.iter().filter_map(|load| load.rate);
        let rate = rates.fold(None, |sum: Option<f64>, rate| Some(sum.unwrap_or(0.0) + rate));
        highest_rate = match (highest_rate, rate) {
            (Some(highest), Some(rate)) => Some(f64::max(highest, rate)),
            (highest, rate) => highest.or(rate),
        };
    }
    (most_users, highest_rate)
}

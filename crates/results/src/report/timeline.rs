//! The timeline of a report: the run's buckets, merged and set against the plan.

use proofload_api::Micros;
use proofload_plan::{Load, Plan};

use super::{Timeline, TimelineBucket};
use crate::totals::{Bucket, Totals};
use crate::words::rounded;

/// The timeline, with so many buckets of the plan in each.
pub(super) fn timeline(plan: &Plan, totals: &Totals, per_bucket: usize) -> Timeline {
    let width = plan.timeline_width.0.max(1).saturating_mul(per_bucket as u64);
    let end = totals.elapsed(proofload_plan::Scope::Run).0;
    let merged = totals.timeline.chunks(per_bucket).enumerate();
    let bucket = |(place, chunk): (usize, &[Bucket])| {
        let mut sum = Bucket::default();
        for bucket in chunk {
            sum.append(bucket);
        }
        let at = width.saturating_mul(place as u64);
        // The last bucket is not full: its rate is over the time that there was.
        let length = end.saturating_sub(at).clamp(1, width);
        let length = if end <= at { width } else { length };
        TimelineBucket {
            at,
            requests: sum.requests,
            errors: sum.errors,
            users: sum.users,
            planned_users: planned_users(plan, totals, at, width),
            rate: rounded(sum.requests as f64 / Micros(length).as_secs_f64(), 1),
            p50: sum.latency.percentile(50.0),
            p95: sum.latency.percentile(95.0),
            p99: sum.latency.percentile(99.0),
        }
    };
    Timeline { width, buckets: merged.map(bucket).collect() }
}

/// The most users by the plan at the bucket's begin, middle and end, each scenario from when it really began.
fn planned_users(plan: &Plan, totals: &Totals, at: u64, width: u64) -> u32 {
    let moments = [at, at.saturating_add(width / 2), at.saturating_add(width - 1)];
    let users = |moment: u64| {
        let scenarios = plan.scenarios.iter().zip(&totals.scenarios);
        let at_work = scenarios.filter_map(|(scenario, progress)| {
            let passed = moment.checked_sub(progress.began?)?;
            match &scenario.load {
                Load::Users(curve) => Some(curve.users_at(Micros(passed))),
                Load::Iterations { users, .. } => (moment < progress.until?).then_some(*users),
            }
        });
        at_work.fold(0, u32::saturating_add)
    };
    moments.into_iter().map(users).max().unwrap_or(0)
}

//! The breaking point of a scenario whose load only rises: where errors begin on the way up.

use proofload_api::Micros;
use proofload_api::units::{short_share, short_time};

use super::breaking::{FEW_ERRORS, MANY_ERRORS};
use super::level::{FEWEST, Level, buckets, error_share, levels, per_second};
use crate::finding::{Evidence, Finding, FindingKind};
use crate::report::{Report, ScenarioReport, StageReport, TimelineBucket};
use crate::words::{share, things};

/// Errors have come to stay where so many buckets in a row have them.
const IN_A_ROW: usize = 3;

/// Where errors begin on the way up; none where they do not. The timeline must be the scenario's alone.
pub(super) fn breaking_point(report: &Report, scenario: &ScenarioReport) -> Option<Finding> {
    let rises = |stage: &&StageReport| {
        let users = |load: Option<crate::report::LoadLevel>| load.and_then(|load| load.users);
        users(stage.from) < users(stage.to) && stage.from.is_some()
    };
    scenario.stages.iter().filter(rises).find_map(|stage| on(report, scenario, stage))
}

fn on(report: &Report, scenario: &ScenarioReport, stage: &StageReport) -> Option<Finding> {
    let began = stage.began?;
    let until = began.saturating_add(stage.duration?);
    let seen = buckets(report, began, until);
    let is_bad = |bucket: &TimelineBucket| bucket.requests > 0 && error_share(bucket) >= MANY_ERRORS;
    let begins = |first: &usize| seen[*first..].iter().take(IN_A_ROW).all(is_bad);
    // What goes well again on the way up was no load's fault.
    let stays = |first: &usize| {
        let rest: Vec<&TimelineBucket> = seen[*first..].iter().filter(|bucket| bucket.requests > 0).collect();
        let bad = rest.iter().filter(|bucket| is_bad(bucket)).count();
        bad * 2 > rest.len()
    };
    let first = (0..(seen.len() + 1).saturating_sub(IN_A_ROW)).filter(begins).find(stays)?;
    let (before, after) = seen.split_at(first);
    let (was, errors) = (sum(before, |bucket| bucket.requests), sum(before, |bucket| bucket.errors));
    let (bad_requests, bad_errors) = (sum(after, |bucket| bucket.requests), sum(after, |bucket| bucket.errors));
    let is_clear = was >= FEWEST
        && share(errors, was) < FEW_ERRORS
        && bad_errors >= FEWEST
        && share(bad_errors, bad_requests) >= MANY_ERRORS;
    let (last_good, first_bad) = before.last().zip(after.first()).filter(|_| is_clear)?;
    // What held with more users did not break with fewer.
    let has_held = |level: &Level<'_>| level.held == Some(true) && level.amount() >= f64::from(first_bad.users);
    if levels(report, scenario).iter().any(has_held) {
        return None;
    }
    // A moment of the rise is as long as it takes to see enough of it.
    let near = &before[before.len().saturating_sub(IN_A_ROW)..];
    let time = Micros(report.timeline.width.saturating_mul(near.len() as u64)).as_secs_f64();
    let good = sum(near, |bucket| bucket.requests.saturating_sub(bucket.errors)) as f64 / time;
    let users = |bucket: &TimelineBucket| things(u64::from(bucket.users), "user");
    let at = short_time(first_bad.at as f64);
    let text = format!(
        "The breaking point of scenario {} lies at {} or below: on the way up, requests began to fail {at} into the run. \
         Stable up to {} at {}.",
        scenario.name,
        users(first_bad),
        users(last_good),
        per_second(good),
    );
    let evidence = vec![
        Evidence::new(format!("errors before {at}"), short_share(share(errors, was))),
        Evidence::new(format!("errors from {at} on, on the way up"), short_share(share(bad_errors, bad_requests))),
        Evidence::new(format!("users at {at}"), first_bad.users.to_string()),
        Evidence::new(format!("good answers just before {at}"), per_second(good)),
    ];
    Some(Finding { kind: FindingKind::BreakingPoint, text, evidence })
}

fn sum(buckets: &[TimelineBucket], of: impl Fn(&TimelineBucket) -> u64) -> u64 {
    buckets.iter().map(of).fold(0, u64::saturating_add)
}

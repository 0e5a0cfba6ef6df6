//! Errors that began only at some load or moment.

use std::collections::BTreeMap;

use proofload_api::Outcome;
use proofload_api::units::short_time;

use super::level::{FEWEST, buckets, times};
use super::steps::error_name;
use crate::finding::{Evidence, Finding, FindingKind};
use crate::report::{ErrorReport, Report, ScenarioReport, StepReport, TimelineBucket};
use crate::words::{grouped, share, things};

/// So many kinds of errors are told.
const MOST: usize = 3;
/// So many errors were to be expected before the first one, had they been as frequent then: that there were none by chance
/// has a probability of one in 22,000.
const EXPECTED: f64 = 10.0;

/// A kind of error of one scenario, over its steps.
struct Kind<'a> {
    errors: Vec<&'a ErrorReport>,
    count: u64,
    first: u64,
}

/// The most frequent errors that began late.
pub(super) fn onsets(report: &Report) -> Vec<Finding> {
    let mut found: Vec<(u64, Finding)> = Vec::new();
    for scenario in &report.scenarios {
        let mut kinds: BTreeMap<(&str, &str), Kind<'_>> = BTreeMap::new();
        for error in report.errors.iter().filter(|error| error.scenario == scenario.name) {
            let new = || Kind { errors: Vec::new(), count: 0, first: u64::MAX };
            let kind = kinds.entry((&error.outcome, &error.message)).or_insert_with(new);
            kind.errors.push(error);
            kind.count = kind.count.saturating_add(error.count);
            kind.first = kind.first.min(error.first_seen);
        }
        let onsets = kinds.values().filter_map(|kind| Some((kind.count, onset(report, scenario, kind)?)));
        found.extend(onsets);
    }
    found.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    found.into_iter().take(MOST).map(|(_, finding)| finding).collect()
}

/// The steps that had such an error.
fn steps<'a>(scenario: &'a ScenarioReport, kind: &'a Kind<'_>) -> impl Iterator<Item = &'a StepReport> {
    scenario.steps.iter().filter(|step| kind.errors.iter().any(|error| error.step == step.name))
}

/// When the first of the requests that failed so began, at the earliest: a timeout is seen only when it is over.
fn first_sent(scenario: &ScenarioReport, kind: &Kind<'_>) -> u64 {
    let is_timeout = kind.errors.iter().any(|error| error.outcome == Outcome::Timeout.name());
    let longest = steps(scenario, kind).filter_map(|step| Some(step.figures.latency.as_ref()?.max)).max();
    kind.first.saturating_sub(longest.filter(|_| is_timeout).unwrap_or(0))
}

fn onset(report: &Report, scenario: &ScenarioReport, kind: &Kind<'_>) -> Option<Finding> {
    let (began, until) = times(scenario)?;
    let first_sent = first_sent(scenario, kind);
    let ended = |from: u64, until: u64, of: fn(&TimelineBucket) -> u64| {
        buckets(report, from, until).iter().map(of).fold(0, u64::saturating_add)
    };
    // The timeline has all steps: these have their share of it at any time.
    let requests = steps(scenario, kind).map(|step| step.figures.requests).fold(0, u64::saturating_add);
    let part = share(requests, ended(began, until, |bucket| bucket.requests)).min(1.0);
    let good = ended(began, first_sent, |bucket| bucket.requests.saturating_sub(bucket.errors)) as f64 * part;
    let since = (requests as f64 - good).max(kind.count as f64);
    let is_late = kind.count >= FEWEST && good >= FEWEST as f64 && kind.count as f64 / since * good >= EXPECTED;
    let first = kind.errors.first().filter(|_| is_late)?;
    let place = report.timeline.buckets.partition_point(|bucket| bucket.at <= first_sent);
    let users = report.timeline.buckets.get(place.checked_sub(1)?)?.users;
    let (name, at) = (error_name(first), short_time(first_sent as f64));
    let of = if report.scenarios.len() > 1 { format!(" of scenario {}", scenario.name) } else { String::new() };
    let text = format!(
        "Errors{of} began only {at} into the run, with {}: {name}, {} in all.",
        things(users.into(), "user"),
        grouped(kind.count)
    );
    let mut evidence = vec![
        Evidence::new("good answers before", format!("about {}", grouped(good.round() as u64))),
        Evidence::new("first seen", short_time(kind.first as f64)),
    ];
    let last = kind.errors.iter().map(|error| error.last_seen).max().unwrap_or(kind.first);
    evidence.push(Evidence::new("last seen", short_time(last as f64)));
    evidence.extend(kind.errors.iter().map(|error| Evidence::new(error.step.clone(), things(error.count, "error"))));
    Some(Finding { kind: FindingKind::ErrorOnset, text, evidence })
}

//! The target stopped serving: from some moment on, or from the begin.

use std::collections::BTreeMap;

use proofload_api::Outcome;
use proofload_api::units::short_time;

use super::level::{FEWEST, times, without_wrong};
use crate::finding::{Evidence, Finding, FindingKind};
use crate::report::{Report, ScenarioReport, TimelineBucket};
use crate::words::{grouped, things};

/// A target that is gone for fewer buckets than this may only be slow to answer the last requests.
const FEWEST_BUCKETS: usize = 3;
/// What the end of a load interrupts is over so many microseconds later.
const CUT_OFF: u64 = 1_000_000;

/// The outage, if there is one: at most one.
pub(super) fn outages(report: &Report) -> Vec<Finding> {
    let summary = &report.summary;
    let found = if summary.ok == 0 { Some(never(report)) } else { from_a_moment(report) };
    found.into_iter().filter(|_| summary.errors >= FEWEST).collect()
}

fn never(report: &Report) -> Finding {
    let summary = &report.summary;
    let text = format!(
        "Nothing was ever answered well: {} of {} failed ({}).",
        grouped(summary.errors),
        things(summary.requests, "request"),
        in_words(&summary.outcomes),
    );
    let steps = report.scenarios.iter().flat_map(|scenario| scenario.steps.iter().map(move |step| (scenario, step)));
    let evidence = steps.filter(|(_, step)| step.figures.errors > 0).take(FEWEST as usize).map(|(scenario, step)| {
        let what = format!("{}/{}", scenario.name, step.name);
        Evidence::new(what, format!("{} of {} failed", grouped(step.figures.errors), grouped(step.figures.requests)))
    });
    Finding { kind: FindingKind::Outage, text, evidence: evidence.collect() }
}

/// The most frequent first: `reset 350, timeout 50`.
fn in_words(outcomes: &BTreeMap<String, u64>) -> String {
    let is_error = |name: &str| name.parse().is_ok_and(Outcome::is_error);
    let mut errors: Vec<_> = outcomes.iter().filter(|(name, _)| is_error(name)).collect();
    errors.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let each = errors.into_iter().map(|(name, count)| format!("{name} {}", grouped(*count)));
    each.collect::<Vec<_>>().join(", ")
}

/// The end of a run in which nothing succeeded any more.
struct Tail<'a> {
    before: &'a [TimelineBucket],
    begin: &'a TimelineBucket,
    errors: u64,
    succeeded: u64,
}

/// From when on nothing succeeded until the end, in microseconds from the run's begin; none if something did.
pub(super) fn began(report: &Report) -> Option<u64> {
    tail(report).map(|tail| tail.begin.at)
}

fn tail(report: &Report) -> Option<Tail<'_>> {
    let buckets = &report.timeline.buckets;
    let (mut good, mut errors, mut first) = (0_u64, 0_u64, buckets.len());
    for (place, bucket) in buckets.iter().enumerate().rev() {
        good = good.saturating_add(bucket.requests.saturating_sub(bucket.errors));
        // What the end of a scenario interrupted is no error, and no answer either.
        let interrupted =
            |scenario: &ScenarioReport| scenario.figures.outcomes.get(Outcome::Interrupted.name()).copied();
        if good
            > under_load_after(report, bucket.at.saturating_sub(CUT_OFF))
                .filter_map(interrupted)
                .fold(0, u64::saturating_add)
        {
            break;
        }
        errors = errors.saturating_add(bucket.errors);
        // Where nothing ended, it is not known yet.
        if bucket.errors > 0 {
            first = place;
        }
    }
    let (before, after) = buckets.split_at(first);
    // Before the load's end: after it, only those that fail are still under way.
    let last_load = buckets.iter().rposition(|bucket| bucket.planned_users > 0 || bucket.planned_rate.is_some());
    let under_load = last_load.map_or(0, |last| (last + 1).saturating_sub(first));
    let succeeded = before.iter().map(|bucket| bucket.requests.saturating_sub(bucket.errors));
    let succeeded = succeeded.fold(0, u64::saturating_add);
    let begin = after.first().filter(|_| under_load >= FEWEST_BUCKETS && errors >= FEWEST && succeeded >= FEWEST)?;
    // A target that tells that requests are wrong is there.
    let failed = under_load_after(report, begin.at).map(|scenario| without_wrong(&scenario.figures));
    let failed = failed.fold(0, u64::saturating_add);
    (failed >= FEWEST && failed >= errors / 2).then_some(Tail { before, begin, errors, succeeded })
}

/// Scenarios of which some load lies after a moment.
fn under_load_after(report: &Report, at: u64) -> impl Iterator<Item = &ScenarioReport> {
    let is_after = move |scenario: &&ScenarioReport| times(scenario).is_some_and(|(_, until)| until > at);
    report.scenarios.iter().filter(is_after)
}

fn from_a_moment(report: &Report) -> Option<Finding> {
    let Tail { before, begin, errors, succeeded } = tail(report)?;
    // A search ends above what the target can bear, and asks for no more than to know where that is.
    let is_search = |scenario: &ScenarioReport| {
        scenario.search.is_some() && times(scenario).is_some_and(|(began, until)| (began..until).contains(&begin.at))
    };
    if report.scenarios.iter().any(is_search) {
        return None;
    }
    let at = short_time(begin.at as f64);
    let text =
        format!("From {at} into the run on nothing succeeded until the end: {} failed.", things(errors, "request"));
    let mut evidence = Vec::new();
    let is_good = |bucket: &&TimelineBucket| bucket.requests > bucket.errors;
    if let Some(last) = before.iter().rfind(is_good) {
        let until = last.at.saturating_add(report.timeline.width);
        evidence.push(Evidence::new("last good answer", format!("before {}", short_time(until as f64))));
    }
    evidence.push(Evidence::new("good answers before", grouped(succeeded)));
    evidence.push(Evidence::new("failed since", grouped(errors)));
    Some(Finding { kind: FindingKind::Outage, text, evidence })
}

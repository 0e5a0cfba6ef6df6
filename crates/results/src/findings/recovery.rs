//! Recovery: how long after an overload the criteria held again.

use proofload_api::criterion::{Aggregate, Ended, Expr, Metric};
use proofload_api::loadtest::Severity;
use proofload_api::units::short_time;

use super::level::{amount, buckets, error_share, is_alone};
use crate::finding::{Evidence, Finding, FindingKind};
use crate::report::{LoadLevel, Report, ScenarioReport, StageReport, TimelineBucket};
use crate::words::share;

/// A load that is at most this part of another is a lower one.
const LOWER: f64 = 0.8;
/// The criteria hold again where they do in so many buckets in a row.
const IN_A_ROW: usize = 3;

/// A stage as it was in the run.
#[derive(Clone, Copy)]
struct Phase<'a> {
    scenario: &'a ScenarioReport,
    began: u64,
    until: u64,
    /// Its highest load.
    load: LoadLevel,
    holds_load: bool,
    held: Option<bool>,
}

/// How long each recovery took, or that there was none.
pub(super) fn recoveries(report: &Report) -> Vec<Finding> {
    let mut found = Vec::new();
    let (mut overload, mut held): (Option<Phase<'_>>, Vec<Phase<'_>>) = (None, Vec::new());
    for phase in phases(report) {
        let is_over = |overload: &Phase<'_>| {
            let is_same = overload.load.users.is_some() == phase.load.users.is_some();
            is_same
                && works_alike(overload.scenario, phase.scenario)
                && phase.holds_load
                && amount(phase.load) <= amount(overload.load) * LOWER
        };
        if let Some(over) = overload.filter(is_over) {
            // A load that never held has nothing to recover to.
            let has_held = held.iter().any(|held| amount(held.load) >= amount(phase.load) * LOWER);
            found.extend(recovery(report, &over, &phase, has_held));
            overload = None;
        } else if phase.held == Some(false) {
            overload = overload.filter(|over| amount(over.load) >= amount(phase.load)).or(Some(phase));
        }
        if phase.held == Some(true) {
            held.push(phase);
        }
    }
    found
}

/// Whether two scenarios ask the same of the target: of other work nobody knows whether it was ever well.
fn works_alike(one: &ScenarioReport, other: &ScenarioReport) -> bool {
    let names =
        |scenario: &'_ ScenarioReport| -> Vec<String> { scenario.steps.iter().map(|s| s.name.clone()).collect() };
    one.name == other.name || names(one) == names(other)
}

/// Stages in the order of time, of scenarios that were under load alone.
fn phases(report: &Report) -> Vec<Phase<'_>> {
    let scenarios = report.scenarios.iter().filter(|scenario| scenario.search.is_none() && is_alone(report, scenario));
    let phase = |(scenario, stage): (_, &StageReport)| {
        let (began, from, to) = (stage.began?, stage.from?, stage.to?);
        let load = if amount(from) >= amount(to) { from } else { to };
        let until = began.saturating_add(stage.duration?);
        Some(Phase { scenario, began, until, load, holds_load: from == to, held: stage.held })
    };
    let stages = scenarios.flat_map(|scenario| scenario.stages.iter().map(move |stage| (scenario, stage)));
    let mut phases: Vec<Phase<'_>> = stages.filter_map(phase).collect();
    phases.sort_by_key(|phase| phase.began);
    phases
}

fn recovery(report: &Report, over: &Phase<'_>, after: &Phase<'_>, has_held: bool) -> Option<Finding> {
    let criteria = criteria(report, after.scenario);
    // Where nothing ended nothing is known: users may think for longer than that, and who hangs ends as a timeout.
    let seen: Vec<&TimelineBucket> =
        buckets(report, after.began, after.until).iter().filter(|bucket| bucket.requests > 0).collect();
    if criteria.is_empty() || seen.is_empty() {
        return None;
    }
    let holds: Vec<bool> = seen.iter().map(|bucket| criteria.iter().all(|expr| holds(expr, bucket))).collect();
    let row = IN_A_ROW.min(holds.len());
    let recovered = holds.windows(row).position(|row| row.iter().all(|holds| *holds));
    let again = match recovered {
        Some(0) => format!("the criteria held again within {}", short_time(report.timeline.width as f64)),
        Some(place) => {
            let time = seen[place].at.saturating_sub(after.began);
            let width = short_time(report.timeline.width as f64);
            format!("the criteria held again after {} (give or take {width})", short_time(time as f64))
        }
        // By all of its figures it did, though not in so many parts in a row.
        None if has_held && after.held != Some(true) => {
            format!("the criteria never held again in the {} that were left", time_of(after))
        }
        None => return None,
    };
    let at = short_time(after.began as f64);
    let text =
        format!("After an overload with {} the load fell to {} {at} into the run: {again}.", over.load, after.load);
    let named: Vec<String> = criteria.iter().map(|expr| format!("{}({})", expr.aggregate, expr.metric)).collect();
    let broken = holds.iter().filter(|holds| !**holds).count();
    let broken = format!("{broken} of {} after it", seen.len());
    let evidence = vec![
        Evidence::new("overload", format!("{}, ended {}", over.load, short_time(over.until as f64))),
        Evidence::new("load after it", format!("{}, for {}", after.load, time_of(after))),
        Evidence::new("looked at", named.join(", ")),
        Evidence::new(
            format!("parts of {} in which they did not hold", short_time(report.timeline.width as f64)),
            broken,
        ),
    ];
    Some(Finding { kind: FindingKind::Recovery, text, evidence })
}

fn time_of(phase: &Phase<'_>) -> String {
    short_time(phase.until.saturating_sub(phase.began) as f64)
}

/// The criteria on a scenario that can be asked of a part of the timeline.
fn criteria(report: &Report, scenario: &ScenarioReport) -> Vec<Expr> {
    let is_on = |of: &Option<String>| of.as_ref().is_none_or(|of| *of == scenario.name);
    let judged = report
        .criteria
        .iter()
        .filter(|criterion| criterion.severity == Severity::Fail && criterion.during.is_none() && is_on(&criterion.of));
    let mut exprs: Vec<Expr> = judged.filter_map(|criterion| criterion.expr.parse().ok()).collect();
    exprs.retain(|expr: &Expr| observe(expr, &TimelineBucket::default()).is_some());
    exprs
}

/// What a bucket says to a criterion: nothing to those that it has no figure for. Where no request has a time, none was
/// answered.
fn observe(expr: &Expr, bucket: &TimelineBucket) -> Option<f64> {
    let time = |micros: Option<u64>| Some(micros.unwrap_or(u64::MAX) as f64);
    match (&expr.metric, expr.aggregate) {
        (Metric::Errors(None), Aggregate::Rate) => Some(error_share(bucket)),
        (Metric::Success(None), Aggregate::Rate) => {
            Some(share(bucket.requests.saturating_sub(bucket.errors), bucket.requests))
        }
        (Metric::Latency(Ended::Answered), Aggregate::Med | Aggregate::Percentile(50.0)) => time(bucket.p50),
        (Metric::Latency(Ended::Answered), Aggregate::Percentile(95.0)) => time(bucket.p95),
        (Metric::Latency(Ended::Answered), Aggregate::Percentile(99.0)) => time(bucket.p99),
        _ => None,
    }
}

fn holds(expr: &Expr, bucket: &TimelineBucket) -> bool {
    observe(expr, bucket).is_some_and(|seen| expr.operator.holds(seen, expr.limit.amount))
}

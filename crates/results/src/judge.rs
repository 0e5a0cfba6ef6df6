//! Judges criteria, and reaches the verdict.
//!
//! A criterion is first held against what was observed. Without a request in its scope (or without a sample of a time)
//! it is `NoData`, whatever it asks. Then doubts are weighed:
//!
//! | doubt | a pass becomes | a fail becomes `Untrusted` where |
//! | --- | --- | --- |
//! | the generator was saturated | `Untrusted` | a time was too long, or anything of the next row |
//! | load is missing: a runner lost, stopped early or not heard of at the end, the run stopped, iterations not done, runners apart | `Untrusted` | a rate, a count or a time was too low, or the share of bad answers: more load could have raised them |
//! | either | `Untrusted` | `!=` on such a figure does not hold (`==` counts as too high or too low, as it is) |
//!
//! What no doubt explains stays `Fail`: a share of errors that is too high, a share of good answers that is too low, a
//! count that is too high; and, while the generator kept up, a time that is too long: less load than planned makes
//! nothing slower.

use proofload_api::criterion::{Aggregate, Expr, Metric, Operator, Unit, Value};
use proofload_api::loadtest::Severity;
use proofload_api::status::CriterionOutcome;
use proofload_api::{Micros, Outcome, Verdict};
use proofload_plan::{Criterion, Scope};

use crate::cell::Cell;
use crate::doubt::{Doubt, is_good};
use crate::histogram::Times;
use crate::totals::Totals;

/// What became of a criterion.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// The criterion, as the user wrote it.
    pub text: String,
    /// `of`, as the user wrote it.
    pub of: Option<String>,
    /// What it was judged on.
    pub scope: Scope,
    /// What a failure means.
    pub severity: Severity,
    /// The value seen; none without samples.
    pub observed: Option<Value>,
    /// What became of it.
    pub outcome: CriterionOutcome,
}

/// Judges criteria, in their order.
pub fn judge(criteria: &[Criterion], totals: &Totals, doubts: &[Doubt]) -> Vec<Judgement> {
    criteria.iter().map(|criterion| judge_one(criterion, totals, doubts)).collect()
}

fn judge_one(criterion: &Criterion, totals: &Totals, doubts: &[Doubt]) -> Judgement {
    let cell = totals.scope(criterion.scope);
    let observed = observe(&criterion.expr, &cell, &totals.lateness, totals.elapsed(criterion.scope));
    let outcome = match observed {
        None => CriterionOutcome::NoData,
        Some(value) => weigh(&criterion.expr, value, doubts),
    };
    Judgement {
        text: criterion.text.clone(),
        of: criterion.of.clone(),
        scope: criterion.scope,
        severity: criterion.severity,
        observed: observed.map(|amount| Value { unit: criterion.expr.unit(), amount }),
        outcome,
    }
}

/// The value of an expression, in its unit. Lateness is the runners', not a scenario's: it is the same in every scope.
fn observe(expr: &Expr, cell: &Cell, lateness: &Times, elapsed: Micros) -> Option<f64> {
    if cell.requests() == 0 {
        return None;
    }
    match expr.metric {
        Metric::Latency(only) => aggregate(expr.aggregate, &cell.latency(only)),
        Metric::ServiceTime => aggregate(expr.aggregate, &cell.service_time),
        Metric::Lateness => aggregate(expr.aggregate, lateness),
        counted => count(expr, counted, cell, elapsed),
    }
}

fn aggregate(aggregate: Aggregate, times: &Times) -> Option<f64> {
    let (min, max, mean, stddev) = times.extremes();
    let percentile = |percentile| times.percentile(percentile).map(|micros| micros as f64);
    let value = match aggregate {
        Aggregate::Min => min as f64,
        Aggregate::Max => max as f64,
        Aggregate::Avg => mean,
        Aggregate::Stddev => stddev,
        Aggregate::Med => return percentile(50.0),
        Aggregate::Percentile(p) => return percentile(p),
        // The grammar admits neither of a time.
        Aggregate::Count | Aggregate::Rate => return None,
    };
    (!times.is_empty()).then_some(value)
}

fn count(expr: &Expr, metric: Metric, cell: &Cell, elapsed: Micros) -> Option<f64> {
    let counted = match metric {
        Metric::Requests => cell.requests(),
        Metric::Errors => cell.errors(),
        Metric::Success => cell.count(Outcome::Ok),
        Metric::BytesIn => cell.bytes_in,
        Metric::BytesOut => cell.bytes_out,
        Metric::Status(status) => cell.statuses.get(&status).copied().unwrap_or(0),
        Metric::Outcome(outcome) => cell.count(outcome),
        Metric::Latency(_) | Metric::ServiceTime | Metric::Lateness => return None,
    };
    let whole = match (expr.aggregate, expr.unit(), metric) {
        (Aggregate::Count, ..) => return Some(counted as f64),
        (_, Unit::PerSecond | Unit::BytesPerSecond, _) => elapsed.as_secs_f64(),
        (.., Metric::Outcome(Outcome::Interrupted)) => cell.requests() as f64,
        // What the end of the run interrupted was neither answered nor failed.
        _ => cell.requests().saturating_sub(cell.count(Outcome::Interrupted)) as f64,
    };
    (whole > 0.0).then(|| counted as f64 / whole)
}

fn weigh(expr: &Expr, observed: f64, doubts: &[Doubt]) -> CriterionOutcome {
    let holds = expr.operator.holds(observed, expr.limit.amount);
    if doubts.is_empty() {
        return if holds { CriterionOutcome::Pass } else { CriterionOutcome::Fail };
    }
    let is_explained = || doubts.iter().any(|doubt| explains(doubt, expr, observed));
    if holds || is_explained() { CriterionOutcome::Untrusted } else { CriterionOutcome::Fail }
}

/// Whether a doubt could be the reason that a criterion does not hold. The module's documentation has the table.
fn explains(doubt: &Doubt, expr: &Expr, observed: f64) -> bool {
    // `!=` that does not hold is neither too high nor too low: either direction would have mended it.
    let is_equal = expr.operator == Operator::NotEqual;
    let is_too_high = !is_equal && observed > expr.limit.amount;
    let is_too_low = !is_equal && !is_too_high;
    let is_slow = doubt.kind.is_own_slowness() && expr.metric.is_distribution();
    (is_slow && (is_too_high || is_equal)) || (raised_by_load(expr) && (is_too_low || is_equal))
}

/// Whether more load could have made the figure larger. Of the shares that is those of bad answers: load makes no
/// target answer better.
fn raised_by_load(expr: &Expr) -> bool {
    expr.unit() != Unit::Share
        || match expr.metric {
            Metric::Success => false,
            Metric::Outcome(outcome) => !is_good(outcome),
            Metric::Status(status) => status >= 400,
            _ => true,
        }
}

/// The verdict of judged criteria: any `Fail` fails; else any `NoData` or `Untrusted` leaves it open; else it is passed.
/// Criteria of severity `Warn` count as if they were not there, and without any other there is nothing to judge by.
pub fn verdict(criteria: impl IntoIterator<Item = (Severity, CriterionOutcome)>, doubts: &[Doubt]) -> Verdict {
    let judged = criteria.into_iter().filter(|(severity, _)| *severity == Severity::Fail);
    let outcomes: Vec<CriterionOutcome> = judged.map(|(_, outcome)| outcome).collect();
    let is_open = |outcome: &CriterionOutcome| *outcome != CriterionOutcome::Pass;
    if outcomes.is_empty() {
        Verdict::Unjudged
    } else if outcomes.contains(&CriterionOutcome::Fail) {
        Verdict::Failed
    } else if outcomes.iter().any(is_open) || !doubts.is_empty() {
        // Doubts alone leave no criterion `Pass`; that they leave no verdict `Passed` is held here once more.
        Verdict::Inconclusive
    } else {
        Verdict::Passed
    }
}

//! Judges criteria, and reaches the verdict.
//!
//! A criterion is first held against what was observed. Without a request in its scope (or without a sample of a time)
//! it is `NoData`, whatever it asks. Then doubts are weighed:
//!
//! | doubt | a pass becomes | a fail becomes `Untrusted` where |
//! | --- | --- | --- |
//! | the generator was saturated | `Untrusted` | a time was too long, too many arrivals were dropped, or anything of the next row |
//! | the generator had no file or port left for some connections | `Untrusted` | without those errors it could have held: a share or a count that is off by no more than they are, any rate |
//! | load is missing: a runner lost, stopped early or not heard of at the end, the run stopped, iterations not done, runners apart | `Untrusted` | a rate, a count or a time was too low, or the share of bad answers: more load could have raised them |
//! | either | `Untrusted` | `!=` on such a figure does not hold (`==` counts as too high or too low, as it is) |
//!
//! The target's own metrics are not the generator's to falsify: a time among them is no latency, and a count has none of
//! its errors in it. Load that is missing explains what is too low, as everywhere.
//!
//! What no doubt explains stays `Fail`: a share of errors that is too high, a share of good answers that is too low, a
//! count that is too high; and, while the generator kept up, a time that is too long, or arrivals that were dropped: less
//! load than planned makes nothing slower.

use proofload_api::Verdict;
use proofload_api::criterion::{Expr, Metric, Operator, Unit, Value};
use proofload_api::loadtest::{Abort, Severity};
use proofload_api::status::CriterionOutcome;
use proofload_plan::{Criterion, Plan, Scope};

use crate::doubt::{Doubt, is_good};
use crate::part::{Part, Region};
use crate::server::{self, ServerAnswer};
use crate::snapshot::Aborted;
use crate::totals::Totals;

/// What became of a criterion.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// The criterion, as the user wrote it.
    pub text: String,
    /// `of`, as the user wrote it.
    pub of: Option<String>,
    /// The stages that it was judged on, as the user wrote them.
    pub during: Option<String>,
    /// What it was judged on.
    pub scope: Scope,
    /// What a failure means.
    pub severity: Severity,
    /// When it ends the run.
    pub abort: Option<Abort>,
    /// The value seen; none without samples.
    pub observed: Option<Value>,
    /// What became of it.
    pub outcome: CriterionOutcome,
    /// Whether it ended the run; `observed` is then of the window that did.
    pub aborted: bool,
    /// Why there was nothing to judge by, where that is not plain.
    pub note: Option<String>,
}

/// Judges criteria, in their order. The one that ended the run, if one did, has failed with what was seen then.
pub fn judge(
    plan: &Plan,
    criteria: &[Criterion],
    totals: &Totals,
    doubts: &[Doubt],
    aborted: Option<Aborted>,
    answers: &[ServerAnswer],
) -> Vec<Judgement> {
    let judge = |(place, criterion)| {
        let judgement = judge_one(plan, criterion, totals, doubts, answers);
        match aborted.filter(|aborted| aborted.criterion as usize == place) {
            Some(Aborted { observed, .. }) => Judgement {
                observed: Some(Value { unit: criterion.expr.unit(), amount: observed }),
                // Of the window that ended the run it is not known how many errors were the generator's own.
                outcome: if doubts.iter().any(|doubt| doubt.kind.is_own_error()) {
                    CriterionOutcome::Untrusted
                } else {
                    CriterionOutcome::Fail
                },
                aborted: true,
                ..judgement
            },
            None => judgement,
        }
    };
    criteria.iter().enumerate().map(judge).collect()
}

fn judge_one(
    plan: &Plan,
    criterion: &Criterion,
    totals: &Totals,
    doubts: &[Doubt],
    answers: &[ServerAnswer],
) -> Judgement {
    if let Metric::Server(_) = criterion.expr.metric {
        let observed = server::observe(plan, criterion, totals, answers);
        let outcome = match observed {
            Err(_) => CriterionOutcome::NoData,
            Ok(value) => weigh(&criterion.expr, value, doubts, OwnErrors::NONE),
        };
        return judgement(criterion, observed.as_ref().ok().copied(), outcome, observed.err());
    }
    let region = Region::of(&criterion.expr, criterion.scope, criterion.during.as_deref());
    let part = Part::of(plan, totals, region);
    let observed = part.observe(&criterion.expr);
    let outcome = match observed {
        None => CriterionOutcome::NoData,
        Some(value) => weigh(&criterion.expr, value, doubts, OwnErrors::of(totals, &part)),
    };
    judgement(criterion, observed, outcome, None)
}

fn judgement(
    criterion: &Criterion,
    observed: Option<f64>,
    outcome: CriterionOutcome,
    note: Option<String>,
) -> Judgement {
    Judgement {
        text: criterion.text.clone(),
        of: criterion.of.clone(),
        during: criterion.during_text.clone(),
        scope: criterion.scope,
        severity: criterion.severity,
        abort: criterion.abort,
        observed: observed.map(|amount| Value { unit: criterion.expr.unit(), amount }),
        outcome,
        aborted: false,
        note,
    }
}

/// What errors of the generator's own can change: a share of a part's requests, and a count.
#[derive(Debug, Clone, Copy)]
struct OwnErrors {
    share: f64,
    count: f64,
}

impl OwnErrors {
    /// Where none can be.
    const NONE: Self = Self { share: -1.0, count: -1.0 };

    /// At most all of the run's are in the part.
    fn of(totals: &Totals, part: &Part) -> Self {
        let generators = totals.runners.values().map(|runner| &runner.generator);
        let each = generators.map(|generator| generator.without_file.saturating_add(generator.without_port));
        let own = each.fold(0, u64::saturating_add);
        Self { share: own as f64 / part.cell.requests().saturating_sub(own).max(1) as f64, count: own as f64 }
    }

    /// Whether a figure could have been on the other side of a limit without them.
    fn explain(self, expr: &Expr, observed: f64) -> bool {
        let distance = (observed - expr.limit.amount).abs();
        match expr.unit() {
            Unit::Share => distance <= self.share,
            Unit::Count => distance <= self.count,
            // Who waits for a connection sends less; what was sent took as long as it took.
            _ => !expr.metric.is_distribution() && !matches!(expr.metric, Metric::Server(_)),
        }
    }
}

fn weigh(expr: &Expr, observed: f64, doubts: &[Doubt], own: OwnErrors) -> CriterionOutcome {
    let holds = expr.operator.holds(observed, expr.limit.amount);
    if doubts.is_empty() {
        return if holds { CriterionOutcome::Pass } else { CriterionOutcome::Fail };
    }
    let is_explained = || doubts.iter().any(|doubt| explains(doubt, expr, observed, own));
    if holds || is_explained() { CriterionOutcome::Untrusted } else { CriterionOutcome::Fail }
}

/// Whether a doubt could be the reason that a criterion does not hold. The module's documentation has the table.
fn explains(doubt: &Doubt, expr: &Expr, observed: f64, own: OwnErrors) -> bool {
    // `!=` that does not hold is neither too high nor too low: either direction would have mended it.
    let is_equal = expr.operator == Operator::NotEqual;
    let is_too_high = !is_equal && observed > expr.limit.amount;
    // Arrivals that come late come all at once, and find no free user.
    let is_slowed = expr.metric.is_distribution() || expr.metric == Metric::Dropped;
    let is_slow = doubt.kind.is_own_slowness() && is_slowed;
    let is_own = doubt.kind.is_own_error() && own.explain(expr, observed);
    is_own || (is_slow && (is_too_high || is_equal)) || is_explained_by_missing_load(expr, observed)
}

/// Whether a criterion may not hold only since some of the load is missing.
pub(crate) fn is_explained_by_missing_load(expr: &Expr, observed: f64) -> bool {
    let is_too_high = expr.operator != Operator::NotEqual && observed > expr.limit.amount;
    raised_by_load(expr) && !is_too_high
}

/// Whether more load could have made the figure larger. Of the shares that is those of bad answers: load makes no
/// target answer better.
fn raised_by_load(expr: &Expr) -> bool {
    expr.unit() != Unit::Share
        || match &expr.metric {
            // A check that held is something good too.
            Metric::Success(_) | Metric::Check(_) => false,
            Metric::Outcome(outcome) => !is_good(*outcome),
            Metric::Status(status) => *status >= 400,
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

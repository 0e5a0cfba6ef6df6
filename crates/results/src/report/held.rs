//! Whether the criteria hold in one stage alone.

use proofload_api::criterion::{Metric, Unit};
use proofload_api::loadtest::Severity;
use proofload_plan::{Criterion, Plan, Scope};

use crate::part::{Part, Region};
use crate::totals::Totals;

/// Whether each criterion that can be asked of a stage by itself holds there; none without such, and without samples.
pub(super) fn held(plan: &Plan, totals: &Totals, criteria: &[Criterion], stage: (usize, usize)) -> Option<bool> {
    let during = [stage];
    // Most criteria are on the same part, which is the sum of many distributions.
    let mut parts: Vec<((Scope, Option<&str>), Part)> = Vec::new();
    let mut held = None;
    for criterion in criteria.iter().filter(|criterion| is_of_stages(criterion)) {
        let scope = match criterion.scope {
            // The whole run has neither setup nor teardown in it.
            Scope::Run if stage.0 >= plan.main().len() => continue,
            Scope::Run => Scope::Scenario(stage.0),
            Scope::Scenario(at) | Scope::Steps(at, ..) if at != stage.0 => continue,
            scope => scope,
        };
        let region = Region::of(&criterion.expr, scope, Some(&during));
        let key = (scope, region.check);
        let place = parts.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
            parts.push((key, Part::of(plan, totals, region)));
            parts.len() - 1
        });
        let Some(observed) = parts[place].1.observe(&criterion.expr) else { continue };
        let holds = criterion.expr.operator.holds(observed, criterion.expr.limit.amount);
        held = Some(held.unwrap_or(true) && holds);
    }
    held
}

/// Whether a criterion says something of a stage by itself. What is asked of the rate or the number of requests is asked of
/// all load, and fewer users send fewer; lateness is measured of the whole run only.
fn is_of_stages(criterion: &Criterion) -> bool {
    let of_stages =
        matches!(criterion.expr.unit(), Unit::Time | Unit::Share) && criterion.expr.metric != Metric::Lateness;
    criterion.severity == Severity::Fail && criterion.during.is_none() && of_stages
}

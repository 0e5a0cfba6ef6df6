//! Work that was not done, though no runner was lost: as doubts where load is missing, else as notes.

use proofload_api::criterion::Metric;
use proofload_api::loadtest::Severity;
use proofload_api::units::short_share;
use proofload_plan::{Action, Criterion, Load, Plan, Role, Scenario, Scope};

use crate::doubt::{Doubt, DoubtKind, LostRunner};
use crate::finding::Finding;
use crate::search::is_finished;
use crate::setup::failure_in;
use crate::totals::{ScenarioTotals, Totals};
use crate::words::{grouped, share, things};

/// How many iterations a load model plans; none if it plans by time.
pub(crate) fn planned_iterations(load: &Load) -> Option<u64> {
    match load {
        Load::Users(_) | Load::Arrivals { .. } | Load::Search(_) => None,
        Load::Iterations { users, per_user, .. } => Some(u64::from(*users) * u64::from(*per_user)),
    }
}

/// Scenarios that are load, with what was done of them.
fn load<'a>(plan: &'a Plan, totals: &'a Totals) -> impl Iterator<Item = (&'a Scenario, &'a ScenarioTotals)> {
    plan.main().iter().zip(&totals.scenarios)
}

/// Fixed amounts of work that were not done, though every runner came to its end.
pub(crate) fn unfinished(plan: &Plan, totals: &Totals) -> Vec<Doubt> {
    let mut found = Vec::new();
    for (scenario, done) in load(plan, totals) {
        let Some(planned) = planned_iterations(&scenario.load) else { continue };
        // Where users had no data left, that is why.
        let tried = done.iterations.saturating_add(done.broken_iterations);
        if tried < planned && done.starved == 0 {
            let missing = 1.0 - done.iterations as f64 / planned as f64;
            let text = format!(
                "Scenario {} did {} of its {} iterations in {}, all the time that it had (iterations.maxDuration).",
                scenario.name,
                grouped(done.iterations),
                grouped(planned),
                scenario.load.duration(),
            );
            found.push(Doubt::new(DoubtKind::UnfinishedIterations, None, Some(missing), text));
        }
    }
    found
}

/// Arrivals that were not sent. In a search they are what a step is judged by, and no doubt.
pub(crate) fn dropped(plan: &Plan, totals: &Totals) -> Vec<Doubt> {
    let mut found = Vec::new();
    for (scenario, done) in load(plan, totals) {
        let Load::Arrivals { max_users, .. } = &scenario.load else { continue };
        // Starved users drop arrivals too: those are another doubt.
        let dropped = done.dropped.saturating_sub(done.starved);
        if dropped > 0 {
            let missing = share(dropped, done.dropped.saturating_add(done.iterations_begun()));
            let text = format!(
                "{} of scenario {} ({}) found none of its {} free and were not sent: raise arrivals.maxUsers, or the \
                 target is too slow for this rate.",
                things(dropped, "arrival"),
                scenario.name,
                short_share(missing),
                things(u64::from(*max_users), "user"),
            );
            found.push(Doubt::new(DoubtKind::DroppedArrivals, None, Some(missing), text));
        }
    }
    found
}

/// Users that had no data left.
pub(crate) fn starved(plan: &Plan, totals: &Totals) -> Vec<Doubt> {
    let starved = load(plan, totals).filter(|(_, done)| done.starved > 0);
    let doubt = |(scenario, done): (&Scenario, &ScenarioTotals)| {
        let missing =
            planned_iterations(&scenario.load).map(|planned| 1.0 - share(done.iterations.min(planned), planned));
        let text = format!(
            "{} of scenario {} found no row left in a data set that is used once each (pick: Unique) and stopped: give it \
             more rows.",
            things(done.starved, "user"),
            scenario.name,
        );
        Doubt::new(DoubtKind::StarvedUsers, None, missing, text)
    };
    starved.map(doubt).collect()
}

/// Without the doubts that a criterion judges by itself: who says how many arrivals may be dropped has thought of it.
pub(crate) fn without_judged(doubts: Vec<Doubt>, criteria: &[Criterion]) -> Vec<Doubt> {
    let is_judged = criteria.iter().any(|criterion| {
        let is_whole = criterion.scope == Scope::Run && criterion.during.is_none();
        criterion.expr.metric == Metric::Dropped && criterion.severity == Severity::Fail && is_whole
    });
    doubts.into_iter().filter(|doubt| !(is_judged && doubt.kind == DoubtKind::DroppedArrivals)).collect()
}

/// Why iterations of a scenario may have ended early.
pub(crate) fn why_broken(scenario: &Scenario) -> &'static str {
    if scenario.steps.iter().any(|step| matches!(step.action, Action::WebSocket(_))) {
        "a step needed a web socket that was not open, or a value that an earlier one had not extracted"
    } else {
        "a step needed a value that an earlier one had not extracted"
    }
}

/// What should be known of a run, and changes no verdict. `begun` is whether any load or setup was begun, `lost` which
/// runners are gone.
pub(crate) fn notes(plan: &Plan, totals: &Totals, begun: bool, lost: &[LostRunner]) -> Vec<Finding> {
    let mut found = Vec::new();
    // The first, so that it is never among those that are not named.
    if begun && plan.target.tls.as_ref().is_some_and(|tls| !tls.verify) {
        found.push(Finding::note("The target's certificate was not checked (insecureSkipVerify)."));
    }
    for (scenario, done) in load(plan, totals) {
        if done.broken_iterations > 0 {
            found.push(Finding::note(format!(
                "{} of scenario {} broke off, since {}.",
                things(done.broken_iterations, "iteration"),
                scenario.name,
                why_broken(scenario),
            )));
        }
        let Load::Search(search) = &scenario.load else { continue };
        if done.began.is_some() && !is_finished(search, &done.levels) {
            found.push(Finding::note(format!("The search of scenario {} did not come to its end.", scenario.name)));
        }
    }
    if let Some(teardown) = plan.index_of(Role::Teardown).filter(|_| begun) {
        let progress = &totals.scenarios[teardown];
        if progress.began.is_none()
            || (progress.iterations == 0 && totals.scope(Scope::Scenario(teardown)).requests() == 0)
        {
            let is_gone = lost.iter().any(|lost| lost.index == 0) || !totals.runners.contains_key(&0);
            let why = if is_gone { ": the runner that was to do it is gone" } else { "" };
            found.push(Finding::note(format!("The teardown was not done{why}.")));
        } else if let Some(why) = failure_in(plan, teardown, totals) {
            found.push(Finding::note(format!("The teardown failed: {why}.")));
        }
    }
    found
}

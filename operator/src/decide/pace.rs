//! When to look at a run again: often where something is about to happen, so that nothing comes late.

use proofload_api::Micros;
use proofload_conductor::{Action, Decision};
use proofload_plan::{Compiled, Load, Role, Search};
use proofload_results::search::{Next, next};
use proofload_results::{ScenarioProgress, Snapshot};

use super::EAGER;
use crate::observe::World;
use crate::report::elapsed;

/// How often a run is looked at while its load is on.
const WATCH: Micros = Micros::from_secs(1);
/// So many looks, at least, in the window of a criterion that ends the run.
const LOOKS: u64 = 8;

/// When to look again at a run with runners.
pub(super) fn next_look(world: &World, compiled: &Compiled, decision: &Decision) -> Micros {
    match (&decision.action, elapsed(&world.runners)) {
        (Action::Wait, Some(elapsed)) if !is_between(world, compiled) => {
            let windows = compiled.criteria.iter().filter_map(|criterion| criterion.abort);
            let window = windows.map(|abort| Micros(abort.window.0 / LOOKS)).min().unwrap_or(WATCH);
            let step = steps(world, compiled).map(|due| Micros(due).saturating_sub(elapsed)).min().unwrap_or(WATCH);
            end(compiled, elapsed).min(window).min(step).max(EAGER).min(WATCH)
        }
        (Action::Wait, None) if world.phase() >= proofload_api::Phase::Running => WATCH,
        _ => EAGER,
    }
}

/// Often near the end, so that the verdict does not come late; less and less often once the end is overdue, since a
/// target that hangs can keep it waiting for long.
fn end(compiled: &Compiled, elapsed: Micros) -> Micros {
    let planned = compiled.plan.planned();
    let (left, overdue) = (planned.saturating_sub(elapsed), elapsed.saturating_sub(planned));
    left.max(Micros(overdue.0 / 8))
}

/// Whether a setup or a teardown is under way, or the load is being stopped: what comes next is near.
fn is_between(world: &World, compiled: &Compiled) -> bool {
    let plan = &compiled.plan;
    let has_begun = |scenario: usize| {
        let began = |snapshot: &Snapshot| snapshot.scenarios.get(scenario).is_some_and(|one| one.began.is_some());
        world.present().any(began)
    };
    let is = |role| plan.index_of(role).is_some_and(has_begun);
    let has_load = (0..plan.main().len()).any(has_begun);
    is(Role::Teardown) || (is(Role::Setup) && !has_load) || world.present().any(|snapshot| snapshot.stop.is_some())
}

/// When the steps that searches are in can be judged, in microseconds from the run's begin.
fn steps(world: &World, compiled: &Compiled) -> impl Iterator<Item = u64> {
    compiled.plan.main().iter().enumerate().filter_map(|(index, scenario)| match &scenario.load {
        Load::Search(search) => due(search, world.present().filter_map(|snapshot| snapshot.scenarios.get(index))),
        _ => None,
    })
}

fn due<'a>(search: &Search, progress: impl Iterator<Item = &'a ScenarioProgress>) -> Option<u64> {
    let longest = progress.max_by_key(|progress| progress.levels.len())?;
    match next(search, &longest.levels) {
        Next::Judge { due, .. } => Some(due),
        Next::Begin(_) | Next::Done => None,
    }
}

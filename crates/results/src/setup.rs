//! What became of setup and teardown.

use proofload_api::Outcome;
use proofload_plan::{Plan, Scope};

use crate::cell::Cell;
use crate::part::{Part, Region};
use crate::shortfall::why_broken;
use crate::snapshot::Snapshot;
use crate::totals::{ScenarioTotals, Totals};

/// How the reason begins for which a run is stopped whose setup failed. The verdict of such a run is `Error`.
pub const SETUP_FAILED: &str = "setup failed";

/// Why a setup or a teardown that has ended has failed; none if it was done. `runner` is the snapshot of the runner that
/// had to do it, with figures.
pub fn failure(plan: &Plan, scenario: usize, runner: &Snapshot) -> Option<String> {
    let mut progress = ScenarioTotals::default();
    if let Some(known) = runner.scenarios.get(scenario) {
        progress.add(known, runner.generator.elapsed);
    }
    let cell = |scope| Part::so_far(plan, [runner], Region { scope, during: None, check: None, times: false }).cell;
    why(plan, scenario, &progress, cell)
}

/// The same of everything that was measured.
pub(crate) fn failure_in(plan: &Plan, scenario: usize, totals: &Totals) -> Option<String> {
    why(plan, scenario, &totals.scenarios[scenario], |scope| totals.scope(scope))
}

fn why(plan: &Plan, scenario: usize, progress: &ScenarioTotals, cell: impl Fn(Scope) -> Cell) -> Option<String> {
    let planned = plan.scenarios.get(scenario)?;
    for (place, step) in planned.steps.iter().enumerate() {
        let cell = cell(Scope::Steps(scenario, place, 1));
        if let Some(outcome) = Outcome::ALL.into_iter().find(|outcome| outcome.is_error() && cell.count(*outcome) > 0) {
            return Some(format!("the outcome of step {} was {outcome}", step.name));
        }
    }
    if progress.broken_iterations > 0 {
        return Some(why_broken(planned).to_owned());
    }
    if progress.starved > 0 {
        return Some("there was no row left in its data".to_owned());
    }
    (progress.cut_iterations > 0 || progress.iterations == 0).then(|| "it did not come to its end".to_owned())
}

/// Whether the run was stopped since its setup had failed.
pub(crate) fn has_failed(stopped: &str) -> bool {
    stopped.starts_with(SETUP_FAILED)
}

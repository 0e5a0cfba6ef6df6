//! What a run is doing just now, in words for people.

use proofload_plan::{Load, Plan, Role};

use crate::snapshot::{ScenarioProgress, Snapshot};

/// `setup`, `teardown`, or for each search the step it is in, e.g. `capacity: step 3 at 40 users`; none while there is
/// nothing but load. Snapshots may come without figures.
pub fn phase<'a>(plan: &Plan, snapshots: impl IntoIterator<Item = &'a Snapshot>) -> Option<String> {
    let snapshots: Vec<&Snapshot> = snapshots.into_iter().collect();
    let mut words = Vec::new();
    for (index, scenario) in plan.scenarios.iter().enumerate() {
        let progress = || snapshots.iter().filter_map(move |snapshot| snapshot.scenarios.get(index));
        let is_at_work = |progress: &ScenarioProgress| progress.began.is_some() && progress.ended.is_none();
        if !progress().any(is_at_work) {
            continue;
        }
        match (scenario.role, &scenario.load) {
            (Role::Setup | Role::Teardown, _) => words.push(scenario.name.clone()),
            (Role::Main, Load::Search(_)) => {
                // Some runner may not have heard of the last step yet.
                let levels = progress().map(|progress| &progress.levels).max_by_key(|levels| levels.len());
                let last = levels.and_then(|levels| Some((levels.len(), levels.last()?)));
                let step = last.filter(|(_, record)| !record.level.is_zero());
                words.extend(step.map(|(step, record)| format!("{}: step {step} at {}", scenario.name, record.level)));
            }
            (Role::Main, _) => {}
        }
    }
    (!words.is_empty()).then(|| words.join(", "))
}

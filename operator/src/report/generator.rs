//! The load generator's health in a status, while the load is on.
//!
//! What a runner has too little of is said at once, and with an Event the first time: status remembers by `healthy`, which
//! stays false from then on, that it was said. Warnings come and go with what is true just now; whether the run was
//! spoilt is for the report to say.

use proofload_api::status::GeneratorStatus;
use proofload_results::live;

use crate::memory::RunMemory;
use crate::observe::World;

/// The generator's health now; and what to say of it, where it is saturated for the first time. `is_due` is whether
/// figures are written anyway: those that were stay until then.
pub(super) fn health(world: &World, memory: &RunMemory, is_due: bool) -> (Option<GeneratorStatus>, Option<String>) {
    let old = world.status().generator;
    let Some(snapshots) = &memory.snapshots else { return (old, None) };
    let warnings = live::warnings(snapshots.runners(), world.present());
    let kept_up = old.as_ref().is_none_or(|generator| generator.healthy);
    let is_news = kept_up && !warnings.is_empty();
    if !is_due && !is_news {
        return (old, None);
    }
    let now = live::generator(snapshots, memory.skew(), &warnings);
    let said = is_news.then(|| now.warnings.join(" "));
    (Some(GeneratorStatus { healthy: kept_up && now.healthy, ..now }), said)
}

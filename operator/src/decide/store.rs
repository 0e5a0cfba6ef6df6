//! What to do about the copy of a report, once there is a verdict: the Job is made, watched, and deleted when what came of
//! it is in status. The verdict has nothing to do with it.

use proofload_api::Micros;
use proofload_api::status::{StorePhase, StoreStatus};

use super::Step;
use crate::build::store::{DEADLINE, location};
use crate::observe::{StoreSight, World};

/// How long a copy that has not ended is tried: a Job has its own deadline, but may not have been made, and its controller
/// may be away.
const GIVE_UP: Micros = Micros::from_secs(DEADLINE.0 / 1_000_000 + 300);
/// How often while the copy is under way: its pod is watched, but no event tells that time has passed.
const LOOK: Micros = Micros::from_secs(30);

/// A step of the copy.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Copying {
    /// Make the Job; the status is what is said if the API server takes it.
    Make(StoreStatus),
    /// Say this.
    Say(StoreStatus),
    /// It is in status what came of it: delete the Job.
    CleanUp,
}

/// The next step; none if there is no copy to make, or nothing left to do about it.
pub(super) fn copy(world: &World, passed: Micros) -> Option<(Step, Option<Micros>)> {
    let store = world.test.spec.results.store.as_ref()?;
    // Without a report (a spec that did not compile) there is nothing to copy.
    let known = world.test.status.as_ref()?.report.as_ref()?.store.clone();
    let is_settled = |known: &StoreStatus| matches!(known.phase, StorePhase::Stored | StorePhase::Failed);
    if known.as_ref().is_some_and(is_settled) {
        let clean_up = (Step::Copy(Copying::CleanUp), Some(Micros::from_secs(2)));
        return (world.store != StoreSight::Absent).then_some(clean_up);
    }
    let said = |phase, message: String| StoreStatus { phase, location: location(&world.test, store), message };
    let before = known.as_ref().map(|known| known.message.clone()).unwrap_or_default();
    let given_up = |failure: Option<&String>| {
        let why = failure.cloned().unwrap_or_else(|| before.clone());
        let why = why.strip_prefix(TRIED_AGAIN).unwrap_or(&why);
        let why = if why.is_empty() { "the pod did not come to its end" } else { why };
        let kept = "the report stays in its ConfigMap, and results.ttl does not delete it";
        Copying::Say(said(StorePhase::Failed, format!("Given up after {DEADLINE}: {why}; {kept}")))
    };
    let step = match &world.store {
        StoreSight::Done => Copying::Say(said(StorePhase::Stored, String::new())),
        StoreSight::GivenUp { failure } => given_up(failure.as_ref()),
        StoreSight::UnderWay { failure, made, .. } if made.map_or(passed, |made| world.since(made)) >= GIVE_UP => {
            given_up(failure.as_ref())
        }
        // Of an operator that was away since the verdict nothing was tried yet.
        StoreSight::Absent if passed >= GIVE_UP && !before.is_empty() => given_up(None),
        // A Job that somebody deleted is made again; what was said of it stands until there is more to say.
        StoreSight::Absent => Copying::Make(known.clone().unwrap_or_else(|| said(StorePhase::Pending, String::new()))),
        StoreSight::UnderWay { failure: Some(failure), .. } => {
            Copying::Say(said(StorePhase::Retrying, format!("{TRIED_AGAIN}{failure}")))
        }
        StoreSight::UnderWay { failure: None, waiting, .. } => {
            let message = waiting.as_ref().map(|what| format!("Waiting: {what}")).unwrap_or_default();
            Copying::Say(said(StorePhase::Pending, message))
        }
    };
    Some((Step::Copy(step), Some(LOOK)))
}

/// What the message begins with while it is tried again.
pub(crate) const TRIED_AGAIN: &str = "Tried again: ";

/// Whether a report was given up: its `ConfigMap` is then the only copy, which no time to live may take away.
pub(super) fn is_given_up(world: &World) -> bool {
    let report = world.test.status.as_ref().and_then(|status| status.report.as_ref());
    let store = report.and_then(|report| report.store.as_ref());
    store.is_some_and(|store| store.phase == StorePhase::Failed)
}

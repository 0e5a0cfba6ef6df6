//! Apply: makes and deletes the runs of schedules.

use kube::api::{DeleteParams, PostParams, Preconditions, PropagationPolicy};
use kube::{Api, ResourceExt};
use proofload_api::LoadTest;
use proofload_schedule::run;

use super::decide::{Decision, Deletion};
use super::observe::{World, is_of};
use super::{PassError, Schedules};
use crate::apply::is_there;

/// What became of the run that was to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Applied {
    /// None was to be made.
    Nothing,
    /// It is there.
    Made,
    /// The API server does not admit it, and why.
    Refused(String),
}

/// Does what was decided.
pub(super) async fn apply(schedules: &Schedules, world: &World, decision: &Decision) -> Result<Applied, PassError> {
    let namespace = world.schedule.namespace().unwrap_or_default();
    let tests: Api<LoadTest> = Api::namespaced(schedules.context.client.clone(), &namespace);
    for deletion in &decision.delete {
        delete(&tests, deletion).await.map_err(|error| PassError::Apply(deletion.name.clone(), error))?;
    }
    let Some(pending) = &decision.create else { return Ok(Applied::Nothing) };
    let test = run(&world.schedule, pending);
    let made = make(&tests, world, &test).await.map_err(|error| PassError::Apply(pending.name.clone(), error))?;
    if made == Applied::Made {
        let uid = world.schedule.uid().unwrap_or_default();
        schedules.remember(&uid, |known| known.made = Some(pending.name.clone()));
    }
    Ok(made)
}

async fn make(tests: &Api<LoadTest>, world: &World, test: &LoadTest) -> Result<Applied, kube::Error> {
    let Err(refusal) = tests.create(&PostParams::default(), test).await else { return Ok(Applied::Made) };
    let name = test.name_any();
    let found = if is_there(&refusal) { tests.get_opt(&name).await? } else { None };
    match (found, refusal) {
        // An earlier pass, or another operator, made it.
        (Some(found), _) if is_of(&found, &world.schedule) => Ok(Applied::Made),
        (Some(_), _) => {
            Ok(Applied::Refused(format!("a LoadTest {name} that is none of its runs is in the way; delete it")))
        }
        (None, kube::Error::Api(refusal)) => Ok(Applied::Refused(refusal.message.clone())),
        (None, error) => Err(error),
    }
}

async fn delete(tests: &Api<LoadTest>, deletion: &Deletion) -> Result<(), kube::Error> {
    // Not another test of the same name, made meanwhile.
    let preconditions = Some(Preconditions { uid: deletion.uid.clone(), resource_version: None });
    // With `Foreground` the test is there until its pods are gone, and with them its load.
    let policy = if deletion.with_load { PropagationPolicy::Foreground } else { PropagationPolicy::Background };
    let parameters = DeleteParams { preconditions, propagation_policy: Some(policy), ..DeleteParams::default() };
    match tests.delete(&deletion.name, &parameters).await {
        Err(kube::Error::Api(refusal)) if refusal.code == 404 || refusal.code == 409 => Ok(()),
        other => other.map(drop),
    }
}

//! Observe: reads everything that a decision on a schedule needs into one value.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, ResourceExt};
use proofload_api::schedule::{PendingRun, RunCause, marks};
use proofload_api::status::StorePhase;
use proofload_api::{LoadTest, LoadTestSchedule, LoadTestScheduleStatus, Micros, Problem, Verdict};
use proofload_schedule::{Ticks, name_at, run, within_template};

use super::Schedules;
use crate::decide::compiled;

/// What a spec comes to: its ticks, where it has any, or everything that is wrong with it.
pub(super) type Checked = Result<Option<Ticks>, Vec<Problem>>;

/// The world, as far as one schedule is concerned.
#[derive(Debug, Clone)]
pub(super) struct World {
    /// The schedule.
    pub(super) schedule: Arc<LoadTestSchedule>,
    /// Now, by this machine's clock.
    pub(super) now: Timestamp,
    /// What its spec comes to.
    pub(super) checked: Arc<Checked>,
    /// Its runs.
    pub(super) runs: Vec<RunSight>,
    /// The Deployment that it waits for, where it does.
    pub(super) rollout: Option<RolloutSight>,
    /// The run that this process made last.
    pub(super) made: Option<String>,
}

/// A run of a schedule.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct RunSight {
    pub(super) name: String,
    pub(super) uid: Option<String>,
    /// When it was due.
    pub(super) due: Option<Timestamp>,
    pub(super) cause: Option<RunCause>,
    pub(super) verdict: Option<Verdict>,
    /// Why the verdict is so.
    pub(super) message: String,
    pub(super) completed: Option<Timestamp>,
    pub(super) rps: u64,
    pub(super) p95: String,
    pub(super) errors: String,
    /// It is being deleted.
    pub(super) is_leaving: bool,
    /// Its report is still being written elsewhere.
    pub(super) is_storing: bool,
}

/// A Deployment whose rollouts are awaited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RolloutSight {
    /// It cannot be seen, and why.
    Unseen(String),
    /// Some of its replicas are still of another version.
    UnderWay,
    /// All of its replicas have these images.
    Done(String),
}

impl World {
    pub(super) fn status(&self) -> LoadTestScheduleStatus {
        self.schedule.status.clone().unwrap_or_default()
    }

    pub(super) fn run(&self, name: &str) -> Option<&RunSight> {
        self.runs.iter().find(|run| run.name == name)
    }

    /// How long ago something was; nothing where that lies in the future.
    pub(super) fn since(&self, then: Timestamp) -> Micros {
        Micros(u64::try_from(self.now.as_microsecond() - then.as_microsecond()).unwrap_or(0))
    }
}

/// Observes one schedule; none where it is gone.
pub(super) async fn observe(
    schedules: &Schedules,
    cached: Arc<LoadTestSchedule>,
) -> Result<Option<World>, kube::Error> {
    let client = &schedules.context.client;
    let (name, namespace) = (cached.name_any(), cached.namespace().unwrap_or_default());
    let is_pending = cached.status.as_ref().is_some_and(|status| status.pending.is_some());
    let schedule = if is_pending {
        // Whether a run is still to be made is not believed of a cache, which may be behind.
        match Api::<LoadTestSchedule>::namespaced(client.clone(), &namespace).get_opt(&name).await? {
            Some(schedule) if schedule.uid() == cached.uid() => Arc::new(schedule),
            _ => return Ok(None),
        }
    } else {
        cached
    };
    let uid = schedule.uid().unwrap_or_default();
    let known = schedules.known(&uid);
    let generation = schedule.metadata.generation;
    let checked = match known.checked {
        Some((of, checked)) if of == generation => checked,
        _ => {
            let checked = Arc::new(check(&schedule, schedules.context.settings.prometheus_url.as_deref()));
            schedules.remember(&uid, |known| known.checked = Some((generation, Arc::clone(&checked))));
            checked
        }
    };
    let runs = runs(schedules, &schedule).await?;
    let rollout = match &schedule.spec.on_rollout {
        Some(wanted) => {
            let deployments: Api<Deployment> = Api::namespaced(client.clone(), &namespace);
            Some(match deployments.get_opt(&wanted.deployment).await {
                Ok(Some(deployment)) => rollout_sight(&deployment),
                Ok(None) => RolloutSight::Unseen(format!("there is no Deployment {}", wanted.deployment)),
                // Its ticks must not wait for that.
                Err(error) => RolloutSight::Unseen(format!("Deployment {} cannot be read: {error}", wanted.deployment)),
            })
        }
        None => None,
    };
    Ok(Some(World { schedule, now: Timestamp::now(), checked, runs, rollout, made: known.made }))
}

/// The runs that the cache has, and those that are known to be under way: a cache may be behind.
async fn runs(schedules: &Schedules, schedule: &LoadTestSchedule) -> Result<Vec<RunSight>, kube::Error> {
    let namespace = schedule.namespace().unwrap_or_default();
    let tests: Api<LoadTest> = Api::namespaced(schedules.context.client.clone(), &namespace);
    let mut runs: Vec<RunSight> =
        schedules.runs.state().iter().filter(|run| is_of(run, schedule)).map(|run| run_sight(run)).collect();
    for name in schedule.status.iter().flat_map(|status| &status.active) {
        if schedules.runs.get(&ObjectRef::new(name).within(&namespace)).is_none() {
            let run = tests.get_opt(name).await?.filter(|run| is_of(run, schedule));
            runs.extend(run.as_ref().map(run_sight));
        }
    }
    Ok(runs)
}

/// Whether a schedule made a test. A label alone is not believed.
pub(super) fn is_of(run: &LoadTest, schedule: &LoadTestSchedule) -> bool {
    run.namespace() == schedule.namespace()
        && run.owner_references().iter().any(|owner| Some(&owner.uid) == schedule.metadata.uid.as_ref())
}

/// What a spec comes to, where a Prometheus is at hand for tests that name none.
pub(super) fn check(schedule: &LoadTestSchedule, prometheus: Option<&str>) -> Checked {
    let spec = &schedule.spec;
    let ticks = spec.schedule.as_ref().map(|cron| Ticks::new(cron, &spec.time_zone)).transpose();
    let problems = within_template(template(schedule, prometheus));
    match ticks {
        Ok(ticks) if problems.is_empty() => Ok(ticks),
        ticks => Err(ticks.err().unwrap_or_default().into_iter().chain(problems).collect()),
    }
}

/// What is wrong with the test of a run, which is compiled as every test is.
fn template(schedule: &LoadTestSchedule, prometheus: Option<&str>) -> Vec<Problem> {
    let due = Timestamp::UNIX_EPOCH;
    let name = name_at(&schedule.name_any(), due);
    let pending = PendingRun { name, due: Time(due), cause: RunCause::Schedule };
    let mut problems = compiled(&run(schedule, &pending), prometheus).err().unwrap_or_default();
    if schedule.spec.template.spec.suspend {
        let problem = Problem::new("spec.suspend", "false, since each run is to begin", "true");
        problems.push(problem.hint("the schedule's own is spec.suspend"));
    }
    problems
}

fn run_sight(run: &LoadTest) -> RunSight {
    let status = run.status.clone().unwrap_or_default();
    let summary = status.summary.unwrap_or_default();
    let store = status.report.and_then(|report| report.store);
    let cause = |text: &String| {
        [RunCause::Schedule, RunCause::Trigger, RunCause::Rollout].into_iter().find(|cause| cause.to_string() == *text)
    };
    RunSight {
        name: run.name_any(),
        uid: run.uid(),
        due: run.annotations().get(marks::DUE).and_then(|due| due.parse().ok()),
        cause: run.annotations().get(marks::CAUSE).and_then(cause),
        verdict: status.verdict,
        message: status.message,
        completed: status.completion_time.map(|time| time.0),
        rps: summary.rps,
        p95: summary.latency.get("p95").cloned().unwrap_or_default(),
        errors: summary.error_rate,
        is_leaving: run.metadata.deletion_timestamp.is_some(),
        is_storing: store.is_some_and(|store| matches!(store.phase, StorePhase::Pending | StorePhase::Retrying)),
    }
}

/// Whether all replicas that are wanted are there, and are of the version that is wanted, and its images.
fn rollout_sight(deployment: &Deployment) -> RolloutSight {
    let spec = deployment.spec.clone().unwrap_or_default();
    let status = deployment.status.clone().unwrap_or_default();
    let wanted = spec.replicas.unwrap_or(1);
    let all = [status.updated_replicas, status.replicas, status.available_replicas].map(|count| count.unwrap_or(0));
    let is_seen = status.observed_generation >= deployment.metadata.generation;
    if !is_seen || wanted == 0 || all.iter().any(|count| *count != wanted) {
        return RolloutSight::UnderWay;
    }
    let containers = spec.template.spec.map(|pod| pod.containers).unwrap_or_default();
    let images: Vec<String> = containers.into_iter().filter_map(|container| container.image).collect();
    RolloutSight::Done(images.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_rollout_is_done_once_all_replicas_are_there_and_of_the_new_version() {
        let sight = |generation: i64, updated: i32, all: i32, available: i32| {
            let deployment = json!({
                "metadata": {"generation": 2},
                "spec": {"replicas": 3, "selector": {}, "template": {"spec": {"containers": [
                    {"name": "a", "image": "shop:v2"}, {"name": "b", "image": "proxy:1"}]}}},
                "status": {"observedGeneration": generation, "updatedReplicas": updated, "replicas": all,
                           "availableReplicas": available},
            });
            rollout_sight(&serde_json::from_value(deployment).unwrap())
        };
        assert_eq!(sight(2, 3, 3, 3), RolloutSight::Done("shop:v2, proxy:1".to_owned()));
        for (generation, updated, all, available) in [(1, 3, 3, 3), (2, 2, 3, 3), (2, 3, 4, 3), (2, 3, 3, 2)] {
            assert_eq!(sight(generation, updated, all, available), RolloutSight::UnderWay);
        }
    }
}

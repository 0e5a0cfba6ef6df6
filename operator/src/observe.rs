//! Observe: reads everything that a decision needs into one value.

use std::sync::Arc;
use std::time::Instant;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use k8s_openapi::jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, ResourceExt};
use proofload_api::{LoadTest, LoadTestStatus, Micros, Phase, Problem};
use proofload_conductor::{Fleet, RunnerView};
use proofload_plan::Compiled;

use crate::build::job::CONTROL_PORT;
use crate::build::{RUN_LABEL, run_name};
use crate::context::Context;
use crate::fleet::RemoteFleet;
use crate::memory::RunMemory;

/// The world, as far as one test is concerned.
#[derive(Debug, Clone)]
pub(crate) struct World {
    /// The test.
    pub(crate) test: Arc<LoadTest>,
    /// Now, by this machine's clock: for times in status, never to judge a runner.
    pub(crate) now: Timestamp,
    /// What its spec compiles to.
    pub(crate) compiled: Arc<Result<Compiled, Vec<Problem>>>,
    /// Its Job.
    pub(crate) job: JobSight,
    /// Its runners, in the order of their segments.
    pub(crate) runners: Vec<RunnerView>,
}

/// A run's Job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JobSight {
    /// There is none.
    Absent,
    /// There is one.
    Present {
        /// How long it has existed.
        age: Micros,
        /// Whether no pod of it is left running.
        settled: bool,
    },
}

/// A runner's pod.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct PodSight {
    /// Where its control API is.
    pub(crate) address: Option<String>,
    /// What it is waiting for, in the words of scheduler and kubelet.
    pub(crate) waiting: Option<String>,
    /// Why it has ended, if it has.
    pub(crate) ended: Option<String>,
}

impl World {
    pub(crate) fn status(&self) -> LoadTestStatus {
        self.test.status.clone().unwrap_or_default()
    }

    pub(crate) fn phase(&self) -> Phase {
        self.test.status.as_ref().and_then(|status| status.phase).unwrap_or(Phase::Pending)
    }
}

/// A read of the API server that failed; the pass is tried again.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the Job: {0}")]
pub(crate) struct ObserveError(#[from] kube::Error);

/// Observes one test. `memory` is filled with what the runners answer.
pub(crate) async fn observe(
    context: &Context,
    test: Arc<LoadTest>,
    memory: &mut RunMemory,
    token: String,
) -> Result<(World, Vec<PodSight>), ObserveError> {
    let now = Timestamp::now();
    let job = find_job(context, &test).await?;
    let count = memory.contacts.len();
    let pods = sights(context, &test, job.as_deref(), count);
    let begun = test.status.as_ref().and_then(|status| status.phase).is_some_and(|phase| phase >= Phase::Running);
    let finished = test.status.as_ref().is_some_and(|status| status.verdict.is_some());
    let compiled = Arc::clone(&memory.compiled);
    let runners = if finished || (job.is_none() && !begun) {
        vec![RunnerView::Pending { reason: None }; count]
    } else {
        let epoch = epoch();
        RemoteFleet { http: &context.http, token, memory, pods: &pods, begun, epoch }.observe().await
    };
    let job = job.map_or(JobSight::Absent, |job| sight(&job, now));
    Ok((World { test, now, compiled, job, runners }, pods))
}

/// Zero of this process's clock, for comparing runners' clocks with it.
pub(crate) fn epoch() -> Instant {
    static EPOCH: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    *EPOCH
}

/// The Job. That there is none where there should be one is not believed of a cache, which may be behind.
async fn find_job(context: &Context, test: &LoadTest) -> Result<Option<Arc<Job>>, kube::Error> {
    let (name, namespace) = (run_name(test), test.namespace().unwrap_or_default());
    if let Some(job) = context.jobs.get(&ObjectRef::new(&name).within(&namespace)) {
        return Ok(Some(job));
    }
    if test.status.as_ref().and_then(|status| status.phase).is_none() {
        return Ok(None);
    }
    let api: Api<Job> = Api::namespaced(context.client.clone(), &namespace);
    Ok(api.get_opt(&name).await?.map(Arc::new))
}

fn sight(job: &Job, now: Timestamp) -> JobSight {
    let created = job.metadata.creation_timestamp.as_ref().map_or(now, |time| time.0);
    let age = Micros(u64::try_from(now.as_microsecond() - created.as_microsecond()).unwrap_or(0));
    let active = job.status.as_ref().and_then(|status| status.active).unwrap_or(0);
    let counted = job.status.as_ref().is_some_and(|status| {
        status.conditions.iter().flatten().any(|c| (c.type_ == "Complete" || c.type_ == "Failed") && c.status == "True")
    });
    JobSight::Present { age, settled: counted && active == 0 }
}

fn sights(context: &Context, test: &LoadTest, job: Option<&Job>, count: usize) -> Vec<PodSight> {
    let uid = test.uid().unwrap_or_default();
    let mut sights = vec![PodSight::default(); count];
    for pod in context.pods.state() {
        let is_ours = pod.labels().get(RUN_LABEL).is_some_and(|run| *run == uid);
        if let Some(sight) = index_of(&pod).filter(|_| is_ours).and_then(|index| sights.get_mut(index)) {
            *sight = pod_sight(&pod);
        }
    }
    let failed = job.and_then(|job| job.status.as_ref()).and_then(|status| status.failed_indexes.as_deref());
    for index in indexes(failed.unwrap_or_default()) {
        if let Some(sight) = sights.get_mut(index).filter(|sight| **sight == PodSight::default()) {
            sight.ended = Some("its pod was deleted".to_owned());
        }
    }
    if job.is_none() {
        for sight in sights.iter_mut().filter(|sight| **sight == PodSight::default()) {
            sight.ended = Some("its Job was deleted".to_owned());
        }
    }
    sights
}

fn index_of(pod: &Pod) -> Option<usize> {
    pod.labels().get("batch.kubernetes.io/job-completion-index")?.parse().ok()
}

/// A Job's list of indexes, such as `0,3-5`.
fn indexes(text: &str) -> impl Iterator<Item = usize> {
    text.split(',')
        .filter_map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            Some(first.parse::<usize>().ok()?..=last.parse::<usize>().ok()?)
        })
        .flatten()
}

fn pod_sight(pod: &Pod) -> PodSight {
    let Some(status) = &pod.status else { return PodSight::default() };
    let container = status.container_statuses.iter().flatten().find(|container| container.name == "runner");
    let phase = status.phase.as_deref().unwrap_or_default();
    if phase == "Failed" || phase == "Succeeded" {
        let said = [status.reason.clone(), status.message.clone()].into_iter().flatten().collect::<Vec<_>>().join(": ");
        let ended = container
            .and_then(termination)
            .unwrap_or_else(|| if said.is_empty() { format!("its pod is {phase}") } else { said.clone() });
        return PodSight { ended: Some(ended), ..PodSight::default() };
    }
    let unscheduled = status.conditions.iter().flatten().find(|c| c.type_ == "PodScheduled" && c.status == "False");
    let waiting = unscheduled
        .map(|condition| format!("not scheduled: {}", condition.message.clone().unwrap_or_default()))
        .or_else(|| container.and_then(waiting));
    let address = status
        .pod_ip
        .as_ref()
        .map(|ip| if ip.contains(':') { format!("[{ip}]:{CONTROL_PORT}") } else { format!("{ip}:{CONTROL_PORT}") });
    PodSight { address, waiting, ended: None }
}

fn waiting(container: &ContainerStatus) -> Option<String> {
    let waiting = container.state.as_ref()?.waiting.as_ref()?;
    let reason = waiting.reason.clone().unwrap_or_default();
    Some(match &waiting.message {
        Some(message) => format!("{reason}: {}", message.chars().take(300).collect::<String>()),
        None => reason,
    })
}

fn termination(container: &ContainerStatus) -> Option<String> {
    let ended = container.state.as_ref()?.terminated.as_ref()?;
    let reason = ended.reason.clone().unwrap_or_else(|| "ended".to_owned());
    let message = ended.message.as_ref().map(|message| format!(": {}", message.chars().take(300).collect::<String>()));
    Some(format!("{reason}, exit code {}{}", ended.exit_code, message.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_indexes_is_read_as_the_job_controller_writes_it() {
        assert_eq!(indexes("").collect::<Vec<_>>(), Vec::<usize>::new());
        assert_eq!(indexes("0,3-5,9").collect::<Vec<_>>(), [0, 3, 4, 5, 9]);
    }
}

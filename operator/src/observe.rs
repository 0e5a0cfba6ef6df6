//! Observe: reads everything that a decision needs into one value.

mod pods;
mod store;

use std::sync::Arc;
use std::time::Instant;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, ResourceExt};
use proofload_api::{LoadTest, LoadTestStatus, Micros, Phase, Problem};
use proofload_conductor::{Fleet, RunnerView};
use proofload_plan::Compiled;
use proofload_results::{Snapshot, SnapshotSet, StopNote};

use crate::baseline;
use crate::build::run_name;
use crate::context::Context;
use crate::fleet::RemoteFleet;
use crate::memory::{RunMemory, ServerSight};
use crate::report::{REPORT_STORED, reason};

use self::pods::sights;
pub(crate) use self::store::StoreSight;

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
    /// The latest figures of its runners; none for a spec that does not compile.
    pub(crate) figures: Option<Arc<SnapshotSet>>,
    /// What a criterion's window said that ends the run.
    pub(crate) aborted: Option<StopNote>,
    /// Why the run that it is to be held against cannot be; looked at only before the start.
    pub(crate) baseline: Option<Problem>,
    /// The copy of its report.
    pub(crate) store: StoreSight,
    /// How far asking Prometheus is.
    pub(crate) server: ServerSight,
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

    /// What the runners that answer say.
    pub(crate) fn present(&self) -> impl Iterator<Item = &Snapshot> {
        self.runners.iter().filter_map(|view| match view {
            RunnerView::Present { snapshot, .. } => Some(&**snapshot),
            _ => None,
        })
    }

    /// What the API server refused to admit of this run, and for how long it has.
    pub(crate) fn refused(&self) -> Option<(&str, Micros)> {
        let conditions = self.test.status.iter().flat_map(|status| &status.conditions);
        let refused = |c: &&Condition| c.type_ == "Reconciling" && c.status == "True" && c.reason == reason::REFUSED;
        let found = conditions.into_iter().find(refused)?;
        Some((&found.message, self.since(found.last_transition_time.0)))
    }

    /// For how long the API server has not taken the report; none if it was not asked, or took it.
    pub(crate) fn unstored(&self) -> Option<Micros> {
        let mut conditions = self.test.status.iter().flat_map(|status| &status.conditions);
        let unstored = conditions.find(|c| c.type_ == REPORT_STORED && c.status == "False")?;
        Some(self.since(unstored.last_transition_time.0))
    }

    /// How long ago something was, by this machine's clock; nothing where that lies in the future.
    pub(crate) fn since(&self, then: Timestamp) -> Micros {
        Micros(u64::try_from(self.now.as_microsecond() - then.as_microsecond()).unwrap_or(0))
    }
}

/// A read of the API server that failed; the pass is tried again.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {what}: {source}")]
pub(crate) struct ObserveError {
    what: &'static str,
    source: kube::Error,
}

impl ObserveError {
    /// Of the run that a test is held against.
    pub(crate) const fn baseline(source: kube::Error) -> Self {
        Self { what: "the baseline", source }
    }
}

/// Observes one test. `memory` is filled with what the runners answer.
pub(crate) async fn observe(
    context: &Context,
    test: Arc<LoadTest>,
    memory: &mut RunMemory,
    token: String,
) -> Result<(World, Vec<PodSight>), ObserveError> {
    let now = Timestamp::now();
    let job = find_job(context, &test).await.map_err(|source| ObserveError { what: "the Job", source })?;
    let count = memory.contacts.len();
    let pods = sights(&context.pods.state(), &test, job.as_deref(), count);
    let phase = test.status.as_ref().and_then(|status| status.phase).unwrap_or(Phase::Pending);
    let begun = phase >= Phase::Running;
    let finished = test.status.as_ref().is_some_and(|status| status.verdict.is_some());
    let compiled = Arc::clone(&memory.compiled);
    let runners = if finished || (job.is_none() && phase == Phase::Pending) {
        vec![RunnerView::Pending { reason: None }; count]
    } else {
        let (epoch, figures) = (epoch(), memory.wants_figures());
        let mut fleet =
            RemoteFleet { http: &context.http, token, memory: &mut *memory, pods: &pods, begun, figures, epoch };
        let views = fleet.observe().await;
        if figures {
            memory.look();
        }
        views
    };
    let job = job.map_or(JobSight::Absent, |job| sight(&job, now));
    let (figures, aborted, server) = (memory.snapshots.clone(), memory.aborted.clone(), memory.server_sight());
    let is_before_start = job == JobSight::Absent && phase == Phase::Pending && !finished && !test.spec.suspend;
    let baseline = if is_before_start && compiled.is_ok() {
        let found = baseline::read(&context.client, &test).await.map_err(ObserveError::baseline)?;
        baseline::problem(&test, found.as_ref())
    } else {
        None
    };
    let store = if finished { store::observe(context, &test) } else { StoreSight::Absent };
    Ok((World { test, now, compiled, job, runners, figures, aborted, baseline, store, server }, pods))
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

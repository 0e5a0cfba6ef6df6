//! Schedules: for every `LoadTestSchedule`, observe -> decide -> apply -> report, beside the tests themselves.
//!
//! One run for one tick, whatever happens: that a run is about to be made is written into status first, against the
//! version that the decision was made on; then it is made, under a name that follows from it; then it is written down as
//! made. Whoever goes on after a crash between two of these goes on with the same run.

mod apply;
mod decide;
mod observe;
mod report;

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{Stream, StreamExt};
use kube::runtime::controller::Action;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::{Controller, WatchStreamExt, controller, reflector, watcher};
use kube::{Api, ResourceExt};
use proofload_api::schedule::marks;
use proofload_api::{LoadTest, LoadTestSchedule, Micros};
use tracing::{debug, warn};

use crate::context::Context;
use crate::metrics::Kind;
use crate::reconcile::PASS_DEADLINE;
use apply::Applied;
use decide::decide;
use observe::{Checked, observe};

/// How many schedules are looked at at the same time.
const CONCURRENCY: u16 = 16;

/// When to ask an API server again that refused a run.
const REFUSED_AGAIN: Duration = Duration::from_secs(5);

/// What passes over schedules share.
struct Schedules {
    context: Arc<Context>,
    /// The tests that have a schedule's label.
    runs: Store<LoadTest>,
    /// What is remembered of each schedule, by its uid: a cache, like that of runs.
    known: Mutex<HashMap<String, Known>>,
}

/// What is remembered of a schedule.
#[derive(Default, Clone)]
struct Known {
    /// What the spec of this generation comes to.
    checked: Option<(Option<i64>, Arc<Checked>)>,
    /// The run that this process made last. It is not made again, also if it is gone before it was written down.
    made: Option<String>,
}

impl Schedules {
    fn known(&self, uid: &str) -> Known {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(uid).cloned().unwrap_or_default()
    }

    fn remember(&self, uid: &str, change: impl FnOnce(&mut Known)) {
        change(self.known.lock().unwrap_or_else(PoisonError::into_inner).entry(uid.to_owned()).or_default());
    }

    fn forget(&self, uid: &str) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

/// A pass that did not get to its end; it is tried again.
#[derive(Debug, thiserror::Error)]
enum PassError {
    /// The world could not be read.
    #[error("cannot read what there is of it: {0}")]
    Observe(kube::Error),
    /// A run could not be made or deleted.
    #[error("cannot write {0}: {1}")]
    Apply(String, kube::Error),
    /// The status could not be written.
    #[error("cannot write the status: {0}")]
    Report(kube::Error),
    /// Something did not answer.
    #[error("it was not done within {}", Micros::from(PASS_DEADLINE))]
    Overdue,
}

impl PassError {
    /// Where it failed, for the metrics.
    fn place(&self) -> &'static str {
        match self {
            Self::Report(kube::Error::Api(refusal)) if refusal.code == 409 => "conflict",
            Self::Observe(_) => "observe",
            Self::Apply(..) => "apply",
            Self::Report(_) => "report",
            Self::Overdue => "overdue",
        }
    }
}

/// Looks after all schedules until it is told to end.
pub(crate) async fn run(context: Arc<Context>, end: impl Future<Output = ()> + Clone + Send + Sync + 'static) {
    let client = context.client.clone();
    let (runs, writer) = reflector::store::<LoadTest>();
    let labelled = watcher::Config::default().labels(marks::SCHEDULE_LABEL);
    // A schedule is looked at once the cache has what happened to its run, not before.
    let changes = reflector(writer, watcher(Api::<LoadTest>::all(client.clone()), labelled))
        .default_backoff()
        .touched_objects()
        .filter_map(async |run| run.ok().and_then(|run| schedule_of(&run)));
    let mut changes = Box::pin(changes);
    tokio::select! {
        () = is_filled(&runs, &mut changes) => {}
        () = end.clone() => return,
    }
    let schedules = Arc::new(Schedules { context, runs, known: Mutex::default() });
    let controller = Controller::new(Api::<LoadTestSchedule>::all(client), watcher::Config::default());
    schedules.context.metrics.schedules_from(controller.store());
    controller
        .reconcile_on(changes)
        .with_config(controller::Config::default().concurrency(CONCURRENCY))
        .graceful_shutdown_on(end)
        .run(reconcile, error_policy, schedules)
        .for_each(async |result| {
            if let Err(error) = result {
                // Errors of a pass are logged where they happen; what is left is the watch itself.
                debug!("{error:#}");
            }
        })
        .await;
}

/// Fills the cache of runs before the first pass. No pass may wait for it: of several that wait for a cache of kube's at
/// once only one is ever woken, and the others would hold their schedules for good. What is touched meanwhile need not be
/// looked at: a controller begins with all that there is.
async fn is_filled<T>(runs: &Store<LoadTest>, changes: &mut (impl Stream<Item = T> + Unpin)) {
    tokio::select! {
        _ = runs.wait_until_ready() => {}
        () = changes.for_each(async |_| {}) => {}
    }
}

/// The schedule that a run belongs to.
fn schedule_of(run: &LoadTest) -> Option<ObjectRef<LoadTestSchedule>> {
    let name = run.labels().get(marks::SCHEDULE_LABEL)?;
    Some(ObjectRef::new(name).within(&run.namespace()?))
}

async fn reconcile(schedule: Arc<LoadTestSchedule>, schedules: Arc<Schedules>) -> Result<Action, PassError> {
    let (name, metrics) = (name_of(&schedule), &schedules.context.metrics);
    let began = metrics.begins(Kind::Schedule, &name);
    let done = tokio::time::timeout(PASS_DEADLINE, pass(&schedules, schedule)).await;
    let result = done.unwrap_or(Err(PassError::Overdue));
    metrics.ends(Kind::Schedule, &name, began, result.as_ref().copied().map_err(PassError::place));
    Ok(result?.map_or_else(Action::await_change, Action::requeue))
}

/// After how long the next pass is wanted, whatever happens; none where something must happen first.
async fn pass(schedules: &Schedules, schedule: Arc<LoadTestSchedule>) -> Result<Option<Duration>, PassError> {
    let uid = schedule.uid().unwrap_or_default();
    if schedule.metadata.deletion_timestamp.is_some() {
        // Its runs go with it: it owns them.
        schedules.forget(&uid);
        return Ok(None);
    }
    let Some(world) = observe(schedules, schedule).await.map_err(PassError::Observe)? else {
        schedules.forget(&uid);
        return Ok(None);
    };
    let decision = decide(&world);
    debug!(schedule = name_of(&world.schedule), ?decision, "decided");
    let applied = apply::apply(schedules, &world, &decision).await?;
    report::report(&schedules.context, &world, &decision, &applied).await.map_err(PassError::Report)?;
    if let Applied::Refused(_) = applied {
        return Ok(Some(REFUSED_AGAIN));
    }
    Ok(Some(decision.next.into()))
}

/// After a pass that failed: soon again.
#[expect(clippy::needless_pass_by_value, reason = "the signature is the controller's")]
fn error_policy(schedule: Arc<LoadTestSchedule>, error: &PassError, _: Arc<Schedules>) -> Action {
    let name = name_of(&schedule);
    if let PassError::Report(kube::Error::Api(refusal)) = error
        && refusal.code == 409
    {
        // It changed since the cache saw it: the change is on its way here.
        debug!(schedule = name, "{error}");
        return Action::requeue(Duration::from_millis(200));
    }
    warn!(schedule = name, "{error}");
    Action::requeue(Duration::from_secs(2))
}

/// `namespace/name`.
fn name_of(schedule: &LoadTestSchedule) -> String {
    format!("{}/{}", schedule.namespace().unwrap_or_default(), schedule.name_any())
}

//! One pass over one test: observe -> decide -> apply -> report.

use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;
use kube::runtime::controller::Action;
use proofload_api::{LoadTest, Micros};
use proofload_conductor::{Action as Conducted, Ending, Fleet};
use proofload_results::report::Input;
use proofload_results::{Circumstances, SnapshotSet};
use tracing::{debug, warn};

use crate::apply::{self, Applied, ApplyError};
use crate::baseline;
use crate::context::Context;
use crate::decide::{Conclusion, Copying, Step, compiled, decide, run_of};
use crate::fleet::RemoteFleet;
use crate::memory::RunMemory;
use crate::metrics::Kind;
use crate::observe::{ObserveError, PodSight, World, epoch, observe};
use crate::report::{ReportError, began, elapsed, report};

/// A pass that did not get to its end. All of these are tried again: what cannot be mended by trying again is not an
/// error of a pass but the run's verdict.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PassError {
    /// The world could not be read.
    #[error(transparent)]
    Observe(#[from] ObserveError),
    /// An object could not be written.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The status could not be written.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// Something did not answer.
    #[error("it was not done within {}", Micros::from(PASS_DEADLINE))]
    Overdue,
    /// No token could be signed.
    #[error("{0:#}")]
    Token(anyhow::Error),
}

impl PassError {
    /// Where it failed, for the metrics.
    fn place(&self) -> &'static str {
        match self {
            _ if is_conflict(self) => "conflict",
            Self::Observe(_) => "observe",
            Self::Apply(_) => "apply",
            Self::Report(_) => "report",
            Self::Token(_) => "token",
            Self::Overdue => "overdue",
        }
    }
}

/// When to ask an API server again that refused a run's objects, or its report.
const REFUSED_AGAIN: Duration = Duration::from_secs(5);

/// A pass that takes longer is given up, as if the operator had been killed in it, and tried again: some times what a pass
/// over 500 runners takes. A request that is never answered must not keep its object from ever being looked at.
pub(crate) const PASS_DEADLINE: Duration = Duration::from_mins(1);

/// One pass.
pub(crate) async fn reconcile(test: Arc<LoadTest>, context: Arc<Context>) -> Result<Action, PassError> {
    let name = run_of(&test);
    let began = context.metrics.begins(Kind::Test, &name);
    let done = tokio::time::timeout(PASS_DEADLINE, pass(&context, test)).await;
    let result = done.unwrap_or(Err(PassError::Overdue));
    context.metrics.ends(Kind::Test, &name, began, result.as_ref().copied().map_err(PassError::place));
    Ok(result?.map_or_else(Action::await_change, Action::requeue))
}

/// After a pass that failed: soon again.
#[allow(clippy::needless_pass_by_value)] // the signature is the controller's
pub(crate) fn error_policy(test: Arc<LoadTest>, error: &PassError, _: Arc<Context>) -> Action {
    let name = run_of(&test);
    if is_conflict(error) {
        // The test changed since the cache saw it: the change is on its way here.
        debug!(test = name, "{error}");
        return Action::requeue(Duration::from_millis(200));
    }
    warn!(test = name, "{error}");
    Action::requeue(Duration::from_secs(2))
}

fn is_conflict(error: &PassError) -> bool {
    matches!(error, PassError::Report(ReportError(kube::Error::Api(refusal))) if refusal.code == 409)
}

/// After how long the next pass is wanted, whatever happens; none where something must happen first.
async fn pass(context: &Context, test: Arc<LoadTest>) -> Result<Option<Duration>, PassError> {
    let uid = test.uid().unwrap_or_default();
    let mut guard = context.runs.enter(&uid).await;
    let memory =
        guard.get_or_insert_with(|| RunMemory::new(compiled(&test, context.settings.prometheus_url.as_deref())));
    let token = context.signer.token(&run_of(&test)).map_err(PassError::Token)?;
    let (world, pods) = observe(context, test, memory, token.clone()).await?;
    let (step, next) = decide(&world);
    debug!(test = run_of(&world.test), ?step, "decided");
    let applied = apply(context, &world, &step, memory, &pods, token).await?;
    report(context, &world, &step, &applied, memory).await?;
    if let Applied::Refused(_) = applied {
        return Ok(Some(REFUSED_AGAIN));
    }
    if step == Step::Rest {
        context.runs.forget(&uid);
    }
    Ok(next.map(Duration::from))
}

/// Does what was decided.
async fn apply(
    context: &Context,
    world: &World,
    step: &Step,
    memory: &mut RunMemory,
    pods: &[PodSight],
    token: String,
) -> Result<Applied, PassError> {
    let test = &world.test;
    let begun = elapsed(&world.runners).is_some();
    let compiled = Arc::clone(&world.compiled);
    let mut fleet = RemoteFleet { http: &context.http, token, memory, pods, begun, figures: false, epoch: epoch() };
    match (step, compiled.as_ref()) {
        (Step::Create, Ok(compiled)) => return Ok(apply::create(context, test, compiled).await?),
        (Step::Conduct(decision), _) => match &decision.action {
            Conducted::Begin(begins) => {
                for begin in begins {
                    fleet.begin(begin).await;
                }
            }
            Conducted::Steer(steers) => {
                for steer in steers {
                    fleet.steer(steer).await;
                }
            }
            Conducted::Stop { runners, note } => fleet.stop(runners, note).await,
            _ => {}
        },
        (Step::Ask(window), _) => fleet.ask_server(*window).await,
        (Step::Conclude { conclusion, without_report }, Ok(compiled)) => {
            let circumstances = circumstances(conclusion, fleet.memory);
            return store(context, world, compiled, &circumstances, fleet.memory, *without_report).await;
        }
        (Step::CleanUp { delete_job: false }, _) => fleet.acknowledge().await,
        (Step::CleanUp { delete_job: true }, _) => apply::delete_job(context, test).await?,
        (Step::Copy(Copying::Make(_)), _) => {
            if let Some(store) = &test.spec.results.store {
                return Ok(apply::create_store(context, test, store).await?);
            }
        }
        (Step::Copy(Copying::CleanUp), _) => apply::delete_store(context, test).await?,
        (Step::Expire, _) => apply::delete_test(context, test).await?,
        _ => {}
    }
    Ok(Applied::Done)
}

/// What happened to the run, for the report.
fn circumstances(conclusion: &Conclusion, memory: &RunMemory) -> Circumstances {
    match conclusion.clone() {
        Conclusion::Ended(Ending { lost, stopped }) => Circumstances {
            lost,
            aborted: stopped.as_ref().and_then(|note| note.aborted),
            stopped: stopped.map(|note| note.reason),
            skew: memory.skew(),
            server: memory.server_answers(),
            ..Circumstances::default()
        },
        Conclusion::Cancelled(why) => Circumstances { stopped: Some(why), ..Circumstances::default() },
        Conclusion::Impossible(why) => Circumstances { error: Some(why), ..Circumstances::default() },
    }
}

async fn store(
    context: &Context,
    world: &World,
    compiled: &proofload_plan::Compiled,
    circumstances: &Circumstances,
    memory: &mut RunMemory,
    without_report: bool,
) -> Result<Applied, PassError> {
    let nothing = || Arc::new(SnapshotSet::new(&compiled.plan, compiled.sizing.runners));
    let totals = memory.snapshots.get_or_insert_with(nothing).totals(&compiled.plan);
    let spec = serde_json::to_value(&world.test.spec).unwrap_or_default();
    let (name, namespace) = (world.test.name_any(), world.test.namespace());
    // A run may be over before a pass could say that it had begun.
    let seen = || elapsed(&world.runners).map(|elapsed| began(world, elapsed));
    let start = world.status().start_time.or_else(seen).map(|start| start.0.to_string());
    let baseline = match circumstances.error {
        // What could not be executed is held against nothing.
        Some(_) => None,
        None => match baseline::read(&context.client, &world.test).await {
            Ok(baseline) => baseline,
            // What the API server says may pass, or may never do: it is waited for as long as for the report.
            Err(kube::Error::Api(refusal)) if !without_report => {
                return Ok(Applied::Refused(format!("the API server does not give the baseline: {}", refusal.message)));
            }
            Err(kube::Error::Api(refusal)) => baseline::missing(&world.test, refusal.message.clone()),
            Err(error) => return Err(ObserveError::baseline(error).into()),
        },
    };
    let input = Input {
        plan: &compiled.plan,
        criteria: &compiled.criteria,
        spec: &spec,
        name: &name,
        namespace: namespace.as_deref(),
        start: start.as_deref(),
        runners: compiled.sizing.runners,
        totals: &totals,
        circumstances,
        baseline: baseline.as_ref(),
    };
    Ok(apply::store_report(context, &world.test, &input, without_report).await?)
}

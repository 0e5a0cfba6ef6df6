//! Report: from the world and the step to `status`; the only writer of status.
//!
//! A verdict is written once: the write carries the resource version that the decision was made on, so of two writers
//! one is refused. Progress is written at most once in ten seconds; a transition at once, and with an Event.

mod conditions;
mod ending;
mod generator;
mod store;
#[cfg(test)]
mod tests;

use std::time::Instant;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::PostParams;
use kube::runtime::events::{Event, EventType};
use kube::{Api, Resource, ResourceExt};
use proofload_api::status::{PlanStatus, RunnersStatus, SearchStatus};
use proofload_api::units::short_time;
use proofload_api::{LoadTest, LoadTestStatus, Micros, Phase};
use proofload_conductor::{Action, Decision, RunnerView, Steer};
use proofload_plan::{Compiled, Load, Plan};
use proofload_results::live::{self, Mark};
use proofload_results::search::answer;
use proofload_results::status::searches;
use proofload_results::{RunnerState, Snapshot, StopNote, phase};

use crate::apply::Applied;
use crate::build::job::resources;
use crate::context::Context;
use crate::decide::{Step, scale};
use crate::memory::RunMemory;
use crate::observe::World;

use self::conditions::{progressing, set};
use self::ending::{finished, reject, unstored};

pub(crate) use self::conditions::{MAX_PROBLEMS, REPORT_STORED, shorten, shorten_to};

/// Reasons of conditions and events. Constants, since people write alerts on them.
pub(crate) mod reason {
    /// The spec does not compile; nothing was created.
    pub(crate) const INVALID: &str = "Invalid";
    /// `spec.suspend` is true.
    pub(crate) const SUSPENDED: &str = "Suspended";
    /// Runners were created and are awaited.
    pub(crate) const STARTING: &str = "Starting";
    /// Load is on the target.
    pub(crate) const RUNNING: &str = "Running";
    /// The load is over, and Prometheus is asked for the target's own metrics.
    pub(crate) const ASKING: &str = "AskingPrometheus";
    /// The load is being stopped before the plan's end.
    pub(crate) const STOPPING: &str = "Stopping";
    /// Another load is put on, as `spec.scale` says.
    pub(crate) const SCALED: &str = "Scaled";
    /// What `spec.scale` asks for cannot be done, and is left out.
    pub(crate) const SCALE_REFUSED: &str = "ScaleRefused";
    /// A search is over.
    pub(crate) const FOUND: &str = "SearchDone";
    /// A runner is gone.
    pub(crate) const RUNNER_LOST: &str = "RunnerLost";
    /// The load generator cannot keep up: what is measured says more about it than about the target.
    pub(crate) const GENERATOR_SATURATED: &str = "GeneratorSaturated";
    /// The API server does not admit the run's objects; it is asked again.
    pub(crate) const REFUSED: &str = "Refused";
    /// The run is worse than its baseline.
    pub(crate) const REGRESSION: &str = "Regression";
    /// The report is where `results.store` says.
    pub(crate) const STORED: &str = "ReportStored";
    /// The report, or its copy, could not be stored yet, and is tried again.
    pub(crate) const STORE_RETRYING: &str = "ReportNotStoredYet";
    /// The report, or its copy, was not stored, and is given up. Of a copy the `ConfigMap` is there.
    pub(crate) const STORE_FAILED: &str = "ReportNotStored";
    /// The run could not begin.
    pub(crate) const COULD_NOT_START: &str = "CouldNotStart";
}

/// How long the load has been on, by the runner that began first.
pub(crate) fn elapsed(runners: &[RunnerView]) -> Option<Micros> {
    let elapsed = |view: &RunnerView| match view {
        RunnerView::Present { snapshot, .. } => snapshot.began.map(|began| snapshot.clock.saturating_sub(began)),
        _ => None,
    };
    runners.iter().filter_map(elapsed).max().map(Micros)
}

/// The status that follows from a step, and what to say about it.
pub(crate) struct Draft {
    pub(crate) status: LoadTestStatus,
    pub(crate) events: Vec<(EventType, &'static str, String)>,
    /// Whether it is a transition, to be written at once.
    urgent: bool,
}

/// A status that could not be written; the pass is tried again.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the status: {0}")]
pub(crate) struct ReportError(#[from] pub(crate) kube::Error);

/// Writes what follows from a step into status, if it is news.
pub(crate) async fn report(
    context: &Context,
    world: &World,
    step: &Step,
    applied: &Applied,
    memory: &mut RunMemory,
) -> Result<(), ReportError> {
    let Some(draft) = draft(world, step, applied, memory) else { return Ok(()) };
    if !(draft.urgent || memory.live_is_due()) {
        return Ok(());
    }
    if draft.status != world.status() {
        write(context, world, &draft.status).await?;
        memory.last_live = memory.snapshots.as_ref().map(|snapshots| (Instant::now(), Mark::of(snapshots)));
    }
    for (kind, reason, note) in draft.events {
        emit(context, &world.test, kind, reason, note).await;
    }
    Ok(())
}

/// What there is to say; none if nothing is.
pub(crate) fn draft(world: &World, step: &Step, applied: &Applied, memory: &RunMemory) -> Option<Draft> {
    Some(match (step, world.compiled.as_ref(), applied) {
        (Step::Reject(problems), _, _) => reject(world, problems),
        (Step::Hold(why), _, _) => hold(world, why),
        (Step::Create, _, Applied::Refused(why)) => refused(world, why),
        (Step::Create, Ok(compiled), _) => starting(world, compiled, None),
        (Step::Conduct(decision), Ok(compiled), _) => match elapsed(&world.runners) {
            // That nobody answers just now does not undo that the load had begun.
            None if world.phase() < Phase::Running => starting(world, compiled, Some(decision)),
            elapsed => running(world, compiled, decision, elapsed.unwrap_or_else(|| since_begin(world)), memory),
        },
        (Step::Ask(_), Ok(compiled), _) => asking(world, compiled),
        (Step::Conclude { .. }, Ok(compiled), Applied::Stored(report)) => finished(world, compiled, report, None),
        (Step::Conclude { .. }, Ok(compiled), Applied::Unstored { report, why }) => {
            finished(world, compiled, report, Some(why))
        }
        (Step::Conclude { .. }, Ok(compiled), Applied::Refused(why)) => unstored(world, compiled, why),
        (Step::Copy(copying), _, applied) => return store::copying(world, copying, applied),
        _ => return None,
    })
}

async fn write(context: &Context, world: &World, status: &LoadTestStatus) -> Result<(), kube::Error> {
    let api: Api<LoadTest> = Api::namespaced(context.client.clone(), &world.test.namespace().unwrap_or_default());
    let mut test = LoadTest::clone(&world.test);
    test.metadata.managed_fields = None;
    test.status = Some(LoadTestStatus { observed_generation: test.metadata.generation, ..status.clone() });
    match api.replace_status(&test.name_any(), &PostParams::default(), &test).await {
        // It was deleted meanwhile: there is nobody to tell.
        Err(kube::Error::Api(refusal)) if refusal.code == 404 => Ok(()),
        other => other.map(drop),
    }
}

/// Events are for people and may be lost: a failure changes nothing.
async fn emit(context: &Context, test: &LoadTest, type_: EventType, reason: &str, note: String) {
    let note = Some(shorten(&note));
    let event = Event { type_, reason: reason.to_owned(), note, action: reason.to_owned(), secondary: None };
    if let Err(error) = context.events.publish(&event, &test.object_ref(&())).await {
        tracing::warn!("an event was not written: {error}");
    }
}

fn hold(world: &World, why: &str) -> Draft {
    let message = format!("Not started: {why}");
    let mut status = LoadTestStatus { phase: Some(Phase::Pending), message: message.clone(), ..world.status() };
    let urgent = world.test.status.is_none();
    set(&mut status, world, "Reconciling", "False", reason::SUSPENDED, &message);
    set(&mut status, world, "Finished", "False", reason::SUSPENDED, &message);
    let events = if urgent { vec![(EventType::Normal, reason::SUSPENDED, message)] } else { Vec::new() };
    Draft { status, events, urgent: true }
}

fn refused(world: &World, why: &str) -> Draft {
    let message = shorten(why);
    let is_new = world.refused().is_none();
    let mut status = LoadTestStatus {
        phase: Some(Phase::Pending),
        message: shorten(&format!("Not started, to be tried again: {message}")),
        ..world.status()
    };
    progressing(&mut status, world, reason::REFUSED, &message);
    let events = if is_new { vec![(EventType::Warning, reason::REFUSED, message)] } else { Vec::new() };
    Draft { status, events, urgent: is_new }
}

fn starting(world: &World, compiled: &Compiled, decision: Option<&Decision>) -> Draft {
    let old = world.status();
    let is_new = old.phase != Some(Phase::Starting);
    let message = match decision {
        Some(decision) if !decision.waiting_for.is_empty() => format!("Waiting for {}", decision.waiting_for),
        _ => format!("Starting {}", runners_of(compiled)),
    };
    let message = shorten(&message);
    let mut status = LoadTestStatus {
        phase: Some(Phase::Starting),
        message: message.clone(),
        progress: "0%".to_owned(),
        plan: Some(plan_status(world, compiled)),
        runners: Some(count(&world.runners, compiled, 0)),
        ..old
    };
    progressing(&mut status, world, reason::STARTING, "Runners are being made ready");
    let events = if is_new { vec![(EventType::Normal, reason::STARTING, message)] } else { Vec::new() };
    Draft { status, events, urgent: is_new }
}

fn running(world: &World, compiled: &Compiled, decision: &Decision, elapsed: Micros, memory: &RunMemory) -> Draft {
    let old = world.status();
    let stopping = stopping(world, decision);
    let phase = if stopping.is_some() { Phase::Finishing } else { Phase::Running };
    let (is_new, old_generation) = (old.phase != Some(phase), old.observed_generation);
    let lost = u32::try_from(decision.lost.len()).unwrap_or(u32::MAX);
    let newly_lost = old.runners.is_some_and(|runners| runners.lost < lost);
    let mut status = LoadTestStatus {
        phase: Some(phase),
        message: running_message(world, compiled, decision),
        progress: progress(&compiled.plan, elapsed),
        plan: Some(plan_status(world, compiled)),
        runners: Some(count(&world.runners, compiled, lost)),
        start_time: old.start_time.clone().or_else(|| Some(began(world, elapsed))),
        observed_generation: world.test.metadata.generation,
        search: cut(world.figures.as_ref().map(|figures| searches(&compiled.plan, figures)).unwrap_or_default()),
        ..old
    };
    let is_due = memory.live_is_due() || is_new || newly_lost;
    let saturated;
    (status.generator, saturated) = generator::health(world, memory, is_due);
    if let Some(snapshots) = memory.snapshots.as_ref().filter(|_| is_due) {
        let nothing = Mark::default();
        let before = memory.last_live.as_ref().map_or(&nothing, |(_, mark)| mark);
        let is_lost = |runner: u32| decision.lost.iter().any(|lost| lost.index == runner);
        status.live = Some(live::since(before, snapshots, is_lost));
    }
    let (reason, words) = match stopping {
        Some(_) => (reason::STOPPING, "The load is being stopped"),
        None => (reason::RUNNING, "Load is on the target"),
    };
    progressing(&mut status, world, reason, words);
    let mut events = changes(world, compiled, decision);
    if phase == Phase::Running && (is_new || old_generation != world.test.metadata.generation) {
        // Once for each spec that has it: status remembers which one that was.
        let refused = scale(world, &compiled.plan).1.into_iter();
        events.extend(refused.map(|problem| (EventType::Warning, reason::SCALE_REFUSED, problem.to_string())));
    }
    let has_changed = !events.is_empty();
    if is_new {
        events.push((EventType::Normal, reason, status.message.clone()));
    }
    if newly_lost {
        let lines = decision.lost.iter().map(|lost| format!("runner {} is lost: {}", lost.index, lost.reason));
        events.push((EventType::Warning, reason::RUNNER_LOST, lines.collect::<Vec<_>>().join("; ")));
    }
    let urgent = is_new || newly_lost || has_changed || saturated.is_some();
    events.extend(saturated.map(|said| (EventType::Warning, reason::GENERATOR_SATURATED, said)));
    Draft { status, events, urgent }
}

/// The load is over; what is left is what Prometheus says of it.
fn asking(world: &World, compiled: &Compiled) -> Draft {
    const MESSAGE: &str = "The load is over; waiting for what Prometheus says of the target";
    let old = world.status();
    let lost = old.runners.map_or(0, |runners| runners.lost);
    let urgent = old.message != MESSAGE;
    let mut status = LoadTestStatus {
        phase: Some(Phase::Finishing),
        message: MESSAGE.to_owned(),
        progress: "99%".to_owned(),
        runners: Some(count(&world.runners, compiled, lost)),
        start_time: old.start_time.clone().or_else(|| elapsed(&world.runners).map(|elapsed| began(world, elapsed))),
        ..old
    };
    progressing(&mut status, world, reason::ASKING, MESSAGE);
    let events = if urgent { vec![(EventType::Normal, reason::ASKING, MESSAGE.to_owned())] } else { Vec::new() };
    Draft { status, events, urgent }
}

/// Why the load is being stopped, if it is: the runners remember it.
fn stopping<'a>(world: &'a World, decision: &'a Decision) -> Option<&'a StopNote> {
    match &decision.action {
        Action::Stop { note, .. } => Some(note),
        _ => world.present().find_map(|snapshot| snapshot.stop.as_ref()),
    }
}

/// An event for each other load that someone asked for, and for what a search found.
fn changes(world: &World, compiled: &Compiled, decision: &Decision) -> Vec<(EventType, &'static str, String)> {
    let Action::Steer(steers) = &decision.action else { return Vec::new() };
    let of = |steer: &Steer| {
        let scenario = compiled.plan.scenarios.get(steer.scenario)?;
        let known = |snapshot: &Snapshot| Some(snapshot.scenarios.get(steer.scenario)?.levels.len());
        // A runner that missed a level is only brought up to date.
        if steer.levels.len() <= world.present().filter_map(known).max().unwrap_or(0) {
            return None;
        }
        let (name, last) = (&scenario.name, steer.levels.last()?);
        match &scenario.load {
            Load::Search(search) => last.level.is_zero().then(|| {
                let found = match answer(search, &steer.levels) {
                    Some(level) => format!("{level} is the highest load found that holds {}", search.until),
                    None => format!("no load holds {}", search.until),
                };
                (EventType::Normal, reason::FOUND, format!("scenario {name}: {found}"))
            }),
            _ => Some((EventType::Normal, reason::SCALED, format!("scenario {name} goes to {}", last.level))),
        }
    };
    steers.iter().filter_map(of).collect()
}

fn running_message(world: &World, compiled: &Compiled, decision: &Decision) -> String {
    let mut message = match stopping(world, decision) {
        Some(note) => format!("Stopping: {}", note.reason),
        None => format!("{} under load", runners_of(compiled)),
    };
    // Setup and teardown are what is being waited for.
    if let Some(phase) = phase(&compiled.plan, world.present()).filter(|phase| *phase != decision.waiting_for) {
        message = format!("{message}; {phase}");
    }
    for problem in scale(world, &compiled.plan).1 {
        message = format!("{message}; left out: {problem}");
    }
    for lost in &decision.lost {
        message = format!("{message}; runner {} is lost: {}", lost.index, lost.reason);
    }
    if !decision.waiting_for.is_empty() {
        message = format!("{message}; waiting for {}", decision.waiting_for);
    }
    shorten(&message)
}

/// Of many searches only the last steps, so that status keeps its size: the report has all of them.
fn cut(mut searches: Vec<SearchStatus>) -> Vec<SearchStatus> {
    /// So many steps in all, each of which takes a few hundred bytes.
    const MOST: usize = 32;
    let each = (MOST / searches.len().max(1)).max(1);
    for search in &mut searches {
        search.steps.drain(..search.steps.len().saturating_sub(each));
    }
    searches
}

/// How long the load has been on, as far as status knows.
fn since_begin(world: &World) -> Micros {
    world.status().start_time.map(|start| world.since(start.0)).unwrap_or_default()
}

/// When the load began, by this machine's clock.
pub(crate) fn began(world: &World, elapsed: Micros) -> Time {
    let micros = world.now.as_microsecond() - i64::try_from(elapsed.0).unwrap_or(0);
    Time(k8s_openapi::jiff::Timestamp::from_microsecond(micros).unwrap_or(world.now))
}

fn runners_of(compiled: &Compiled) -> String {
    match compiled.sizing.runners {
        1 => "1 runner".to_owned(),
        many => format!("{many} runners"),
    }
}

fn progress(plan: &Plan, elapsed: Micros) -> String {
    let planned = plan.planned().0.max(1);
    format!("{}%", (elapsed.0.saturating_mul(100) / planned).min(99))
}

fn plan_status(world: &World, compiled: &Compiled) -> PlanStatus {
    let (cpu, memory) = resources(&compiled.sizing, &world.test.spec.runners);
    PlanStatus {
        runners: compiled.sizing.runners,
        users: compiled.plan.peak_users(),
        duration: short_time(compiled.plan.planned().0 as f64),
        cpu,
        memory,
        reason: compiled.sizing.reason.clone(),
    }
}

fn count(runners: &[RunnerView], compiled: &Compiled, lost: u32) -> RunnersStatus {
    let mut counted = RunnersStatus { desired: compiled.sizing.runners, lost, ..RunnersStatus::default() };
    for view in runners {
        if let RunnerView::Present { snapshot, .. } = view {
            match snapshot.state {
                RunnerState::Waiting => counted.ready += 1,
                RunnerState::Running => counted.running += 1,
                RunnerState::Ended(cause) if cause <= proofload_results::EndCause::Stopped => counted.finished += 1,
                RunnerState::Ended(_) => {}
            }
        }
    }
    counted
}

//! Decide: from the world to the next step. Pure: no client, no clock, nothing asynchronous.

mod pace;
mod store;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use kube::ResourceExt;
use proofload_api::{LoadTest, Micros, Phase, Problem, Verdict};
use proofload_conductor::{Action, Conditions, Decision, Ending, RunnerView, decide as conduct};
use proofload_plan::{Compiled, Level, Plan, compile, level_of};
use proofload_results::server::load_window;
use proofload_results::{RunnerState, SnapshotSet, StopNote};

use crate::build::materials;
use crate::memory::ServerSight;
use crate::observe::{JobSight, World};

pub(crate) use self::store::{Copying, TRIED_AGAIN};

/// After how long a silent runner is lost: longer than a restart of the operator or a hiccup of the network.
const LOST_AFTER: Micros = Micros::from_secs(20);
/// How long a finished run's runners may take to go by themselves before their Job is deleted.
const FAREWELL: Micros = Micros::from_secs(15);
/// The same where a runner was lost: it may still be at work.
const SHORT_FAREWELL: Micros = Micros::from_secs(5);
/// Objects that are applied together come one after the other: a baseline may still be on its way for so long.
const TOGETHER: Micros = Micros::from_secs(10);
/// How long an API server that does not take the report is asked again. Without a report there is no verdict but `Error`,
/// and every run ends within 2 min of its deadline.
pub(crate) const UNSTORED: Micros = Micros::from_secs(90);
/// How often the first runner is asked for what Prometheus says.
const ASK: Micros = Micros::from_millis(500);
/// How often while something is about to happen.
const EAGER: Micros = Micros::from_millis(100);

/// What to do about a test now.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    /// Nothing any more.
    Rest,
    /// Its spec does not compile.
    Reject(Vec<Problem>),
    /// It must not start yet, and why.
    Hold(&'static str),
    /// Make its objects.
    Create,
    /// Wait, begin or stop.
    Conduct(Decision),
    /// The load is over: ask the first runner for what Prometheus says of this time, in microseconds from the run's begin.
    Ask((u64, u64)),
    /// It is over: judge, store, say so.
    Conclude {
        /// How it ended.
        conclusion: Conclusion,
        /// Whether the run ends though the API server does not take the report. Else it is asked again.
        without_report: bool,
    },
    /// The verdict is there: no runner may be left.
    CleanUp {
        /// Whether the runners were given time enough to go by themselves.
        delete_job: bool,
    },
    /// Its report is copied to where `results.store` says.
    Copy(Copying),
    /// Its time to live is over.
    Expire,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Conclusion {
    /// With figures, whole or not.
    Ended(Ending),
    /// It never began, since someone wanted it so.
    Cancelled(String),
    /// It could not begin.
    Impossible(String),
}

/// Decides the next step, and when to look again if nothing happens before.
pub(crate) fn decide(world: &World) -> (Step, Option<Micros>) {
    if world.test.metadata.deletion_timestamp.is_some() {
        return (Step::Rest, None);
    }
    if let Some(verdict) = world.test.status.as_ref().and_then(|status| status.verdict) {
        return after_verdict(world, verdict);
    }
    let compiled = match &*world.compiled {
        Ok(compiled) => compiled,
        Err(problems) => return (Step::Reject(problems.clone()), None),
    };
    match world.job {
        // Once runners were there, they are never made again: a second start would put the load on twice.
        JobSight::Absent if world.phase() == Phase::Pending => before_start(world),
        JobSight::Absent if world.phase() == Phase::Starting && !is_at_work(&world.runners) => {
            conclude(world, Conclusion::Impossible("the Job was deleted before the load began".to_owned()))
        }
        JobSight::Absent => under_way(world, compiled, Micros::ZERO),
        JobSight::Present { age, .. } => under_way(world, compiled, age),
    }
}

fn before_start(world: &World) -> (Step, Option<Micros>) {
    if world.test.spec.suspend {
        return (Step::Hold("it is suspended: set spec.suspend to false to start it"), None);
    }
    if let Some(problem) = &world.baseline {
        let made = world.test.metadata.creation_timestamp.as_ref();
        let is_new = made.is_some_and(|made| world.since(made.0) < TOGETHER);
        let reject = (Step::Reject(vec![problem.clone()]), None);
        return if is_new { (Step::Rest, Some(Micros::from_secs(1))) } else { reject };
    }
    let deadline = world.test.spec.runners.start_deadline;
    match world.refused() {
        Some((why, lasting)) if lasting >= deadline => {
            let why = format!("the objects could not be made within {deadline}: {why}");
            conclude(world, Conclusion::Impossible(why))
        }
        _ => (Step::Create, Some(EAGER)),
    }
}

/// Whether some runner that answers has begun.
fn is_at_work(runners: &[RunnerView]) -> bool {
    let has_begun = |view: &RunnerView| match view {
        RunnerView::Present { snapshot, .. } => snapshot.state != RunnerState::Waiting,
        _ => false,
    };
    runners.iter().any(has_begun)
}

fn under_way(world: &World, compiled: &Compiled, waited: Micros) -> (Step, Option<Micros>) {
    let runners = &world.test.spec.runners;
    let nothing = || Arc::new(SnapshotSet::new(&compiled.plan, compiled.sizing.runners));
    let figures = world.figures.clone().unwrap_or_else(nothing);
    let (scale, _) = scale(world, &compiled.plan);
    let conditions = Conditions {
        plan: &compiled.plan,
        begun: world.phase() >= Phase::Running,
        waited,
        start_deadline: runners.start_deadline,
        lost_after: LOST_AFTER,
        on_lost: runners.on_lost,
        stop: stop(world),
        scale: &scale,
        figures: &figures,
    };
    let decision = conduct(&world.runners, &conditions);
    match decision.action {
        Action::Finish(ending) => match to_ask(world, compiled, &figures) {
            Some(window) => (Step::Ask(window), Some(ASK)),
            None => conclude(world, Conclusion::Ended(ending)),
        },
        Action::GiveUp { reason, wanted: true } => conclude(world, Conclusion::Cancelled(reason)),
        Action::GiveUp { reason, wanted: false } => conclude(world, Conclusion::Impossible(reason)),
        Action::Wait | Action::Begin(_) | Action::Steer(_) | Action::Stop { .. } => {
            let next = pace::next_look(world, compiled, &decision);
            (Step::Conduct(decision), Some(next))
        }
    }
}

/// The end waits for the report to be stored, but not for ever; and not at all where there are no figures to keep: what has
/// not begun could begin after all while its end waits.
fn conclude(world: &World, conclusion: Conclusion) -> (Step, Option<Micros>) {
    let without_report = match conclusion {
        Conclusion::Ended(_) => world.unstored().is_some_and(|lasting| lasting >= UNSTORED),
        Conclusion::Cancelled(_) | Conclusion::Impossible(_) => true,
    };
    (Step::Conclude { conclusion, without_report }, None)
}

/// What Prometheus is still to be asked about. Nothing once the first runner is gone, or does not come back with an
/// answer: the verdict does not wait for what will not come.
fn to_ask(world: &World, compiled: &Compiled, figures: &SnapshotSet) -> Option<(u64, u64)> {
    let longest = compiled.plan.server.as_ref()?.longest() + LOST_AFTER;
    let is_over = match world.server {
        ServerSight::Unasked => false,
        ServerSight::Asked { lasting } => lasting >= longest,
        ServerSight::Answered => true,
    };
    let is_gone = matches!(world.runners.first(), None | Some(RunnerView::Gone { .. }));
    load_window(&compiled.plan, figures.iter()).filter(|_| !is_over && !is_gone)
}

/// Why the run is to end before its plan does, if it is.
fn stop(world: &World) -> Option<StopNote> {
    let suspended = StopNote { reason: "spec.suspend was set to true".to_owned(), aborted: None };
    world.aborted.clone().or_else(|| world.test.spec.suspend.then_some(suspended))
}

/// What `spec.scale` asks for, and what of it makes no sense and is left out: a change must not end a run.
pub(crate) fn scale(world: &World, plan: &Plan) -> (Vec<(usize, Level)>, Vec<Problem>) {
    let (mut levels, mut problems) = (Vec::new(), Vec::new());
    for (index, scale) in world.test.spec.scale.iter().enumerate() {
        match level_of(scale, index, plan) {
            Ok(level) => levels.push(level),
            Err(problem) => problems.push(problem),
        }
    }
    (levels, problems)
}

fn after_verdict(world: &World, verdict: Verdict) -> (Step, Option<Micros>) {
    let ended = world.test.status.as_ref().and_then(|status| status.completion_time.as_ref()).map(|time| time.0);
    let passed = ended.map_or(Micros::ZERO, |ended| world.since(ended));
    if let JobSight::Present { settled: false, .. } = world.job {
        // What could not begin is still trying to.
        let lost = world.test.status.as_ref().and_then(|status| status.runners).map_or(0, |runners| runners.lost);
        let patience = if lost > 0 { SHORT_FAREWELL } else { FAREWELL };
        let delete_job = verdict == Verdict::Error || passed >= patience;
        return (Step::CleanUp { delete_job }, Some(Micros::from_secs(2)));
    }
    if let Some(copying) = store::copy(world, passed) {
        return copying;
    }
    match world.test.spec.results.ttl.filter(|_| !store::is_given_up(world)) {
        Some(ttl) if passed >= ttl => (Step::Expire, None),
        Some(ttl) => (Step::Rest, Some(ttl.saturating_sub(passed) + Micros::from_millis(100))),
        None => (Step::Rest, None),
    }
}

/// What a test compiles to in a cluster, where a Prometheus is at hand for tests that name none; or everything that is wrong
/// with it.
pub(crate) fn compiled(test: &LoadTest, prometheus: Option<&str>) -> Result<Compiled, Vec<Problem>> {
    let compiled = compile(&test.spec.or_prometheus(prometheus), &run_of(test))?;
    let mut problems = materials::problems(&compiled.plan);
    problems.extend(materials::baseline_problem(test));
    if problems.is_empty() { Ok(compiled) } else { Err(problems) }
}

/// `namespace/name`: what a run is called in plans, tokens and snapshots.
pub(crate) fn run_of(test: &LoadTest) -> String {
    format!("{}/{}", test.namespace().unwrap_or_default(), test.name_any())
}

//! Report: from a decision to the status of a schedule; the only writer of it.
//!
//! A status is written against the version that the decision was made on: of two operators one is refused, before either
//! has made a run.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::api::PostParams;
use kube::runtime::events::{Event, EventType};
use kube::{Api, Resource, ResourceExt};
use proofload_api::schedule::{RunCause, ScheduleState};
use proofload_api::{LoadTestSchedule, LoadTestScheduleStatus, Problem};

use super::apply::Applied;
use super::decide::{Decision, Note, made};
use super::observe::World;
use crate::context::Context;
use crate::report::{MAX_PROBLEMS, shorten, shorten_to};

/// Reasons of conditions and events. Constants, since people write alerts on them.
pub(super) mod reason {
    /// The spec cannot be run.
    pub(in crate::schedule) const INVALID: &str = "Invalid";
    /// A run was made.
    pub(in crate::schedule) const FIRED: &str = "Fired";
    /// A tick was not run, since an earlier run had no verdict yet.
    pub(in crate::schedule) const SKIPPED: &str = "Skipped";
    /// A run could not begin in time.
    pub(in crate::schedule) const MISSED: &str = "Missed";
    /// It runs nothing any more, after too many failures.
    pub(in crate::schedule) const PAUSED: &str = "Paused";
    /// It pauses no longer.
    pub(in crate::schedule) const RESUMED: &str = "Resumed";
    /// The API server does not admit a run.
    pub(in crate::schedule) const REFUSED: &str = "Refused";
}

/// Writes what follows into status, if it is news, and says so by events.
pub(super) async fn report(
    context: &Context,
    world: &World,
    decision: &Decision,
    applied: &Applied,
) -> Result<(), kube::Error> {
    let (status, events) = draft(world, decision, applied);
    if status != world.status() {
        let (due, made) = dealt_with(&world.status(), &status);
        let namespace = world.schedule.namespace().unwrap_or_default();
        let api: Api<LoadTestSchedule> = Api::namespaced(context.client.clone(), &namespace);
        let mut schedule = LoadTestSchedule::clone(&world.schedule);
        schedule.metadata.managed_fields = None;
        schedule.status = Some(status);
        match api.replace_status(&schedule.name_any(), &PostParams::default(), &schedule).await {
            // It was deleted meanwhile: there is nobody to tell.
            Err(kube::Error::Api(refusal)) if refusal.code == 404 => return Ok(()),
            other => other.map(drop)?,
        }
        context.metrics.schedule_dealt_with(&namespace, &schedule.name_any(), due, made);
    }
    for (kind, reason, note) in events {
        emit(context, &world.schedule, kind, reason, &note).await;
    }
    Ok(())
}

/// How many runs have become due between two statuses, and how many were made.
fn dealt_with(old: &LoadTestScheduleStatus, new: &LoadTestScheduleStatus) -> (u64, u64) {
    let made = new.active.iter().filter(|name| !old.active.contains(name)).count() as u64;
    let (before, after) = (old.pending.as_ref(), new.pending.as_ref());
    let is_new = after.is_some_and(|after| before.is_none_or(|before| before.name != after.name));
    // It was due when it was written down, and is missed now that it is given up.
    let is_given_up = before.is_some_and(|before| {
        let is_kept = after.is_some_and(|after| after.name == before.name) || new.active.contains(&before.name);
        before.cause == RunCause::Schedule && !is_kept
    });
    let passed_over = new.skipped.saturating_sub(old.skipped) + new.missed.saturating_sub(old.missed);
    ((passed_over + u64::from(is_new)).saturating_sub(u64::from(is_given_up)), made)
}

/// Events are for people and may be lost: a failure changes nothing.
async fn emit(context: &Context, schedule: &LoadTestSchedule, type_: EventType, reason: &str, note: &str) {
    let note = Some(shorten(note));
    let event = Event { type_, reason: reason.to_owned(), note, action: reason.to_owned(), secondary: None };
    if let Err(error) = context.events.publish(&event, &schedule.object_ref(&())).await {
        tracing::warn!("an event was not written: {error}");
    }
}

/// The status that follows from a decision and what came of it, and what is news.
pub(super) fn draft(world: &World, decision: &Decision, applied: &Applied) -> (LoadTestScheduleStatus, Vec<Note>) {
    let old = world.status();
    let (mut status, mut events) = (decision.status.clone(), decision.events.clone());
    let mut refusal = None;
    match (applied, &decision.create) {
        (Applied::Made, Some(pending)) => {
            made(&mut status, pending);
            let why = match pending.cause {
                RunCause::Schedule => "due at",
                RunCause::Trigger => "asked for at",
                RunCause::Rollout => "rolled out at",
            };
            events.push((EventType::Normal, reason::FIRED, format!("{}, {why} {}", pending.name, pending.due.0)));
        }
        (Applied::Refused(why), Some(pending)) => {
            let until = world.schedule.spec.starting_deadline;
            let what = format!("{} cannot be made", pending.name);
            let said = format!("{what}, which is tried again for {until}: {why}");
            if !old.message.contains(&what) {
                events.push((EventType::Warning, reason::REFUSED, said.clone()));
            }
            refusal = Some(said);
        }
        _ => {}
    }
    status.active_runs = u32::try_from(status.active.len()).unwrap_or(u32::MAX);
    let (whole, said) = message(world, &status, refusal.or_else(|| decision.waits.clone()));
    status.message = whole;
    let state = status.state.unwrap_or(ScheduleState::Active);
    if state == ScheduleState::Invalid && old.message != status.message {
        events.push((EventType::Warning, reason::INVALID, said.clone()));
    }
    ready(&mut status, world, state, &said);
    (status, events)
}

/// Why it is so: at full length for the status, and short for its condition.
fn message(world: &World, status: &LoadTestScheduleStatus, more: Option<String>) -> (String, String) {
    let spec = &world.schedule.spec;
    let state = match (&*world.checked, &status.paused) {
        (Err(problems), _) => return invalid(problems),
        (Ok(_), _) if spec.suspend => "Suspended: set spec.suspend to false to go on".to_owned(),
        (Ok(_), Some(pause)) => {
            let way_out = "a change of its spec, or a run on demand that passes, ends the pause";
            format!("Paused: {}; {way_out}", pause.reason)
        }
        (Ok(ticks), None) => {
            let tick = ticks.as_ref().zip(status.next_schedule_time.as_ref());
            let next = tick.map(|(ticks, time)| format!("next run at {}", ticks.local(time.0)));
            let rollout = spec.on_rollout.as_ref();
            let rollout = rollout.map(|rollout| format!("runs when Deployment {} has rolled out", rollout.deployment));
            let all: Vec<String> = next.into_iter().chain(rollout).collect();
            if all.is_empty() { "There is no next run".to_owned() } else { sentence(&all.join("; ")) }
        }
    };
    let said = shorten(&more.map_or(state.clone(), |more| format!("{state}; {more}")));
    (said.clone(), said)
}

fn invalid(problems: &[Problem]) -> (String, String) {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let count = if lines.len() == 1 { "1 problem".to_owned() } else { format!("{} problems", lines.len()) };
    let whole = format!("The spec has {count}, nothing is run: {}", lines.join("; "));
    (shorten_to(&whole, MAX_PROBLEMS), shorten(&whole))
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The condition `Ready`: whether runs are made by themselves.
fn ready(status: &mut LoadTestScheduleStatus, world: &World, state: ScheduleState, message: &str) {
    let value = if state == ScheduleState::Active { "True" } else { "False" };
    let before = status.conditions.iter().find(|condition| condition.type_ == "Ready");
    let since = before.filter(|condition| condition.status == value);
    let since = since.map_or(Time(world.now), |condition| condition.last_transition_time.clone());
    status.conditions = vec![Condition {
        type_: "Ready".to_owned(),
        status: value.to_owned(),
        reason: state.to_string(),
        message: message.to_owned(),
        observed_generation: world.schedule.metadata.generation,
        last_transition_time: since,
    }];
}

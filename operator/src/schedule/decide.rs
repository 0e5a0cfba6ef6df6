//! Decide: from the world to what happens to a schedule now. Pure: no client, no clock, nothing asynchronous.

mod history;
#[cfg(test)]
mod tests;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::runtime::events::EventType;
use proofload_api::schedule::{ConcurrencyPolicy, PendingRun, RunCause, ScheduleState, marks};
use proofload_api::{LoadTestScheduleStatus, Micros};
use proofload_schedule::{name_at, names_on_demand};

use super::observe::{RolloutSight, World};
use super::report::reason;

/// How often a Deployment is looked at whose rollouts are awaited.
const ROLLOUT_EVERY: Micros = Micros::from_secs(15);
/// How often while a run is about to be made.
const EAGER: Micros = Micros::from_secs(1);
/// How often at least: a clock that was set is noticed after so long.
const AT_LEAST: Micros = Micros::from_secs(60);
/// The longest wish for a run on demand that is remembered, in characters.
const LONGEST_WISH: usize = 253;

/// An event: its kind, its reason, and what it says.
pub(super) type Note = (EventType, &'static str, String);

/// What happens to a schedule now.
#[derive(Debug, Clone)]
pub(super) struct Decision {
    /// The run that is to be made, which status has as the pending one.
    pub(super) create: Option<PendingRun>,
    /// Runs that are to be deleted.
    pub(super) delete: Vec<Deletion>,
    /// The status that follows, but for what comes of making the run.
    pub(super) status: LoadTestScheduleStatus,
    /// What is news.
    pub(super) events: Vec<Note>,
    /// What is being waited for, if anything but time.
    pub(super) waits: Option<String>,
    /// When to look again if nothing happens before.
    pub(super) next: Micros,
}

/// A run that is to be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Deletion {
    pub(super) name: String,
    pub(super) uid: Option<String>,
    /// It has load on, which must have ended before the run is gone.
    pub(super) with_load: bool,
}

/// Decides what happens now.
pub(super) fn decide(world: &World) -> Decision {
    let status = world.status();
    let mut pass = Pass { world, status, create: None, delete: Vec::new(), events: Vec::new(), waits: None };
    pass.find_pending();
    pass.record();
    pass.settle_state();
    pass.go_on();
    pass.on_ticks();
    pass.on_demand();
    pass.on_rollout();
    pass.keep();
    pass.status.observed_generation = world.schedule.metadata.generation;
    let next = pass.next_look();
    let Pass { status, create, delete, events, waits, .. } = pass;
    Decision { create, delete, status, events, waits, next }
}

/// What is decided so far.
struct Pass<'a> {
    world: &'a World,
    status: LoadTestScheduleStatus,
    create: Option<PendingRun>,
    delete: Vec<Deletion>,
    events: Vec<Note>,
    waits: Option<String>,
}

impl Pass<'_> {
    /// The run that was about to be made may have been made by a pass that was cut off after it.
    fn find_pending(&mut self) {
        let Some(pending) = &self.status.pending else { return };
        let is_there = self.world.run(&pending.name).is_some() || self.world.made.as_ref() == Some(&pending.name);
        if is_there && let Some(pending) = self.status.pending.take() {
            made(&mut self.status, &pending);
        }
    }

    fn settle_state(&mut self) {
        let (schedule, before) = (&self.world.schedule, self.status.state);
        if self.status.paused.as_ref().is_some_and(|pause| Some(pause.generation) != schedule.metadata.generation) {
            (self.status.paused, self.status.failures_in_a_row) = (None, 0);
        }
        let state = if self.world.checked.is_err() {
            ScheduleState::Invalid
        } else if schedule.spec.suspend {
            ScheduleState::Suspended
        } else if self.status.paused.is_some() {
            ScheduleState::Paused
        } else {
            ScheduleState::Active
        };
        let cron = schedule.spec.schedule.as_ref().map(|cron| format!("{cron} {}", schedule.spec.time_zone));
        let cron = cron.unwrap_or_default();
        // Ticks of a schedule that did not run, or that was another one, are none of this one's.
        let is_other = before != Some(ScheduleState::Active) || self.status.cron != cron;
        if before.is_some() && state == ScheduleState::Active && is_other {
            self.status.since = Some(Time(self.world.now));
            // Of a clock that was ahead once: what it made of the future ends here.
            self.status.last_schedule_time.take_if(|last| last.0 > self.world.now);
        }
        (self.status.state, self.status.cron) = (Some(state), cron);
    }

    fn is_active(&self) -> bool {
        self.status.state == Some(ScheduleState::Active)
    }

    /// Whether a run must wait for earlier ones, or not be at all.
    fn is_forbidden(&self) -> bool {
        self.world.schedule.spec.concurrency_policy == ConcurrencyPolicy::Forbid && !self.status.active.is_empty()
    }

    /// Goes on with the run that is about to be made.
    fn go_on(&mut self) {
        let Some(pending) = self.status.pending.clone() else { return };
        let is_tick = pending.cause == RunCause::Schedule;
        let is_wanted = if is_tick { self.is_active() } else { self.status.state != Some(ScheduleState::Invalid) };
        let deadline = self.world.schedule.spec.starting_deadline;
        let late = self.world.since(pending.due.0);
        if !is_wanted || late > deadline {
            let why = if is_wanted {
                format!("could not be made within {deadline}")
            } else {
                "is not wanted any more".into()
            };
            self.status.pending = None;
            self.status.missed += u64::from(is_tick);
            self.events.push((EventType::Warning, reason::MISSED, format!("{} {why}", pending.name)));
            return;
        }
        if self.world.schedule.spec.concurrency_policy == ConcurrencyPolicy::Replace && !self.status.active.is_empty() {
            self.waits = Some(format!("{} is deleted before {} begins", self.status.active.join(", "), pending.name));
            let earlier = self.status.active.iter().filter_map(|name| self.world.run(name));
            let staying = earlier.filter(|run| !run.is_leaving);
            let deletions =
                staying.map(|run| Deletion { name: run.name.clone(), uid: run.uid.clone(), with_load: true });
            self.delete.extend(deletions);
            return;
        }
        self.create = Some(pending);
    }

    /// Deals with the ticks since the last that was dealt with.
    fn on_ticks(&mut self) {
        let Ok(Some(ticks)) = &*self.world.checked else { return };
        if !self.is_active() || self.status.pending.is_some() {
            return;
        }
        let Some(due) = ticks.between(self.dealt_with(), self.world.now) else { return };
        self.status.last_schedule_time = Some(Time(due.last));
        let is_late = self.world.since(due.last) > self.world.schedule.spec.starting_deadline;
        let missed = due.count - u64::from(!is_late);
        let tick = ticks.local(due.last);
        if missed > 0 {
            self.status.missed += missed;
            let said = match missed {
                1 if is_late => format!("the run of {tick} could not begin in time"),
                1 => format!("1 run before that of {tick} could not begin in time"),
                many => format!("{many} runs up to {tick} could not begin in time"),
            };
            self.events.push((EventType::Warning, reason::MISSED, said));
        }
        if is_late {
            return;
        }
        if self.is_forbidden() {
            self.status.skipped += 1;
            let said = format!("the run of {tick} is skipped: {} has no verdict yet", self.status.active.join(", "));
            self.events.push((EventType::Warning, reason::SKIPPED, said));
            return;
        }
        let name = name_at(&self.world.schedule.name_any(), due.last);
        self.status.pending = Some(PendingRun { name, due: Time(due.last), cause: RunCause::Schedule });
    }

    /// Up to when ticks are dealt with. A clock that was set back makes none of them come again.
    fn dealt_with(&self) -> Timestamp {
        let known = self.status.last_schedule_time.as_ref().max(self.status.since.as_ref());
        let created = self.world.schedule.metadata.creation_timestamp.as_ref();
        known.or(created).map_or(self.world.now, |time| time.0)
    }

    /// Deals with the wish for a run now, also of a schedule that does not run by itself.
    fn on_demand(&mut self) {
        let wish = self.world.schedule.annotations().get(marks::TRIGGER);
        let wish = wish.map(|wish| wish.chars().take(LONGEST_WISH).collect::<String>()).filter(|wish| !wish.is_empty());
        if wish.is_none() || wish == self.status.last_trigger {
            return;
        }
        if self.status.state == Some(ScheduleState::Invalid) {
            self.status.last_trigger = wish;
            let said = "a run was asked for, which the spec does not allow".to_owned();
            self.events.push((EventType::Warning, reason::INVALID, said));
        } else if self.begin(RunCause::Trigger) {
            self.status.last_trigger = wish;
        }
    }

    /// Deals with what is seen of the Deployment.
    fn on_rollout(&mut self) {
        let Some(wanted) = &self.world.schedule.spec.on_rollout else {
            self.status.rolled_out = None;
            return;
        };
        let images = match &self.world.rollout {
            Some(RolloutSight::Done(images)) => images,
            Some(RolloutSight::Unseen(why)) => {
                self.waits.get_or_insert_with(|| why.clone());
                return;
            }
            _ => return,
        };
        let (place, seen) = (format!("{}: ", wanted.deployment), format!("{}: {images}", wanted.deployment));
        let is_first = self.status.rolled_out.as_ref().is_none_or(|known| !known.starts_with(&place));
        if self.status.rolled_out.as_ref() == Some(&seen) {
            return;
        }
        // What was there before is no rollout, and what comes while the schedule does not run is not run later.
        if is_first || !self.is_active() || self.begin(RunCause::Rollout) {
            self.status.rolled_out = Some(seen);
        }
    }

    /// Writes down that a run is about to be made, unless it has to wait.
    fn begin(&mut self, cause: RunCause) -> bool {
        if self.status.pending.is_some() {
            return false;
        }
        if self.is_forbidden() {
            let what = if cause == RunCause::Rollout { "the run of the rollout" } else { "the run that was asked for" };
            self.waits = Some(format!("{what} waits for {}", self.status.active.join(", ")));
            return false;
        }
        let (now, schedule) = (self.world.now, self.world.schedule.name_any());
        let is_taken = |name: &String| {
            let is_past = self.status.history.iter().any(|run| run.name == *name);
            // One that was made and deleted since would seem to be made already.
            let is_made = self.world.made.as_ref() == Some(name);
            is_past || is_made || self.status.active.contains(name) || self.world.run(name).is_some()
        };
        // With so many in one minute the next waits for the next one.
        let Some(name) = names_on_demand(&schedule, now, cause).find(|name| !is_taken(name)) else { return false };
        self.status.pending = Some(PendingRun { name, due: Time(now), cause });
        true
    }

    fn next_look(&mut self) -> Micros {
        self.status.next_schedule_time = None;
        let mut next = AT_LEAST;
        if let Ok(Some(ticks)) = &*self.world.checked
            && self.is_active()
            && let Some(tick) = ticks.after(self.dealt_with().max(self.world.now))
        {
            self.status.next_schedule_time = Some(Time(tick));
            let wait = tick.as_microsecond() - self.world.now.as_microsecond();
            next = next.min(Micros(u64::try_from(wait).unwrap_or(0)));
        }
        if self.status.pending.is_some() || !self.delete.is_empty() {
            next = next.min(EAGER);
        }
        if self.world.schedule.spec.on_rollout.is_some() {
            next = next.min(ROLLOUT_EVERY);
        }
        // A timer must not end just before the tick.
        next.max(Micros::from_millis(20))
    }
}

/// The run that was about to be made is there.
pub(super) fn made(status: &mut LoadTestScheduleStatus, pending: &PendingRun) {
    status.pending = None;
    if !status.active.contains(&pending.name) {
        status.active.push(pending.name.clone());
    }
}

//! Tells the life of a schedule, pass by pass, in a simulated cluster: the real decisions, the real status that follows,
//! and runs that a story ends as it likes.

use std::fmt::Write as _;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use proofload_api::admission::admit_schedule;
use proofload_api::schedule::marks;
use proofload_api::{LoadTestSchedule, LoadTestScheduleStatus, Verdict};
use proofload_schedule::run;

use crate::schedule::apply::Applied;
use crate::schedule::decide::{Decision, decide};
use crate::schedule::observe::{RolloutSight, RunSight, World, check};
use crate::schedule::report::draft;

/// Where an operator is killed within a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Killed {
    Never,
    /// After runs were made and deleted, before the status was written.
    AfterApply,
}

/// A schedule, and what there is of it in the cluster.
pub(super) struct Story {
    pub(super) schedule: LoadTestSchedule,
    pub(super) runs: Vec<RunSight>,
    pub(super) rollout: Option<RolloutSight>,
    /// Why the API server does not admit runs, if it does not.
    pub(super) refuses: Option<&'static str>,
    /// Every run that was ever made.
    pub(super) made: Vec<String>,
    /// What the operator's process remembers.
    remembered: Option<String>,
    told: String,
}

impl Story {
    /// A schedule that was made at this time.
    pub(super) fn new(yaml: &str, created: &str) -> Self {
        let value: serde_json::Value = serde_saphyr::from_str(yaml).unwrap();
        let mut schedule = admit_schedule(&value).unwrap_or_else(|problems| panic!("{problems:?}"));
        schedule.metadata.uid = Some("5c1d".to_owned());
        schedule.metadata.generation = Some(1);
        schedule.metadata.creation_timestamp = Some(Time(at(created)));
        Self {
            schedule,
            runs: Vec::new(),
            rollout: None,
            refuses: None,
            made: Vec::new(),
            remembered: None,
            told: String::new(),
        }
    }

    /// Changes the spec.
    pub(super) fn edit(&mut self, edit: impl FnOnce(&mut LoadTestSchedule)) {
        edit(&mut self.schedule);
        *self.schedule.metadata.generation.as_mut().unwrap() += 1;
    }

    pub(super) fn annotate(&mut self, wish: &str) {
        self.schedule.annotations_mut().insert(marks::TRIGGER.to_owned(), wish.to_owned());
    }

    pub(super) fn status(&self) -> LoadTestScheduleStatus {
        self.schedule.status.clone().unwrap_or_default()
    }

    /// The operator's process is another one.
    pub(super) fn restart(&mut self) {
        self.remembered = None;
    }

    /// Every run that has no verdict ends.
    pub(super) fn end(&mut self, moment: &str, verdict: Verdict, p95: &str) {
        let now = at(moment);
        for run in self.runs.iter_mut().filter(|run| run.verdict.is_none()) {
            run.verdict = Some(verdict);
            run.message = "p95(latency) < 500ms was 812ms".to_owned();
            (run.completed, run.p95) = (Some(now), p95.to_owned());
        }
    }

    fn world(&self, now: Timestamp) -> World {
        World {
            schedule: Arc::new(self.schedule.clone()),
            now,
            checked: Arc::new(check(&self.schedule, None)),
            runs: self.runs.clone(),
            rollout: self.rollout.clone(),
            made: self.remembered.clone(),
        }
    }

    /// Passes until nothing is left to do, each told in a line with what led to it.
    pub(super) fn pass(&mut self, moment: &str, what: &str) -> &mut Self {
        for round in 0..6 {
            let before = (self.status(), self.runs.clone());
            let what = if round == 0 { what } else { "then" };
            self.one(at(moment), what, Killed::Never);
            if self.refuses.is_some() || before == (self.status(), self.runs.clone()) {
                return self;
            }
        }
        panic!("it never comes to rest: {}", self.told);
    }

    /// One pass.
    pub(super) fn one(&mut self, now: Timestamp, what: &str, killed: Killed) {
        let world = self.world(now);
        let decision = decide(&world);
        let applied = self.apply(&world, &decision);
        let (status, events) = draft(&world, &decision, &applied);
        let (old, clock) = (self.status(), now.strftime("%d %H:%M:%S"));
        let words = words(&decision);
        if status == old && words == "rest" && what == "then" {
            return;
        }
        let killed_here = if killed == Killed::AfterApply { ", and is killed" } else { "" };
        writeln!(self.told, "{clock} {what}: {words}{killed_here}; again in {}", decision.next).unwrap();
        if killed == Killed::AfterApply {
            return self.restart();
        }
        if status.message != old.message {
            writeln!(self.told, "    {}: {}", status.state.unwrap(), status.message).unwrap();
        }
        for (kind, reason, note) in &events {
            writeln!(self.told, "    {kind:?} event: {reason}: {note}").unwrap();
        }
        self.schedule.status = Some(status);
    }

    fn apply(&mut self, world: &World, decision: &Decision) -> Applied {
        self.runs.retain(|run| decision.delete.iter().all(|deletion| deletion.name != run.name));
        let Some(pending) = &decision.create else { return Applied::Nothing };
        if let Some(why) = self.refuses {
            return Applied::Refused(why.to_owned());
        }
        if self.runs.iter().all(|run| run.name != pending.name) {
            let test = run(&world.schedule, pending);
            self.made.push(test.name_any());
            self.runs.push(RunSight {
                name: test.name_any(),
                due: Some(pending.due.0),
                cause: Some(pending.cause),
                ..RunSight::default()
            });
        }
        self.remembered = Some(pending.name.clone());
        Applied::Made
    }

    pub(super) fn told(&self) -> &str {
        &self.told
    }
}

pub(super) fn at(text: &str) -> Timestamp {
    text.parse().unwrap_or_else(|_| format!("2026-03-{}Z", text.replace(' ', "T")).parse().unwrap())
}

/// A decision in a few words.
fn words(decision: &Decision) -> String {
    let make = decision.create.iter().map(|pending| format!("make {} ({})", pending.name, pending.cause));
    let delete = decision.delete.iter().map(|deletion| format!("delete {}", deletion.name));
    let all: Vec<String> = make.chain(delete).collect();
    if all.is_empty() { "rest".to_owned() } else { all.join(", ") }
}

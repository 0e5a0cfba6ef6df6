//! Tells the life of a test, pass by pass, in a simulated cluster: the real decisions, the real status that follows from
//! them, and a Job and runners that a story sets as it likes.

use std::fmt::Write as _;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use proofload_api::admission::admit;
use proofload_api::{LoadTest, LoadTestStatus, Micros, Outcome};
use proofload_conductor::{Action, RunnerView, Steer};
use proofload_plan::{Compiled, Segment};
use proofload_results::cell::{Cell, Sample};
use proofload_results::report::Input;
use proofload_results::{
    Circumstances, EndCause, GeneratorRecord, LostRunner, Report, RunnerState, ScenarioProgress, Snapshot, StopNote,
};

use crate::apply::Applied;
use crate::decide::{Conclusion, Copying, Step, compiled, decide};
use crate::memory::{RunMemory, ServerSight};
use crate::observe::{JobSight, StoreSight, World};
use crate::report::draft;

/// A test, and what there is of it in the cluster.
pub(super) struct Story {
    pub(super) test: LoadTest,
    pub(super) job: JobSight,
    pub(super) runners: Vec<RunnerView>,
    /// Why the API server does not admit objects, if it does not.
    pub(super) refuses: Option<&'static str>,
    /// Why it does not take the report, if it does not.
    pub(super) refuses_report: Option<&'static str>,
    /// What a criterion's window said that ends the run.
    pub(super) aborted: Option<StopNote>,
    /// What is wrong with the run that it is to be held against.
    pub(super) baseline: Option<proofload_api::Problem>,
    /// The copy of its report.
    pub(super) store: StoreSight,
    /// How far asking Prometheus is.
    pub(super) server: ServerSight,
    compiled: Arc<Result<Compiled, Vec<proofload_api::Problem>>>,
    started: u64,
    told: String,
}

/// When every story begins.
fn zero() -> Timestamp {
    "2026-03-01T09:00:00Z".parse().unwrap()
}

impl Story {
    pub(super) fn new(yaml: &str) -> Self {
        let value: serde_json::Value = serde_saphyr::from_str(yaml).unwrap();
        let mut test = admit(&value).unwrap_or_else(|problems| panic!("{problems:?}"));
        test.metadata.uid = Some("1f0c9e52-6b1d-4c7e-9a3f-5d2c8e7b4a10".to_owned());
        test.metadata.generation = Some(1);
        test.metadata.creation_timestamp = Some(Time(zero()));
        let compiled = Arc::new(compiled(&test, None));
        let count = compiled.as_ref().as_ref().map_or(0, |compiled| compiled.sizing.runners);
        let runners = vec![RunnerView::Pending { reason: None }; count as usize];
        Self {
            test,
            job: JobSight::Absent,
            runners,
            refuses: None,
            refuses_report: None,
            aborted: None,
            baseline: None,
            store: StoreSight::Absent,
            server: ServerSight::Unasked,
            compiled,
            started: 0,
            told: String::new(),
        }
    }

    /// Every runner answers and waits.
    pub(super) fn all_wait(&mut self) {
        self.all(0, 0, RunnerState::Waiting);
    }

    /// Every runner has been under load for so many seconds.
    pub(super) fn all_run(&mut self, seconds: u64) {
        self.all(seconds, 1, RunnerState::Running);
    }

    /// Every runner ended after so many seconds, an hour on its own clock after it was made.
    pub(super) fn all_ended(&mut self, seconds: u64, cause: EndCause) {
        self.all(seconds, 100, RunnerState::Ended(cause));
    }

    fn all(&mut self, seconds: u64, requests: u64, state: RunnerState) {
        for index in 0..self.runners.len() {
            self.runners[index] = self.runner(index, seconds, requests, state);
        }
    }

    /// Changes what a runner that answers says.
    pub(super) fn edit(&mut self, index: usize, edit: impl FnOnce(&mut Snapshot)) {
        let RunnerView::Present { snapshot, .. } = &mut self.runners[index] else { panic!("it does not answer") };
        edit(snapshot);
    }

    /// A runner that answers.
    pub(super) fn runner(&self, index: usize, seconds: u64, requests: u64, state: RunnerState) -> RunnerView {
        let compiled = self.compiled.as_ref().as_ref().unwrap();
        let began = 3_600_000_000;
        let elapsed = Micros::from_secs(seconds).0;
        let ended = matches!(state, RunnerState::Ended(_)).then_some(elapsed);
        let sample = Sample {
            outcome: Outcome::Ok,
            status: Some(200),
            latency: 5_000,
            service_time: 4_900,
            bytes_out: 100,
            bytes_in: 200,
        };
        let mut cell = Cell::default();
        (0..requests).for_each(|_| cell.record(&sample));
        let has_begun = state != RunnerState::Waiting;
        let progress = ScenarioProgress { began: Some(0), ended, users: 1, ..ScenarioProgress::default() };
        let snapshot = Snapshot {
            run: compiled.plan.run.clone(),
            segment: Segment::new(index as u32, compiled.sizing.runners),
            sequence: elapsed,
            state,
            clock: began + elapsed,
            began: has_begun.then_some(began),
            scenarios: if has_begun { vec![progress; compiled.plan.scenarios.len()] } else { Vec::new() },
            cells: if has_begun { vec![cell.encode(); compiled.plan.layout().len()] } else { Vec::new() },
            timeline: Vec::new(),
            errors: Vec::new(),
            generator: GeneratorRecord { elapsed, threads: 1, cpu_available: elapsed, ..GeneratorRecord::default() },
            variables: Vec::new(),
            stop: None,
        };
        RunnerView::Present { snapshot: Box::new(snapshot), began_at: None }
    }

    /// What there is so many seconds into the story.
    pub(super) fn world(&self, second: u64) -> World {
        World {
            test: Arc::new(self.test.clone()),
            now: zero() + k8s_openapi::jiff::SignedDuration::from_secs(second.cast_signed()),
            compiled: Arc::clone(&self.compiled),
            job: self.job,
            runners: self.runners.clone(),
            figures: self.remembered().snapshots,
            aborted: self.aborted.clone(),
            baseline: self.baseline.clone(),
            store: self.store.clone(),
            server: self.server,
        }
    }

    /// One pass, so many seconds into the story: decides, does it, and tells it in a line, with what led to it.
    ///
    /// An operator that was restarted just before, and so knows nothing but the world, must decide the same.
    pub(super) fn pass(&mut self, second: u64, what: &str) -> &mut Self {
        if let JobSight::Present { age, .. } = &mut self.job {
            *age = Micros::from_secs(second - self.started);
        }
        let seen = self.world(second);
        let (step, next) = decide(&seen);
        let restarted = World { compiled: Arc::new(compiled(&self.test, None)), ..self.world(second) };
        assert_eq!(decide(&restarted), (step.clone(), next), "an operator that was restarted decides the same");
        let applied = self.apply(&seen, &step);
        let next = next.map_or("when something happens".to_owned(), |next| format!("in {next}"));
        writeln!(self.told, "{second}s {what}: {}; again {next}", words(&step)).unwrap();
        if let Step::Create = step
            && self.refuses.is_none()
        {
            (self.job, self.started) = (JobSight::Present { age: Micros::ZERO, settled: false }, second);
        }
        self.write(&seen, &step, &applied);
        self
    }

    fn apply(&self, world: &World, step: &Step) -> Applied {
        match (step, self.refuses) {
            (Step::Create | Step::Copy(Copying::Make(_)), Some(why)) => Applied::Refused(why.to_owned()),
            (Step::Conclude { conclusion, without_report }, _) => {
                let report = Box::new(self.report(world, conclusion));
                match self.refuses_report.map(str::to_owned) {
                    None => Applied::Stored(report),
                    Some(why) if *without_report => Applied::Unstored { report, why },
                    Some(why) => Applied::Refused(why),
                }
            }
            _ => Applied::Done,
        }
    }

    fn remembered(&self) -> RunMemory {
        let mut memory = RunMemory::new(self.compiled.as_ref().clone());
        for (index, view) in (0..).zip(&self.runners) {
            if let RunnerView::Present { snapshot, .. } = view {
                memory.note(index, Snapshot::clone(snapshot), true).unwrap();
            }
        }
        memory
    }

    fn report(&self, world: &World, conclusion: &Conclusion) -> Report {
        let compiled = self.compiled.as_ref().as_ref().unwrap();
        let totals = self.remembered().snapshots.unwrap().totals(&compiled.plan);
        let circumstances = match conclusion.clone() {
            Conclusion::Ended(ending) => Circumstances {
                lost: ending.lost,
                aborted: ending.stopped.as_ref().and_then(|note| note.aborted),
                stopped: ending.stopped.map(|note| note.reason),
                ..Circumstances::default()
            },
            Conclusion::Cancelled(why) => Circumstances { stopped: Some(why), ..Circumstances::default() },
            Conclusion::Impossible(why) => Circumstances { error: Some(why), ..Circumstances::default() },
        };
        let start = world.status().start_time.map(|start| start.0.to_string());
        Report::build(&Input {
            plan: &compiled.plan,
            criteria: &compiled.criteria,
            spec: &serde_json::Value::Null,
            name: "tale",
            namespace: Some("shop"),
            start: start.as_deref(),
            runners: compiled.sizing.runners,
            totals: &totals,
            circumstances: &circumstances,
            baseline: None,
        })
    }

    /// Status as the operator writes it; what is new of it is told.
    fn write(&mut self, world: &World, step: &Step, applied: &Applied) {
        let Some(draft) = draft(world, step, applied, &self.remembered()) else { return };
        let (old, new) = (world.status(), &draft.status);
        if (old.phase, old.verdict) != (new.phase, new.verdict) {
            let verdict = new.verdict.map(|verdict| format!(", {verdict}")).unwrap_or_default();
            let phase = new.phase.unwrap();
            writeln!(self.told, "    status: {phase}{verdict}: {}", new.message).unwrap();
        }
        let store = |status: &LoadTestStatus| status.report.as_ref().and_then(|report| report.store.clone());
        if let Some(store) = store(new).filter(|new| Some(new) != store(&old).as_ref()) {
            let message = if store.message.is_empty() { String::new() } else { format!(": {}", store.message) };
            writeln!(self.told, "    store: {:?} {}{message}", store.phase, store.location).unwrap();
        }
        for (kind, reason, note) in &draft.events {
            let note = if *note == new.message { String::new() } else { format!(": {note}") };
            writeln!(self.told, "    {kind:?} event: {reason}{note}").unwrap();
        }
        self.test.status = Some(LoadTestStatus { observed_generation: self.test.metadata.generation, ..draft.status });
    }

    pub(super) fn told(&self) -> &str {
        &self.told
    }
}

/// A step in a few words.
fn words(step: &Step) -> String {
    match step {
        Step::Rest => "rest".to_owned(),
        Step::Reject(problems) => format!("reject for {} problems", problems.len()),
        Step::Hold(_) => "hold".to_owned(),
        Step::Create => "create".to_owned(),
        Step::CleanUp { delete_job: false } => "acknowledge".to_owned(),
        Step::CleanUp { delete_job: true } => "delete the Job".to_owned(),
        Step::Copy(Copying::Make(_)) => "make the Job that copies the report".to_owned(),
        Step::Copy(Copying::Say(_)) => "look at the copy".to_owned(),
        Step::Copy(Copying::CleanUp) => "delete the Job that copied the report".to_owned(),
        Step::Expire => "delete the test".to_owned(),
        Step::Ask((from, to)) => format!("ask about {from} to {to}"),
        Step::Conclude { conclusion: Conclusion::Cancelled(why), .. } => format!("conclude as cancelled: {why}"),
        Step::Conclude { conclusion: Conclusion::Impossible(why), .. } => format!("conclude as impossible: {why}"),
        Step::Conclude { conclusion: Conclusion::Ended(ending), .. } => {
            let stopped = ending.stopped.as_ref().map(|why| format!(", stopped: {}", why.reason));
            format!("conclude{}{}", losses(&ending.lost), stopped.unwrap_or_default())
        }
        Step::Conduct(decision) => {
            let action = match &decision.action {
                Action::Wait if decision.waiting_for.is_empty() => "watch".to_owned(),
                Action::Wait => format!("wait for {}", decision.waiting_for),
                Action::Begin(begins) => {
                    let all = begins.iter().map(|begin| format!("begin {:?} on {:?}", begin.scenarios, begin.runners));
                    all.collect::<Vec<_>>().join(", ")
                }
                Action::Stop { runners, note } => format!("stop {runners:?}: {}", note.reason),
                Action::Steer(steers) => {
                    let one = |steer: &Steer| {
                        let last = steer.levels.last().map(|record| record.level.to_string()).unwrap_or_default();
                        format!("steer {} to {last} on {:?}", steer.scenario, steer.runners)
                    };
                    steers.iter().map(one).collect::<Vec<_>>().join(", ")
                }
                Action::GiveUp { .. } | Action::Finish(_) => panic!("these are concluded: {decision:?}"),
            };
            format!("{action}{}", losses(&decision.lost))
        }
    }
}

fn losses(lost: &[LostRunner]) -> String {
    lost.iter().fold(String::new(), |all, lost| format!("{all}, without runner {}: {}", lost.index, lost.reason))
}

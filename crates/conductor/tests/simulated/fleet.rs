//! The simulated fleet: runners that do what an engine does, as far as a conductor can see it.

use proofload_api::{Micros, Outcome};
use proofload_conductor::{Begin, Fleet, RunnerView, Steer};
use proofload_plan::{CellAddress, Level, Load, Plan, Role, Segment};
use proofload_results::{
    Cell, EndCause, GeneratorRecord, LevelRecord, RunnerState, Sample, ScenarioProgress, Snapshot, StopNote,
};

/// What goes wrong with a runner, and when.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fault {
    None,
    NeverReady,
    /// Killed at a time: gone for good.
    Dies(Micros),
    /// Told to end at a time: its last snapshot is still there.
    Terminated(Micros),
    /// Does not answer from a time on, for so long; works on meanwhile.
    Silent(Micros, Micros),
    /// Does not hear the first begin.
    MissesBegin,
    /// Never gets to its end by itself.
    Hangs,
}

#[derive(Clone)]
pub(crate) struct Runner {
    pub(crate) fault: Fault,
    pub(crate) begun: Vec<Option<Micros>>,
    pub(crate) levels: Vec<Vec<LevelRecord>>,
    pub(crate) variables: Vec<(u32, String)>,
    stopped: Option<Micros>,
    note: Option<StopNote>,
    missed: bool,
}

#[derive(Clone)]
pub(crate) struct Simulation {
    pub(crate) plan: Plan,
    pub(crate) now: Micros,
    pub(crate) runners: Vec<Runner>,
    /// So many users the target holds.
    pub(crate) capacity: u32,
    pub(crate) setup_fails: bool,
    /// The conductor is killed while it gives commands: only so many runners hear of them.
    pub(crate) reach: usize,
}

impl Simulation {
    pub(crate) fn new(plan: Plan, faults: &[Fault]) -> Self {
        let runner = |fault: &Fault| Runner {
            fault: *fault,
            begun: vec![None; plan.scenarios.len()],
            levels: vec![Vec::new(); plan.scenarios.len()],
            variables: Vec::new(),
            stopped: None,
            note: None,
            missed: false,
        };
        let runners = faults.iter().map(runner).collect();
        Self { runners, plan, now: Micros::ZERO, capacity: 40, setup_fails: false, reach: usize::MAX }
    }

    /// Setup and teardown take a second on the first runner, and no time on the others.
    fn end_of(&self, index: usize, scenario: usize) -> Option<Micros> {
        let runner = &self.runners[index];
        let spec = &self.plan.scenarios[scenario];
        let begun = runner.begun[scenario]?;
        let run = runner.begun.iter().flatten().min().copied().unwrap_or_default();
        let natural = match (spec.role, &spec.load) {
            (Role::Main, Load::Search(_)) => {
                let last = runner.levels[scenario].iter().find(|record| record.level.is_zero());
                last.map_or(begun + spec.load.duration(), |last| run + Micros(last.from))
            }
            (Role::Main, load) => begun + load.duration(),
            _ => begun + Micros::from_secs(u64::from(index == 0)),
        };
        let natural = if runner.fault == Fault::Hangs { Micros(u64::MAX) } else { natural };
        let is_stopped = spec.role != Role::Teardown || matches!(runner.fault, Fault::Terminated(_));
        Some(runner.stopped.filter(|_| is_stopped).map_or(natural, |stopped| natural.min(stopped)))
    }

    fn state(&self, index: usize, scenarios: &[ScenarioProgress]) -> RunnerState {
        let runner = &self.runners[index];
        let has_begun = runner.begun.iter().any(Option::is_some);
        let over = |cause| RunnerState::Ended(cause);
        let teardown = self.plan.index_of(Role::Teardown);
        let awaits_teardown = teardown.is_some_and(|teardown| has_begun && scenarios[teardown].ended.is_none());
        match (has_begun, runner.stopped, runner.fault) {
            (_, Some(_), Fault::Terminated(at)) if at <= self.now => over(EndCause::Terminated),
            (_, Some(_), _) if !awaits_teardown => over(EndCause::Stopped),
            (false, ..) => RunnerState::Waiting,
            _ if scenarios.iter().all(|scenario| scenario.ended.is_some()) => over(EndCause::Completed),
            _ => RunnerState::Running,
        }
    }

    pub(crate) fn snapshot(&self, index: usize) -> Snapshot {
        let runner = &self.runners[index];
        let began = runner.begun.iter().flatten().min().copied();
        let run = began.unwrap_or_default();
        let scenarios = (0..runner.begun.len()).map(|i| {
            let ended = self.end_of(index, i).filter(|end| *end <= self.now);
            ScenarioProgress {
                began: runner.begun[i].map(|at| (at - run).0),
                ended: ended.map(|at| at.saturating_sub(run).0),
                iterations: u64::from(ended.is_some()),
                levels: runner.levels[i].clone(),
                ..ScenarioProgress::default()
            }
        });
        let scenarios: Vec<_> = scenarios.collect();
        let knows = index == 0 && self.has_ended_setup(&scenarios) && !self.setup_fails;
        Snapshot {
            run: self.plan.run.clone(),
            segment: Segment::new(index as u32, self.runners.len() as u32),
            sequence: self.now.0,
            state: self.state(index, &scenarios),
            clock: self.now.0,
            began: began.map(|at| at.0),
            cells: if began.is_some() { self.cells(index, &scenarios, run) } else { Vec::new() },
            scenarios,
            timeline: Vec::new(),
            errors: Vec::new(),
            generator: GeneratorRecord::default(),
            variables: if knows { vec![(0, "canary".into())] } else { runner.variables.clone() },
            stop: runner.note.clone(),
        }
    }

    fn has_ended_setup(&self, scenarios: &[ScenarioProgress]) -> bool {
        self.plan.index_of(Role::Setup).is_some_and(|setup| scenarios[setup].ended.is_some())
    }

    /// Ten requests in each window of a search that is over; one for a setup that has ended.
    fn cells(&self, index: usize, scenarios: &[ScenarioProgress], run: Micros) -> Vec<proofload_results::EncodedCell> {
        let layout = self.plan.layout();
        let mut cells = vec![Cell::default(); layout.len()];
        let mut count = |scenario, stage, count, is_good| {
            let (outcome, status) = if is_good { (Outcome::Ok, 200) } else { (Outcome::UnexpectedStatus, 503) };
            let (latency, bytes) = (1_000, 100);
            let (bytes_in, bytes_out, status) = (bytes, bytes, Some(status));
            let sample = Sample { outcome, status, latency, service_time: latency, bytes_out, bytes_in };
            let cell = &mut cells[layout.index(CellAddress { scenario, step: 0, stage })];
            (0..count).for_each(|_| cell.record(&sample));
        };
        if let Some(setup) = self.plan.index_of(Role::Setup)
            && index == 0
            && self.has_ended_setup(scenarios)
        {
            count(setup, 0, 1, !self.setup_fails);
        }
        for (at, scenario) in self.plan.scenarios.iter().enumerate() {
            let Load::Search(search) = &scenario.load else { continue };
            for (step, record) in self.runners[index].levels[at].iter().enumerate() {
                let Level::Users(users) = record.level else { continue };
                let is_over = run.0 + record.from + search.settle.0 + search.window.0 <= self.now.0;
                if is_over && users > 0 {
                    count(at, step + 1, 10, users <= self.capacity);
                }
            }
        }
        cells.iter().map(Cell::encode).collect()
    }

    /// The runners of a command that hear it.
    fn reached(&self, runners: &[u32]) -> Vec<usize> {
        runners.iter().take(self.reach).map(|index| *index as usize).collect()
    }
}

impl Fleet for Simulation {
    async fn observe(&mut self) -> Vec<RunnerView> {
        let now = self.now;
        for runner in &mut self.runners {
            if let Fault::Terminated(at) = runner.fault
                && now >= at
                && runner.begun.iter().any(Option::is_some)
            {
                runner.stopped.get_or_insert(at);
            }
        }
        let view = |(index, runner): (usize, &Runner)| match runner.fault {
            Fault::NeverReady => RunnerView::Pending { reason: Some("ImagePullBackOff: no such image".into()) },
            Fault::Dies(at) if now >= at => RunnerView::Gone { reason: "OOMKilled, exit code 137".into() },
            Fault::Silent(from, lasting) if now >= from && now < from + lasting => {
                RunnerView::Silent { lasting: now - from }
            }
            _ => RunnerView::Present { snapshot: Box::new(self.snapshot(index)), began_at: None },
        };
        self.runners.iter().enumerate().map(view).collect()
    }

    async fn begin(&mut self, begin: &Begin) {
        for index in self.reached(&begin.runners) {
            let runner = &mut self.runners[index];
            if runner.fault == Fault::MissesBegin && !runner.missed {
                runner.missed = true;
                continue;
            }
            if !begin.variables.is_empty() {
                runner.variables.clone_from(&begin.variables);
            }
            for scenario in &begin.scenarios {
                let is_teardown = self.plan.scenarios[*scenario].role == Role::Teardown;
                if runner.stopped.is_none() || is_teardown {
                    runner.begun[*scenario].get_or_insert(self.now);
                }
            }
        }
    }

    async fn steer(&mut self, steer: &Steer) {
        for index in self.reached(&steer.runners) {
            let levels = &mut self.runners[index].levels[steer.scenario];
            let known = levels.len();
            levels.extend(steer.levels.iter().skip(known));
        }
    }

    async fn stop(&mut self, runners: &[u32], note: &StopNote) {
        for index in self.reached(runners) {
            let runner = &mut self.runners[index];
            if runner.fault != Fault::Hangs {
                runner.stopped.get_or_insert(self.now);
                runner.note.get_or_insert_with(|| note.clone());
            }
        }
    }
}

//! Three days of simulated time: a target that gets slower, or whose memory leaks, a runner that is lost, an operator that
//! is away and comes back with nothing in its memory.
#![allow(clippy::unwrap_used)] // in helpers of tests too

use std::sync::{Mutex, MutexGuard, PoisonError};

use proofload_api::loadtest::OnLost;
use proofload_api::status::CriterionOutcome;
use proofload_api::{Micros, Outcome, Verdict};
use proofload_conductor::{Action, Conditions, RunnerView, decide};
use proofload_plan::{CellAddress, Compiled, Segment, compile};
use proofload_results::report::CriterionReport;
use proofload_results::server::load_window;
use proofload_results::{
    Cell, Circumstances, EncodedBucket, EndCause, FindingKind, GeneratorRecord, Input, LostRunner, Report, RunnerState,
    Sample, ScenarioProgress, ServerAnswer, Snapshot, SnapshotSet, StopNote, Times, Windows,
};
use serde_json::json;

#[global_allocator]
static ALLOCATOR: cap::Cap<std::alloc::System> = cap::Cap::new(std::alloc::System, usize::MAX);

/// What is held is counted for the whole process: one test after the other, each until it has given back everything.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

const STEPS: usize = 10;
const RUNNERS: u32 = 3;
const MINUTE: u64 = 60_000_000;
/// Between two looks: four are in the shortest window.
const EVERY: u64 = 2;
const HOUR: u64 = 60;
const END: u64 = 72 * HOUR;

/// Three days of one load, and what may end them.
fn compiled() -> Compiled {
    let steps: Vec<_> = (0..STEPS).map(|i| json!({"name": format!("step{i}"), "request": {"path": "/"}})).collect();
    let spec = json!({
        "target": {"baseUrl": "http://t"},
        "scenarios": [{"name": "main", "users": {"stages": [{"to": 30, "hold": "72h", "name": "day"}]}, "steps": steps}],
        "prometheus": {"url": "http://prometheus"},
        "serverMetrics": {"memory": {"query": "memory_bytes"}},
        "criteria": [
            {"expr": "rate(errors) < 10%", "abort": {"window": "10m"}},
            {"expr": "p95(latency) < 1s"},
            {"expr": "slope(server.memory) < 1%/h", "during": "day"},
        ],
        "runners": {"count": RUNNERS},
    });
    compile(&serde_json::from_value(spec).unwrap(), "soak").unwrap()
}

/// What goes wrong, at which minute.
#[derive(Default)]
struct Trouble {
    /// By how many MiB the target's memory grows in an hour, beneath what its collector of garbage makes of it.
    leak: f64,
    /// The last runner is gone from then on.
    lost: Option<u64>,
    /// The operator is gone, and after so long there is one that knows nothing.
    away: Vec<(u64, u64)>,
    /// From then on, each request fails.
    breaks: Option<u64>,
}

/// A runner whose target gets slower: by 20 ms in the first minute, by 40 ms after three days.
struct Runner {
    cells: Vec<Cell>,
    snapshot: Snapshot,
    sent: u64,
}

impl Runner {
    fn new(compiled: &Compiled, index: u32) -> Self {
        let cells = vec![Cell::default(); compiled.plan.layout().len()];
        let snapshot = Snapshot {
            run: compiled.plan.run.clone(),
            segment: Segment::new(index, RUNNERS),
            sequence: 0,
            state: RunnerState::Running,
            clock: 0,
            began: Some(0),
            scenarios: vec![ScenarioProgress { began: Some(0), users: 10, ..ScenarioProgress::default() }],
            cells: cells.iter().map(Cell::encode).collect(),
            timeline: Vec::new(),
            errors: Vec::new(),
            generator: GeneratorRecord::default(),
            variables: Vec::new(),
            stop: None,
        };
        Self { cells, snapshot, sent: 0 }
    }

    /// Ten requests of each of two steps.
    fn works(&mut self, compiled: &Compiled, minute: u64, is_broken: bool) {
        let (now, layout) = (minute * MINUTE, compiled.plan.layout());
        let (outcome, status) = if is_broken { (Outcome::UnexpectedStatus, 503) } else { (Outcome::Ok, 200) };
        let mut latencies = Times::coarse();
        for turn in 0..2 {
            let step = ((minute / EVERY * 2 + turn) % STEPS as u64) as usize;
            let index = layout.index(CellAddress { scenario: 0, step, stage: 0 });
            for i in 0..10 {
                let latency = 20_000 + 20_000 * minute / END + i * 100;
                let (bytes_out, bytes_in, status) = (100, 100, Some(status));
                self.cells[index].record(&Sample {
                    outcome,
                    status,
                    latency,
                    service_time: latency,
                    bytes_out,
                    bytes_in,
                });
                latencies.record(latency);
                self.sent += 1;
            }
            self.snapshot.cells[index] = self.cells[index].encode();
        }
        // In which of the plan's buckets it is: what the looks within one measure is put together in it.
        let place = (((now - 1) / compiled.plan.timeline_width.0) as usize).min(599);
        let timeline = &mut self.snapshot.timeline;
        let errors = |requests| if is_broken { requests } else { 0 };
        if timeline.len() <= place {
            let empty = || EncodedBucket { requests: 0, errors: 0, users: 10, latency: Times::coarse().encode() };
            timeline.resize_with(place + 1, empty);
        }
        let bucket = &mut timeline[place];
        (bucket.requests, bucket.errors, bucket.latency) =
            (bucket.requests + 20, bucket.errors + errors(20), latencies.encode());
        self.snapshot.generator.elapsed = now;
        (self.snapshot.sequence, self.snapshot.clock) = (minute, now);
        if minute == END {
            self.ends(EndCause::Completed);
        }
    }

    fn ends(&mut self, cause: EndCause) {
        self.snapshot.state = RunnerState::Ended(cause);
        let progress = &mut self.snapshot.scenarios[0];
        (progress.ended, progress.users) = (Some(self.snapshot.clock), 0);
    }
}

/// What the operator has in its memory.
struct Operator {
    figures: SnapshotSet,
    windows: Windows,
}

impl Operator {
    fn new(compiled: &Compiled) -> Self {
        Self { figures: SnapshotSet::new(&compiled.plan, RUNNERS), windows: Windows::new(&compiled.criteria) }
    }
}

/// How it came out.
struct Outcomes {
    report: Report,
    /// Requests of each runner.
    sent: Vec<u64>,
    /// The most bytes that were held at a look: in the first hour, and later.
    held: (usize, usize),
    /// The minute of the last look.
    ended: u64,
}

struct Soak {
    compiled: Compiled,
    runners: Vec<Runner>,
    operator: Operator,
    stop: Option<StopNote>,
    trouble: Trouble,
}

impl Soak {
    fn is_lost(&self, index: u32, minute: u64) -> bool {
        index == RUNNERS - 1 && self.trouble.lost.is_some_and(|lost| minute >= lost)
    }

    fn run(trouble: Trouble) -> Outcomes {
        let compiled = compiled();
        let runners = (0..RUNNERS).map(|index| Runner::new(&compiled, index)).collect();
        let (mut of_runners, mut held) = (ALLOCATOR.allocated(), (0, 0));
        let operator = Operator::new(&compiled);
        let mut soak = Self { compiled, runners, operator, stop: None, trouble };
        for minute in (EVERY..=END + EVERY).step_by(EVERY as usize) {
            let before = ALLOCATOR.allocated();
            soak.work(minute);
            of_runners = of_runners + ALLOCATOR.allocated() - before;
            if soak.trouble.away.iter().any(|(from, lasting)| (*from..from + lasting).contains(&minute)) {
                // Whoever comes next has seen nothing.
                soak.operator = Operator::new(&soak.compiled);
                continue;
            }
            if let Some(lost) = soak.look(minute) {
                let report = soak.report(lost);
                let sent = soak.runners.iter().map(|runner| runner.sent).collect();
                return Outcomes { report, sent, held, ended: minute };
            }
            let now = ALLOCATOR.allocated() - of_runners;
            let most = if minute <= HOUR { &mut held.0 } else { &mut held.1 };
            *most = now.max(*most);
        }
        panic!("the run did not end");
    }

    /// Every runner that is there sends its load.
    fn work(&mut self, minute: u64) {
        let is_broken = self.trouble.breaks.is_some_and(|breaks| minute >= breaks);
        for index in 0..RUNNERS {
            let (is_lost, is_over) = (self.is_lost(index, minute), minute > END);
            let runner = &mut self.runners[index as usize];
            if self.stop.is_some() && runner.snapshot.state == RunnerState::Running {
                runner.snapshot.stop.clone_from(&self.stop);
                runner.ends(EndCause::Stopped);
            } else if !is_lost && !is_over && runner.snapshot.state == RunnerState::Running {
                runner.works(&self.compiled, minute, is_broken);
            }
        }
    }

    /// A pass. Returns the runners that are lost once the run is over.
    fn look(&mut self, minute: u64) -> Option<Vec<LostRunner>> {
        let Compiled { plan, criteria, .. } = &self.compiled;
        let there: Vec<u32> = (0..RUNNERS).filter(|index| !self.is_lost(*index, minute)).collect();
        let view = |index: u32| {
            if there.contains(&index) {
                let snapshot = Box::new(self.runners[index as usize].snapshot.clone());
                return RunnerView::Present { snapshot, began_at: None };
            }
            RunnerView::Gone { reason: "OOMKilled, exit code 137".to_owned() }
        };
        let views: Vec<RunnerView> = (0..RUNNERS).map(view).collect();
        for index in there {
            self.operator.figures.insert(self.runners[index as usize].snapshot.clone()).unwrap();
        }
        let seen = self.operator.windows.look(plan, criteria, &self.operator.figures);
        if self.stop.is_none() {
            self.stop = seen;
        }
        let conditions = Conditions {
            plan,
            begun: true,
            waited: Micros(minute * MINUTE),
            start_deadline: Micros::from_secs(120),
            lost_after: Micros::from_secs(20),
            on_lost: OnLost::Inconclusive,
            stop: self.stop.clone(),
            scale: &[],
            figures: &self.operator.figures,
        };
        match decide(&views, &conditions).action {
            Action::Finish(ending) => Some(ending.lost),
            Action::Wait | Action::Stop { .. } => None,
            other => panic!("minute {minute}: {other:?}"),
        }
    }

    /// What Prometheus has of the target's memory for the time under load: as many samples as a runner asks it for.
    fn memory(&self) -> ServerAnswer {
        let (from, to) = load_window(&self.compiled.plan, self.operator.figures.iter()).expect("there was load");
        let sample = |at: u64| {
            let hours = at as f64 / (HOUR * MINUTE) as f64;
            // It fills 40 MiB in 37 minutes, and is then collected.
            let garbage = (hours * 60.0 / 37.0).fract() * 40.0;
            (at, (200.0 + self.trouble.leak * hours + garbage) * f64::from(1 << 20))
        };
        let samples = (0..600).map(|i| sample(from + (to - from) * i / 599)).collect();
        ServerAnswer { name: "memory".to_owned(), samples, error: None }
    }

    fn report(&self, lost: Vec<LostRunner>) -> Report {
        let Compiled { plan, criteria, .. } = &self.compiled;
        let totals = &self.operator.figures.totals(plan);
        let server = vec![self.memory()];
        let stopped = self.stop.as_ref().map(|note| note.reason.clone());
        let aborted = self.stop.as_ref().and_then(|note| note.aborted);
        Report::build(&Input {
            plan,
            criteria,
            spec: &serde_json::Value::Null,
            name: "soak",
            namespace: None,
            start: None,
            runners: RUNNERS,
            totals,
            circumstances: &Circumstances { lost, stopped, aborted, server, ..Circumstances::default() },
            baseline: None,
        })
    }
}

#[test]
fn three_days_with_a_lost_runner_and_two_restarts_end_inconclusive_with_the_leak_found_and_little_held() {
    let _alone = alone();
    let (lost, away) = (30 * HOUR, vec![(20 * HOUR, 10), (50 * HOUR, 10)]);
    let Outcomes { report, sent, held, ended } = Soak::run(Trouble { lost: Some(lost), away, ..Trouble::default() });
    assert_eq!(ended, END);
    assert_eq!(report.verdict, Verdict::Inconclusive, "{}", report.reason);
    assert!(report.reason.contains("unner 2") && report.reason.contains("OOMKilled"), "{}", report.reason);
    // The second restart forgot what the lost runner had measured. Those that are left are counted to the last request.
    let of_two = END / EVERY * 20;
    assert_eq!(sent, [of_two, of_two, (lost / EVERY - 1) * 20]);
    assert_eq!(report.summary.requests, 2 * of_two);
    let drift = report.findings.iter().find(|finding| finding.kind == FindingKind::Drift).expect("the leak is found");
    assert!(
        drift.text.contains("The median of latency of scenario main drifts") && drift.text.contains("in 3d"),
        "{}",
        drift.text
    );
    // Memory that comes and goes is no leak, however often it does; but with a runner less, who knows.
    let memory = criterion_on_memory(&report);
    assert!(memory.observed.is_some_and(|slope| slope.abs() < 0.000_1), "{memory:?}");
    assert_eq!(memory.outcome, CriterionOutcome::Untrusted, "{memory:?}");
    // Buckets of 433 s, 599 of them, and of what is held no more after three days than after one: the latest snapshots.
    assert_eq!((report.timeline.width, report.timeline.buckets.len()), (433_000_000, 599));
    let (of_an_hour, most) = held;
    assert!(most <= of_an_hour + RUNNERS as usize * (1 << 20), "{most} bytes held, in the first hour {of_an_hour}");
    let bytes = report.to_json().len();
    assert!(bytes < 900 << 10, "a report of {bytes} bytes");
}

fn criterion_on_memory(report: &Report) -> &CriterionReport {
    report.criteria.iter().find(|criterion| criterion.expr.contains("server.memory")).expect("it is among the criteria")
}

#[test]
fn memory_that_leaks_for_three_days_beneath_its_garbage_fails_the_run_though_a_runner_was_lost() {
    let _alone = alone();
    let leak = 5.0;
    let (lost, away) = (30 * HOUR, vec![(50 * HOUR, 10)]);
    let Outcomes { report, ended, .. } = Soak::run(Trouble { leak, lost: Some(lost), away, ..Trouble::default() });
    assert_eq!(ended, END);
    // By the hour, of its mean: 200 MiB, half of what was leaked, half of the garbage.
    let mean = 200.0 + leak * 72.0 / 2.0 + 20.0;
    let memory = criterion_on_memory(&report);
    assert_eq!(memory.outcome, CriterionOutcome::Fail, "{memory:?}");
    let observed = memory.observed.expect("there are samples");
    assert!((observed - leak / mean).abs() < 0.01 * leak / mean, "{observed}");
    assert_eq!(report.verdict, Verdict::Failed, "{}", report.reason);
    assert!(report.reason.contains("slope(server.memory) < 1%/h"), "{}", report.reason);
    assert!(report.doubts.iter().any(|doubt| doubt.text.contains("OOMKilled")), "{:?}", report.doubts);
}

#[test]
fn windows_are_judged_anew_after_a_restart_and_a_target_that_breaks_ends_the_run_within_one() {
    let _alone = alone();
    let (restart, breaks) = (60 * HOUR, 60 * HOUR + 4);
    let trouble = Trouble { away: vec![(restart, 2)], breaks: Some(breaks), ..Trouble::default() };
    let Outcomes { report, sent, ended, .. } = Soak::run(trouble);
    // Of the first window after the restart, a good part is bad; one look more ends the runners.
    assert!(ended <= restart + 2 + 10 + 2 * EVERY, "ended in minute {ended}, {} after the restart", ended - restart);
    assert_eq!(report.verdict, Verdict::Failed, "{}", report.reason);
    assert!(report.reason.contains("rate(errors) < 10% did not hold over 10m"), "{}", report.reason);
    assert_eq!(report.summary.requests, sent.iter().sum::<u64>());
}

#[test]
fn the_figures_of_three_days_at_a_hundred_thousand_requests_a_second_are_exact() {
    let _alone = alone();
    let compiled = compiled();
    let plan = &compiled.plan;
    let (bytes_out, bytes_in) = (2_000, 1 << 20);
    let sample = Sample {
        outcome: Outcome::Ok,
        status: Some(200),
        latency: 60_000_000,
        service_time: 60_000_000,
        bytes_out,
        bytes_in,
    };
    // Doubled until it is 2^33 requests on each of three runners: a minute each, a mebibyte each.
    let mut cell = Cell::default();
    cell.record(&sample);
    for _ in 0..33 {
        let half = cell.clone();
        cell.add(&half);
    }
    let mut figures = SnapshotSet::new(plan, RUNNERS);
    for index in 0..RUNNERS {
        let mut runner = Runner::new(&compiled, index);
        runner.snapshot.cells[0] = cell.encode();
        (runner.snapshot.generator.elapsed, runner.snapshot.clock) = (END * MINUTE, END * MINUTE);
        runner.ends(EndCause::Completed);
        figures.insert(Snapshot::decode(&runner.snapshot.encode()).unwrap()).unwrap();
    }
    let totals = figures.totals(plan);
    let circumstances = Circumstances::default();
    let spec = &serde_json::Value::Null;
    let (name, namespace, start, criteria) = ("soak", None, None, &compiled.criteria[..]);
    let totals = &totals;
    let input = Input {
        plan,
        criteria,
        spec,
        name,
        namespace,
        start,
        runners: RUNNERS,
        totals,
        circumstances: &circumstances,
        baseline: None,
    };
    let report = Report::build(&input);
    let requests = 3_u64 << 33;
    let summary = &report.summary;
    assert_eq!((summary.requests, summary.ok, summary.errors), (requests, requests, 0));
    assert_eq!((summary.bytes_out, summary.bytes_in), (requests * bytes_out, requests * bytes_in));
    // About 99,000 a second, each of a minute, as a histogram of three digits has it.
    assert!((summary.rate - requests as f64 / 259_200.0).abs() < 1.0, "{}", summary.rate);
    let p99 = summary.latency.as_ref().unwrap().p99;
    assert!(p99.abs_diff(60_000_000) < 60_000, "{p99}");
}

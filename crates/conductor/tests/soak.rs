//! A day of simulated time: what a conductor holds of a run grows by less than a MiB for each runner
//! after its first hour.
#![allow(clippy::unwrap_used)] // in helpers of tests too

use proofload_api::loadtest::OnLost;
use proofload_api::{Micros, Outcome};
use proofload_conductor::{Action, Conditions, RunnerView, decide};
use proofload_plan::{CellAddress, Compiled, Segment, compile};
use proofload_results::live::{Mark, generator, since, warnings};
use proofload_results::{
    Cell, Circumstances, EncodedBucket, EndCause, GeneratorRecord, Input, Report, RunnerState, Sample,
    ScenarioProgress, Snapshot, SnapshotSet, Times, Windows,
};
use serde_json::json;

#[global_allocator]
static ALLOCATOR: cap::Cap<std::alloc::System> = cap::Cap::new(std::alloc::System, usize::MAX);

const STEPS: usize = 50;
const RUNNERS: u32 = 2;
const MINUTE: u64 = 60_000_000;
const DAY: u64 = 24 * 60;

/// A day of 50 steps in 6 stages of 4 hours each, and a criterion that may end it.
fn compiled() -> Compiled {
    let steps: Vec<_> = (0..STEPS).map(|i| json!({"name": format!("step{i}"), "request": {"path": "/"}})).collect();
    let stages: Vec<_> = (1..=6).map(|users| json!({"to": users * 2, "hold": "4h"})).collect();
    let spec = json!({
        "target": {"baseUrl": "http://t"},
        "scenarios": [{"name": "main", "users": {"stages": stages}, "steps": steps}],
        "criteria": [{"expr": "rate(errors) < 10%", "abort": {"window": "5m"}}, {"expr": "p95(latency) < 1s"}],
        "runners": {"count": RUNNERS},
    });
    compile(&serde_json::from_value(spec).unwrap(), "soak").unwrap()
}

/// A runner that measures a little in every other minute.
struct Runner {
    cells: Vec<Cell>,
    snapshot: Snapshot,
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
            scenarios: vec![ScenarioProgress { began: Some(0), users: 6, ..ScenarioProgress::default() }],
            cells: cells.iter().map(Cell::encode).collect(),
            timeline: Vec::new(),
            errors: Vec::new(),
            generator: GeneratorRecord::default(),
            variables: Vec::new(),
            stop: None,
        };
        Self { cells, snapshot }
    }

    /// Ten requests of each of five steps.
    fn minute(&mut self, compiled: &Compiled, minute: u64) {
        let (now, layout) = ((minute + 1) * MINUTE, compiled.plan.layout());
        let mut latencies = Times::coarse();
        for turn in 0..5 {
            let step = ((minute / 2 * 5 + turn) % STEPS as u64) as usize;
            let stage = (minute / 240) as usize;
            let index = layout.index(CellAddress { scenario: 0, step, stage });
            for i in 0..10 {
                let latency = 1000 + minute * 7919 % 3000 + i;
                let (bytes_out, bytes_in, outcome) = (100, 100, Outcome::Ok);
                let sample = Sample { outcome, status: Some(200), latency, service_time: latency, bytes_out, bytes_in };
                self.cells[index].record(&sample);
                latencies.record(latency);
            }
            self.snapshot.cells[index] = self.cells[index].encode();
        }
        let buckets = (now / compiled.plan.timeline_width.0) as usize;
        let bucket = EncodedBucket { requests: 50, errors: 0, users: 6, latency: latencies.encode() };
        self.snapshot.timeline.resize(buckets.clamp(1, 600), bucket);
        self.snapshot.generator.elapsed = now;
        (self.snapshot.sequence, self.snapshot.clock) = (minute + 1, now);
        if minute + 1 == DAY {
            self.snapshot.state = RunnerState::Ended(EndCause::Completed);
            let progress = &mut self.snapshot.scenarios[0];
            (progress.ended, progress.users) = (Some(now), 0);
        }
    }
}

#[test]
fn what_is_held_of_a_day_grows_by_less_than_a_mebibyte_after_its_first_hour() {
    let compiled = compiled();
    let (plan, criteria) = (&compiled.plan, &compiled.criteria);
    let mut runners: Vec<Runner> = (0..RUNNERS).map(|index| Runner::new(&compiled, index)).collect();
    let (mut figures, mut windows, mut mark) =
        (SnapshotSet::new(plan, RUNNERS), Windows::new(criteria), Mark::default());
    // What the simulated runners hold is theirs.
    let (mut of_runners, mut after_an_hour, mut most) = (ALLOCATOR.allocated(), 0, 0);
    for minute in (1..DAY).step_by(2) {
        let before = ALLOCATOR.allocated();
        for runner in &mut runners {
            runner.minute(&compiled, minute);
        }
        of_runners = of_runners + ALLOCATOR.allocated() - before;
        let view =
            |runner: &Runner| RunnerView::Present { snapshot: Box::new(runner.snapshot.clone()), began_at: None };
        let views: Vec<RunnerView> = runners.iter().map(view).collect();
        let conditions = Conditions {
            plan,
            begun: true,
            waited: Micros((minute + 1) * MINUTE),
            start_deadline: Micros::from_secs(120),
            lost_after: Micros::from_secs(20),
            on_lost: OnLost::Inconclusive,
            stop: None,
            scale: &[],
            figures: &figures,
        };
        let is_over = matches!(decide(&views, &conditions).action, Action::Finish(_));
        assert_eq!(is_over, minute + 1 == DAY, "minute {minute}");
        drop(views);
        for runner in &runners {
            figures.insert(runner.snapshot.clone()).unwrap();
        }
        assert_eq!(windows.look(plan, criteria, &figures), None);
        // All histograms are read for these, so seldom enough for a test.
        if minute % 60 == 59 {
            let warned = warnings(RUNNERS, figures.iter());
            let (live, health) = (since(&mark, &figures, |_| false), generator(&figures, Micros::ZERO, &warned));
            assert_eq!((live.users, health.healthy), (if minute + 1 == DAY { 0 } else { 12 }, true));
        }
        mark = Mark::of(&figures);
        let held = ALLOCATOR.allocated() - of_runners;
        match minute {
            ..60 => after_an_hour = after_an_hour.max(held),
            _ => most = most.max(held),
        }
    }
    // Of each runner there is the latest snapshot, in its compact form: 300 cells and 600 buckets at the end.
    assert!(most <= after_an_hour + RUNNERS as usize * (1 << 20), "{most} bytes held, after an hour {after_an_hour}");
    let report = Report::build(&Input {
        plan,
        criteria,
        spec: &serde_json::Value::Null,
        name: "soak",
        namespace: None,
        start: None,
        runners: RUNNERS,
        totals: &figures.totals(plan),
        circumstances: &Circumstances::default(),
        baseline: None,
    });
    assert_eq!(report.summary.requests, u64::from(RUNNERS) * DAY / 2 * 50);
    assert_eq!(report.doubts, []);
}

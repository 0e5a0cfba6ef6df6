//! A run of 24 hours: 500 runners, 50 steps, 6 stages. Its figures are made up, and as wide as those of a real one:
//! latency over four powers of ten, every bucket of the timeline full, 200 kinds of errors.

use flate2::Compression;
use flate2::write::GzEncoder;
use proofload_api::{LoadTestSpec, Micros, Outcome};
use proofload_plan::{Plan, Segment, compile};
use proofload_results::snapshot::MAX_ERRORS;
use proofload_results::{
    Cell, Circumstances, EncodedBucket, EndCause, ErrorRecord, GeneratorRecord, Input, Report, RunnerState, Sample,
    ScenarioProgress, Snapshot, SnapshotSet, Times,
};
use std::io::Write as _;

const RUNNERS: u32 = 500;
/// One runner in so many has measured something; the others only took part. The report is of their sum.
const ONE_IN: u32 = 25;
const STEPS: u32 = 50;
const DAY: u64 = 86_400_000_000;
const MAX_STORED: usize = 900 << 10;

/// The report as it would be stored.
pub(crate) fn report() -> Report {
    let spec = spec();
    let typed: LoadTestSpec = serde_json::from_value(spec.clone()).expect("a spec");
    let compiled = compile(&typed, "shop/soak").expect("a spec without problems");
    let plan = &compiled.plan;
    let (full, idle) = (snapshot(plan, 1), snapshot(plan, 0));
    let mut set = SnapshotSet::new(plan, RUNNERS);
    for index in 0..RUNNERS {
        let one = if index % ONE_IN == 0 { &full } else { &idle };
        set.insert(Snapshot { segment: Segment::new(index, RUNNERS), ..one.clone() }).expect("a snapshot of this run");
    }
    let input = Input {
        plan,
        criteria: &compiled.criteria,
        spec: &spec,
        name: "soak",
        namespace: Some("shop"),
        start: Some("2026-01-02T03:04:05Z"),
        runners: RUNNERS,
        totals: &set.totals(plan),
        circumstances: &Circumstances::default(),
        baseline: None,
    };
    Report::build_to_fit(&input, |report| packed(report) <= MAX_STORED)
}

/// How many bytes a report takes where it is stored.
pub(crate) fn packed(report: &Report) -> usize {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let written = encoder.write_all(report.to_json().as_bytes()).and_then(|()| encoder.finish());
    written.expect("a vector takes any number of bytes").len()
}

fn spec() -> serde_json::Value {
    let step = |at: u32| {
        serde_json::json!({
            "name": format!("step-{at}"),
            "request": {"method": "POST", "path": format!("/api/v1/orders/{at}?user={{{{user.id}}}}"), "json": {"item": at, "note": "as usual"}},
        })
    };
    let stage = |at: u32| serde_json::json!({"to": 10_000 * at, "hold": "4h", "name": format!("level-{at}")});
    serde_json::json!({
        "description": "A day in the life of the shop.",
        "target": {"baseUrl": "http://shop:8080"},
        "scenarios": [{
            "name": "soak",
            "users": {"stages": (1..=6).map(stage).collect::<Vec<_>>()},
            "steps": (0..STEPS).map(step).collect::<Vec<_>>(),
        }],
        "criteria": [{"expr": "rate(errors) < 1%"}, {"expr": "p99(latency) < 500ms"}],
        "runners": {"count": RUNNERS},
    })
}

/// What a runner has measured; with 0 as seed, nothing.
fn snapshot(plan: &Plan, seed: u64) -> Snapshot {
    const SAMPLES: usize = 2_000;
    let mut random = Random(seed);
    let cell = |_| {
        let mut cell = Cell::default();
        (0..SAMPLES).for_each(|_| cell.record(&random.sample()));
        cell.encode()
    };
    let cells = match seed {
        0 => vec![Cell::default().encode(); plan.layout().len()],
        _ => (0..plan.layout().len()).map(cell).collect(),
    };
    let buckets = DAY.div_ceil(plan.timeline_width.0);
    let bucket = |_| {
        let mut latency = Times::coarse();
        (0..SAMPLES).for_each(|_| latency.record(random.latency()));
        EncodedBucket {
            requests: 1_000 + random.below(50),
            errors: random.below(9),
            users: 100,
            latency: latency.encode(),
        }
    };
    let timeline = if seed == 0 { Vec::new() } else { (0..buckets).map(bucket).collect() };
    let error = |at: usize| ErrorRecord {
        scenario: 0,
        step: at as u32 % STEPS,
        outcome: Outcome::ALL[1 + at % 10],
        message: format!("status 5{at:02}: upstream {} did not answer", at * 7919),
        count: 1 + random.below(100_000),
        first_seen: random.below(DAY),
        last_seen: DAY,
    };
    Snapshot {
        run: plan.run.clone(),
        segment: Segment::new(0, RUNNERS),
        sequence: 1,
        state: RunnerState::Ended(EndCause::Completed),
        clock: DAY,
        began: Some(0),
        scenarios: vec![ScenarioProgress {
            began: Some(0),
            ended: Some(DAY),
            iterations: 86_400,
            ..ScenarioProgress::default()
        }],
        cells,
        timeline,
        errors: (0..MAX_ERRORS).map(error).collect(),
        generator: GeneratorRecord {
            threads: 1,
            cpu: DAY / 5,
            cpu_available: DAY,
            elapsed: DAY,
            memory: 24 << 20,
            ..GeneratorRecord::default()
        },
        variables: Vec::new(),
        stop: None,
    }
}

/// Knuth's MMIX: the same numbers each time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    /// From 100 us to 1 s, short ones more often.
    fn latency(&mut self) -> u64 {
        let power = (self.below(10_000) as f64 / 10_000.0).powi(2);
        Micros((100.0 * 10_f64.powf(4.0 * power)) as u64).0
    }

    fn sample(&mut self) -> Sample {
        let latency = self.latency();
        let (outcome, status) =
            if self.below(200) == 0 { (Outcome::UnexpectedStatus, 503) } else { (Outcome::Ok, 200) };
        Sample { outcome, status: Some(status), latency, service_time: latency, bytes_out: 300, bytes_in: 900 }
    }
}

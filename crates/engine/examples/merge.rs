//! The answers of many runners become one result: how long that takes, and how much memory.
//!
//! `merge RUNNERS [STEPS] [BUCKETS] [TIMES]`, of a run of STEPS steps whose timeline has BUCKETS buckets, TIMES times over.
//! What is timed is what a conductor does with answers as they come over the wire: decode, insert into the set, sum up.
//! Prints one line of JSON of the last time; times in microseconds, memory in bytes.

use std::error::Error;
use std::time::{Duration, Instant};

use proofload_api::{LoadTestSpec, Outcome};
use proofload_plan::{Plan, Segment, compile};
use proofload_results::cell::Sample;
use proofload_results::snapshot::{EncodedBucket, GeneratorRecord, ScenarioProgress};
use proofload_results::{Cell, EndCause, RunnerState, Snapshot, SnapshotSet, Times};
use serde_json::{Value, json};

/// Requests of each runner in each step: enough that histograms are as full as in a long run.
const SAMPLES: u64 = 2000;
/// Requests of each runner in a second of the timeline.
const A_SECOND: u64 = 100;

/// Runners that answer differently; the others answer as these do.
const DIFFERENT: u32 = 10;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().collect();
    let number = |at: usize, default: u32| args.get(at).map_or(Ok(default), |text| text.parse());
    let runners = number(1, 500)?;
    let (steps, buckets, times) = (number(2, 50)?, number(3, 600)?, number(4, 1)?);
    let plan = plan(steps, buckets)?;
    let mut answers: Vec<Snapshot> = (0..DIFFERENT).map(|index| answer(&plan, index, buckets)).collect();
    let mut report = json!({});
    for _ in 0..times {
        report = merge(&plan, runners, &mut answers)?;
    }
    println!("{report}");
    Ok(())
}

fn merge(plan: &Plan, runners: u32, answers: &mut [Snapshot]) -> Result<Value, Box<dyn Error>> {
    let mut set = SnapshotSet::new(plan, runners);
    let (mut decoding, mut bytes) = (Duration::ZERO, 0);
    let before = memory("VmRSS:")?;
    for index in 0..runners {
        // The runner's part, which takes the conductor no time.
        let answer = &mut answers[(index % DIFFERENT) as usize];
        answer.segment = Segment::new(index, runners);
        let encoded = answer.encode();
        bytes += encoded.len();
        let begin = Instant::now();
        set.insert(Snapshot::decode(&encoded)?)?;
        decoding += begin.elapsed();
    }
    let held = memory("VmRSS:")? - before;
    let begin = Instant::now();
    let totals = set.totals(plan);
    let summing = begin.elapsed();
    Ok(json!({
        "runners": runners,
        "bytes": bytes,
        "decode": decoding.as_micros() as u64,
        "sum": summing.as_micros() as u64,
        "all": (decoding + summing).as_micros() as u64,
        "held": held,
        "memory": memory("VmHWM:")?,
        "requests": totals.requests(),
    }))
}

/// One scenario of so many steps, whose timeline has a bucket for each second.
fn plan(steps: u32, buckets: u32) -> Result<Plan, Box<dyn Error>> {
    let steps: Vec<_> = (0..steps)
        .map(|step| json!({"name": format!("step-{step}"), "request": {"path": format!("/{step}")}}))
        .collect();
    let spec: LoadTestSpec = serde_json::from_value(json!({
        "target": {"baseUrl": "http://target:8080"},
        "scenarios": [{
            "name": "shop",
            "users": {"stages": [{"to": 10_000, "hold": format!("{buckets}s")}]},
            "steps": steps,
        }],
    }))?;
    Ok(compile(&spec, "merge").map_err(|problems| format!("{problems:?}"))?.plan)
}

/// Numbers that look random and are the same everywhere (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A latency as of a service: most about 2 ms, a tail that doubles at the price of half as many.
    fn latency(&mut self) -> u64 {
        let tail = self.next().trailing_zeros().min(9);
        (500 + self.next() % 3000) << tail
    }
}

fn answer(plan: &Plan, index: u32, buckets: u32) -> Snapshot {
    let mut numbers = Numbers(u64::from(index));
    let mut cell = |_| {
        let mut cell = Cell::default();
        for _ in 0..SAMPLES {
            let latency = numbers.latency();
            let (outcome, status) = match latency % 200 {
                0 => (Outcome::UnexpectedStatus, 503),
                _ => (Outcome::Ok, 200),
            };
            let service_time = latency - latency / 10;
            cell.record(&Sample {
                outcome,
                status: Some(status),
                latency,
                service_time,
                bytes_out: 100,
                bytes_in: 500,
            });
        }
        cell.encode()
    };
    let cells = (0..plan.layout().len()).map(&mut cell).collect();
    let mut bucket = |_| {
        let mut latency = Times::coarse();
        (0..A_SECOND).for_each(|_| latency.record(numbers.latency()));
        EncodedBucket { requests: A_SECOND, errors: 1, users: 20, latency: latency.encode() }
    };
    let timeline = (0..buckets).map(&mut bucket).collect();
    let mut lateness = Times::new();
    (0..SAMPLES).for_each(|_| lateness.record(numbers.next() % 200));
    let elapsed = u64::from(buckets) * 1_000_000;
    Snapshot {
        run: plan.run.clone(),
        segment: Segment::WHOLE,
        sequence: 1,
        state: RunnerState::Ended(EndCause::Completed),
        clock: elapsed,
        began: Some(0),
        scenarios: vec![ScenarioProgress { began: Some(0), ended: Some(elapsed), ..ScenarioProgress::default() }],
        cells,
        timeline,
        errors: Vec::new(),
        generator: GeneratorRecord { threads: 1, elapsed, lateness: lateness.encode(), ..GeneratorRecord::default() },
        variables: Vec::new(),
        stop: None,
    }
}

/// What this process has resident now, or has had at most, in bytes.
fn memory(name: &str) -> Result<u64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("/proc/self/status tells memory")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

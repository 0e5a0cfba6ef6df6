//! What is held of a long run, and that packing it away loses nothing.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use proofload_api::Outcome;
use proofload_plan::{Plan, compile};
use proofload_results::Sample;
use serde_json::json;

use super::*;
use crate::ALLOCATOR;
use crate::materials::Materials;
use crate::recorder::{Finished, Recorder};

const STEPS: usize = 50;

/// A day of 50 steps in 6 stages of 4 hours each.
fn plan() -> Plan {
    let steps: Vec<_> = (0..STEPS).map(|i| json!({"name": format!("step{i}"), "request": {"path": "/"}})).collect();
    let stages: Vec<_> = (1..=6).map(|users| json!({"to": users, "hold": "4h"})).collect();
    let spec = json!({
        "target": {"baseUrl": "http://127.0.0.1:1"},
        "scenarios": [{"name": "main", "users": {"stages": stages}, "steps": steps}],
    });
    compile(&serde_json::from_value(spec).unwrap(), "soak").unwrap().plan
}

/// A run in simulated time, which one thread records.
struct Simulated {
    script: Arc<Script>,
    recorder: Recorder,
    collector: Collector,
    begin: Instant,
    requests: u64,
}

impl Simulated {
    fn new() -> Self {
        let script = Arc::new(Script::new(Arc::new(plan()), Arc::new(Materials::default())).unwrap());
        let (_, inbox) = mpsc::unbounded_channel();
        let mut recorder = Recorder::new(Arc::clone(&script), Arc::default());
        let begin = Instant::now();
        recorder.begin(begin);
        Self { collector: Collector::new(&script, 1, inbox), script, recorder, begin, requests: 0 }
    }

    /// A minute with a request each second, of five steps in turn, and what was measured handed over at its end. One
    /// request in a hundred fails.
    fn minute(&mut self, minute: u64) {
        let at = |second| self.begin + Duration::from_secs(second);
        for second in minute * 60..(minute + 1) * 60 {
            self.requests += 1;
            let step = ((minute * 5 + second % 5) % STEPS as u64) as usize;
            let latency = 1000 + self.requests.wrapping_mul(6_364_136_223_846_793_005) % 3_000;
            let outcome = if self.requests.is_multiple_of(100) { Outcome::Reset } else { Outcome::Ok };
            let failure = crate::failure::Failure::closed(false).detail;
            self.recorder.record(&Finished {
                scenario: 0,
                step,
                cell: self.script.tracks[0].cell(step, Micros::from_secs(second)),
                sample: Sample { outcome, status: None, latency, service_time: latency, bytes_out: 100, bytes_in: 100 },
                lateness: Micros(latency / 100),
                end: at(second),
                detail: outcome.is_error().then_some(&failure),
                checks: &[],
            });
        }
        let delta = self.recorder.take(at(minute * 60 + 59), false);
        let (thread, ticket, extracted) = (0, minute, Vec::new());
        self.collector.add(Report { thread, ticket, has_ended: false, is_complete: false, extracted, delta });
    }

    /// What a snapshot is made of.
    fn snapshot(&mut self) -> (Vec<EncodedCell>, Vec<EncodedBucket>, Vec<ErrorRecord>) {
        (self.collector.cells(), self.collector.timeline(), self.collector.errors(Micros::from_secs(30)))
    }
}

#[test]
fn what_is_held_of_a_day_grows_by_less_than_a_mebibyte_after_its_first_hour() {
    const ALONE: &str = "PROOFLOAD_TEST_ALONE";
    if std::env::var_os(ALONE).is_none() {
        // Other tests of this process allocate, too.
        let name = std::thread::current().name().unwrap().to_owned();
        let mut alone = Command::new(std::env::current_exe().unwrap());
        let output = alone.args(["--exact", &name, "--nocapture"]).env(ALONE, "1").output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let mut run = Simulated::new();
    let (mut after_an_hour, mut most) = (0, 0);
    for minute in 0..24 * 60 {
        run.minute(minute);
        drop(run.snapshot());
        let held = ALLOCATOR.allocated();
        match minute {
            ..60 => after_an_hour = after_an_hour.max(held),
            _ => most = most.max(held),
        }
    }
    let (cells, timeline, errors) = run.snapshot();
    let requests: u64 = cells.iter().map(EncodedCell::requests).sum();
    assert_eq!((requests, timeline.iter().map(|bucket| bucket.requests).sum()), (run.requests, run.requests));
    assert_eq!((cells.len(), errors.iter().map(|error| error.count).sum()), (STEPS * 6, run.requests / 100));
    // What is packed away stays: 300 cells and 600 buckets, 23 MiB if they were not. Of the 48 MiB that a runner is given
    // at least, this is 2%.
    assert!(most <= after_an_hour + (1 << 20), "{most} bytes held, after an hour {after_an_hour}");
}

#[test]
fn what_was_packed_away_is_added_to_all_the_same() {
    let (mut often, mut once) = (Simulated::new(), Simulated::new());
    for minute in 0..30 {
        often.minute(minute);
        once.minute(minute);
        // Each step has its turn every ten minutes, so that most are packed away when it comes.
        drop(often.snapshot());
    }
    let decoded =
        |mut run: Simulated| -> Vec<_> { run.collector.cells().iter().map(|cell| cell.decode().unwrap()).collect() };
    let latencies = |run: &mut Simulated| -> Vec<_> {
        let timeline = run.collector.timeline();
        timeline.iter().map(|one| (one.requests, one.users, one.latency.decode(TIMELINE_DIGITS).unwrap())).collect()
    };
    assert_eq!(latencies(&mut often), latencies(&mut once));
    assert_eq!(decoded(often), decoded(once));
}

//! The generator's own health: nothing is warned of that is not, over twenty runs; and what is, is found.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::{arrivals, block_on, launch, plan, scenario, users};
use proofload_api::units::Micros;
use proofload_engine::Options;
use proofload_plan::{Plan, Segment, ThinkTime};
use proofload_results::health::MAX_LATENESS_P99;
use proofload_results::live::warnings;
use proofload_results::{Circumstances, Snapshot, SnapshotSet, StrainKind, doubts};
use proofload_target::TestTarget;

/// Executes a plan, asking each 200 ms as a conductor does; what was warned of, and the last snapshot.
fn conducted(plan: &Plan, threads: usize) -> (Vec<(StrainKind, String)>, Snapshot) {
    let engine = launch(plan, Segment::WHOLE, threads);
    let mut warned: Vec<(StrainKind, String)> = Vec::new();
    let all: Vec<usize> = (0..plan.scenarios.len()).collect();
    engine.begin(&all, Instant::now(), &[]);
    block_on(async {
        while !engine.has_ended() {
            let snapshot = engine.snapshot().await;
            for strain in warnings(1, [&snapshot]) {
                if !warned.iter().any(|(kind, _)| *kind == strain.kind) {
                    warned.push((strain.kind, strain.text));
                }
            }
            let _ = tokio::time::timeout(Duration::from_millis(200), engine.ended()).await;
        }
        (warned, engine.snapshot().await)
    })
}

/// Whether this machine lets a thread wait, until told to end: the longest that it took too long to wake up again.
fn longest_pause(until: &AtomicBool, longest: &AtomicU64) {
    const NAP: Duration = Duration::from_millis(1);
    while !until.load(Ordering::Relaxed) {
        let begin = Instant::now();
        std::thread::park_timeout(NAP);
        let pause = Micros::from(begin.elapsed().saturating_sub(NAP)).0;
        longest.fetch_max(pause, Ordering::Relaxed);
    }
}

/// Executes a plan; whether the machine was at rest meanwhile, as another thread saw it.
fn watched(plan: &Plan) -> (Vec<(StrainKind, String)>, Snapshot, bool) {
    let (until, longest) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let probe = {
        let (until, longest) = (Arc::clone(&until), Arc::clone(&longest));
        std::thread::spawn(move || longest_pause(&until, &longest))
    };
    let (warned, snapshot) = conducted(plan, Options::default().threads);
    until.store(true, Ordering::Relaxed);
    assert!(probe.join().is_ok(), "the probe only waits");
    (warned, snapshot, longest.load(Ordering::Relaxed) < MAX_LATENESS_P99.0 / 2)
}

#[test]
fn twenty_healthy_runs_leave_no_doubt_and_no_warning() {
    let target = TestTarget::start().unwrap();
    let mut resting = scenario("resting", users(&[(20, 20, 500)]), &["/fast"]);
    resting.think_time = Some(ThinkTime::Uniform { min: Micros::from_millis(50), max: Micros::from_millis(100) });
    let plan = plan(target.address(), vec![scenario("steady", arrivals(200, 500, 50), &["/fast"]), resting]);
    // A machine that does not run its threads for tens of milliseconds is none to be healthy on: what it spoils is rightly
    // in doubt, and not counted here.
    let (mut healthy, deadline) = (0, Instant::now() + Duration::from_mins(1));
    while healthy < 20 {
        let (warned, snapshot, is_at_rest) = watched(&plan);
        assert!(Instant::now() < deadline, "{healthy} runs on a machine at rest");
        if !is_at_rest {
            continue;
        }
        assert_eq!(warned, []);
        let mut set = SnapshotSet::new(&plan, 1);
        set.insert(snapshot).unwrap();
        assert_eq!(doubts(&plan, 1, &set.totals(&plan), &Circumstances::default()), []);
        healthy += 1;
    }
}

#[test]
fn a_run_with_whole_windows_that_keeps_up_is_not_warned_of() {
    let target = TestTarget::start().unwrap();
    let plan = plan(target.address(), vec![scenario("steady", arrivals(100, 11_500, 50), &["/fast"])]);
    let (warned, snapshot, _) = watched(&plan);
    assert_eq!(warned, []);
    let worst = snapshot.generator.worst;
    assert!(worst.cpu.whole >= 10_000_000 && worst.cpu.part > 0, "{worst:?}");
    assert!(worst.thread.part > 0 && worst.files.part > 3 && worst.memory.part > 0, "{worst:?}");
    assert_eq!(snapshot.generator.recent, proofload_results::Pressure::default(), "it is over");
}

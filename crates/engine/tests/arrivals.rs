//! An open model: iterations begin when they are due, whoever is free, and each arrival is begun or dropped.

mod common;

use std::time::{Duration, Instant};

use common::{arrivals, block_on, ended, execute, launch, outcomes, plan, rates, scenario, total, wait_for};
use proofload_api::Outcome;
use proofload_api::criterion::Ended;
use proofload_api::units::Micros;
use proofload_plan::{CellAddress, Plan, Segment};
use proofload_results::{EndCause, RunnerState, Snapshot};
use proofload_target::TestTarget;

/// All segments of a plan at once, each by an engine of its own.
fn execute_all(plan: &Plan, runners: u32, threads: usize) -> Vec<Snapshot> {
    std::thread::scope(|scope| {
        let one = |segment| scope.spawn(move || execute(plan, segment, threads));
        let running: Vec<_> = Segment::all(runners).map(one).collect();
        running.into_iter().map(|thread| thread.join().expect("a run without a panic")).collect()
    })
}

fn sum(snapshots: &[Snapshot], count: impl Fn(&proofload_results::ScenarioProgress) -> u64) -> u64 {
    snapshots.iter().map(|snapshot| count(&snapshot.scenarios[0])).sum()
}

#[test]
fn three_hundred_a_second_for_two_seconds_are_six_hundred() {
    let target = TestTarget::start().unwrap();
    let plan = plan(target.address(), vec![scenario("one", arrivals(300, 2000, 600), &["/"])]);
    for (runners, threads) in [(3, 1), (2, 2)] {
        target.clear();
        let snapshots = execute_all(&plan, runners, threads);
        assert_eq!(target.counts().requests, 600, "{runners} runners of {threads} threads");
        assert_eq!((sum(&snapshots, |p| p.iterations), sum(&snapshots, |p| p.dropped)), (600, 0));
        assert!(snapshots.iter().all(Snapshot::is_complete));
        let each: Vec<u64> = snapshots.iter().map(|snapshot| total(snapshot).requests()).collect();
        assert!(each.iter().all(|count| *count == 600 / u64::from(runners)), "{each:?}");
        // A fast target needs few users, and so few connections.
        assert!(target.counts().connections.accepted < 300, "{:?}", target.counts().connections);
        let ended: Vec<_> = snapshots.iter().map(|snapshot| snapshot.scenarios[0].ended).collect();
        assert!(ended.iter().all(|ended| *ended >= Some(2_000_000)), "{ended:?}");
    }
}

#[test]
fn stages_have_their_arrivals_exactly() {
    let target = TestTarget::start().unwrap();
    // 0 to 200/s in half a second, 200/s, down to 40/s: 50, 60 and 48.
    let load = rates(&[(0, 200, 500), (200, 200, 300), (200, 40, 400)], 200);
    let plan = plan(target.address(), vec![scenario("one", load, &["/"])]);
    let snapshots = execute_all(&plan, 3, 1);
    let layout = plan.layout();
    let of_stage = |stage| -> u64 {
        let cell = layout.index(CellAddress { scenario: 0, step: 0, stage });
        snapshots.iter().map(|snapshot| snapshot.cells[cell].decode().unwrap().count(Outcome::Ok)).sum()
    };
    assert_eq!([of_stage(0), of_stage(1), of_stage(2)], [50, 60, 48]);
    assert_eq!(target.counts().requests, 158);
}

#[test]
fn an_arrival_that_finds_nobody_free_is_dropped() {
    let target = TestTarget::start().unwrap();
    // Each of the two users is busy for 400 ms, twice in a second: 100 arrivals, of which a few are begun.
    let plan = plan(target.address(), vec![scenario("one", arrivals(100, 1000, 2), &["/delay/400"])]);
    let snapshots = execute_all(&plan, 2, 4);
    let (begun, dropped) = (sum(&snapshots, |p| p.iterations), sum(&snapshots, |p| p.dropped));
    assert_eq!(begun + dropped, 100);
    let counted: u64 = snapshots.iter().map(|snapshot| total(snapshot).dropped).sum();
    assert_eq!(counted, dropped, "each in the cell of its stage");
    assert!((4..=6).contains(&begun), "{begun}");
    assert_eq!((target.counts().requests, target.counts().in_flight.max), (begun, 2));
    // Whoever is free begins at once: nothing waits for a user.
    for snapshot in &snapshots {
        let (_, most, ..) = total(snapshot).latency(Ended::Answered).extremes();
        assert!(most < 790_000, "{most}");
        assert_eq!(snapshot.generator.threads, 1, "no more threads than users");
    }
}

#[test]
fn a_segment_without_a_user_drops_its_arrivals() {
    let target = TestTarget::start().unwrap();
    let plan = plan(target.address(), vec![scenario("one", arrivals(100, 200, 1), &["/"])]);
    let snapshot = execute(&plan, Segment::new(1, 2), 2);
    assert_eq!((snapshot.scenarios[0].dropped, target.counts().requests, snapshot.is_complete()), (10, 0, true));
}

#[test]
fn iterations_under_way_have_their_grace_and_are_cut_then() {
    let target = TestTarget::start().unwrap();
    let mut plan = plan(target.address(), vec![scenario("one", arrivals(50, 200, 50), &["/delay/300", "/hang"])]);
    plan.scenarios[0].graceful_stop = Micros::from_millis(600);
    let snapshot = execute(&plan, Segment::WHOLE, 2);
    let progress = &snapshot.scenarios[0];
    // All second requests begin after the end of the load, and hang until they are cut off.
    assert_eq!(outcomes(&total(&snapshot)), [(Outcome::Ok, 10), (Outcome::Interrupted, 10)]);
    assert_eq!((progress.iterations, progress.cut_iterations, progress.dropped), (0, 10, 0));
    let ended = Duration::from_micros(progress.ended.unwrap());
    assert!((Duration::from_millis(800)..Duration::from_secs(5)).contains(&ended), "{ended:?}");
    assert_eq!(snapshot.state, RunnerState::Ended(EndCause::Completed));
}

#[test]
fn without_grace_requests_under_way_finish_and_no_further_one_begins() {
    let target = TestTarget::start().unwrap();
    let plan = plan(target.address(), vec![scenario("one", arrivals(50, 200, 50), &["/delay/300", "/never"])]);
    let snapshot = execute(&plan, Segment::WHOLE, 1);
    assert_eq!(outcomes(&total(&snapshot)), [(Outcome::Ok, 10)]);
    assert_eq!((snapshot.scenarios[0].iterations, snapshot.scenarios[0].cut_iterations), (0, 10));
}

#[test]
fn a_stop_ends_arrivals() {
    let target = TestTarget::start().unwrap();
    let plan = plan(target.address(), vec![scenario("one", arrivals(200, 60_000, 400), &["/hang"])]);
    block_on(async {
        let engine = launch(&plan, Segment::WHOLE, 2);
        engine.begin(&[0], Instant::now(), &[]);
        wait_for("some to hang", || target.counts().action("hang") > 20).await;
        let stopped = Instant::now();
        engine.stop(EndCause::Stopped, None);
        ended(&engine).await;
        assert!(stopped.elapsed() < Duration::from_secs(1), "{:?}", stopped.elapsed());
        let snapshot = engine.snapshot().await;
        assert_eq!(outcomes(&total(&snapshot)), [(Outcome::Interrupted, target.counts().requests)]);
    });
}

#[test]
fn a_target_that_stalls_is_not_spared() {
    let target = TestTarget::start().unwrap();
    // One user would wait 300 ms for each answer. Arrivals do not: the rate is kept, by more users.
    let mut plan = plan(target.address(), vec![scenario("one", arrivals(100, 1000, 100), &["/delay/300"])]);
    plan.scenarios[0].graceful_stop = Micros::from_secs(5);
    let snapshot = execute(&plan, Segment::WHOLE, 2);
    assert_eq!((total(&snapshot).count(Outcome::Ok), snapshot.scenarios[0].dropped), (100, 0));
    assert!((25..=100).contains(&target.counts().connections.accepted), "{:?}", target.counts().connections);
    let (least, ..) = total(&snapshot).latency(Ended::Answered).extremes();
    assert!(least >= 299_000, "{least}");
}

#[test]
fn an_arrival_whose_user_is_not_ready_before_the_end_is_dropped() {
    let target = TestTarget::start().unwrap();
    // Each arrival has a user of its own, which first does something that takes longer than all of the load.
    let mut plan = plan(target.address(), vec![scenario("one", arrivals(50, 200, 50), &["/delay/400", "/"])]);
    plan.scenarios[0].on_start = 1;
    plan.scenarios[0].flow.nodes.remove(0);
    let snapshot = execute(&plan, Segment::WHOLE, 2);
    let progress = &snapshot.scenarios[0];
    assert_eq!((progress.iterations, progress.cut_iterations, progress.dropped), (0, 0, 10));
    assert_eq!((total(&snapshot).dropped, target.counts().requests), (10, 10));
}

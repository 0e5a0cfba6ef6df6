//! The load is the plan's: users come and go along the curve, work is done exactly, segments add up.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use common::{block_on, ended, execute, iterations, launch, plan, scenario, total, users, wait_for};
use proofload_api::Outcome;
use proofload_api::units::Micros;
use proofload_engine::{Engine, EngineError, Options};
use proofload_plan::{CellAddress, Connections, Plan, Segment, ThinkTime};
use proofload_results::{EndCause, RunnerState};
use proofload_target::TestTarget;

#[test]
fn iterations_are_exact_in_any_number_of_segments_and_threads() {
    let target = TestTarget::start().unwrap();
    let plan = plan(target.address(), vec![scenario("one", iterations(7, 5), &["/a", "/b"])]);
    for (runners, threads) in [(1, 1), (1, 3), (3, 2), (8, 1)] {
        target.clear();
        let snapshots: Vec<_> = Segment::all(runners).map(|segment| execute(&plan, segment, threads)).collect();
        assert_eq!(snapshots.iter().map(|s| s.scenarios[0].iterations).sum::<u64>(), 35);
        assert_eq!(snapshots.iter().map(|s| total(s).count(Outcome::Ok)).sum::<u64>(), 70);
        assert!(snapshots.iter().all(|s| s.state == RunnerState::Ended(EndCause::Completed)));
        let by_path: Vec<_> = target.counts().by_path.into_values().collect();
        assert_eq!(by_path, [35, 35], "{runners} runners of {threads} threads");
    }
}

#[test]
fn users_come_and_go_along_the_curve() {
    let target = TestTarget::start().unwrap();
    let mut plan =
        plan(target.address(), vec![scenario("one", users(&[(1, 1, 200), (5, 5, 200), (2, 2, 200)]), &["/"])]);
    plan.scenarios[0].think_time =
        Some(ThinkTime::Uniform { min: Micros::from_millis(5), max: Micros::from_millis(10) });
    let snapshot = execute(&plan, Segment::WHOLE, 2);
    let counts = target.counts();
    assert_eq!((counts.connections.accepted, counts.connections.max_open), (5, 5));
    assert_eq!(counts.requests, total(&snapshot).requests());
    let at_work: Vec<u32> = snapshot.timeline.iter().map(|bucket| bucket.users).collect();
    // A bucket has the most users of its time, so that the one after a change may still have those before it.
    assert_eq!((at_work[0], at_work[3], at_work[5]), (1, 5, 2), "{at_work:?}");
    let layout = plan.layout();
    let of_stage = |stage| &snapshot.cells[layout.index(CellAddress { scenario: 0, step: 0, stage })];
    let requests: Vec<u64> = (0..3).map(|stage| of_stage(stage).outcomes.iter().sum()).collect();
    assert!(requests[1] > requests[0] && requests[1] > requests[2] && requests[2] > 0, "{requests:?}");
    let progress = snapshot.scenarios[0].clone();
    assert_eq!((progress.users, progress.began), (0, Some(0)));
    assert!(progress.ended >= Some(600_000) && progress.iterations == counts.requests, "{progress:?}");
}

#[test]
fn a_segment_without_users_ends_when_the_plan_does() {
    let target = TestTarget::start().unwrap();
    let curve = plan(target.address(), vec![scenario("one", users(&[(1, 1, 150)]), &["/"])]);
    let snapshot = execute(&curve, Segment::new(1, 2), 2);
    assert!(snapshot.scenarios[0].ended >= Some(150_000) && snapshot.is_complete(), "{snapshot:?}");
    let work = plan(target.address(), vec![scenario("one", iterations(1, 1), &["/"])]);
    let snapshot = execute(&work, Segment::new(1, 2), 2);
    assert!(snapshot.scenarios[0].ended < Some(10_000_000) && snapshot.is_complete(), "{snapshot:?}");
    assert_eq!(target.counts().requests, 0);
}

/// How often each path was asked for.
fn drawn(plan: &Plan, target: &TestTarget, runners: u32) -> BTreeMap<String, u64> {
    target.clear();
    Segment::all(runners).for_each(|segment| drop(execute(plan, segment, 2)));
    target.counts().by_path
}

#[test]
fn weighted_draws_follow_from_the_seed() {
    let target = TestTarget::start().unwrap();
    let mut plan = plan(target.address(), vec![scenario("one", iterations(9, 60), &["/a", "/b", "/never"])]);
    plan.scenarios[0].flow.weights = Some(vec![3, 1, 0]);
    let first = drawn(&plan, &target, 1);
    assert_eq!(first, drawn(&plan, &target, 3));
    assert_eq!(first.values().sum::<u64>(), 540);
    assert!((350..460).contains(&first["/a"]) && !first.contains_key("/never"), "{first:?}");
    plan.seed += 1;
    assert_ne!(first, drawn(&plan, &target, 1));
}

#[test]
fn a_scenario_after_another_waits_until_it_is_told() {
    let target = TestTarget::start().unwrap();
    let mut plan = plan(
        target.address(),
        vec![scenario("one", iterations(2, 3), &["/a"]), scenario("two", iterations(2, 3), &["/b"])],
    );
    plan.scenarios[1].after = Some(0);
    block_on(async {
        let engine = launch(&plan, Segment::WHOLE, 2);
        assert_eq!(engine.snapshot().await.state, RunnerState::Waiting);
        engine.begin(&[0], Instant::now(), &[]);
        engine.begin(&[0], Instant::now(), &[]);
        wait_for("the first scenario", || target.counts().by_path.get("/a") == Some(&6)).await;
        let first = loop {
            let snapshot = engine.snapshot().await;
            if snapshot.scenarios[0].ended.is_some() {
                break snapshot;
            }
        };
        assert_eq!((first.state, first.scenarios[1].began), (RunnerState::Running, None));
        engine.begin(&[1], Instant::now(), &[]);
        ended(&engine).await;
        let last = engine.snapshot().await;
        assert_eq!((last.state, total(&last).requests()), (RunnerState::Ended(EndCause::Completed), 12));
        assert!(last.sequence > first.sequence && last.scenarios[1].began > first.scenarios[0].ended);
    });
}

#[test]
fn every_snapshot_holds_the_ones_before() {
    let target = TestTarget::start().unwrap();
    let plan = plan(target.address(), vec![scenario("one", users(&[(4, 4, 300)]), &["/a", "/status/500"])]);
    block_on(async {
        let engine = launch(&plan, Segment::WHOLE, 2);
        engine.begin(&[0], Instant::now(), &[]);
        let mut before = engine.snapshot().await;
        while !engine.has_ended() {
            // One that nobody waits for takes nothing away.
            drop(tokio::time::timeout(std::time::Duration::ZERO, engine.snapshot()).await);
            let now = engine.snapshot().await;
            assert!(now.sequence > before.sequence);
            for (cell, earlier) in now.cells.iter().zip(&before.cells) {
                let (cell, earlier) = (cell.decode().unwrap(), earlier.decode().unwrap());
                assert!(cell.requests() >= earlier.requests());
                assert!(cell.service_time.since(&earlier.service_time).is_some());
            }
            before = now;
        }
        let last = engine.snapshot().await;
        let counts = target.counts();
        assert_eq!(total(&last).requests(), counts.requests);
        assert_eq!(last.errors[0].count, counts.action("status-500"));
        assert_eq!(last.generator.lateness.decode(3).unwrap().count(), counts.requests);
        assert!(last.generator.cpu > 0 && last.generator.memory > 0 && last.generator.elapsed >= 300_000);
    });
}

#[test]
fn shared_connections_are_never_more_than_planned() {
    let target = TestTarget::start().unwrap();
    let mut plan = plan(target.address(), vec![scenario("one", iterations(30, 5), &["/delay/2"])]);
    plan.target.connections = Connections::Shared { count: 5, streams: 1 };
    std::thread::scope(|scope| {
        for segment in Segment::all(2) {
            let plan = &plan;
            scope.spawn(move || assert_eq!(total(&execute(plan, segment, 4)).count(Outcome::Ok), 75));
        }
    });
    let counts = target.counts();
    assert_eq!((counts.requests, counts.connections.accepted, counts.in_flight.max), (150, 5, 5));
    let error = Engine::launch(plan.into(), Segment::new(5, 6), Options { threads: 1 }, Arc::default()).unwrap_err();
    assert!(matches!(error, EngineError::NoConnection { connections: 5, .. }), "{error}");
}

#[test]
fn a_user_may_have_several_connections() {
    let target = TestTarget::start().unwrap();
    let mut plan = plan(target.address(), vec![scenario("one", iterations(2, 12), &["/"])]);
    plan.target.connections = Connections::PerUser(3);
    assert_eq!(total(&execute(&plan, Segment::WHOLE, 1)).count(Outcome::Ok), 24);
    assert_eq!(target.counts().connections.accepted, 6);
}

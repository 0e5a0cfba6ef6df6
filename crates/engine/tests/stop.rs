//! A stop ends all load within a second, and everything sent is still counted.

mod common;

use std::time::{Duration, Instant};

use common::{DEADLINE, block_on, ended, iterations, launch, outcomes, plan, scenario, total, users, wait_for};
use proofload_api::Outcome;
use proofload_plan::{Connections, Role, Segment, ThinkTime};
use proofload_results::{EndCause, RunnerState, StopNote};
use proofload_target::TestTarget;

#[test]
fn requests_that_hang_are_cut_off_and_counted_as_interrupted() {
    let target = TestTarget::start().unwrap();
    let mut plan = plan(target.address(), vec![scenario("one", iterations(6, 5), &["/fast", "/hang"])]);
    plan.target.timeout = DEADLINE.into();
    block_on(async {
        let engine = launch(&plan, Segment::WHOLE, 2);
        engine.begin(&[0], Instant::now(), &[]);
        wait_for("six requests to hang", || target.counts().action("hang") == 6).await;
        let stopped = Instant::now();
        engine.stop(EndCause::Terminated, None);
        engine.stop(EndCause::Stopped, None);
        ended(&engine).await;
        let took = stopped.elapsed();
        assert!((Duration::from_millis(500)..Duration::from_secs(1)).contains(&took), "{took:?}");
        let snapshot = engine.snapshot().await;
        assert_eq!(snapshot.state, RunnerState::Ended(EndCause::Terminated));
        assert_eq!(outcomes(&total(&snapshot)), [(Outcome::Ok, 6), (Outcome::Interrupted, 6)]);
        let progress = snapshot.scenarios[0].clone();
        assert_eq!((progress.iterations, progress.cut_iterations, progress.users), (0, 6, 0));
        assert_eq!(target.counts().requests, 12);
        wait_for("every connection to be closed", || target.counts().connections.open == 0).await;
        engine.begin(&[0], Instant::now(), &[]);
        assert_eq!(engine.snapshot().await.generator, snapshot.generator, "health stands still");
    });
}

#[test]
fn pauses_and_busy_users_end_at_once_and_requests_under_way_may_finish() {
    let target = TestTarget::start().unwrap();
    let minute = proofload_api::units::Micros::from_secs(60);
    let mut resting = scenario("resting", users(&[(5, 5, 60_000)]), &["/rest"]);
    resting.think_time = Some(ThinkTime::Constant(minute));
    let scenarios = vec![
        resting,
        scenario("busy", users(&[(5, 5, 60_000)]), &["/busy"]),
        scenario("slow", iterations(5, 100), &["/delay/100"]),
        scenario("later", users(&[(0, 5, 60_000)]), &["/later"]),
    ];
    let plan = plan(target.address(), scenarios);
    block_on(async {
        let engine = launch(&plan, Segment::WHOLE, 2);
        engine.begin(&[0, 1, 2, 3], Instant::now(), &[]);
        wait_for("all to be at it", || {
            let counts = target.counts();
            counts.by_path.get("/rest") == Some(&5)
                && counts.action("ok") > 100
                && counts.by_path.contains_key("/delay/100")
        })
        .await;
        let stopped = Instant::now();
        engine.stop(EndCause::Stopped, None);
        ended(&engine).await;
        assert!(stopped.elapsed() < Duration::from_secs(1), "{:?}", stopped.elapsed());
        let snapshot = engine.snapshot().await;
        assert_eq!(outcomes(&total(&snapshot)), [(Outcome::Ok, target.counts().requests)]);
        assert_eq!(snapshot.state, RunnerState::Ended(EndCause::Stopped));
    });
}

#[test]
fn a_stop_before_the_begin_ends_the_run() {
    let target = TestTarget::start().unwrap();
    let plan = plan(target.address(), vec![scenario("one", iterations(1, 1), &["/"])]);
    block_on(async {
        let engine = launch(&plan, Segment::WHOLE, 1);
        engine.stop(EndCause::Abandoned, None);
        ended(&engine).await;
        engine.begin(&[0], Instant::now(), &[]);
        let snapshot = engine.snapshot().await;
        assert_eq!((snapshot.state, snapshot.began), (RunnerState::Ended(EndCause::Abandoned), None));
    });
    assert_eq!(target.counts().requests, 0);
}

#[test]
fn who_waits_for_a_connection_is_cut_off_at_once() {
    let target = TestTarget::start().unwrap();
    let mut plan = plan(target.address(), vec![scenario("one", iterations(6, 1), &["/hang"])]);
    plan.target.connections = Connections::Shared { count: 2, streams: 1 };
    block_on(async {
        let engine = launch(&plan, Segment::WHOLE, 1);
        engine.begin(&[0], Instant::now(), &[]);
        wait_for("two requests to hang", || target.counts().action("hang") == 2).await;
        engine.stop(EndCause::Stopped, None);
        ended(&engine).await;
        let snapshot = engine.snapshot().await;
        // Four of them were never sent, and the target has not seen them.
        assert_eq!(outcomes(&total(&snapshot)), [(Outcome::Interrupted, 6)]);
        assert_eq!(target.counts().requests, 2);
    });
}

#[test]
fn dropping_the_engine_ends_the_load() {
    let target = TestTarget::start().unwrap();
    let plan = plan(target.address(), vec![scenario("one", users(&[(5, 5, 60_000)]), &["/hang"])]);
    block_on(async {
        let engine = launch(&plan, Segment::WHOLE, 2);
        engine.begin(&[0], Instant::now(), &[]);
        wait_for("all to hang", || target.counts().action("hang") == 5).await;
        drop(engine);
        wait_for("every connection to be closed", || target.counts().connections.open == 0).await;
    });
}

/// A plan of a setup, a load and a teardown; the indices are in this order: 1, 0, 2.
fn with_roles(target: &TestTarget, load: proofload_plan::Load, path: &str) -> proofload_plan::Plan {
    let mut setup = scenario("setup", iterations(1, 1), &["/setup"]);
    let mut teardown = scenario("teardown", iterations(1, 1), &["/teardown"]);
    (setup.role, teardown.role) = (Role::Setup, Role::Teardown);
    plan(target.address(), vec![scenario("one", load, &[path]), setup, teardown])
}

#[test]
fn setup_and_teardown_are_scenarios_like_others() {
    let target = TestTarget::start().unwrap();
    let plan = with_roles(&target, iterations(4, 2), "/load");
    block_on(async {
        let engines: Vec<_> = Segment::all(3).map(|segment| launch(&plan, segment, 2)).collect();
        for scenario in [1, 0, 2] {
            for engine in &engines {
                engine.begin(&[scenario], Instant::now(), &[]);
            }
            for engine in &engines {
                while engine.snapshot().await.scenarios[scenario].ended.is_none() {
                    tokio::task::yield_now().await;
                }
            }
        }
        for engine in &engines {
            ended(engine).await;
            assert!(engine.snapshot().await.is_complete());
        }
        let paths: Vec<_> = target.counts().by_path.into_iter().collect();
        assert_eq!(paths, [("/load".to_owned(), 8), ("/setup".to_owned(), 1), ("/teardown".to_owned(), 1)]);
    });
}

#[test]
fn a_stop_leaves_the_teardown_to_come() {
    let target = TestTarget::start().unwrap();
    let mut plan = with_roles(&target, users(&[(5, 5, 60_000)]), "/hang");
    common::request(&mut plan.scenarios[2].steps[0]).path = proofload_plan::Template::text("/delay/700");
    block_on(async {
        let engines: Vec<_> = Segment::all(2).map(|segment| launch(&plan, segment, 2)).collect();
        for engine in &engines {
            engine.begin(&[0], Instant::now(), &[]);
        }
        wait_for("all to hang", || target.counts().action("hang") == 5).await;
        let note = StopNote { reason: "enough".to_owned(), aborted: None };
        for engine in &engines {
            engine.stop(EndCause::Stopped, Some(note.clone()));
        }
        for engine in &engines {
            while engine.snapshot().await.scenarios[0].ended.is_none() {
                tokio::task::yield_now().await;
            }
            let snapshot = engine.snapshot().await;
            assert_eq!((snapshot.state, snapshot.stop), (RunnerState::Running, Some(note.clone())));
            // Setup had not begun, and does not any more; teardown does, and nothing cuts it off.
            engine.begin(&[1, 2], Instant::now(), &[]);
            engine.stop(EndCause::Stopped, None);
        }
        for engine in &engines {
            ended(engine).await;
            let snapshot = engine.snapshot().await;
            assert_eq!(snapshot.state, RunnerState::Ended(EndCause::Stopped));
            assert!(snapshot.scenarios[1].began.is_none() && snapshot.scenarios[2].ended.is_some());
        }
        let done = engines[0].snapshot().await;
        assert_eq!((done.scenarios[2].iterations, total(&done).count(Outcome::Ok)), (1, 1));
        let counts = target.counts().by_path;
        assert_eq!((counts["/delay/700"], counts.get("/setup")), (1, None));
    });
}

#[test]
fn who_is_told_to_end_at_once_waits_for_no_teardown() {
    let target = TestTarget::start().unwrap();
    let plan = with_roles(&target, users(&[(2, 2, 60_000)]), "/load");
    block_on(async {
        // After a stop that waits, without one, and within the teardown.
        for (stops, tears_down) in [(true, false), (false, false), (true, true)] {
            let mut plan = plan.clone();
            common::request(&mut plan.scenarios[2].steps[0]).path = proofload_plan::Template::text("/hang");
            target.clear();
            let engine = launch(&plan, Segment::WHOLE, 2);
            engine.begin(&[0], Instant::now(), &[]);
            wait_for("some load", || target.counts().requests > 5).await;
            if stops {
                engine.stop(EndCause::Stopped, None);
            }
            if tears_down {
                engine.begin(&[2], Instant::now(), &[]);
                wait_for("the teardown", || target.counts().action("hang") == 1).await;
            }
            engine.stop(EndCause::Terminated, None);
            ended(&engine).await;
            assert_eq!(engine.snapshot().await.state, RunnerState::Ended(EndCause::Terminated));
        }
    });
}

//! Levels of load that the conductor chooses while a run goes on: live changes, and the steps of a search.

mod common;

use std::time::{Duration, Instant};

use common::{arrivals, block_on, ended, launch, outcomes, plan, scenario, total, users, wait_for};
use proofload_api::Outcome;
use proofload_api::units::{Micros, Rate, Share};
use proofload_engine::Engine;
use proofload_plan::{CellAddress, Level, Load, Plan, Search, Segment, ThinkTime};
use proofload_results::{LevelRecord, Snapshot, StepResult};
use proofload_target::TestTarget;

fn record(level: Level, from_millis: u64) -> LevelRecord {
    LevelRecord { level, from: from_millis * 1000, before: None }
}

fn search(from: Level, limit: Level, settle: u64, window: u64) -> Load {
    Load::Search(Search {
        from,
        limit,
        factor: 2,
        max_users: 400,
        settle: Micros::from_millis(settle),
        window: Micros::from_millis(window),
        until: "p95(latency) < 100ms".to_owned(),
        precision: Share::default(),
        most_steps: 4,
    })
}

/// Begins all segments of a plan at the same time.
fn begin_all(plan: &Plan, runners: u32) -> (Vec<Engine>, Instant) {
    let engines: Vec<_> = Segment::all(runners).map(|segment| launch(plan, segment, 2)).collect();
    let at = Instant::now() + Duration::from_millis(20);
    for engine in &engines {
        engine.begin(&[0], at, &[]);
    }
    (engines, at)
}

fn take_all(engines: &[Engine], levels: &[LevelRecord]) {
    for engine in engines {
        engine.take_levels(0, levels);
    }
}

async fn last(engines: &[Engine]) -> Vec<Snapshot> {
    let mut snapshots = Vec::new();
    for engine in engines {
        ended(engine).await;
        snapshots.push(engine.snapshot().await);
    }
    snapshots
}

/// Good answers in a stage of the first step.
fn in_stage(plan: &Plan, snapshots: &[Snapshot], stage: usize) -> u64 {
    let cell = plan.layout().index(CellAddress { scenario: 0, step: 0, stage });
    snapshots.iter().map(|snapshot| snapshot.cells[cell].decode().expect("a cell").count(Outcome::Ok)).sum()
}

#[test]
fn a_change_of_rate_is_exact_over_all_runners() {
    let target = TestTarget::start().unwrap();
    let plan = plan(target.address(), vec![scenario("one", arrivals(100, 1500, 400), &["/"])]);
    block_on(async {
        let (engines, _) = begin_all(&plan, 3);
        // 100/s for half a second, 400/s for half a second, nothing for 300 ms, 100/s for 200 ms.
        let mut levels = vec![record(Level::Rate(Rate::per_second(400)), 500)];
        take_all(&engines, &levels);
        levels.push(record(Level::Rate(Rate::default()), 1000));
        levels.push(record(Level::Rate(Rate::per_second(100)), 1300));
        for engine in &engines {
            engine.take_levels(0, &levels);
            engine.take_levels(0, &levels);
        }
        let snapshots = last(&engines).await;
        assert_eq!(target.counts().requests, 50 + 200 + 20);
        assert!(snapshots.iter().all(|snapshot| snapshot.scenarios[0].levels == levels && snapshot.is_complete()));
        assert_eq!(in_stage(&plan, &snapshots, 0), 270);
    });
}

#[test]
fn a_change_that_comes_late_is_made_up_for() {
    let target = TestTarget::start().unwrap();
    let plan = plan(target.address(), vec![scenario("one", arrivals(20, 1000, 400), &["/"])]);
    block_on(async {
        let (engines, begin) = begin_all(&plan, 2);
        wait_for("half of the time", || begin.elapsed() > Duration::from_millis(500)).await;
        let levels = [record(Level::Rate(Rate::per_second(100)), 200)];
        take_all(&engines, &levels);
        let snapshots = last(&engines).await;
        // As if it had been known in time: 4 until then, and 80 after it.
        assert_eq!(target.counts().requests, 84);
        // What was due in the past is late, and says so.
        let (_, most, ..) = snapshots[0].generator.lateness.decode(3).unwrap().extremes();
        assert!((200_000..5_000_000).contains(&most), "{most}");
    });
}

#[test]
fn users_come_and_leave_as_the_level_changes() {
    let target = TestTarget::start().unwrap();
    let mut plan = plan(target.address(), vec![scenario("one", users(&[(2, 2, 2000)]), &["/"])]);
    // They sleep for longer than all of it, and have to be woken.
    plan.scenarios[0].think_time = Some(ThinkTime::Constant(Micros::from_secs(60)));
    block_on(async {
        let (engines, begin) = begin_all(&plan, 3);
        let mut levels = vec![record(Level::Users(9), 300)];
        let at_work = async |expected: [u32; 3]| {
            loop {
                let mut users = [0; 3];
                for (engine, users) in engines.iter().zip(&mut users) {
                    *users = engine.snapshot().await.scenarios[0].users;
                }
                if users == expected {
                    return begin.elapsed();
                }
                assert!(begin.elapsed() < common::DEADLINE, "{users:?}");
                tokio::task::yield_now().await;
            }
        };
        at_work([1, 1, 0]).await;
        take_all(&engines, &levels);
        assert!(at_work([3, 3, 3]).await >= Duration::from_millis(300));
        levels.push(record(Level::Users(4), 600));
        take_all(&engines, &levels);
        assert!(at_work([2, 1, 1]).await >= Duration::from_millis(600));
        levels.push(record(Level::Users(6), 900));
        take_all(&engines, &levels);
        assert!(at_work([2, 2, 2]).await >= Duration::from_millis(900));
        let snapshots = last(&engines).await;
        // Two, seven that came, and two of those that came back.
        assert_eq!(snapshots.iter().map(|s| s.scenarios[0].iterations).sum::<u64>(), 11);
        assert_eq!(target.counts().requests, 11);
        assert!(snapshots.iter().all(|s| s.is_complete() && s.scenarios[0].ended >= Some(2_000_000)));
    });
}

#[test]
fn a_search_by_rate_counts_each_step_in_its_own_cell() {
    let target = TestTarget::start().unwrap();
    let rate = |per_second| Level::Rate(Rate::per_second(per_second));
    let plan = plan(target.address(), vec![scenario("one", search(rate(100), rate(1000), 100, 400), &["/"])]);
    block_on(async {
        let (engines, begin) = begin_all(&plan, 3);
        let mut levels = vec![record(rate(100), 100)];
        take_all(&engines, &levels);
        wait_for("the first step", || begin.elapsed() > Duration::from_millis(300)).await;
        levels.push(LevelRecord {
            before: Some(StepResult { held: true, observed: Some(12.0), dropped: 0 }),
            ..record(rate(200), 800)
        });
        levels.push(record(rate(0), 1400));
        take_all(&engines, &levels);
        let snapshots = last(&engines).await;
        // From 0.1 s on 100/s, of which 0.4 s are the window; from 0.8 s on 200/s.
        assert_eq!(target.counts().requests, 70 + 120);
        assert_eq!((in_stage(&plan, &snapshots, 1), in_stage(&plan, &snapshots, 2)), (40, 80));
        assert_eq!(in_stage(&plan, &snapshots, 0), 70);
        assert_eq!(snapshots[2].scenarios[0].levels, levels);
        assert!(snapshots.iter().all(Snapshot::is_complete));
    });
}

#[test]
fn a_search_by_users_has_as_many_as_the_level() {
    let target = TestTarget::start().unwrap();
    let load = search(Level::Users(2), Level::Users(50), 100, 200);
    let plan = plan(target.address(), vec![scenario("one", load, &["/delay/20"])]);
    block_on(async {
        let (engines, begin) = begin_all(&plan, 2);
        let levels = [
            record(Level::Users(4), 50),
            record(Level::Users(8), 450),
            record(Level::Users(6), 850),
            record(Level::Users(0), 1250),
        ];
        take_all(&engines, &levels);
        let snapshots = last(&engines).await;
        assert!(begin.elapsed() >= Duration::from_millis(1250));
        assert_eq!(target.counts().in_flight.max, 8);
        // A user makes at most ten requests in a window of 200 ms, and some at least.
        for (stage, users) in [(1, 4), (2, 8), (3, 6)] {
            let count = in_stage(&plan, &snapshots, stage);
            assert!((users * 2..=users * 10).contains(&count), "stage {stage}: {count}");
        }
        assert_eq!(in_stage(&plan, &snapshots, 4), 0);
        assert_eq!(outcomes(&total(&snapshots[0])).len(), 1);
    });
}

#[test]
fn a_level_that_falls_cuts_off_what_has_had_its_grace() {
    let target = TestTarget::start().unwrap();
    let mut plan = plan(target.address(), vec![scenario("one", users(&[(4, 4, 600)]), &["/hang"])]);
    plan.scenarios[0].graceful_stop = Micros::from_millis(100);
    block_on(async {
        let (engines, _) = begin_all(&plan, 1);
        wait_for("all to hang", || target.counts().action("hang") == 4).await;
        engines[0].take_levels(0, &[record(Level::Users(1), 200)]);
        wait_for("three to be cut off", || target.counts().connections.open == 1).await;
        let snapshots = last(&engines).await;
        assert_eq!(outcomes(&total(&snapshots[0])), [(Outcome::Interrupted, 4)]);
        let ended = snapshots[0].scenarios[0].ended.unwrap();
        assert!((700_000..5_000_000).contains(&ended), "{ended}");
    });
}

#[test]
fn a_shift_that_is_put_off_goes_on_though_its_user_had_nothing_to_do_any_more() {
    let target = TestTarget::start().unwrap();
    let mut plan = plan(target.address(), vec![scenario("one", users(&[(2, 2, 600), (1, 1, 1800)]), &["/"])]);
    plan.scenarios[0].think_time = Some(ThinkTime::Constant(Micros::from_millis(500)));
    block_on(async {
        let (engines, _) = begin_all(&plan, 1);
        // The second user's next request would be due at 1 s, after its end at 0.6 s.
        wait_for("two requests of each user", || target.counts().requests == 4).await;
        take_all(&engines, &[record(Level::Users(2), 550)]);
        last(&engines).await;
        // At 0, 0.5, 1, 1.5 and 2 s.
        assert_eq!(target.counts().requests, 10);
    });
}

#[test]
fn a_user_that_comes_back_late_is_not_due_since_its_first_begin() {
    let target = TestTarget::start().unwrap();
    let mut plan = plan(target.address(), vec![scenario("one", users(&[(2, 2, 300), (1, 1, 2000)]), &["/"])]);
    plan.scenarios[0].think_time = Some(ThinkTime::Constant(Micros::from_millis(20)));
    block_on(async {
        let (engines, begin) = begin_all(&plan, 1);
        wait_for("the second user to be gone for long", || begin.elapsed() > Duration::from_millis(1500)).await;
        take_all(&engines, &[record(Level::Users(2), 200)]);
        while engines[0].snapshot().await.scenarios[0].users != 2 {
            assert!(begin.elapsed() < common::DEADLINE, "it comes back");
            tokio::task::yield_now().await;
        }
        let snapshots = last(&engines).await;
        let (_, latest, ..) = snapshots[0].generator.lateness.decode(3).unwrap().extremes();
        assert!(latest < 1_000_000, "{latest}");
    });
}

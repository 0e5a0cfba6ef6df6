//! Which row of a data set a request is made of: exact over all runners, without a word between them.

mod common;

use common::recording::{Recording, ok};
use common::{InMemory, arrivals, data_set, execute_with, iterations, plan, scenario, template};
use proofload_api::data::{Per, Pick};
use proofload_engine::Materials;
use proofload_plan::{Escape, Load, Plan, Segment, Value};
use proofload_results::Snapshot;

/// A plan whose requests say which row they are made of, whose user and which of its iterations they are.
fn with_rows(recording: &Recording, load: Load, pick: Pick, per: Per) -> Plan {
    let mut scenario = scenario("one", load, &["/"]);
    let parts = [("/", Value::Data(0, 1)), ("/", Value::Data(0, 0)), ("/", Value::UserId), ("/", Value::Iteration)];
    common::request(&mut scenario.steps[0]).path = template(&parts, Escape::Percent);
    scenario.data = vec![0];
    let mut plan = plan(recording.address, vec![scenario]);
    plan.data = vec![data_set("rows.csv", pick, per, &["id", "name"])];
    plan
}

/// Executes all segments; what was asked for as (row, user, iteration), sorted.
fn execute(plan: &Plan, recording: &Recording, rows: u32, runners: u32) -> (Vec<(u32, u32, u32)>, Vec<Snapshot>) {
    // A column that nobody uses stands between.
    let lines: Vec<String> = (0..rows).map(|i| format!("{i},unused,\"n,{i}\"\n")).collect();
    let snapshots = Segment::all(runners).map(|segment| {
        let shelf = InMemory(vec![("rows.csv", format!("id,x,name\n{}", lines.concat()).into_bytes())]);
        execute_with(plan, segment, 2, Materials::load(plan, &shelf).expect("materials"))
    });
    let snapshots: Vec<_> = snapshots.collect();
    let requests = recording.take();
    let mut asked: Vec<_> = requests
        .iter()
        .map(|request| {
            let parts: Vec<&str> = request.line().split('/').collect();
            assert_eq!(parts[1], format!("n%2C{}", parts[2]));
            let number = |at: usize| parts[at].parse().expect("a number");
            (number(2), number(3), number(4))
        })
        .collect();
    asked.sort_unstable();
    (asked, snapshots)
}

#[test]
fn unique_rows_are_used_once_each_over_all_runners() {
    let recording = Recording::start(ok);
    let plan = with_rows(&recording, iterations(7, 4), Pick::Unique, Per::Iteration);
    let (asked, snapshots) = execute(&plan, &recording, 28, 3);
    // User u has row k * 7 + u in its iteration k, counted from 0.
    let expected: Vec<_> = (0..28).map(|row| (row, row % 7 + 1, row / 7 + 1)).collect();
    assert_eq!(asked, expected);
    assert!(snapshots.iter().all(|snapshot| snapshot.scenarios[0].starved == 0));
}

#[test]
fn who_finds_no_row_left_begins_no_further_iteration() {
    let recording = Recording::start(ok);
    let plan = with_rows(&recording, iterations(4, 5), Pick::Unique, Per::Iteration);
    let (asked, snapshots) = execute(&plan, &recording, 10, 2);
    assert_eq!(asked.iter().map(|(row, ..)| *row).collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
    assert_eq!(snapshots.iter().map(|snapshot| snapshot.scenarios[0].starved).sum::<u64>(), 4);
    assert_eq!(snapshots.iter().map(|snapshot| snapshot.scenarios[0].iterations).sum::<u64>(), 10);
    let plan = with_rows(&recording, iterations(4, 2), Pick::Unique, Per::User);
    let (asked, snapshots) = execute(&plan, &recording, 3, 2);
    assert_eq!(asked, [(0, 1, 1), (0, 1, 2), (1, 2, 1), (1, 2, 2), (2, 3, 1), (2, 3, 2)]);
    assert_eq!(snapshots.iter().map(|snapshot| snapshot.scenarios[0].starved).sum::<u64>(), 1);
}

#[test]
fn arrivals_use_rows_by_their_number() {
    let recording = Recording::start(ok);
    let plan = with_rows(&recording, arrivals(100, 300, 10), Pick::Unique, Per::Iteration);
    let (asked, snapshots) = execute(&plan, &recording, 30, 3);
    let dropped: u64 = snapshots.iter().map(|snapshot| snapshot.scenarios[0].dropped).sum();
    let mut rows: Vec<u32> = asked.iter().map(|(row, ..)| *row).collect();
    assert_eq!(rows.len() as u64 + dropped, 30);
    rows.dedup();
    assert_eq!(rows.len(), asked.len(), "no row twice");
}

#[test]
fn sequential_rows_begin_again_and_random_ones_follow_from_the_seed() {
    let recording = Recording::start(ok);
    let mut plan = with_rows(&recording, iterations(3, 4), Pick::Sequential, Per::Iteration);
    let (asked, _) = execute(&plan, &recording, 5, 2);
    let mut expected: Vec<_> = (0..12).map(|serial| (serial % 5, serial % 3 + 1, serial / 3 + 1)).collect();
    expected.sort_unstable();
    assert_eq!(asked, expected);
    plan = with_rows(&recording, iterations(20, 10), Pick::Random, Per::Iteration);
    let (first, _) = execute(&plan, &recording, 5, 1);
    assert_eq!(first, execute(&plan, &recording, 5, 3).0);
    let each: Vec<usize> = (0..5).map(|row| first.iter().filter(|(own, ..)| *own == row).count()).collect();
    assert!(each.iter().all(|count| (20..60).contains(count)), "{each:?}");
    plan = with_rows(&recording, iterations(20, 10), Pick::Random, Per::User);
    let (kept, _) = execute(&plan, &recording, 5, 1);
    let mut rows_of_users: Vec<_> = kept.iter().map(|(row, user, _)| (*user, *row)).collect();
    rows_of_users.sort_unstable();
    rows_of_users.dedup();
    assert_eq!(rows_of_users.len(), 20, "a user keeps its row");
}

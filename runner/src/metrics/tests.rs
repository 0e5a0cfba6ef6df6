//! What the plan wants at a moment, of the share of one runner.

use proofload_api::Outcome;
use proofload_api::units::Rate;
use proofload_plan::{Level, Plan, Segment, compile};
use proofload_results::{Cell, GeneratorRecord, LevelRecord, RunnerState, Sample, ScenarioProgress, Snapshot};
use serde_json::{Value, json};

use super::now::Now;

const SECOND: u64 = 1_000_000;

fn plan(kind: &str, load: &Value) -> Plan {
    let spec = json!({
        "target": {"baseUrl": "http://t"},
        "scenarios": [{"name": "main", kind: load, "steps": [{"name": "get", "request": {"path": "/"}}]}],
    });
    compile(&serde_json::from_value(spec).unwrap(), "shop/checkout").unwrap().plan
}

/// The first of four runners, at a time from the begin of its scenario, which was 5 s after that of the run.
fn at(plan: &Plan, seconds: u64, levels: &[LevelRecord], ended: bool) -> Now {
    let began = 5 * SECOND;
    let now = began + seconds * SECOND;
    let ended = ended.then_some(now);
    let progress = ScenarioProgress { began: Some(began), ended, levels: levels.to_vec(), ..Default::default() };
    let snapshot = Snapshot {
        run: plan.run.clone(),
        segment: Segment::new(0, 4),
        sequence: 1,
        state: RunnerState::Running,
        clock: 77 + now,
        began: Some(77),
        scenarios: Vec::new(),
        cells: Vec::new(),
        timeline: Vec::new(),
        errors: Vec::new(),
        generator: GeneratorRecord::default(),
        variables: Vec::new(),
        stop: None,
    };
    Now::of(&plan.scenarios[0], &progress, &snapshot)
}

fn users(users: u32, stage: &str) -> Now {
    Now { users: Some(users), rate: None, stage: Some(stage.to_owned()) }
}

fn level(level: Level, from: u64) -> LevelRecord {
    LevelRecord { level, from: from * SECOND, before: None }
}

#[test]
fn a_runner_wants_its_share_of_the_users_of_the_stage() {
    let stages = json!([{"name": "few", "to": 6, "hold": "10s"}, {"name": "many", "to": 40, "hold": "10s"}]);
    let plan = plan("users", &json!({"stages": stages}));
    assert_eq!(at(&plan, 3, &[], false), users(2, "few"));
    assert_eq!(at(&plan, 10, &[], false), users(10, "many"));
    // Scaled by hand at 12 s, until the plan's end; iterations under way may go on behind it.
    let scaled = [level(Level::Users(80), 17)];
    assert_eq!((at(&plan, 11, &scaled, false), at(&plan, 12, &scaled, false)), (users(10, "many"), users(20, "many")));
    assert_eq!(at(&plan, 20, &scaled, false), users(0, "many"));
    assert_eq!(at(&plan, 20, &scaled, true), Now { users: Some(0), ..Now::default() });
}

#[test]
fn a_runner_wants_its_share_of_the_rate() {
    let plan = plan("arrivals", &json!({"maxUsers": 50, "stages": [{"name": "peak", "to": "100/s", "hold": "20s"}]}));
    let rate = |rate: f64| Now { users: None, rate: Some(rate), stage: Some("peak".to_owned()) };
    assert_eq!(at(&plan, 3, &[], false), rate(25.0));
    assert_eq!(at(&plan, 8, &[level(Level::Rate(Rate::per_second(10)), 12)], false), rate(2.5));
}

#[test]
fn a_search_wants_its_level_and_is_in_a_step_only_while_that_is_judged() {
    let load = json!({"users": {"from": 8, "limit": 64}, "until": "p95(latency) < 1s", "stage": "6s", "settle": "2s"});
    let plan = plan("search", &load);
    let levels = [level(Level::Users(8), 5), level(Level::Users(16), 15)];
    assert_eq!(at(&plan, 1, &levels, false), users(2, "settling"));
    assert_eq!(at(&plan, 3, &levels, false), users(2, "step 1"));
    assert_eq!(at(&plan, 8, &levels, false), users(2, "settling"));
    assert_eq!(at(&plan, 12, &levels, false), users(4, "step 2"));
}

#[test]
fn what_the_end_of_a_run_cut_off_is_told_apart_from_what_got_no_answer() {
    let sample =
        |outcome, status| Sample { outcome, status, latency: 1_000, service_time: 1_000, bytes_out: 1, bytes_in: 1 };
    let mut cell = Cell::default();
    let each = [
        (Outcome::Ok, Some(200)),
        (Outcome::Connect, None),
        (Outcome::Interrupted, None),
        (Outcome::Interrupted, None),
    ];
    for (outcome, status) in each {
        cell.record(&sample(outcome, status));
    }
    let classes = super::by_class(&[&cell.encode()]);
    let count = |class: &str| classes[class];
    assert_eq!((count("2xx"), count("none"), count("interrupted")), (1, 1, 2));
    assert_eq!(classes.values().sum::<u64>(), 4);
}

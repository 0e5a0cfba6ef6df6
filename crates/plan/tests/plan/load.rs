//! How much load, when, and on how many runners.

use proofload_api::Micros;
use proofload_plan::{Level, Load, Role, Scope, ThinkTime, level_of};

use crate::{right, spec};

const STEPS: &str = "steps: [{name: get, request: {path: /}}]";

#[test]
fn arrivals_become_a_curve_with_users_to_spare() {
    let compiled = right(&format!(
        "scenarios: [{{name: a, arrivals: {{stages: [{{to: 300/s, over: 2s}}, {{hold: 20s, name: peak}}]}}, {STEPS}}}]\n\
         criteria: [{{expr: count(dropped) == 0}}, {{expr: rate(dropped) < 1%, of: a, during: peak, abort: {{window: 5s}}}}]"
    ));
    let scenario = &compiled.plan.scenarios[0];
    let Load::Arrivals { curve, max_users } = &scenario.load else { panic!("{:?}", scenario.load) };
    assert_eq!((curve.total(), *max_users), (300 + 6000, 600));
    assert_eq!(scenario.load.stage_names(), ["1: ramp 0/s to 300/s", "peak"]);
    assert_eq!(scenario.graceful_stop, Micros::from_secs(30));
    assert_eq!((compiled.plan.peak_users(), compiled.plan.planned()), (600, Micros::from_secs(22)));
    assert_eq!(compiled.criteria[1].during, Some(vec![(0, 1)]));
    assert_eq!(compiled.criteria[1].scope, Scope::Scenario(0));
}

#[test]
fn few_arrivals_have_ten_users_all_the_same() {
    let rest = format!("arrivals: {{stages: [{{to: 1/m, hold: 90s}}]}}, gracefulStop: 5s, at: 10s, {STEPS}");
    let plan = right(&format!("scenarios: [{{name: a, {rest}}}]")).plan;
    assert_eq!((plan.scenarios[0].load.users(), plan.planned()), (10, Micros::from_secs(100)));
    assert_eq!(plan.scenarios[0].graceful_stop, Micros::from_secs(5));
}

#[test]
fn a_search_has_a_bound_and_a_stage_for_each_step() {
    let search = |kind: &str, rest: &str| {
        let search = format!("search: {{{kind}, stage: 10s, until: rate(errors) < 1%{rest}}}");
        let plan = right(&format!("scenarios: [{{name: a, {search}, {STEPS}}}]")).plan;
        let Load::Search(search) = plan.scenarios[0].load.clone() else { panic!("{plan:?}") };
        (search, plan)
    };
    let (users, plan) = search("users: {from: 5, limit: 1000}", "");
    assert_eq!((users.settle, users.window), (Micros::from_secs(2), Micros::from_secs(8)));
    assert_eq!((users.from, users.limit, users.max_users), (Level::Users(5), Level::Users(1000), 1000));
    assert_eq!(users.most_steps, 13);
    assert_eq!(plan.scenarios[0].load.stage_names().len(), 14);
    assert_eq!(plan.scenarios[0].graceful_stop, Micros::ZERO);
    assert_eq!(plan.layout().len(), 14);
    let (rates, plan) = search("rate: {from: 50/s, factor: 4, limit: 1000/s}", ", settle: 500ms, precision: 10%");
    assert_eq!((rates.settle, rates.factor, rates.max_users), (Micros::from_millis(500), 4, 2000));
    assert_eq!(plan.scenarios[0].graceful_stop, Micros::from_secs(30));
}

#[test]
fn setup_and_teardown_come_last_and_are_no_load() {
    let compiled = right(&format!(
        "setup: [{{name: login, request: {{path: /}}, extract: {{token: {{json: $.token}}}}}}]\n\
         teardown: [{{name: logout, request: {{path: '/{{{{token}}}}'}}}}]\n\
         scenarios:\n- {{name: a, users: {{stages: [{{to: 5, hold: 1s, name: x}}]}}, {STEPS}}}\n\
         - {{name: b, iterations: {{users: 3, perUser: 2}}, {STEPS}}}\n\
         criteria: [{{expr: rate(errors) < 1%, of: setup}}, {{expr: rate(errors) < 1%, of: teardown/logout}}, \
         {{expr: rate(errors) < 1%, during: x}}]"
    ));
    let plan = &compiled.plan;
    let roles: Vec<_> = plan.scenarios.iter().map(|scenario| (scenario.name.as_str(), scenario.role)).collect();
    assert_eq!(roles, [("a", Role::Main), ("b", Role::Main), ("setup", Role::Setup), ("teardown", Role::Teardown)]);
    assert_eq!((plan.peak_users(), plan.users_of(proofload_plan::Segment::WHOLE)), (8, 8));
    assert!(matches!(plan.scenarios[2].load, Load::Iterations { users: 1, per_user: 1, .. }));
    let scopes: Vec<_> = compiled.criteria.iter().map(|criterion| criterion.scope).collect();
    assert_eq!(scopes, [Scope::Steps(2, 0, 1), Scope::Steps(3, 0, 1), Scope::Run]);
    assert_eq!(plan.layout().cells_of(Scope::Run), 0..2);
    assert_eq!(compiled.criteria[2].during, Some(vec![(0, 0)]));
    // Each in its turn: setup, the longer one of both scenarios, teardown.
    let load = plan.scenarios.iter().map(|scenario| scenario.load.duration().0).collect::<Vec<_>>();
    assert!(plan.longest().0 > load[2] + load[1].max(load[0]) + load[3]);
    assert_eq!(plan.planned(), Micros::from_secs(600));
}

#[test]
fn pauses_have_three_shapes() {
    let think = |rest: &str| {
        let load = "users: {stages: [{to: 5, hold: 1s}]}";
        let plan = right(&format!("scenarios: [{{name: a, {load}, {rest}, {STEPS}}}]")).plan;
        (plan.scenarios[0].think_time, plan.scenarios[0].pacing)
    };
    let seconds = Micros::from_secs;
    assert_eq!(think("thinkTime: {constant: 2s}").0, Some(ThinkTime::Constant(seconds(2))));
    assert_eq!(think("thinkTime: {mean: 2s}").0, Some(ThinkTime::Exponential { mean: seconds(2) }));
    assert_eq!(think("thinkTime: {min: 1s, max: 3s}").0, Some(ThinkTime::Uniform { min: seconds(1), max: seconds(3) }));
    assert_eq!(think("pacing: 4s"), (None, Some(seconds(4))));
}

#[test]
fn open_models_are_sized_by_their_rate() {
    let sized = |load: &str, steps: &str| right(&format!("scenarios: [{{name: a, {load}, {steps}}}]")).sizing;
    let two = "steps: [{name: x, request: {path: /}}, {name: y, group: g, request: {path: /}}], groups: [{name: g, repeat: 3}]";
    let arrivals = "arrivals: {stages: [{to: 12000/s, hold: 1m}]}";
    assert_eq!(sized(arrivals, STEPS).runners, 5, "24,000 users of 5,000 each");
    let few = "arrivals: {stages: [{to: 12000/s, hold: 1m}], maxUsers: 900}";
    assert_eq!((sized(few, STEPS).runners, sized(few, two).runners), (2, 5));
    let least = "arrivals: {stages: [{to: 12000/s, hold: 1m}], maxUsers: 1}";
    assert_eq!(sized(least, STEPS).runners, 1, "no runner is without a user");
    let search = "search: {rate: {from: 10/s, limit: 30000/s, maxUsers: 50}, stage: 10s, until: rate(errors) < 1%}";
    assert_eq!(sized(search, STEPS).runners, 3);
    let paced = "users: {stages: [{to: 4000, hold: 1m}]}, pacing: 1s";
    assert_eq!(sized(paced, STEPS).runners, 1);
}

#[test]
fn the_seed_is_the_tests_own_or_follows_from_its_name() {
    let rest = format!("scenarios: [{{name: a, iterations: {{users: 1, perUser: 1}}, {STEPS}}}]");
    assert_eq!(right(&format!("seed: 42\n{rest}")).plan.seed, 42);
    let other = proofload_plan::compile(&spec(&rest), "shop/other").unwrap().plan.seed;
    assert_eq!(right(&rest).plan.seed, right(&rest).plan.seed);
    assert_ne!(right(&rest).plan.seed, other);
}

#[test]
fn a_live_change_is_of_the_kind_of_the_scenarios_load() {
    let rest = format!(
        "scenarios: [{{name: a, users: {{stages: [{{to: 5, hold: 1s}}]}}, {STEPS}}}, \
         {{name: b, iterations: {{users: 1, perUser: 1}}, {STEPS}}}]\n\
         scale: [{{scenario: a, users: 9}}, {{scenario: a, rate: 5/s}}, {{scenario: b, users: 9}}, {{scenario: c, users: 1}}]"
    );
    let plan = right(&rest).plan;
    let said = spec(&rest)
        .scale
        .into_iter()
        .enumerate()
        .map(|(i, scale)| level_of(&scale, i, &plan).map_err(|p| p.to_string()));
    let said: Vec<_> = said.collect();
    assert_eq!(said[0], Ok((0, Level::Users(9))));
    assert_eq!(
        said[1],
        Err("spec.scale[1]: expected users, got rate (the scenario is of a number of users)".to_owned())
    );
    assert_eq!(
        said[2],
        Err("spec.scale[2]: expected another scenario, got users (the work of this one is fixed)".to_owned())
    );
    assert!(said[3].as_ref().unwrap_err().starts_with("spec.scale[3].scenario: expected a scenario, got \"c\""));
}

#[test]
fn a_run_may_take_long_and_its_timeline_is_fine_all_the_same() {
    let slow = "redirects: SameOrigin";
    let plan = right(&format!(
        "setup: [{{name: s, request: {{path: /, {slow}}}}}]\n\
         scenarios: [{{name: a, users: {{stages: [{{to: 5, hold: 60s}}]}}, gracefulStop: 10s, \
         onStop: [{{name: bye, request: {{path: /}}}}], steps: [{{name: get, request: {{path: /, {slow}}}}}]}}]"
    ))
    .plan;
    assert_eq!(plan.timeline_width, Micros::from_secs(1));
    // A request that is sent elsewhere ten times, and the last one of a user; 30 s each.
    let load = 60 + 10 + 12 * 30 + 60;
    let setup = (60 + 11 * 30) + 11 * 30 + 60;
    assert_eq!(plan.longest(), Micros::from_secs(load + setup));
}

#[test]
fn a_live_change_does_not_use_a_row_twice() {
    let scaled = |per: &str, users: u32| {
        let rest = format!(
            "data: {{d: {{file: a.csv, pick: Unique, per: {per}}}}}\nscenarios: [{{name: a, \
             users: {{stages: [{{to: 5, hold: 1s}}]}}, steps: [{{name: get, request: {{path: '/{{{{d.id}}}}'}}}}]}}]\n\
             scale: [{{scenario: a, users: {users}}}]"
        );
        level_of(&spec(&rest).scale[0], 0, &right(&rest).plan).map_err(|problem| problem.to_string())
    };
    assert_eq!(scaled("Iteration", 5), Ok((0, Level::Users(5))));
    assert_eq!(scaled("User", 6), Ok((0, Level::Users(6))));
    assert_eq!(
        scaled("Iteration", 6),
        Err("spec.scale[0].users: expected at most 5 users, as planned, got 6 (each row of the data set d is used once)"
            .to_owned())
    );
}

#[test]
fn more_requests_than_can_be_counted_are_sized_all_the_same() {
    let group = |name: &str| format!("{{name: {name}, repeat: 100000}}");
    let groups = ["a", "a/b", "a/b/c", "a/b/c/d"].map(group).join(", ");
    let flow = format!("groups: [{groups}], steps: [{{name: get, group: a/b/c/d, request: {{path: /}}}}]");
    let sized = |load: &str| right(&format!("scenarios: [{{name: x, {load}, {flow}}}]\nrunners: {{count: 1}}")).sizing;
    assert_eq!(sized("users: {stages: [{to: 1000000, hold: 5s}]}, pacing: 1s").cpu_millis, 1000);
    assert_eq!(sized("arrivals: {stages: [{to: 10000000/s, hold: 5s}]}").cpu_millis, 1000);
}

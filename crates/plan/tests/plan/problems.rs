//! Each bad input names its path, and what would be right.

use crate::wrong;

pub(crate) const STEPS: &str = "steps: [{name: get, request: {path: /}}]";
pub(crate) const USERS: &str = "users: {stages: [{to: 5, hold: 1s}]}";

/// One scenario with this in it, beside its name.
pub(crate) fn scenario(rest: &str) -> String {
    format!("scenarios:\n- {{name: a, {rest}}}\n")
}

/// Exactly these are the problems, as they begin.
#[track_caller]
pub(crate) fn says(rest: &str, expected: &[&str]) {
    let said = wrong(rest);
    for (i, expected) in expected.iter().enumerate() {
        assert!(said.get(i).is_some_and(|said| said.starts_with(expected)), "{expected}\nis not said, but\n{said:#?}");
    }
    assert_eq!(said.len(), expected.len(), "{said:#?}");
}

#[test]
fn load_models() {
    let one = "exactly one load model: users, arrivals, iterations or search";
    says(&scenario(STEPS), &[&format!("spec.scenarios[0]: expected {one}, got none")]);
    says(
        &scenario(&format!("{USERS}, arrivals: {{stages: [{{to: 5/s, hold: 1s}}]}}, {STEPS}")),
        &[&format!("spec.scenarios[0]: expected {one}, got users and arrivals")],
    );
    says(
        &scenario(&format!("users: {{stages: [{{to: 5}}, {{over: 5s}}, {{}}]}}, {STEPS}")),
        &[
            "spec.scenarios[0].users.stages[0]: expected {to, over} for a ramp, {hold} to stay, or {to, hold} to jump and \
             stay, got only to",
            "spec.scenarios[0].users.stages[1]: expected {to, over}",
            "spec.scenarios[0].users.stages[2]: expected {to, over} for a ramp, {hold} to stay, or {to, hold} to jump and \
             stay, got nothing",
        ],
    );
    says(
        &scenario(&format!("arrivals: {{stages: [{{to: 5/s, over: 0s}}, {{hold: 400d}}], maxUsers: 0}}, {STEPS}")),
        &[
            "spec.scenarios[0].arrivals.stages[0].over: expected a time longer than 0s, at most 30d, got 0s",
            "spec.scenarios[0].arrivals.stages[1].hold: expected a time longer than 0s, at most 30d, got 400d",
            "spec.scenarios[0].arrivals.maxUsers: expected at least 1, got 0",
        ],
    );
    says(
        &scenario(&format!(
            "arrivals: {{stages: [{{hold: 5s, name: b}}, {{hold: 5s, name: b}}]}}, pacing: 1s, {STEPS}"
        )),
        &[
            "spec.scenarios[0].arrivals.stages[1].name: expected stage names that differ from each other, got \"b\" twice",
            "spec.scenarios[0].arrivals.stages: expected at least one arrival, got none",
            "spec.scenarios[0].pacing: expected no pacing in a scenario of a rate, got 1s",
        ],
    );
}

#[test]
fn searches() {
    let search = |rest: &str| scenario(&format!("search: {{stage: 10s, until: rate(errors) < 1%, {rest}}}, {STEPS}"));
    let users = "users: {from: 5, limit: 1000}";
    says(&search(""), &["spec.scenarios[0].search: expected exactly one of users and rate, got neither"]);
    says(
        &search("users: {from: 50, limit: 10}, settle: 10s"),
        &[
            "spec.scenarios[0].search.settle: expected a time shorter than the stage's 10s",
            "spec.scenarios[0].search.users.limit: expected at least from, which is 50 users, got 10 users",
        ],
    );
    says(
        &search("rate: {from: 0/s, limit: 10/s}"),
        &["spec.scenarios[0].search.rate.from: expected more than 0, got 0/s"],
    );
    says(
        &search(users).replace("rate(errors) < 1%", "rate(errors) < 1"),
        &["spec.scenarios[0].search.until: expected a share such as 1% at column 16, got `1` in"],
    );
    says(
        &search(users).replace("rate(errors) < 1%", "rate(check(json $.a)) > 99%"),
        &["spec.scenarios[0].search.until: expected the name of a check there, got check(json $.a) (there are none)"],
    );
    says(
        &search(users).replace("rate(errors) < 1%", "count(dropped) == 0"),
        &["spec.scenarios[0].search.until: expected dropped of a scenario with arrivals, or with a search for a rate"],
    );
    says(
        &search("rate: {from: 1/h, limit: 10000000/s}, precision: 0%"),
        &["spec.scenarios[0].search: expected a search of at most 64 steps, got one that can take 70 (begin closer"],
    );
}

#[test]
fn what_follows_what() {
    let three = |afters: [&str; 3]| {
        let one = |(name, after): (&str, &str)| format!("- {{name: {name}, {after}{USERS}, {STEPS}}}\n");
        format!("scenarios:\n{}", ["a", "b", "c"].into_iter().zip(afters).map(one).collect::<String>())
    };
    says(
        &three(["", "after: c, ", "after: b, "]),
        &["spec.scenarios[1].after: expected scenarios that can begin one after the other, got b -> c -> b"],
    );
    says(
        &three(["after: b, ", "after: c, ", "after: b, "]),
        &["spec.scenarios[1].after: expected scenarios that can begin one after the other, got b -> c -> b"],
    );
    says(
        &three(["after: a, ", "after: cc, ", "after: b, at: 5s, "]),
        &[
            "spec.scenarios[0].after: expected the name of another scenario, got \"a\"",
            "spec.scenarios[1].after: expected the name of another scenario, got \"cc\" (did you mean c?)",
            "spec.scenarios[2].at: expected at most one of after and at, got both",
        ],
    );
    says(
        &three(["", "", ""]).replace("name: b", "name: setup").replace("name: c", "name: a"),
        &[
            "spec.scenarios[1].name: expected another name, since the test's setup and teardown have these, got \"setup\"",
            "spec.scenarios[2].name: expected a name that no other scenario has, got \"a\"",
        ],
    );
}

#[test]
fn pauses() {
    let pause = |rest: &str| scenario(&format!("{USERS}, {rest}, {STEPS}"));
    let path = "spec.scenarios[0].thinkTime: expected";
    let shapes = "exactly one of {min, max}, {constant} and {mean}";
    says(&pause("thinkTime: {min: 2s, max: 1s}"), &[&format!("{path} a min that is not longer than max, got min 2s")]);
    says(&pause("thinkTime: {min: 2s}"), &[&format!("{path} {shapes}, got min")]);
    says(&pause("thinkTime: {mean: 2s, constant: 1s}"), &[&format!("{path} {shapes}, got constant and mean")]);
    says(&pause("thinkTime: {}"), &[&format!("{path} {shapes}, got nothing")]);
    says(
        &pause("thinkTime: {mean: 2s}, pacing: 1s"),
        &["spec.scenarios[0].pacing: expected at most one of thinkTime and pacing, got both"],
    );
}

#[test]
fn data() {
    let uses = |names: &[&str]| {
        let one = |(i, name): (usize, &&str)| {
            format!("- {{name: s{i}, {USERS}, steps: [{{name: get, request: {{path: '/{{{{{name}.id}}}}'}}}}]}}\n")
        };
        format!("scenarios:\n{}", names.iter().enumerate().map(one).collect::<String>())
    };
    says(
        &format!("data: {{a: {{file: a.csv, pick: Unique}}}}\n{}", uses(&["a", "a"])),
        &["spec.data.a.pick: expected one scenario that uses a Unique data set, got s0 and s1"],
    );
    says(
        &format!(
            "data: {{a: {{configMap: {{name: x, key: a.txt}}}}, b: {{}}, env: {{file: x.csv}}}}\n{}",
            uses(&["a", "b"])
        ),
        &[
            "spec.data.a.configMap.key: expected a name that ends in .csv or .jsonl, got \"a.txt\"",
            "spec.data.b: expected exactly one of configMap, secret and file, got none",
            "spec.data.env: expected a name of letters, digits, _ and - that templates have no other meaning for",
        ],
    );
    let env =
        "env: [{name: A}, {name: A, value: x}, {name: PROOFLOAD_X, value: y, valueFrom: {}}, {name: B, valueFrom: {}}]";
    says(
        &format!("{env}\n{}", scenario(&format!("{USERS}, {STEPS}"))),
        &[
            "spec.env[0]: expected exactly one of value and valueFrom, got neither",
            "spec.env[1].name: expected a name that no other variable has",
            "spec.env[2].name: expected another name, since the runner uses this one itself",
            "spec.env[2]: expected exactly one of value and valueFrom, got both",
            "spec.env[3].valueFrom: expected exactly one of secretKeyRef and configMapKeyRef, got neither",
        ],
    );
}

#[test]
fn criteria() {
    let criteria = |criteria: &str| {
        format!(
            "scenarios: [{{name: a, users: {{stages: [{{to: 5, hold: 1s, name: steady}}]}}, \
             steps: [{{name: get, group: shop, request: {{path: /}}, expect: {{latency: 1s}}}}]}}]\ncriteria: [{criteria}]"
        )
    };
    let expr = "expr: rate(errors) < 1%";
    says(
        &criteria(&format!("{{{expr}, of: a/gett}}, {{{expr}, of: setup}}, {{{expr}, of: a/shop/get}}")),
        &[
            "spec.criteria[0].of: expected a scenario, scenario/step or scenario/group of this test, or its setup or \
             teardown, got \"a/gett\" (did you mean a/get?)",
            "spec.criteria[1].of: expected a scenario",
            "spec.criteria[2].of: expected a scenario",
        ],
    );
    says(
        &criteria(&format!("{{{expr}, during: stedy}}, {{{expr}, abort: {{window: 0s}}}}")),
        &[
            "spec.criteria[0].during: expected the name of a stage there, got \"stedy\" (did you mean steady?)",
            "spec.criteria[1].abort.window: expected a time longer than 0s, at most 30d, got 0s",
        ],
    );
    says(
        &criteria("{expr: p95(latency) < 5}, {expr: rate(check(latncy)) > 99%}, {expr: count(dropped) == 0}"),
        &[
            "spec.criteria[0].expr: expected a time such as 500ms or 1.5s at column 16, got `5`",
            "spec.criteria[1].expr: expected the name of a check there, got check(latncy) (did you mean latency?)",
            "spec.criteria[2].expr: expected dropped of a scenario with arrivals, or with a search for a rate, got none there",
        ],
    );
}

#[test]
fn targets() {
    let target = |rest: &str| {
        let text = format!("target: {{{rest}}}\n{}", scenario(&format!("{USERS}, {STEPS}")));
        let problems = proofload_plan::compile(&serde_saphyr::from_str(&text).unwrap(), "a/b").unwrap_err();
        problems.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    for url in ["shop", "ftp://shop", "http://", "http://a@shop", "http://shop?a", "http://shop:0", "http://sh op"] {
        let said = target(&format!("baseUrl: '{url}'"));
        assert!(said.len() == 1 && said[0].starts_with("spec.target.baseUrl: expected "), "{url}: {said:?}");
    }
    for url in [
        "http://me:canary@shop",
        "https://me:canary@shop",
        "http://me:canary@shop:0",
        "me:canary@shop",
        "://me:ca nary@shop",
    ] {
        let said = target(&format!("baseUrl: '{url}'"));
        assert!(said.iter().all(|said| said.contains("...@shop") && !said.contains("nary")), "{url}: {said:?}");
    }
    assert_eq!(
        target(
            "baseUrl: 'http://shop', timeout: 0s, connections: {maxRequests: 0, maxAge: 0s, shared: 0}, headers: {Host: a, host: b, Connection: c}"
        ),
        [
            "spec.target.timeout: expected a time longer than 0s, at most 1h, got 0s",
            "spec.target.headers.Connection: expected another header, got \"Connection\" (the load engine sets this one itself)",
            "spec.target.headers.host: expected each header once, got \"Host\" and \"host\"",
            "spec.target.connections.maxRequests: expected at least 1, got 0",
            "spec.target.connections.maxAge: expected a time longer than 0s, got 0s (keepAlive: false gives each request a \
             connection of its own)",
            "spec.target.connections: expected either perUser or shared, at least 1, got perUser: None, shared: Some(0)",
        ]
    );
    let fixed = scenario(&format!("arrivals: {{stages: [{{to: 5/s, hold: 1s}}], maxUsers: 2}}, {STEPS}"));
    says(
        &format!("{fixed}\nrunners: {{count: 3}}"),
        &[
            "spec.scenarios[0]: expected at least one user for each runner, got maxUsers 2 for 3 runners (raise maxUsers",
        ],
    );
}

#[test]
fn several_problems_are_said_at_once_and_each_once() {
    let said = wrong(
        "seed: 5\nscenarios:\n- {name: a, steps: [{name: b, request: {path: x}}, {name: b, request: {path: '/{{z}}'}}]}\n\
         - {name: a, after: c, iterations: {users: 0, perUser: 1}, steps: []}\nrunners: {count: 501}\n",
    );
    let paths: Vec<&str> = said.iter().map(|said| said.split(": ").next().unwrap()).collect();
    assert_eq!(
        paths,
        [
            "spec.scenarios[0]",
            "spec.scenarios[0].steps[0].request.path",
            "spec.scenarios[0].steps[1].name",
            "spec.scenarios[0].steps[1].request.path",
            "spec.scenarios[1].name",
            "spec.scenarios[1].after",
            "spec.scenarios[1].iterations.users",
            "spec.scenarios[1].steps",
            "spec.runners.count",
        ]
    );
}

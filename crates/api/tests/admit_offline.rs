//! What `proofload validate` and the API server both refuse, and how it is said.
#![allow(clippy::unwrap_used)] // in helpers of tests too

use proofload_api::admission::admit;
use serde_json::Value;

const GOOD: &str = "
apiVersion: proofload.dev/v1alpha1
kind: LoadTest
metadata: {name: checkout}
spec:
  target: {baseUrl: 'http://127.0.0.1:8080', headers: {Accept: application/json}}
  scenarios:
  - name: browse
    users: {stages: [{to: 10, over: 1s}, {hold: 2s, name: steady}]}
    thinkTime: {min: 10ms, max: 20ms}
    flow: Weighted
    steps:
    - {name: list, weight: 3, request: {path: /items}}
    - {name: buy, request: {method: POST, path: /orders, json: {id: 1, tags: [a]}}, expect: {status: [2xx, 429]}}
  - {name: later, after: browse, iterations: {users: 2, perUser: 3}, steps: [{name: one, request: {path: /}}]}
  criteria: [{expr: 'p95(latency) < 500ms'}, {expr: 'rate(errors) < 1%', of: browse/list, severity: Warn}]
";

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

/// The problems of the good test with one thing replaced, as text.
fn said(from: &str, to: &str) -> Vec<String> {
    assert!(GOOD.contains(from), "{from} is not in the good test");
    admit(&yaml(&GOOD.replace(from, to))).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn a_good_test_is_admitted_with_its_defaults() {
    let test = admit(&yaml(GOOD)).unwrap();
    assert_eq!(test.spec.target.timeout.to_string(), "30s");
    assert_eq!(test.spec.target.connections.per_user, Some(1));
    assert_eq!(test.spec.runners.start_deadline.to_string(), "2m");
    assert_eq!(test.spec.scenarios[1].iterations.as_ref().unwrap().max_duration.to_string(), "10m");
}

#[test]
fn an_unknown_field_is_refused_with_its_path_and_what_was_meant() {
    assert_eq!(
        said("thinkTime:", "thinktime:"),
        ["spec.scenarios[0].thinktime: expected a field that exists, got an unknown one (did you mean thinkTime?)"]
    );
    let far = said("headers: {Accept: application/json}", "colour: red");
    assert!(far[0].contains("spec.target.colour") && far[0].contains("there are: baseUrl"), "{far:?}");
}

#[test]
fn every_problem_is_said_at_once() {
    let mut value = yaml(GOOD);
    value["spec"]["scenarios"][0]["users"]["stages"][0]["to"] = (-5).into();
    value["spec"]["scenarios"][0]["users"]["stages"][1]["hold"] = "soon".into();
    value["spec"]["scenarios"][1]["steps"] = Value::Array(vec![]);
    value["spec"]["target"]["timeot"] = "5s".into();
    value["spec"]["criteria"][1]["severity"] = "Fatal".into();
    let said: Vec<String> = admit(&value).unwrap_err().iter().map(ToString::to_string).collect();
    let all = said.join("\n");
    for expected in [
        "spec.target.timeot: expected a field that exists, got an unknown one (did you mean timeout?)",
        "spec.scenarios[0].users.stages[0].to: expected at least 0, got -5",
        "spec.scenarios[0].users.stages[1].hold: expected a time such as 250ms, 90s or 1h30m, got \"soon\"",
        "spec.scenarios[1].steps: expected at least 1 of them, got []",
        "spec.criteria[1].severity: expected one of \"Fail\", \"Warn\", got \"Fatal\"",
    ] {
        assert!(all.contains(expected), "{expected}\nis not in\n{all}");
    }
}

#[test]
fn each_cel_rule_is_applied_offline() {
    let cases = [
        ("users: {stages: [{to: 10, over: 1s}, {hold: 2s, name: steady}]}", "", "exactly one load model"),
        ("flow: Weighted", "flow: Sequence", "no step with a weight"),
        ("after: browse", "after: later", "after to name another scenario"),
        ("after: browse", "after: nobody", "after to name a scenario of this test"),
        ("name: later", "name: browse", "scenario names that differ"),
        ("{to: 10, over: 1s}", "{to: 10, over: 1s, hold: 1s}", "exactly one time"),
        ("{to: 10, over: 1s}", "{over: 1s}", "over together with to"),
        ("json: {id: 1, tags: [a]}", "json: 1, body: x", "at most one of body and json"),
        ("headers: {Accept: application/json}", "connections: {}", "exactly one of perUser and shared"),
        ("name: checkout", "name: Not A Name", "lower-case letters, digits and -"),
        ("name: checkout", "name: check.out", "a name of at most 50 characters without a dot"),
    ];
    for (from, to, expected) in cases {
        let said = said(from, to).join("\n");
        assert!(said.contains(expected), "{from} -> {to}: {said}");
    }
}

#[test]
fn another_kind_is_refused() {
    let said = said("kind: LoadTest", "kind: LoadTst").join("\n");
    assert_eq!(said, "kind: expected LoadTest, got \"LoadTst\"");
}

#[test]
fn a_required_field_that_is_missing_is_named() {
    let said = said("baseUrl: 'http://127.0.0.1:8080', ", "").join("\n");
    assert_eq!(said, "spec.target.baseUrl: expected this field, got nothing");
}

//! What `proofload validate` and the API server both refuse, and how it is said.
#![allow(clippy::unwrap_used)] // in helpers of tests too

use proofload_api::admission::admit;
use proofload_api::data::{Per, Pick};
use serde_json::Value;

/// Every field and every rule has its turn in here.
const GOOD: &str = "
apiVersion: proofload.dev/v1alpha1
kind: LoadTest
metadata: {name: checkout}
spec:
  target: {baseUrl: 'https://127.0.0.1:8443', headers: {Accept: application/json}, auth: {bearer: '{{env.TOKEN}}'}, cookies: false,
           redirects: SameOrigin, connections: {shared: 20, streams: 10, maxRequests: 100, maxAge: 1m}, protocol: Http2,
           tls: {ca: ca, certificate: own, key: own-key, serverName: shop, resumption: false, insecureSkipVerify: false}}
  data: {accounts: {secret: {name: accounts, key: users.csv}, pick: Unique}, words: {file: words.jsonl, per: User}}
  files: {photo: {configMap: {name: photos, key: a.png}}}
  env: [{name: TOKEN, valueFrom: {secretKeyRef: {name: token, key: token}}}, {name: STAGE, value: test}]
  setup: [{name: login, request: {path: /login}, extract: {session: {regex: {pattern: 'id=(.*)', group: 1}}}}]
  teardown: [{name: logout, request: {path: /logout}}]
  seed: 42
  scenarios:
  - name: browse
    users: {stages: [{to: 10, over: 1s}, {hold: 2s, name: steady}]}
    thinkTime: {min: 10ms, max: 20ms}
    flow: Weighted
    groups: [{name: shop, weight: 2}, {name: shop/pay, repeat: 3, while: '{{session}} != x'}]
    onStart: [{name: hello, request: {path: /}}]
    onStop: [{name: bye, request: {path: /}}]
    steps:
    - {name: list, weight: 3, request: {path: '/items?a={{random.int(1, 9)}}', form: {a: b}}}
    - {name: buy, group: shop/pay, request: {method: POST, path: /orders, json: {id: 1, tags: [a]}},
       expect: {status: [2xx, 429], latency: 1s, headers: {A: '*'}, body: {contains: a, matches: b}, json: {$.a: [1]}, jsonExists: [$.b], size: {min: 1, max: 10Ki}}}
    - {name: upload, request: {path: /, multipart: [{name: a, value: b}, {name: c, file: photo, fileName: p, contentType: image/png}],
       auth: {basic: {username: a, password: b}}}, extract: {a: {json: $.a}, b: {header: X}, c: {cookie: d}}}
  - {name: later, after: browse, iterations: {users: 2, perUser: 3}, pacing: 1s, steps: [{name: one, request: {path: /, file: photo}}]}
  - {name: open, at: 5s, arrivals: {stages: [{to: 500/s, over: 5s}, {hold: 5s}], maxUsers: 50}, gracefulStop: 5s, thinkTime: {mean: 1s},
     steps: [{name: one, request: {path: /}}]}
  - {name: most, search: {users: {from: 5, limit: 100}, stage: 10s, settle: 1s, until: rate(errors) < 1%, precision: 2.5%},
     thinkTime: {constant: 1s}, steps: [{name: one, request: {path: /}}]}
  - name: talk
    iterations: {users: 1, perUser: 1}
    steps:
    - {name: open, webSocket: {connect: {path: /ws, headers: {A: b}, protocols: [chat], auth: {bearer: a}}}, expect: {status: [101]}}
    - {name: say, webSocket: {send: hello, until: hi}, expect: {body: {contains: hi}}}
    - {name: hear, webSocket: {receive: Next}}
    - {name: tell, webSocket: {send: x, receive: Nothing}}
    - {name: knock, webSocket: {ping: {}}}
    - {name: stay, webSocket: {hold: 5s}}
    - {name: leave, webSocket: {close: {code: 1001}}}
  - {name: fastest, search: {rate: {from: 5/s, limit: 100/s, factor: 3}, stage: 10s, until: rate(errors) < 1%}, steps: [{name: one, request: {path: /}}]}
  criteria:
  - {expr: 'p95(latency) < 500ms'}
  - {expr: 'rate(errors) < 1%', of: browse/list, during: steady, severity: Warn, abort: {window: 30s, after: 10s}}
  scale: [{scenario: browse, users: 20}, {scenario: open, rate: 9/m}]
";

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

/// The problems of the good test with one thing replaced, as text.
fn said(from: &str, to: &str) -> Vec<String> {
    assert!(GOOD.contains(from), "{from} is not in the good test");
    let problems = admit(&yaml(&GOOD.replace(from, to))).expect_err(to);
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn a_good_test_is_admitted_with_its_defaults() {
    let test = admit(&yaml(GOOD)).unwrap();
    assert_eq!(test.spec.target.timeout.to_string(), "30s");
    assert!(test.spec.target.connections.keep_alive);
    assert_eq!(test.spec.runners.start_deadline.to_string(), "2m");
    assert_eq!(test.spec.scenarios[1].iterations.as_ref().unwrap().max_duration.to_string(), "10m");
    let search = test.spec.scenarios[3].search.as_ref().unwrap();
    assert_eq!((search.users.as_ref().unwrap().factor, search.precision.to_string()), (2, "2.5%".to_owned()));
    assert_eq!(test.spec.scenarios[5].search.as_ref().unwrap().precision.to_string(), "5%");
    let accounts = &test.spec.data["accounts"];
    assert_eq!((accounts.pick, accounts.per), (Pick::Unique, Per::Iteration));
    assert_eq!(test.spec.data["words"].pick, Pick::Sequential);
}

#[test]
fn an_unknown_field_is_refused_with_its_path_and_what_was_meant() {
    assert_eq!(
        said("thinkTime: {min", "thinktime: {min"),
        ["spec.scenarios[0].thinktime: expected a field that exists, got an unknown one (did you mean thinkTime?)"]
    );
    assert_eq!(
        said("pick: Unique", "picks: Unique"),
        ["spec.data.accounts.picks: expected a field that exists, got an unknown one (did you mean pick?)"]
    );
    let far = said("headers: {Accept: application/json}", "colour: red");
    assert!(far[0].contains("spec.target.colour") && far[0].contains("there are: auth, baseUrl"), "{far:?}");
}

#[test]
fn every_problem_is_said_at_once() {
    let mut value = yaml(GOOD);
    value["spec"]["scenarios"][0]["users"]["stages"][0]["to"] = (-5).into();
    value["spec"]["scenarios"][0]["users"]["stages"][1]["hold"] = "soon".into();
    value["spec"]["scenarios"][1]["steps"] = Value::Array(vec![]);
    value["spec"]["scenarios"][2]["arrivals"]["stages"][0]["to"] = "fast".into();
    value["spec"]["scenarios"][3]["search"]["precision"] = "5".into();
    value["spec"]["target"]["timeot"] = "5s".into();
    value["spec"]["criteria"][1]["severity"] = "Fatal".into();
    value["spec"]["env"][0]["name"] = "1A".into();
    let said: Vec<String> = admit(&value).unwrap_err().iter().map(ToString::to_string).collect();
    let all = said.join("\n");
    for expected in [
        "spec.target.timeot: expected a field that exists, got an unknown one (did you mean timeout?)",
        "spec.scenarios[0].users.stages[0].to: expected at least 0, got -5",
        "spec.scenarios[0].users.stages[1].hold: expected a time such as 250ms, 90s or 1h30m, got \"soon\"",
        "spec.scenarios[1].steps: expected at least 1 of them, got []",
        "spec.scenarios[2].arrivals.stages[0].to: expected a rate such as 500/s, 90/m or 10/h, got \"fast\"",
        "spec.scenarios[3].search.precision: expected a share such as 5% or 0.5%, at most 100%, got \"5\"",
        "spec.criteria[1].severity: expected one of \"Fail\", \"Warn\", got \"Fatal\"",
        "spec.env[0].name: expected letters, digits and _, not beginning with a digit, got \"1A\"",
    ] {
        assert!(all.contains(expected), "{expected}\nis not in\n{all}");
    }
}

#[test]
fn each_cel_rule_is_applied_offline() {
    let cases = [
        ("users: {stages: [{to: 10, over: 1s}, {hold: 2s, name: steady}]}", "", "exactly one load model"),
        (
            "iterations: {users: 2,",
            "users: {stages: [{to: 1, hold: 1s}]}, iterations: {users: 2,",
            "exactly one load model",
        ),
        ("flow: Weighted", "flow: Sequence", "no step with a weight"),
        ("after: browse", "after: later", "after to name another scenario"),
        ("after: browse", "after: nobody", "after to name a scenario of this test"),
        ("after: browse", "after: browse, at: 5s", "at most one of after and at"),
        ("pacing: 1s", "pacing: 1s, thinkTime: {mean: 1s}", "at most one of thinkTime and pacing"),
        (
            "thinkTime: {mean: 1s}",
            "thinkTime: {mean: 1s, constant: 1s}",
            "exactly one of {min, max}, {constant} and {mean}",
        ),
        ("thinkTime: {mean: 1s}", "thinkTime: {min: 1s}", "exactly one of {min, max}, {constant} and {mean}"),
        ("name: later", "name: browse", "scenario names that differ"),
        ("{to: 10, over: 1s}", "{to: 10, over: 1s, hold: 1s}", "exactly one time"),
        ("{to: 10, over: 1s}", "{over: 1s}", "over together with to"),
        ("{to: 500/s, over: 5s}", "{to: 500/s}", "exactly one time"),
        ("{to: 500/s, over: 5s}", "{over: 5s}", "over together with to, the rate"),
        ("users: {from: 5, limit: 100}, ", "", "exactly one of users and rate"),
        ("json: {id: 1, tags: [a]}", "json: 1, body: x", "at most one of body and json"),
        ("form: {a: b}", "form: {a: b}, file: photo", "at most one of file and form"),
        ("shared: 20", "shared: 20, perUser: 1", "at most one of perUser and shared"),
        ("{name: a, value: b}", "{name: a}", "exactly one of value and file"),
        ("{bearer: '{{env.TOKEN}}'}", "{}", "exactly one of basic and bearer"),
        ("{bearer: a}", "{}", "exactly one of basic and bearer"),
        ("certificate: own, ", "", "spec.target.tls: expected certificate and key together"),
        ("key: own-key, ", "", "spec.target.tls: expected certificate and key together"),
        ("{name: knock, webSocket: {ping: {}}}", "{name: knock}", "exactly one of request and webSocket"),
        ("{ping: {}}}", "{ping: {}}, request: {path: /}}", "exactly one of request and webSocket"),
        ("{ping: {}}", "{}", "exactly one of connect, send (or receive), ping, hold and close"),
        ("{ping: {}}", "{ping: {}, hold: 1s}", "exactly one of connect, send (or receive), ping, hold and close"),
        ("{ping: {}}", "{close: {}, send: a}", "exactly one of connect, send (or receive), ping, hold and close"),
        (
            "{connect: {",
            "{receive: Next, connect: {",
            "exactly one of connect, send (or receive), ping, hold and close",
        ),
        ("{ping: {}}", "{ping: {}, until: a}", "until beside send or receive"),
        ("send: x, receive: Nothing", "receive: Nothing", "send and no until beside receive: Nothing"),
        ("send: x, receive: Nothing", "send: x, receive: Nothing, until: a", "send and no until beside receive"),
        ("{cookie: d}", "{cookie: d, header: e}", "exactly one of json, header, cookie and regex"),
        ("{file: words.jsonl, per: User}", "{}", "spec.data.words: expected exactly one of configMap, secret and file"),
        ("{configMap: {name: photos, key: a.png}}", "{}", "spec.files.photo: expected exactly one of configMap"),
        ("{name: STAGE, value: test}", "{name: STAGE}", "exactly one of value and valueFrom"),
        ("{name: STAGE, value: test}", "{name: PROOFLOAD_X, value: test}", "the runner uses this one itself"),
        ("{secretKeyRef: {name: token, key: token}}", "{}", "exactly one of secretKeyRef and configMapKeyRef"),
        ("{scenario: browse, users: 20}", "{scenario: browse}", "exactly one of users and rate"),
        ("{scenario: browse, users: 20}", "{scenario: b, users: 20}", "scale to name a scenario of this test"),
        ("name: checkout", "name: Not A Name", "lower-case letters, digits and -"),
        ("name: checkout", "name: check.out", "a name of at most 50 characters without a dot"),
    ];
    for (from, to, expected) in cases {
        let said = said(from, to).join("\n");
        assert!(said.contains(expected), "{from} -> {to}: {said}");
    }
}

#[test]
fn what_a_web_socket_or_a_secure_target_cannot_be_is_refused() {
    let cases = [
        (
            "receive: Next",
            "receive: All",
            "steps[2].webSocket.receive: expected one of \"Next\", \"Nothing\", got \"All\"",
        ),
        ("code: 1001", "code: 999", "steps[6].webSocket.close.code: expected at least 1000, got 999"),
        ("ping: {}", "ping: {after: 1s}", "steps[4].webSocket.ping.after: expected no field here, got an unknown one"),
        ("path: /ws", "path: ws", "webSocket.connect.path: expected a path that begins with /"),
        ("until: hi", "until: ''", "steps[1].webSocket.until: expected at least 1 characters"),
        ("streams: 10", "streams: 0", "spec.target.connections.streams: expected at least 1, got 0"),
        ("protocol: Http2", "protocol: Http3", "expected one of \"Auto\", \"Http1\", \"Http2\", got \"Http3\""),
        ("https://127", "ftp://127", "spec.target.baseUrl: expected an address such as http://api.shop.svc:8080, got"),
        (
            "https://127",
            "wss://127",
            "(http:// instead of ws://, https:// instead of wss://: a web socket is opened by a step)",
        ),
    ];
    for (from, to, expected) in cases {
        let said = said(from, to);
        assert!(said.len() == 1 && said[0].contains(expected), "{from} -> {to}: {said:?}");
    }
}

#[test]
fn another_kind_is_refused() {
    let said = said("kind: LoadTest", "kind: LoadTst").join("\n");
    assert_eq!(said, "kind: expected LoadTest, got \"LoadTst\"");
}

#[test]
fn a_required_field_that_is_missing_is_named() {
    let said = said("baseUrl: 'https://127.0.0.1:8443', ", "").join("\n");
    assert_eq!(said, "spec.target.baseUrl: expected this field, got nothing");
}

/// An API server refuses rules that could cost too much, and knows no other bound than these; and it refuses fields
/// without a type.
#[test]
fn every_field_of_the_definition_has_a_type_and_a_bound() {
    let crd = serde_json::to_value(proofload_api::crds()).unwrap();
    let spec = &crd[0]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let mut without = Vec::new();
    unbounded(spec, "spec", &mut without);
    // Of Kubernetes' own type, which says nothing of it.
    without.retain(|path| !path.starts_with("spec.runners.template.tolerations[]."));
    assert_eq!(without, Vec::<String>::new());
}

fn unbounded(schema: &Value, path: &str, without: &mut Vec<String>) {
    let has = |field: &str| schema.get(field).is_some();
    let bound = match schema["type"].as_str() {
        Some("string") => has("maxLength") || has("enum"),
        Some("array") => has("maxItems"),
        Some("object") => !has("additionalProperties") || has("maxProperties"),
        Some(_) => true,
        None => has("x-kubernetes-int-or-string") || has("x-kubernetes-preserve-unknown-fields"),
    };
    if !bound {
        without.push(path.to_owned());
    }
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        unbounded(schema, &format!("{path}.{name}"), without);
    }
    for (field, mark) in [("items", "[]"), ("additionalProperties", "{}")] {
        if schema[field].is_object() {
            unbounded(&schema[field], &format!("{path}{mark}"), without);
        }
    }
}

//! What users do: requests with their templates, groups, data.

use proofload_api::criterion::Operator;
use proofload_api::step::Redirects;
use proofload_plan::{
    Action, Body, CheckKind, Escape, ExtractFrom, Format, Node, Part, Piece, Plan, Request, Scope, Step, Template,
    Value,
};

use crate::right;

const USERS: &str = "users: {stages: [{to: 5, hold: 1s}]}";

fn plan(top: &str, rest: &str) -> Plan {
    right(&format!("{top}\nscenarios: [{{name: a, {USERS}, {rest}}}]")).plan
}

/// The request of a single step.
fn request(top: &str, rest: &str) -> Request {
    request_of(&plan(top, &format!("steps: [{{name: get, request: {{{rest}}}}}]")).scenarios[0].steps[0]).clone()
}

fn request_of(step: &Step) -> &Request {
    let Action::Request(request) = &step.action else { panic!("{step:?} has no request") };
    request
}

/// A template as a text: what is filled in stands in angle brackets, with how it is escaped.
fn shown(template: &Template) -> String {
    let part = |part: &Part| match part {
        Part::Text(text) => text.clone(),
        Part::Value(value, escape) => format!("<{value:?} {escape:?}>"),
        Part::Base64(inside) => format!("<base64 {}>", shown(inside)),
    };
    template.0.iter().map(part).collect()
}

fn body(rest: &str) -> String {
    match request("env: [{name: T, value: x}]", &format!("path: /, {rest}")).body {
        Body::Text(template) => shown(&template),
        other => panic!("{other:?}"),
    }
}

fn header(request: &Request, name: &str) -> Option<String> {
    request.headers.iter().find(|(known, _)| known == name).map(|(_, value)| shown(value))
}

#[test]
fn every_value_is_known() {
    let top = "data: {users: {configMap: {name: x, key: a.jsonl}}}\nenv: [{name: T, value: x}]\n\
               setup: [{name: s, request: {path: /}, extract: {token: {cookie: c}}}]";
    let texts = "{{uuid}} {{ user.id }}{{iteration}}{{run.id}}{{timestamp}}{{random.int(-5, 9)}}{{random.choice(a, b c)}}\
                 {{env.T}}{{users.name}}{{users.full name}}{{users.name}}{{token}}{{'{{'}}";
    let compiled = request(top, &format!("path: /, body: \"{texts}\""));
    let Body::Text(template) = compiled.body else { panic!("{compiled:?}") };
    assert_eq!(
        shown(&template),
        "<Uuid None> <UserId None><Iteration None><RunId None><Timestamp None><RandomInt(-5, 9) None>\
         <RandomChoice([\"a\", \"b c\"]) None><Env(0) None><Data(0, 0) None><Data(0, 1) None><Data(0, 0) None>\
         <Variable(0) None>{{"
    );
    let plan = plan(top, "steps: [{name: get, request: {path: '/{{users.b}}/{{users.a}}'}}]");
    assert_eq!(
        (plan.data[0].columns.as_slice(), plan.data[0].format),
        (&["b".to_owned(), "a".to_owned()][..], Format::Jsonl)
    );
    assert_eq!((plan.scenarios[0].data.as_slice(), plan.scenarios[1].data.len()), (&[0][..], 0));
    assert_eq!(plan.variables, ["token"]);
}

#[test]
fn what_is_filled_in_fits_where_it_is_put() {
    let compiled =
        request("env: [{name: T, value: x}]", "path: '/a/{{env.T}}?q={{uuid}}', headers: {X-A: 'b {{env.T}}'}");
    assert_eq!(shown(&compiled.path), "/v1/a/<Env(0) Percent>?q=<Uuid Percent>");
    assert_eq!(header(&compiled, "X-A").as_deref(), Some("b <Env(0) Header>"));
    assert_eq!(
        body(r#"json: {a: ["x\"{{env.T}}", "{{env.T | json}}", 5, null], "k{{uuid}}": {}}"#),
        r#"{"a":["x\"<Env(0) Json>",<Env(0) JsonValue>,5,null],"k<Uuid Json>":{}}"#
    );
    assert_eq!(body("json: '{{uuid}}'"), "\"<Uuid Json>\"");
    assert_eq!(body("form: {a b: 'c&{{env.T}}', d: ''}"), "a%20b=c%26<Env(0) Percent>&d=");
    assert_eq!(body("body: '{\"a\": {{env.T | json}}}'"), "{\"a\": <Env(0) JsonValue>}");
    assert_eq!(body("body: ''"), "");
}

#[test]
fn a_body_says_what_it_is_unless_a_header_does() {
    let of = |rest: &str| header(&request("files: {f: {file: a.png}}", &format!("path: /, {rest}")), "Content-Type");
    assert_eq!(of("body: x"), None);
    assert_eq!(of("json: {}").as_deref(), Some("application/json"));
    assert_eq!(of("form: {a: b}").as_deref(), Some("application/x-www-form-urlencoded"));
    assert_eq!(of("file: f").as_deref(), Some("application/octet-stream"));
    assert_eq!(of("file: f, headers: {Content-Type: image/png}").as_deref(), Some("image/png"));
}

#[test]
fn an_upload_is_texts_and_files() {
    let parts = "[{name: 'a\"b', value: 'x {{uuid}}'}, {name: f, file: f, fileName: p.png, contentType: image/png}, {name: g, file: g}]";
    let compiled = request("seed: 1\nfiles: {f: {file: a.png}, g: {file: b}}", &format!("path: /, multipart: {parts}"));
    let Body::Pieces(pieces) = &compiled.body else { panic!("{compiled:?}") };
    let shown: String = pieces
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) => shown(text),
            Piece::File(file) => format!("<file {file}>"),
        })
        .collect();
    let line = "--proofload-0000000000000001";
    assert_eq!(
        shown,
        format!(
            "{line}\r\nContent-Disposition: form-data; name=\"a%22b\"\r\n\r\nx <Uuid None>\r\n\
         {line}\r\nContent-Disposition: form-data; name=\"f\"; filename=\"p.png\"\r\nContent-Type: image/png\r\n\r\n<file 0>\r\n\
         {line}\r\nContent-Disposition: form-data; name=\"g\"; filename=\"g\"\r\nContent-Type: application/octet-stream\r\n\r\n\
         <file 1>\r\n{line}--\r\n"
        )
    );
    assert_eq!(header(&compiled, "Content-Type").unwrap(), "multipart/form-data; boundary=proofload-0000000000000001");
}

#[test]
fn who_sends_a_request_is_the_targets_word_or_the_steps() {
    let text = "target: {baseUrl: 'http://shop', headers: {X-Run: '{{run.id}}', accept: a}, auth: {bearer: 'a{{env.T}}'}, \
                redirects: SameOrigin, connections: {keepAlive: false}}\nenv: [{name: T, value: x}]\n\
                scenarios: [{name: a, iterations: {users: 1, perUser: 1}, steps: [{name: x, request: {path: /}}, \
                {name: y, request: {path: /, auth: {basic: {username: u, password: '{{env.T}}'}}, redirects: Never, headers: {Accept: b}}}]}]";
    let plan = proofload_plan::compile(&serde_saphyr::from_str(text).unwrap(), "a/b").unwrap().plan;
    let [x, y] = [0, 1].map(|i| request_of(&plan.scenarios[0].steps[i]).clone());
    let version = format!("proofload/{}", env!("CARGO_PKG_VERSION"));
    let all = |request: &Request| request.headers.iter().map(|(n, v)| format!("{n}: {}", shown(v))).collect::<Vec<_>>();
    assert_eq!(
        all(&x),
        [
            "Host: shop",
            "X-Run: <RunId Header>",
            "accept: a",
            "Authorization: Bearer a<Env(0) Header>",
            &format!("User-Agent: {version}"),
            "Connection: close",
        ]
    );
    assert_eq!(
        all(&y),
        [
            "Host: shop",
            "Accept: b",
            "Authorization: Basic <base64 u:<Env(0) None>>",
            "X-Run: <RunId Header>",
            &format!("User-Agent: {version}"),
            "Connection: close",
        ]
    );
    assert_eq!((x.redirects, y.redirects), (Redirects::SameOrigin, Redirects::Never));
}

#[test]
fn groups_are_a_tree_over_all_steps() {
    let step = |name: &str, group: &str| format!("{{name: {name}, request: {{path: /}}{group}}}");
    let steps = [
        step("a", ""),
        step("b", ", group: shop"),
        step("c", ", group: shop/pay"),
        step("d", ", group: shop/pay"),
        step("e", ", group: shop"),
        step("f", ", group: other"),
    ]
    .join(", ");
    let groups = "groups: [{name: shop, repeat: 3}, {name: shop/pay, while: '{{x}} <= \"a b\"'}]";
    let top = "setup: [{name: s, request: {path: /}, extract: {x: {json: $.x}}}]";
    let start = step("first", "");
    let compiled = right(&format!(
        "{top}\nscenarios: [{{name: a, {USERS}, onStart: [{start}], {groups}, steps: [{steps}]}}]\n\
         criteria: [{{expr: rate(errors) < 1%, of: a/shop}}, {{expr: rate(errors) < 1%, of: a/shop/pay}}]"
    ));
    let scenario = &compiled.plan.scenarios[0];
    let [Node::Step(1), Node::Group(shop), Node::Group(other)] = scenario.flow.nodes.as_slice() else {
        panic!("{scenario:?}")
    };
    let [Node::Step(2), Node::Group(pay), Node::Step(5)] = shop.nodes.as_slice() else { panic!("{shop:?}") };
    assert_eq!((shop.repeat, pay.repeat, other.repeat), (3, 100, 1));
    assert_eq!((shop.name.as_str(), pay.name.as_str()), ("shop", "shop/pay"));
    let condition = pay.condition.as_ref().unwrap();
    assert_eq!(condition.left.0, [Part::Value(Value::Variable(0), Escape::None)]);
    assert_eq!((condition.operator, shown(&condition.right).as_str()), (Operator::LessOrEqual, "a b"));
    assert_eq!((scenario.on_start, scenario.on_stop, scenario.steps.len()), (1, 0, 7));
    assert_eq!(
        [compiled.criteria[0].scope, compiled.criteria[1].scope],
        [Scope::Steps(0, 2, 4), Scope::Steps(0, 3, 2)]
    );
}

#[test]
fn weights_are_of_steps_and_outermost_groups() {
    let plan = plan(
        "",
        "flow: Weighted, groups: [{name: g, weight: 5}], steps: [{name: a, weight: 3, request: {path: /}}, \
        {name: b, group: g, request: {path: '/{{x}}'}}, {name: c, request: {path: /}, extract: {x: {header: X}}}]",
    );
    assert_eq!(plan.scenarios[0].flow.weights, Some(vec![3, 5, 1]));
}

#[test]
fn a_loop_knows_what_its_own_steps_extract() {
    let steps = "steps: [{name: a, group: g, request: {path: '/{{x}}'}}, {name: b, group: g, request: {path: /}, extract: {x: {header: X}}}]";
    assert_eq!(plan("", &format!("groups: [{{name: g, repeat: 2}}], {steps}")).variables, ["x"]);
    let once = crate::wrong(&format!("scenarios: [{{name: a, {USERS}, groups: [{{name: g}}], {steps}}}]"));
    assert!(once[0].contains("which is extracted by the step b"), "{once:?}");
}

#[test]
fn checks_have_their_names_and_places() {
    let expect = "expect: {latency: 1s, headers: {X-A: '*', X-B: b}, body: {contains: a, matches: 'a+'}, json: {$.a: {b: 1}}, \
                  jsonExists: ['$.c'], size: {max: 1Ki}}";
    let extract = "extract: {t: {regex: {pattern: 'a(b)'}}, u: {regex: {pattern: 'ab'}}}";
    let compiled = right(&format!(
        "scenarios: [{{name: a, {USERS}, steps: [{{name: x, request: {{path: /}}, {expect}, {extract}}}]}}]\n\
         criteria: [{{expr: 'rate(check(extract t)) > 99%'}}, {{expr: 'count(check(json $.a)) > 1', of: a/x}}]"
    ));
    let step = &compiled.plan.scenarios[0].steps[0];
    let names: Vec<String> = step.check_names(&compiled.plan.variables).collect();
    assert_eq!(
        names,
        [
            "latency",
            "header X-A",
            "header X-B",
            "body contains",
            "body matches",
            "json $.a",
            "json $.c",
            "size",
            "extract t",
            "extract u",
        ]
    );
    assert_eq!(step.checks[1].kind, CheckKind::Header("X-A".to_owned(), None));
    assert_eq!(step.checks[7].kind, CheckKind::Size { min: 0, max: 1024 });
    assert_eq!(step.extract[0].from, ExtractFrom::Regex("a(b)".to_owned(), 1));
    assert_eq!(step.extract[1].from, ExtractFrom::Regex("ab".to_owned(), 0));
}

#[test]
fn a_unique_set_says_how_many_rows_it_needs_where_that_is_known() {
    let needs = |load: &str, per: &str| {
        let steps = "steps: [{name: x, request: {path: '/{{d.id}}'}}]";
        let data = format!("data: {{d: {{secret: {{name: x, key: a.CSV}}, pick: Unique, per: {per}}}}}");
        right(&format!("{data}\nscenarios: [{{name: a, {load}, {steps}}}]")).plan.data[0].needs
    };
    assert_eq!(needs("iterations: {users: 3, perUser: 4}", "Iteration"), Some(12));
    assert_eq!(needs("iterations: {users: 3, perUser: 4}", "User"), Some(3));
    assert_eq!(needs("arrivals: {stages: [{to: 5/s, hold: 2s}]}", "Iteration"), Some(10));
    assert_eq!(needs(USERS, "User"), Some(5));
    assert_eq!(needs(USERS, "Iteration"), None);
}

#[test]
fn a_plan_survives_being_written_and_read() {
    let plan = plan(
        "data: {d: {secret: {name: x, key: a.csv}}}\nenv: [{name: T, valueFrom: {secretKeyRef: {name: s, key: k}}}]",
        "groups: [{name: g, while: '{{d.n}} < 3'}], thinkTime: {mean: 1s}, steps: [{name: x, group: g, \
         request: {path: '/{{d.id}}', json: {a: '{{env.T | json}}'}}, expect: {json: {$.a: 1.5}, size: {min: 1}}}]",
    );
    let text = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
}

#[test]
fn the_token_of_every_request_is_not_for_the_step_that_gets_it() {
    let token = |top: &str, scenario: &str| {
        let text = format!(
            "target: {{baseUrl: 'http://shop', auth: {{bearer: '{{{{token}}}}'}}}}\n{top}\n\
             scenarios: [{{name: a, {USERS}, {scenario}, steps: [{{name: x, request: {{path: /}}}}]}}]"
        );
        let plan = proofload_plan::compile(&serde_saphyr::from_str(&text).unwrap(), "a/b").unwrap().plan;
        let steps = plan.scenarios.iter().flat_map(|scenario| &scenario.steps);
        steps
            .filter(|step| header(request_of(step), "Authorization").is_some())
            .map(|step| step.name.clone())
            .collect::<Vec<_>>()
    };
    let login = "[{name: first, request: {path: /}}, {name: login, request: {path: /}, extract: {token: {json: $.t}}}, \
                 {name: again, request: {path: /}}]";
    assert_eq!(token(&format!("setup: {login}"), "at: 0s"), ["x", "again"]);
    assert_eq!(token("", &format!("onStart: {login}")), ["again", "x"]);
}

//! Each bad step names its path, and what would be right: templates, requests, expectations, groups.

use crate::problems::{USERS, says, scenario};
use crate::wrong;

/// One scenario with users and this single step.
fn step(rest: &str) -> String {
    scenario(&format!("{USERS}, steps: [{{name: get, {rest}}}]"))
}

#[test]
fn names_in_templates() {
    let path = |path: &str| step(&format!("request: {{path: '{path}'}}"));
    let at = "spec.scenarios[0].steps[0].request.path: expected";
    let said = wrong(&path("/{{uuidd}}"));
    assert!(
        said[0].starts_with(&format!(
            "{at} something that templates know here, got {{{{uuidd}}}} (did you mean {{{{uuid}}}}?"
        )),
        "{said:?}"
    );
    assert!(said[0].contains("there are: uuid, user.id, iteration, run.id, timestamp, random.int(1,9)"), "{said:?}");
    says(&path("/{{env.TOKEN}}"), &[&format!("{at} a variable of spec.env, got {{{{env.TOKEN}}}} (there are none)")]);
    says(&path("/{{random.int(5,1)}}"), &[&format!("{at} random.int of two whole numbers, the smaller one first")]);
    says(&path("/{{random.choice(a,,b)}}"), &[&format!("{at} random.choice of texts")]);
    says(&path("/{{random.float(1)}}"), &[&format!("{at} random.int(1,9) or random.choice(a,b), got")]);
    says(&path("/{{uuid"), &[&format!("{at} }}}} after each {{{{, got none after column 2")]);
    says(&path("/{{uuid|json}}"), &[&format!("{at} | json only in bodies")]);
    says(&path("/{{uuid|upper}}"), &[&format!("{at} json, the only filter, after |, got \"upper\"")]);
    let data = "data: {accounts: {file: users.csv}}\n".to_owned();
    let said = wrong(&(data.clone() + &path("/{{acounts.user}}")));
    assert!(said[0].contains("(did you mean {{accounts.user}}?"), "{said:?}");
    let said = wrong(&(data + &path("/{{accounts}}")));
    assert!(said[0].contains("there are: accounts.COLUMN, uuid"), "{said:?}");
}

#[test]
fn a_variable_is_known_to_the_steps_after_the_one_that_extracts_it() {
    let late = "expected a variable that an earlier step of this scenario, its onStart or setup extracts, got {{token}}, \
                which is extracted by the step";
    let login = "{name: login, request: {path: /login}, extract: {token: {header: X-Token}}}";
    let user = "{name: use, request: {path: '/{{token}}'}}";
    says(
        &scenario(&format!("{USERS}, steps: [{user}, {login}]")),
        &[&format!("spec.scenarios[0].steps[0].request.path: {late} login")],
    );
    says(
        &format!(
            "setup: [{user}, {login}]\nscenarios:\n- {{name: a, {USERS}, onStop: [{login}], steps: [{user}]}}\n\
             - {{name: b, {USERS}, steps: [{user}]}}"
        ),
        &[&format!("spec.setup[0].request.path: {late} login")],
    );
    says(
        &format!("scenarios:\n- {{name: a, {USERS}, steps: [{login}]}}\n- {{name: b, {USERS}, steps: [{user}]}}"),
        &[&format!("spec.scenarios[1].steps[0].request.path: {late} login")],
    );
}

#[test]
fn expectations() {
    let expect = |rest: &str| step(&format!("request: {{path: /}}, expect: {{{rest}}}"));
    let at = "spec.scenarios[0].steps[0].expect";
    says(
        &expect("body: {matches: 'a(b'}"),
        &[&format!(
            "{at}.body.matches: expected a regular expression as of Rust's regex crate, got unclosed group at column 2 in \
             \"a(b\""
        )],
    );
    says(
        &expect("json: {'state.x': 1}, jsonExists: ['$..[']"),
        &[
            &format!("{at}.json[\"state.x\"]: expected a JSON path (RFC 9535) such as $.items[0].id, got "),
            &format!("{at}.jsonExists[0]: expected a JSON path (RFC 9535) such as $.items[0].id, got "),
        ],
    );
    says(
        &expect("status: [], latency: 0s, headers: {'a b': c, D: '{{uuid}}'}, size: {min: 2Ki, max: 1Ki}, body: {}"),
        &[
            &format!("{at}.status: expected at least one status such as 2xx or 429, got none"),
            &format!("{at}.latency: expected a time longer than 0s, got 0s"),
            &format!("{at}.headers.D: expected a fixed text"),
            &format!("{at}.headers.a b: expected a header name"),
            &format!("{at}.body: expected contains or matches, got neither"),
            &format!("{at}.size: expected a min that is not larger than max, got min 2Ki and max 1Ki"),
        ],
    );
    let extract = |rest: &str| step(&format!("request: {{path: /}}, extract: {{{rest}}}"));
    let at = "spec.scenarios[0].steps[0].extract";
    says(
        &extract("uuid: {header: X}, b: {}, c: {regex: {pattern: 'x(y)', group: 2}}, d: {json: $.a, cookie: b}"),
        &[
            &format!("{at}.b: expected exactly one of json, header, cookie and regex, got none"),
            &format!("{at}.c.regex.group: expected a group that the pattern has: 0 to 1, got 2"),
            &format!("{at}.d: expected exactly one of json, header, cookie and regex, got json and cookie"),
            &format!("{at}.uuid: expected a name of letters, digits, _ and - that templates have no other meaning for"),
        ],
    );
}

#[test]
fn requests() {
    let request = |rest: &str| step(&format!("request: {{path: /, {rest}}}"));
    let at = "spec.scenarios[0].steps[0].request";
    says(
        &request("body: x, form: {a: b}, file: nothing"),
        &[&format!("{at}: expected at most one body: body, json, form, multipart or file, got body and form and file")],
    );
    says(
        &request("file: photo"),
        &[&format!("{at}.file: expected the name of a file in spec.files, got \"photo\" (there are none)")],
    );
    says(
        &request(
            "multipart: [{name: a, value: b, file: c}, {name: '{{uuid}}', value: x}], headers: {Content-Type: a/b}",
        ),
        &[
            &format!("{at}.multipart[0]: expected exactly one of value and file, got both"),
            &format!("{at}.multipart[1].name: expected a fixed text"),
            &format!("{at}.headers.Content-Type: expected no Content-Type beside multipart, got one"),
        ],
    );
    says(
        &request("auth: {bearer: a, basic: {username: a, password: b}}"),
        &[&format!("{at}.auth: expected exactly one of basic and bearer, got both")],
    );
    says(
        &request("auth: {bearer: a}, headers: {authorization: b}"),
        &[&format!("{at}.auth: expected either auth or a header Authorization, got both")],
    );
    says(
        &request("auth: {basic: {username: 'a:b', password: b}}"),
        &[&format!("{at}.auth.basic.username: expected a name without a colon")],
    );
    says(
        &request("json: 'a {{uuid | json}}'"),
        &[&format!("{at}.json: expected | json only where it is all of a text")],
    );
    says(
        &request("json: {a: [1, '{{uid}}']}"),
        &[&format!("{at}.json.a[1]: expected something that templates know here")],
    );
    let said = wrong(&request("headers: {X: \"s3cret\\n{{uuid}}\"}")).join("");
    assert!(said.contains("a value of visible characters on one line") && !said.contains("s3cret"), "{said}");
}

#[test]
fn groups_and_weights() {
    let flow = |rest: &str, steps: &str| scenario(&format!("{USERS}, {rest}, steps: [{steps}]"));
    let get = |name: &str, rest: &str| format!("{{name: {name}, request: {{path: /}}{rest}}}");
    let at = "spec.scenarios[0]";
    let zero = [get("a", ", weight: 0"), get("b", ", weight: 0")].join(", ");
    says(
        &flow("flow: Weighted", &zero),
        &[&format!(
            "{at}.steps: expected at least one step or group with a weight above 0, got weights that are all 0"
        )],
    );
    let split = [get("x", ", group: shop"), get("y", ""), get("z", ", group: shop/pay")].join(", ");
    says(
        &flow("onStop: []", &split),
        &[&format!("{at}.steps[2].group: expected steps of a group that follow each other, got \"shop\" again")],
    );
    says(
        &flow("groups: [{name: shop, weight: 2}, {name: x}, {name: shop, repeat: 0}]", &get("x", ", weight: 1")),
        &[
            &format!(
                "{at}.groups[0].weight: expected no weight in a Sequence, got 2 (remove it, or set flow: Weighted)"
            ),
            &format!("{at}.groups[1].name: expected a name that no step of the scenario has"),
            &format!("{at}.groups[2].name: expected a name that no other group has"),
            &format!("{at}.groups[2].repeat: expected at least 1, got 0"),
            &format!("{at}.steps[0].weight: expected no weight in a Sequence, got 1"),
            &format!("{at}.groups[0].name: expected steps that have this group, got none with group: shop"),
            &format!("{at}.groups[1].name: expected steps that have this group"),
            &format!("{at}.groups[2].name: expected steps that have this group"),
        ],
    );
    let weighted =
        "flow: Weighted, groups: [{name: shop/pay, weight: 2}], onStart: [{name: x, weight: 1, request: {path: /}}]";
    says(
        &flow(weighted, &get("x", ", group: shop/pay, weight: 3")),
        &[
            &format!("{at}.groups[0].weight: expected no weight of a group in another, got 2"),
            &format!("{at}.onStart[0].weight: expected no weight in onStart and onStop, got one"),
            &format!("{at}.steps[0].name: expected a name that no other step has"),
            &format!("{at}.steps[0].weight: expected no weight of a step in a group, got one"),
        ],
    );
    says(
        &flow("onStop: []", &get("x", ", group: 'Shop/'")),
        &[&format!("{at}.steps[0].group: expected a name such as shop")],
    );
    for (condition, expected) in [
        ("done", "a comparison such as {{state}} != done"),
        ("a == b", "a comparison with a template in it"),
        ("{{stat}} == b", "something that templates know here"),
    ] {
        let groups = format!("groups: [{{name: g, while: '{condition}'}}]");
        says(&flow(&groups, &get("x", ", group: g")), &[&format!("{at}.groups[0].while: expected {expected}")]);
    }
}

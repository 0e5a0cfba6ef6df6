//! Steps over a web socket: what they compile to, and what is said of wrong ones.

use proofload_api::Micros;
use proofload_api::step::StatusPattern;
use proofload_plan::{Action, Part, Step, Template, WebSocket};

use crate::problems::{USERS, says, scenario};
use crate::right;

const OPEN: &str = "{name: open, webSocket: {connect: {path: /ws}}}";

/// A scenario that opens its web socket and then does this.
fn then(rest: &str) -> String {
    scenario(&format!("{USERS}, onStart: [{OPEN}], steps: [{{name: it, {rest}}}]"))
}

/// The second step, after the one that opens the web socket.
fn step(rest: &str) -> Step {
    right(&then(rest)).plan.scenarios[0].steps[1].clone()
}

fn does(rest: &str) -> WebSocket {
    match step(&format!("webSocket: {{{rest}}}")).action {
        Action::WebSocket(does) => does,
        request @ Action::Request(_) => panic!("{request:?}"),
    }
}

#[test]
fn each_step_does_one_thing() {
    let text = |text: &str| Some(Template::text(text));
    let message = |send: &str| WebSocket::Message { send: text(send), receive: true, until: None };
    assert_eq!(does("send: hello"), message("hello"));
    assert_eq!(does("send: hello, receive: Next"), message("hello"));
    assert_eq!(does("send: ''"), WebSocket::Message { send: Some(Template::default()), receive: true, until: None });
    assert_eq!(
        does("send: hello, receive: Nothing"),
        WebSocket::Message { send: text("hello"), receive: false, until: None }
    );
    assert_eq!(
        does("receive: Next, until: done"),
        WebSocket::Message { send: None, receive: true, until: text("done") }
    );
    assert_eq!(does("ping: {}"), WebSocket::Ping);
    assert_eq!(does("hold: 5s"), WebSocket::Hold(Micros::from_secs(5)));
    assert_eq!(does("close: {}"), WebSocket::Close(1000));
    assert_eq!(does("close: {code: 4001}"), WebSocket::Close(4001));
}

#[test]
fn a_message_is_a_text_with_templates() {
    let WebSocket::Message { send, until, .. } =
        does(r#"send: '{"id": {{user.id | json}}}', until: 'for {{user.id}}'"#)
    else {
        panic!("it is a message");
    };
    let shown = |template: Template| {
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Value(value, escape) => format!("<{value:?} {escape:?}>"),
            Part::Base64(_) => unreachable!("nothing here is base64"),
        };
        template.0.iter().map(part).collect::<String>()
    };
    assert_eq!(send.map(shown).as_deref(), Some("{\"id\": <UserId JsonValue>}"));
    assert_eq!(until.map(shown).as_deref(), Some("for <UserId None>"));
}

#[test]
fn a_handshake_has_the_targets_headers_and_its_own_but_not_those_of_the_engine() {
    let text = format!(
        "target: {{baseUrl: 'http://shop:8080/v1', headers: {{X-A: a, X-B: b}}, auth: {{bearer: t}}, connections: {{keepAlive: false}}}}\n{}",
        scenario(&format!(
            "{USERS}, steps: [{{name: open, webSocket: {{connect: {{path: '/ws?u={{{{user.id}}}}', headers: {{x-b: c}}, \
             protocols: [chat.v2, chat]}}}}}}]"
        ))
    );
    let plan = proofload_plan::compile(&serde_saphyr::from_str(&text).unwrap(), "a/b").unwrap().plan;
    let Action::WebSocket(WebSocket::Connect { path, headers }) = &plan.scenarios[0].steps[0].action else {
        panic!("{plan:?}");
    };
    assert_eq!(path.0[0], Part::Text("/v1/ws?u=".to_owned()));
    let headers: Vec<String> =
        headers.iter().map(|(name, value)| format!("{name}: {}", value.as_text().unwrap())).collect();
    let version = format!("User-Agent: proofload/{}", env!("CARGO_PKG_VERSION"));
    let expected = [
        "Host: shop:8080",
        "x-b: c",
        "X-A: a",
        "Authorization: Bearer t",
        &version,
        "Sec-WebSocket-Protocol: chat.v2, chat",
    ];
    assert_eq!(headers, expected);
}

#[test]
fn a_handshake_is_good_with_101_and_nothing_else_has_a_status() {
    let plan = right(&then("webSocket: {ping: {}}")).plan;
    let expected = |step: usize| plan.scenarios[0].steps[step].expect.clone();
    assert_eq!((expected(0), expected(1)), (vec![StatusPattern::Code(101)], Vec::new()));
    let refused = "{name: no, webSocket: {connect: {path: /}}, expect: {status: [403], headers: {A: b}, latency: 1s}}";
    let plan = right(&scenario(&format!("{USERS}, steps: [{refused}]"))).plan;
    assert_eq!(plan.scenarios[0].steps[0].expect, [StatusPattern::Code(403)]);
    assert_eq!(plan.scenarios[0].steps[0].checks.len(), 2);
}

#[test]
fn a_message_that_is_received_is_looked_at_as_a_body() {
    let all = "expect: {latency: 1s, body: {contains: a}, json: {$.a: 1}, jsonExists: [$.b], size: {max: 1Ki}}, \
               extract: {a: {json: $.a}, b: {regex: {pattern: c}}}";
    let step = step(&format!("webSocket: {{send: x}}, {all}"));
    assert_eq!((step.checks.len(), step.extract.len()), (5, 2));
    assert_eq!(super::right(&then("webSocket: {close: {}}, expect: {latency: 1s}")).plan.scenarios[0].steps.len(), 2);
}

#[test]
fn a_step_is_one_thing() {
    let one = "exactly one of connect, send (or receive), ping, hold and close";
    let at = "spec.scenarios[0].steps[0]";
    says(
        &then("weight: 1"),
        &[
            &format!("{at}: expected exactly one of request and webSocket, got neither"),
            &format!("{at}.request.path: expected a path that begins with /"),
            &format!("{at}.weight: expected no weight in a Sequence"),
        ],
    );
    says(
        &then("webSocket: {ping: {}}, request: {path: /}"),
        &[&format!("{at}: expected exactly one of request and webSocket, got both")],
    );
    says(&then("webSocket: {}"), &[&format!("{at}.webSocket: expected {one}, got none")]);
    says(
        &then("webSocket: {send: a, ping: {}, close: {}}"),
        &[&format!("{at}.webSocket: expected {one}, got send and ping and close")],
    );
    says(
        &then("webSocket: {until: a}"),
        &[
            &format!("{at}.webSocket: expected {one}, got none"),
            &format!("{at}.webSocket.until: expected until beside send or receive, got until alone"),
        ],
    );
    says(
        &then("webSocket: {receive: Nothing, until: ''}"),
        &[
            &format!("{at}.webSocket.receive: expected send beside receive: Nothing, got nothing to do"),
            &format!("{at}.webSocket.until: expected no until beside receive: Nothing, got one"),
            &format!("{at}.webSocket.until: expected a text that the message has in it, got an empty one"),
        ],
    );
    says(
        &then("webSocket: {send: '{{uuidd}}'}"),
        &[&format!("{at}.webSocket.send: expected something that templates know here, got {{{{uuidd}}}}")],
    );
    says(
        &then("webSocket: {hold: 0s}"),
        &[&format!("{at}.webSocket.hold: expected a time longer than 0s, at most 30d, got 0s")],
    );
    says(
        &then("webSocket: {close: {code: 1005}}"),
        &[&format!(
            "{at}.webSocket.close.code: expected a code that can be sent: 1000 to 1003, 1007 to 1014, or 3000 to 4999, got 1005"
        )],
    );
}

#[test]
fn a_handshake_that_is_wrong() {
    let connect = |rest: &str| then(&format!("webSocket: {{connect: {{{rest}}}}}"));
    let at = "spec.scenarios[0].steps[0].webSocket.connect";
    says(&connect("path: ws"), &[&format!("{at}.path: expected a path that begins with /")]);
    says(
        &connect(
            "path: /, headers: {Sec-WebSocket-Key: a, Upgrade: b, sec-websocket-protocol: c}, protocols: ['a b', c, c]",
        ),
        &[
            &format!(
                "{at}.headers.Sec-WebSocket-Key: expected another header, got \"Sec-WebSocket-Key\" (the load engine"
            ),
            &format!("{at}.headers.Upgrade: expected another header"),
            &format!(
                "{at}.headers.sec-websocket-protocol: expected no protocols of a web socket as a header, got \
                 \"sec-websocket-protocol\" (a step names them in webSocket.connect.protocols)"
            ),
            &format!("{at}.protocols[0]: expected a protocol's name, such as graphql-transport-ws, got \"a b\""),
            &format!("{at}.protocols[2]: expected each protocol once, got \"c\" twice"),
        ],
    );
}

#[test]
fn what_does_not_come_back_cannot_be_expected() {
    let all = "expect: {status: [200], latency: 1s, headers: {A: b}, body: {contains: a}, json: {$.a: 1}, \
               jsonExists: [$.b], size: {max: 1Ki}}, extract: {a: {json: $.a}, b: {header: c}}";
    let said = |does: &str| crate::wrong(&then(&format!("webSocket: {{{does}}}, {all}")));
    let fields = |does: &str| {
        let said = said(does);
        let paths = said.iter().map(|said| said.split(": ").next().unwrap().rsplit("steps[0].").next().unwrap());
        paths.map(str::to_owned).collect::<Vec<_>>().join(" ")
    };
    let body = "expect.body expect.json expect.jsonExists expect.size";
    assert_eq!(fields("connect: {path: /}"), format!("{body} extract.a.json extract.b.header"));
    assert_eq!(fields("send: a"), "expect.status expect.headers extract.b.header");
    let nothing = format!("expect.status expect.headers {body} extract.a.json extract.b.header");
    for does in ["send: a, receive: Nothing", "ping: {}", "close: {}"] {
        assert_eq!(fields(does), nothing, "{does}");
    }
    assert_eq!(fields("hold: 1s"), nothing.replace("expect.headers", "expect.latency expect.headers"));
    let at = "spec.scenarios[0].steps[0].expect.status: expected";
    assert_eq!(
        said("receive: Next")[0],
        format!("{at} no status of a web socket's message, got one (it is a body, and has a latency)")
    );
    assert_eq!(
        said("hold: 1s")[0],
        format!("{at} no status of a web socket that is held, got one (nothing comes back)")
    );
}

#[test]
fn a_web_socket_is_opened_before_it_is_used() {
    let ping = "{name: ping, webSocket: {ping: {}}}";
    let early = "expected a step before this one that connects, got none (a user opens its web socket by a step with";
    let flow = |rest: &str| scenario(&format!("{USERS}, {rest}"));
    says(
        &flow(&format!("onStart: [{ping}], steps: [{OPEN}]")),
        &[&format!("spec.scenarios[0].onStart[0].webSocket: {early}")],
    );
    says(&flow(&format!("steps: [{ping}, {OPEN}]")), &[&format!("spec.scenarios[0].steps[0].webSocket: {early}")]);
    says(
        &format!("setup: [{OPEN}]\n{}", flow(&format!("steps: [{ping}]"))),
        &[&format!("spec.scenarios[0].steps[0].webSocket: {early}")],
    );
    right(&flow(&format!("flow: Weighted, steps: [{ping}, {OPEN}]")));
    right(&flow(&format!("steps: [{OPEN}], onStop: [{ping}]")));
    let grouped = |step: &str| step.replacen(", ", ", group: g, ", 1);
    right(&flow(&format!("groups: [{{name: g, repeat: 2}}], steps: [{}, {}]", grouped(ping), grouped(OPEN))));
}

#[test]
fn the_time_that_it_is_held_is_part_of_the_longest_run() {
    let setup = |hold: &str| {
        let steps = format!("setup: [{OPEN}, {{name: h, webSocket: {{hold: {hold}}}}}]");
        right(&format!("{steps}\n{}", scenario(&format!("{USERS}, steps: [{{name: x, request: {{path: /}}}}]"))))
            .plan
            .longest()
    };
    assert_eq!(setup("2h"), setup("1h") + Micros::from_secs(2 * 3600));
}

//! What a user does with its web socket: each action is counted once, in one outcome, and arrives as it was sent.

mod common;

use std::time::{Duration, Instant};

use common::recording::Recording;
use common::web_sockets::WebSockets;
use common::{
    block_on, ended, execute, iterations, launch, outcomes, plan, scenario, template, total, users, wait_for,
};
use proofload_api::Outcome;
use proofload_api::step::StatusPattern;
use proofload_api::units::Micros;
use proofload_plan::{
    Action, Check, CheckKind, Escape, Extract, ExtractFrom, Load, Node, Plan, Segment, Step, Template, ThinkTime,
    Value, WebSocket,
};
use proofload_results::snapshot::MAX_ERRORS;
use proofload_results::{EndCause, Snapshot};

fn connect(path: &str) -> WebSocket {
    WebSocket::Connect { path: Template::text(path), headers: vec![("Host".to_owned(), Template::text("test"))] }
}

fn send(text: &str) -> WebSocket {
    WebSocket::Message { send: Some(Template::text(text)), receive: false, until: None }
}

fn receive(until: Option<&str>) -> WebSocket {
    WebSocket::Message { send: None, receive: true, until: until.map(Template::text) }
}

fn exchange(text: &str) -> WebSocket {
    WebSocket::Message { send: Some(Template::text(text)), receive: true, until: None }
}

fn hold(millis: u64) -> WebSocket {
    WebSocket::Hold(Micros::from_millis(millis))
}

fn step(action: &WebSocket) -> Step {
    Step {
        name: "step".to_owned(),
        group: None,
        action: Action::WebSocket(action.clone()),
        expect: match action {
            WebSocket::Connect { .. } => vec![StatusPattern::Code(101)],
            _ => Vec::new(),
        },
        checks: Vec::new(),
        extract: Vec::new(),
    }
}

/// Each iteration does all of these.
fn plan_of(server: &WebSockets, load: Load, actions: &[WebSocket]) -> Plan {
    let mut scenario = scenario("one", load, &[]);
    scenario.steps = actions.iter().map(step).collect();
    scenario.flow.nodes = (0..actions.len()).map(Node::Step).collect();
    plan(server.address, vec![scenario])
}

/// One user does these once.
fn once(server: &WebSockets, actions: &[WebSocket]) -> Snapshot {
    execute(&plan_of(server, iterations(1, 1), actions), Segment::WHOLE, 1)
}

/// Requests and outcomes of each step.
fn by_step(snapshot: &Snapshot) -> Vec<Vec<(Outcome, u64)>> {
    snapshot.cells.iter().map(|cell| outcomes(&cell.decode().expect("a cell"))).collect()
}

fn messages(snapshot: &Snapshot) -> Vec<(&str, u64)> {
    snapshot.errors.iter().map(|error| (error.message.as_str(), error.count)).collect()
}

/// Iterations that were done, broken and cut.
fn progress(snapshot: &Snapshot) -> (u64, u64, u64) {
    let progress = &snapshot.scenarios[0];
    (progress.iterations, progress.broken_iterations, progress.cut_iterations)
}

const OK: Outcome = Outcome::Ok;

#[test]
fn a_web_socket_lives_from_its_users_first_step_to_its_last() {
    let server = WebSockets::start();
    let actions = [connect("/echo?a=b"), exchange("hello"), WebSocket::Close(4001)];
    let mut plan = plan_of(&server, iterations(3, 4), &actions);
    let scenario = &mut plan.scenarios[0];
    (scenario.on_start, scenario.on_stop) = (1, 1);
    scenario.flow.nodes = vec![Node::Step(1)];
    let snapshot = execute(&plan, Segment::WHOLE, 2);
    assert_eq!(by_step(&snapshot), [[(OK, 3)], [(OK, 12)], [(OK, 3)]], "{:?}", snapshot.errors);
    assert_eq!(progress(&snapshot), (12, 0, 0));
    let cells: Vec<_> = snapshot.cells.iter().map(|cell| cell.decode().unwrap()).collect();
    assert_eq!(cells[0].statuses.clone().into_iter().collect::<Vec<_>>(), [(101, 3)]);
    assert!(cells[1].statuses.is_empty());
    // A frame's head is of two bytes, and of four more for its mask.
    assert_eq!((cells[1].bytes_out, cells[1].bytes_in), (12 * 11, 12 * 7));
    assert_eq!((cells[2].bytes_out, cells[2].bytes_in), (3 * 8, 3 * 4));
    let seen = server.seen();
    assert_eq!((seen.texts, seen.closes), (vec!["hello".to_owned(); 12], vec![Some(4001); 3]));
    let line = |name: &str| format!("\r\n{name}\r\n");
    for head in &seen.heads {
        assert!(head.starts_with("GET /echo?a=b HTTP/1.1\r\nHost: test\r\n"), "{head}");
        for name in ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"] {
            assert!(head.contains(&line(name)), "{head}");
        }
    }
    assert_eq!(cells[0].bytes_out, seen.heads.iter().map(String::len).sum::<usize>() as u64);
    assert!(seen.heads.iter().all(|head| seen.heads.iter().filter(|other| *other == head).count() == 1), "keys differ");
}

#[test]
fn what_the_target_does_to_a_message_is_what_is_counted() {
    let server = WebSockets::start();
    let bad = |text: &str| format!("not a valid message: {text}");
    let closed = |text: &str| format!("web socket closed by the target{text}");
    let cases = [
        ("close 1011 no more memory", Outcome::Closed, closed(": code 1011 (no more memory)")),
        ("close 4003 ", Outcome::Closed, closed(": code 4003")),
        ("close 0 ", Outcome::Closed, closed(" without a code")),
        ("cut", Outcome::Closed, "connection closed without a close frame".to_owned()),
        ("reset", Outcome::Reset, "connection reset by peer".to_owned()),
        ("utf8", Outcome::Protocol, bad("a text that is not UTF-8")),
        ("masked", Outcome::Protocol, bad("a frame that is masked")),
        ("reserved", Outcome::Protocol, bad("a frame with reserved bits")),
        ("opcode", Outcome::Protocol, bad("a frame of no known kind")),
        ("nothing goes on", Outcome::Protocol, bad("the next piece of no message")),
        ("long ping", Outcome::Protocol, bad("a control frame over 125 bytes")),
        ("one byte", Outcome::Protocol, bad("a close frame of one byte")),
        ("too long", Outcome::Protocol, bad("over 1 MiB")),
        ("pieces", Outcome::Protocol, bad("over 1 MiB")),
    ];
    for (text, outcome, message) in cases {
        // The third step has no web socket any more.
        let actions = [connect("/"), exchange(text), exchange("after")];
        let snapshot = execute(&plan_of(&server, iterations(3, 2), &actions), Segment::WHOLE, 2);
        assert_eq!(by_step(&snapshot), [vec![(OK, 6)], vec![(outcome, 6)], vec![]], "{text}: {:?}", snapshot.errors);
        assert_eq!(messages(&snapshot), [(message.as_str(), 6)], "{text}");
        assert_eq!(progress(&snapshot), (0, 6, 0), "{text}");
    }
    assert!(!server.seen().texts.contains(&"after".to_owned()));
}

#[test]
fn a_handshake_that_is_answered_otherwise_opens_nothing() {
    let server = WebSockets::start();
    let bad = |text: &str| format!("not a valid response: {text}");
    let cases = [
        ("/deny", Outcome::UnexpectedStatus, "status 403".to_owned()),
        ("/garbage", Outcome::Protocol, bad("not an HTTP/1 response")),
        ("/close", Outcome::Closed, "connection closed without a response".to_owned()),
        ("/half", Outcome::Closed, "connection closed within the response".to_owned()),
        ("/reset", Outcome::Reset, "connection reset by peer".to_owned()),
        ("/other-key", Outcome::Protocol, bad("a Sec-WebSocket-Accept that is not of this request")),
        ("/no-upgrade", Outcome::Protocol, bad("101 without an upgrade to a web socket")),
        ("/extensions", Outcome::Protocol, bad("a web socket with extensions, which nobody asked for")),
        ("/protocol", Outcome::Protocol, bad("a Sec-WebSocket-Protocol that was not offered")),
    ];
    for (path, outcome, message) in cases {
        let snapshot = once(&server, &[connect(path), exchange("after")]);
        assert_eq!(by_step(&snapshot), [vec![(outcome, 1)], vec![]], "{path}: {:?}", snapshot.errors);
        assert_eq!(messages(&snapshot), [(message.as_str(), 1)], "{path}");
        assert_eq!(progress(&snapshot), (0, 1, 0), "{path}");
    }
    assert_eq!(server.seen().texts, [""; 0]);
}

#[test]
fn another_status_may_be_expected_and_a_protocol_offered() {
    let server = WebSockets::start();
    let mut plan = plan_of(&server, iterations(1, 1), &[connect("/deny"), connect("/echo"), exchange("a")]);
    plan.scenarios[0].steps[0].expect = vec![StatusPattern::Code(403)];
    plan.scenarios[0].steps[1].expect = vec![StatusPattern::Code(403)];
    let snapshot = execute(&plan, Segment::WHOLE, 1);
    assert_eq!(by_step(&snapshot), [vec![(OK, 1)], vec![(Outcome::UnexpectedStatus, 1)], vec![]]);
    assert_eq!((messages(&snapshot), progress(&snapshot)), (vec![("status 101", 1)], (0, 1, 0)));

    let WebSocket::Connect { path, mut headers } = connect("/protocol") else { unreachable!("it is one") };
    headers.push(("Sec-WebSocket-Protocol".to_owned(), Template::text("json, soap")));
    let snapshot = once(&server, &[WebSocket::Connect { path, headers }, exchange("a")]);
    assert_eq!(by_step(&snapshot), [[(OK, 1)], [(OK, 1)]], "{:?}", snapshot.errors);
}

#[test]
fn nobody_listens_and_the_name_of_the_outcome_is_that_of_requests() {
    let server = WebSockets::start();
    let mut plan = plan_of(&server, iterations(1, 1), &[connect("/"), WebSocket::Ping]);
    plan.target.port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let snapshot = execute(&plan, Segment::WHOLE, 1);
    assert_eq!(by_step(&snapshot), [vec![(Outcome::Connect, 1)], vec![]]);
    assert_eq!((messages(&snapshot), progress(&snapshot)), (vec![("connection refused", 1)], (0, 1, 0)));
}

#[test]
fn messages_come_in_their_order_and_none_is_lost() {
    let server = WebSockets::start();
    // Who only sends leaves what has come to those that wait for it.
    let actions = [
        connect("/greet"),
        send("many"),
        send("silent"),
        receive(None),
        receive(Some("e")),
        receive(None),
        receive(Some("hre")),
        exchange("longest"),
        exchange("x"),
    ];
    let mut plan = plan_of(&server, iterations(2, 1), &actions);
    let check = |kind| vec![Check { name: "body".to_owned(), kind }];
    let steps = &mut plan.scenarios[0].steps;
    steps[0].checks = check(CheckKind::Header("set-cookie".to_owned(), Some("seen=yes".to_owned())));
    steps[3].checks = check(CheckKind::Contains("welcome".to_owned()));
    steps[4].checks = check(CheckKind::Matches("^one$".to_owned()));
    steps[5].checks = check(CheckKind::Matches("^two$".to_owned()));
    steps[6].checks = check(CheckKind::Size { min: 5, max: 5 });
    steps[7].checks = check(CheckKind::Size { min: 1 << 20, max: 1 << 20 });
    steps[8].checks = check(CheckKind::Contains("y".to_owned()));
    let snapshot = execute(&plan, Segment::WHOLE, 1);
    let ok = vec![(OK, 2)];
    let expected = [vec![ok; 8], vec![vec![(Outcome::FailedCheck, 2)]]].concat();
    assert_eq!(by_step(&snapshot), expected, "{:?}", snapshot.errors);
    assert_eq!(messages(&snapshot), [("check \"body\" failed: expected \"y\"", 2)]);
    // A check that does not hold does not close anything.
    assert_eq!((progress(&snapshot), server.seen().heads.len()), ((2, 0, 0), 2));
}

#[test]
fn what_a_message_says_goes_into_the_next() {
    let server = WebSockets::start();
    let mut plan = plan_of(&server, iterations(2, 1), &[connect("/"), exchange(""), exchange(""), send("")]);
    plan.variables = vec!["id".to_owned(), "none".to_owned()];
    let steps = &mut plan.scenarios[0].steps;
    let text = |parts: &[(&str, Value)], receive, until| {
        Action::WebSocket(WebSocket::Message { send: Some(template(parts, Escape::None)), receive, until })
    };
    let mut asks = template(&[("{\"id\": \"id-", Value::UserId)], Escape::None);
    asks.0.extend(Template::text("\"}").0);
    steps[1].action = Action::WebSocket(WebSocket::Message { send: Some(asks), receive: true, until: None });
    steps[1].extract = vec![Extract { variable: 0, from: ExtractFrom::Json("$.id".to_owned()) }];
    let until = template(&[("of ", Value::Variable(0))], Escape::None);
    steps[2].action = text(&[("of ", Value::Variable(0)), (" and ", Value::Iteration)], true, Some(until));
    steps[3].action = text(&[("", Value::Variable(1))], false, None);
    let snapshot = execute(&plan, Segment::WHOLE, 1);
    assert_eq!(by_step(&snapshot), [vec![(OK, 2)], vec![(OK, 2)], vec![(OK, 2)], vec![]], "{:?}", snapshot.errors);
    assert_eq!(progress(&snapshot), (0, 2, 0), "a value that nothing has set");
    let mut texts = server.seen().texts;
    texts.sort_unstable();
    assert_eq!(texts, ["of id-1 and 1", "of id-2 and 1", "{\"id\": \"id-1\"}", "{\"id\": \"id-2\"}"]);
}

#[test]
fn pings_are_answered_both_ways() {
    let server = WebSockets::start();
    let actions = [connect("/"), WebSocket::Ping, exchange("ping"), send("ping"), hold(300), WebSocket::Ping];
    let snapshot = execute(&plan_of(&server, iterations(2, 1), &actions), Segment::WHOLE, 1);
    let ok = vec![(OK, 2)];
    let held = vec![];
    assert_eq!(by_step(&snapshot), [ok.clone(), ok.clone(), ok.clone(), ok.clone(), held, ok]);
    let seen = server.seen();
    assert_eq!((seen.pings, seen.pongs), (4, vec!["there".to_owned(); 4]));
}

#[test]
fn a_hold_is_counted_only_if_it_does_not_hold() {
    let server = WebSockets::start();
    let begin = Instant::now();
    let snapshot = once(&server, &[connect("/"), hold(200), hold(0), exchange("still there")]);
    assert!(begin.elapsed() >= Duration::from_millis(200));
    assert_eq!(by_step(&snapshot), [vec![(OK, 1)], vec![], vec![], vec![(OK, 1)]]);
    assert_eq!((progress(&snapshot), server.seen().texts.len()), ((1, 0, 0), 1));

    let actions = [connect("/"), send("close 1011 crash"), hold(60_000), hold(60_000)];
    let snapshot = execute(&plan_of(&server, iterations(3, 2), &actions), Segment::WHOLE, 2);
    assert_eq!(by_step(&snapshot), [vec![(OK, 6)], vec![(OK, 6)], vec![(Outcome::Closed, 6)], vec![]]);
    assert_eq!(messages(&snapshot), [("web socket closed by the target: code 1011 (crash)", 6)]);
    assert_eq!(progress(&snapshot), (0, 6, 0));
}

#[test]
fn a_close_between_two_steps_is_counted_once_by_the_next() {
    let server = WebSockets::start();
    // The close comes in one piece with the last message.
    for next in [send("too late"), exchange("too late"), WebSocket::Ping, WebSocket::Close(1000), hold(60_000)] {
        let snapshot = once(&server, &[connect("/"), exchange("last"), next, send("too late")]);
        assert_eq!(by_step(&snapshot), [vec![(OK, 1)], vec![(OK, 1)], vec![(Outcome::Closed, 1)], vec![]]);
        assert_eq!(messages(&snapshot), [("web socket closed by the target: code 1011 (restarting)", 1)]);
        assert_eq!(progress(&snapshot), (0, 1, 0));
    }
    assert_eq!(server.seen().texts, ["last"; 5]);
}

#[test]
fn who_leaves_or_connects_anew_says_goodbye() {
    let server = WebSockets::start();
    let snapshot = execute(&plan_of(&server, iterations(2, 2), &[connect("/"), send("a")]), Segment::WHOLE, 2);
    assert_eq!(by_step(&snapshot), [[(OK, 4)], [(OK, 4)]]);
    block_on(wait_for("all to be closed", || server.seen().closes.len() == 4));
    assert_eq!(server.seen().closes, [Some(1001); 4]);
}

#[test]
fn a_request_that_sets_a_cookie_is_known_to_the_handshake() {
    let server = WebSockets::start();
    let mut plan = plan_of(&server, iterations(1, 1), &[connect("/greet"), connect("/echo")]);
    execute(&plan, Segment::WHOLE, 1);
    let heads = server.seen().heads;
    assert!(!heads[0].contains("Cookie") && heads[1].contains("\r\nCookie: seen=yes\r\n"), "{heads:?}");
    // The same for a request that is none of a web socket; and one to a target that speaks no web sockets.
    let recording = Recording::start(common::recording::ok);
    plan.target.port = recording.address.port();
    let snapshot = execute(&plan, Segment::WHOLE, 1);
    assert_eq!(messages(&snapshot), [("status 200", 1), ("status 200", 1)]);
}

#[test]
fn what_takes_too_long_is_a_timeout_and_ends_the_web_socket() {
    let server = WebSockets::start();
    let cases: [(&[WebSocket], usize); 3] = [
        (&[connect("/mute"), send("after")], 0),
        (&[connect("/"), exchange("silent"), send("after")], 1),
        (&[connect("/greet"), receive(None), receive(None), send("after")], 2),
    ];
    for (actions, place) in cases {
        let mut plan = plan_of(&server, iterations(2, 1), actions);
        plan.target.timeout = Micros::from_millis(200);
        let snapshot = execute(&plan, Segment::WHOLE, 1);
        let mut expected = vec![vec![(OK, 2)]; actions.len()];
        (expected[place], expected[place + 1]) = (vec![(Outcome::Timeout, 2)], vec![]);
        assert_eq!(by_step(&snapshot), expected, "{actions:?}");
        assert_eq!((messages(&snapshot), progress(&snapshot)), (vec![("timeout after 200ms", 2)], (0, 2, 0)));
    }
    assert!(!server.seen().texts.contains(&"after".to_owned()));
}

#[test]
fn a_stop_ends_each_action_within_a_second() {
    let server = WebSockets::start();
    // With how many are opened, and how many interrupted.
    let cases: [(&[WebSocket], u64, u64); 4] = [
        (&[connect("/mute")], 0, 3),
        (&[connect("/"), exchange("silent")], 3, 3),
        (&[connect("/greet"), receive(Some("never"))], 3, 3),
        (&[connect("/"), hold(60_000)], 3, 0),
    ];
    for (actions, opened, interrupted) in cases {
        let mut plan = plan_of(&server, iterations(3, 1), actions);
        plan.target.timeout = common::DEADLINE.into();
        block_on(async {
            let before = server.seen().heads.len();
            let engine = launch(&plan, Segment::WHOLE, 2);
            engine.begin(&[0], Instant::now(), &[]);
            wait_for("all to be at it", || server.seen().heads.len() == before + 3).await;
            let mut snapshot = engine.snapshot().await;
            while total(&snapshot).count(OK) < opened {
                snapshot = engine.snapshot().await;
            }
            let stopped = Instant::now();
            engine.stop(EndCause::Stopped, None);
            ended(&engine).await;
            assert!(stopped.elapsed() < Duration::from_secs(1), "{actions:?}: {:?}", stopped.elapsed());
            let snapshot = engine.snapshot().await;
            let cell = total(&snapshot);
            let counted = (cell.count(OK), cell.count(Outcome::Interrupted), cell.requests());
            assert_eq!(counted, (opened, interrupted, opened + interrupted), "{actions:?}");
            assert_eq!(progress(&snapshot), (0, 0, 3), "{actions:?}");
        });
    }
}

#[test]
fn the_end_of_the_load_ends_what_is_under_way_and_then_comes_the_farewell() {
    let server = WebSockets::start();
    // A request under way goes on to its end unless there is a graceful stop to end it.
    let cases = [
        (hold(60_000), 0, vec![]),
        (hold(60_000), 200, vec![]),
        (exchange("silent"), 200, vec![(Outcome::Interrupted, 4)]),
    ];
    for (action, graceful, expected) in cases {
        let actions = [connect("/"), action, WebSocket::Close(1000)];
        let mut plan = plan_of(&server, users(&[(4, 4, 300)]), &actions);
        let scenario = &mut plan.scenarios[0];
        scenario.graceful_stop = Micros::from_millis(graceful);
        scenario.on_stop = 1;
        scenario.flow.nodes.pop();
        let begin = Instant::now();
        let snapshot = execute(&plan, Segment::WHOLE, 2);
        let took = begin.elapsed();
        assert!(took >= Duration::from_millis(300 + graceful) && took < common::DEADLINE, "{took:?}");
        assert_eq!(by_step(&snapshot), [vec![(OK, 4)], expected, vec![(OK, 4)]], "{actions:?}");
        assert_eq!(progress(&snapshot), (0, 0, 4), "{actions:?}");
    }
    assert_eq!(server.seen().closes, [Some(1000); 12]);
}

#[test]
fn a_web_socket_is_kept_from_one_arrival_to_the_next() {
    let server = WebSockets::start();
    let mut plan =
        plan_of(&server, common::arrivals(20, 500, 1), &[connect("/"), exchange("a"), WebSocket::Close(1000)]);
    let scenario = &mut plan.scenarios[0];
    (scenario.on_start, scenario.on_stop) = (1, 1);
    scenario.flow.nodes = vec![Node::Step(1)];
    scenario.think_time = Some(ThinkTime::Constant(Micros::from_millis(1)));
    let snapshot = execute(&plan, Segment::WHOLE, 1);
    assert_eq!(by_step(&snapshot), [[(OK, 1)], [(OK, 10)], [(OK, 1)]], "{:?}", snapshot.scenarios);
    assert_eq!(server.seen().closes, [Some(1000)]);
}

#[test]
fn reasons_without_end_are_cut_and_fill_nothing() {
    let server = WebSockets::start();
    let mut plan = plan_of(&server, iterations(5, 80), &[connect("/"), exchange("")]);
    let reason = format!("close 4000 {}\u{1F4A5}\t\u{e9}", "x".repeat(90));
    let text = template(&[(reason.as_str(), Value::UserId), ("-", Value::Iteration)], Escape::None);
    let action = WebSocket::Message { send: Some(text), receive: true, until: None };
    plan.scenarios[0].steps[1].action = Action::WebSocket(action);
    let snapshot = execute(&plan, Segment::WHOLE, 2);
    assert_eq!(by_step(&snapshot), [[(OK, 400)], [(Outcome::Closed, 400)]]);
    assert_eq!(snapshot.errors.len(), MAX_ERRORS);
    let begin = format!("web socket closed by the target: code 4000 ({}\u{1F4A5} \u{e9}", "x".repeat(90));
    assert!(snapshot.errors.iter().all(|error| error.message.starts_with(&begin)), "{:?}", snapshot.errors[0]);
    let longest = snapshot.errors.iter().map(|error| error.message.chars().count()).max();
    assert!(longest <= Some("web socket closed by the target: code 4000 ()".len() + 100), "{longest:?}");
}

//! HTTP/2: many requests over few connections, each counted once in the outcome that it came to.

mod common;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use common::secure::Server;
use common::{InMemory, block_on, ended, execute, execute_with, iterations, launch, outcomes, plan, request, scenario};
use common::{source, template, total, users, wait_for};
use proofload_api::Outcome;
use proofload_api::step::{Method, Redirects, StatusPattern};
use proofload_api::units::Micros;
use proofload_engine::Materials;
use proofload_plan::{
    Body, Check, CheckKind, Connections, Escape, Extract, ExtractFrom, Load, Piece, Plan, Protocol, Segment, Template,
    Value,
};
use proofload_results::{EndCause, Snapshot};

fn http2(address: SocketAddr, load: Load, paths: &[&str]) -> Plan {
    let mut plan = plan(address, vec![scenario("one", load, paths)]);
    plan.target.protocol = Protocol::Http2;
    plan
}

fn shared(mut plan: Plan, count: u32, streams: u32) -> Plan {
    plan.target.connections = Connections::Shared { count, streams };
    plan
}

fn run(plan: &Plan) -> (Vec<(Outcome, u64)>, Snapshot) {
    let snapshot = execute(plan, Segment::WHOLE, 1);
    (outcomes(&total(&snapshot)), snapshot)
}

fn messages(snapshot: &Snapshot) -> Vec<(String, u64)> {
    snapshot.errors.iter().map(|error| (error.message.clone(), error.count)).collect()
}

#[test]
fn what_the_target_does_is_what_is_counted() {
    let cases = [
        ("/", Outcome::Ok, ""),
        ("/bytes/300000", Outcome::Ok, ""),
        ("/no-content", Outcome::Ok, ""),
        ("/interim", Outcome::Ok, ""),
        ("/status/503", Outcome::UnexpectedStatus, "status 503"),
        ("/refuse", Outcome::Reset, "stream reset: REFUSED_STREAM"),
        ("/refuse-late", Outcome::Reset, "stream reset: INTERNAL_ERROR"),
        ("/abort", Outcome::Closed, "connection closed by the target (GOAWAY ENHANCE_YOUR_CALM)"),
    ];
    for (path, outcome, message) in cases {
        let server = Server::plain(None);
        let (counted, snapshot) = run(&http2(server.address, iterations(3, 4), &[path]));
        assert_eq!(counted, [(outcome, 12)], "{path}: {:?}", snapshot.errors);
        assert_eq!(server.counts.requests(), 12, "{path}");
        assert_eq!(messages(&snapshot), if message.is_empty() { vec![] } else { vec![(message.to_owned(), 12)] });
        let connections = if outcome == Outcome::Closed { 12 } else { 3 };
        assert_eq!(server.counts.accepted(), connections, "{path}: a stream's end is not that of its connection");
    }
}

#[test]
fn many_requests_share_few_connections() {
    let server = Server::plain(None);
    let plan = shared(http2(server.address, iterations(60, 5), &["/delay/5"]), 3, 10);
    assert_eq!(run(&plan).0, [(Outcome::Ok, 300)]);
    assert_eq!((server.counts.requests(), server.counts.accepted()), (300, 3));
    assert_eq!(server.counts.most_at_once(), 10);
}

#[test]
fn no_more_requests_at_once_than_the_target_takes() {
    let server = Server::plain(Some(4));
    let plan = shared(http2(server.address, iterations(30, 5), &["/delay/5"]), 2, 100);
    let (counted, snapshot) = run(&plan);
    assert_eq!(counted, [(Outcome::Ok, 150)], "they wait: {:?}", snapshot.errors);
    assert_eq!((server.counts.accepted(), server.counts.most_at_once()), (2, 4));
}

#[test]
fn a_shared_connection_takes_no_more_requests_than_planned() {
    let server = Server::plain(None);
    let mut plan = shared(http2(server.address, iterations(8, 3), &["/delay/2"]), 2, 4);
    for (max_requests, connections) in [(5, 5..=6), (1, 24..=24), (12, 2..=2)] {
        let before = server.counts.accepted();
        plan.target.keep.max_requests = Some(max_requests);
        assert_eq!(run(&plan).0, [(Outcome::Ok, 24)]);
        let accepted = server.counts.accepted() - before;
        assert!(connections.contains(&accepted), "{accepted} instead of {connections:?}");
    }
    plan.target.keep.max_requests = None;
    plan.target.keep.max_age = Some(Micros(1));
    let before = server.counts.accepted();
    assert_eq!(run(&plan).0, [(Outcome::Ok, 24)]);
    assert!(server.counts.accepted() - before > 2);
    plan.target.connections = Connections::PerUser(1);
    plan.target.keep = proofload_plan::Keep { max_requests: Some(2), max_age: None };
    let before = server.counts.accepted();
    assert_eq!(run(&plan).0, [(Outcome::Ok, 24)]);
    assert_eq!(server.counts.accepted() - before, 16);
}

#[test]
fn a_target_that_goes_away_between_requests_fails_none() {
    let server = Server::plain(None);
    let mut plan = http2(server.address, iterations(2, 4), &["/go-away"]);
    plan.scenarios[0].pacing = Some(Micros::from_millis(50));
    let (counted, snapshot) = run(&plan);
    assert_eq!(counted, [(Outcome::Ok, 8)], "{:?}", snapshot.errors);
    assert_eq!(server.counts.accepted(), 8);
}

#[test]
fn requests_under_way_end_when_the_target_goes_away() {
    let server = Server::plain(None);
    // One connection: while some wait for their answer, another makes the target go away.
    let waiting = scenario("wait", iterations(5, 1), &["/delay/300"]);
    let mut going = scenario("go", iterations(1, 1), &["/go-away"]);
    going.at = Micros::from_millis(100);
    let mut plan = shared(http2(server.address, iterations(1, 1), &["/"]), 1, 10);
    plan.scenarios = vec![waiting, going];
    let (counted, snapshot) = run(&plan);
    assert_eq!(counted, [(Outcome::Ok, 6)], "{:?}", snapshot.errors);
    assert_eq!(server.counts.accepted(), 1);
}

#[test]
fn a_request_that_takes_too_long_is_reset_and_its_connection_goes_on() {
    for connections in [Connections::PerUser(1), Connections::Shared { count: 1, streams: 10 }] {
        let server = Server::plain(None);
        let mut plan = http2(server.address, iterations(1, 3), &["/hang", "/"]);
        (plan.target.connections, plan.target.timeout) = (connections, Micros::from_millis(100));
        let (counted, snapshot) = run(&plan);
        assert_eq!(counted, [(Outcome::Ok, 3), (Outcome::Timeout, 3)], "{:?}", snapshot.errors);
        assert_eq!((server.counts.requests(), server.counts.accepted()), (6, 1));
        block_on(wait_for("resets", || server.counts.resets() == 3));
    }
}

#[test]
fn an_endless_body_is_of_bounded_memory() {
    let server = Server::plain(None);
    let mut plan = shared(http2(server.address, iterations(4, 1), &["/endless"]), 1, 10);
    plan.target.timeout = Micros::from_secs(1);
    let size = Check { name: "size".to_owned(), kind: CheckKind::Contains("y".to_owned()) };
    plan.scenarios[0].steps[0].checks = vec![size];
    let (counted, snapshot) = run(&plan);
    assert_eq!(counted, [(Outcome::Timeout, 4)]);
    let (came, memory) = (total(&snapshot).bytes_in, snapshot.generator.memory);
    assert!(came > 64 << 20, "so much came: {came}");
    assert!(memory < 512 << 20, "of which little was kept: {memory}");
    block_on(wait_for("resets", || server.counts.resets() == 4));
}

#[test]
fn bodies_are_sent_whole_whatever_they_are_made_of() {
    let server = Server::plain(None);
    let mut plan = http2(server.address, iterations(2, 2), &["/a", "/b", "/c"]);
    plan.files = vec![source("large")];
    let text = |text: &str| Piece::Text(Template::text(text));
    let bodies = [
        Body::Text(Template::text("hi")),
        Body::Pieces(vec![text("<"), Piece::File(0), text(">")]),
        Body::Text(template(&[("user ", Value::UserId)], Escape::None)),
    ];
    for (step, body) in plan.scenarios[0].steps.iter_mut().zip(bodies) {
        (request(step).method, request(step).body) = (Method::Post, body);
    }
    let materials = Materials::load(&plan, &InMemory(vec![("large", vec![b'x'; 3_000_000])])).expect("materials");
    let snapshot = execute_with(&plan, Segment::WHOLE, 1, materials);
    let cell = total(&snapshot);
    assert_eq!(outcomes(&cell), [(Outcome::Ok, 12)], "{:?}", snapshot.errors);
    let mut lines = server.counts.lines();
    lines.sort();
    let expected = ["POST /a 2 ", "POST /b 3000002 ", "POST /c 6 "];
    assert_eq!(lines, expected.iter().flat_map(|line| [*line; 4]).collect::<Vec<_>>());
    assert!((12_000_000..12_100_000).contains(&cell.bytes_out), "{}", cell.bytes_out);
}

#[test]
fn a_target_that_answers_before_it_has_the_body_has_answered() {
    let server = Server::plain(None);
    let mut plan = http2(server.address, iterations(1, 2), &["/early"]);
    let step = request(&mut plan.scenarios[0].steps[0]);
    (step.method, step.body) = (Method::Post, Body::Text(Template::text("x".repeat(3_000_000))));
    let (counted, snapshot) = run(&plan);
    assert_eq!(counted, [(Outcome::Ok, 2)], "{:?}", snapshot.errors);
    assert_eq!(server.counts.accepted(), 1);
}

#[test]
fn answers_are_looked_at_as_over_http1() {
    let server = Server::plain(None);
    let mut plan = http2(server.address, iterations(1, 2), &["/login", "/moved", "/use/{token}", "/bytes/9"]);
    plan.variables = vec!["token".to_owned()];
    let steps = &mut plan.scenarios[0].steps;
    steps[0].extract = vec![Extract { variable: 0, from: ExtractFrom::Json("$.token".to_owned()) }];
    let is_cookie = CheckKind::Header("Set-Cookie".to_owned(), Some("id=7".to_owned()));
    steps[0].checks = vec![Check { name: "cookie".to_owned(), kind: is_cookie }];
    request(&mut steps[1]).redirects = Redirects::SameOrigin;
    request(&mut steps[2]).path = template(&[("/use/", Value::Variable(0))], Escape::Percent);
    request(&mut steps[3]).method = Method::Head;
    let (counted, snapshot) = run(&plan);
    assert_eq!(counted, [(Outcome::Ok, 10)], "{:?}", snapshot.errors);
    let round = |first: &str| {
        let lines = ["GET /moved 0 id=7", "GET /found 0 id=7", "GET /use/t-1 0 id=7", "HEAD /bytes/9 0 id=7"];
        [&[first], &lines[..]].concat().iter().map(|line| (*line).to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(server.counts.lines(), [round("GET /login 0 "), round("GET /login 0 id=7")].concat());
}

#[test]
fn a_stop_in_the_middle_cuts_what_is_under_way() {
    let server = Server::plain(None);
    let plan = shared(http2(server.address, users(&[(8, 8, 60_000)]), &["/hang"]), 2, 3);
    let snapshot = block_on(async {
        let engine = launch(&plan, Segment::WHOLE, 1);
        engine.begin(&[0], Instant::now(), &[]);
        wait_for("requests", || server.counts.requests() == 6).await;
        engine.stop(EndCause::Stopped, None);
        let stopped = Instant::now();
        ended(&engine).await;
        assert!(stopped.elapsed() < Duration::from_secs(2));
        engine.snapshot().await
    });
    // Six were sent, and two waited for a connection: those have begun, too.
    let counted = outcomes(&total(&snapshot));
    assert_eq!(counted.iter().map(|(outcome, _)| *outcome).collect::<Vec<_>>(), [Outcome::Interrupted]);
    assert_eq!(server.counts.requests(), 6);
}

/// A server that takes a request, answers with bytes, and closes.
fn raw(answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            std::thread::spawn(move || {
                read_request(&mut stream);
                let _ = stream.write_all(answer);
                let _ = stream.shutdown(std::net::Shutdown::Write);
                // What is not read would make the end a reset.
                let _ = stream.read_to_end(&mut Vec::new());
            });
        }
    });
    address
}

/// Reads the preface, and frames up to a head.
fn read_request(stream: &mut impl Read) {
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).expect("a preface");
    let mut frame = [0; 9];
    while frame[3] != 1 {
        stream.read_exact(&mut frame).expect("a frame");
        let length = u32::from_be_bytes([0, frame[0], frame[1], frame[2]]);
        stream.read_exact(&mut vec![0; length as usize]).expect("a whole frame");
    }
}

#[test]
fn what_is_no_http2_is_a_violation_or_an_end() {
    // A response's status line, frames of unknown length, a head for a stream that nobody opened, data before a head.
    let settings = b"\0\0\0\x04\0\0\0\0\0";
    let violations: [&'static [u8]; 4] = [
        b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\0\0\0\x04\0\0\0\0\0\0\0\x01\x01\x05\0\0\0\x02\x88",
        b"\0\0\0\x04\0\0\0\0\0\0\0\x02\0\x01\0\0\0\x01hi",
    ];
    for answer in violations {
        let (counted, snapshot) = run(&http2(raw(answer), iterations(2, 2), &["/"]));
        assert_eq!(counted, [(Outcome::Protocol, 4)], "{answer:?}: {:?}", snapshot.errors);
        assert!(messages(&snapshot)[0].0.starts_with("not a valid response: broken frames ("), "{answer:?}");
    }
    // The same with a head, but without an end.
    let head = b"\0\0\0\x04\0\0\0\0\0\0\0\x01\x01\x04\0\0\0\x01\x88";
    for (answer, how) in [(&settings[..], "without a response"), (head, "within the response")] {
        let (counted, snapshot) = run(&http2(raw(answer), iterations(2, 2), &["/"]));
        assert_eq!(counted, [(Outcome::Closed, 4)]);
        assert_eq!(messages(&snapshot), [(format!("connection closed {how}"), 4)]);
    }
}

#[test]
fn a_connection_that_is_reset_resets_its_requests() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            // What has come and is not read makes the end a reset.
            let _ = stream.expect("a connection").peek(&mut [0]);
        }
    });
    let (counted, snapshot) = run(&http2(address, iterations(2, 2), &["/"]));
    assert_eq!(counted, [(Outcome::Reset, 4)]);
    assert_eq!(messages(&snapshot), [("connection reset by peer".to_owned(), 4)]);
}

#[test]
fn a_target_that_goes_away_without_having_seen_a_request_has_closed() {
    // Its settings, and that it has seen no stream at all.
    let address = raw(b"\0\0\0\x04\0\0\0\0\0\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    let (counted, snapshot) = run(&http2(address, iterations(2, 2), &["/"]));
    assert_eq!(counted, [(Outcome::Closed, 4)], "{:?}", snapshot.errors);
    assert_eq!(messages(&snapshot), [("connection closed by the target (GOAWAY NO_ERROR)".to_owned(), 4)]);
}

#[test]
fn nothing_that_a_target_says_stops_the_run() {
    let mut choices = fastrand::Rng::with_seed(3);
    for _ in 0..24 {
        let mut answer = b"\0\0\0\x04\0\0\0\0\0".to_vec();
        for _ in 0..choices.usize(1..6) {
            let length = choices.usize(0..12);
            answer.extend([0, 0, length as u8, choices.u8(0..11), choices.u8(..), 0, 0, 0, choices.u8(0..4)]);
            answer.extend((0..length).map(|_| choices.u8(..)));
        }
        let mut plan = http2(raw(answer.leak()), iterations(1, 2), &["/"]);
        plan.target.timeout = Micros::from_millis(500);
        plan.scenarios[0].steps[0].expect = vec![StatusPattern::Class(2)];
        let (counted, _) = run(&plan);
        assert_eq!(counted.iter().map(|(_, count)| count).sum::<u64>(), 2, "each is counted once: {counted:?}");
    }
}

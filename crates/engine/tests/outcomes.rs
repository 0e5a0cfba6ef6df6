//! Each request is counted once, in one outcome, and the target has counted as many.

mod common;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use common::{execute, iterations, outcomes, plan, scenario, total};
use proofload_api::Outcome;
use proofload_api::criterion::Ended;
use proofload_api::step::Method;
use proofload_api::units::Micros;
use proofload_plan::{Body, Plan, Segment, Template, ThinkTime};
use proofload_results::{Cell, EndCause, RunnerState, Snapshot};
use proofload_target::TestTarget;

/// Three users ask for a path four times each; what that came to, and the messages.
fn twelve(target: &TestTarget, path: &str) -> (Cell, Snapshot) {
    twelve_of(&plan(target.address(), vec![scenario("one", iterations(3, 4), &[path])]))
}

fn twelve_of(plan: &Plan) -> (Cell, Snapshot) {
    let snapshot = execute(plan, Segment::WHOLE, 2);
    assert_eq!(snapshot.state, RunnerState::Ended(EndCause::Completed));
    assert_eq!(snapshot.scenarios[0].iterations, 12);
    let cell = total(&snapshot);
    assert_eq!(cell.requests(), 12);
    assert_eq!(snapshot.timeline.iter().map(|bucket| bucket.requests).sum::<u64>(), 12);
    (cell, snapshot)
}

#[test]
fn what_the_target_does_is_what_is_counted() {
    let target = TestTarget::start().unwrap();
    let cases = [
        ("/fast", Outcome::Ok, ""),
        ("/bytes/300000", Outcome::Ok, ""),
        ("/chunked/300000", Outcome::Ok, ""),
        ("/slow-body/20", Outcome::Ok, ""),
        ("/keepalive-off", Outcome::Ok, ""),
        ("/http10", Outcome::Ok, ""),
        ("/status/204", Outcome::Ok, ""),
        ("/status/503", Outcome::UnexpectedStatus, "status 503"),
        ("/reset", Outcome::Reset, "connection reset by peer"),
        ("/close", Outcome::Closed, "connection closed without a response"),
        ("/close-mid-body", Outcome::Closed, "connection closed within the response"),
        ("/garbage", Outcome::Protocol, "not a valid response: not an HTTP/1 response"),
    ];
    for (path, outcome, message) in cases {
        target.clear();
        let (cell, snapshot) = twelve(&target, path);
        assert_eq!(outcomes(&cell), [(outcome, 12)], "{path}: {:?}", snapshot.errors);
        assert_eq!(target.counts().requests, 12, "{path}");
        let messages: Vec<_> = snapshot.errors.iter().map(|error| (error.message.as_str(), error.count)).collect();
        assert_eq!(messages, if message.is_empty() { vec![] } else { vec![(message, 12)] }, "{path}");
    }
}

#[test]
fn bytes_and_statuses_are_counted() {
    let target = TestTarget::start().unwrap();
    let (cell, _) = twelve(&target, "/bytes/100000");
    assert!((1_200_000..1_202_000).contains(&cell.bytes_in), "{}", cell.bytes_in);
    assert_eq!(cell.bytes_out, 12 * "GET /bytes/100000 HTTP/1.1\r\nHost: test\r\n\r\n".len() as u64);
    assert_eq!(cell.statuses.into_iter().collect::<Vec<_>>(), [(200, 12)]);
}

#[test]
fn a_body_is_sent_and_a_head_has_no_body_in_its_answer() {
    let target = TestTarget::start().unwrap();
    for (method, body) in [(Method::Post, Some("x".repeat(3_000_000))), (Method::Head, None), (Method::Put, None)] {
        let mut plan = plan(target.address(), vec![scenario("one", iterations(3, 4), &["/bytes/1000"])]);
        let request = common::request(&mut plan.scenarios[0].steps[0]);
        request.method = method;
        request.body = body.map_or(Body::None, |body| Body::Text(Template::text(body)));
        target.clear();
        let (cell, snapshot) = twelve_of(&plan);
        assert_eq!(outcomes(&cell), [(Outcome::Ok, 12)], "{method:?}: {:?}", snapshot.errors);
        assert_eq!((target.counts().requests, target.counts().connections.accepted), (12, 3));
    }
}

#[test]
fn a_timeout_counts_at_the_timeout() {
    let target = TestTarget::start().unwrap();
    let mut plan = plan(target.address(), vec![scenario("one", iterations(3, 4), &["/hang"])]);
    plan.target.timeout = Micros::from_millis(50);
    let (cell, snapshot) = twelve_of(&plan);
    assert_eq!(outcomes(&cell), [(Outcome::Timeout, 12)]);
    assert_eq!(snapshot.errors[0].message, "timeout after 50ms");
    let latency = cell.latency(Ended::As(Outcome::Timeout));
    let (least, most, ..) = latency.extremes();
    assert!((49_950..=50_050).contains(&least) && (49_950..=50_050).contains(&most), "{least}..{most}");
    assert_eq!(target.counts().requests, 12);
}

#[test]
fn a_dead_target_and_an_unknown_name_are_told_apart() {
    // A port that was free a moment ago, and on which nobody listens.
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let (cell, snapshot) = twelve_of(&plan(free, vec![scenario("one", iterations(3, 4), &["/"])]));
    assert_eq!(outcomes(&cell), [(Outcome::Connect, 12)]);
    assert!(cell.latency(Ended::Any).is_empty());
    assert_eq!(snapshot.errors[0].message, "connection refused");
    let mut plan = plan(free, vec![scenario("one", iterations(3, 4), &["/"])]);
    plan.target.host = "no-such-host.invalid".to_owned();
    let (cell, snapshot) = twelve_of(&plan);
    assert_eq!(outcomes(&cell), [(Outcome::Dns, 12)]);
    assert!(snapshot.errors[0].message.starts_with("name not resolved: "), "{:?}", snapshot.errors);
}

#[test]
fn a_name_is_resolved() {
    let target = TestTarget::start().unwrap();
    let mut plan = plan(target.address(), vec![scenario("one", iterations(3, 4), &["/"])]);
    plan.target.host = "localhost".to_owned();
    assert_eq!(outcomes(&twelve_of(&plan).0), [(Outcome::Ok, 12)]);
}

#[test]
fn a_mix_of_faults_adds_up_to_the_request() {
    let target = TestTarget::start().unwrap();
    let mut plan = plan(target.address(), vec![scenario("one", iterations(8, 25), &["/mix"])]);
    plan.target.timeout = Micros::from_millis(700);
    let cell = total(&execute(&plan, Segment::WHOLE, 2));
    let counts = target.counts();
    assert_eq!((cell.requests(), counts.requests), (200, 200));
    assert_eq!((cell.count(Outcome::Ok), counts.action("ok")), (120, 120));
    let unexpected = counts.action("status-429") + counts.action("status-500");
    assert_eq!((cell.count(Outcome::UnexpectedStatus), unexpected), (50, 50));
    assert_eq!((cell.count(Outcome::Reset), counts.action("reset")), (20, 20));
    assert_eq!((cell.count(Outcome::Timeout), counts.action("hang")), (10, 10));
    // Each was over a connection, so each has an end; those that were reset have no latency.
    let samples = |ended: Ended| cell.latency(ended).count();
    assert_eq!([Ended::Any, Ended::Answered, Ended::As(Outcome::Reset)].map(samples), [200, 180, 20]);
    assert_eq!(cell.statuses.into_iter().collect::<Vec<_>>(), [(200, 120), (429, 30), (500, 20)]);
}

#[test]
fn a_target_that_closes_idle_connections_is_not_in_error() {
    use std::io::{Read, Write};
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let address = listener.local_addr().unwrap();
    // Says that it keeps the connection, and closes it.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1000]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let mut plan = plan(address, vec![scenario("one", iterations(3, 4), &["/"])]);
    let pause = Micros::from_millis(100);
    plan.scenarios[0].think_time = Some(ThinkTime::Constant(pause));
    let (cell, snapshot) = twelve_of(&plan);
    assert_eq!(outcomes(&cell), [(Outcome::Ok, 12)], "{:?}", snapshot.errors);
}

//! Targets that send garbage, too much, too little, too slowly, or go away at any point of the exchange: each request has
//! the right outcome, and memory stays bounded.

#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use std::sync::OnceLock;

use common::{InMemory, execute_with, iterations, outcomes, plan, scenario, source, total};
use proofload_api::Outcome;
use proofload_api::step::Method;
use proofload_api::units::Micros;
use proofload_engine::Materials;
use proofload_plan::{Body, Check, CheckKind, Plan, Protocol, Segment, Template, Tls};
use proofload_results::{Cell, Snapshot};
use proofload_target::TestTarget;

/// What all of this file may need beyond what the process had at the begin, the target's own memory included.
const MOST_GROWTH: u64 = 64 << 20;
const GIB: u64 = 1 << 30;

/// Which way requests take: the protocol, and whether by TLS.
type Way = (Protocol, bool);
const WAYS: [Way; 4] =
    [(Protocol::Http1, false), (Protocol::Http1, true), (Protocol::Http2, false), (Protocol::Http2, true)];

/// A figure of this process in bytes, e.g. `VmHWM`, its peak.
fn memory(figure: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(figure)?.strip_prefix(':')).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// How much the peak of this process is above what it had when this was asked first. Tests run beside each other: what
/// one of them needs is held against all.
fn growth() -> u64 {
    static BEGIN: OnceLock<u64> = OnceLock::new();
    let begin = BEGIN.get_or_init(|| memory("VmRSS"));
    memory("VmHWM").saturating_sub(*begin)
}

/// A plan of two users who ask three times each for this path.
fn plan_for(target: &TestTarget, (protocol, is_tls): Way, path: &str) -> Plan {
    let address = if is_tls { target.tls_address() } else { target.address() };
    let mut plan = plan(address, vec![scenario("one", iterations(2, 3), &[path])]);
    plan.target.protocol = protocol;
    if is_tls {
        plan.files = vec![source("ca")];
        let (server_name, ca) = ("localhost".to_owned(), Some(0));
        plan.target.tls = Some(Tls { server_name, ca, identity: None, resumption: true, verify: true });
    }
    plan
}

/// Executes it; what was counted, while memory stayed bounded.
fn execute(target: &TestTarget, plan: &Plan) -> (Cell, Snapshot) {
    growth();
    target.clear();
    let files = match &plan.target.tls {
        Some(_) => vec![("ca", target.certificates().ca.clone().into_bytes())],
        None => Vec::new(),
    };
    let materials = Materials::load(plan, &InMemory(files)).expect("materials");
    let snapshot = execute_with(plan, Segment::WHOLE, 1, materials);
    let name = &plan.scenarios[0].steps[0].name;
    assert!(growth() < MOST_GROWTH, "{name}: the peak is {} MiB above the begin", growth() >> 20);
    (total(&snapshot), snapshot)
}

/// Executes it; the outcome that all six have, and what was said of it.
fn run(target: &TestTarget, plan: &Plan) -> (Outcome, String, Snapshot) {
    let (cell, snapshot) = execute(target, plan);
    let counted = outcomes(&cell);
    let name = (plan.target.protocol, plan.files.len(), &plan.scenarios[0].steps[0].name);
    assert_eq!(counted.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [6], "{name:?}: {:?}", snapshot.errors);
    let message = snapshot.errors.first().map(|error| error.message.clone()).unwrap_or_default();
    (counted[0].0, message, snapshot)
}

/// Asks in HTTP/1.1 for what should come to this, with a body as the request's own, if there is one.
fn comes_to(path: &str, timeout: u64, expected: Outcome, words: &str) {
    let target = TestTarget::start().unwrap();
    let mut plan = plan_for(&target, WAYS[0], path);
    plan.target.timeout = Micros::from_millis(timeout);
    let (outcome, message, snapshot) = run(&target, &plan);
    assert_eq!(outcome, expected, "{path}: {:?}", snapshot.errors);
    assert!(message.contains(words), "{path}: {message}");
    assert_eq!(target.counts().requests, 6, "{path}: each was sent once");
}

/// No request comes near it, however busy the machine is.
const AMPLE: u64 = 15_000;

#[test]
fn bytes_that_are_no_response_are_told_from_it() {
    for what in ["status", "version", "header", "length", "lengths", "chunk", "chunk-end", "http2"] {
        comes_to(&format!("/bad/{what}"), AMPLE, Outcome::Protocol, "not a valid response: ");
    }
    comes_to("/garbage", AMPLE, Outcome::Protocol, "not a valid response: ");
    // Empty lines may come before a response.
    comes_to("/bad/nothing", AMPLE, Outcome::Closed, "connection closed within the response");
}

#[test]
fn what_is_too_much_of_a_head_is_refused() {
    comes_to("/headers/100", AMPLE, Outcome::Ok, "");
    comes_to("/headers/10000", AMPLE, Outcome::Protocol, "not a valid response: ");
    for what in ["head", "header", "chunk-line", "trailers"] {
        comes_to(&format!("/endless/{what}"), AMPLE, Outcome::Protocol, "not a valid response: ");
    }
}

#[test]
fn what_has_no_end_is_read_until_the_timeout() {
    for what in ["body", "chunks", "continue"] {
        comes_to(&format!("/endless/{what}"), 300, Outcome::Timeout, "timeout after 300ms");
    }
}

#[test]
fn an_answer_of_which_each_byte_takes_long_is_read_until_the_timeout() {
    comes_to("/drip/1000", 300, Outcome::Timeout, "timeout after 300ms");
    comes_to("/drip/1", AMPLE, Outcome::Ok, "");
}

#[test]
fn the_second_of_two_answers_is_nobodys() {
    comes_to("/two", AMPLE, Outcome::Ok, "");
    // The next request on the connection is another one, whose answer is not that.
    let target = TestTarget::start().unwrap();
    let plan = plan(target.address(), vec![scenario("one", iterations(3, 20), &["/two", "/status/404"])]);
    let snapshot = common::execute(&plan, Segment::WHOLE, 1);
    let cell = total(&snapshot);
    assert_eq!(outcomes(&cell), [(Outcome::Ok, 60), (Outcome::UnexpectedStatus, 60)], "{:?}", snapshot.errors);
    assert_eq!(target.counts().requests, 120);
}

#[test]
fn a_gibibyte_passes_through() {
    let target = TestTarget::start_tls().unwrap();
    let all = WAYS.map(|way| (way, "/bytes/1073741824"));
    for (way, path) in all.into_iter().chain([(WAYS[0], "/chunked/1073741824")]) {
        let mut plan = plan_for(&target, way, path);
        plan.scenarios[0].load = iterations(1, 1);
        plan.target.timeout = Micros::from_secs(120);
        let (cell, snapshot) = execute(&target, &plan);
        assert_eq!(outcomes(&cell), [(Outcome::Ok, 1)], "{way:?} {path}: {:?}", snapshot.errors);
        assert!(cell.bytes_in > GIB, "{way:?} {path}: {}", cell.bytes_in);
    }
}

#[test]
fn a_body_that_a_check_looks_at_is_not_kept_beyond_its_bound() {
    let target = TestTarget::start().unwrap();
    let mut plan = plan_for(&target, WAYS[0], "/bytes/200000000");
    plan.scenarios[0].steps[0].checks =
        vec![Check { name: "body".to_owned(), kind: CheckKind::Contains("ok".to_owned()) }];
    let (outcome, message, _) = run(&target, &plan);
    assert_eq!(outcome, Outcome::FailedCheck);
    assert!(message.ends_with("got a body over 1 MiB"), "{message}");
}

#[test]
fn http2_has_the_same_bounds() {
    let target = TestTarget::start_tls().unwrap();
    for way in &WAYS[2..] {
        for (path, timeout, expected) in [
            ("/headers/100", AMPLE, Outcome::Ok),
            ("/headers/10000", AMPLE, Outcome::Protocol),
            ("/endless", 300, Outcome::Timeout),
            ("/drip/1000", 300, Outcome::Timeout),
            ("/drip/1", AMPLE, Outcome::Ok),
            ("/garbage", AMPLE, Outcome::Protocol),
        ] {
            let mut plan = plan_for(&target, *way, path);
            plan.target.timeout = Micros::from_millis(timeout);
            let (outcome, _, snapshot) = run(&target, &plan);
            assert_eq!(outcome, expected, "{way:?} {path}: {:?}", snapshot.errors);
            assert_eq!(target.counts().requests, 6, "{way:?} {path}: each was sent once");
        }
    }
}

#[test]
fn an_exchange_that_ends_at_any_point_has_the_right_outcome() {
    let target = TestTarget::start_tls().unwrap();
    for way in WAYS {
        // The answer of the target has a bit more than 1000 bytes; it ends within the first line, headers and body.
        for point in ["line", "headers", "body", "0", "1", "9", "15", "30", "60", "70", "100", "1000"] {
            for (how, expected) in [("close", Outcome::Closed), ("reset", Outcome::Reset)] {
                let mut plan = plan_for(&target, way, &format!("/{how}-at/{point}"));
                let request = common::request(&mut plan.scenarios[0].steps[0]);
                request.method = Method::Post;
                request.body = Body::Text(Template::text("x".repeat(300_000)));
                let (outcome, message, snapshot) = run(&target, &plan);
                assert_eq!(outcome, expected, "{way:?} {how} {point}: {:?}", snapshot.errors);
                assert!(message.starts_with("connection "), "{way:?} {how} {point}: {message}");
                assert_eq!(target.counts().requests, 6, "{way:?} {how} {point}: each was sent once");
            }
        }
    }
}

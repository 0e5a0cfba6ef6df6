//! Of a mix of faults, each class is exactly what the target counted, over connections that are used again: the case in
//! which others retry without a word.

#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use std::collections::BTreeMap;

use common::{InMemory, execute_with, iterations, outcomes, plan, scenario, source, total};
use proofload_api::Outcome;
use proofload_api::units::Micros;
use proofload_engine::Materials;
use proofload_plan::{Connections, Plan, Protocol, Segment, Tls};
use proofload_results::{Cell, Snapshot};
use proofload_target::{Accept, Behaviour, Counts, TestTarget};

/// What a user asks for, in order: between two faults there is always one that leaves the connection open.
const MIX: [&str; 14] = [
    "/fast",
    "/status/404",
    "/reset",
    "/status/429",
    "/fast",
    "/close-mid-body",
    "/fast",
    "/slow-body/30",
    "/close",
    "/status/500",
    "/hang",
    "/status/204",
    "/garbage",
    "/fast",
];
/// How many of [`MIX`] end their connection.
const ENDING: u64 = 5;
const USERS: u32 = 24;
const ITERATIONS: u32 = 2;
const EACH: u64 = (USERS * ITERATIONS) as u64;
/// No answer takes nearly as long, however busy the machine is.
const TIMEOUT: Micros = Micros::from_millis(1500);

/// Which way requests take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Way {
    protocol: Protocol,
    is_tls: bool,
}

const WAYS: [Way; 4] = [
    Way { protocol: Protocol::Http1, is_tls: false },
    Way { protocol: Protocol::Http1, is_tls: true },
    Way { protocol: Protocol::Http2, is_tls: false },
    Way { protocol: Protocol::Http2, is_tls: true },
];

/// A plan for users that ask for these paths.
fn plan_for(target: &TestTarget, way: Way, load: proofload_plan::Load, paths: &[&str]) -> Plan {
    let address = if way.is_tls { target.tls_address() } else { target.address() };
    let mut plan = plan(address, vec![scenario("one", load, paths)]);
    plan.target.timeout = TIMEOUT;
    plan.target.protocol = way.protocol;
    if way.is_tls {
        plan.files = vec![source("ca")];
        plan.target.tls = Some(Tls {
            server_name: "localhost".to_owned(),
            ca: Some(0),
            identity: None,
            resumption: true,
            verify: true,
        });
    }
    plan
}

/// Executes it; what the generator counted, and what the target did.
fn both(target: &TestTarget, plan: &Plan) -> (Cell, Snapshot, Counts) {
    target.clear();
    let files = match &plan.target.tls {
        Some(_) => vec![("ca", target.certificates().ca.clone().into_bytes())],
        None => Vec::new(),
    };
    let materials = Materials::load(plan, &InMemory(files)).expect("materials");
    let snapshot = execute_with(plan, Segment::WHOLE, 2, materials);
    (total(&snapshot), snapshot, target.counts())
}

fn statuses(cell: &Cell) -> BTreeMap<u16, u64> {
    cell.statuses.iter().map(|(status, count)| (*status, *count)).collect()
}

#[test]
fn each_class_of_a_mix_is_what_the_target_counted_over_every_protocol() {
    // Most of the time is that of requests that hang: all at once.
    std::thread::scope(|scope| {
        for way in WAYS {
            scope.spawn(move || each_class_is_what_the_target_counted(way));
        }
    });
}

fn each_class_is_what_the_target_counted(way: Way) {
    let target = TestTarget::start_tls().unwrap();
    let (cell, snapshot, counts) = both(&target, &plan_for(&target, way, iterations(USERS, ITERATIONS), &MIX));
    assert_eq!((cell.requests(), counts.requests), (EACH * 14, EACH * 14), "{way:?}: {:?}", snapshot.errors);
    let action = |name: &str| counts.action(name);
    let unexpected = action("status-404") + action("status-429") + action("status-500");
    let expected = [
        (Outcome::Ok, action("ok") + action("status-204"), EACH * 6),
        (Outcome::UnexpectedStatus, unexpected, EACH * 3),
        (Outcome::Timeout, action("hang"), EACH),
        (Outcome::Reset, action("reset"), EACH),
        (Outcome::Closed, action("close") + action("close-mid-body"), EACH * 2),
        (Outcome::Protocol, action("garbage"), EACH),
    ];
    for (outcome, counted, planned) in expected {
        let got = (cell.count(outcome), counted);
        assert_eq!(got, (planned, planned), "{way:?} {outcome:?}: {:?}", snapshot.errors);
    }
    let (ok, each) = (EACH * 6, EACH);
    // A status has come where the rest of the answer has not.
    assert_eq!(statuses(&cell), [(200, ok), (204, each), (404, each), (429, each), (500, each)].into(), "{way:?}");
    // One at the begin, and one after each that ended; a timeout of HTTP/2 ends only its stream. A silent retry would
    // have opened more.
    let ending = if way.protocol == Protocol::Http2 { ENDING - 1 } else { ENDING };
    assert_eq!(counts.connections.accepted, u64::from(USERS) + EACH * ending, "{way:?}");
    assert_eq!(counts.tls.handshakes, if way.is_tls { counts.connections.accepted } else { 0 }, "{way:?}");
}

#[test]
fn a_mix_over_few_connections_that_all_share_adds_up_too() {
    let target = TestTarget::start().unwrap();
    let mut plan = plan_for(&target, WAYS[0], iterations(20, 30), &["/mix"]);
    plan.target.connections = Connections::Shared { count: 20, streams: 1 };
    let (cell, snapshot, counts) = both(&target, &plan);
    let expected = [
        (Outcome::Ok, counts.action("ok")),
        (Outcome::UnexpectedStatus, counts.action("status-429") + counts.action("status-500")),
        (Outcome::Timeout, counts.action("hang")),
        (Outcome::Reset, counts.action("reset")),
    ];
    assert_eq!(outcomes(&cell), in_order(expected), "{:?}", snapshot.errors);
    assert_eq!((cell.requests(), counts.requests), (600, 600));
}

#[test]
fn streams_that_fail_leave_all_others_of_their_connection_alone() {
    let target = TestTarget::start_tls().unwrap();
    let paths = ["/fast", "/rst/7", "/status/503", "/rst/2", "/bytes/100000", "/hang", "/slow-body/20", "/delay/5"];
    for way in &WAYS[2..] {
        let mut plan = plan_for(&target, *way, iterations(USERS, ITERATIONS), &paths);
        // Room for all, or else who waits for it times out without having asked.
        plan.target.connections = Connections::Shared { count: 4, streams: 12 };
        let (cell, snapshot, counts) = both(&target, &plan);
        let expected = [
            (Outcome::Ok, counts.action("ok")),
            (Outcome::UnexpectedStatus, counts.action("status-503")),
            (Outcome::Timeout, counts.action("hang")),
            (Outcome::Reset, counts.action("rst")),
        ];
        assert_eq!(outcomes(&cell), in_order(expected), "{way:?}: {:?}", snapshot.errors);
        assert_eq!((cell.requests(), counts.requests), (EACH * 8, EACH * 8));
        assert_eq!(counts.connections.accepted, 4, "{way:?}: no stream ended its connection");
        assert!(counts.connections.max_streams <= 12, "{}", counts.connections.max_streams);
        let mut messages: Vec<_> = snapshot.errors.iter().map(|error| (error.message.as_str(), error.count)).collect();
        messages.sort_unstable();
        let expected =
            ["status 503", "stream reset: INTERNAL_ERROR", "stream reset: REFUSED_STREAM", "timeout after 1s500ms"];
        assert_eq!(messages, expected.map(|message| (message, EACH)));
    }
}

#[test]
fn a_connection_that_the_target_says_goodbye_to_is_counted_once_for_its_request() {
    let target = TestTarget::start_tls().unwrap();
    let paths = ["/fast", "/goaway/0", "/fast", "/goaway/11", "/keepalive-off", "/fast", "/goaway/0/0", "/fast"];
    for way in &WAYS[2..] {
        let (cell, snapshot, counts) = both(&target, &plan_for(&target, *way, iterations(USERS, ITERATIONS), &paths));
        let expected = [(Outcome::Ok, counts.action("ok")), (Outcome::Closed, counts.action("goaway"))];
        assert_eq!(outcomes(&cell), in_order(expected), "{way:?}: {:?}", snapshot.errors);
        assert_eq!((counts.action("ok"), counts.action("goaway")), (EACH * 5, EACH * 3));
        assert_eq!(counts.connections.accepted, u64::from(USERS) + EACH * 4, "{way:?}");
    }
}

#[test]
fn what_never_becomes_a_request_is_counted_for_each() {
    let target = TestTarget::start_tls().unwrap();
    let planned = EACH * 2;
    for way in WAYS {
        let mut plan = plan_for(&target, way, iterations(USERS, ITERATIONS), &["/fast", "/fast"]);
        // Before the begin of the exchange; of TLS, that is the handshake's.
        for (accept, outcome) in [(Accept::Close, Outcome::Closed), (Accept::Reset, Outcome::Reset)] {
            target.behave(Behaviour { accept, ..Behaviour::default() });
            let (cell, snapshot, counts) = both(&target, &plan);
            let outcome = if way.is_tls { Outcome::Tls } else { outcome };
            // A reset may be there before the generator knows that it is connected.
            let early = if accept == Accept::Reset { cell.count(Outcome::Connect) } else { 0 };
            let counted = (cell.count(outcome) + early, cell.requests());
            assert_eq!(counted, (planned, planned), "{way:?} {accept:?}: {:?}", snapshot.errors);
            assert_eq!((counts.connections.turned_away, counts.requests), (planned, 0), "{way:?} {accept:?}");
        }
        target.behave(Behaviour::default());
        let refusing = target.refusing_address().unwrap();
        plan.target.port = refusing.port();
        let (cell, _, counts) = both(&target, &plan);
        assert_eq!((outcomes(&cell), counts.connections.accepted), (vec![(Outcome::Connect, planned)], 0), "{way:?}");
    }
}

#[test]
fn a_handshake_that_fails_is_counted_for_each() {
    let target = TestTarget::start_tls().unwrap();
    let planned = EACH * 2;
    for way in [WAYS[1], WAYS[3]] {
        let mut plan = plan_for(&target, way, iterations(USERS, ITERATIONS), &["/fast", "/fast"]);
        for name in ["expired", "alert", "garbage", "close", "reset", "client", "other"] {
            let tls = plan.target.tls.as_mut().unwrap();
            tls.server_name = format!("{name}.localhost");
            let (cell, snapshot, _) = both(&target, &plan);
            assert_eq!(outcomes(&cell), [(Outcome::Tls, planned)], "{way:?} {name}: {:?}", snapshot.errors);
            // The target hears of some only after the generator has gone.
            common::block_on(common::wait_for("failures", || target.counts().tls.failed >= planned));
            let counts = target.counts();
            assert_eq!((counts.tls.failed, counts.tls.handshakes, counts.requests), (planned, 0, 0), "{way:?} {name}");
        }
    }
}

/// As [`outcomes`] has them.
fn in_order<const N: usize>(mut counted: [(Outcome, u64); N]) -> Vec<(Outcome, u64)> {
    counted.sort_by_key(|(outcome, _)| Outcome::ALL.iter().position(|known| known == outcome));
    counted.to_vec()
}

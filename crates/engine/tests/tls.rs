//! TLS: who is trusted, who is asked, what is resumed, and what is said where it fails.

mod common;

use common::secure::{Authority, Server};
use common::{InMemory, execute_with, iterations, outcomes, plan, scenario, source, total};
use proofload_api::Outcome;
use proofload_api::units::Micros;
use proofload_engine::Materials;
use proofload_plan::{Connections, Plan, Protocol, Segment, Tls};
use proofload_results::Snapshot;

/// A plan of requests over TLS, by two users three each, that trusts the authority of file 0.
fn secure_plan(server: &Server, path: &str) -> Plan {
    let mut plan = plan(server.address, vec![scenario("one", iterations(2, 3), &[path])]);
    plan.files = vec![source("ca"), source("certificate"), source("key")];
    plan.target.protocol = Protocol::Negotiated;
    plan.target.tls = Some(Tls {
        server_name: "target.test".to_owned(),
        ca: Some(0),
        identity: None,
        resumption: true,
        verify: true,
    });
    plan
}

fn tls(plan: &mut Plan) -> &mut Tls {
    plan.target.tls.as_mut().expect("it has TLS")
}

/// Executes it with this authority, and an identity that this authority gave.
fn run(plan: &Plan, authority: &Authority) -> Snapshot {
    let identity = authority.issue("client.test");
    let files = [("ca", authority.pem()), ("certificate", identity.certificate), ("key", identity.key)];
    let files = files.map(|(name, text)| (name, text.into_bytes())).to_vec();
    let materials = Materials::load(plan, &InMemory(files)).expect("materials");
    execute_with(plan, Segment::WHOLE, 1, materials)
}

/// What all six requests came to, and the message.
fn outcome(snapshot: &Snapshot) -> (Outcome, String) {
    let counted = outcomes(&total(snapshot));
    assert_eq!(counted.len(), 1, "{counted:?} {:?}", snapshot.errors);
    assert_eq!(counted[0].1, 6);
    (counted[0].0, snapshot.errors.first().map(|error| error.message.clone()).unwrap_or_default())
}

#[test]
fn a_target_is_trusted_by_its_authority_and_its_name() {
    let (authority, other) = (Authority::new(), Authority::new());
    for protocols in [&["http/1.1"][..], &["h2", "http/1.1"], &[]] {
        let server = Server::secure(authority.config("target.test", protocols, false));
        let mut plan = secure_plan(&server, "/");
        assert_eq!(outcome(&run(&plan, &authority)), (Outcome::Ok, String::new()));
        assert_eq!((server.counts.requests(), server.counts.accepted()), (6, 2), "tickets close no connection");
        assert_eq!(
            outcome(&run(&plan, &other)),
            (Outcome::Tls, "TLS: invalid peer certificate: UnknownIssuer".to_owned())
        );
        tls(&mut plan).server_name = "other.test".to_owned();
        let (outcome_of_name, message) = outcome(&run(&plan, &authority));
        assert_eq!(outcome_of_name, Outcome::Tls);
        assert!(message.contains("other.test") && message.len() < 250, "{message}");
        tls(&mut plan).ca = None;
        assert_eq!(outcome(&run(&plan, &authority)).0, Outcome::Tls, "the system does not know it");
        tls(&mut plan).verify = false;
        assert_eq!(outcome(&run(&plan, &authority)).0, Outcome::Ok);
        assert_eq!(server.counts.requests(), 12);
    }
}

#[test]
fn a_target_asks_for_our_certificate() {
    let (authority, other) = (Authority::new(), Authority::new());
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let server = Server::secure(authority.config("target.test", &["h2", "http/1.1"], true));
        let mut plan = secure_plan(&server, "/");
        plan.target.protocol = protocol;
        let (refused, message) = outcome(&run(&plan, &authority));
        assert_eq!(refused, Outcome::Tls, "{message}");
        assert_eq!(message, "TLS: received fatal alert: CertificateRequired");
        tls(&mut plan).identity = Some((1, 2));
        assert_eq!(outcome(&run(&plan, &authority)).0, Outcome::Ok);
        assert_eq!(server.counts.requests(), 6);
        tls(&mut plan).verify = false;
        assert_eq!(outcome(&run(&plan, &other)).0, Outcome::Tls, "a certificate that it does not know");
    }
}

#[test]
fn sessions_are_resumed_unless_the_plan_says_otherwise() {
    let authority = Authority::new();
    for protocol in [Protocol::Http1, Protocol::Http2] {
        for (resumption, resumed) in [(true, true), (false, false)] {
            let server = Server::secure(authority.config("target.test", &["h2", "http/1.1"], false));
            let mut plan = secure_plan(&server, "/");
            plan.target.protocol = protocol;
            plan.target.keep.max_requests = Some(1);
            plan.target.connections = Connections::Shared { count: 1, streams: 1 };
            tls(&mut plan).resumption = resumption;
            assert_eq!(outcome(&run(&plan, &authority)).0, Outcome::Ok);
            assert_eq!(server.counts.accepted(), 6);
            // The first has nothing to resume.
            assert_eq!(server.counts.resumed(), if resumed { 5 } else { 0 }, "{protocol:?}");
        }
    }
}

#[test]
fn a_target_that_closes_an_idle_connection_fails_no_request() {
    let authority = Authority::new();
    let server = Server::secure(authority.config("target.test", &["http/1.1"], false));
    let mut plan = secure_plan(&server, "/close-after");
    plan.scenarios[0].pacing = Some(Micros::from_millis(50));
    assert_eq!(outcome(&run(&plan, &authority)), (Outcome::Ok, String::new()));
    assert_eq!(server.counts.accepted(), 6);
}

#[test]
fn what_comes_beyond_an_answer_is_nobodys() {
    let authority = Authority::new();
    let server = Server::secure(authority.config("target.test", &["http/1.1"], false));
    let mut plan = secure_plan(&server, "/twice");
    plan.scenarios[0].pacing = Some(Micros::from_millis(50));
    assert_eq!(outcome(&run(&plan, &authority)), (Outcome::Ok, String::new()));
    assert_eq!(server.counts.accepted(), 6);
}

#[test]
fn shared_connections_carry_as_many_requests_as_what_was_negotiated_allows() {
    let authority = Authority::new();
    for (protocols, at_once) in [(&["http/1.1"][..], 1), (&["h2", "http/1.1"], 3)] {
        let server = Server::secure(authority.config("target.test", protocols, false));
        let mut plan = secure_plan(&server, "/delay/5");
        plan.scenarios[0].load = iterations(12, 5);
        plan.target.connections = Connections::Shared { count: 2, streams: 3 };
        assert_eq!(outcomes(&total(&run(&plan, &authority))), [(Outcome::Ok, 60)]);
        assert_eq!((server.counts.accepted(), server.counts.most_open()), (2, 2));
        assert_eq!(server.counts.most_at_once(), at_once);
    }
}

#[test]
fn a_long_body_comes_whole() {
    let authority = Authority::new();
    for protocols in [&["http/1.1"][..], &["h2"]] {
        let server = Server::secure(authority.config("target.test", protocols, false));
        let snapshot = run(&secure_plan(&server, "/bytes/3000000"), &authority);
        assert_eq!(outcome(&snapshot).0, Outcome::Ok);
        let bytes = total(&snapshot).bytes_in;
        assert!((18_000_000..18_100_000).contains(&bytes), "{bytes}");
    }
}

#[test]
fn a_target_that_must_speak_http2_and_does_not_is_said_to() {
    let authority = Authority::new();
    // One that knows no such choice, and one that refuses all that is offered.
    for protocols in [&[][..], &["http/1.1"]] {
        let server = Server::secure(authority.config("target.test", protocols, false));
        let mut plan = secure_plan(&server, "/");
        plan.target.protocol = Protocol::Http2;
        let expected = (Outcome::Protocol, "the target does not speak HTTP/2".to_owned());
        assert_eq!(outcome(&run(&plan, &authority)), expected);
        assert_eq!(server.counts.requests(), 0);
    }
}

#[test]
fn a_target_that_speaks_no_tls_is_a_failure_of_tls() {
    let server = Server::plain(None);
    let snapshot = run(&secure_plan(&server, "/"), &Authority::new());
    let (outcome, message) = outcome(&snapshot);
    assert_eq!(outcome, Outcome::Tls, "{message}");
    assert!(message.starts_with("TLS: "), "{message}");
}

#[test]
fn files_that_are_none_of_tls_are_found_before_the_run() {
    let server = Server::plain(None);
    let (authority, mut plan) = (Authority::new(), secure_plan(&server, "/"));
    tls(&mut plan).identity = Some((1, 2));
    let problems = |ca: String, certificate: String, key: String| {
        let files = [("ca", ca), ("certificate", certificate), ("key", key)];
        let files = files.map(|(name, text)| (name, text.into_bytes())).to_vec();
        let problems = Materials::load(&plan, &InMemory(files)).err().unwrap_or_default();
        problems.iter().map(|problem| problem.path.clone()).collect::<Vec<_>>()
    };
    let (good, other) = (authority.issue("a"), authority.issue("b"));
    assert_eq!(problems(authority.pem(), good.certificate.clone(), good.key.clone()), [""; 0]);
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned();
    for ca in [String::new(), "no PEM".to_owned(), broken] {
        assert_eq!(problems(ca, good.certificate.clone(), good.key.clone()), ["spec.target.tls.ca"]);
    }
    assert_eq!(problems(authority.pem(), good.certificate.clone(), other.key), ["spec.target.tls.key"]);
    let swapped = problems(authority.pem(), good.key, good.certificate);
    assert_eq!(swapped, ["spec.target.tls.certificate", "spec.target.tls.key"]);
}

//! What the report of the suite says that it had not looked at: the pool, a leak, the breaking point, recovery, one user
//! against many, and web sockets.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::example::{Ran, file_of, number, run, run_file, with_others};

/// A percentile of latency, or another time of it.
fn latency(figures: &Value, name: &str) -> u64 {
    number(&figures["latency"][name])
}

/// The target's count is that of the report.
fn all_are_counted(ran: &Ran) {
    assert_eq!(ran.counts.requests, number(&ran.report["summary"]["requests"]));
}

#[test]
fn a_pool_that_is_too_small_is_in_latency_and_not_in_service_time() {
    let _machine = with_others();
    let ran = run_file(&file_of("suite-pool"), "", None);
    let summary = &ran.report["summary"];
    assert_eq!((number(&summary["requests"]), ran.counts.requests), (2000, 2000));
    assert_eq!((ran.counts.connections.accepted, ran.counts.in_flight.max), (10, 10));
    // 200 users, 10 at a time, 20 ms each: whoever is not among the first waits for 19 others.
    assert!(latency(summary, "p50") >= 380_000, "{summary}");
    assert!(latency(summary, "p50") > 5 * number(&summary["serviceTime"]["p50"]), "{summary}");
    ran.ends_as("Failed", &["Pass", "Pass", "Fail"]);
}

#[test]
fn a_soak_finds_the_leak_and_what_comes_of_it() {
    const KEPT: u64 = 64 << 10;
    const MOST: u64 = 64 << 20;
    let _machine = with_others();
    let ran = run("suite-soak");
    all_are_counted(&ran);
    let looked = ran.part("soak", Some(("steps", "memory")));
    let [good, bad] = ["ok", "failed-check"].map(|outcome| number(&looked["outcomes"][outcome]));
    assert!(good > 0 && bad > 0, "{looked}");
    let worked = number(&ran.part("soak", Some(("steps", "work")))["requests"]);
    assert!(worked * KEPT >= MOST, "{worked}");
    // A tenth of a millisecond for each MiB.
    ran.finds("drift", &["The median of latency of scenario soak drifts while the load stays at 10 users"]);
    ran.ends_as("Failed", &["Pass", "Fail"]);
}

#[test]
fn a_slow_rise_goes_past_the_breaking_point() {
    let _machine = with_others();
    let ran = run("suite-rise");
    all_are_counted(&ran);
    let stage = |name| ran.part("rise", Some(("stages", name)));
    for usual in ["users-20", "users-40", "users-60", "users-100"] {
        assert_eq!(number(&stage(usual)["errors"]), 0, "{usual}");
    }
    assert!(number(&stage("users-140")["statuses"]["503"]) > 0);
    // 8 at a time, 40 ms each: half of 100 users wait for the others, which those of 20 never do.
    assert!(latency(stage("users-100"), "p50") > 2 * latency(stage("users-20"), "min"));
    for crowded in ["users-100", "users-140"] {
        assert!(number(&stage(crowded)["statuses"]["200"]) <= 2 * 200 + 8, "{crowded}");
    }
    ran.finds("breakingPoint", &["The breaking point of scenario rise lies between 60 and 100 users."]);
    ran.finds("capacity", &["by the Universal Scalability Law"]);
    ran.finds("saturation", &["from 100 to 140 users"]);
    ran.finds("errorOnset", &["status 503"]);
    ran.ends_as("Failed", &["Fail", "Fail", "Pass"]);
}

#[test]
fn recovery_is_seen_after_the_overload_and_not_with_its_end() {
    let _machine = with_others();
    let ran = run("suite-recovery");
    all_are_counted(&ran);
    let stage = |name| ran.part("shop", Some(("stages", name)));
    // Whoever is under way when the overload begins is caught by it.
    assert!(number(&stage("usual")["errors"]) <= 20);
    assert!(number(&stage("afterwards")["errors"]) > 0 && number(&stage("afterwards")["ok"]) > 0);
    // Four seconds of a restart, which begins with the overload that lasts from the 4th to the 6th.
    let errors = ran.report["errors"].as_array().unwrap();
    let [first, last] = ["firstSeen", "lastSeen"].map(|seen| number(&errors[0][seen]));
    assert_eq!((errors.len(), &errors[0]["message"]), (1, &Value::from("status 503")));
    assert!(first >= 4_000_000 && last > 7_500_000 && (3_500_000..6_000_000).contains(&(last - first)), "{errors:?}");
    ran.finds("breakingPoint", &["between 20 and 300 users"]);
    ran.finds("recovery", &["the load fell to 20 users 6s into the run", "the criteria held again after "]);
    ran.ends_as("Failed", &["Fail", "Pass", "Pass"]);
}

#[test]
fn one_user_alone_is_served_at_once_and_fifty_wait_for_each_other() {
    let _machine = with_others();
    let ran = run("suite-sequential");
    let [alone, at_once] = ["alone", "at-once"].map(|scenario| ran.part(scenario, None));
    assert_eq!([alone, at_once].map(|scenario| number(&scenario["ok"])), [100, 1000]);
    assert_eq!((ran.counts.requests, ran.counts.in_flight.max), (1100, 50));
    assert!(latency(at_once, "p50") >= 5 * latency(alone, "p50"), "{alone} {at_once}");
    ran.finds(
        "contention",
        &["5 steps take longer with 50 users (scenario at-once) than with 1 user (scenario alone)"],
    );
    ran.ends_as("Failed", &["Pass", "Pass", "Fail"]);
}

#[test]
fn a_thousand_web_sockets_are_open_at_once_and_all_of_them_are_heard() {
    let _machine = with_others();
    let ran = run_file(&file_of("suite-websockets"), "", None);
    let step = |name| number(&ran.part("listeners", Some(("steps", name)))["ok"]);
    let sockets = &ran.counts.web_sockets;
    assert_eq!((sockets.opened, sockets.max_open, sockets.closed), (1000, 1000, 1000));
    assert_eq!((step("open"), step("leave")), (1000, 1000));
    assert_eq!(sockets.close_codes, BTreeMap::from([(1000, 1000)]));
    assert_eq!((sockets.messages_in, sockets.messages_out), (step("say"), step("say")));
    assert!(step("say") >= 2000, "{}", step("say"));
    ran.ends_as("Passed", &["Pass", "Pass", "Pass"]);
}

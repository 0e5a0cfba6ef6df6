//! A server that crashed, and the same one when it was mended.

use crate::example::number;
use crate::{errors, finds, latency, outcome, run};

#[test]
fn every_request_to_a_server_that_crashed_fails_by_its_connection() {
    let ran = run("threads-api", "threads-api");
    ran.ends_as("Failed", &["Fail"; 5]);
    let all = &ran.report["summary"];
    let requests = number(&all["requests"]);
    let (reset, timeout) = (outcome(all, "reset"), outcome(all, "timeout"));
    assert_eq!(
        (reset + timeout, number(&all["ok"]), &all["statuses"]),
        (requests, 0, &serde_json::json!({})),
        "{all:#}"
    );
    // 400 there: 50 users for 10.5 s in the mean, and a request takes 0.8 s at least and 3 s at most.
    assert!((300..480).contains(&requests), "{requests}");
    assert_eq!((reset, timeout), (ran.counts.action("reset"), ran.counts.action("hang")));
    for step in ["root", "health", "list", "create", "options"] {
        let step = ran.part("visitors", Some(("steps", step)));
        assert!(number(&step["requests"]) > 10 && number(&step["ok"]) == 0, "{step:#}");
    }
    let outage = ran.findings("outage");
    assert!(matches!(outage[..], [text] if text.contains(&format!("{requests} of {requests}"))), "{outage:?}");
}

#[test]
fn the_mended_service_bears_50_users_and_is_too_slow_with_100() {
    let ran = run("threads-api-staged", "threads-api-fixed");
    ran.ends_as("Failed", &["Pass", "Fail", "Pass", "Pass", "Pass", "Pass", "Pass", "Fail"]);
    let stage = |name: &str| ran.part("sessions", Some(("stages", name)));
    for (name, users) in [("users-5", 5), ("users-10", 10), ("users-25", 25), ("users-50", 50)] {
        let held = stage(name);
        assert_eq!(number(&held["to"]["users"]), users, "{held:#}");
        assert!(errors(held) == 0.0 && latency(held, "p95") < 0.5, "{held:#}");
    }
    assert!(latency(stage("users-100"), "p95") > 1.0, "{:#}", stage("users-100"));
    let rate = |name: &str| stage(name)["rate"].as_f64().unwrap();
    assert!(rate("users-100") < rate("users-50"), "{} and {}", rate("users-100"), rate("users-50"));
    // Each of 100 users has a session, and ends it.
    for step in ["login", "logout"] {
        let step = ran.part("sessions", Some(("steps", step)));
        assert_eq!((number(&step["requests"]), number(&step["ok"])), (100, 100), "{step:#}");
    }
    let paths = &ran.counts.by_path;
    let counted = ["login", "logout"].map(|word| paths[&format!("/profile/threads-api-fixed/api/auth/{word}")]);
    assert_eq!(counted, [100, 100]);
    // All but those who are not logged in are served.
    assert_eq!(ran.counts.action("ok"), ran.counts.requests);
    finds(&ran, "breakingPoint", "The breaking point of scenario sessions lies between 50 and 100 users.");
}

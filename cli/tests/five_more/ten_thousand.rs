//! `ten-thousand-users`: by one process on one core, and the target on another.

use serde_json::Value;
use tempfile::TempDir;

use crate::example::{Ran, alone, file_of, number, run_file};

/// Errors that the target has of its own: of each step its status, and how many.
const OWN: [(&str, &str, u64); 5] = [
    ("market-floor", "status 500", 281),
    ("offers-my", "status 500", 192),
    ("auctions-list", "status 500", 99),
    ("presale-list", "status 404", 92),
    ("balance-topups", "status 404", 86),
];

/// The example with one engine, on the first CPU, against a target on the second.
fn on_one_core() -> Ran {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("test.yaml");
    let text = std::fs::read_to_string(file_of("ten-thousand-users")).unwrap();
    assert!(text.contains("runners: {count: 3}"));
    std::fs::write(&file, text.replace("runners: {count: 3}", "runners: {count: 1}")).unwrap();
    run_file(&file, "/profile/ten-thousand-users", Some(["0", "1"]))
}

/// What follows from the target's capacity, whatever the generator can do.
fn is_overwhelmed(ran: &Ran) {
    let (estimate, flood) = (ran.part("estimate", None), ran.part("flood", None));
    // What can be promised.
    assert_eq!(number(&estimate["errors"]), 0, "{estimate}");
    // 250 a second.
    let seconds = number(&flood["load"]["duration"]) / 1_000_000 + 1;
    assert!(number(&flood["ok"]) <= 250 * seconds + 100, "{flood}");
    assert_eq!(number(&ran.report["load"]["peakUsers"]), 10_000);
    let [own, missing] = ["500", "404"].map(|status| number(&flood["statuses"][status]));
    assert_eq!((own, missing), (572, 178));
    // Each request is counted by both, but for those that did not reach the target.
    let summary = &ran.report["summary"];
    let lost: u64 = ["timeout", "connect"].iter().map(|outcome| number(&summary["outcomes"][outcome])).sum();
    let requests = number(&summary["requests"]);
    assert!((requests - lost..=requests).contains(&ran.counts.requests), "{summary}");
}

/// Errors by type and by endpoint, with when they came.
fn errors_are_told_apart(ran: &Ran) {
    let errors = ran.report["errors"].as_array().unwrap();
    let find = |step: &str, message: &str| -> &Value {
        let found = errors.iter().find(|error| error["step"] == step && error["message"] == message);
        found.unwrap_or_else(|| panic!("no {message} of {step} in {errors:#?}"))
    };
    for (step, message, count) in OWN {
        assert_eq!(number(&find(step, message)["count"]), count, "{step}");
    }
    let steps = ran.part("flood", None)["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 10);
    for step in steps {
        for message in ["connection reset by peer", "connection closed without a response"] {
            let error = find(step["name"].as_str().unwrap(), message);
            let [first, last] = ["firstSeen", "lastSeen"].map(|seen| number(&error[seen]));
            // Not before the flood, and until its end.
            assert!(4_500_000 <= first && first + 10_000_000 < last, "{error}");
        }
    }
}

/// What the report had, ten times as fast, from a generator that keeps up.
fn is_as_reported(ran: &Ran) {
    let (flood, generator) = (ran.part("flood", None), &ran.report["generator"]);
    assert!(generator["healthy"] == true, "{generator} {}", ran.report["doubts"]);
    assert_eq!(ran.counts.requests, number(&ran.report["summary"]["requests"]));
    let requests = number(&flood["requests"]);
    assert!((175_000..205_000).contains(&requests), "{requests}");
    let failed = flood["errors"].as_f64().unwrap() / requests as f64;
    assert!((0.955..0.97).contains(&failed), "{failed}");
    // Most were turned away at once, and the others after long: answers alone tell nothing of that.
    let ends = &flood["timeToEnd"];
    let [median, p95, p99, max] = ["p50", "p95", "p99", "max"].map(|name| number(&ends[name]));
    let mean = ends["mean"].as_f64().unwrap();
    assert!(median < 30_000 && (850_000.0..1_150_000.0).contains(&mean), "{ends}");
    assert!((4_200_000..5_000_000).contains(&p95) && (4_900_000..5_700_000).contains(&p99), "{ends}");
    assert!(max <= 9_000_000, "{ends}");
}

#[test]
fn ten_thousand_users_overwhelm_a_market_and_not_the_generator() {
    let _machine = alone();
    let ran = on_one_core();
    is_overwhelmed(&ran);
    errors_are_told_apart(&ran);
    ran.finds("cliff", &["The cliff lies between 50 and 10,000 users"]);
    // Without optimization a core does not make 7,000 connections a second.
    if !cfg!(debug_assertions) {
        is_as_reported(&ran);
    }
    ran.ends_as("Failed", &["Pass", "Pass", "Fail", "Fail"]);
}

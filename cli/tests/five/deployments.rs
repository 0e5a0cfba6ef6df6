//! Four scenarios one after the other: three that are borne, and a burst that is not.

use serde_json::Value;

use crate::example::number;
use crate::{errors, finds, latency, outcome, run_alone};

/// What the report said of each: requests in as much time as here, users, the median in seconds.
const BORNE: [(&str, f64, u64); 3] = [("deploy", 22_967.0, 100), ("cab", 2453.0, 50), ("connectors", 18_736.0, 200)];

#[test]
fn deployments_have_a_verdict_for_each_scenario_and_the_burst_fails_altogether() {
    let ran = run_alone("deployments", "deployments");
    ran.ends_as("Failed", &["Pass", "Pass", "Pass", "Pass", "Pass", "Pass", "Fail", "Fail", "Fail"]);
    for (name, expected, users) in BORNE {
        let scenario = ran.part(name, None);
        assert_eq!((number(&scenario["errors"]), number(&scenario["load"]["peakUsers"])), (0, users), "{scenario:#}");
        assert!(scenario["verdict"] == "Passed" || scenario["verdict"] == "Inconclusive", "{}", scenario["verdict"]);
        // Pauses are what they are: a busy machine takes some from the rate, nothing adds to it.
        let share = scenario["requests"].as_f64().unwrap() / expected;
        assert!((0.75..1.05).contains(&share), "{name}: {share} of what it was");
        assert!(latency(scenario, "p50") < 0.05, "{name}: {}", latency(scenario, "p50"));
    }
    let burst = ran.part("burst", None);
    assert_eq!((&burst["verdict"], number(&burst["load"]["peakUsers"])), (&Value::from("Failed"), 1000));
    let requests = number(&burst["requests"]);
    assert_eq!((outcome(burst, "unexpected-status"), number(&burst["statuses"]["503"])), (requests, requests));
    assert!((errors(burst) - 1.0).abs() < 1e-9);
    assert_eq!(ran.counts.action("status-503"), requests);
    assert_eq!(ran.counts.values("wait")["applied"], requests);
    // 12,579 there, beside those that were under way at the end.
    assert!((11_000..15_000).contains(&requests), "{requests}");
    assert!((1.7..2.1).contains(&latency(burst, "p50")), "{}", latency(burst, "p50"));
    assert!((2.3..2.9).contains(&latency(burst, "p95")), "{}", latency(burst, "p95"));
    assert!((2.5..3.3).contains(&latency(burst, "p99")), "{}", latency(burst, "p99"));
    finds(&ran, "cliff", "The cliff lies between 200 and 1,000 users");
}

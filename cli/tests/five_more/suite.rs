//! `concurrency-suite`: every count of the report that it follows.

use serde_json::Value;

use crate::example::{Ran, number, run, with_others};

/// Of each step: answers with 200, 429 and 404, and timeouts.
const STEPS: [(&str, &str, [u64; 4]); 20] = [
    ("rapid-fire", "system-stats", [60, 440, 0, 0]),
    ("rapid-fire", "system-ports", [30, 470, 0, 0]),
    ("rapid-fire", "services-list", [60, 440, 0, 0]),
    ("rapid-fire", "health-check", [0, 0, 500, 0]),
    ("rapid-fire", "agents-list", [60, 440, 0, 0]),
    ("sustained", "system-info", [60, 430, 0, 10]),
    ("sustained", "system-processes", [0, 0, 0, 500]),
    ("sustained", "projects-list", [0, 0, 0, 500]),
    ("sustained", "agents-active", [0, 0, 0, 500]),
    ("sustained", "auth-validate", [0, 0, 0, 500]),
    ("mixed-light", "system-stats", [0, 0, 0, 60]),
    ("mixed-light", "system-network", [0, 0, 0, 60]),
    ("mixed-light", "system-disk", [0, 0, 0, 60]),
    ("mixed-light", "services-list", [0, 0, 0, 60]),
    ("mixed-light", "health-check", [0, 0, 0, 60]),
    ("mixed-heavy", "system-stats", [0, 0, 0, 400]),
    ("mixed-heavy", "system-network", [0, 0, 0, 400]),
    ("mixed-heavy", "system-disk", [0, 0, 0, 400]),
    ("mixed-heavy", "services-list", [0, 0, 0, 400]),
    ("mixed-heavy", "health-check", [0, 0, 0, 400]),
];

/// The same of each category of routes.
const GROUPS: [(&str, &str, [u64; 4]); 10] = [
    ("rapid-fire", "system", [90, 910, 0, 0]),
    ("rapid-fire", "services", [60, 440, 0, 0]),
    ("rapid-fire", "health", [0, 0, 500, 0]),
    ("rapid-fire", "agents", [60, 440, 0, 0]),
    ("sustained", "system", [60, 430, 0, 510]),
    ("sustained", "projects", [0, 0, 0, 500]),
    ("sustained", "agents", [0, 0, 0, 500]),
    ("sustained", "auth", [0, 0, 0, 500]),
    ("mixed-light", "system", [0, 0, 0, 180]),
    ("mixed-heavy", "system", [0, 0, 0, 1200]),
];

/// What each route was asked for, over all scenarios.
const ROUTES: [(&str, u64); 12] = [
    ("system/stats", 960),
    ("system/ports", 500),
    ("system/processes", 500),
    ("system/info", 500),
    ("system/network", 460),
    ("system/disk", 460),
    ("services", 960),
    ("agents", 500),
    ("agents/active", 500),
    ("projects", 500),
    ("auth/validate", 500),
    ("health", 960),
];

fn counts(figures: &Value) -> [u64; 4] {
    let timeouts = &figures["outcomes"]["timeout"];
    [&figures["statuses"]["200"], &figures["statuses"]["429"], &figures["statuses"]["404"], timeouts].map(number)
}

/// A status of 429 is as good as one of 200, and every request is in one place only.
fn adds_up(figures: &Value, [ok, limited, missing, timeouts]: [u64; 4], what: &str) {
    assert_eq!(counts(figures), [ok, limited, missing, timeouts], "{what}");
    assert_eq!(number(&figures["requests"]), ok + limited + missing + timeouts, "{what}");
    assert_eq!((number(&figures["ok"]), number(&figures["errors"])), (ok + limited, missing + timeouts), "{what}");
}

fn target_counted(ran: &Ran) {
    let counts = &ran.counts;
    for (route, requests) in ROUTES {
        assert_eq!(counts.by_path[&format!("/profile/concurrency-suite/api/{route}")], requests, "{route}");
    }
    let actions = ["ok", "status-429", "status-404", "hang"].map(|action| counts.action(action));
    assert_eq!((counts.requests, actions), (7300, [270, 2220, 500, 4310]));
    // A pool of 200, out of which each timeout takes one.
    assert!(counts.connections.max_open <= 200, "{:?}", counts.connections);
}

#[test]
fn the_concurrency_suite_has_exactly_the_counts_of_its_report() {
    let _machine = with_others();
    let ran = run("concurrency-suite");
    adds_up(&ran.report["summary"], [270, 2220, 500, 4310], "all");
    for (scenario, requests) in [("rapid-fire", 2500), ("sustained", 2500), ("mixed-light", 300), ("mixed-heavy", 2000)]
    {
        assert_eq!(number(&ran.part(scenario, None)["requests"]), requests, "{scenario}");
    }
    for (kind, parts) in [("steps", &STEPS[..]), ("groups", &GROUPS[..])] {
        for (scenario, name, expected) in parts {
            adds_up(ran.part(scenario, Some((kind, name))), *expected, &format!("{scenario}/{name}"));
        }
    }
    target_counted(&ran);
    ran.finds("limited", &["2,220 requests (30.4%) were refused with status 429"]);
    ran.finds("brokenStep", &["5 steps never worked", "rapid-fire/health-check (never found: status 404)"]);
    ran.finds("outage", &["nothing succeeded until the end"]);
    // Limits are enforced and nothing falls over: two of five.
    ran.ends_as("Failed", &["Pass", "Pass", "Fail", "Fail", "Fail"]);
}

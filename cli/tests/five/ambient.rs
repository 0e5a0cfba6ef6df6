//! 20, 30 and 40 users of an API that writes summaries, and a search for how many it bears.

use crate::example::number;
use crate::{errors, finds, latency, outcome, run};

#[test]
fn the_ambient_api_fails_each_row_of_its_table_with_40_users_and_bears_30() {
    let ran = run("ambient-api", "ambient-api");
    ran.ends_as("Failed", &["Fail"; 10]);
    for (stage, least) in [("users-20", 0.6), ("users-30", 1.3)] {
        let held = ran.part("summary", Some(("stages", stage)));
        assert_eq!(number(&held["errors"]), 0, "{held:#}");
        assert!(latency(held, "mean") > least && latency(held, "max") < 3.0, "{held:#}");
    }
    // 40 users for 8.9 s, whose requests take 3 s at most and 2.3 s in the mean at least.
    let broken = ran.part("summary", Some(("stages", "users-40")));
    let requests = number(&broken["requests"]);
    assert!((100..160).contains(&requests), "{broken:#}");
    assert!((0.4..0.8).contains(&errors(broken)), "{broken:#}");
    assert_eq!(number(&broken["statuses"]["500"]), outcome(broken, "unexpected-status"));
    assert_eq!(number(&broken["statuses"]["200"]) + number(&broken["statuses"]["500"]), requests);
    assert!((2.3..3.1).contains(&latency(broken, "mean")), "{broken:#}");
    assert!((2.8..3.3).contains(&latency(broken, "p50")), "{broken:#}");
    let all = &ran.report["summary"];
    assert_eq!(number(&all["errors"]), ran.counts.action("status-500"));
    assert_eq!(number(&all["ok"]), ran.counts.action("ok"));
    finds(&ran, "breakingPoint", "The breaking point of scenario summary lies between 30 and 40 users.");
}

#[test]
fn the_search_finds_between_30_and_39_users() {
    let ran = run("ambient-search", "ambient-api");
    ran.ends_as("Passed", &["Pass"]);
    let search = &ran.part("summary", None)["search"];
    let answer = number(&search["answer"]["users"]);
    assert!(search["finished"] == true && (30..40).contains(&answer), "{search:#}");
}

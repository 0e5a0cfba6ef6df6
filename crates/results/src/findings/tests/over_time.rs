//! What is concluded from how a run went on.

use super::fixtures::{SECOND, Seen, criterion, error, found, kinds, report, said};
use crate::finding::FindingKind;
use crate::report::{Report, SearchReport};

#[test]
fn a_target_that_stops_serving_is_out_from_then_on() {
    let well = Seen::well(20, 20, 50.0, 10.0);
    let run = report(&[("shop", &[well, Seen { errors: 1.0, ..well }])]);
    let seen = found(&run, FindingKind::Outage);
    assert_eq!(seen[0].text, "From 20s into the run on nothing succeeded until the end: 1,000 requests failed.");
    assert_eq!(seen[0].evidence[0].value, "before 20s");
    let back = report(&[("shop", &[well, Seen { errors: 1.0, ..well }, well])]);
    assert_eq!(said(&back, FindingKind::Outage), [""; 0]);
}

#[test]
fn a_search_that_ends_above_what_the_target_bears_is_no_outage() {
    let well = Seen::well(20, 20, 50.0, 10.0);
    let mut run = report(&[("shop", &[well, Seen { errors: 1.0, ..well }])]);
    let until = "rate(errors) < 1%".to_owned();
    run.scenarios[0].search = Some(SearchReport { until, answer: None, finished: true, steps: Vec::new() });
    assert_eq!(said(&run, FindingKind::Outage), [""; 0]);
}

#[test]
fn what_fails_after_the_load_is_no_outage() {
    let well = Seen::well(20, 20, 50.0, 10.0);
    let mut run = report(&[("shop", &[well, Seen { errors: 1.0, seconds: 5, ..well }])]);
    // Timeouts of what was under way at the end.
    run.timeline.buckets[20..].iter_mut().for_each(|bucket| bucket.planned_users = 0);
    assert_eq!(said(&run, FindingKind::Outage), [""; 0]);
}

#[test]
fn errors_that_began_at_some_load_are_told_with_it() {
    let ramp = Seen { users: (0, 100), ..Seen::well(0, 100, 50.0, 10.0) };
    let mut run = report(&[("shop", &[ramp])]);
    run.timeline.buckets[38..].iter_mut().for_each(|bucket| bucket.errors = 1);
    run.errors = vec![error("get", "unexpected-status", "status 500", 62, 38)];
    let text = "Errors began only 38s into the run, with 39 users: status 500, 62 in all.";
    assert_eq!(said(&run, FindingKind::ErrorOnset), [text]);
    // Of so few, the first may well be as late as this by chance.
    run.errors[0] = error("get", "unexpected-status", "status 500", 20, 20);
    assert_eq!(said(&run, FindingKind::ErrorOnset), [""; 0]);
    run.errors[0] = error("get", "unexpected-status", "status 500", 62, 1);
    assert_eq!(said(&run, FindingKind::ErrorOnset), [""; 0]);
}

fn recovery(after: &[Seen], criteria: &[&str]) -> Report {
    let well = Seen { held: Some(true), ..Seen::well(20, 20, 50.0, 10.0) };
    let over = Seen { users: (200, 200), errors: 0.5, median: 900.0, held: Some(false), ..well };
    let mut run = report(&[("shop", &[&[well, over], after].concat())]);
    run.criteria = criteria.iter().copied().map(criterion).collect();
    run
}

#[test]
fn a_recovery_is_told_with_how_long_it_took() {
    // The stage after the overload: 4 s of errors and 3 more of slow answers.
    let after = Seen { held: Some(true), ..Seen::well(20, 30, 50.0, 10.0) };
    let suffering = |criteria: &[&str]| {
        let mut run = recovery(&[after], criteria);
        run.timeline.buckets[40..44].iter_mut().for_each(|bucket| bucket.errors = 20);
        run.timeline.buckets[44..47].iter_mut().for_each(|bucket| bucket.p95 = Some(SECOND));
        said(&run, FindingKind::Recovery)
    };
    let text = |again: &str| {
        [format!("After an overload with 200 users the load fell to 20 users 40s into the run: {again}.")]
    };
    assert_eq!(suffering(&["rate(errors) < 1%"]), text("the criteria held again after 4s (give or take 1s)"));
    let both = suffering(&["rate(success) > 99%", "p95(latency) < 500ms", "rate(requests) > 1/s"]);
    assert_eq!(both, text("the criteria held again after 7s (give or take 1s)"));
    assert_eq!(suffering(&["rate(requests) > 1/s"]), [""; 0], "the timeline does not tell");
    let at_once = said(&recovery(&[after], &["rate(errors) < 1%"]), FindingKind::Recovery);
    assert_eq!(at_once, text("the criteria held again within 1s"));
}

#[test]
fn a_target_that_never_recovers_is_told() {
    let after = Seen { held: Some(false), errors: 0.2, ..Seen::well(20, 30, 50.0, 10.0) };
    let seen = said(&recovery(&[after], &["rate(errors) < 1%"]), FindingKind::Recovery);
    let text = "After an overload with 200 users the load fell to 20 users 40s into the run: the criteria never held again \
                in the 30s that were left.";
    assert_eq!(seen, [text]);
    // More load is no recovery.
    let more = Seen { users: (400, 400), ..after };
    assert_eq!(said(&recovery(&[more], &["rate(errors) < 1%"]), FindingKind::Recovery), [""; 0]);
}

#[test]
fn latency_that_grows_while_the_load_stays_drifts() {
    let mut run = report(&[("shop", &[Seen::well(10, 100, 50.0, 10.0)])]);
    for (second, bucket) in run.timeline.buckets.iter_mut().enumerate() {
        bucket.p50 = Some(10_000 + second as u64 * 100);
    }
    let seen = found(&run, FindingKind::Drift);
    let text = "The median of latency of scenario shop drifts while the load stays at 10 users: from 11.2ms at the begin of \
                stage stage-0 to 18.7ms at its end, in 1m40s.";
    assert_eq!(seen[0].text, text);
    assert_eq!((seen[0].evidence[2].what.as_str(), seen[0].evidence[2].value.as_str()), ("growth", "3,214% an hour"));
    let mut errors = report(&[("shop", &[Seen::well(10, 100, 50.0, 10.0)])]);
    for (second, bucket) in errors.timeline.buckets.iter_mut().enumerate() {
        bucket.errors = second as u64 / 10;
    }
    assert!(said(&errors, FindingKind::Drift)[0].starts_with("The share of errors of scenario shop drifts"));
}

#[test]
fn two_scenarios_at_once_are_not_told_apart_by_the_timeline() {
    let mut run = report(&[("shop", &[Seen::well(10, 100, 50.0, 10.0)]), ("admin", &[Seen::well(1, 10, 50.0, 10.0)])]);
    for (second, bucket) in run.timeline.buckets.iter_mut().enumerate() {
        bucket.p50 = Some(10_000 + second as u64 * 100);
    }
    assert_eq!(kinds(&run), [FindingKind::Drift]);
    run.scenarios[1].load.began = Some(50 * SECOND);
    assert_eq!(kinds(&run), []);
    // Of next to no requests it makes no difference.
    run.scenarios[1].figures.requests = 30;
    assert_eq!(kinds(&run), [FindingKind::Drift]);
}

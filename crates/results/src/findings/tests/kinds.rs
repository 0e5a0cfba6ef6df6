//! What is concluded from how a target bore different loads.

use proofload_api::Verdict;

use super::fixtures::{SECOND, Seen, error, figures, found, kinds, report, said, step};
use crate::finding::FindingKind;
use crate::report::{LoadLevel, Report, SearchReport, SearchStepReport};

const fn judged(seen: Seen, held: bool) -> Seen {
    Seen { held: Some(held), ..seen }
}

const fn failing(seen: Seen, errors: f64) -> Seen {
    Seen { errors, ..seen }
}

#[test]
fn a_breaking_point_lies_between_the_highest_load_that_held_and_the_next_that_did_not() {
    let stages = [
        judged(Seen::well(10, 10, 8.0, 1200.0), true),
        judged(Seen::well(20, 10, 16.0, 1200.0), true),
        judged(Seen::well(30, 10, 24.0, 1200.0), true),
        judged(failing(Seen::well(40, 10, 10.0, 3000.0), 0.6), false),
        // Later, the target still suffered.
        judged(failing(Seen::well(10, 10, 8.0, 1200.0), 0.3), false),
    ];
    let seen = found(&report(&[("summary", &stages)]), FindingKind::BreakingPoint);
    let text = "The breaking point of scenario summary lies between 30 and 40 users. Stable up to 30 users at 24/s.";
    assert_eq!(seen[0].text, text);
    let evidence: Vec<(&str, &str)> = seen[0].evidence.iter().map(|one| (&*one.what, &*one.value)).collect();
    assert_eq!(evidence[0], ("errors with 30 users", "0%"));
    assert_eq!(evidence[3], ("errors with 40 users", "60%"));
    assert_eq!(evidence[5], ("good answers with 40 users", "4/s"));
}

#[test]
fn errors_tell_the_breaking_point_where_no_criterion_does() {
    let loads = |held| {
        [
            Seen { held, ..Seen::well(20, 10, 10.0, 2000.0) },
            Seen { held, ..Seen::well(30, 10, 10.0, 3000.0) },
            Seen { held, ..failing(Seen::well(40, 10, 10.0, 3000.0), 0.6) },
        ]
    };
    for held in [None, Some(false)] {
        let seen = said(&report(&[("summary", &loads(held))]), FindingKind::BreakingPoint);
        let text = "The breaking point of scenario summary lies between 30 and 40 users: that is where requests begin to \
                    fail. Without errors up to 30 users at 10/s.";
        assert_eq!(seen, [text]);
    }
}

#[test]
fn there_is_no_breaking_point_where_all_held_and_one_below_all_where_none_did() {
    let stages = |held| [10, 20, 30].map(|users| judged(Seen::well(users, 10, 50.0, 10.0), held));
    assert_eq!(said(&report(&[("shop", &stages(true))]), FindingKind::BreakingPoint), [""; 0]);
    let none = said(&report(&[("shop", &stages(false))]), FindingKind::BreakingPoint);
    assert!(none[0].starts_with("The breaking point of scenario shop lies below 10 users, if it is load"), "{none:?}");
    let few = [judged(Seen::well(10, 2, 5.0, 10.0), true), judged(Seen::well(20, 2, 5.0, 10.0), false)];
    assert_eq!(kinds(&report(&[("shop", &few)])), [], "10 requests of each say nothing");
    let mut changed = report(&[(
        "shop",
        &[judged(Seen::well(10, 10, 50.0, 10.0), true), judged(Seen::well(20, 10, 50.0, 10.0), false)],
    )]);
    let load = |users| LoadLevel { users: Some(users), rate: None };
    let change = crate::report::ChangeReport { at: 1, scenario: "shop".to_owned(), from: load(10), to: load(90) };
    changed.changes.push(change);
    assert_eq!(kinds(&changed), [], "its load was another one");
}

#[test]
fn the_steps_of_a_search_are_levels_too() {
    let mut run = report(&[("shop", &[5, 40, 80, 60].map(|users| Seen::well(users, 8, 50.0, 10.0)))]);
    let load = |users| LoadLevel { users: Some(users), rate: None };
    let step = |users, held| SearchStepReport {
        level: load(users),
        at: 0,
        window_from: 0,
        window_until: 8 * SECOND,
        observed: None,
        dropped: 0,
        held: Some(held),
        why: String::new(),
    };
    let steps = vec![step(40, true), step(80, false), step(60, false)];
    run.scenarios[0].search =
        Some(SearchReport { until: "rate(errors) < 1%".to_owned(), answer: Some(load(40)), finished: true, steps });
    let seen = said(&run, FindingKind::BreakingPoint);
    assert!(seen[0].contains("lies between 40 and 60 users."), "{seen:?}");
}

#[test]
fn on_a_ramp_the_breaking_point_is_where_errors_begin() {
    // Of 1,000 users more each second: from 6,000 on most fail.
    let ramp = Seen { users: (0, 10_000), ..Seen::well(0, 10, 500.0, 20.0) };
    let mut run = report(&[("shop", &[ramp])]);
    assert_eq!(said(&run, FindingKind::BreakingPoint), [""; 0]);
    for bucket in &mut run.timeline.buckets[6..] {
        bucket.errors = 400;
    }
    let seen = said(&run, FindingKind::BreakingPoint);
    let text = "The breaking point of scenario shop lies at 6,500 users or below: on the way up, requests began to fail 6s \
                into the run. Stable up to 5,500 users at 500/s.";
    assert_eq!(seen, [text]);
}

fn four(of: [(u32, f64, f64, Verdict); 4]) -> Report {
    let seen = of.map(|(users, errors, median, _)| [failing(Seen::well(users, 10, 100.0, median), errors)]);
    let names = ["deploy", "cab", "connectors", "burst"];
    let scenarios: Vec<(&str, &[Seen])> = names.into_iter().zip(&seen).map(|(name, seen)| (name, &seen[..])).collect();
    let mut run = report(&scenarios);
    for (scenario, (.., verdict)) in run.scenarios.iter_mut().zip(of) {
        scenario.verdict = verdict;
    }
    run
}

#[test]
fn a_cliff_lies_between_scenarios() {
    let run = four([
        (100, 0.0, 5.0, Verdict::Passed),
        (50, 0.0, 13.0, Verdict::Unjudged),
        (200, 0.0, 13.0, Verdict::Passed),
        (1000, 1.0, 19_000.0, Verdict::Failed),
    ]);
    let seen = found(&run, FindingKind::Cliff);
    let text = "The cliff lies between 200 and 1,000 users: scenario connectors held, of burst 100% failed.";
    assert_eq!(seen[0].text, text);
    let rows: Vec<&str> = seen[0].evidence.iter().map(|row| row.what.as_str()).collect();
    assert_eq!(
        rows,
        ["cab with 50 users", "deploy with 100 users", "connectors with 200 users", "burst with 1,000 users"]
    );
    assert_eq!(seen[0].evidence[3].value, "1,000 requests, 100% failed, median 19s");
    let outage = said(&run, FindingKind::Outage);
    assert_eq!(outage, ["From 30s into the run on nothing succeeded until the end: 1,000 requests failed."]);
}

#[test]
fn slower_answers_are_a_cliff_only_where_criteria_say_that_they_are_too_slow() {
    let of = |verdict| {
        let kept = Verdict::Passed;
        four([(10, 0.0, 5.0, kept), (20, 0.0, 5.0, kept), (30, 0.0, 5.0, kept), (500, 0.0, 90.0, verdict)])
    };
    assert_eq!(said(&of(Verdict::Unjudged), FindingKind::Cliff), [""; 0], "another scenario may ask for more");
    let text =
        "The cliff lies between 30 and 500 users: scenario connectors held, burst was more than 10 times as slow.";
    assert_eq!(said(&of(Verdict::Failed), FindingKind::Cliff), [text]);
}

#[test]
fn a_scenario_that_asks_for_what_is_not_there_is_no_cliff() {
    let kept = Verdict::Passed;
    let mut run =
        four([(10, 0.0, 5.0, kept), (20, 0.0, 5.0, kept), (30, 0.0, 5.0, kept), (500, 1.0, 5.0, Verdict::Failed)]);
    let burst = &mut run.scenarios[3].figures;
    burst.statuses = [("404".to_owned(), burst.errors)].into();
    burst.outcomes = [("unexpected-status".to_owned(), burst.errors)].into();
    assert_eq!(said(&run, FindingKind::Cliff), [""; 0]);
}

#[test]
fn a_target_that_never_answered_is_told_once() {
    let mut run = report(&[("shop", &[failing(Seen::well(50, 12, 33.4, 5.0), 1.0)])]);
    run.summary.requests = 400;
    run.summary.errors = 400;
    run.summary.outcomes = [("reset".to_owned(), 350), ("timeout".to_owned(), 50)].into();
    assert_eq!(kinds(&run), [FindingKind::Outage]);
    let text = "Nothing was ever answered well: 400 of 400 requests failed (reset 350, timeout 50).";
    assert_eq!(said(&run, FindingKind::Outage), [text]);
}

/// Levels of a target that serves 30 a second, and asks each user for a second to think.
fn saturating(users: &[u32]) -> Report {
    let level = |users: &u32| {
        let rate = f64::from(*users).min(30.0);
        Seen::well(*users, 20, rate, (f64::from(*users) / rate - 0.95) * 1000.0)
    };
    report(&[("shop", &users.iter().map(level).collect::<Vec<_>>())])
}

#[test]
fn more_load_that_only_waits_longer_is_saturation() {
    let run = saturating(&[10, 20, 40, 60, 80]);
    let text = "More load brings scenario shop only longer waiting: from 40 to 60 users, good answers went from 30/s to \
                30/s and the median from 383ms to 1.05s.";
    assert_eq!(said(&run, FindingKind::Saturation), [text]);
    assert_eq!(said(&saturating(&[5, 10, 20]), FindingKind::Saturation), [""; 0]);
}

#[test]
fn capacity_is_told_with_its_knee_interval_and_confidence() {
    let seen = found(&saturating(&[5, 10, 20, 40, 60, 80, 120]), FindingKind::Capacity);
    assert!(seen[0].text.starts_with("Throughput of shop "), "{seen:?}");
    assert!(seen[0].text.contains("by the Universal Scalability Law; more users bring no more."), "{seen:?}");
    assert!(seen[0].evidence.iter().any(|one| one.what == "explained by the law (R2)"), "{seen:?}");
    let grows = found(&saturating(&[5, 10, 20, 30]), FindingKind::Capacity);
    assert_eq!(grows[0].text, "Throughput of shop still grew at 30 users: the knee was not reached.");
    assert_eq!(found(&saturating(&[10, 20, 30]), FindingKind::Capacity), [], "three levels are too few");
    assert_eq!(found(&saturating(&[27, 28, 29, 30]), FindingKind::Capacity), [], "levels that are all alike");
}

#[test]
fn what_follows_no_law_has_no_capacity() {
    // Beyond a breaking point nothing is served: those levels say nothing of the others.
    let level = |users, rate, errors| failing(Seen::well(users, 20, rate, 50.0), errors);
    let broken = [level(8, 40.0, 0.0), level(16, 80.0, 0.0), level(32, 160.0, 0.0), level(64, 50.0, 1.0)];
    assert_eq!(found(&report(&[("shop", &broken)]), FindingKind::Capacity), []);
    let jumps =
        [(8, 400.0), (16, 20.0), (32, 400.0), (64, 20.0), (128, 400.0)].map(|(users, rate)| level(users, rate, 0.0));
    assert_eq!(found(&report(&[("shop", &jumps)]), FindingKind::Capacity), []);
}

#[test]
fn a_peak_below_the_lowest_load_is_told_as_such() {
    let rates = [(10, 100.0), (20, 60.0), (40, 32.0), (80, 16.5), (160, 8.3)];
    let falling = rates.map(|(users, rate)| Seen::well(users, 20, rate, 50.0));
    let seen = said(&report(&[("shop", &falling)]), FindingKind::Capacity);
    assert!(seen[0].starts_with("Throughput of shop peaks at 10 users or fewer with 10"), "{seen:?}");
}

#[test]
fn levels_of_scenarios_with_the_same_steps_are_one_series() {
    let one = |users| [Seen::well(users, 20, f64::from(users), 50.0)];
    let run = report(&[("five", &one(5)), ("ten", &one(10)), ("twenty", &one(20)), ("forty", &one(40))]);
    let seen = said(&run, FindingKind::Capacity);
    assert_eq!(seen, ["Throughput of five, ten, twenty, forty still grew at 40 users: the knee was not reached."]);
}

#[test]
fn steps_that_never_worked_are_named_with_what_came() {
    let mut run = report(&[("shop", &[Seen::well(10, 10, 50.0, 10.0)])]);
    run.scenarios[0].steps.extend([step("gone", figures(100, 100, 10, 5.0)), step("slow", figures(50, 50, 10, 5.0))]);
    run.errors = vec![
        error("gone", "unexpected-status", "status 404", 100, 0),
        error("slow", "timeout", "timeout after 3s\x1b", 50, 0),
    ];
    let seen = found(&run, FindingKind::BrokenStep);
    let text = "2 steps never worked while others did: shop/gone (never found: status 404), shop/slow (timeout \
                after 3s\\u{1b}).";
    assert_eq!(seen[0].text, text);
    assert_eq!(seen[0].evidence[0].value, "100 of 100 failed: never found: status 404");
    // What fails by timeouts in a scenario where nothing works is no step's fault; what was never there is.
    let slow = run.scenarios[0].steps.pop().unwrap();
    let mut down = run.scenarios[0].clone();
    (down.name, down.steps) = ("down".to_owned(), vec![slow]);
    run.scenarios.push(down);
    assert!(
        found(&run, FindingKind::BrokenStep)[0].text.starts_with("One step never worked while others did: shop/gone")
    );
    // Where nothing works, it is not the steps.
    run.scenarios[0].steps[0].figures = figures(500, 490, 10, 10.0);
    assert_eq!(found(&run, FindingKind::BrokenStep), []);
}

#[test]
fn refusals_are_expected_only_where_they_are_good_answers() {
    let mut run = report(&[("shop", &[Seen::well(10, 10, 50.0, 10.0)])]);
    run.scenarios[0].steps[0].figures.statuses = [("200".to_owned(), 380), ("429".to_owned(), 120)].into();
    let text = "120 requests (24%) were refused with status 429, as was expected: they count as good answers.";
    let seen = found(&run, FindingKind::Limited);
    assert_eq!((seen[0].text.as_str(), seen[0].evidence[0].value.as_str()), (text, "120 of 500"));
    // 20 of them failed a check: they are no good answers, whatever the error is called.
    let shop = &mut run.scenarios[0].steps[0].figures;
    (shop.ok, shop.errors, shop.failed_statuses) = (480, 20, [("429".to_owned(), 20)].into());
    assert_eq!(found(&run, FindingKind::Limited)[0].evidence[0].value, "100 of 500");
    let shop = &mut run.scenarios[0].steps[0].figures;
    (shop.ok, shop.errors, shop.failed_statuses) = (380, 120, [("429".to_owned(), 120)].into());
    assert_eq!(found(&run, FindingKind::Limited), []);
}

#[test]
fn the_same_step_takes_longer_with_many_users_than_with_one() {
    let mut run = report(&[("alone", &[Seen::well(1, 10, 50.0, 10.0)]), ("crowd", &[Seen::well(50, 10, 50.0, 300.0)])]);
    let text = "One step takes longer with 50 users (scenario crowd) than with 1 user (scenario alone): get (median 10ms to \
                300ms, 30 times as long).";
    assert_eq!(said(&run, FindingKind::Contention), [text]);
    run.scenarios[1].steps[0].name = "post".to_owned();
    assert_eq!(said(&run, FindingKind::Contention), [""; 0]);
}

//! What looks like a conclusion and is none.

use proofload_api::Verdict;

use super::fixtures::{SECOND, Seen, criterion, error, figures, report, said, step};
use crate::finding::FindingKind;
use crate::report::{LoadLevel, Report, SearchReport, TimelineBucket};

const fn judged(seen: Seen, held: bool) -> Seen {
    Seen { held: Some(held), ..seen }
}

#[test]
fn a_dip_that_more_load_makes_up_for_is_no_limit() {
    let levels = [(10, 10.0, 10.0), (20, 9.5, 20.0), (40, 40.0, 20.0), (80, 80.0, 20.0)];
    let levels = levels.map(|(users, rate, median)| Seen::well(users, 40, rate, median));
    let run = report(&[("shop", &levels)]);
    assert_eq!(said(&run, FindingKind::Saturation), [""; 0]);
    let capacity = said(&run, FindingKind::Capacity);
    assert!(capacity.iter().all(|text| text.ends_with("the knee was not reached.")), "{capacity:?}");
    // Without what made up for it, it is one.
    let flat = [levels[0], levels[1], Seen { rate: 9.8, ..levels[2] }];
    assert_eq!(said(&report(&[("shop", &flat)]), FindingKind::Saturation).len(), 1);
}

#[test]
fn a_load_of_which_little_was_seen_does_not_break() {
    let levels = |requests: f64, errors: f64| {
        let broken = Seen { errors, ..judged(Seen::well(20, 10, requests / 10.0, 10.0), false) };
        let run = report(&[("shop", &[judged(Seen::well(10, 10, 50.0, 10.0), true), broken])]);
        said(&run, FindingKind::BreakingPoint).len()
    };
    assert_eq!(levels(30.0, 0.0), 0);
    assert_eq!(levels(100.0, 0.0), 1);
    assert_eq!(levels(30.0, 0.5), 1);
}

#[test]
fn what_breaks_under_two_scenarios_at_once_is_the_breaking_point_of_neither() {
    let stages = [judged(Seen::well(10, 10, 50.0, 10.0), true), judged(Seen::well(20, 10, 50.0, 10.0), false)];
    let mut run = report(&[("shop", &stages), ("admin", &stages)]);
    assert_eq!(said(&run, FindingKind::BreakingPoint).len(), 2);
    run.scenarios[1].load.began = Some(0);
    assert_eq!(said(&run, FindingKind::BreakingPoint), [""; 0]);
}

#[test]
fn the_lowest_load_that_broke_counts() {
    let stages = [(10, true), (20, false), (30, true), (40, false)];
    let stages = stages.map(|(users, held)| judged(Seen::well(users, 10, 50.0, 10.0), held));
    let seen = said(&report(&[("shop", &stages)]), FindingKind::BreakingPoint);
    assert!(seen[0].contains("lies between 10 and 20 users."), "{seen:?}");
}

/// A ramp of 60 s that fails in these seconds, and a load that is held after it.
fn ramp(bad: std::ops::Range<usize>, held: Option<bool>) -> Vec<String> {
    let stages = [Seen { users: (0, 600), ..Seen::well(0, 60, 50.0, 10.0) }, Seen::well(600, 10, 50.0, 10.0)];
    let mut run = report(&[("shop", &stages)]);
    run.timeline.buckets[bad].iter_mut().for_each(|bucket| bucket.errors = bucket.requests);
    run.scenarios[0].stages[1].held = held;
    said(&run, FindingKind::BreakingPoint)
}

#[test]
fn errors_that_pass_on_the_way_up_are_no_breaking_point() {
    assert_eq!(ramp(30..33, None), [""; 0]);
    assert_eq!(ramp(30..60, None).len(), 1);
    assert_eq!(ramp(30..60, Some(true)), [""; 0], "more users went well");
    assert_eq!(ramp(30..60, Some(false)).len(), 1);
}

/// A few users that wait for 10 ms, and many that wait for 19 s, of which most are told that they failed.
fn few_and_many() -> Report {
    let many = Seen { errors: 0.8, ..Seen::well(1000, 20, 100.0, 19_000.0) };
    let mut run = report(&[("few", &[Seen::well(20, 20, 100.0, 10.0)]), ("many", &[many])]);
    run.scenarios[0].verdict = Verdict::Passed;
    run.scenarios[1].verdict = Verdict::Failed;
    run
}

#[test]
fn users_that_are_only_a_limit_are_no_load() {
    let of = [FindingKind::Cliff, FindingKind::Contention];
    let count = |run: &Report| of.map(|kind| said(run, kind).len());
    assert_eq!(count(&few_and_many()), [1, 1]);
    for place in 0..2 {
        let mut arrivals = few_and_many();
        arrivals.scenarios[place].stages[0].to = Some(LoadLevel { users: None, rate: Some(50.0) });
        assert_eq!(count(&arrivals), [0, 0]);
        let mut searched = few_and_many();
        let until = "rate(errors) < 1%".to_owned();
        searched.scenarios[place].search =
            Some(SearchReport { until, answer: None, finished: true, steps: Vec::new() });
        assert_eq!(count(&searched), [0, 0]);
    }
}

#[test]
fn there_is_no_cliff_where_as_few_users_failed_as_badly() {
    let mut run = few_and_many();
    let mut other = run.scenarios[1].clone();
    (other.name, other.load.began) = ("other".to_owned(), Some(40 * SECOND));
    other.load.planned_users = 500;
    run.scenarios.push(other);
    assert_eq!(said(&run, FindingKind::Cliff).len(), 1);
    run.scenarios[2].load.planned_users = 20;
    assert_eq!(said(&run, FindingKind::Cliff), [""; 0]);
}

#[test]
fn what_an_earlier_scenario_left_open_does_not_make_the_last_one_an_outage() {
    let well = Seen::well(20, 20, 50.0, 10.0);
    let mut run = report(&[("shop", &[well]), ("admin", &[Seen { errors: 0.99, ..Seen::well(20, 20, 100.0, 10.0) }])]);
    // A good answer a second, until the end.
    run.scenarios[0].figures.outcomes.insert("interrupted".to_owned(), 500);
    assert_eq!(said(&run, FindingKind::Outage), [""; 0]);
    run.scenarios[1].figures.outcomes.insert("interrupted".to_owned(), 20);
    assert_eq!(said(&run, FindingKind::Outage).len(), 1);
}

#[test]
fn a_target_that_says_that_nothing_is_there_is_no_outage() {
    let well = Seen::well(20, 20, 50.0, 10.0);
    let mut run = report(&[("shop", &[well]), ("admin", &[Seen { errors: 1.0, ..well }])]);
    assert_eq!(said(&run, FindingKind::Outage).len(), 1);
    let wrong = |status: &str| [(status.to_owned(), 1000)].into();
    run.scenarios[1].figures.outcomes = wrong("unexpected-status");
    run.scenarios[1].figures.statuses = wrong("503");
    assert_eq!(said(&run, FindingKind::Outage).len(), 1);
    run.scenarios[1].figures.statuses = wrong("404");
    assert_eq!(said(&run, FindingKind::Outage), [""; 0]);
}

#[test]
fn timeouts_begin_when_their_requests_do() {
    // From the begin on, some of 50 a second hang for 30 s.
    let mut run = report(&[("shop", &[Seen::well(20, 100, 50.0, 10.0)])]);
    let hang = |run: &mut Report, outcome: &str, first: u64| {
        run.timeline.buckets[first as usize..].iter_mut().for_each(|bucket| bucket.errors = 5);
        let latency = run.scenarios[0].steps[0].figures.latency.as_mut().unwrap();
        latency.max = 30 * SECOND;
        run.errors = vec![error("get", outcome, "", 350, first)];
        said(run, FindingKind::ErrorOnset)
    };
    assert_eq!(hang(&mut run.clone(), "timeout", 30), [""; 0]);
    assert_eq!(hang(&mut run.clone(), "reset", 30).len(), 1, "these are seen at once");
    let late = hang(&mut run, "timeout", 60);
    assert_eq!(late, ["Errors began only 30s into the run, with 20 users: timeout, 350 in all."]);
}

#[test]
fn what_the_end_interrupts_of_an_outage_may_come_after_its_load() {
    let well = Seen::well(20, 20, 50.0, 10.0);
    let mut run = report(&[("shop", &[well, Seen { errors: 1.0, ..well }])]);
    let cut = TimelineBucket { at: 40 * SECOND, requests: 20, ..TimelineBucket::default() };
    run.timeline.buckets.push(cut);
    assert_eq!(said(&run, FindingKind::Outage), [""; 0], "these were answered");
    run.scenarios[0].figures.outcomes.insert("interrupted".to_owned(), 20);
    // The load ended in the middle of a second.
    run.scenarios[0].load.duration -= SECOND / 2;
    assert_eq!(said(&run, FindingKind::Outage).len(), 1);
}

#[test]
fn a_step_that_worked_now_and_then_hardly_ever_worked() {
    let mut run = report(&[("shop", &[Seen::well(10, 10, 50.0, 10.0)])]);
    run.scenarios[0].steps.push(step("gone", figures(100, 99, 10, 5.0)));
    run.errors = vec![error("gone", "unexpected-status", "status 404", 99, 0)];
    let text = "One step hardly ever worked while others did: shop/gone (status 404).";
    assert_eq!(said(&run, FindingKind::BrokenStep), [text]);
    run.scenarios[0].steps[1] = step("gone", figures(100, 100, 10, 5.0));
    let text = "One step never worked while others did: shop/gone (never found: status 404).";
    assert_eq!(said(&run, FindingKind::BrokenStep), [text]);
}

#[test]
fn a_step_that_came_only_in_an_outage_is_not_broken() {
    let well = Seen::well(20, 20, 50.0, 10.0);
    let mut run = report(&[("shop", &[well, Seen { errors: 1.0, ..well }])]);
    run.scenarios[0].steps.push(step("last", figures(100, 100, 10, 5.0)));
    run.errors = vec![error("last", "reset", "reset", 100, 20)];
    assert_eq!(said(&run, FindingKind::BrokenStep), [""; 0]);
    run.errors[0].first_seen = 10 * SECOND;
    assert_eq!(said(&run, FindingKind::BrokenStep).len(), 1);
}

#[test]
fn a_load_that_held_after_an_overload_did_hold_again() {
    let well = Seen { held: Some(true), ..Seen::well(20, 20, 50.0, 10.0) };
    let over = Seen { users: (200, 200), errors: 0.5, held: Some(false), ..well };
    let after = |held| {
        let mut run = report(&[("shop", &[well, over, Seen { held, ..well }])]);
        run.criteria = vec![criterion("p95(latency) < 500ms")];
        // Every third second is slow.
        run.timeline.buckets[40..].iter_mut().step_by(3).for_each(|bucket| bucket.p95 = Some(SECOND));
        said(&run, FindingKind::Recovery).len()
    };
    assert_eq!((after(Some(true)), after(Some(false))), (0, 1));
}

//! A run held against an earlier one: what that makes of its verdict, and how it is shown.

use fastrand::Rng;
use proofload_api::Verdict;
use proofload_api::status::{BaselineStatus, CriterionOutcome, MeasuredStatus};
use proofload_api::units::Share;
use proofload_plan::Scope;
use proofload_results::compare::Tendency;
use proofload_results::text::Style;
use proofload_results::{
    Baseline, Circumstances, Earlier, Input, LostRunner, Report, RunnerState, Snapshot, html, junit, markdown, text,
};

use crate::fixtures::{Runner, criterion, ok, report, with_input};

/// A run of so many requests of each step, with latencies around 20 ms and a tail, times `factor`.
fn measured(requests: u64, factor: f64, seed: u64) -> Runner {
    let rng = &mut Rng::with_seed(seed);
    let mut runner = Runner::new(0, 1);
    for (scenario, step, stage) in [(0, 0, 1), (0, 1, 1), (1, 0, 0)] {
        for _ in 0..requests {
            let tail = -(1.0 - rng.f64()).ln();
            runner = runner.add(scenario, step, stage, 1, ok((factor * (15_000.0 + 5_000.0 * tail)) as u64));
        }
    }
    runner
}

fn earlier() -> Report {
    Report {
        name: "checkout-1".to_owned(),
        ..report(1, [measured(300, 1.0, 1).snapshot()], &[], &Circumstances::default())
    }
}

fn against(earlier: Report) -> Baseline {
    Baseline { tolerance: Share::from_percent(10), earlier: Earlier::Run(Box::new(earlier)) }
}

/// A run with one criterion that holds, held against something.
fn held(snapshot: Snapshot, circumstances: &Circumstances, baseline: &Baseline) -> Report {
    let criteria = [criterion("rate(errors) < 1%", Scope::Run)];
    let build = |input: &Input<'_>| Report::build(&Input { baseline: Some(baseline), ..*input });
    let report = with_input(1, [snapshot], &criteria, circumstances, build);
    let stored = Report::from_json(report.to_json().as_bytes()).unwrap();
    assert_eq!(stored.verdict_from_parts(), report.verdict, "it follows from the stored report alone");
    stored
}

fn run(requests: u64, factor: f64) -> Report {
    held(measured(requests, factor, 2).snapshot(), &Circumstances::default(), &against(earlier()))
}

fn outcome(report: &Report) -> Option<CriterionOutcome> {
    report.baseline.as_ref().unwrap().outcome
}

#[test]
fn a_regression_fails_a_run_whose_criteria_hold() {
    let slower = run(300, 1.5);
    assert_eq!((slower.verdict, outcome(&slower)), (Verdict::Failed, Some(CriterionOutcome::Fail)));
    assert_eq!(slower.criteria[0].outcome, CriterionOutcome::Pass);
    let baseline = slower.baseline.as_ref().unwrap();
    assert_eq!(baseline.name.as_deref(), Some("shop/checkout-1"));
    assert!(slower.reason.starts_with("Worse than shop/checkout-1: all p50 "), "{}", slower.reason);
    assert!(slower.reason.contains("; and "), "{}", slower.reason);
    let status = BaselineStatus::from(baseline);
    assert_eq!((&*status.name, status.outcome), ("shop/checkout-1", Some(CriterionOutcome::Fail)));
    assert_eq!(status.regressions.len(), 10);
    assert!(status.regressions.iter().any(|line| line.starts_with("baseline/create p95 ")), "{status:?}");
    // Its own criteria count beside it.
    let verdicts: Vec<Verdict> = slower.scenarios.iter().map(|scenario| scenario.verdict).collect();
    assert!(!verdicts.contains(&Verdict::Failed), "{verdicts:?}");
}

#[test]
fn machines_are_told_the_change_of_the_whole_run_also_where_that_is_its_only_scenario() {
    let change = |report: &Report| -> Vec<(String, f64)> {
        let changes = MeasuredStatus::from(report).baseline_change;
        changes.into_iter().map(|(figure, change)| (figure, change.parse().unwrap())).collect()
    };
    let is_half_longer = |changes: &[(String, f64)]| {
        let names: Vec<&str> = changes.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["errors", "p50", "p95", "p99", "rate"]);
        assert!((0.4..0.6).contains(&changes[1].1) && changes[0].1 == 0.0, "{changes:?}");
    };
    let mut slower = run(300, 1.5);
    is_half_longer(&change(&slower));
    slower.scenarios.truncate(1);
    let comparison = slower.baseline.as_mut().unwrap().comparison.as_mut().unwrap();
    comparison.others[0].parts.retain(|part| part.scenario.as_ref() == Some(&slower.scenarios[0].name));
    is_half_longer(&change(&slower));
    assert!(change(&earlier()).is_empty());
}

#[test]
fn what_is_better_passes_and_so_does_what_is_the_same() {
    let faster = run(300, 0.5);
    assert_eq!((faster.verdict, outcome(&faster)), (Verdict::Passed, Some(CriterionOutcome::Pass)));
    assert!(faster.reason.contains("Not worse than shop/checkout-1, and better: "), "{}", faster.reason);
    let same = run(300, 1.0);
    assert_eq!((same.verdict, outcome(&same)), (Verdict::Passed, Some(CriterionOutcome::Pass)));
    assert!(
        same.reason.starts_with("The criterion held. ") && same.reason.contains(" Not worse than "),
        "{}",
        same.reason
    );
}

#[test]
fn what_chance_explains_is_no_regression_however_large() {
    // Not a whit may be worse; and of the same distribution something always is.
    let strict = Baseline { tolerance: Share::default(), ..against(earlier()) };
    let report = held(measured(300, 1.0, 2).snapshot(), &Circumstances::default(), &strict);
    let comparison = report.baseline.as_ref().unwrap().comparison.as_ref().unwrap();
    assert!(comparison.others[0].with(Tendency::Unclear).count() > 0, "{comparison:?}");
    assert_eq!((report.verdict, outcome(&report)), (Verdict::Passed, Some(CriterionOutcome::Pass)));
}

#[test]
fn what_has_nothing_in_common_is_inconclusive() {
    let mut other = earlier();
    other.scenarios.iter_mut().for_each(|scenario| scenario.name += "-of-old");
    let report = held(measured(300, 1.0, 2).snapshot(), &Circumstances::default(), &against(other));
    assert_eq!((report.verdict, outcome(&report)), (Verdict::Inconclusive, Some(CriterionOutcome::NoData)));
    let expected = "It cannot be held against shop/checkout-1. The runs have no scenario in common.";
    assert!(report.reason.contains(expected), "{}", report.reason);
}

#[test]
fn an_earlier_run_that_should_be_there_is_inconclusive_and_one_that_need_not_be_changes_nothing() {
    let with = |earlier: Earlier| {
        let baseline = Baseline { tolerance: Share::from_percent(10), earlier };
        held(measured(50, 1.0, 2).snapshot(), &Circumstances::default(), &baseline)
    };
    let missing = with(Earlier::Missing("there is no LoadTest \u{1b}checkout-1".to_owned()));
    assert_eq!((missing.verdict, outcome(&missing)), (Verdict::Inconclusive, Some(CriterionOutcome::NoData)));
    let expected = "There is no earlier run to hold it against: there is no LoadTest \\u{1b}checkout-1.";
    assert!(missing.reason.contains(expected), "{}", missing.reason);
    let first = with(Earlier::NoneYet("no run of nightly has passed yet".to_owned()));
    assert_eq!((first.verdict, outcome(&first)), (Verdict::Passed, None));
    assert!(
        first.reason.contains("Held against no earlier run: no run of nightly has passed yet."),
        "{}",
        first.reason
    );
    assert!(junit::render(&first).contains("<skipped"), "{}", junit::render(&first));
}

#[test]
fn a_run_in_doubt_is_no_regression_but_inconclusive() {
    let lost =
        Circumstances { lost: vec![LostRunner { index: 0, reason: "evicted".to_owned() }], ..Circumstances::default() };
    let slow = measured(300, 1.5, 2).state(RunnerState::Running).snapshot();
    let report = held(slow, &lost, &against(earlier()));
    assert_eq!((report.verdict, outcome(&report)), (Verdict::Inconclusive, Some(CriterionOutcome::Untrusted)));
    let doubtful = report;
    let report = held(measured(300, 1.5, 2).snapshot(), &Circumstances::default(), &against(doubtful));
    assert_eq!((report.verdict, outcome(&report)), (Verdict::Inconclusive, Some(CriterionOutcome::Untrusted)));
    assert!(report.reason.contains("The baseline is in doubt: "), "{}", report.reason);
}

#[test]
fn a_baseline_alone_is_enough_to_be_judged_by() {
    let baseline = against(earlier());
    let build = |input: &Input<'_>| Report::build(&Input { baseline: Some(&baseline), ..*input });
    let of = |factor| with_input(1, [measured(300, factor, 2).snapshot()], &[], &Circumstances::default(), build);
    let (same, slower) = (of(1.0), of(1.5));
    assert_eq!((same.verdict, slower.verdict), (Verdict::Passed, Verdict::Failed));
    assert!(same.reason.starts_with("900 requests in 41s, none failed. Not worse than "), "{}", same.reason);
}

#[test]
fn every_form_says_what_got_worse() {
    let report = run(300, 1.5);
    let told = text::render(&report, Style::default());
    assert!(told.contains("\nBaseline\n") && told.contains("✗ B against A  Worse: "), "{told}");
    let told = markdown::render(&report);
    assert!(told.contains("### Baseline") && told.contains("#### ✗ B against A: Worse: "), "{told}");
    let told = html::render(&report);
    assert!(told.contains("<section id=\"baseline\">") && told.contains("✗ B against A: Worse: "));
    let told = junit::render(&report);
    assert!(
        told.contains("<testcase name=\"baseline\"") && told.contains("<failure message=\"Worse than shop/"),
        "{told}"
    );
}

#[test]
fn a_report_that_has_to_be_small_keeps_what_is_worse_and_its_verdict() {
    let baseline = against(earlier());
    let build = |input: &Input<'_>| {
        let input = Input { baseline: Some(&baseline), ..*input };
        let all = Report::build(&input);
        let is_small = |report: &Report| {
            let parts =
                |report: &Report| report.baseline.as_ref().unwrap().comparison.as_ref().unwrap().others[0].parts.len();
            parts(report) < parts(&all)
        };
        (all.clone(), Report::build_to_fit(&input, is_small))
    };
    // Slower in one scenario only.
    let runner = measured(300, 1.0, 2).add(1, 0, 0, 3000, ok(200_000));
    let (all, small) = with_input(1, [runner.snapshot()], &[], &Circumstances::default(), build);
    assert_eq!((all.verdict, small.verdict), (Verdict::Failed, Verdict::Failed));
    let regressions = |report: &Report| report.baseline.as_ref().unwrap().regressions().collect::<Vec<_>>();
    assert_eq!(regressions(&all), regressions(&small));
    let changes = |report: &Report| MeasuredStatus::from(report).baseline_change;
    assert!(!changes(&all).is_empty() && changes(&all) == changes(&small), "{:?}", changes(&small));
    assert!(small.spec.is_some(), "the spec is the last to go");
}

#[test]
fn a_hostile_report_makes_no_report_large() {
    let mut hostile = earlier();
    hostile.name = "\u{1b}[31m".repeat(100_000);
    hostile.error = Some("x".repeat(1 << 20));
    let scenario = hostile.scenarios[0].clone();
    for index in 0..5_000 {
        let mut scenario = scenario.clone();
        scenario.name = format!("{index}{}", "y".repeat(1000));
        hostile.scenarios.push(scenario);
    }
    let report = held(measured(20, 1.0, 2).snapshot(), &Circumstances::default(), &against(hostile));
    let size = serde_json::to_string(report.baseline.as_ref().unwrap()).unwrap().len();
    assert!(size < 300_000, "{size} bytes");
    assert!(!report.to_json().contains('\u{1b}') && !report.reason.contains('\u{1b}'));
}

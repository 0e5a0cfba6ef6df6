//! Criteria, doubts and the verdict.

use proofload_api::loadtest::Severity;
use proofload_api::status::CriterionOutcome::{self, Fail, NoData, Pass, Untrusted};
use proofload_api::{Micros, Outcome, Verdict};
use proofload_plan::{Criterion, Scope};
use proofload_results::{Circumstances, EndCause, LostRunner, Report, RunnerState, Sample, Snapshot, verdict};
use proptest::prelude::*;

use crate::fixtures::{Runner, SECOND, criterion, failed, lateness, ok, report};

/// What becomes of criteria on the whole run of one runner.
fn outcomes(runner: Runner, criteria: &[&str]) -> Vec<CriterionOutcome> {
    let criteria: Vec<Criterion> = criteria.iter().map(|text| criterion(text, Scope::Run)).collect();
    let report = report(1, [runner.snapshot()], &criteria, &Circumstances::default());
    report.criteria.iter().map(|criterion| criterion.outcome).collect()
}

fn saturated(runner: Runner) -> Runner {
    runner.generator(|generator| generator.cpu = generator.cpu_available * 97 / 100)
}

#[test]
fn every_aggregate_of_every_metric_has_its_value() {
    let runner = Runner::new(0, 1)
        .add(0, 0, 0, 80, ok(10_000))
        .add(0, 0, 1, 15, failed(Outcome::UnexpectedStatus, Some(503)))
        .add(0, 1, 1, 5, failed(Outcome::Timeout, None))
        .add(0, 1, 1, 100, failed(Outcome::Interrupted, None));
    let texts = [
        "count(requests) == 200",
        "rate(requests) < 5/s",
        "count(errors) == 20",
        "rate(errors) == 20%",
        "rate(success) == 80%",
        "count(status(503)) == 15",
        "rate(status(503)) == 15%",
        "rate(outcome(timeout)) == 5%",
        "rate(outcome(interrupted)) == 50%",
        "count(bytes_in) == 40000",
        "min(latency) <= 5.01ms",
        "max(latency[ok]) >= 9.99ms",
        "avg(service_time) < 9.1ms",
        "stddev(latency[ok]) < 10us",
        "med(latency) > 9.9ms",
        "p99.9(lateness) < 1ms",
    ];
    assert_eq!(outcomes(runner.clone(), &texts), vec![Pass; texts.len()]);
    let broken = ["count(requests) != 200", "rate(errors) < 20%", "p95(latency) < 10ms", "max(lateness) > 1ms"];
    assert_eq!(outcomes(runner, &broken), [Fail; 4]);
}

#[test]
fn answers_of_a_status_are_left_out_of_both_sides_of_a_share() {
    let status = |status, sample: Sample| Sample { status: Some(status), ..sample };
    // Expected in `create`, unexpected in `list`, and one that was expected and failed a check.
    let runner = Runner::new(0, 1)
        .add(0, 0, 0, 30, ok(1_000))
        .add(0, 0, 0, 40, status(429, ok(1_000)))
        .add(0, 0, 1, 1, failed(Outcome::FailedCheck, Some(429)))
        .add(0, 1, 0, 9, failed(Outcome::UnexpectedStatus, Some(429)))
        .add(0, 1, 1, 10, failed(Outcome::UnexpectedStatus, Some(500)))
        .add(0, 1, 1, 10, failed(Outcome::Timeout, None));
    let texts = [
        "rate(success) == 70%",
        "rate(success[!429]) == 60%",
        "count(success[!429]) == 30",
        "rate(errors) == 30%",
        "rate(errors[!429]) == 40%",
        "count(errors[!429]) == 20",
        "count(errors[!500]) == 20",
        "count(success[!500]) == 70",
        "rate(success[!418]) == 70%",
    ];
    assert_eq!(outcomes(runner, &texts), vec![Pass; texts.len()]);
    let limited = Runner::new(0, 1).add(0, 0, 0, 40, status(429, ok(1_000)));
    assert_eq!(outcomes(limited, &["rate(success[!429]) > 50%", "count(success[!429]) == 0"]), [NoData, Pass]);
}

#[test]
fn rates_are_over_the_time_of_what_they_are_judged_on() {
    let criteria = [
        criterion("rate(requests) >= 9/s", Scope::Scenario(1)),
        criterion("rate(requests) <= 14/s", Scope::Scenario(0)),
        criterion("rate(requests) <= 7/s", Scope::Steps(0, 1, 1)),
        criterion("rate(requests) <= 13/s", Scope::Run),
    ];
    let report = report(1, [Runner::new(0, 1).with_load().snapshot()], &criteria, &Circumstances::default());
    let rates: Vec<f64> = report.criteria.iter().map(|criterion| criterion.observed.unwrap().round()).collect();
    assert_eq!(rates, [10.0, 13.0, 7.0, 12.0]);
    assert_eq!(report.verdict, Verdict::Passed, "{}", report.reason);
    assert_eq!(report.reason, "All 4 criteria held. 500 requests in 41s, none failed.");
}

#[test]
fn no_samples_never_pass() {
    let texts = ["rate(errors) < 1%", "p95(latency) < 1s", "count(errors) == 0", "rate(requests) < 1/s"];
    assert_eq!(outcomes(Runner::new(0, 1), &texts), [NoData; 4]);
    let interrupted = Runner::new(0, 1).add(0, 0, 0, 9, failed(Outcome::Interrupted, None));
    assert_eq!(outcomes(interrupted, &["rate(errors) < 1%", "p95(latency) < 1s"]), [NoData; 2]);
    assert_eq!(outcomes(Runner::new(0, 1).with_load(), &["max(latency[timeout]) < 1s"]), [NoData]);
}

#[test]
fn a_dead_target_fails_by_a_criterion_on_errors_and_is_inconclusive_by_latency_alone() {
    let dead = || Runner::new(0, 1).add(0, 0, 0, 50, failed(Outcome::Connect, None)).snapshot();
    let latency = criterion("p95(latency) < 500ms", Scope::Run);
    let told = report(1, [dead()], std::slice::from_ref(&latency), &Circumstances::default());
    assert_eq!((told.verdict, told.criteria[0].outcome), (Verdict::Inconclusive, NoData));
    assert_eq!(told.reason, "There were no samples for p95(latency) < 500ms. No request got an answer.");
    let errors = [criterion("rate(errors) < 1%", Scope::Run), latency];
    let told = report(1, [dead()], &errors, &Circumstances::default());
    assert_eq!(told.verdict, Verdict::Failed);
    let why = "1 of 2 criteria did not hold: rate(errors) < 1% was 100%. Nothing was ever answered well: 50 of 50 requests \
               failed (connect 50).";
    assert_eq!(told.reason, why);
}

#[test]
fn a_saturated_generator_explains_times_and_rates_but_not_what_the_target_answers() {
    let runner =
        saturated(Runner::new(0, 1).with_load().add(0, 0, 1, 50, failed(Outcome::UnexpectedStatus, Some(500))));
    let texts = [
        "p95(latency) < 1s",
        "p95(latency) < 1ms",
        "rate(requests) >= 1000/s",
        "rate(errors) < 1%",
        "count(status(500)) == 0",
        "count(requests) >= 9999",
        "rate(requests) <= 1/s",
    ];
    assert_eq!(outcomes(runner, &texts), [Untrusted, Untrusted, Untrusted, Fail, Fail, Untrusted, Fail]);
}

#[test]
fn arrivals_that_a_saturated_generator_dropped_are_not_held_against_the_target() {
    let judged = |runner: Runner| {
        let mut snapshot = runner.snapshot();
        snapshot.scenarios[0].dropped = 40;
        let texts = ["count(dropped) == 0", "rate(dropped) < 1%", "rate(dropped) > 90%"];
        let criteria = texts.map(|text| criterion(text, Scope::Run));
        let report = report(1, [snapshot], &criteria, &Circumstances::default());
        report.criteria.iter().map(|criterion| criterion.outcome).collect::<Vec<_>>()
    };
    let runner = || Runner::new(0, 1).with_load();
    assert_eq!(judged(runner()), [Fail; 3]);
    assert_eq!(judged(saturated(runner())), [Untrusted; 3]);
}

#[test]
fn each_sign_of_saturation_is_told_with_what_to_do() {
    let said = |runner: Runner| {
        let report = report(1, [runner.snapshot()], &[], &Circumstances::default());
        assert!(!report.generator.healthy);
        report.doubts[0].text.clone()
    };
    let runner = || Runner::new(0, 1).with_load();
    assert_eq!(
        said(saturated(runner())),
        "Runner 0 could not keep up: it used 97% of its CPU. Use 1 more runner, or give each more CPU."
    );
    let throttled = said(runner().generator(|generator| generator.throttled = 10 * SECOND));
    assert!(throttled.contains("throttled for 24.4% of the time") && throttled.contains("runners.resources.cpu"));
    let late = said(runner().generator(|generator| generator.lateness = lateness(&[80_000])));
    assert!(late.contains("1% of its requests left 80.1ms or more after their time"), "{late}");
}

#[test]
fn a_lost_runner_explains_missing_load_but_neither_slow_answers_nor_errors() {
    let lost = LostRunner { index: 2, reason: "OOMKilled".to_owned() };
    let circumstances = Circumstances { lost: vec![lost], ..Circumstances::default() };
    let mut last_seen = Runner::new(2, 3).with_load().state(RunnerState::Running).snapshot();
    last_seen.generator.elapsed = 15 * SECOND;
    last_seen.scenarios[0].ended = None;
    last_seen.scenarios[1] = proofload_results::ScenarioProgress::default();
    let bad = Runner::new(1, 3).with_load().add(0, 0, 1, 90, failed(Outcome::UnexpectedStatus, Some(500)));
    let texts = [
        "rate(requests) >= 1000/s",
        "count(requests) == 1500",
        "p95(latency) < 1ms",
        "rate(errors) < 1%",
        "rate(success) > 99%",
        "max(latency) < 10s",
        "rate(status(429)) > 1%",
    ];
    let criteria = texts.map(|text| criterion(text, Scope::Run));
    let snapshots = [Runner::new(0, 3).with_load().snapshot(), bad.snapshot(), last_seen];
    let told = report(3, snapshots, &criteria, &circumstances);
    let outcomes: Vec<_> = told.criteria.iter().map(|criterion| criterion.outcome).collect();
    assert_eq!(outcomes, [Untrusted, Untrusted, Fail, Fail, Fail, Untrusted, Untrusted]);
    assert_eq!(told.verdict, Verdict::Failed);
    // Its 3 of 14 users: half of `baseline`'s 3, all of `burst`'s 1.
    assert_eq!(told.doubts[0].text, "Runner 2 was lost 15s into the run (OOMKilled): 17.9% of the load is missing.");
    assert_eq!(told.runners[2].lost.as_deref(), Some("OOMKilled"));
}

#[test]
fn a_run_that_was_stopped_is_not_passed_unless_it_was_over() {
    let criteria = [criterion("rate(errors) < 1%", Scope::Run)];
    let circumstances = Circumstances { stopped: Some("by the user".to_owned()), ..Circumstances::default() };
    let runner = || Runner::new(0, 1).with_load();
    let early = runner().state(RunnerState::Ended(EndCause::Stopped)).snapshot();
    let told = report(1, [early], &criteria, &circumstances);
    assert_eq!((told.verdict, told.doubts.len()), (Verdict::Inconclusive, 1));
    assert!(told.reason.ends_with("The run was stopped after 41s: by the user."), "{}", told.reason);
    assert_eq!(report(1, [runner().snapshot()], &criteria, &circumstances).verdict, Verdict::Passed);
    let mut waiting = Runner::new(0, 1).state(RunnerState::Waiting).snapshot();
    (waiting.began, waiting.cells, waiting.scenarios) = (None, Vec::new(), Vec::new());
    let told = report(1, [waiting], &criteria, &circumstances);
    assert!(told.reason.ends_with("The run was stopped before its load began: by the user."), "{}", told.reason);
}

#[test]
fn work_that_was_not_done_in_its_time_leaves_the_verdict_open() {
    let criteria = [criterion("rate(errors) < 1%", Scope::Scenario(1))];
    let mut snapshot = Runner::new(0, 1).with_load().snapshot();
    snapshot.scenarios[1].iterations = 60;
    let told = report(1, [snapshot], &criteria, &Circumstances::default());
    assert_eq!((told.verdict, told.scenarios[1].verdict), (Verdict::Inconclusive, Verdict::Inconclusive));
    assert!(told.reason.contains("burst did 60 of its 100 iterations in 10s"), "{}", told.reason);
    assert_eq!(told.scenarios[0].verdict, Verdict::Unjudged);
}

#[test]
fn a_warning_changes_no_verdict() {
    let warn = |text: &str| Criterion { severity: Severity::Warn, ..criterion(text, Scope::Run) };
    let of = |criteria: &[Criterion]| {
        report(1, [Runner::new(0, 1).with_load().snapshot()], criteria, &Circumstances::default()).verdict
    };
    assert_eq!(of(&[criterion("rate(errors) < 1%", Scope::Run), warn("max(latency) < 1us")]), Verdict::Passed);
    assert_eq!(of(&[warn("max(latency) < 1s")]), Verdict::Unjudged);
    assert_eq!(of(&[]), Verdict::Unjudged);
}

#[test]
fn the_reason_of_a_pass_counts_what_is_listed() {
    let warn = |text: &str| Criterion { severity: Severity::Warn, ..criterion(text, Scope::Run) };
    let held = |text: &str| criterion(text, Scope::Run);
    let of = |criteria: &[Criterion]| {
        report(1, [Runner::new(0, 1).with_load().snapshot()], criteria, &Circumstances::default()).reason
    };
    let both = [held("rate(errors) < 1%"), held("max(latency) < 1s")];
    assert_eq!(of(&both), "Both criteria held. 500 requests in 41s, none failed.");
    let warned = [both.clone(), [warn("min(latency) < 1s"), warn("med(latency) < 1s")]].concat();
    assert_eq!(of(&warned), "All 4 criteria held. 500 requests in 41s, none failed.");
    let broken = [both, [warn("max(latency) < 1ms"), warn("med(latency) < 1s")]].concat();
    let expected = "Both criteria held; 1 of 2 that only warn did not: max(latency) < 1ms was 50ms. 500 requests in 41s, \
                    none failed.";
    assert_eq!(of(&broken), expected);
}

#[test]
fn runners_far_apart_leave_the_verdict_open() {
    let criteria = [criterion("rate(errors) < 1%", Scope::Run)];
    let skew = |millis| {
        let circumstances = Circumstances { skew: Micros::from_millis(millis), ..Circumstances::default() };
        report(1, [Runner::new(0, 1).with_load().snapshot()], &criteria, &circumstances).verdict
    };
    assert_eq!((skew(20), skew(1500)), (Verdict::Passed, Verdict::Inconclusive));
    // The run began at once, but a runner missed the begin of a scenario (after a setup, or after another scenario).
    let late = |seconds: u64| {
        let mut late = Runner::new(1, 2).with_load().snapshot();
        late.scenarios[1].began = Some((31 + seconds) * SECOND);
        report(2, [Runner::new(0, 2).with_load().snapshot(), late], &criteria, &Circumstances::default())
    };
    assert_eq!((late(1).verdict, late(2).verdict), (Verdict::Passed, Verdict::Inconclusive));
    assert_eq!(late(2).generator.skew, 2 * SECOND);
}

fn states() -> impl Strategy<Value = Option<RunnerState>> {
    prop_oneof![
        3 => Just(Some(RunnerState::Ended(EndCause::Completed))),
        1 => Just(Some(RunnerState::Ended(EndCause::Stopped))),
        1 => Just(Some(RunnerState::Ended(EndCause::Terminated))),
        1 => Just(Some(RunnerState::Ended(EndCause::Abandoned))),
        1 => Just(Some(RunnerState::Running)),
        1 => Just(Some(RunnerState::Waiting)),
        1 => Just(None),
    ]
}

fn circumstances() -> impl Strategy<Value = Circumstances> {
    (proptest::option::of(0_u32..3), any::<bool>(), 0_u64..2_000_000, proptest::bool::weighted(0.1)).prop_map(
        |(lost, stopped, skew, error)| Circumstances {
            lost: lost.map(|index| LostRunner { index, reason: "evicted".to_owned() }).into_iter().collect(),
            stopped: stopped.then(|| "suspended".to_owned()),
            skew: Micros(skew),
            error: error.then(|| "no such image".to_owned()),
            aborted: None,
            server: Vec::new(),
        },
    )
}

fn runs() -> impl Strategy<Value = (Report, [Option<RunnerState>; 3])> {
    let texts = vec!["rate(errors) < 1%", "p95(latency) < 30ms", "rate(requests) > 20/s"];
    let criteria = proptest::sample::subsequence(texts, 0..=3);
    (proptest::array::uniform3(states()), circumstances(), criteria, any::<bool>()).prop_map(
        |(states, circumstances, criteria, is_busy)| {
            let criteria: Vec<_> = criteria.into_iter().map(|text| criterion(text, Scope::Run)).collect();
            let snapshot = |(index, state): (u32, Option<RunnerState>)| -> Option<Snapshot> {
                let runner = Runner::new(index, 3).with_load().state(state?);
                Some(if is_busy { saturated(runner) } else { runner }.snapshot())
            };
            let snapshots: Vec<_> = (0..3).zip(states).filter_map(snapshot).collect();
            (report(3, snapshots, &criteria, &circumstances), states)
        },
    )
}

proptest! {
    // Each case is several runs: fewer of them find as much.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn never_passed_unless_every_runners_final_snapshot_is_in_it((report, states) in runs()) {
        let complete = states.iter().all(|state| *state == Some(RunnerState::Ended(EndCause::Completed)));
        prop_assert!(report.verdict != Verdict::Passed || complete);
        prop_assert!(report.verdict != Verdict::Passed || report.doubts.is_empty());
    }

    #[test]
    fn the_verdict_follows_from_the_stored_report_alone((report, _) in runs()) {
        let stored = Report::from_json(report.to_json().as_bytes()).unwrap();
        prop_assert_eq!(stored.verdict_from_parts(), report.verdict);
        prop_assert_eq!(stored, report);
    }

    #[test]
    fn a_failure_is_never_outvoted(outcomes in proptest::collection::vec(0_usize..4, 0..5)) {
        let outcomes: Vec<_> = outcomes.into_iter().map(|i| [Pass, Fail, NoData, Untrusted][i]).collect();
        let expected = match &outcomes[..] {
            [] => Verdict::Unjudged,
            some if some.contains(&Fail) => Verdict::Failed,
            some if some.iter().any(|outcome| *outcome != Pass) => Verdict::Inconclusive,
            _ => Verdict::Passed,
        };
        prop_assert_eq!(verdict(outcomes.into_iter().map(|outcome| (Severity::Fail, outcome)), &[]), expected);
    }
}

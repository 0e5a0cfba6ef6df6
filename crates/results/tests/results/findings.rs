//! What stages held, and what is concluded from a run.

use proofload_api::loadtest::Severity;
use proofload_api::{Micros, Outcome, Verdict};
use proofload_plan::{Criterion, Load, Scope, Span, UserCurve};
use proofload_results::{Circumstances, FindingKind, Report};

use crate::fixtures::{Runner, criterion, failed, ok, report};
use crate::shapes::{plan_of, report_of, snapshot};

fn held(criteria: &[Criterion]) -> Vec<Option<bool>> {
    let bad = failed(Outcome::UnexpectedStatus, Some(503));
    // `create` takes 10 ms in the ramp and 20 ms after it, `list` 30 and 40 ms; in the ramp, 9% of `create` fail.
    let runner = Runner::new(0, 1).with_load().add(0, 0, 0, 5, bad);
    let told = report(1, [runner.snapshot()], criteria, &Circumstances::default());
    let of_steps = told.scenarios.iter().flat_map(|scenario| scenario.steps.iter().flat_map(|step| &step.stages));
    assert!(of_steps.into_iter().all(|stage| stage.held.is_none()), "it is the scenario's stage that holds");
    told.scenarios.iter().flat_map(|scenario| &scenario.stages).map(|stage| stage.held).collect()
}

#[test]
fn each_stage_is_held_against_the_criteria_by_itself() {
    let (errors, latency) = (criterion("rate(errors) < 1%", Scope::Run), criterion("p95(latency) < 35ms", Scope::Run));
    assert_eq!(held(&[]), [None; 3]);
    assert_eq!(held(std::slice::from_ref(&errors)), [Some(false), Some(true), Some(true)]);
    assert_eq!(held(std::slice::from_ref(&latency)), [Some(true), Some(false), Some(false)]);
    assert_eq!(held(&[errors, latency]), [Some(false); 3]);
}

#[test]
fn criteria_on_one_scenario_or_step_are_asked_of_its_stages_alone() {
    let of_burst = criterion("p95(latency) < 35ms", Scope::Scenario(1));
    assert_eq!(held(&[of_burst]), [None, None, Some(false)]);
    let of_create = criterion("p95(latency) < 15ms", Scope::Steps(0, 0, 1));
    assert_eq!(held(&[of_create]), [Some(true), Some(false), None]);
}

#[test]
fn what_says_nothing_of_a_stage_is_not_asked_of_it() {
    let errors = || criterion("rate(errors) < 1%", Scope::Run);
    let during = Criterion { during: Some(vec![(0, 0)]), during_text: Some("ramp".to_owned()), ..errors() };
    let warning = Criterion { severity: Severity::Warn, ..errors() };
    let on_all = ["rate(requests) > 1000/s", "count(requests) > 1000", "rate(bytes_in) > 1Gi/s", "p99(lateness) < 1us"];
    let on_all = on_all.map(|text| criterion(text, Scope::Run));
    assert_eq!(held(&[&[during, warning], &on_all[..]].concat()), [None; 3]);
}

/// 10 s each of these users, of which so many requests succeeded and failed.
fn staged(levels: &[(u32, u64, u64)], criteria: &[Criterion]) -> Report {
    let span = |(users, ..): &(u32, u64, u64)| Span {
        name: format!("users-{users}"),
        from: *users,
        to: *users,
        duration: Micros::from_secs(10),
    };
    let plan = plan_of(Load::Users(UserCurve::new(levels.iter().map(span).collect())), false);
    let bad = failed(Outcome::UnexpectedStatus, Some(500));
    let samples = levels
        .iter()
        .enumerate()
        .flat_map(|(stage, (_, good, failed))| [(0, stage, *good, ok(900_000)), (0, stage, *failed, bad)]);
    report_of(&plan, snapshot(&plan, &samples.collect::<Vec<_>>()), criteria, &Circumstances::default())
}

#[test]
fn a_breaking_point_is_in_the_findings_and_in_the_reason() {
    let levels = [(20, 200, 0), (30, 240, 0), (40, 40, 60)];
    let told = staged(&levels, &[criterion("rate(errors) < 1%", Scope::Run)]);
    let text = "The breaking point of scenario baseline lies between 30 and 40 users. Stable up to 30 users at 24/s.";
    assert_eq!((told.findings[0].kind, told.findings[0].text.as_str()), (FindingKind::BreakingPoint, text));
    assert_eq!(told.reason, format!("1 of 1 criterion did not hold: rate(errors) < 1% was 11.1%. {text}"));
    assert_eq!(told.verdict, Verdict::Failed);
    let stages: Vec<Option<bool>> = told.scenarios[0].stages.iter().map(|stage| stage.held).collect();
    assert_eq!(stages, [Some(true), Some(true), Some(false)]);
    let stored = Report::from_json(told.to_json().as_bytes()).unwrap();
    assert_eq!(stored, told);
}

#[test]
fn a_criterion_on_one_stage_alone_leaves_the_breaking_point_to_the_errors() {
    let last = Criterion {
        during: Some(vec![(0, 2)]),
        during_text: Some("users-40".to_owned()),
        ..criterion("rate(errors) < 1%", Scope::Run)
    };
    let told = staged(&[(20, 200, 0), (30, 240, 0), (40, 40, 60)], &[last]);
    assert!(told.findings[0].text.contains("lies between 30 and 40 users: that is where requests begin to fail."));
}

#[test]
fn a_good_run_has_nothing_to_conclude() {
    let criteria = [criterion("rate(errors) < 1%", Scope::Run)];
    let told = report(1, [Runner::new(0, 1).with_load().snapshot()], &criteria, &Circumstances::default());
    assert_eq!((told.verdict, told.findings), (Verdict::Passed, Vec::new()));
}

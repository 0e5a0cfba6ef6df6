//! Reports that the tests of each form share: one of a plain run that failed, and one whose every text is hostile.

use proofload_api::loadtest::Severity;
use proofload_api::status::CriterionOutcome;
use proofload_api::{Outcome, Verdict};
use proofload_plan::Scope;
use proofload_results::{Circumstances, Evidence, Finding, FindingKind, Report};
use serde_json::json;

use crate::fixtures::{Runner, criterion, failed, report};

/// A run of two scenarios that failed one of three criteria.
pub(crate) fn failed_run() -> Report {
    let mut warning = criterion("p99(latency) < 10ms", Scope::Run);
    warning.severity = Severity::Warn;
    let criteria =
        [criterion("p95(latency) < 500ms", Scope::Run), warning, criterion("rate(errors) < 1%", Scope::Steps(0, 0, 1))];
    let bad = failed(Outcome::UnexpectedStatus, Some(503));
    let snapshots = [
        Runner::new(0, 2).with_load().snapshot(),
        Runner::new(1, 2).with_load().add(0, 0, 1, 20, bad).error("status 503", 20).snapshot(),
    ];
    let mut report = report(2, snapshots, &criteria, &Circumstances::default());
    report.description = Some("How checkout does with 10 users.\nTime runs as it is.".to_owned());
    report.findings = vec![Finding {
        kind: FindingKind::BreakingPoint,
        text: "Checkout holds with 5 users and breaks with 10.".to_owned(),
        evidence: vec![Evidence::new("errors with 5 users", "0%"), Evidence::new("errors with 10 users", "4.76%")],
    }];
    report.spec = Some(json!({"scenarios": [
        {"name": "baseline", "onStart": [{"name": "create", "request": {"method": "POST", "path": "/"}}],
         "steps": [{"name": "list", "request": {"path": "/"}}]},
        {"name": "burst", "steps": [{"name": "get", "webSocket": {"connect": "/"}}]},
    ]}));
    report
}

/// What foreign text may be at its worst, for every form at once.
pub(crate) const HOSTILE: &str = "=cmd|' /C calc'!A0 </td></details><script>alert(1)</script> ``` | @team #1 [x](http://y.test) $a$ \u{1b}[2J\u{0}\u{202e}\r\n- a";

/// The same run, with hostile text wherever text can be, and much of it.
pub(crate) fn hostile_run() -> Report {
    let mut report = failed_run();
    let text = || HOSTILE.to_owned();
    (report.name, report.namespace, report.description) = (text(), Some(text()), Some(HOSTILE.repeat(500)));
    (report.reason, report.spec) = (HOSTILE.repeat(500), None);
    for scenario in &mut report.scenarios {
        scenario.name = text();
        scenario.stages.iter_mut().for_each(|stage| stage.name = text());
        scenario.steps.iter_mut().for_each(|step| step.name = text());
    }
    for criterion in &mut report.criteria {
        (criterion.expr, criterion.of, criterion.during) = (text(), Some(text()), Some(text()));
    }
    for error in &mut report.errors {
        (error.scenario, error.step, error.outcome, error.message) = (text(), text(), text(), text());
    }
    let finding = Finding { kind: FindingKind::Note, text: text(), evidence: vec![Evidence::new(HOSTILE, HOSTILE)] };
    report.findings = vec![finding; 500];
    report.errors = vec![report.errors[0].clone(); 500];
    report.criteria = vec![report.criteria[0].clone(); 500];
    report.scenarios = vec![report.scenarios[0].clone(); 500];
    report
}

/// The same run, where nothing can be trusted.
pub(crate) fn with_outcome(outcome: CriterionOutcome, verdict: Verdict) -> Report {
    let mut report = failed_run();
    report.verdict = verdict;
    report.criteria.iter_mut().for_each(|criterion| criterion.outcome = outcome);
    report
}

//! A report as `JUnit` XML, for CI systems: a suite for the run and one for each scenario, in them a case for each criterion.
//!
//! | what became of a criterion | its case |
//! | --- | --- |
//! | it held | passed |
//! | it did not hold | a failure, with the value that was seen |
//! | it did not hold, and is only to warn | passed; its output says so |
//! | no samples, or figures that cannot be trusted | an error: CI systems show these as broken rather than failed, which is what an inconclusive run is |
//! | the run could not be executed | skipped; one case more, which is an error, says why |
//!
//! What came of holding it against its baseline is a case `baseline` of the run, judged by the same table; it is skipped
//! while there is no earlier run.
//!
//! There is a failure or an error exactly where the verdict is `Failed`, `Inconclusive` or `Error`, so that a CI system
//! that looks at this file decides as one that looks at the exit code: where no criterion says so, a case `verdict` does.

use std::fmt::Write as _;
use std::time::Duration;

use proofload_api::loadtest::Severity;
use proofload_api::status::CriterionOutcome;
use proofload_api::units::short_time;
use proofload_api::{Micros, Verdict};
use quick_junit::{NonSuccessKind, Report as Suites, TestCase, TestCaseStatus, TestSuite};

use crate::baseline::BaselineReport;
use crate::figures::Figures;
use crate::moment::moment;
use crate::reason::observed;
use crate::report::{CriterionReport, Report, ScenarioReport};
use crate::shown::{description, short_rate};
use crate::status::errors;
use crate::words::{safe, things};

/// The report as XML, with a line break at its end. Foreign text is escaped; what XML cannot hold is spelt out.
pub fn render(report: &Report) -> String {
    let mut suites = Suites::new(full_name(report));
    suites.set_time(seconds(report.duration));
    let scenario_of = |criterion: &CriterionReport| {
        let name = criterion.of.as_deref().and_then(|of| of.split('/').next());
        report.scenarios.iter().position(|scenario| Some(scenario.name.as_str()) == name)
    };
    let cases = |place: Option<usize>| -> Vec<TestCase> {
        let class = class_name(report, place.map(|place| &report.scenarios[place]));
        let here = report.criteria.iter().filter(|criterion| scenario_of(criterion) == place);
        here.map(|criterion| case(report, criterion, &class)).collect()
    };
    let of_scenarios: Vec<Vec<TestCase>> = (0..report.scenarios.len()).map(|place| cases(Some(place))).collect();
    let mut of_run = cases(None);
    of_run.extend(report.baseline.as_ref().map(|baseline| baseline_case(report, baseline)));
    of_run.extend(verdict(report, of_run.iter().chain(of_scenarios.iter().flatten())));
    suites.add_test_suite(run_suite(report, of_run));
    for (scenario, cases) in report.scenarios.iter().zip(of_scenarios) {
        suites.add_test_suite(scenario_suite(report, scenario, cases));
    }
    let xml = suites.to_string().expect("text is written to memory");
    // The schema that Jenkins holds such files against knows this count of suites, and not of all of them. The root is the
    // first to have it, and no quote of a name is left as it is.
    xml.replacen(&format!(" skipped=\"{}\"", suites.skipped), "", 1)
}

fn run_suite(report: &Report, cases: Vec<TestCase>) -> TestSuite {
    let mut suite = suite(report, "run".to_owned(), Some(0), report.duration, cases);
    let mut lines: Vec<String> = description(report).map(safe).collect();
    lines.push(format!("{}: {}", report.verdict, safe(&report.reason)));
    lines.push(figures(&report.summary, report.duration));
    lines.extend(report.doubts.iter().map(|doubt| format!("doubt: {}", safe(&doubt.text))));
    lines.extend(report.findings.iter().map(|finding| format!("finding: {}", safe(&finding.text))));
    suite.set_system_out(lines.join("\n"));
    suite
}

fn scenario_suite(report: &Report, scenario: &ScenarioReport, cases: Vec<TestCase>) -> TestSuite {
    let mut suite = suite(report, safe(&scenario.name), scenario.load.began, scenario.load.duration, cases);
    suite.set_system_out(format!("{}: {}", scenario.verdict, figures(&scenario.figures, scenario.load.duration)));
    suite
}

fn suite(report: &Report, name: String, began: Option<u64>, duration: u64, cases: Vec<TestCase>) -> TestSuite {
    let mut suite = TestSuite::new(name);
    suite.set_time(seconds(duration));
    if let Some(at) = began.and_then(|began| moment(report, began)) {
        // Not by its own field, which is of another library for dates.
        suite.extra.insert("timestamp".into(), at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into());
    }
    suite.add_test_cases(cases);
    suite
}

fn figures(figures: &Figures, duration: u64) -> String {
    let mut text = format!(
        "{} in {}, {}/s, errors {}",
        things(figures.requests, "request"),
        short_time(duration as f64),
        short_rate(figures.rate),
        errors(figures)
    );
    if let Some(latency) = &figures.latency {
        for (name, micros) in [("p50", latency.p50), ("p95", latency.p95), ("p99", latency.p99), ("max", latency.max)] {
            // Writing to a string cannot fail.
            let _ = write!(text, ", {name} {}", short_time(micros as f64));
        }
    }
    text
}

fn case(report: &Report, criterion: &CriterionReport, class: &str) -> TestCase {
    let place = |word: &str, name: Option<&String>| name.map(|name| format!(" {word} {}", safe(name)));
    let (of, during) = (place("of", criterion.of.as_ref()), place("during", criterion.during.as_ref()));
    let name = [safe(criterion.expr.trim()), of.unwrap_or_default(), during.unwrap_or_default()].concat();
    let seen = format!("observed {}", safe(&observed(criterion)));
    let is_warning = criterion.severity == Severity::Warn && !criterion.aborted;
    let (status, output) = match criterion.outcome {
        _ if report.verdict == Verdict::Error => (skipped("the run could not be executed"), None),
        CriterionOutcome::Pass => (TestCaseStatus::success(), Some(seen)),
        _ if is_warning => (TestCaseStatus::success(), Some(format!("warning: {}", unheld(criterion, &seen)))),
        CriterionOutcome::Fail => {
            let said = unheld(criterion, &seen);
            (broken(NonSuccessKind::Failure, &said, "Fail", &format!("{name}: {said}")), None)
        }
        CriterionOutcome::NoData => (broken(NonSuccessKind::Error, "there were no samples", "NoData", ""), None),
        CriterionOutcome::Untrusted => {
            let doubts: Vec<String> = report.doubts.iter().map(|doubt| safe(&doubt.text)).collect();
            let said = format!("{seen}, which is not to be trusted");
            (broken(NonSuccessKind::Error, &said, "Untrusted", &doubts.join("\n")), None)
        }
    };
    named(name, class, status, output)
}

/// The case of what the run was held against.
fn baseline_case(report: &Report, baseline: &BaselineReport) -> TestCase {
    let said = safe(&baseline.message);
    let (status, output) = match baseline.outcome {
        None => (skipped(&said), None),
        Some(CriterionOutcome::Pass) => (TestCaseStatus::success(), Some(said)),
        Some(CriterionOutcome::Fail) => {
            let lines: Vec<String> = baseline.regressions().map(|line| safe(&line)).collect();
            (broken(NonSuccessKind::Failure, &said, "Fail", &lines.join("\n")), None)
        }
        Some(outcome) => (broken(NonSuccessKind::Error, &said, &outcome.to_string(), ""), None),
    };
    named("baseline".to_owned(), &class_name(report, None), status, output)
}

/// What is said of a criterion that did not hold.
fn unheld(criterion: &CriterionReport, seen: &str) -> String {
    match criterion.outcome {
        CriterionOutcome::NoData => "there were no samples".to_owned(),
        CriterionOutcome::Untrusted => format!("{seen}, which is not to be trusted"),
        _ => match criterion.abort.filter(|_| criterion.aborted) {
            Some(abort) => format!("{seen} over {}, which ended the run", short_time(abort.window as f64)),
            None => seen.to_owned(),
        },
    }
}

/// The case of the verdict itself: where there are no criteria, and where what the criteria say would come to another.
fn verdict<'a>(report: &Report, mut cases: impl Iterator<Item = &'a TestCase>) -> Option<TestCase> {
    let is_broken = |case: &TestCase| matches!(case.status, TestCaseStatus::NonSuccess { .. });
    let reason = safe(&report.reason);
    let broken = |kind| broken(kind, &reason, &report.verdict.to_string(), "");
    let status = match report.verdict {
        Verdict::Error => broken(NonSuccessKind::Error),
        Verdict::Failed if !cases.any(is_broken) => broken(NonSuccessKind::Failure),
        Verdict::Inconclusive if !cases.any(is_broken) => broken(NonSuccessKind::Error),
        _ if report.criteria.is_empty() => TestCaseStatus::success(),
        _ => return None,
    };
    Some(named("verdict".to_owned(), &class_name(report, None), status, None))
}

fn named(name: String, class: &str, status: TestCaseStatus, output: Option<String>) -> TestCase {
    let mut case = TestCase::new(name, status);
    // To judge takes no time, and the load took it once, which its suite says.
    case.set_classname(class).set_time(Duration::ZERO);
    if let Some(output) = output {
        case.set_system_out(output);
    }
    case
}

fn broken(kind: NonSuccessKind, message: &str, what: &str, description: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_message(message).set_type(what);
    if !description.is_empty() {
        status.set_description(description);
    }
    status
}

fn skipped(message: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    status.set_message(message);
    status
}

fn full_name(report: &Report) -> String {
    let namespace = report.namespace.as_ref().map(|namespace| format!("{}/", safe(namespace))).unwrap_or_default();
    format!("{namespace}{}", safe(&report.name))
}

/// How CI systems group cases: by the test, and in it by scenario.
fn class_name(report: &Report, scenario: Option<&ScenarioReport>) -> String {
    let name = safe(&report.name);
    scenario.map_or_else(|| name.clone(), |scenario| format!("{name}.{}", safe(&scenario.name)))
}

fn seconds(micros: u64) -> Duration {
    Micros(micros).into()
}

//! The report as `JUnit` XML: what a CI system makes of it is what the verdict says, and the schema that Jenkins' xUnit plugin
//! holds such files against (`junit-10.xsd`, as published in pytest 8.3.4; MIT, see its head) takes it.

use proofload_api::Verdict;
use proofload_api::loadtest::Severity;
use proofload_api::status::CriterionOutcome;
use proofload_results::junit::render;
use proofload_results::{Circumstances, Report};
use quick_junit::{NonSuccessKind, Report as Suites, TestCase, TestCaseStatus};
use uppsala::XsdValidator;

use crate::fixtures::{Runner, report};
use crate::forms::{failed_run, hostile_run, with_outcome};

/// What the schema says against a file.
fn objections(xml: &str) -> Vec<String> {
    let schema = uppsala::parse(include_str!("junit-10.xsd")).unwrap();
    let schema = XsdValidator::from_schema(&schema).unwrap();
    schema.validate(&uppsala::parse(xml).unwrap()).iter().map(ToString::to_string).collect()
}

fn read(report: &Report) -> Suites {
    let xml = render(report);
    assert_eq!(objections(&xml), [""; 0], "{xml}");
    // XML 1.0 has no other control characters, and no escape for them either.
    assert!(xml.chars().all(|c| c == '\n' || !c.is_control()), "{xml}");
    Suites::deserialize_from_str(&xml).unwrap()
}

fn cases(suites: &Suites) -> Vec<&TestCase> {
    suites.test_suites.iter().flat_map(|suite| &suite.test_cases).collect()
}

#[test]
fn a_run_that_failed_as_xml() {
    assert_eq!(render(&failed_run()), include_str!("failed.xml"));
}

#[test]
fn the_schema_objects_to_what_is_not_junit() {
    let xml = render(&failed_run());
    let wrong = [
        ("<testcase name=", "<testcase title="),
        ("<testsuite name=\"run\"", "<testsuite"),
        ("<failure ", "<failed "),
        ("time=\"41.000\"", "time=\"41s\""),
        // What the root of one such file may have elsewhere.
        ("<testsuites ", "<testsuites skipped=\"0\" "),
    ];
    for (right, wrong) in wrong {
        assert!(xml.contains(right), "{right}");
        let xml = xml
            .replace(right, wrong)
            .replace("</failure>", if wrong == "<failed " { "</failed>" } else { "</failure>" });
        assert_ne!(objections(&xml), [""; 0], "{wrong}");
    }
}

#[test]
fn there_is_a_failure_or_an_error_exactly_where_the_exit_code_says_so() {
    use CriterionOutcome::{Fail, NoData, Pass, Untrusted};
    for (outcome, verdict, failures, errors) in [
        (Pass, Verdict::Passed, 0, 0),
        (Fail, Verdict::Failed, 2, 0),
        (NoData, Verdict::Inconclusive, 0, 2),
        (Untrusted, Verdict::Inconclusive, 0, 2),
        // Every criterion held, and yet a runner is missing.
        (Pass, Verdict::Inconclusive, 0, 1),
        (NoData, Verdict::Error, 0, 1),
    ] {
        let suites = read(&with_outcome(outcome, verdict));
        assert_eq!((suites.failures, suites.errors), (failures, errors), "{outcome:?} {verdict:?}");
    }
    // One that is only to warn and ended the run has failed it.
    let mut aborted = failed_run();
    aborted.criteria.retain(|criterion| criterion.severity == Severity::Warn);
    assert_eq!(read(&aborted).failures, 1, "by the verdict");
    aborted.criteria[0].aborted = true;
    let suites = read(&aborted);
    assert_eq!((suites.failures, cases(&suites).len()), (1, 1));
}

#[test]
fn a_run_without_criteria_is_one_case() {
    let unjudged = report(1, [Runner::new(0, 1).with_load().snapshot()], &[], &Circumstances::default());
    let suites = read(&unjudged);
    let cases = cases(&suites);
    assert_eq!((cases.len(), cases[0].name.as_str()), (1, "verdict"));
    assert_eq!(cases[0].status, TestCaseStatus::success());
    let names: Vec<&str> = suites.test_suites.iter().map(|suite| suite.name.as_str()).collect();
    assert_eq!(names, ["run", "baseline", "burst"]);
}

#[test]
fn a_run_that_could_not_be_executed_is_one_error_with_the_reason() {
    let mut error = with_outcome(CriterionOutcome::NoData, Verdict::Error);
    error.reason = "The image does not exist.".to_owned();
    let suites = read(&error);
    let skipped: usize = suites.test_suites.iter().map(|suite| suite.skipped).sum();
    let is_error = |case: &&TestCase| {
        matches!(&case.status, TestCaseStatus::NonSuccess { kind: NonSuccessKind::Error, message, .. }
            if message.as_deref() == Some("The image does not exist."))
    };
    assert_eq!((cases(&suites).into_iter().filter(is_error).count(), skipped), (1, 3));
}

#[test]
fn hostile_text_stays_text() {
    let suites = read(&hostile_run());
    assert_eq!(suites.test_suites.len(), 501);
    let name = suites.test_suites[1].name.as_str();
    assert!(name.contains("<script>") && name.contains("\\u{1b}[2J\\u{0}"), "{name}");
}

//! The report as text: what people see.

use proofload_api::Outcome;
use proofload_plan::Scope;
use proofload_results::text::{Style, render};
use proofload_results::{Circumstances, LostRunner, Report};

use crate::fixtures::{Runner, criterion, failed, ok, report};
use crate::forms::failed_run;

fn plain(report: &Report) -> String {
    render(report, Style { color: false, width: 90 })
}

#[test]
fn the_summary_of_a_failed_run() {
    let criteria =
        [criterion("p95(latency) < 500ms", Scope::Run), criterion("rate(errors) < 1%", Scope::Steps(0, 0, 1))];
    let bad = failed(Outcome::UnexpectedStatus, Some(503));
    let snapshots = [
        Runner::new(0, 2).with_load().snapshot(),
        Runner::new(1, 2).with_load().add(0, 0, 1, 20, bad).error("status 503", 20).snapshot(),
    ];
    let text = plain(&report(2, snapshots, &criteria, &Circumstances::default()));
    assert_eq!(text, include_str!("failed.txt"));
}

#[test]
fn the_summary_of_a_run_with_a_lost_runner() {
    let lost = LostRunner { index: 1, reason: "evicted".to_owned() };
    let circumstances = Circumstances { lost: vec![lost], ..Circumstances::default() };
    let criteria = [criterion("rate(requests) > 1/s", Scope::Run)];
    let text = plain(&report(2, [Runner::new(0, 2).add(1, 0, 0, 100, ok(1000)).snapshot()], &criteria, &circumstances));
    assert_eq!(text, include_str!("lost.txt"));
}

#[test]
fn a_hostile_string_reaches_no_terminal() {
    let runner = Runner::new(0, 1).with_load().error("\x1b]0;owned\x07 \u{202e}", 3);
    let mut hostile = report(1, [runner.snapshot()], &[], &Circumstances::default());
    hostile.name = "a\x1b[2Jb".to_owned();
    hostile.scenarios[0].name = "c\rd".to_owned();
    let text = plain(&hostile);
    assert!(text.contains("\\u{1b}]0;owned\\u{7} \\u{202e}"), "{text}");
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text}");
}

#[test]
fn colours_are_only_where_they_are_wanted() {
    let report = report(1, [Runner::new(0, 1).with_load().snapshot()], &[], &Circumstances::default());
    let painted = render(&report, Style { color: true, width: 90 });
    assert!(painted.contains("\x1b[1m") && !plain(&report).contains('\x1b'));
    assert!(plain(&report).lines().all(|line| line.chars().count() <= 90));
}

#[test]
fn what_to_conclude_stands_below_the_criteria_with_its_evidence() {
    let mut report = failed_run();
    let text = plain(&report);
    let (about, reason) = ("How checkout does with 10 users.\nTime runs as it is.\n", report.reason.as_str());
    assert!(text.find(about) < text.find(reason) && text.contains(about), "{text}");
    let findings = "Findings
  Breaking point: Checkout holds with 5 users and breaks with 10.
    errors with 5 users: 0%; errors with 10 users: 4.76%
";
    assert!(text.contains(findings) && text.find("Criteria") < text.find(findings), "{text}");
    assert!(text.find(findings) < text.find("Scenarios"), "{text}");
    // A note that the reason has already is not told twice.
    report.findings = vec![proofload_results::Finding::note("The teardown was not done.")];
    assert!(plain(&report).contains("  Note: The teardown was not done.\n"));
    report.reason += " The teardown was not done.";
    assert!(!plain(&report).contains("Findings"));
}

//! The target's own metrics: their criteria, and how they are shown.

use proofload_api::Micros;
use proofload_api::status::CriterionOutcome::{Fail, NoData, Pass, Untrusted};
use proofload_api::status::ServerMetricStatus;
use proofload_plan::{Criterion, Scope, ServerMetrics, ServerQuery, Template};
use proofload_results::{Circumstances, Input, Report, ServerAnswer, SnapshotSet, html, markdown, text};

use crate::fixtures::{Runner, SECOND, criterion, plan};

/// Of a run of 41 s: memory rises by 1 MiB a second from 100 MiB, while `steady` it is from 10 s to 30 s; of the queue
/// nothing is known.
fn report(runner: Runner, criteria: &[Criterion]) -> Report {
    let query = |name: &str, query: &str| ServerQuery { name: name.to_owned(), query: query.to_owned() };
    let server = ServerMetrics {
        url: Template::text("http://prometheus"),
        headers: Vec::new(),
        ca: None,
        wait: Micros::ZERO,
        queries: vec![query("memory", "sum(a_bytes)"), query("queue", "q")],
    };
    let plan = proofload_plan::Plan { server: Some(server), ..plan() };
    let memory = (0..=41).map(|second| (second * SECOND, (100.0 + second as f64) * 1_048_576.0)).collect();
    let error = Some("Prometheus says execution: \u{1b}[31m<script>".to_owned());
    let answers = vec![
        ServerAnswer { name: "memory".to_owned(), samples: memory, error: None },
        ServerAnswer { name: "queue".to_owned(), samples: Vec::new(), error },
    ];
    let mut set = SnapshotSet::new(&plan, 1);
    set.insert(runner.snapshot()).unwrap();
    Report::build(&Input {
        plan: &plan,
        criteria,
        spec: &serde_json::json!({}),
        name: "checkout",
        namespace: None,
        start: Some("2026-01-02T03:04:05Z"),
        runners: 1,
        totals: &set.totals(&plan),
        circumstances: &Circumstances { server: answers, ..Circumstances::default() },
        baseline: None,
    })
}

fn on(texts: &[&str]) -> Vec<Criterion> {
    texts.iter().map(|text| criterion(text, Scope::Run)).collect()
}

fn loaded() -> Runner {
    Runner::new(0, 1).with_load()
}

fn saturated() -> Runner {
    loaded().generator(|generator| generator.cpu = generator.cpu_available * 97 / 100)
}

#[test]
fn each_figure_is_held_against_its_limit_and_what_is_not_known_is_no_data() {
    let during = |name: &str, stage| Criterion {
        during: Some(vec![(0, stage)]),
        during_text: Some(name.to_owned()),
        ..criterion("max(server.memory) <= 130Mi", Scope::Run)
    };
    let mut criteria = on(&[
        "min(server.memory) == 100Mi",
        "last(server.memory) == 141Mi",
        "avg(server.memory) < 110Mi",
        "slope(server.memory) < 1%/h",
        "slope(server.memory) <= 3600Mi/h",
        "max(server.queue) < 5",
    ]);
    criteria.extend([during("steady", 1), during("ramp", 0)]);
    let report = report(loaded(), &criteria);
    let outcomes: Vec<_> = report.criteria.iter().map(|criterion| criterion.outcome).collect();
    assert_eq!(outcomes, [Pass, Pass, Fail, Fail, Pass, NoData, Pass, Pass]);
    let note = report.criteria[5].note.as_deref().unwrap();
    assert!(note.contains("Prometheus says execution") && !note.contains('\u{1b}'), "{note}");
    assert_eq!(report.verdict, report.verdict_from_parts());
}

#[test]
fn a_verdict_that_is_open_says_why_nothing_is_known() {
    let report = report(loaded(), &on(&["max(server.queue) < 5", "rate(errors) < 1%"]));
    assert_eq!(report.criteria[1].outcome, Pass);
    let expected = "There is nothing to judge max(server.queue) < 5 by: Prometheus says execution: ";
    assert!(report.reason.starts_with(expected), "{}", report.reason);
}

#[test]
fn what_several_criteria_lack_for_one_reason_is_said_once_of_each_where_it_is_judged() {
    let during = Criterion {
        during: Some(vec![(0, 1)]),
        during_text: Some("steady".to_owned()),
        ..criterion("max(server.queue) < 5", Scope::Run)
    };
    let report = report(loaded(), &[on(&["min(server.queue) < 5"]), vec![during]].concat());
    let expected = "nothing to judge min(server.queue) < 5; max(server.queue) < 5 during steady by: Prometheus says";
    assert!(report.reason.contains(expected), "{}", report.reason);
    assert_eq!(report.reason.matches("Prometheus says").count(), 1, "{}", report.reason);
    // Nor does it seem to be all where it is not.
    let report = self::report(loaded(), &on(&["max(server.queue) < 5"; 4]));
    let three = "max(server.queue) < 5; max(server.queue) < 5; max(server.queue) < 5";
    let expected = format!("nothing to judge {three}; and others by: Prometheus says");
    assert!(report.reason.contains(&expected), "{}", report.reason);
}

#[test]
fn a_generator_that_could_not_keep_up_excuses_no_leak() {
    let texts = ["slope(server.memory) < 1%/h", "max(server.memory) > 1Gi", "max(server.memory) < 1Gi"];
    let report = report(saturated(), &on(&texts));
    let outcomes: Vec<_> = report.criteria.iter().map(|criterion| criterion.outcome).collect();
    assert_eq!(outcomes, [Fail, Untrusted, Untrusted]);
}

#[test]
fn metrics_are_in_status_and_in_every_form_and_foreign_text_does_nothing() {
    let report = report(loaded(), &on(&["slope(server.memory) < 1%/h"]));
    let status: ServerMetricStatus = (&report.server[0]).into();
    assert_eq!((&*status.min, &*status.max, &*status.last), ("100Mi", "141Mi", "141Mi"));
    assert!(status.slope.starts_with('+') && status.slope.ends_with("%/h"), "{}", status.slope);
    let nothing: ServerMetricStatus = (&report.server[1]).into();
    assert!(nothing.min.is_empty() && nothing.message.contains("execution"), "{nothing:?}");
    let stages: Vec<&str> = report.server[0].stages.iter().map(|stage| stage.stage.as_str()).collect();
    assert_eq!(stages, ["ramp", "steady", "iterations"]);
    let forms = [text::render(&report, text::Style::default()), markdown::render(&report), html::render(&report)];
    for form in &forms {
        assert!(form.contains("The target's own metrics") && form.contains("141Mi"), "{form}");
        assert!(!form.contains('\u{1b}'), "{form}");
    }
    for form in &forms[1..] {
        assert!(form.contains("31m") && !form.contains("31m<script>"), "{form}");
    }
    assert_eq!(Report::from_json(report.to_json().as_bytes()), Ok(report));
}

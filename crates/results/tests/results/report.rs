//! The report as JSON: its shape, its schema, and that there always is one.

use proofload_api::status::{CriterionStatus, FiguresStatus, GeneratorStatus};
use proofload_api::{Outcome, Verdict};
use proofload_plan::Scope;
use proofload_results::report::RunnerEnd;
use proofload_results::{Circumstances, Report, ScenarioProgress, live};
use serde_json::{Value, json};

use crate::fixtures::{Runner, criterion, failed, report, with_input};

fn two_runners() -> Report {
    let criteria =
        [criterion("p95(latency) < 500ms", Scope::Run), criterion("rate(errors) < 1%", Scope::Steps(0, 0, 1))];
    let bad = failed(Outcome::UnexpectedStatus, Some(503));
    let snapshots = [
        Runner::new(0, 2).with_load().snapshot(),
        Runner::new(1, 2).with_load().add(0, 0, 1, 20, bad).error("status 503", 20).snapshot(),
    ];
    report(2, snapshots, &criteria, &Circumstances::default())
}

#[test]
fn a_report_has_the_shape_that_the_design_says() {
    let report = serde_json::to_value(two_runners()).unwrap();
    assert_eq!(report["version"], 2);
    assert_eq!(report["verdict"], "Failed");
    assert_eq!(report["reason"], "1 of 2 criteria did not hold: rate(errors) < 1% on baseline/create was 4.76%.");
    assert_eq!(report["duration"], 41_000_000);
    assert_eq!(report["load"], json!({"plannedUsers": 10, "peakUsers": 10, "plannedDuration": 40_000_000}));
    let summary = &report["summary"];
    assert_eq!((&summary["requests"], &summary["ok"], &summary["errors"]), (&json!(920), &json!(900), &json!(20)));
    assert_eq!(summary["outcomes"], json!({"ok": 900, "unexpected-status": 20}));
    assert_eq!(summary["statuses"], json!({"200": 900, "503": 20}));
    assert_eq!(summary["latency"]["max"], 50_015);
    assert!(summary["latency"]["p99.9"].is_u64() && summary["serviceTime"]["mean"].is_f64());
    let baseline = &report["scenarios"][0];
    assert_eq!((&baseline["name"], &baseline["requests"]), (&json!("baseline"), &json!(820)));
    assert_eq!(baseline["stages"][1]["name"], "steady");
    assert_eq!((&baseline["stages"][1]["requests"], &baseline["stages"][1]["rate"]), (&json!(620), &json!(31.0)));
    assert_eq!(baseline["steps"][0]["stages"][1]["errors"], 20);
    assert_eq!(baseline["verdict"], "Failed");
    let burst = &report["scenarios"][1];
    assert_eq!((&burst["load"]["plannedIterations"], &burst["load"]["iterations"]), (&json!(100), &json!(100)));
    assert_eq!(burst["steps"][0]["stages"], json!(null), "one stage is not told twice");
    let error = json!({"scenario": "baseline", "step": "create", "outcome": "unexpected-status", "message": "status 503",
                       "count": 20, "firstSeen": 1_000_000, "lastSeen": 9_000_000});
    assert_eq!(report["errors"], json!([error]));
    assert_eq!(report["runners"][1], json!({"index": 1, "state": "Completed", "share": 0.5, "requests": 470}));
    let bucket = &report["timeline"]["buckets"][20];
    assert_eq!((&bucket["at"], &bucket["requests"], &bucket["rate"]), (&json!(20_000_000), &json!(620), &json!(620.0)));
    assert_eq!((&bucket["users"], &bucket["plannedUsers"]), (&json!(10), &json!(10)));
}

#[test]
fn reports_are_what_their_schema_says() {
    let committed = include_str!("../../../../docs/report.schema.json");
    let schema = serde_json::from_str(committed).unwrap();
    assert_eq!(schema, serde_json::to_value(Report::schema()).unwrap(), "run cargo xtask docs");
    let validator = jsonschema::validator_for(&schema).unwrap();
    let nothing = report(3, [], &[criterion("rate(errors) < 1%", Scope::Run)], &Circumstances::default());
    for report in [two_runners(), nothing] {
        let report = serde_json::to_value(report).unwrap();
        let errors: Vec<_> = validator.iter_errors(&report).map(|error| error.to_string()).collect();
        assert_eq!(errors, [""; 0]);
    }
}

#[test]
fn a_report_is_built_of_no_snapshots_at_all() {
    let criteria = [criterion("rate(errors) < 1%", Scope::Run)];
    let told = report(2, [], &criteria, &Circumstances::default());
    assert_eq!((told.verdict, told.runners[0].state), (Verdict::Inconclusive, RunnerEnd::Missing));
    assert!(told.reason.starts_with("No request was sent, so there is nothing to judge."), "{}", told.reason);
    let error = Circumstances { error: Some("the image does not exist".to_owned()), ..Circumstances::default() };
    let told = report(2, [], &criteria, &error);
    assert_eq!((told.verdict, told.reason.as_str()), (Verdict::Error, "the image does not exist."));
}

#[test]
fn a_report_gets_coarser_until_it_fits_and_loses_no_request() {
    let build = |buckets: usize, spec: bool| {
        with_input(1, [Runner::new(0, 1).with_load().snapshot()], &[], &Circumstances::default(), |input| {
            Report::build_to_fit(input, |report| {
                report.timeline.buckets.len() <= buckets && (spec || report.spec.is_none())
            })
        })
    };
    let coarse = build(11, true);
    assert_eq!((coarse.timeline.width, coarse.timeline.buckets.len()), (4_000_000, 11));
    assert_eq!(coarse.timeline.buckets.iter().map(|bucket| bucket.requests).sum::<u64>(), 500);
    assert!(coarse.spec.is_some() && !coarse.scenarios[0].steps[0].stages.is_empty());
    let coarsest = build(11, false);
    assert!(coarsest.spec.is_none() && coarsest.scenarios[0].steps[0].stages.is_empty());
    assert_eq!(coarsest.summary, coarse.summary);
}

#[test]
fn a_report_of_version_1_is_read_with_its_sentences_as_notes() {
    let mut report: Value = serde_json::from_str(&two_runners().to_json()).unwrap();
    report["version"] = 1.into();
    report["findings"] = serde_json::json!(["The teardown was not done."]);
    let read = Report::from_json(report.to_string().as_bytes()).unwrap();
    assert_eq!(read.findings, [proofload_results::Finding::note("The teardown was not done.")]);
}

#[test]
fn a_distribution_is_all_of_latency_and_the_bands_of_the_timeline_are_about_its_percentiles() {
    let report = two_runners();
    let times = report.summary.distribution.as_ref().unwrap().times().unwrap();
    let latency = report.summary.latency.as_ref().unwrap();
    assert_eq!((times.percentile(99.0), times.extremes().1), (Some(latency.p99), latency.max));
    let of_steps = report.scenarios.iter().flat_map(|scenario| &scenario.steps);
    let counts = of_steps.map(|step| step.figures.distribution.as_ref().unwrap().times().unwrap().count());
    assert_eq!(counts.sum::<u64>(), times.count());
    let begin = |band: u8| 10_f64.powf(f64::from(band) / 8.0);
    for bucket in report.timeline.buckets.iter().filter(|bucket| bucket.p99.is_some()) {
        let (first, last) = (bucket.heat[0].0, bucket.heat[bucket.heat.len() - 1].0);
        let (p50, p99) = (bucket.p50.unwrap() as f64, bucket.p99.unwrap() as f64);
        // Two digits are exact.
        assert!(begin(first) <= p50 * 1.01 && p99 <= begin(last + 1) * 1.01, "{bucket:?}");
    }
}

#[test]
fn a_report_of_a_later_version_or_of_something_else_is_refused_in_words() {
    let said = |json: &str| Report::from_json(json.as_bytes()).unwrap_err().to_string();
    assert_eq!(
        said("{\"version\": 3}"),
        "expected a report of version 2 or lower, got version 3: a newer Proofload can read it"
    );
    assert!(said("hello").starts_with("expected a report of Proofload as JSON"));
    assert!(said("{\"version\": 1}").starts_with("expected a whole report, got a damaged one: missing field"));
}

#[test]
fn status_shows_figures_for_people() {
    let report = two_runners();
    let figures = FiguresStatus::from(&report.summary);
    assert_eq!((figures.rps, figures.error_rate.as_str()), (22, "2.17%"));
    assert_eq!(figures.latency["max"], "50ms");
    let criterion = CriterionStatus::from(&report.criteria[1]);
    assert_eq!((criterion.observed.as_str(), criterion.of.as_deref()), ("4.76%", Some("baseline/create")));
    let generator = GeneratorStatus::from(&report.generator);
    assert_eq!((generator.healthy, generator.cpu.as_str(), generator.lateness_p99.as_str()), (true, "12.2%", "100us"));
    let live = live::at_end(&report);
    assert_eq!((live.users, live.rps, live.p99.as_str(), live.errors.as_str()), (0, 22, "50ms", "2.17%"));
}

#[test]
fn no_column_of_the_timeline_shows_more_than_was_sent_in_a_width() {
    // 100 requests in each second; in the last millisecond, those that were under way at the end.
    let mut snapshot = Runner::new(0, 1).with_load().snapshot();
    snapshot.timeline.truncate(31);
    snapshot.timeline.iter_mut().for_each(|bucket| bucket.requests = 100);
    snapshot.timeline[30].requests = 10;
    snapshot.scenarios[1] = ScenarioProgress::default();
    // A setup came before the load, so that this did not begin with the run.
    (snapshot.scenarios[0].began, snapshot.scenarios[0].ended) = (Some(2_500_000), Some(30_001_000));
    let told = report(1, [snapshot], &[], &Circumstances::default());
    let rates: Vec<f64> = told.timeline.buckets.iter().map(|bucket| bucket.rate).collect();
    assert_eq!((&rates[..30], rates[30]), (&[100.0; 30][..], 109.9));
}

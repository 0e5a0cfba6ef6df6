//! What status may become at worst, and how it is cut to size.

use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;
use proofload_api::admission::admit;
use proofload_api::status::{CriterionOutcome, SearchStepStatus, ServerMetricStatus};
use proofload_api::{Outcome, Problem, Verdict};
use proofload_plan::compile;
use proofload_results::report::{Input, LoadLevel, SearchReport, SearchStepReport};
use proofload_results::{BaselineReport, Circumstances, Figures, Ratio, Report, SnapshotSet};
use serde_json::{Value, json};

use super::conditions::MAX_MESSAGE;
use super::*;
use crate::decide::Conclusion;
use crate::observe::{JobSight, StoreSight};

/// What the API promises.
const MAX_STATUS: usize = 64 << 10;

#[test]
fn a_message_is_cut_by_its_bytes_and_never_within_a_character() {
    assert_eq!(shorten("short"), "short");
    for (offset, letter) in [(0, "a"), (0, "ß"), (1, "✓"), (2, "🦀")] {
        let cut = shorten(&format!("{}{}", "x".repeat(offset), letter.repeat(2_000)));
        assert!(cut.len() <= MAX_MESSAGE && cut.len() > MAX_MESSAGE - 8 && cut.ends_with("..."), "{}", cut.len());
    }
}

/// Events and conditions have the first problems, `status.message` all of them.
#[test]
fn a_rejected_spec_has_all_of_its_problems_in_its_message() {
    let problems: Vec<_> = (0..40).map(|i| Problem::new(format!("spec.criteria[{i}]"), "x", "y".repeat(100))).collect();
    let draft = reject(&largest(), &problems);
    assert!(draft.status.message.contains("spec.criteria[39]"), "{}", draft.status.message);
    assert!(draft.status.conditions.iter().all(|condition| condition.message.len() <= MAX_MESSAGE));
}

/// As many scenarios and criteria as there may be, each with names as long as they may be.
fn largest() -> World {
    let name = |kind: &str, number: usize| format!("{kind}{number:0>width$}", width = 63 - kind.len());
    let scenario = |number: usize| {
        json!({
            "name": name("scenario", number), "users": {"stages": [{"to": 1_000_000, "hold": "1h"}]},
            "steps": [{"name": name("step", number), "request": {"path": "/"}}],
        })
    };
    let criterion = |number: usize| {
        let expr = "count(outcome(unexpected-status)) ==".to_owned();
        let of = format!("{}/{}", name("scenario", number % 32), name("step", number % 32));
        json!({"expr": format!("{expr}{: >width$}", 0, width = 256 - expr.len()), "of": of})
    };
    let test = json!({
        "apiVersion": "proofload.dev/v1alpha1", "kind": "LoadTest", "metadata": {"name": "largest"},
        "spec": {
            "target": {"baseUrl": "http://t"},
            "scenarios": (0..32).map(scenario).collect::<Vec<Value>>(),
            "criteria": (0..64).map(criterion).collect::<Vec<Value>>(),
            "results": {"store": {"s3": {
                "bucket": name("bucket", 0), "prefix": "p".repeat(512), "secret": "reports-s3",
            }}},
        },
    });
    let test = admit(&test).unwrap_or_else(|problems| panic!("{problems:?}"));
    let compiled = Arc::new(compile(&test.spec, "shop/largest"));
    World {
        test: Arc::new(test),
        now: Timestamp::UNIX_EPOCH,
        compiled,
        job: JobSight::Absent,
        runners: Vec::new(),
        figures: None,
        aborted: None,
        baseline: None,
        store: StoreSight::Absent,
        server: crate::memory::ServerSight::Unasked,
    }
}

/// The report of a run of which nothing was seen.
fn report_of(world: &World) -> Report {
    let compiled = world.compiled.as_ref().as_ref().unwrap();
    let set = SnapshotSet::new(&compiled.plan, compiled.sizing.runners);
    Report::build(&Input {
        plan: &compiled.plan,
        criteria: &compiled.criteria,
        spec: &Value::Null,
        name: "largest",
        namespace: Some("shop"),
        start: Some("2026-03-01T09:00:00.123456Z"),
        runners: compiled.sizing.runners,
        totals: &set.totals(&compiled.plan),
        circumstances: &Circumstances::default(),
        baseline: None,
    })
}

/// What a run's report says that is worse than its baseline.
fn regression(message: &str) -> BaselineReport {
    let (name, outcome) = (Some("shop/earlier".to_owned()), Some(CriterionOutcome::Fail));
    BaselineReport { name, outcome, message: message.to_owned(), comparison: None }
}

#[test]
fn a_regression_has_an_event_of_its_own_and_is_in_status() {
    let world = largest();
    let mut report = report_of(&world);
    (report.verdict, report.baseline) = (Verdict::Failed, Some(regression("Worse than shop/earlier: all p95.")));
    let step = Step::Conclude { conclusion: Conclusion::Impossible(String::new()), without_report: true };
    let memory = RunMemory::new(world.compiled.as_ref().clone());
    let draft = draft(&world, &step, &Applied::Stored(Box::new(report)), &memory).unwrap();
    let said = draft.events.iter().filter(|(_, reason, _)| *reason == reason::REGRESSION);
    assert_eq!(said.map(|(.., text)| text.as_str()).collect::<Vec<_>>(), ["Worse than shop/earlier: all p95."]);
    let status = draft.status.baseline.unwrap();
    assert_eq!((&*status.name, status.outcome), ("shop/earlier", Some(CriterionOutcome::Fail)));
}

#[test]
fn status_is_at_most_64_kib() {
    let world = largest();
    let mut report = report_of(&world);
    let figures = Figures {
        requests: u64::MAX,
        outcomes: Outcome::ALL.into_iter().map(|outcome| (outcome.name().to_owned(), u64::MAX)).collect(),
        ..report.summary.clone()
    };
    report.summary = figures.clone();
    report.scenarios.iter_mut().for_each(|scenario| scenario.figures = figures.clone());
    // Each of them searched, in as many steps as it can take, with as long a criterion as there may be.
    let step = SearchStepReport {
        level: LoadLevel { users: Some(1_000_000), rate: None },
        at: 0,
        window_from: 0,
        window_until: 0,
        observed: Some(1.0),
        dropped: 0,
        held: Some(false),
        why: format!("{} did not hold: 1,000,000", "x".repeat(256)),
    };
    let search = SearchReport { until: String::new(), answer: None, finished: true, steps: vec![step; 64] };
    report.scenarios.iter_mut().for_each(|scenario| scenario.search = Some(search.clone()));
    report.reason = "🦀".repeat(10_000);
    report.baseline = Some(regression(&"🦀".repeat(10_000)));
    let step = Step::Conclude { conclusion: Conclusion::Impossible(String::new()), without_report: true };
    let memory = RunMemory::new(world.compiled.as_ref().clone());
    let mut draft = draft(&world, &step, &Applied::Stored(Box::new(report)), &memory).unwrap();
    draft.status.report.as_mut().unwrap().store.as_mut().unwrap().message = "x".repeat(MAX_MESSAGE);
    // A metric without figures says why there are none.
    let metric = ServerMetricStatus { message: "x".repeat(120), ..ServerMetricStatus::default() };
    let change = |figure: &str| (figure.to_owned(), "-1000.123456789".to_owned());
    draft.status.measured.as_mut().unwrap().baseline_change =
        ["rate", "errors", "p50", "p95", "p99"].map(change).into();
    draft.status.server = (0..16).map(|number| (format!("{number:x>63}"), metric.clone())).collect();
    let size = serde_json::to_string(&draft.status).unwrap().len();
    let fields = serde_json::to_value(&draft.status).unwrap();
    let sizes = fields.as_object().unwrap().iter().map(|(name, value)| (name, value.to_string().len()));
    assert!(size <= MAX_STATUS, "{size} bytes: {:?}", sizes.collect::<Vec<_>>());
}

#[test]
fn of_many_searches_only_the_last_steps_are_in_status() {
    let step = |number: usize| SearchStepStatus {
        level: format!("{number} users"),
        held: Some(false),
        why: "count(outcome(unexpected-status)) == 0 did not hold: 1,000,000".to_owned(),
    };
    let search = SearchStatus { steps: (1..=32).map(step).collect(), ..SearchStatus::default() };
    assert_eq!(cut(vec![search.clone()]), std::slice::from_ref(&search));
    let many = cut(vec![search; 32]);
    assert!(serde_json::to_string(&many).unwrap().len() < 10 << 10);
    assert!(many.iter().all(|search| search.steps.last() == Some(&step(32))));
}

/// A run of two runners, the first of which is as `change` makes it.
fn under_load(test: LoadTest, change: impl Fn(&mut Snapshot)) -> (World, RunMemory) {
    let compiled = compile(&test.spec, "shop/tale");
    let mut memory = RunMemory::new(compiled);
    let view = |index| {
        let mut snapshot = crate::memory::tests::begun(index, 1_000_000);
        snapshot.clock = 40_000_000;
        if index == 0 {
            change(&mut snapshot);
        }
        memory.note(index, snapshot.clone(), true).unwrap();
        RunnerView::Present { snapshot: Box::new(memory.latest[index as usize].clone().unwrap()), began_at: None }
    };
    let runners = (0..2).map(view).collect();
    let world = World { test: Arc::new(test), compiled: Arc::clone(&memory.compiled), runners, ..largest() };
    (world, memory)
}

#[test]
fn a_saturated_generator_is_told_at_once_and_with_one_event() {
    let test = json!({
        "apiVersion": "proofload.dev/v1alpha1", "kind": "LoadTest", "metadata": {"name": "tale", "namespace": "shop"},
        "spec": {
            "target": {"baseUrl": "http://t"},
            "scenarios": [{"name": "main", "users": {"stages": [{"to": 2, "hold": "60s"}]},
                           "steps": [{"name": "get", "request": {"path": "/"}}]}],
            "runners": {"count": 2},
        },
    });
    let mut test = admit(&test).unwrap_or_else(|problems| panic!("{problems:?}"));
    let busy = |snapshot: &mut Snapshot| {
        let recent = &mut snapshot.generator.recent;
        (recent.cpu, recent.throttled) = (Ratio::new(97, 100), Ratio::new(0, 10_000_000));
    };
    let mut look = |change: &dyn Fn(&mut Snapshot)| {
        let (world, mut memory) = under_load(test.clone(), change);
        // Progress was written just now.
        memory.last_live = test.status.is_some().then(|| (Instant::now(), Mark::default()));
        let decision = Decision { action: Action::Wait, waiting_for: String::new(), lost: Vec::new() };
        let draft = draft(&world, &Step::Conduct(decision), &Applied::Done, &memory).unwrap();
        test.status = Some(draft.status.clone());
        let said = draft.events.into_iter().filter(|(_, reason, _)| *reason == reason::GENERATOR_SATURATED);
        (draft.status.generator.unwrap(), said.map(|(.., text)| text).collect::<Vec<_>>(), draft.urgent)
    };
    let (generator, said, _) = look(&|_| {});
    assert!(generator.healthy && generator.warnings.is_empty() && said.is_empty());
    let (generator, said, urgent) = look(&busy);
    assert!(!generator.healthy && urgent);
    let expected = "Runner 0 could not keep up: it used 97% of its CPU over the last seconds. \
                Use 2 more runners, or give each more CPU.";
    assert_eq!((&*said, &*generator.warnings), (&[expected.to_owned()][..], &[expected.to_owned()][..]));
    let (generator, said, urgent) = look(&busy);
    assert_eq!((generator.healthy, said.len(), urgent), (false, 0, false));
    // It keeps up again, but it has not kept up all of the time.
    let (generator, said, _) = look(&|_| {});
    assert_eq!((generator.healthy, said.len()), (false, 0));
}

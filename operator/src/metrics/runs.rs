//! Load tests, as their status tells of them.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use proofload_api::schedule::marks::SCHEDULE_LABEL;
use proofload_api::status::CriterionOutcome;
use proofload_api::{LoadTest, LoadTestStatus, Phase};
use proofload_metrics::catalogue::operator::{
    BASELINE_CHANGE, BASELINE_OK, COMPLETION, CRITERION_OK, CRITERION_VALUE, ERROR_RATIO, LOADTESTS, P95, P99, RATE,
    RUNNERS, SKEW, START, TEST_INFO, VERDICT,
};
use proofload_metrics::{Exposition, MOST_TESTS};

/// Tells of all tests how many there are, and of the latest all that is known.
pub(super) fn describe(seen: &mut Exposition, mut tests: Vec<Arc<LoadTest>>) {
    let mut phases: BTreeMap<(String, Phase), u32> = BTreeMap::new();
    for test in &tests {
        let phase = test.status.as_ref().and_then(|status| status.phase).unwrap_or(Phase::Pending);
        *phases.entry((test.namespace().unwrap_or_default(), phase)).or_default() += 1;
    }
    for ((namespace, phase), count) in phases {
        seen.set(&LOADTESTS, [&namespace, &phase.to_string()], f64::from(count));
    }
    // The uid decides among those of one second, so that the same are told of each time.
    let age = |test: &Arc<LoadTest>| (test.creation_timestamp().map(|time| time.0), test.uid());
    tests.sort_by_cached_key(|test| Reverse(age(test)));
    for test in tests.iter().take(MOST_TESTS) {
        of(seen, test);
    }
}

fn of(seen: &mut Exposition, test: &LoadTest) {
    let nothing = LoadTestStatus::default();
    let status = test.status.as_ref().unwrap_or(&nothing);
    let (namespace, name) = (test.namespace().unwrap_or_default(), test.name_any());
    let (namespace, name) = (namespace.as_str(), name.as_str());
    let schedule = test.labels().get(SCHEDULE_LABEL).map_or("", String::as_str);
    let labels = [namespace, name, schedule];
    let phase = status.phase.unwrap_or(Phase::Pending).to_string();
    let verdict = status.verdict.map(|verdict| verdict.to_string()).unwrap_or_default();
    seen.set(&TEST_INFO, [namespace, name, schedule, &phase, &verdict], 1.0);
    if status.verdict.is_some() {
        seen.set(&VERDICT, [namespace, name, schedule, &verdict], 1.0);
    }
    let in_use =
        status.runners.filter(|_| status.verdict.is_none()).map_or(0, |runners| runners.ready + runners.running);
    seen.set(&RUNNERS, [namespace, name], f64::from(in_use));
    for (family, time) in [(&START, &status.start_time), (&COMPLETION, &status.completion_time)] {
        if let Some(Time(time)) = time {
            seen.set(family, labels, time.as_second() as f64);
        }
    }
    for criterion in &status.criteria {
        let part = |part: &Option<String>| part.clone().unwrap_or_default();
        let (of, during) = (part(&criterion.of), part(&criterion.during));
        let labels = [namespace, name, schedule, &criterion.expr, &of, &during];
        seen.set(&CRITERION_OK, labels, f64::from(u8::from(criterion.outcome == CriterionOutcome::Pass)));
        if let Some(value) = number(&criterion.value) {
            seen.set(&CRITERION_VALUE, labels, value);
        }
    }
    if let Some((baseline, outcome)) = status.baseline.as_ref().and_then(|held| Some((&held.name, held.outcome?))) {
        let labels = [namespace, name, schedule, baseline];
        seen.set(&BASELINE_OK, labels, f64::from(u8::from(outcome == CriterionOutcome::Pass)));
    }
    let Some(measured) = &status.measured else { return };
    for (figure, change) in &measured.baseline_change {
        if let Some(change) = number(change) {
            seen.set(&BASELINE_CHANGE, [namespace, name, schedule, figure], change);
        }
    }
    if let Some(skew) = number(&measured.start_skew) {
        seen.set(&SKEW, [namespace, name], skew);
    }
    let figures = [
        (&RATE, &measured.requests_per_second),
        (&ERROR_RATIO, &measured.error_ratio),
        (&P95, &measured.p95),
        (&P99, &measured.p99),
    ];
    for (family, value) in figures {
        if let Some(value) = number(value) {
            seen.set(family, labels, value);
        }
    }
}

/// A decimal number, as status has it; whoever may write status may have written anything.
fn number(decimal: &str) -> Option<f64> {
    decimal.parse().ok().filter(|value: &f64| value.is_finite())
}

#[cfg(test)]
mod tests {
    use kube::runtime::reflector::store;
    use kube::runtime::watcher;
    use proofload_metrics::Format;
    use serde_json::{Value, json};

    use super::super::Metrics;
    use super::*;

    fn test(name: &str, created: &str, status: &Value) -> LoadTest {
        let test = json!({
            "apiVersion": "proofload.dev/v1alpha1", "kind": "LoadTest",
            "metadata": {
                "name": name, "namespace": "shop", "uid": name, "creationTimestamp": created,
                "labels": {"proofload.dev/schedule": "nightly"},
            },
            "spec": {"target": {"baseUrl": "http://t"}, "scenarios": []},
            "status": status,
        });
        serde_json::from_value(test).unwrap()
    }

    fn finished() -> LoadTest {
        test(
            "checkout",
            "2026-01-01T00:00:00Z",
            &json!({
                "phase": "Finished", "verdict": "Failed",
                "startTime": "1970-01-01T00:01:00Z", "completionTime": "1970-01-01T00:02:00Z",
                "runners": {"desired": 2, "ready": 0, "running": 2, "finished": 0, "lost": 0},
                "criteria": [
                    {"expr": "p95(latency) < 500ms", "during": "peak", "observed": "812ms", "value": "0.812345", "outcome": "Fail"},
                    {"expr": "rate(status(\"2\\n\")) > 1%", "observed": "-", "outcome": "NoData"},
                    {"expr": "rate(errors) < 1%", "observed": "0.2%", "value": "0.002", "outcome": "Pass"},
                ],
                "measured": {"requestsPerSecond": "0.25", "errorRatio": "0.002", "p95": "0.812345", "p99": "inf", "startSkew": "0.0003",
                             "baselineChange": {"p95": "0.31", "errors": "-0.002", "rate": "NaN"}},
                "baseline": {"name": "shop/checkout-1", "outcome": "Fail", "message": "Worse"},
            }),
        )
    }

    #[test]
    fn a_finished_test_is_told_of_in_base_units_until_it_is_deleted() {
        let (reader, mut writer) = store();
        let metrics = Metrics::default();
        metrics.tests_from(reader);
        writer.apply_watcher_event(&watcher::Event::Apply(finished()));
        let text = || String::from_utf8(Format::Text.write(&metrics.exposition())).unwrap();
        let told = text();
        let labels = "namespace=\"shop\",loadtest=\"checkout\"";
        let schedule = format!("{labels},schedule=\"nightly\"");
        for line in [
            "proofload_loadtests{namespace=\"shop\",phase=\"Finished\"} 1".to_owned(),
            format!("proofload_loadtest_info{{{schedule},phase=\"Finished\",verdict=\"Failed\"}} 1"),
            format!("proofload_loadtest_verdict{{{schedule},verdict=\"Failed\"}} 1"),
            format!("proofload_loadtest_baseline_ok{{{schedule},baseline=\"shop/checkout-1\"}} 0"),
            format!("proofload_loadtest_baseline_change_ratio{{{schedule},figure=\"p95\"}} 0.31"),
            format!(
                "proofload_loadtest_criterion_value{{{schedule},criterion=\"p95(latency) < 500ms\",of=\"\",\
                 during=\"peak\"}} 0.812345"
            ),
            format!(
                "proofload_loadtest_criterion_ok{{{schedule},criterion=\"rate(status(\\\"2\\\\n\\\")) > 1%\",of=\"\",\
                 during=\"\"}} 0"
            ),
            format!(
                "proofload_loadtest_criterion_ok{{{schedule},criterion=\"rate(errors) < 1%\",of=\"\",during=\"\"}} 1"
            ),
            format!("proofload_loadtest_requests_per_second{{{schedule}}} 0.25"),
            format!("proofload_loadtest_error_ratio{{{schedule}}} 0.002"),
            format!("proofload_loadtest_p95_seconds{{{schedule}}} 0.812345"),
            format!("proofload_loadtest_start_timestamp_seconds{{{schedule}}} 60"),
            format!("proofload_loadtest_completion_timestamp_seconds{{{schedule}}} 120"),
            format!("proofload_loadtest_start_skew_seconds{{{labels}}} 0.0003"),
            format!("proofload_loadtest_runners{{{labels}}} 0"),
        ] {
            assert!(told.lines().any(|each| each == line), "{line} is not in\n{told}");
        }
        assert_eq!(told.matches("\nproofload_loadtest_criterion_value{").count(), 2, "{told}");
        assert!(!told.contains("proofload_loadtest_p99_seconds"), "{told}");
        writer.apply_watcher_event(&watcher::Event::Delete(finished()));
        assert!(!text().contains("checkout"));
    }

    #[test]
    fn of_very_many_tests_the_latest_are_told_of_and_all_are_counted() {
        let count = MOST_TESTS + 2;
        let each = |number: usize| {
            let created = format!("2026-01-01T{:02}:{:02}:00Z", number / 60, number % 60);
            Arc::new(test(&format!("test-{number}"), &created, &json!({"phase": "Running"})))
        };
        let mut seen = Exposition::new();
        describe(&mut seen, (0..count).map(each).collect());
        let text = String::from_utf8(Format::Text.write(&seen)).unwrap();
        assert!(
            text.contains(&format!("proofload_loadtests{{namespace=\"shop\",phase=\"Running\"}} {count}\n")),
            "{text}"
        );
        assert_eq!(text.matches("\nproofload_loadtest_info{").count(), MOST_TESTS);
        for (number, is_told) in [(0, false), (1, false), (2, true), (count - 1, true)] {
            assert_eq!(text.contains(&format!("loadtest=\"test-{number}\"")), is_told, "{number}");
        }
    }
}

//! Runs held against earlier ones on a real cluster: a named run, the last run of a schedule that passed, and a report that
//! somebody stored.

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::{ConfigMap, Event};
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use proofload_api::status::CriterionOutcome;
use proofload_api::{LoadTest, LoadTestSchedule, Verdict};
use proofload_e2e::{Run, Site, load_test, until};
use serde_json::{Value, json};

/// A test of five users for ten seconds, each of whose answers takes so many milliseconds.
fn test_of(site: &Site, name: &str, millis: u32, baseline: &Value) -> Value {
    let mut test = load_test(site, name, 1, 5, 10);
    let spec = &mut test["spec"];
    spec["scenarios"][0]["steps"][0]["request"]["path"] = format!("/delay/{millis}").into();
    if !baseline.is_null() {
        spec["baseline"] = baseline.clone();
    }
    test
}

#[tokio::test]
async fn e2e_a_regression_against_a_named_run_fails() -> Result<()> {
    let site = Site::new("regression").await?;
    let first = Run::create(&site, &test_of(&site, "before", 20, &Value::Null)).await?;
    first.ends_as(Verdict::Passed, 90).await?;
    let against = json!({"loadTest": "before"});
    let same =
        Run::create(&site, &test_of(&site, "same", 20, &json!({"loadTest": "before", "tolerance": "100%"}))).await?;
    let status = same.ends_as(Verdict::Passed, 90).await?;
    let held = status.baseline.context("it was held against something")?;
    assert_eq!((&*held.name, held.outcome), ("e2e-regression/before", Some(CriterionOutcome::Pass)));
    let slower = Run::create(&site, &test_of(&site, "slower", 100, &against)).await?;
    let status = slower.ends_as(Verdict::Failed, 90).await?;
    let held = status.baseline.clone().context("it was held against something")?;
    assert_eq!(held.outcome, Some(CriterionOutcome::Fail));
    assert!(held.regressions.iter().any(|line| line.starts_with("main p95 ")), "{held:?}");
    assert!(status.criteria.iter().all(|criterion| criterion.outcome == CriterionOutcome::Pass), "{status:?}");
    assert_eq!(slower.report().await?.verdict_from_parts(), Verdict::Failed);
    until("an event on the regression", 30, || async {
        let events = site.api::<Event>().list(&ListParams::default()).await?;
        let mut reasons = events.items.iter().filter_map(|event| event.reason.as_deref());
        Ok(if reasons.any(|reason| reason == "Regression") { Ok(()) } else { Err("there is none".to_owned()) })
    })
    .await?;
    site.close().await
}

#[tokio::test]
async fn e2e_a_report_that_somebody_stored_is_a_baseline() -> Result<()> {
    let site = Site::new("stored").await?;
    let first = Run::create(&site, &test_of(&site, "before", 20, &Value::Null)).await?;
    first.ends_as(Verdict::Passed, 90).await?;
    let stored = String::from_utf8(first.report_json().await?)?;
    // The run goes, and its report with it.
    site.api::<LoadTest>().delete("before", &kube::api::DeleteParams::default()).await?;
    let map = json!({"metadata": {"name": "main"}, "data": {"report.json": stored}});
    site.api::<ConfigMap>().create(&PostParams::default(), &serde_json::from_value(map)?).await?;
    let against = json!({"configMap": {"name": "main", "key": "report.json"}});
    let slower = Run::create(&site, &test_of(&site, "slower", 100, &against)).await?;
    let status = slower.ends_as(Verdict::Failed, 90).await?;
    assert_eq!(status.baseline.map(|held| held.name).as_deref(), Some("e2e-stored/before"));
    site.close().await
}

#[tokio::test]
async fn e2e_a_baseline_that_is_not_there_is_said_before_any_load() -> Result<()> {
    let site = Site::new("no-baseline").await?;
    for (name, baseline, expected) in [
        (
            "no-test",
            json!({"loadTest": "gone"}),
            "spec.baseline.loadTest: expected a run that is over and has a report, got there is no LoadTest gone",
        ),
        ("no-map", json!({"configMap": {"name": "gone", "key": "x"}}), "got there is no ConfigMap gone"),
        ("no-schedule", json!({"schedule": "gone"}), "got there is no LoadTestSchedule gone"),
        ("itself", json!({"loadTest": "itself"}), "spec.baseline.loadTest: expected another LoadTest than this one"),
        ("a-file", json!({"file": "main.json"}), "spec.baseline.file: expected another baseline in a cluster"),
    ] {
        let run = Run::create(&site, &test_of(&site, name, 5, &baseline)).await?;
        let status = run.ends_as(Verdict::Error, 60).await?;
        assert!(status.message.contains(expected), "{name}: {}", status.message);
    }
    assert_eq!(site.counts().await?.requests, 0);
    site.close().await
}

/// Asks a schedule for a run now, and waits for its verdict.
async fn triggered(site: &Site, schedule: &str, wish: &str, before: usize) -> Result<LoadTest> {
    let annotation = json!({"metadata": {"annotations": {"proofload.dev/trigger": wish}}});
    site.api::<LoadTestSchedule>().patch(schedule, &PatchParams::default(), &Patch::Merge(annotation)).await?;
    until("the verdict of a run of the schedule", 120, || async {
        let schedule = site.api::<LoadTestSchedule>().get(schedule).await?;
        let history = schedule.status.unwrap_or_default().history;
        match history.first().filter(|_| history.len() > before) {
            Some(run) => Ok(Ok(site.api::<LoadTest>().get(&run.name).await?)),
            None => Ok(Err(format!("its history is {history:?}"))),
        }
    })
    .await
}

#[tokio::test]
async fn e2e_a_regression_against_the_last_run_of_its_schedule_that_passed_fails() -> Result<()> {
    let site = Site::new("scheduled").await?;
    let spec = test_of(&site, "template", 20, &json!({"schedule": "nightly", "tolerance": "100%"}))["spec"].clone();
    let schedule = json!({
        "apiVersion": "proofload.dev/v1alpha1", "kind": "LoadTestSchedule", "metadata": {"name": "nightly"},
        // Never by itself within a test.
        "spec": {"schedule": "0 0 29 2 *", "template": {"spec": spec}},
    });
    let schedules = site.api::<LoadTestSchedule>();
    schedules.create(&PostParams::default(), &serde_json::from_value(schedule)?).await?;
    // There is no earlier run yet, which changes nothing.
    let first = triggered(&site, "nightly", "one", 0).await?.status.unwrap_or_default();
    assert_eq!(first.verdict, Some(Verdict::Passed), "{}", first.message);
    let held = first.baseline.context("it says so")?;
    assert_eq!((held.outcome, &*held.name), (None, ""));
    let slower = json!({"spec": {"template": {"spec": {"scenarios":
        test_of(&site, "template", 100, &Value::Null)["spec"]["scenarios"].clone()}}}});
    schedules.patch("nightly", &PatchParams::default(), &Patch::Merge(slower)).await?;
    let second = triggered(&site, "nightly", "two", 1).await?.status.unwrap_or_default();
    assert_eq!(second.verdict, Some(Verdict::Failed), "{}", second.message);
    assert_eq!(second.baseline.and_then(|held| held.outcome), Some(CriterionOutcome::Fail));
    site.close().await
}

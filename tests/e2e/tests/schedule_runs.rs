//! Schedules on a real cluster: ticks, overlaps, histories, pauses, wishes, rollouts, and an operator that is killed.
//!
//! A minute is the shortest time between two ticks, so tests share theirs.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use proofload_api::schedule::{RunCause, ScheduleState, marks};
use proofload_api::{LoadTest, LoadTestSchedule, LoadTestScheduleStatus, Verdict};
use proofload_e2e::{Site, faults, load_test, proofload, until};
use serde_json::{Value, json};

/// A schedule of a test that one runner executes for so many seconds.
fn schedule(site: &Site, name: &str, cron: &str, seconds: u64) -> Value {
    json!({
        "apiVersion": "proofload.dev/v1alpha1",
        "kind": "LoadTestSchedule",
        "metadata": {"name": name},
        "spec": {"schedule": cron, "template": {"spec": load_test(site, name, 1, 1, seconds)["spec"]}},
    })
}

async fn create(site: &Site, schedule: &Value) -> Result<()> {
    let schedule: LoadTestSchedule = serde_json::from_value(schedule.clone())?;
    site.api().create(&PostParams::default(), &schedule).await?;
    Ok(())
}

async fn patch(site: &Site, name: &str, patch: &Value) -> Result<()> {
    let api = site.api::<LoadTestSchedule>();
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await?;
    Ok(())
}

async fn status(site: &Site, name: &str) -> Result<LoadTestScheduleStatus> {
    Ok(site.api::<LoadTestSchedule>().get(name).await?.status.unwrap_or_default())
}

/// Waits until the status is as wanted.
async fn comes_to(
    site: &Site,
    name: &str,
    seconds: u64,
    is_wanted: impl Fn(&LoadTestScheduleStatus) -> bool,
) -> Result<LoadTestScheduleStatus> {
    until(&format!("schedule {name}"), seconds, || async {
        let status = status(site, name).await?;
        Ok(if is_wanted(&status) { Ok(status) } else { Err(format!("its status is {status:#?}")) })
    })
    .await
}

/// The runs of a schedule.
async fn runs(site: &Site, name: &str) -> Result<Vec<LoadTest>> {
    let ours = ListParams::default().labels(&format!("{}={name}", marks::SCHEDULE_LABEL));
    Ok(site.api::<LoadTest>().list(&ours).await?.items)
}

async fn run_now(site: &Site, name: &str, wish: &str) -> Result<()> {
    patch(site, name, &json!({"metadata": {"annotations": {marks::TRIGGER: wish}}})).await
}

#[tokio::test]
async fn e2e_schedules_fire_skip_keep_their_history_and_pause() -> Result<()> {
    let site = Site::new("schedules").await?;
    let mut twice = schedule(&site, "twice", "* * * * *", 4);
    twice["spec"]["history"] = json!({"passed": 1});
    create(&site, &twice).await?;
    create(&site, &schedule(&site, "overlap", "* * * * *", 90)).await?;
    let mut fails = schedule(&site, "fails", "* * * * *", 4);
    fails["spec"]["pauseAfter"] = json!(1);
    fails["spec"]["template"]["spec"]["criteria"] = json!([{"expr": "count(requests) > 1000000"}]);
    create(&site, &fails).await?;
    let mut broken = schedule(&site, "broken", "61 * * * *", 4);
    broken["spec"]["timeZone"] = json!("Europe/Belin");
    broken["spec"]["template"]["spec"]["scenarios"][0]["steps"][0]["request"]["path"] = json!("/{{id}}");
    create(&site, &broken).await?;

    let invalid = comes_to(&site, "broken", 30, |status| status.state == Some(ScheduleState::Invalid)).await?;
    for expected in [
        "spec.schedule: expected minutes from 0 to 59, got \"61\"",
        "spec.timeZone: expected the name of a zone",
        "did you mean Europe/Berlin?",
        "spec.template.spec.scenarios[0].steps[0].request.path",
    ] {
        assert!(invalid.message.contains(expected), "{expected} is not in: {}", invalid.message);
    }

    let paused = comes_to(&site, "fails", 120, |status| status.state == Some(ScheduleState::Paused)).await?;
    assert_eq!((paused.last_verdict, paused.failures_in_a_row), (Some(Verdict::Failed), 1));
    assert!(paused.message.contains("did not pass") && paused.next_schedule_time.is_none(), "{}", paused.message);

    let skipped = comes_to(&site, "overlap", 150, |status| status.skipped >= 1).await?;
    assert_eq!((skipped.active_runs, runs(&site, "overlap").await?.len()), (1, 1));

    let fired = comes_to(&site, "twice", 150, |status| status.history.len() >= 2).await?;
    assert!(fired.history.iter().all(|run| run.verdict == Verdict::Passed && run.cause == RunCause::Schedule));
    let minutes = (fired.history[0].due.0.as_second() - fired.history[1].due.0.as_second()) / 60;
    assert_eq!((minutes, fired.missed, fired.skipped), (1, 0, 0));
    until("one run that passed to be kept", 30, || async {
        let finished: Vec<_> =
            runs(&site, "twice").await?.iter().filter(|run| verdict(run).is_some()).map(name).collect();
        let last = status(&site, "twice").await?.last_passed.into_iter().collect::<Vec<_>>();
        Ok(if finished == last { Ok(()) } else { Err(format!("there are {finished:?}, the last is {last:?}")) })
    })
    .await?;
    // Its minute came again since.
    assert_eq!(runs(&site, "fails").await?.len(), 1);
    assert_eq!(runs(&site, "broken").await?.len(), 0);
    let reasons: BTreeSet<String> = site.events("fails").await?.into_iter().map(|(reason, _)| reason).collect();
    assert!(reasons.contains("Fired") && reasons.contains("Paused"), "{reasons:?}");

    site.api::<LoadTestSchedule>().delete("overlap", &DeleteParams::default()).await?;
    until("the runs to go with their schedule", 60, || async {
        let left = runs(&site, "overlap").await?.len();
        Ok(if left == 0 { Ok(()) } else { Err(format!("{left} are there")) })
    })
    .await?;
    site.close().await
}

fn verdict(run: &LoadTest) -> Option<Verdict> {
    run.status.as_ref().and_then(|status| status.verdict)
}

fn name(run: &LoadTest) -> String {
    run.name_any()
}

#[tokio::test]
async fn fault_an_operator_that_begins_with_many_schedules_looks_after_each_of_them() -> Result<()> {
    let site = Site::new("many-schedules").await?;
    let names: Vec<String> = (0..8).map(|i| format!("yearly-{i}")).collect();
    for name in &names {
        create(&site, &schedule(&site, name, "0 3 1 1 *", 3)).await?;
    }
    // So many runs that the list of schedules is there long before that of runs. They belong to none of these.
    for index in 0..150 {
        let mut run = load_test(&site, &format!("another-{index}"), 1, 1, 1);
        run["metadata"]["labels"] = json!({marks::SCHEDULE_LABEL: "another"});
        run["spec"]["suspend"] = json!(true);
        site.api::<LoadTest>().create(&PostParams::default(), &serde_json::from_value(run)?).await?;
    }
    for turn in 0..3 {
        faults::scale_operator(&site.client, 0).await?;
        faults::scale_operator(&site.client, 1).await?;
        let suspend = turn % 2 == 0;
        let expected = if suspend { ScheduleState::Suspended } else { ScheduleState::Active };
        for name in &names {
            patch(&site, name, &json!({"spec": {"suspend": suspend}})).await?;
        }
        for name in &names {
            comes_to(&site, name, 40, |status| status.state == Some(expected)).await?;
        }
    }
    site.close().await
}

#[tokio::test]
async fn fault_a_schedule_fires_once_while_the_operator_is_killed_at_the_tick() -> Result<()> {
    let site = Site::new("killed-at-tick").await?;
    create(&site, &schedule(&site, "steady", "* * * * *", 3)).await?;
    let first = comes_to(&site, "steady", 30, |status| status.next_schedule_time.is_some()).await?;
    let tick = first.next_schedule_time.context("a next time")?.0;
    until("the tick", 70, || async {
        Ok(if Timestamp::now() >= tick { Ok(()) } else { Err("it is to come".to_owned()) })
    })
    .await?;
    faults::kill_operator(&site.client).await?;
    let ended = comes_to(&site, "steady", 120, |status| status.history.iter().any(|run| run.due.0 == tick)).await?;
    assert_eq!(ended.missed, 0, "{ended:#?}");
    patch(&site, "steady", &json!({"spec": {"suspend": true}})).await?;
    let all = runs(&site, "steady").await?;
    let of_tick = |run: &&LoadTest| run.annotations().get(marks::DUE) == Some(&tick.to_string());
    assert_eq!(all.iter().filter(of_tick).count(), 1, "one run for one tick");
    let dues: BTreeSet<_> = all.iter().map(|run| run.annotations().get(marks::DUE)).collect();
    assert_eq!(dues.len(), all.len(), "and so for every other");
    site.close().await
}

#[tokio::test]
async fn e2e_a_schedule_runs_when_it_is_asked_and_when_a_deployment_has_rolled_out() -> Result<()> {
    let site = Site::new("on-demand").await?;
    site.api::<Deployment>().create(&PostParams::default(), &serde_json::from_value(deployment(1)?)?).await?;
    let mut asked = schedule(&site, "asked", "0 0 1 1 *", 3);
    asked["spec"]["onRollout"] = json!({"deployment": "shop"});
    create(&site, &asked).await?;
    comes_to(&site, "asked", 90, |status| status.rolled_out.is_some()).await?;
    assert_eq!(runs(&site, "asked").await?.len(), 0, "what is there before is no rollout");

    let patch_of_two = json!({"spec": {"template": deployment(2)?["spec"]["template"]}});
    let deployments = site.api::<Deployment>();
    deployments.patch("shop", &PatchParams::default(), &Patch::Merge(&patch_of_two)).await?;
    let rolled = comes_to(&site, "asked", 150, |status| status.history.len() == 1).await?;
    assert_eq!((rolled.history[0].cause, rolled.history[0].verdict), (RunCause::Rollout, Verdict::Passed));

    // By kubectl alone, of a schedule that is suspended.
    patch(&site, "asked", &json!({"spec": {"suspend": true}})).await?;
    run_now(&site, "asked", "once").await?;
    let triggered = comes_to(&site, "asked", 90, |status| status.history.len() == 2).await?;
    assert_eq!((triggered.history[0].cause, triggered.state), (RunCause::Trigger, Some(ScheduleState::Suspended)));
    // By the command line, which waits for the verdict.
    let said = proofload(&["trigger", "asked", "--namespace", &site.namespace, "--wait", "--timeout", "2m"]).await?;
    assert!(said.contains(": Passed: "), "{said}");
    assert_eq!(runs(&site, "asked").await?.len(), 3);
    site.close().await
}

#[tokio::test]
async fn e2e_a_run_that_replaces_another_is_made_once_the_load_of_that_has_ended() -> Result<()> {
    let site = Site::new("replaced").await?;
    let mut replacing = schedule(&site, "impatient", "0 0 1 1 *", 60);
    replacing["spec"]["concurrencyPolicy"] = json!("Replace");
    create(&site, &replacing).await?;
    run_now(&site, "impatient", "first").await?;
    let under_load = comes_to(&site, "impatient", 60, |status| !status.active.is_empty()).await?;
    let first = under_load.active[0].clone();
    until("the first to be under load", 60, || async {
        let sent = site.counts().await?.requests;
        Ok(if sent > 0 { Ok(()) } else { Err("no request came".to_owned()) })
    })
    .await?;
    run_now(&site, "impatient", "second").await?;
    until("another run", 60, || async {
        let is_there = runs(&site, "impatient").await?.iter().any(|run| run.name_any() != first);
        Ok(if is_there { Ok(()) } else { Err(format!("{first} is the only one")) })
    })
    .await?;
    let left: Vec<String> = site.runners(&first).await?.iter().map(ResourceExt::name_any).collect();
    assert!(left.is_empty(), "{left:?} are still there");
    site.close().await
}

/// A Deployment of so many containers: of another number, of other images.
fn deployment(containers: u16) -> Result<Value> {
    let image = std::env::var("PROOFLOAD_TARGET_IMAGE").context("PROOFLOAD_TARGET_IMAGE names the target's image")?;
    let container = |index: u16| {
        json!({
            "name": format!("shop-{index}"), "image": image,
            "args": [format!("--listen=0.0.0.0:{}", 8080 + 2 * index), format!("--admin=0.0.0.0:{}", 8081 + 2 * index)],
            "securityContext": {"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                                "capabilities": {"drop": ["ALL"]}},
        })
    };
    let labels = json!({"app": "shop"});
    Ok(json!({
        "metadata": {"name": "shop"},
        "spec": {"selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels},
            "spec": {
                "automountServiceAccountToken": false,
                "terminationGracePeriodSeconds": 1,
                "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": (0..containers).map(container).collect::<Vec<_>>(),
            },
        }},
    }))
}

//! Faults on a real cluster: whatever is lost, the run ends, says so, and counts nothing twice.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, ResourceQuota};
use kube::Api;
use kube::api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use proofload_api::{LoadTest, Phase, Verdict};
use proofload_e2e::{Node, Run, Site, faults, load_test, until};
use serde_json::json;

/// The pod of a runner.
async fn runner(site: &Site, test: &str, index: usize) -> Result<Pod> {
    let is_index = |pod: &Pod| {
        let labels = pod.metadata.labels.as_ref();
        labels.is_some_and(|l| l.get("batch.kubernetes.io/job-completion-index") == Some(&index.to_string()))
    };
    site.runners(test).await?.into_iter().find(is_index).with_context(|| format!("runner {index} is there"))
}

#[tokio::test]
async fn fault_a_runner_that_is_deleted_makes_the_run_inconclusive() -> Result<()> {
    let site = Site::new("deleted-runner").await?;
    let run = Run::create(&site, &load_test(&site, "hurt", 3, 6, 15)).await?;
    run.sends(100, 60).await?;
    let victim = runner(&site, "hurt", 1).await?.metadata.name.context("a name")?;
    site.api::<Pod>().delete(&victim, &DeleteParams::default()).await?;
    let status = run.ends_as(Verdict::Inconclusive, 90).await?;
    assert!(status.message.contains("unner 1") && status.message.contains('%'), "{}", status.message);
    let report = run.report().await?;
    let doubt = report.doubts.iter().find(|doubt| doubt.runner == Some(1)).context("a doubt about runner 1")?;
    assert!(doubt.missing.is_some_and(|share| share > 0.05 && share < 0.34), "{doubt:?}");
    // Its last snapshot was fetched while it was ending: not even its requests are lost.
    assert_eq!(report.summary.requests, site.counts().await?.requests);
    site.close().await
}

#[tokio::test]
async fn fault_a_runner_that_is_killed_for_its_memory_makes_the_run_inconclusive() -> Result<()> {
    let site = Site::new("oom").await?;
    let mut test = load_test(&site, "hungry", 2, 2, 3);
    // A histogram grows with the largest time in it. The second scenario's have more to hold than the pod has memory.
    let steps = (0..64).map(|i| json!({"name": format!("s{i}"), "request": {"path": format!("/delay/{}", 1500 + i)}}));
    test["spec"]["scenarios"].as_array_mut().context("a list")?.push(json!({
        "name": "slow", "after": "main", "flow": "Weighted", "steps": steps.collect::<Vec<_>>(),
        "users": {"stages": [{"to": 300, "hold": "10s"}, {"hold": "10s"}, {"hold": "10s"}]},
    }));
    test["spec"]["runners"]["resources"]["memory"] = json!("26Mi");
    let run = Run::create(&site, &test).await?;
    let status = run.ends_as(Verdict::Inconclusive, 180).await?;
    assert!(status.message.contains("OOMKilled"), "{}", status.message);
    assert!(status.runners.context("runners")?.lost > 0);
    run.leaves_no_pod(60).await?;
    site.close().await
}

/// A runner that shares its node neither with the target nor with the operator.
async fn lonely_runner(site: &Site, test: &str, runners: usize) -> Result<(usize, Node)> {
    let taken = [site.target_node().await?, faults::operator_node(&site.client).await?.0];
    for index in 0..runners {
        let node = runner(site, test, index).await?.spec.and_then(|spec| spec.node_name).context("a node")?;
        if !taken.contains(&node) {
            return Ok((index, Node(node)));
        }
    }
    anyhow::bail!("every runner shares a node with the target or the operator")
}

#[tokio::test]
async fn fault_a_node_that_loses_power_makes_the_run_inconclusive() -> Result<()> {
    let site = Site::new("power").await?;
    let run = Run::create(&site, &load_test(&site, "dark", 3, 6, 15)).await?;
    run.sends(100, 60).await?;
    let (index, node) = lonely_runner(&site, "dark", 3).await?;
    node.lose_power().await?;
    let ended = run.ends_as(Verdict::Inconclusive, 120).await;
    node.boot(&site.client).await?;
    let status = ended?;
    assert!(status.message.contains(&format!("unner {index}")), "{}", status.message);
    assert!(status.message.contains("not answered"), "{}", status.message);
    site.close().await
}

#[tokio::test]
async fn fault_a_node_cut_off_from_the_api_server_changes_nothing() -> Result<()> {
    let site = Site::new("cut-off").await?;
    let run = Run::create(&site, &load_test(&site, "apart", 3, 6, 15)).await?;
    run.sends(100, 60).await?;
    let (_, node) = lonely_runner(&site, "apart", 3).await?;
    node.lose_api_server().await?;
    let ended = run.ends_as(Verdict::Passed, 60).await;
    node.heal(&site.client).await?;
    ended?;
    assert_eq!(run.report().await?.summary.requests, site.counts().await?.requests);
    site.close().await
}

#[tokio::test]
async fn fault_an_operator_that_is_killed_goes_on_where_it_was() -> Result<()> {
    let site = Site::new("killed-operator").await?;
    let run = Run::create(&site, &load_test(&site, "steady", 3, 6, 15)).await?;
    run.sends(100, 60).await?;
    faults::kill_operator(&site.client).await?;
    run.ends_as(Verdict::Passed, 90).await?;
    let report = run.report().await?;
    assert_eq!(report.summary.requests, site.counts().await?.requests);
    assert_eq!(site.jobs().await?.items.len(), 1);
    site.close().await
}

/// No request within the last seconds, at most 10 s from now.
async fn target_is_left_alone(site: &Site) -> Result<()> {
    let asked = Instant::now();
    let quiet_since = until("the target to be left alone", 20, || async {
        let before = site.counts().await?;
        let mut window = tokio::time::interval(Duration::from_secs(2));
        window.tick().await;
        window.tick().await;
        let after = site.counts().await?;
        let new = after.requests - before.requests;
        Ok(if new == 0 {
            Ok(asked.elapsed().saturating_sub(Duration::from_secs(2)))
        } else {
            Err(format!("{new} requests came"))
        })
    })
    .await?;
    assert!(quiet_since <= Duration::from_secs(10), "the load ended only after {quiet_since:?}");
    Ok(())
}

#[tokio::test]
async fn fault_no_load_is_left_10_s_after_a_test_was_deleted() -> Result<()> {
    let site = Site::new("deleted").await?;
    let run = Run::create(&site, &load_test(&site, "unwanted", 2, 4, 300)).await?;
    run.sends(50, 60).await?;
    site.api::<LoadTest>().delete("unwanted", &DeleteParams::default()).await?;
    target_is_left_alone(&site).await?;
    site.close().await
}

#[tokio::test]
async fn fault_no_load_is_left_10_s_after_a_test_was_deleted_without_an_operator() -> Result<()> {
    let site = Site::new("orphaned").await?;
    let run = Run::create(&site, &load_test(&site, "unwanted", 2, 4, 300)).await?;
    run.sends(50, 60).await?;
    faults::scale_operator(&site.client, 0).await?;
    site.api::<LoadTest>().delete("unwanted", &DeleteParams::default()).await?;
    let left_alone = target_is_left_alone(&site).await;
    faults::scale_operator(&site.client, 1).await?;
    left_alone?;
    site.close().await
}

/// Lets no `ConfigMap` more into the namespace than there are.
async fn no_room(site: &Site) -> Result<Api<ResourceQuota>> {
    let there = site.api::<ConfigMap>().list(&ListParams::default()).await?.items.len();
    let quotas = site.api::<ResourceQuota>();
    let quota = json!({"metadata": {"name": "full"}, "spec": {"hard": {"count/configmaps": there.to_string()}}});
    quotas.create(&PostParams::default(), &serde_json::from_value(quota)?).await?;
    until("the quota to count", 30, || async {
        let status = quotas.get("full").await?.status.and_then(|status| status.used);
        Ok(if status.is_some() { Ok(()) } else { Err("it has not".to_owned()) })
    })
    .await?;
    Ok(quotas)
}

/// Status says that the run is over, and why its report is not stored.
async fn says_at_its_end(site: &Site, test: &str, why: &str) -> Result<()> {
    until("status to say so", 40, || async {
        let status = site.api::<LoadTest>().get(test).await?.status.unwrap_or_default();
        let is_said = status.message.contains(why) && status.phase == Some(Phase::Finishing);
        Ok(if is_said { Ok(()) } else { Err(format!("it says {}", status.message)) })
    })
    .await
}

/// Has every `ConfigMap` of the namespace admitted by a webhook that does not answer.
async fn webhook_is_down(site: &Site) -> Result<Api<ValidatingWebhookConfiguration>> {
    let name = format!("down-{}", site.namespace);
    let webhook = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": [{
            "name": "down.proofload.test",
            "clientConfig": {"url": "https://127.0.0.1:1/"},
            "failurePolicy": "Fail",
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "timeoutSeconds": 1,
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": site.namespace}},
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["CREATE"]}],
        }],
    });
    let webhooks = Api::<ValidatingWebhookConfiguration>::all(site.client.clone());
    webhooks.patch(&name, &PatchParams::apply("proofload-e2e"), &Patch::Apply(&webhook)).await?;
    let probe = ConfigMap {
        metadata: ObjectMeta { name: Some("probe".to_owned()), ..ObjectMeta::default() },
        ..ConfigMap::default()
    };
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    until("the webhook to be asked", 30, || async {
        Ok(match site.api::<ConfigMap>().create(&dry, &probe).await {
            Err(kube::Error::Api(refusal)) if refusal.code == 500 => Ok(()),
            other => Err(format!("{other:?}")),
        })
    })
    .await?;
    Ok(webhooks)
}

#[tokio::test]
async fn fault_a_report_is_stored_once_the_webhook_that_admits_it_is_back() -> Result<()> {
    let site = Site::new("no-webhook").await?;
    let run = Run::create(&site, &load_test(&site, "unadmitted", 1, 2, 8)).await?;
    run.reaches(Phase::Running, 60).await?;
    let webhooks = webhook_is_down(&site).await?;
    says_at_its_end(&site, "unadmitted", "failed calling webhook").await?;
    webhooks.delete(&format!("down-{}", site.namespace), &DeleteParams::default()).await?;
    run.ends_as(Verdict::Passed, 40).await?;
    assert_eq!(run.report().await?.summary.requests, site.counts().await?.requests);
    site.close().await
}

#[tokio::test]
async fn fault_a_report_that_a_quota_refuses_is_stored_once_there_is_room() -> Result<()> {
    let site = Site::new("no-room").await?;
    let run = Run::create(&site, &load_test(&site, "cramped", 1, 2, 8)).await?;
    run.reaches(Phase::Running, 60).await?;
    let quotas = no_room(&site).await?;
    says_at_its_end(&site, "cramped", "exceeded quota").await?;
    quotas.delete("full", &DeleteParams::default()).await?;
    run.ends_as(Verdict::Passed, 40).await?;
    assert_eq!(run.report().await?.summary.requests, site.counts().await?.requests);
    run.leaves_no_pod(60).await?;
    site.close().await
}

#[tokio::test]
async fn fault_a_report_for_which_there_is_never_room_ends_the_run_without_a_verdict() -> Result<()> {
    let site = Site::new("never-room").await?;
    let run = Run::create(&site, &load_test(&site, "lost", 1, 2, 5)).await?;
    run.reaches(Phase::Running, 60).await?;
    no_room(&site).await?;
    let status = run.ends_as(Verdict::Error, 150).await?;
    assert!(status.message.contains("could not be stored within 1m30s"), "{}", status.message);
    assert!(status.message.contains("exceeded quota"), "{}", status.message);
    assert_eq!(status.summary.context("what was seen")?.requests, site.counts().await?.requests);
    assert_eq!(status.report, None);
    run.leaves_no_pod(60).await?;
    // Nor does one that cannot even begin wait for a report.
    let mut test = load_test(&site, "unborn", 1, 2, 5);
    test["spec"]["runners"]["startDeadline"] = json!("5s");
    let status = Run::create(&site, &test).await?.ends_as(Verdict::Error, 40).await?;
    assert!(status.message.contains("could not be made within 5s"), "{}", status.message);
    site.close().await
}

#[tokio::test]
async fn fault_an_image_that_does_not_exist_ends_as_an_error_with_the_reason() -> Result<()> {
    let site = Site::new("no-image").await?;
    let mut test = load_test(&site, "imageless", 2, 2, 5);
    test["spec"]["runners"]["image"] = json!("localhost/none:missing");
    test["spec"]["runners"]["startDeadline"] = json!("10s");
    let run = Run::create(&site, &test).await?;
    let status = run.ends_as(Verdict::Error, 40).await?;
    assert!(status.message.contains("Image"), "{}", status.message);
    assert!(status.message.contains("0 of 2 runners were ready within 10s"), "{}", status.message);
    run.leaves_no_pod(60).await?;
    site.close().await
}

#[tokio::test]
async fn fault_a_pod_that_cannot_be_scheduled_ends_as_an_error_with_the_reason() -> Result<()> {
    let site = Site::new("no-node").await?;
    let mut test = load_test(&site, "homeless", 1, 2, 5);
    test["spec"]["runners"]["template"] = json!({"nodeSelector": {"proofload.dev/nowhere": "true"}});
    test["spec"]["runners"]["startDeadline"] = json!("8s");
    let run = Run::create(&site, &test).await?;
    run.reaches(Phase::Starting, 20).await?;
    let status = run.ends_as(Verdict::Error, 40).await?;
    assert!(status.message.contains("not scheduled: 0/"), "{}", status.message);
    run.leaves_no_pod(60).await?;
    site.close().await
}

//! Whole runs on a real cluster: exact counts, verdicts, and what is left afterwards.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use proofload_api::status::CriterionOutcome;
use proofload_api::{LoadTest, Phase, Verdict};
use proofload_e2e::{Run, Site, load_test, program, until};
use serde_json::{Value, json};

#[tokio::test]
async fn e2e_every_request_is_counted_once_with_1_3_and_8_runners() -> Result<()> {
    let site = Site::new("counts").await?;
    let mut before = 0;
    for runners in [1, 3, 8] {
        let mut test = load_test(&site, &format!("exact-{runners}"), runners, 24, 6);
        test["spec"]["scenarios"].as_array_mut().context("a list")?.push(json!({
            "name": "work", "after": "main", "iterations": {"users": 10, "perUser": 7},
            "steps": [{"name": "one", "request": {"path": "/one"}}, {"name": "two", "request": {"path": "/two"}}],
        }));
        let run = Run::create(&site, &test).await?;
        let status = run.ends_as(Verdict::Passed, 90).await?;
        let report = run.report().await?;
        let counts = site.counts().await?;
        assert_eq!(report.summary.requests, counts.requests - before, "{runners} runners");
        before = counts.requests;
        let work = report.scenarios.iter().find(|scenario| scenario.name == "work").context("it is in the report")?;
        assert_eq!(work.figures.requests, 140, "10 users x 7 iterations x 2 steps");
        assert_eq!(status.summary.context("a summary")?.requests, report.summary.requests);
        assert_eq!(report.runners.len(), runners as usize);
        assert_eq!(report.verdict_from_parts(), Verdict::Passed);
        run.leaves_no_pod(60).await?;
    }
    site.close().await
}

#[tokio::test]
async fn e2e_the_quickstart_is_the_same_locally_and_in_the_cluster() -> Result<()> {
    let site = Site::new("quickstart").await?;
    let mut test: Value = serde_saphyr::from_str(include_str!("../../../examples/quickstart.yaml"))?;
    // Its own target, so that it can be counted, in place of the demo target.
    test["spec"]["target"]["baseUrl"] = site.target_url().into();
    test["metadata"]["namespace"] = site.namespace.clone().into();
    let run = Run::create(&site, &test).await?;
    run.ends_as(Verdict::Passed, 120).await?;
    let remote = run.report().await?;
    assert_eq!(remote.summary.requests, site.counts().await?.requests);

    let directory = std::env::temp_dir().join("proofload-e2e-quickstart");
    std::fs::create_dir_all(&directory)?;
    let (file, report) = (directory.join("test.yaml"), directory.join("report.json"));
    std::fs::write(&file, serde_json::to_string(&test)?)?;
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let (file, report) = (file.to_string_lossy(), report.to_string_lossy());
    let arguments = ["run", "--quiet", "--package", "proofload", "--bin", "proofload", "--", "run", &file, "--report"];
    program(&cargo, &[&arguments[..], &[&report, "--demo-target", "--quiet"]].concat()).await?;
    let local: Value = serde_json::from_slice(&std::fs::read(&*report)?)?;
    assert_eq!(local["verdict"], "Passed");
    let remote: Value = serde_json::from_str(&remote.to_json())?;
    assert_eq!(shape(&local), shape(&remote), "the same shape of report");
    site.close().await
}

/// Every path of a report that does not depend on chance: statuses and outcomes do, and lists have any length.
fn shape(report: &Value) -> BTreeSet<String> {
    fn walk(value: &Value, path: &str, paths: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    walk(value, &format!("{path}.{name}"), paths);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, &format!("{path}[]"), paths)),
            _ => drop(paths.insert(path.to_owned())),
        }
    }
    let mut paths = BTreeSet::new();
    walk(report, "", &mut paths);
    paths.retain(|path| path != ".namespace" && !path.contains(".spec.") && !path.contains(".timeline."));
    paths
}

#[tokio::test]
async fn e2e_a_criterion_that_breaks_fails_with_what_was_seen() -> Result<()> {
    let site = Site::new("broken").await?;
    let mut test = load_test(&site, "broken", 2, 4, 5);
    test["spec"]["scenarios"][0]["steps"][0]["request"]["path"] = json!("/status/503");
    test["spec"]["criteria"] =
        json!([{"expr": "rate(errors) < 1%"}, {"expr": "rate(success) > 99%", "severity": "Warn"}]);
    let run = Run::create(&site, &test).await?;
    let status = run.ends_as(Verdict::Failed, 60).await?;
    assert_eq!(status.criteria[0].observed, "100%");
    assert_eq!(status.criteria[0].outcome, CriterionOutcome::Fail);
    let summary = status.summary.context("a summary")?;
    assert_eq!(summary.outcomes.get("unexpected-status"), Some(&summary.requests));
    assert_eq!(site.counts().await?.requests, summary.requests);
    let succeeded = status.conditions.iter().find(|condition| condition.type_ == "Succeeded").context("a condition")?;
    assert_eq!(succeeded.status, "False");
    site.close().await
}

#[tokio::test]
async fn e2e_a_dead_target_fails_with_every_request_counted_as_connect() -> Result<()> {
    let site = Site::new("dead").await?;
    let mut test = load_test(&site, "dead", 2, 4, 5);
    let port = site.target_url().replace(":8080", ":9");
    test["spec"]["target"]["baseUrl"] = json!(port);
    let run = Run::create(&site, &test).await?;
    let status = run.ends_as(Verdict::Failed, 60).await?;
    let summary = status.summary.context("a summary")?;
    assert!(summary.requests > 0);
    assert_eq!(summary.outcomes.get("connect"), Some(&summary.requests));
    assert_eq!(site.counts().await?.requests, 0);
    site.close().await
}

#[tokio::test]
async fn e2e_the_same_file_applied_twice_is_one_run() -> Result<()> {
    let site = Site::new("twice").await?;
    let test = load_test(&site, "once", 1, 2, 4);
    let run = Run::create(&site, &test).await?;
    run.reaches(Phase::Running, 60).await?;
    Run::create(&site, &test).await?;
    run.ends_as(Verdict::Passed, 60).await?;
    Run::create(&site, &test).await?;
    assert_eq!(site.jobs().await?.items.len(), 1);
    assert_eq!(run.report().await?.summary.requests, site.counts().await?.requests);
    site.close().await
}

#[tokio::test]
async fn e2e_suspend_holds_a_run_and_stops_one() -> Result<()> {
    let site = Site::new("suspend").await?;
    let mut test = load_test(&site, "held", 1, 2, 60);
    test["spec"]["suspend"] = json!(true);
    let run = Run::create(&site, &test).await?;
    let held = until("it to be held", 20, || async {
        let status = run.status().await?;
        Ok(if status.phase == Some(Phase::Pending) { Ok(status) } else { Err(format!("it is {status:?}")) })
    });
    assert!(held.await?.message.contains("suspended"));
    assert_eq!(site.made().await?, Vec::<String>::new());
    test["spec"]["suspend"] = json!(false);
    site.create(&test).await?;
    run.sends(50, 60).await?;
    test["spec"]["suspend"] = json!(true);
    site.create(&test).await?;
    let status = run.ends_as(Verdict::Inconclusive, 20).await?;
    assert!(status.message.contains("suspend"), "{}", status.message);
    assert_eq!(run.report().await?.summary.requests, site.counts().await?.requests);
    site.close().await
}

#[tokio::test]
async fn e2e_a_finished_test_goes_with_everything_when_its_ttl_is_over() -> Result<()> {
    let site = Site::new("ttl").await?;
    let mut test = load_test(&site, "brief", 1, 1, 2);
    test["spec"]["results"] = json!({"ttl": "5s"});
    let run = Run::create(&site, &test).await?;
    run.ends_as(Verdict::Passed, 60).await?;
    until("the test to be gone", 60, || async {
        let gone = site.api::<LoadTest>().get_opt(&run.name).await?.is_none() && site.made().await?.is_empty();
        Ok(if gone { Ok(()) } else { Err(format!("{:?} are there", site.made().await?)) })
    })
    .await?;
    site.close().await
}

//! What a real Prometheus has of runs: the same counts as the report, something for each expression of each dashboard and
//! alert; and that a Prometheus which goes away changes nothing.

use anyhow::{Context, Result};
use kube::api::{Patch, PatchParams, PostParams};
use proofload_api::{LoadTestSchedule, Phase, Verdict};
use proofload_e2e::dashboards::{Choice, Question, of_alerts, of_dashboard};
use proofload_e2e::{Histograms, Prometheus, Run, Site, load_test, until};
use proofload_results::Report;
use serde_json::{Value, json};

/// Users with checks and errors, and more arrivals than its users can serve.
fn colourful(site: &Site) -> Value {
    let mut test = load_test(site, "colourful", 2, 6, 1);
    test["spec"]["scenarios"] = json!([
        {
            "name": "browse",
            "users": {"stages": [{"to": 6, "over": "5s", "name": "ramp"}, {"hold": "25s", "name": "steady"}]},
            "thinkTime": {"min": "15ms", "max": "25ms"},
            "steps": [
                {"name": "get", "request": {"path": "/fast"}},
                {"name": "missing", "request": {"path": "/status/404"}},
                {"name": "checked", "request": {"path": "/fast"}, "expect": {"body": {"contains": "not there"}}},
            ],
        },
        {
            "name": "stream",
            "arrivals": {"stages": [{"to": "40/s", "hold": "30s", "name": "flat"}], "maxUsers": 4},
            "steps": [{"name": "slow", "request": {"path": "/delay/400"}}],
        },
    ]);
    test["spec"]["baseline"] = json!({"loadTest": "earlier"});
    test["spec"]["criteria"] = json!([
        {"expr": "p95(latency) < 5s", "of": "browse/get", "during": "steady"},
        {"expr": "rate(errors) < 1%"},
    ]);
    test
}

/// A schedule whose only run, on demand, fails, so that it pauses.
fn failing(site: &Site) -> Value {
    let mut spec = load_test(site, "", 1, 2, 4)["spec"].clone();
    spec["scenarios"][0]["steps"][0]["request"]["path"] = json!("/status/503");
    // Worse or not, it fails.
    spec["baseline"] = json!({"loadTest": "earlier"});
    json!({
        "apiVersion": "proofload.dev/v1alpha1", "kind": "LoadTestSchedule",
        "metadata": {"name": "yearly", "annotations": {"proofload.dev/trigger": "now"}},
        "spec": {"schedule": "0 3 1 1 *", "pauseAfter": 1, "template": {"spec": spec}},
    })
}

async fn schedule_fails_and_pauses(site: &Site) -> Result<()> {
    let schedules = site.api::<LoadTestSchedule>();
    schedules.create(&PostParams::default(), &serde_json::from_value(failing(site))?).await?;
    // One that pauses has no next run.
    let mut waiting = failing(site);
    waiting["metadata"] = json!({"name": "waiting"});
    schedules.create(&PostParams::default(), &serde_json::from_value(waiting)?).await?;
    until("the schedule to pause", 120, || async {
        let status = schedules.get("yearly").await?.status.unwrap_or_default();
        Ok(if status.paused.is_some() { Ok(()) } else { Err(format!("it is {status:?}")) })
    })
    .await
}

/// Three runs, on demand, which nothing can be said of: nobody is at the address of their Prometheus.
async fn schedule_is_in_doubt(site: &Site) -> Result<()> {
    let mut schedule = failing(site);
    schedule["metadata"] = json!({"name": "in-doubt"});
    let mut spec = load_test(site, "", 1, 2, 1)["spec"].clone();
    spec["prometheus"] = json!({"url": "http://127.0.0.1:9", "wait": "1s"});
    spec["serverMetrics"] = json!({"memory": {"query": "process_resident_memory_bytes"}});
    spec["criteria"] = json!([{"expr": "max(server.memory) < 1Gi"}]);
    schedule["spec"] = json!({"schedule": "0 3 1 1 *", "template": {"spec": spec}});
    let schedules = site.api::<LoadTestSchedule>();
    schedules.create(&PostParams::default(), &serde_json::from_value(schedule)?).await?;
    for runs in 1..=3 {
        let now = json!({"metadata": {"annotations": {"proofload.dev/trigger": format!("{runs}")}}});
        schedules.patch("in-doubt", &PatchParams::default(), &Patch::Merge(now)).await?;
        until("a run in doubt", 120, || async {
            let status = schedules.get("in-doubt").await?.status.unwrap_or_default();
            let in_doubt = status.history.iter().filter(|run| run.verdict == Verdict::Inconclusive).count();
            Ok(if in_doubt == runs { Ok(()) } else { Err(format!("it is {status:?}")) })
        })
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn e2e_prometheus_counts_what_the_report_counts_and_every_panel_has_data() -> Result<()> {
    watched(Histograms::Classic).await
}

#[tokio::test]
async fn e2e_the_same_with_native_histograms() -> Result<()> {
    watched(Histograms::Native).await
}

async fn watched(histograms: Histograms) -> Result<()> {
    let site = Site::new(&format!("metrics-{histograms:?}").to_lowercase()).await?;
    let prometheus = Prometheus::start(&site, histograms).await?;
    let earlier = Run::create(&site, &load_test(&site, "earlier", 1, 2, 3)).await?;
    earlier.ends_as(Verdict::Passed, 60).await?;
    schedule_fails_and_pauses(&site).await?;
    schedule_is_in_doubt(&site).await?;
    let run = Run::create(&site, &colourful(&site)).await?;
    run.ends_as(Verdict::Failed, 150).await?;
    let report = run.report().await?;
    // Runners stay until their last figures were scraped, and no longer.
    run.leaves_no_pod(60).await?;
    counts_are_equal(&prometheus, &site, &run.name, &report).await?;
    histograms_are_as_asked(&prometheus, histograms).await?;
    let choice = |loadtest: &str| Choice { namespace: site.namespace.clone(), loadtest: loadtest.to_owned() };
    let questions = [of_dashboard("run.json", &choice(&run.name))?, of_dashboard("runs.json", &choice(".*"))?].concat();
    all_have_data(&prometheus, &questions).await?;
    alerts_can_fire(&prometheus).await?;
    drop(prometheus);
    site.close().await
}

/// Requests, errors, checks and bytes, each as the report has them, to the last one.
async fn counts_are_equal(prometheus: &Prometheus, site: &Site, test: &str, report: &Report) -> Result<()> {
    let of = |matchers: &str| format!(r#"{{namespace="{}",loadtest="{test}"{matchers}}}"#, site.namespace);
    let sum = async |name: &str, matchers: &str| -> Result<u64> {
        let value = prometheus.value(&format!("sum(last_over_time({name}{}[1h]))", of(matchers))).await?;
        // Counts of a test are far below 2^53.
        Ok(format!("{:.0}", value.unwrap_or(0.0)).parse()?)
    };
    assert_eq!(sum("proofload_requests_total", "").await?, report.summary.requests);
    assert_eq!(sum("proofload_received_bytes_total", "").await?, report.summary.bytes_in);
    assert_eq!(sum("proofload_sent_bytes_total", "").await?, report.summary.bytes_out);
    for (outcome, count) in report.summary.outcomes.iter().filter(|(outcome, _)| *outcome != "ok") {
        let matchers = format!(r#",outcome="{outcome}""#);
        let counted = sum("proofload_request_errors_total", &matchers).await?;
        // What the end of the run cut off is no error of the target.
        assert!(counted == *count || outcome == "interrupted", "{outcome}: {counted} and {count}");
    }
    for scenario in &report.scenarios {
        for step in &scenario.steps {
            let matchers = format!(r#",scenario="{}",step="{}""#, scenario.name, step.name);
            assert_eq!(sum("proofload_requests_total", &matchers).await?, step.figures.requests, "{matchers}");
        }
    }
    assert!(report.summary.requests > 1_000, "there was load");
    Ok(())
}

/// The one kind is there and the other is not: else only one of them would be proved.
async fn histograms_are_as_asked(prometheus: &Prometheus, histograms: Histograms) -> Result<()> {
    let classic = prometheus.ever_had("proofload_request_duration_seconds_bucket").await?;
    let native = prometheus.ever_had("histogram_count(proofload_request_duration_seconds)").await;
    match histograms {
        Histograms::Classic => assert!(classic),
        Histograms::Native => assert!(!classic && native?),
    }
    Ok(())
}

async fn all_have_data(prometheus: &Prometheus, questions: &[Question]) -> Result<()> {
    assert!(questions.len() > 60, "{} expressions", questions.len());
    // Kubelets tell of their containers every ten seconds or so, and a rate needs two of those.
    until("every expression to have had data", 90, || async {
        let mut empty = Vec::new();
        for question in questions {
            let context = || format!("{}: {}", question.place, question.expression);
            if !prometheus.ever_had(&question.expression).await.with_context(context)? {
                empty.push(context());
            }
        }
        Ok(if empty.is_empty() { Ok(()) } else { Err(format!("these have none:\n{}", empty.join("\n"))) })
    })
    .await
}

/// Every alert is valid and looks at what there is; those that this site gives a reason for are there.
async fn alerts_can_fire(prometheus: &Prometheus) -> Result<()> {
    for question in of_alerts()? {
        prometheus.ever_had(&question.expression).await.with_context(|| question.place.clone())?;
        let Question { place, expression } = question.without_limits();
        assert!(prometheus.ever_had(&expression).await?, "{place}: there is nothing of {expression}");
    }
    let alerts = prometheus.alerts().await?;
    for expected in ["ProofloadScheduledTestFailed", "ProofloadSchedulePaused", "ProofloadScheduleInconclusive"] {
        assert!(alerts.iter().any(|alert| alert == expected), "{expected} is not among {alerts:?}");
    }
    for absent in ["ProofloadOperatorDown", "ProofloadRunStuck", "ProofloadScheduleOverdue"] {
        assert!(!alerts.iter().any(|alert| alert == absent), "{absent} is among {alerts:?}");
    }
    Ok(())
}

#[tokio::test]
async fn e2e_a_prometheus_that_goes_away_changes_no_verdict() -> Result<()> {
    let site = Site::new("metrics-away").await?;
    let mut prometheus = Prometheus::start(&site, Histograms::Classic).await?;
    let run = Run::create(&site, &load_test(&site, "unseen", 2, 4, 15)).await?;
    run.reaches(Phase::Running, 60).await?;
    let of_run = format!(r#"count(proofload_runner_info{{namespace="{}"}})"#, site.namespace);
    until("both runners to be scraped", 30, || async {
        let scraped = prometheus.value(&of_run).await?;
        Ok(if scraped == Some(2.0) { Ok(()) } else { Err(format!("{scraped:?} were")) })
    })
    .await?;
    prometheus.dies().await?;
    run.ends_as(Verdict::Passed, 60).await?;
    let report = run.report().await?;
    assert_eq!(report.summary.requests, site.counts().await?.requests);
    // They wait for it a little, since it may come back, and then go by themselves.
    run.leaves_no_pod(60).await?;
    site.close().await
}

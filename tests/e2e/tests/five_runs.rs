//! The examples that follow five real load tests, on a real cluster: the same verdicts and conclusions as on a laptop
//! (`cli/tests/five.rs`), every request counted by the target too.

use anyhow::{Context, Result};
use proofload_api::Verdict;
use proofload_e2e::{Run, Site};
use proofload_results::{FindingKind, Report};
use serde_json::Value;

/// Runs an example against a target of its own, with the resources that this small cluster can give, and by so many
/// runners.
async fn played(name: &str, runners: u32, verdict: Verdict) -> Result<Report> {
    let site = Site::new(&format!("five-{name}")).await?;
    let path = format!("{}/../../examples/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    let mut test: Value = serde_saphyr::from_str(&std::fs::read_to_string(path)?)?;
    let url = test["spec"]["target"]["baseUrl"].as_str().context("a target")?;
    let profile = url.find("/profile/").map(|at| url[at..].to_owned()).context("a profile")?;
    test["spec"]["target"]["baseUrl"] = format!("{}{profile}", site.target_url()).into();
    test["spec"]["runners"]["count"] = runners.into();
    test["spec"]["runners"]["resources"] = serde_json::json!({"cpu": "300m", "memory": "128Mi"});
    let run = Run::create(&site, &test).await?;
    run.ends_as(verdict, 180).await?;
    let report = run.report().await?;
    let refused = report.summary.outcomes.get("connect").copied().unwrap_or(0);
    assert_eq!(report.summary.requests - refused, site.counts().await?.requests, "{:?}", report.summary.outcomes);
    run.leaves_no_pod(60).await?;
    site.close().await?;
    Ok(report)
}

/// The conclusions of a kind.
fn said(report: &Report, kind: FindingKind) -> String {
    let found = report.findings.iter().filter(|finding| finding.kind == kind);
    found.map(|finding| finding.text.as_str()).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn e2e_ambient_api_breaks_between_30_and_40_users() -> Result<()> {
    let report = played("ambient-api", 1, Verdict::Failed).await?;
    let broke = said(&report, FindingKind::BreakingPoint);
    assert!(broke.contains("30 and 40 users"), "{:?}", report.findings);
    Ok(())
}

#[tokio::test]
async fn e2e_deployments_fall_off_a_cliff_between_200_and_1000_users() -> Result<()> {
    let report = played("deployments", 2, Verdict::Failed).await?;
    let cliff = said(&report, FindingKind::Cliff);
    assert!(cliff.contains("200 and 1,000 users"), "{:?}", report.findings);
    let verdicts: Vec<Verdict> = report.scenarios.iter().map(|scenario| scenario.verdict).collect();
    assert_eq!(verdicts, [Verdict::Passed, Verdict::Passed, Verdict::Passed, Verdict::Failed]);
    Ok(())
}

#[tokio::test]
async fn e2e_threads_api_that_crashed_answers_nothing() -> Result<()> {
    let report = played("threads-api", 1, Verdict::Failed).await?;
    assert_eq!(report.summary.errors, report.summary.requests);
    assert!(!said(&report, FindingKind::Outage).is_empty(), "{:?}", report.findings);
    Ok(())
}

#[tokio::test]
async fn e2e_threads_api_staged_logs_everybody_in_and_out_once_and_breaks_between_50_and_100_users() -> Result<()> {
    let report = played("threads-api-staged", 2, Verdict::Failed).await?;
    let sessions = report.scenarios.first().context("a scenario")?;
    let held: Vec<_> = sessions.stages.iter().map(|stage| (stage.name.as_str(), stage.held)).collect();
    let (good, bad) = (Some(true), Some(false));
    let expected = [("users-5", good), ("users-10", good), ("users-25", good), ("users-50", good), ("users-100", bad)];
    assert_eq!(held.get(..5), Some(&expected[..]), "{held:?}");
    for name in ["login", "logout"] {
        let step = sessions.steps.iter().find(|step| step.name == name).context(name)?;
        assert_eq!((step.figures.requests, step.figures.ok), (100, 100), "{name}");
    }
    let broke = said(&report, FindingKind::BreakingPoint);
    assert!(broke.contains("50 and 100 users"), "{:?}", report.findings);
    Ok(())
}

#[tokio::test]
async fn e2e_suite_recovery_finds_how_long_after_the_overload_the_criteria_hold_again() -> Result<()> {
    let report = played("suite-recovery", 2, Verdict::Failed).await?;
    assert_eq!(report.summary.errors, report.summary.statuses.get("503").copied().unwrap_or(0));
    let recovered = said(&report, FindingKind::Recovery);
    assert!(recovered.contains("the load fell to 20 users") && recovered.contains("held again after"), "{recovered}");
    Ok(())
}

#[tokio::test]
async fn e2e_suite_sequential_asks_1100_times_and_finds_that_users_wait_for_each_other() -> Result<()> {
    let report = played("suite-sequential", 2, Verdict::Failed).await?;
    let ok: Vec<u64> = report.scenarios.iter().map(|scenario| scenario.figures.ok).collect();
    assert_eq!((ok, report.summary.requests), (vec![100, 1_000], 1_100));
    let waited = said(&report, FindingKind::Contention);
    assert!(waited.contains("with 50 users (scenario at-once) than with 1 user"), "{:?}", report.findings);
    Ok(())
}

#[tokio::test]
async fn e2e_concurrency_suite_counts_7300_requests_in_their_classes() -> Result<()> {
    let report = played("concurrency-suite", 2, Verdict::Failed).await?;
    let status = |code: &str| report.summary.statuses.get(code).copied().unwrap_or(0);
    let timeouts = report.summary.outcomes.get("timeout").copied().unwrap_or(0);
    assert_eq!(report.summary.requests, 7_300);
    assert_eq!((status("200"), status("429"), status("404"), timeouts), (270, 2_220, 500, 4_310));
    Ok(())
}

#[tokio::test]
async fn e2e_ten_thousand_users_come_from_three_runners() -> Result<()> {
    let report = played("ten-thousand-users", 3, Verdict::Failed).await?;
    assert!(report.load.peak_users >= 9_900, "{:?}", report.load);
    assert_eq!(report.runners.len(), 3);
    Ok(())
}

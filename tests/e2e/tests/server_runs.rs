//! The target's own metrics, on a real cluster: a Prometheus of this machine scrapes the target's pod, and the first runner
//! asks it.

use std::net::{TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use proofload_api::Verdict;
use proofload_api::status::CriterionOutcome;
use proofload_e2e::{Run, Site, load_test, until};
use serde_json::json;

/// Prometheus in a process of its own, as pods reach it.
struct Prometheus {
    process: Child,
    directory: PathBuf,
    url: String,
}

impl Prometheus {
    /// One that scrapes the admin port of a pod each second, under the name of its site.
    async fn scraping(pod: &str, name: &str) -> Result<Self> {
        // Nothing is sent: the kernel only says which of our addresses is on the way to the pod.
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        socket.connect((pod, 8081))?;
        let own = socket.local_addr()?.ip();
        // Free a moment ago; nobody else takes such ports in order.
        let port = TcpListener::bind((own, 0))?.local_addr()?.port();
        let directory = std::env::temp_dir().join(format!("prometheus-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&directory)?;
        let config = format!(
            "global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: target\n  static_configs: [{{targets: ['{pod}:8081']}}]\n"
        );
        std::fs::write(directory.join("prometheus.yml"), config)?;
        let process = Command::new("prometheus")
            .arg("--config.file=prometheus.yml")
            .arg("--storage.tsdb.path=data")
            .arg(format!("--web.listen-address={own}:{port}"))
            .current_dir(&directory)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("Prometheus, as in Debian's package prometheus")?;
        let prometheus = Self { process, directory, url: format!("http://{own}:{port}") };
        let question = format!("{}/api/v1/query?query=process_resident_memory_bytes", prometheus.url);
        until("Prometheus to have scraped the target", 60, || async {
            let answer = reqwest::get(&question).await;
            let body = match answer {
                Ok(answer) => answer.text().await?,
                Err(error) => error.to_string(),
            };
            Ok(if body.contains("\"value\"") { Ok(()) } else { Err(body) })
        })
        .await?;
        Ok(prometheus)
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn address(site: &Site) -> String {
    site.target_url().replace("http://", "").replace(":8080", "")
}

#[tokio::test]
async fn e2e_a_leak_is_found_by_its_slope() -> Result<()> {
    let site = Site::new("leak").await?;
    let pod = address(&site);
    let leak = reqwest::Client::new().post(format!("http://{pod}:8081/leak?bytes=20000")).send().await?;
    ensure!(leak.status().is_success(), "the target leaks: {}", leak.status());
    let prometheus = Prometheus::scraping(&pod, "leak").await?;
    let mut test = load_test(&site, "leak", 2, 2, 20);
    test["spec"]["prometheus"] = json!({"url": prometheus.url});
    test["spec"]["serverMetrics"] = json!({"memory": {"query": "sum(process_resident_memory_bytes)"}});
    test["spec"]["criteria"] = json!([{"expr": "rate(errors) < 1%"}, {"expr": "slope(server.memory) < 1%/h"}]);
    let run = Run::create(&site, &test).await?;
    let status = run.ends_as(Verdict::Failed, 120).await?;
    assert_eq!(status.criteria[0].outcome, CriterionOutcome::Pass);
    assert_eq!(status.criteria[1].outcome, CriterionOutcome::Fail);
    let memory = &status.server["memory"];
    assert!(memory.slope.starts_with('+') && !memory.max.is_empty() && memory.message.is_empty(), "{memory:?}");
    site.close().await
}

#[tokio::test]
async fn e2e_a_query_that_prometheus_cannot_read_ends_the_run_before_any_load() -> Result<()> {
    let site = Site::new("promql").await?;
    let prometheus = Prometheus::scraping(&address(&site), "promql").await?;
    let mut test = load_test(&site, "promql", 1, 1, 5);
    test["spec"]["prometheus"] = json!({"url": prometheus.url});
    test["spec"]["serverMetrics"] = json!({"memory": {"query": "sum(up) by"}});
    let run = Run::create(&site, &test).await?;
    let status = run.ends_as(Verdict::Error, 120).await?;
    assert!(status.message.contains("spec.serverMetrics.memory.query"), "{}", status.message);
    assert_eq!(site.counts().await?.requests, 0);
    site.close().await
}

#[tokio::test]
async fn e2e_a_prometheus_that_is_away_leaves_only_its_own_criteria_open() -> Result<()> {
    let site = Site::new("away").await?;
    let mut test = load_test(&site, "away", 1, 1, 3);
    // Nothing listens there.
    test["spec"]["prometheus"] = json!({"url": format!("http://{}:9", address(&site)), "wait": "2s"});
    test["spec"]["serverMetrics"] = json!({"memory": {"query": "up"}});
    test["spec"]["criteria"] = json!([{"expr": "rate(errors) < 1%"}, {"expr": "max(server.memory) < 1Gi"}]);
    let run = Run::create(&site, &test).await?;
    let status = run.ends_as(Verdict::Inconclusive, 120).await?;
    assert_eq!(status.criteria[0].outcome, CriterionOutcome::Pass);
    assert_eq!(status.criteria[1].outcome, CriterionOutcome::NoData);
    assert!(status.server["memory"].message.contains("cannot be reached"), "{:?}", status.server);
    site.close().await
}

//! A real Prometheus on this machine that scrapes the cluster's pods by their addresses, as long as a test needs it.
//!
//! Debian's knows no Kubernetes, so what it scrapes is in files that are written anew while pods come and go. The kubelets
//! are reached through `kubectl proxy`.

mod follow;

use std::collections::BTreeMap;
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::{Site, until};
use follow::Following;

/// The alert rules, as everybody gets them.
const RULES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../charts/proofload/rules/proofload.rules.yaml");
/// What it scrapes: the operator, runners, kubelets.
const JOBS: [&str; 3] = ["operator", "runners", "kubelets"];

/// Which histograms it keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Histograms {
    /// Buckets, as text has them.
    Classic,
    /// Native ones, as protobuf has them: this release keeps no buckets then.
    Native,
}

/// A Prometheus that runs until it is dropped.
pub struct Prometheus {
    process: Child,
    directory: PathBuf,
    url: String,
    http: reqwest::Client,
    begun: f64,
    following: Option<Following>,
}

/// A series with its latest value.
#[derive(Debug, Clone)]
pub struct Series {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

impl Prometheus {
    /// Starts one that scrapes the operator, the kubelets, and the runners of this site, each second.
    pub async fn start(site: &Site, histograms: Histograms) -> Result<Self> {
        let directory = std::env::temp_dir().join(format!("proofload-prometheus-{}", site.namespace));
        if directory.exists() {
            std::fs::remove_dir_all(&directory)?;
        }
        std::fs::create_dir_all(directory.join("targets"))?;
        for job in JOBS {
            std::fs::write(targets_file(&directory, job), "[]")?;
        }
        std::fs::write(directory.join("prometheus.yml"), configuration(&directory))?;
        let address = format!("127.0.0.1:{}", free_port()?);
        let log = File::create(directory.join("log"))?;
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", directory.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", directory.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true);
        if histograms == Histograms::Native {
            command.arg("--enable-feature=native-histograms");
        }
        let process = command.spawn().context("starting prometheus, which `cargo xtask monitoring` fetches")?;
        let (url, http) = (format!("http://{address}"), reqwest::Client::new());
        let mut prometheus = Self { process, directory, url, http, begun: now(), following: None };
        prometheus.is_ready().await?;
        prometheus.following = Some(Following::begin(site, &prometheus.directory).await?);
        Ok(prometheus)
    }

    async fn is_ready(&mut self) -> Result<()> {
        let (http, ready) = (self.http.clone(), format!("{}/-/ready", self.url));
        let process = &mut self.process;
        let ended = async { process.wait().await };
        let answers = until("prometheus to be ready", 60, || async {
            let answer = http.get(&ready).send().await.and_then(reqwest::Response::error_for_status);
            Ok(answer.map(drop).map_err(|error| error.to_string()))
        });
        tokio::select! {
            result = answers => result,
            status = ended => {
                bail!("prometheus ended with {}: {}", status?, std::fs::read_to_string(self.directory.join("log"))?)
            }
        }
    }

    /// Ends it at once, as a node's failure would.
    pub async fn dies(&mut self) -> Result<()> {
        Ok(self.process.kill().await?)
    }

    /// What an expression comes to now.
    pub async fn query(&self, expression: &str) -> Result<Vec<Series>> {
        let data = self.ask("query", &[("query", expression.to_owned())]).await?;
        let rows = data["result"].as_array().context("a vector")?;
        rows.iter().map(series).collect()
    }

    /// What an expression that comes to one value comes to now.
    pub async fn value(&self, expression: &str) -> Result<Option<f64>> {
        let found = self.query(expression).await?;
        ensure!(found.len() < 2, "{expression} has {} values", found.len());
        Ok(found.first().map(|series| series.value))
    }

    /// Whether an expression had a value at any time since this Prometheus began. An error if it is no valid expression.
    pub async fn ever_had(&self, expression: &str) -> Result<bool> {
        let window = [("start", self.begun.to_string()), ("end", now().to_string()), ("step", "1".to_owned())];
        let parameters: Vec<_> = [("query", expression.to_owned())].into_iter().chain(window).collect();
        let data = self.ask("query_range", &parameters).await?;
        Ok(data["result"].as_array().is_some_and(|rows| !rows.is_empty()))
    }

    /// The names of the alerts that are firing or about to.
    pub async fn alerts(&self) -> Result<Vec<String>> {
        let data = self.ask("alerts", &[]).await?;
        let names = data["alerts"].as_array().into_iter().flatten();
        Ok(names.filter_map(|alert| alert["labels"]["alertname"].as_str().map(str::to_owned)).collect())
    }

    async fn ask(&self, what: &str, parameters: &[(&str, String)]) -> Result<Value> {
        let url = url_with(&format!("{}/api/v1/{what}", self.url), parameters)?;
        let answer: Value = self.http.get(url).send().await?.json().await?;
        ensure!(answer["status"] == "success", "{parameters:?}: {}", answer["error"]);
        Ok(answer["data"].clone())
    }
}

fn url_with(base: &str, parameters: &[(&str, String)]) -> Result<reqwest::Url> {
    let mut url = reqwest::Url::parse(base)?;
    url.query_pairs_mut().extend_pairs(parameters);
    Ok(url)
}

fn series(row: &Value) -> Result<Series> {
    let labels = serde_json::from_value(row["metric"].clone())?;
    // A native histogram has no value; nobody here asks for one as it is.
    let value = row["value"][1].as_str().context("a value")?.parse()?;
    Ok(Series { labels, value })
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// A port of this machine that nobody had a moment ago.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn targets_file(directory: &Path, job: &str) -> PathBuf {
    directory.join("targets").join(format!("{job}.json"))
}

/// JSON is YAML, too.
fn configuration(directory: &Path) -> String {
    let job = |name: &str| {
        // Kubelets look at their containers every ten seconds or so, and have much to say.
        let interval = if name == "kubelets" { "5s" } else { "1s" };
        json!({"job_name": name, "honor_labels": true, "scrape_interval": interval, "scrape_timeout": interval,
               "file_sd_configs": [{"files": [targets_file(directory, name)], "refresh_interval": "1s"}]})
    };
    json!({
        "global": {"evaluation_interval": "1s"},
        "rule_files": [RULES],
        "scrape_configs": JOBS.map(job),
    })
    .to_string()
}

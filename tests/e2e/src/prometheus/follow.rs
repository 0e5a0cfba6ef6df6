//! What there is to scrape, followed while pods come and go.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::ListParams;
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use super::targets_file;
use crate::Site;

/// How often pods are looked at: more often than they are scraped.
const LOOK: Duration = Duration::from_millis(300);

/// Follows pods until it is dropped.
pub(super) struct Following {
    task: JoinHandle<()>,
    /// The way to the kubelets; it ends with this.
    _proxy: Child,
}

impl Drop for Following {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Following {
    /// Begins to keep the files of targets up to date.
    pub(super) async fn begin(site: &Site, directory: &Path) -> Result<Self> {
        let (proxy, address) = proxy().await?;
        let nodes: Api<Node> = Api::all(site.client.clone());
        let kubelets = nodes.list(&ListParams::default()).await?.items.into_iter().filter_map(|node| {
            let node = node.metadata.name?;
            let path = format!("/api/v1/nodes/{node}/proxy/metrics/cadvisor");
            Some(json!({"targets": [address], "labels": {"__metrics_path__": path, "node": node}}))
        });
        write(&targets_file(directory, "kubelets"), &kubelets.collect::<Vec<_>>())?;
        let looking = Looking {
            client: site.client.clone(),
            namespace: site.namespace.clone(),
            operator: targets_file(directory, "operator"),
            runners: targets_file(directory, "runners"),
        };
        // Once before anything is done, so that the operator's counters are seen from their beginning.
        looking.look().await?;
        let task = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(LOOK);
            loop {
                ticks.tick().await;
                // An API server that is away for a moment changes nothing: the files stay.
                let _ = looking.look().await;
            }
        });
        Ok(Self { task, _proxy: proxy })
    }
}

/// What is looked at, and where it is written.
struct Looking {
    client: Client,
    namespace: String,
    operator: PathBuf,
    runners: PathBuf,
}

impl Looking {
    async fn look(&self) -> Result<()> {
        let operators = self.pods("proofload-system", "app.kubernetes.io/name=proofload", 8080).await?;
        write(&self.operator, &operators)?;
        let runners = self.pods(&self.namespace, "app.kubernetes.io/name=proofload-runner", 9180).await?;
        write(&self.runners, &runners)
    }

    /// The pods that run, those that are about to go among them.
    async fn pods(&self, namespace: &str, labels: &str, port: u16) -> Result<Vec<Value>> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let listed = pods.list(&ListParams::default().labels(labels)).await?.items.into_iter();
        let target = |pod: Pod| {
            let status = pod.status.filter(|status| status.phase.as_deref() == Some("Running"))?;
            Some(json!({"targets": [format!("{}:{port}", status.pod_ip?)], "labels": {"pod": pod.metadata.name?}}))
        };
        Ok(listed.filter_map(target).collect())
    }
}

/// Replaces a file at once: half of one would be an error.
fn write(path: &Path, targets: &[Value]) -> Result<()> {
    let new = path.with_extension("new");
    std::fs::write(&new, serde_json::to_string(targets)?)?;
    Ok(std::fs::rename(&new, path)?)
}

/// `kubectl proxy`, and where it answers.
async fn proxy() -> Result<(Child, String)> {
    let mut command = Command::new("kubectl");
    command.args(["proxy", "--port=0"]).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut process = command.spawn().context("starting kubectl proxy")?;
    let output = process.stdout.take().context("its output")?;
    let line = BufReader::new(output).lines().next_line().await?.context("kubectl proxy said nothing")?;
    let address = line.rsplit(' ').next().context("Starting to serve on ADDRESS")?.to_owned();
    Ok((process, address))
}

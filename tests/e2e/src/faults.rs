//! Faults: nodes that lose power or network, an operator that is killed or gone.

use std::path::PathBuf;

use anyhow::{Context, Result};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Node as KubeNode, Pod};
use kube::api::{ListParams, LogParams, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;

use crate::{program, until};

pub(crate) const OPERATOR_NAMESPACE: &str = "proofload-system";

/// Where the test cluster's state is, which its kubeconfig lies in.
pub fn cluster_directory() -> Option<PathBuf> {
    Some(PathBuf::from(std::env::var_os("KUBECONFIG")?).parent()?.parent()?.to_owned())
}

async fn cluster(arguments: &[&str]) -> Result<String> {
    let script = std::env::var("PROOFLOAD_CLUSTER").context("PROOFLOAD_CLUSTER names the cluster's script")?;
    program(&script, arguments).await
}

/// A node of the test cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node(pub String);

impl Node {
    /// Cuts its power.
    pub async fn lose_power(&self) -> Result<()> {
        cluster(&["stop-node", &self.0]).await.map(drop)
    }

    /// Boots it again and waits until it is ready.
    pub async fn boot(&self, client: &Client) -> Result<()> {
        cluster(&["start-node", &self.0]).await?;
        self.is_ready(client).await
    }

    /// Cuts it off from the API server; its pods run on and can be reached.
    pub async fn lose_api_server(&self) -> Result<()> {
        cluster(&["partition-node", &self.0, "api"]).await.map(drop)
    }

    /// Undoes that and waits until it is ready.
    pub async fn heal(&self, client: &Client) -> Result<()> {
        cluster(&["heal-node", &self.0]).await?;
        self.is_ready(client).await
    }

    async fn is_ready(&self, client: &Client) -> Result<()> {
        let nodes: Api<KubeNode> = Api::all(client.clone());
        until(&format!("{} to be ready", self.0), 120, || async {
            let status = nodes.get(&self.0).await?.status.unwrap_or_default();
            let ready = status.conditions.iter().flatten().any(|c| c.type_ == "Ready" && c.status == "True");
            Ok(if ready { Ok(()) } else { Err("it is not".to_owned()) })
        })
        .await
    }
}

/// Every pod of an operator.
pub async fn operator_pods(client: &Client) -> Result<Vec<Pod>> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), OPERATOR_NAMESPACE);
    let listed = pods.list(&ListParams::default().labels("app.kubernetes.io/name=proofload")).await?;
    Ok(listed.items.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).collect())
}

/// The operator's pod.
pub async fn operator_pod(client: &Client) -> Result<Pod> {
    operator_pods(client).await?.into_iter().next().context("there is no operator")
}

/// What the operator has logged since its process began.
pub async fn operator_log(client: &Client) -> Result<String> {
    let name = operator_pod(client).await?.metadata.name.context("a pod has a name")?;
    let pods: Api<Pod> = Api::namespaced(client.clone(), OPERATOR_NAMESPACE);
    Ok(pods.logs(&name, &LogParams::default()).await?)
}

/// The node that the operator is on.
pub async fn operator_node(client: &Client) -> Result<Node> {
    let pod = operator_pod(client).await?;
    pod.spec.and_then(|spec| spec.node_name).map(Node).context("the operator is on no node")
}

/// Kills the operator's process with SIGKILL, and waits until its container runs again.
pub async fn kill_operator(client: &Client) -> Result<()> {
    let restarts = |pod: &Pod| {
        let status = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref()?.first().cloned());
        status.map_or((0, false), |status| (status.restart_count, status.ready))
    };
    let (before, _) = restarts(&operator_pod(client).await?);
    // A node's processes are processes of this machine.
    program("pkill", &["--signal", "KILL", "--exact", "proofload-opera"]).await?;
    until("the operator to run again", 90, || async {
        let (now, ready) = restarts(&operator_pod(client).await?);
        Ok(if now > before && ready { Ok(()) } else { Err(format!("{now} restarts, ready: {ready}")) })
    })
    .await
}

/// Takes the operator away (0) or brings it back (1).
pub async fn scale_operator(client: &Client, replicas: i32) -> Result<()> {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), OPERATOR_NAMESPACE);
    let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
    deployments.patch("proofload", &PatchParams::default(), &patch).await?;
    until(&format!("{replicas} operators"), 90, || async {
        let status = deployments.get("proofload").await?.status.unwrap_or_default();
        let ready = status.ready_replicas.unwrap_or(0);
        let pods: Api<Pod> = Api::namespaced(client.clone(), OPERATOR_NAMESPACE);
        let pods = pods.list(&ListParams::default().labels("app.kubernetes.io/name=proofload")).await?.items.len();
        let done = ready == replicas && pods == usize::try_from(replicas).unwrap_or(0);
        Ok(if done { Ok(()) } else { Err(format!("{ready} are ready, {pods} pods are there")) })
    })
    .await
}

//! Several operators: which of them acts, and what becomes of it.

use std::panic::{AssertUnwindSafe, resume_unwind};

use anyhow::{Context, Result, ensure};
use futures::FutureExt;
use futures::future::join_all;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::Pod;
use kube::api::DeleteParams;
use kube::{Api, Client, ResourceExt};

use crate::faults::{OPERATOR_NAMESPACE, operator_pods, scale_operator};
use crate::processes::{OPERATOR, Process};
use crate::{program, until};

/// The Lease of the chart's release `proofload`.
const LEASE: &str = "proofload-operator";

/// Runs something with so many operators; with one again after it, whatever came of it.
pub async fn with_operators(client: &Client, count: i32, test: impl Future<Output = Result<()>>) -> Result<()> {
    let tested = AssertUnwindSafe(async {
        scale_operator(client, count).await?;
        test.await
    });
    let tested = tested.catch_unwind().await;
    let back = scale_operator(client, 1).await;
    tested.unwrap_or_else(|panic| resume_unwind(panic))?;
    back
}

/// The record of who acts.
pub async fn lease(client: &Client) -> Result<LeaseSpec> {
    let leases: Api<Lease> = Api::namespaced(client.clone(), OPERATOR_NAMESPACE);
    leases.get(LEASE).await?.spec.context("the Lease has a record")
}

/// Who holds the Lease, once somebody does.
pub async fn leader(client: &Client, seconds: u64) -> Result<String> {
    until("a holder of the Lease", seconds, || async {
        Ok(lease(client).await?.holder_identity.filter(|holder| !holder.is_empty()).ok_or("it has none".to_owned()))
    })
    .await
}

/// Waits until another than this one leads.
pub async fn leader_after(client: &Client, before: &str, seconds: u64) -> Result<String> {
    until(&format!("another leader than {before}"), seconds, || async {
        let holder = lease(client).await?.holder_identity.unwrap_or_default();
        Ok(if holder.is_empty() || holder == before { Err(format!("it is {holder:?}")) } else { Ok(holder) })
    })
    .await
}

/// What each operator says of itself, by its pod's name: asked at the same time.
pub async fn standings(client: &Client, http: &reqwest::Client) -> Result<Vec<(String, String)>> {
    let ask = async |pod: Pod| {
        let address = pod.status.as_ref().and_then(|status| status.pod_ip.clone())?;
        // One that has just been killed says nothing.
        let answer = http.get(format!("http://{address}:8080/readyz")).send().await.ok()?;
        Some((pod.name_any(), answer.text().await.ok()?))
    };
    let asked = join_all(operator_pods(client).await?.into_iter().map(ask)).await;
    Ok(asked.into_iter().flatten().collect())
}

/// Not two of them say that they lead. Returns the one that does.
pub async fn one_leads_at_most(client: &Client, http: &reqwest::Client) -> Result<Option<String>> {
    let standings = standings(client, http).await?;
    let leaders: Vec<_> = standings.iter().filter(|(_, says)| says.trim() == "leads").map(|(name, _)| name).collect();
    ensure!(leaders.len() <= 1, "more than one leads: {standings:?}");
    Ok(leaders.first().map(|name| (*name).clone()))
}

/// Kills an operator's process with SIGKILL, and has its pod deleted before it can be started again: it lets nothing go.
pub async fn kill(client: &Client, pod: &str) -> Result<()> {
    let process = Process::all(OPERATOR).into_iter().find(|process| process.has("POD_NAME", pod));
    let process = process.with_context(|| format!("{pod} has a process on this machine"))?;
    program("kill", &["-KILL", &process.id()]).await?;
    delete(client, pod, DeleteParams::default().grace_period(0)).await
}

/// Deletes an operator's pod, which is told to end.
pub async fn remove(client: &Client, pod: &str) -> Result<()> {
    delete(client, pod, DeleteParams::default()).await
}

async fn delete(client: &Client, pod: &str, how: DeleteParams) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), OPERATOR_NAMESPACE);
    pods.delete(pod, &how).await.map(drop).with_context(|| format!("deleting {pod}"))
}

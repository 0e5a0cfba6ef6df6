//! The report of a run in a cluster: the `ConfigMap` that the test's status names holds it.

use anyhow::{Context, bail};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::ListParams;
use proofload_api::problem::did_you_mean;
use proofload_api::status::LoadTestStatus;
use proofload_api::{LoadTest, Phase};

use crate::args::ClusterArgs;
use crate::cluster::connect;

/// Where the report is in its `ConfigMap`.
const KEY: &str = "report.json.gz";
/// So many other tests are looked at for the one that may have been meant.
const MOST_OTHERS: u32 = 500;

/// The stored bytes of the report of a test.
pub(super) async fn fetch(name: &str, cluster: &ClusterArgs) -> anyhow::Result<Vec<u8>> {
    let (client, namespace) = connect(cluster).await?;
    let tests: Api<LoadTest> = Api::namespaced(client.clone(), &namespace);
    let Some(test) = tests.get_opt(name).await.context("asking for the LoadTest")? else {
        bail!("there is no LoadTest {name} in namespace {namespace}{}", hint(&tests, name).await);
    };
    let status = test.status.unwrap_or_default();
    let Some(reference) = &status.report else {
        bail!("{namespace}/{name} has no report: {}", why_not(&status));
    };
    let map = &reference.config_map;
    let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
    let stored = maps.get_opt(map).await.with_context(|| format!("asking for the ConfigMap {map}"))?;
    let stored = stored.with_context(|| format!("the ConfigMap {map} with the report is gone"))?;
    let bytes = stored.binary_data.and_then(|mut data| data.remove(KEY));
    Ok(bytes.with_context(|| format!("the ConfigMap {map} has no {KEY}"))?.0)
}

/// Why there is no report yet, or none at all.
fn why_not(status: &LoadTestStatus) -> String {
    match status.phase {
        None | Some(Phase::Pending) => "its run has not begun".to_owned(),
        Some(Phase::Starting) => "its run is about to begin".to_owned(),
        Some(Phase::Running) => "its run is under way".to_owned(),
        Some(Phase::Finishing) => "its run is being judged just now; try again in a moment".to_owned(),
        Some(Phase::Finished) => format!("it ended without one: {}", status.message),
    }
}

/// Which test may have been meant. Nothing where the others may not be listed.
async fn hint(tests: &Api<LoadTest>, name: &str) -> String {
    let listed = tests.list_metadata(&ListParams::default().limit(MOST_OTHERS)).await;
    let names: Vec<String> = listed.into_iter().flatten().filter_map(|test| test.metadata.name).collect();
    let near = did_you_mean(name, names.iter().map(String::as_str));
    near.map(|near| format!(" (did you mean {near}?)")).unwrap_or_default()
}

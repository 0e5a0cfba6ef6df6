//! A run in a cluster: what is wanted stands in `spec.scale`, and the operator sees to it.

use anyhow::{Context, bail, ensure};
use kube::Api;
use kube::api::{Patch, PatchParams};
use proofload_api::{LoadTest, Phase};
use proofload_plan::compile;
use serde_json::json;

use super::Wanted;
use crate::args::ScaleArgs;
use crate::cluster::connect;

/// So many times somebody else may change the test at the same moment.
const TRIES: usize = 5;

/// Patches the test, and says from what to what.
pub(super) async fn patch(args: &ScaleArgs, wanted: &Wanted) -> anyhow::Result<String> {
    let (client, namespace) = connect(&args.cluster).await?;
    let api: Api<LoadTest> = Api::namespaced(client, &namespace);
    let name = &args.name;
    for _ in 0..TRIES {
        let test = api.get_opt(name).await.context("asking for the LoadTest")?;
        let test = test.with_context(|| format!("there is no LoadTest {name} in namespace {namespace}"))?;
        let phase = test.status.as_ref().and_then(|status| status.phase);
        ensure!(phase < Some(Phase::Finishing), "the run of {namespace}/{name} is over");
        let compiled = compile(&test.spec, name).map_err(|problems| {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            anyhow::anyhow!("{namespace}/{name} is not valid: {}", lines.join("; "))
        })?;
        let change = wanted.apply(&compiled.plan, &test.spec.scale)?;
        // Against what was read: of two changes at once none is lost.
        let patch = json!({
            "metadata": {"resourceVersion": test.metadata.resource_version},
            "spec": {"scale": change.scale},
        });
        match api.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await {
            Ok(_) => return Ok(format!("{namespace}/{name}: {}", change.said)),
            Err(kube::Error::Api(refusal)) if refusal.code == 409 => {}
            Err(error) => return Err(error).context("changing the LoadTest"),
        }
    }
    bail!("{namespace}/{name} was changed by somebody else each time; try again")
}

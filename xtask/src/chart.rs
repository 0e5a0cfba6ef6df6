//! The Helm chart: checked against the API server's schemas, and installed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use xshell::cmd;

use crate::context::Context;
use crate::images::{self, Images};
use crate::{cluster, go, schemas, tools};

const CHART: &str = "charts/proofload";
const RELEASE: &str = "proofload";
/// Helm assumes a very old cluster where it cannot ask one.
const KUBERNETES: &str = "1.34.0";
/// Kinds of prometheus-operator, which our cluster does not have: the chart is rendered as for one that does, and they are
/// held against that operator's own types instead of the API server's schemas.
const MONITORING: &str = "monitoring.coreos.com/v1";
const MONITORING_KINDS: &str = "PodMonitor,ServiceMonitor,PrometheusRule";
/// Where the operator is installed.
pub(crate) const NAMESPACE: &str = "proofload-system";
/// How long the operator may take to become ready.
pub(crate) const READY_WITHIN: Duration = Duration::from_mins(3);

/// Lint, render and validate, with the schemas of the running cluster or those that an earlier one left.
pub(crate) fn check(context: &Context) -> Result<()> {
    tools::ensure(context)?;
    lint(context)?;
    let directory = schema_directory(context);
    if cluster::is_running(context) {
        refresh_schemas(context, &cluster::use_own(context)?)?;
    }
    ensure!(directory.exists(), "no schemas to compare with: `cargo xtask cluster up` first");
    validate(context)
}

/// `helm lint`, with the chart's own defaults and with every optional part turned on.
pub(crate) fn lint(context: &Context) -> Result<()> {
    let sh = &context.sh;
    for values in test_values(context)? {
        cmd!(sh, "helm lint --strict --quiet --kube-version {KUBERNETES} {CHART} --values {values}").quiet().run()?;
    }
    Ok(())
}

/// Makes the schemas that `validate` uses from those of the cluster's API server.
pub(crate) fn refresh_schemas(context: &Context, kubectl: &Path) -> Result<()> {
    let mut manifests = String::new();
    for values in test_values(context)? {
        manifests.push_str(&render(context, &values)?);
        manifests.push('\n');
    }
    manifests = manifests.replace(&format!("apiVersion: {MONITORING}\n"), "");
    let written = schemas::write(context, kubectl, &manifests, &schema_directory(context))?;
    println!("made {written} schemas from the API server's");
    Ok(())
}

/// Holds what the chart renders against the schemas: unknown fields, wrong types and missing fields fail.
pub(crate) fn validate(context: &Context) -> Result<()> {
    let sh = &context.sh;
    let location = schemas::location(&schema_directory(context));
    let monitors = go::build(context, "tests/monitors", "check-monitors")?;
    let mut watched = 0;
    for values in test_values(context)? {
        let manifests = render(context, &values)?;
        cmd!(sh, "kubeconform -strict -summary -skip {MONITORING_KINDS} -schema-location {location}")
            .stdin(&manifests)
            .quiet()
            .run()?;
        if manifests.contains(MONITORING) {
            cmd!(sh, "{monitors}").stdin(&manifests).quiet().run()?;
            watched += 1;
        }
    }
    ensure!(watched > 0, "no set of values renders a kind of {MONITORING}");
    let manifests = cluster::target_manifest(context, "localhost/target:dev")?;
    cmd!(sh, "kubeconform -strict -summary -schema-location {location}").stdin(manifests).quiet().run()?;
    Ok(())
}

/// Where schemas are kept between runs.
pub(crate) fn schema_directory(context: &Context) -> PathBuf {
    context.home.join("schemas")
}

fn render(context: &Context, values: &Path) -> Result<String> {
    let sh = &context.sh;
    let rendered = cmd!(
        sh,
        "helm template {RELEASE} {CHART} --namespace {NAMESPACE} --kube-version {KUBERNETES} --values {values} --api-versions {MONITORING}"
    )
    .quiet()
    .read()?;
    ensure!(rendered.contains("kind: Deployment"), "the chart renders no Deployment");
    Ok(rendered)
}

/// The sets of values that the chart is checked with.
fn test_values(context: &Context) -> Result<Vec<PathBuf>> {
    let mut values = context.sh.read_dir(Path::new(CHART).join("ci"))?;
    values.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    values.sort();
    ensure!(!values.is_empty(), "{CHART}/ci has no values to check the chart with");
    Ok(values)
}

/// Installs the chart, or upgrades it, and waits until the operator is ready.
pub(crate) fn install(context: &Context, kubectl: &Path, images: &Images) -> Result<()> {
    let sh = &context.sh;
    let namespace = format!(
        "{{apiVersion: v1, kind: Namespace, metadata: {{name: {NAMESPACE}, \
         labels: {{pod-security.kubernetes.io/enforce: restricted}}}}}}"
    );
    cmd!(sh, "{kubectl} apply --filename -").stdin(namespace).quiet().ignore_stdout().run()?;
    let mut own: &[&str] = &[];
    if images.prefix == images::LOCAL_PREFIX {
        forget_interrupted(context, kubectl)?;
        // Of definitions that somebody applied by hand.
        own = &["--take-ownership"];
    }
    let (prefix, tag) = (format!("image.prefix={}", images.prefix), format!("image.tag={}", images.tag));
    let timeout = format!("{}s", READY_WITHIN.as_secs());
    cmd!(sh, "helm upgrade --install {RELEASE} {CHART} --namespace {NAMESPACE} --wait --timeout {timeout} {own...}")
        .args(["--set-string", &prefix, "--set-string", &tag])
        .quiet()
        .ignore_stdout()
        .run()
        .context("installing the chart")
}

/// What an interrupted run left would make helm refuse forever. Only for our own cluster: elsewhere another person's
/// upgrade may really be under way.
fn forget_interrupted(context: &Context, kubectl: &Path) -> Result<()> {
    let sh = &context.sh;
    let pending = format!("owner=helm,name={RELEASE},status in (pending-install,pending-upgrade,pending-rollback)");
    cmd!(sh, "{kubectl} --namespace {NAMESPACE} delete secret --selector {pending}")
        .quiet()
        .ignore_stdout()
        .ignore_stderr()
        .run()?;
    Ok(())
}

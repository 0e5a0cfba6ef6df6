//! Whole runs, measured by tests/e2e/examples/measure.rs on the cluster that is up; nothing is started here.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use xshell::cmd;

use super::machine;
use crate::cluster;
use crate::context::Context;

pub(super) fn run(context: &Context, timeline: bool) -> Result<()> {
    println!("\n## Runs on a cluster");
    let chosen = std::env::var_os("KUBECONFIG").filter(|path| !path.is_empty()).map(PathBuf::from);
    let (kubeconfig, kubectl) = match chosen {
        Some(path) => (path, PathBuf::from("kubectl")),
        None if cluster::is_running(context) => (cluster::kubeconfig(context), cluster::use_own(context)?),
        None => {
            println!("\nNot measured: no KUBECONFIG, and our own cluster is not up (`cargo xtask cluster up`).");
            return Ok(());
        }
    };
    let sh = &context.sh;
    let _own = sh.push_env("KUBECONFIG", &kubeconfig);
    let image = "jsonpath={.spec.template.spec.containers[0].image}";
    let target = match std::env::var("PROOFLOAD_TARGET_IMAGE") {
        Ok(image) => image,
        Err(_) => cmd!(sh, "{kubectl} --namespace default get deployment demo-target --output {image}")
            .quiet()
            .read()
            .context("no demo target to take the image from: `cargo xtask cluster up`, or PROOFLOAD_TARGET_IMAGE")?,
    };
    println!("\nLoad average before: {}.", machine::load_average()?);
    let arguments: &[&str] = if timeline { &["--", "--timeline"] } else { &[] };
    // Not `--release`: it is only a client.
    cmd!(sh, "cargo run --quiet --package proofload-e2e --example measure {arguments...}")
        .env("PROOFLOAD_TARGET_IMAGE", target)
        .quiet()
        .run()?;
    Ok(())
}

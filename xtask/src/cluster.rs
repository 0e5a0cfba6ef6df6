//! `cargo xtask cluster`: a real cluster on this machine with the operator and the demo target in it, or those two in a
//! cluster that exists already.
//!
//! The cluster itself is the work of the script tests/cluster/cluster; this module tells it where to keep its state,
//! makes sure that it finds what it needs, and installs what we build.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Subcommand;
use xshell::cmd;

use crate::chart::{self, NAMESPACE, READY_WITHIN};
use crate::context::Context;
use crate::images::{self, Images};
use crate::{debian, go, tools};

const TARGET_MANIFEST: &str = "tests/target/deploy.yaml";
const TARGET_IMAGE: &str = "${TARGET_IMAGE}";

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Start the cluster, build and load the images, install the operator and the demo target.
    ///
    /// With KUBECONFIG and `PROOFLOAD_IMAGE_PREFIX` set, use that cluster: nothing is started or loaded.
    Up {
        #[arg(long, default_value_t = 3)]
        nodes: u8,
    },
    /// Stop the cluster and remove its state.
    Down,
    /// List components and nodes; fails if one is down.
    Status,
    /// Build the images, load them and upgrade the operator.
    LoadImages,
    /// Print the path of the administrator's kubeconfig, and nothing else.
    Kubeconfig,
    /// Run the cluster's own kubectl as administrator.
    Kubectl {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Show a component's log; without a name: list them.
    Logs {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Install and build everything that `up` needs, and start nothing.
    Prepare,
    /// Anything else is for tests/cluster/cluster: stop-node, start-node, partition-node, ... (see its README).
    #[command(external_subcommand)]
    Script(Vec<String>),
}

pub(crate) fn run(context: &Context, command: Command) -> Result<()> {
    match command {
        Command::Up { nodes } => up(context, nodes),
        Command::Down => script(context, ["down"]),
        Command::Status => script(context, ["status"]),
        Command::LoadImages => deploy(context).map(drop),
        Command::Kubeconfig => {
            println!("{}", kubeconfig(context).display());
            Ok(())
        }
        Command::Kubectl { arguments } => script(context, ["kubectl".to_owned()].into_iter().chain(arguments)),
        Command::Logs { arguments } => script(context, ["logs".to_owned()].into_iter().chain(arguments)),
        Command::Prepare => prepare(context),
        Command::Script(arguments) => script(context, arguments),
    }
}

impl Context {
    pub(crate) fn cluster_script(&self) -> PathBuf {
        self.root.join("tests/cluster/cluster")
    }
}

fn script<S: AsRef<std::ffi::OsStr>>(context: &Context, arguments: impl IntoIterator<Item = S>) -> Result<()> {
    let (sh, script) = (&context.sh, context.cluster_script());
    Ok(cmd!(sh, "{script}").args(arguments).quiet().run()?)
}

fn up(context: &Context, nodes: u8) -> Result<()> {
    if let Some(existing) = Existing::from_environment()? {
        return existing.install(context);
    }
    prepare(context)?;
    start(context, nodes)?;
    deploy(context)?;
    println!("\nThe operator and the demo target are ready. To use them from this shell:");
    println!("  export KUBECONFIG={} PATH={}:$PATH", kubeconfig(context).display(), context.bin().display());
    println!("  kubectl apply -f examples/quickstart.yaml && kubectl get loadtests -w");
    Ok(())
}

/// Installs and builds what the cluster needs. Slow once, then a second.
pub(crate) fn prepare(context: &Context) -> Result<()> {
    ensure!(cfg!(target_os = "linux"), "the cluster needs Linux; elsewhere set KUBECONFIG and PROOFLOAD_IMAGE_PREFIX");
    debian::ensure_prerequisites(context)?;
    tools::ensure(context)?;
    go::ensure(context)?;
    script(context, ["build"])
}

/// Starts the cluster, or what of it is not running.
pub(crate) fn start(context: &Context, nodes: u8) -> Result<()> {
    script(context, ["up", "--nodes", &nodes.to_string()])
}

pub(crate) fn is_running(context: &Context) -> bool {
    let (sh, script) = (&context.sh, context.cluster_script());
    kubeconfig(context).exists() && cmd!(sh, "{script} status").quiet().ignore_stdout().ignore_stderr().run().is_ok()
}

/// Where the administrator's kubeconfig of our own cluster is, or will be.
pub(crate) fn kubeconfig(context: &Context) -> PathBuf {
    context.cluster_dir().join("kubeconfig/admin")
}

/// Points helm and kubectl at our own cluster, whatever KUBECONFIG said. Returns the cluster's kubectl.
pub(crate) fn use_own(context: &Context) -> Result<PathBuf> {
    let sh = &context.sh;
    sh.set_var("KUBECONFIG", kubeconfig(context));
    // It is a part of the cluster's one binary; under its own name it can be on a path.
    let wrapper = context.bin().join("kubectl");
    let binary = context.cluster_dir().join("bin/localcluster");
    sh.write_file(&wrapper, format!("#!/bin/sh\nexec '{}' kubectl \"$@\"\n", binary.display()))?;
    cmd!(sh, "chmod +x {wrapper}").quiet().run()?;
    Ok(wrapper)
}

/// Brings what we build into our own cluster: images, operator, demo target.
pub(crate) fn deploy(context: &Context) -> Result<Images> {
    ensure!(is_running(context), "the cluster is not running: `cargo xtask cluster up`");
    let binaries = images::build(context)?;
    let images = images::load(context, &binaries)?;
    install(context, &use_own(context)?, &images)?;
    Ok(images)
}

fn install(context: &Context, kubectl: &Path, images: &Images) -> Result<()> {
    let installed = apply_target(context, kubectl, images)
        .and_then(|()| chart::install(context, kubectl, images))
        .and_then(|()| await_target(context, kubectl));
    if installed.is_err() {
        print_state(context, kubectl);
    }
    installed
}

/// The demo target with its image filled in.
pub(crate) fn target_manifest(context: &Context, image: &str) -> Result<String> {
    let manifest = context.sh.read_file(TARGET_MANIFEST)?;
    ensure!(manifest.contains(TARGET_IMAGE), "{TARGET_MANIFEST} has no {TARGET_IMAGE}");
    Ok(manifest.replace(TARGET_IMAGE, image))
}

fn apply_target(context: &Context, kubectl: &Path, images: &Images) -> Result<()> {
    let sh = &context.sh;
    apply_certificates(context, kubectl)?;
    let manifest = target_manifest(context, &images.target())?;
    cmd!(sh, "{kubectl} apply --filename -").stdin(manifest).quiet().ignore_stdout().run()?;
    Ok(())
}

/// The demo target's certificate, and the authority that examples trust. They stay as they are: the target reads them once.
fn apply_certificates(context: &Context, kubectl: &Path) -> Result<()> {
    let sh = &context.sh;
    let known = cmd!(sh, "{kubectl} --namespace default get secret/demo-target-tls configmap/demo-ca --output name");
    if known.quiet().ignore_stdout().ignore_stderr().run().is_ok() {
        return Ok(());
    }
    let directory = sh.create_temp_dir()?;
    let path = directory.path();
    let names =
        ["demo-target", "demo-target.default", "demo-target.default.svc", "demo-target.default.svc.cluster.local"];
    let names = names.map(|name| format!("--tls-name={name}"));
    cmd!(sh, "cargo run --quiet --package proofload-target -- --certificates-only --tls-dir {path} {names...}")
        .quiet()
        .run()?;
    let from = |file: &str| format!("--from-file={}", path.join(file).display());
    let secret = ["secret".to_owned(), "generic".to_owned(), "demo-target-tls".to_owned()];
    let secret = secret.into_iter().chain(["tls.crt", "tls.key", "ca.pem"].map(from));
    let authority = ["configmap".to_owned(), "demo-ca".to_owned(), from("ca.pem")];
    for arguments in [secret.collect::<Vec<_>>(), authority.to_vec()] {
        let manifest = cmd!(sh, "{kubectl} --namespace default create {arguments...} --dry-run=client --output yaml");
        let manifest = manifest.quiet().read()?;
        cmd!(sh, "{kubectl} apply --filename -").stdin(manifest).quiet().ignore_stdout().run()?;
    }
    Ok(())
}

fn await_target(context: &Context, kubectl: &Path) -> Result<()> {
    let sh = &context.sh;
    let timeout = format!("{}s", READY_WITHIN.as_secs());
    cmd!(sh, "{kubectl} --namespace default rollout status deployment/demo-target --timeout {timeout}")
        .quiet()
        .ignore_stdout()
        .run()
        .context("the demo target did not become ready")
}

/// What a person would look at next, as the cluster may be gone by then.
fn print_state(context: &Context, kubectl: &Path) {
    let sh = &context.sh;
    let questions: [&[&str]; 4] = [
        &["get", "pods", "--all-namespaces", "--output", "wide"],
        &["get", "events", "--all-namespaces", "--sort-by", ".lastTimestamp"],
        &["--namespace", NAMESPACE, "describe", "pods"],
        &["--namespace", NAMESPACE, "logs", "--selector", "app.kubernetes.io/name=proofload", "--tail", "50"],
    ];
    for question in questions {
        eprintln!("\n$ kubectl {}", question.join(" "));
        if let Err(error) = cmd!(sh, "{kubectl} {question...}").quiet().run() {
            eprintln!("{error:#}");
        }
    }
}

/// A cluster that exists already, and where the person who asked has pushed the images to.
struct Existing {
    prefix: String,
}

impl Existing {
    fn from_environment() -> Result<Option<Self>> {
        let Some(prefix) = std::env::var_os("PROOFLOAD_IMAGE_PREFIX").filter(|prefix| !prefix.is_empty()) else {
            return Ok(None);
        };
        if std::env::var_os("KUBECONFIG").is_none_or(|path| path.is_empty()) {
            bail!("PROOFLOAD_IMAGE_PREFIX is for a cluster that exists already: set KUBECONFIG too, or neither");
        }
        let prefix = prefix.into_string().ok().context("PROOFLOAD_IMAGE_PREFIX is not UTF-8")?;
        Ok(Some(Self { prefix: prefix.trim_end_matches('/').to_owned() }))
    }

    fn install(&self, context: &Context) -> Result<()> {
        let tag = std::env::var("PROOFLOAD_IMAGE_TAG").unwrap_or_else(|_| env!("CARGO_PKG_VERSION").to_owned());
        let images = Images { prefix: self.prefix.clone(), target_tag: tag.clone(), tag };
        println!("Using the cluster of KUBECONFIG. These images must have been pushed (see Dockerfile):");
        for image in [images.operator(), images.runner(), images.target()] {
            println!("  {image}");
        }
        ensure!(debian::present(context, "kubectl"), "no kubectl on the path");
        tools::ensure(context)?;
        install(context, Path::new("kubectl"), &images)
    }
}

//! The operator: for every `LoadTest`, observe -> decide -> apply -> report.
//!
//! Each pass starts from what is there: the resource, its Job, its pods, and what the runners answer. Nothing depends
//! on having seen an event, so a pass can be repeated, and the operator can be killed, at any moment.

mod apply;
mod build;
mod context;
mod decide;
mod fleet;
mod health;
mod memory;
mod metrics;
mod observe;
mod reconcile;
mod report;
mod token;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Parser;
use futures::StreamExt;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::{Controller, WatchStreamExt, controller, reflector, watcher};
use kube::{Api, Client, ResourceExt};
use proofload_api::LoadTest;
use tracing::{info, warn};

use crate::context::{Context, Settings};

/// Runs the load tests of a cluster.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    /// The runners' image, for tests that name none.
    #[arg(long, env = "PROOFLOAD_RUNNER_IMAGE")]
    runner_image: String,
    /// The Ed25519 private key that signs control requests, as PKCS #8 in PEM.
    #[arg(long, env = "PROOFLOAD_KEY_FILE", default_value = "/var/run/proofload/key/ed25519.pem")]
    key_file: PathBuf,
    /// Where to answer probes and Prometheus.
    #[arg(long, env = "PROOFLOAD_LISTEN", default_value = "0.0.0.0:8080")]
    listen: SocketAddr,
    /// This pod's name, for events.
    #[arg(long, env = "POD_NAME")]
    pod_name: Option<String>,
    /// What to log, e.g. `info` or `proofload_operator=debug`.
    #[arg(long, env = "PROOFLOAD_LOG", default_value = "info")]
    log: String,
}

/// How many tests are looked at at the same time.
const CONCURRENCY: u16 = 64;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .json()
        .with_env_filter(tracing_subscriber::EnvFilter::new(&arguments.log))
        .with_writer(std::io::stderr)
        .init();
    match run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let pem = std::fs::read_to_string(&arguments.key_file)
        .with_context(|| format!("cannot read the key {}", arguments.key_file.display()))?;
    let signer = token::Signer::new(&pem).with_context(|| format!("{}", arguments.key_file.display()))?;
    let client = Client::try_default().await.context("cannot find the cluster's API server")?;
    let (jobs, job_writer) = reflector::store::<Job>();
    let (pods, pod_writer) = reflector::store::<Pod>();
    let settings = Settings { runner_image: arguments.runner_image, instance: arguments.pod_name };
    let context = Arc::new(Context::new(client.clone(), settings, signer, jobs.clone(), pods.clone())?);
    let server = tokio::spawn(health::serve(arguments.listen, Arc::clone(&context)));

    let ours = || watcher::Config::default().labels(build::RUN_LABEL);
    let job_cache = reflector(job_writer, watcher(Api::<Job>::all(client.clone()), ours())).default_backoff();
    let pod_cache = reflector(pod_writer, watcher(Api::<Pod>::all(client.clone()), ours())).default_backoff();
    let caches = tokio::spawn(futures::future::join(job_cache.for_each(seen), pod_cache.for_each(seen)));
    jobs.wait_until_ready().await.context("the cache of Jobs ended")?;
    pods.wait_until_ready().await.context("the cache of Pods ended")?;

    let reconciling = Controller::new(Api::<LoadTest>::all(client.clone()), watcher::Config::default())
        .owns(Api::<Job>::all(client.clone()), ours())
        .watches(Api::<Pod>::all(client), ours(), |pod| test_of(&pod))
        .with_config(controller::Config::default().concurrency(CONCURRENCY))
        .graceful_shutdown_on(terminated())
        .run(reconcile::reconcile, reconcile::error_policy, Arc::clone(&context))
        .for_each(async |result| {
            if let Err(error) = result {
                // Errors of a pass are logged where they happen; what is left is the watch itself.
                tracing::debug!("{error:#}");
            }
        });
    context.ready();
    info!("watching LoadTests");
    tokio::select! {
        () = reconciling => info!("told to end: every pass is done"),
        result = server => result.context("the server of probes ended")??,
        _ = caches => anyhow::bail!("the caches ended"),
    }
    Ok(())
}

async fn seen<K>(event: Result<watcher::Event<K>, watcher::Error>) {
    if let Err(error) = event {
        warn!("a watch was interrupted and is tried again: {error}");
    }
}

/// The test that a pod belongs to.
fn test_of(pod: &Pod) -> Option<ObjectRef<LoadTest>> {
    let name = pod.labels().get(build::TEST_LABEL)?;
    Some(ObjectRef::new(name).within(&pod.namespace()?))
}

async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        warn!("cannot listen for signals: this process ends without notice");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

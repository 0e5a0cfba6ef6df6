//! The operator: for every `LoadTest`, observe -> decide -> apply -> report.
//!
//! Each pass starts from what is there: the resource, its Job, its pods, and what the runners answer. Nothing depends
//! on having seen an event, so a pass can be repeated, and the operator can be killed, at any moment.

mod apply;
mod baseline;
mod build;
mod context;
mod decide;
mod fleet;
mod health;
mod lease;
mod memory;
mod metrics;
mod observe;
mod reconcile;
mod report;
mod schedule;
mod token;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Parser;
use futures::{FutureExt, StreamExt};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::client::ClientBuilder;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::{Controller, WatchStreamExt, controller, reflector, watcher};
use kube::{Api, Client, Config, ResourceExt};
use proofload_api::LoadTest;
use tracing::{info, warn};

use crate::context::{Context, Settings};
use crate::lease::{Candidate, Leadership};
use crate::metrics::{Counting, Metrics};

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
    /// The Prometheus that runners ask for their target's own metrics (spec.serverMetrics), for tests that name none, e.g.
    /// `http://prometheus.monitoring.svc:9090`. The operator itself does not ask it.
    #[arg(long, env = "PROOFLOAD_PROMETHEUS_URL")]
    prometheus_url: Option<String>,
    /// Where to answer probes and Prometheus.
    #[arg(long, env = "PROOFLOAD_LISTEN", default_value = "0.0.0.0:8080")]
    listen: SocketAddr,
    /// This pod's name: for events, and by which it holds the Lease.
    #[arg(long, env = "POD_NAME")]
    pod_name: Option<String>,
    /// Act only while holding a Lease. Without, there must never be two operators.
    #[arg(long, env = "PROOFLOAD_LEADER_ELECT", default_value_t = true, action = clap::ArgAction::Set)]
    leader_elect: bool,
    /// The Lease's name.
    #[arg(long, env = "PROOFLOAD_LEASE_NAME", default_value = "proofload-operator")]
    lease_name: String,
    /// The Lease's namespace [default: this pod's].
    #[arg(long, env = "POD_NAMESPACE")]
    lease_namespace: Option<String>,
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
    let told_to_end = tokio::spawn(terminated()).map(drop).shared();
    let leadership = leadership(&arguments)?;
    let metrics = Arc::new(Metrics::default());
    let client = client(&metrics).await.context("cannot find the cluster's API server")?;
    let (jobs, job_writer) = reflector::store::<Job>();
    let (pods, pod_writer) = reflector::store::<Pod>();
    let settings = Settings {
        runner_image: arguments.runner_image,
        prometheus_url: arguments.prometheus_url.filter(|url| !url.is_empty()),
        instance: arguments.pod_name,
    };
    let context = Arc::new(Context::new(client.clone(), settings, signer, jobs.clone(), pods.clone(), metrics)?);
    let mut server = tokio::spawn(health::serve(arguments.listen, Arc::clone(&context), leadership.standing()));

    let ours = || watcher::Config::default().labels(build::RUN_LABEL);
    let job_cache = reflector(job_writer, watcher(Api::<Job>::all(client.clone()), ours())).default_backoff();
    let pod_cache = reflector(pod_writer, watcher(Api::<Pod>::all(client.clone()), ours())).default_backoff();
    let caches = tokio::spawn(futures::future::join(job_cache.for_each(seen), pod_cache.for_each(seen)));
    jobs.wait_until_ready().await.context("the cache of Jobs ended")?;
    pods.wait_until_ready().await.context("the cache of Pods ended")?;
    context.ready();

    // Who stands by has its caches filled, and nothing else.
    tokio::select! {
        won = leadership.won() => won?,
        () = told_to_end.clone() => {
            info!("told to end while standing by");
            leadership.release().await;
            return Ok(());
        }
        result = &mut server => return result.context("the server of probes ended")?,
    }

    let controller = Controller::new(Api::<LoadTest>::all(client.clone()), watcher::Config::default());
    context.metrics.tests_from(controller.store());
    context.metrics.leads(true);
    let reconciling = controller
        .owns(Api::<Job>::all(client.clone()), ours())
        .watches(Api::<Pod>::all(client), ours(), |pod| test_of(&pod))
        .with_config(controller::Config::default().concurrency(CONCURRENCY))
        .graceful_shutdown_on(told_to_end.clone())
        .run(reconcile::reconcile, reconcile::error_policy, Arc::clone(&context))
        .for_each(async |result| {
            if let Err(error) = result {
                // Errors of a pass are logged where they happen; what is left is the watch itself.
                tracing::debug!("{error:#}");
            }
        });
    let schedules = schedule::run(Arc::clone(&context), told_to_end);
    info!("watching LoadTests and LoadTestSchedules");
    tokio::select! {
        _ = futures::future::join(reconciling, schedules) => {
            info!("told to end: every pass is done");
            leadership.release().await;
        }
        result = server => result.context("the server of probes ended")??,
        _ = caches => anyhow::bail!("the caches ended"),
    }
    Ok(())
}

/// Contends for the Lease, unless this is to be the only operator.
fn leadership(arguments: &Arguments) -> anyhow::Result<Leadership> {
    if !arguments.leader_elect {
        return Ok(Leadership::alone());
    }
    let identity = arguments.pod_name.clone().context("POD_NAME is not set: an operator holds the Lease by it")?;
    let (name, namespace) = (arguments.lease_name.clone(), arguments.lease_namespace.clone());
    Leadership::contend(Candidate { name, namespace, identity })
}

/// A client of the API server whose requests are counted.
async fn client(metrics: &Arc<Metrics>) -> anyhow::Result<Client> {
    let builder = ClientBuilder::try_from(Config::infer().await?)?;
    Ok(builder.with_layer(&Counting(Arc::clone(metrics))).build())
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

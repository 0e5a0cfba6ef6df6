//! The runner pod: executes one segment of a plan and answers a conductor over HTTP.
//!
//! Its life: load the plan, answer as ready, begin when told, send load, keep the final snapshot until it is
//! acknowledged, end. It ends its load by itself when told to terminate or when it has not heard from its conductor for
//! the heartbeat timeout.

mod auth;
mod life;
mod metrics;
mod server;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::Parser;
use proofload_engine::{Engine, Options};
use proofload_plan::{PLAN_VERSION, Plan, Segment};
use tracing::info;

use crate::auth::Verifier;
use crate::life::Life;

/// Executes one segment of a load test's plan. Made by the operator; not meant to be started by hand.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    /// The plan, as JSON.
    #[arg(long, env = "PROOFLOAD_PLAN", default_value = "/etc/proofload/plan.json")]
    plan: PathBuf,
    /// Which segment of the plan, from 0. An Indexed Job sets it.
    #[arg(long, env = "JOB_COMPLETION_INDEX")]
    index: u32,
    /// How many segments there are.
    #[arg(long, env = "PROOFLOAD_RUNNERS")]
    runners: u32,
    /// The conductor's Ed25519 public key, 32 bytes in unpadded base64url.
    #[arg(long, env = "PROOFLOAD_PUBLIC_KEY")]
    public_key: String,
    /// Where to answer.
    #[arg(long, env = "PROOFLOAD_LISTEN", default_value = "0.0.0.0:9180")]
    listen: SocketAddr,
    /// Threads that send load. Default: one for each whole CPU that the container may use.
    #[arg(long, env = "PROOFLOAD_THREADS")]
    threads: Option<usize>,
    /// How long, in seconds, the final snapshot stays fetchable after the process was told to end.
    #[arg(long, env = "PROOFLOAD_GRACE", default_value_t = 25)]
    grace: u64,
    /// What to log, e.g. `info` or `proofload_engine=debug`.
    #[arg(long, env = "PROOFLOAD_LOG", default_value = "info")]
    log: String,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .json()
        .with_env_filter(tracing_subscriber::EnvFilter::new(&arguments.log))
        .with_writer(std::io::stderr)
        .init();
    match run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let plan = Arc::new(read_plan(&arguments.plan)?);
    ensure!(
        arguments.index < arguments.runners,
        "expected an index below the number of runners, got index {} of {}",
        arguments.index,
        arguments.runners
    );
    let segment = Segment::new(arguments.index, arguments.runners);
    let verifier = Verifier::new(&arguments.public_key, &plan.run)?;
    let threads = arguments.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let engine = Engine::launch(Arc::clone(&plan), segment, Options { threads: threads.max(1) })
        .context("cannot start the load engine")?;
    info!(run = plan.run, index = segment.index, runners = segment.count, threads, "ready to begin");
    let life = Arc::new(Life::new(plan, engine));
    // One thread is enough to answer a conductor; the engine has its own.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(server::serve(life, verifier, arguments.listen, Duration::from_secs(arguments.grace)))
}

fn read_plan(path: &Path) -> anyhow::Result<Plan> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read the plan {}", path.display()))?;
    let plan: Plan = serde_json::from_str(&text).with_context(|| format!("{} is not a plan", path.display()))?;
    if plan.version != PLAN_VERSION {
        bail!(
            "expected a plan of version {PLAN_VERSION}, got version {}: the operator and this image are of different \
             releases; use the runner image that came with the operator",
            plan.version
        );
    }
    Ok(plan)
}

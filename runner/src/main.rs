//! The runner pod: executes one segment of a plan and answers a conductor over HTTP.
//!
//! Its life: load the plan and what its requests are made of, answer as ready, begin when told, send load, keep the final snapshot until it is
//! acknowledged, end. It ends its load by itself when told to terminate or when it has not heard from its conductor for
//! the heartbeat timeout.
//!
//! As `proofload-runner store` it is no runner, but writes a finished run's report to a store.

mod auth;
mod farewell;
mod life;
mod metrics;
mod scrapes;
mod server;
mod store;
mod target;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::{Args as _, CommandFactory as _, FromArgMatches as _, Parser};
use proofload_api::Problem;
use proofload_engine::{Engine, Materials, Mounted, Options, raise_file_limit};
use proofload_plan::{PLAN_VERSION, Plan, Segment};
use proofload_server_metrics::Asker;
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
    /// Where the kubelet puts data sets and files: data/NAME and files/NAME in here.
    #[arg(long, env = "PROOFLOAD_MATERIALS", default_value = "/etc/proofload")]
    materials: PathBuf,
    /// Where to say why this process could not do its work; the kubelet puts it into the pod's status.
    #[arg(long, env = "PROOFLOAD_TERMINATION_LOG", default_value = "/dev/termination-log")]
    termination_log: PathBuf,
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
    // Without a subcommand this is a runner, some of whose arguments are required; with one they are not.
    let command = Arguments::command().subcommand(store::Arguments::augment_args(clap::Command::new("store")));
    let matches = command.args_conflicts_with_subcommands(true).subcommand_negates_reqs(true).get_matches();
    let (termination_log, done) = match matches.subcommand() {
        Some((_, matches)) => match store::Arguments::from_arg_matches(matches) {
            Ok(arguments) => {
                begin_log(&arguments.log);
                let done =
                    store::run(&arguments).map(|()| ExitCode::SUCCESS).map_err(|failed| vec![failed.to_string()]);
                (arguments.termination_log, done)
            }
            Err(error) => error.exit(),
        },
        None => match Arguments::from_arg_matches(&matches) {
            Ok(arguments) => {
                begin_log(&arguments.log);
                let done = run(&arguments).map_err(|failure| failure.lines());
                (arguments.termination_log, done)
            }
            Err(error) => error.exit(),
        },
    };
    done.unwrap_or_else(|lines| {
        for line in &lines {
            tracing::error!("{line}");
        }
        farewell::say(&termination_log, &lines);
        ExitCode::FAILURE
    })
}

fn begin_log(filter: &str) {
    tracing_subscriber::fmt()
        .json()
        .with_env_filter(tracing_subscriber::EnvFilter::new(filter))
        .with_writer(std::io::stderr)
        .init();
}

/// Why a runner could not do its work.
enum Failure {
    /// What its requests are made of is not as the plan needs it.
    Materials(Vec<Problem>),
    /// Anything else.
    Other(anyhow::Error),
}

impl Failure {
    /// In words, a line for each thing that is wrong.
    fn lines(&self) -> Vec<String> {
        match self {
            Self::Materials(problems) => problems.iter().map(ToString::to_string).collect(),
            Self::Other(error) => vec![format!("{error:#}")],
        }
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let plan = Arc::new(read_plan(&arguments.plan)?);
    let segment = segment(arguments)?;
    let verifier = Verifier::new(&arguments.public_key, &plan.run)?;
    let threads = arguments.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let materials = Materials::load(&plan, &Mounted(&arguments.materials)).map_err(Failure::Materials)?;
    // One is enough to ask, and it is the first that is there for what is done once.
    let asker = if segment.index == 0 { Asker::new(&plan, &materials).map_err(Failure::Materials)? } else { None };
    raise_file_limit();
    let options = Options { threads: threads.max(1) };
    let engine = Engine::launch(Arc::clone(&plan), segment, options, Arc::new(materials))
        .context("cannot start the load engine")?;
    info!(run = plan.run, index = segment.index, runners = segment.count, threads, "ready to begin");
    // One thread is enough to answer a conductor; the engine has its own.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if let Some(asker) = &asker {
        let problems = runtime.block_on(asker.check());
        if !problems.is_empty() {
            return Err(Failure::Materials(problems));
        }
    }
    let life = Arc::new(Life::new(plan, engine, asker));
    let grace = Duration::from_secs(arguments.grace);
    Ok(runtime.block_on(server::serve(life, verifier, arguments.listen, grace))?)
}

fn segment(arguments: &Arguments) -> anyhow::Result<Segment> {
    let (index, runners) = (arguments.index, arguments.runners);
    ensure!(index < runners, "expected an index below the number of runners, got index {index} of {runners}");
    Ok(Segment::new(index, runners))
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

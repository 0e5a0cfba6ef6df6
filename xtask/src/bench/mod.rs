//! `cargo xtask bench`: what docs/benchmarks.md says, measured again. Prints Markdown, in the form of that document.
//!
//! Peers run beside ours in the same run, in turns and on the same core, since only a ratio means anything on a shared
//! machine; those that are not installed are named as missing. One file for each kind of work; what is not work:
//! `servers` (what generators are pointed at), `run` (one run of a generator and what it cost), `peers` and `ours` (how
//! generators are told what to do), `machine` (what the kernel says). Nothing is installed unless that is asked for.

mod cluster;
mod cpu;
mod install;
mod machine;
mod memory;
mod merge;
pub(crate) mod ours;
mod pace;
mod peers;
mod run;
mod servers;

use anyhow::Result;
use clap::ValueEnum;

use crate::context::Context;
use crate::debian;
use ours::Programs;

/// What to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Subject {
    /// The load engine, beside other generators; see `--work`.
    Engine,
    /// Whole runs on the cluster of KUBECONFIG, or on our own if it is up.
    Cluster,
    /// Measures nothing: installs the other generators, and what else `engine` needs.
    Peers,
}

/// What the load engine is made to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Work {
    /// CPU per request of tiny GETs over 64 connections.
    Get,
    /// CPU per request of POSTs with a templated body, an extract and two checks, beside GETs.
    Post,
    /// CPU per request over HTTP/2: 10 connections with 10 streams each.
    Http2,
    /// CPU per request over TLS.
    Tls,
    /// Memory of 10,000 users that pause for a second between requests.
    Memory,
    /// Memory of 10,000 web sockets.
    WebSockets,
    /// Lateness at 5,000 requests a second.
    Lateness,
    /// What is said of a target that stalls.
    Stall,
    /// Merging the snapshots of 500 runners.
    Merge,
}

/// What is asked for, and how thoroughly.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    /// Only this.
    subject: Option<Subject>,
    /// Of the engine, only this; several, separated by commas. Default: all.
    #[arg(long, value_delimiter = ',')]
    work: Vec<Work>,
    /// How often each generator runs, in turns.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How long a run lasts, in seconds, where the work does not fix it.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(2..))]
    seconds: u32,
    /// Beside ours only these generators, separated by commas, e.g. `wrk,h2load`. Default: all.
    #[arg(long, value_delimiter = ',')]
    peers: Option<Vec<String>>,
    /// Install what is missing first: packages of Debian, and the other generators from their sources.
    #[arg(long)]
    install: bool,
    /// Also print what happened when in runs on the cluster.
    #[arg(long)]
    timeline: bool,
}

/// Our generator's name in tables.
const PROOFLOAD: &str = "Proofload";

/// What every work needs to know.
struct Bench<'a> {
    context: &'a Context,
    programs: Programs,
    rounds: u32,
    seconds: u32,
    peers: Option<Vec<String>>,
}

impl Bench<'_> {
    /// Whether a peer is to be measured.
    fn wants(&self, peer: &str) -> bool {
        self.peers.as_ref().is_none_or(|peers| peers.iter().any(|name| name == peer))
    }
}

pub(crate) fn run(context: &Context, arguments: Arguments) -> Result<()> {
    if arguments.install || arguments.subject == Some(Subject::Peers) {
        install::all(context)?;
    }
    let timeline = arguments.timeline;
    match arguments.subject {
        Some(Subject::Peers) => Ok(()),
        Some(Subject::Engine) => engine(context, arguments),
        Some(Subject::Cluster) => cluster::run(context, timeline),
        None => {
            engine(context, arguments)?;
            cluster::run(context, timeline)
        }
    }
}

fn engine(context: &Context, arguments: Arguments) -> Result<()> {
    let missing: Vec<_> =
        ["nginx", "taskset", "openssl"].into_iter().filter(|tool| !debian::present(context, tool)).collect();
    if !missing.is_empty() {
        println!("\nThe engine is not measured; missing here: {} (--install).", missing.join(", "));
        return Ok(());
    }
    let cores = std::thread::available_parallelism()?.get();
    if cores < 2 {
        println!("\nThe engine is not measured: server and generator need a core each, and there is one.");
        return Ok(());
    }
    let works = if arguments.work.is_empty() { Work::value_variants().to_vec() } else { arguments.work };
    context.sh.create_dir(context.home.join("bench"))?;
    let bench = Bench {
        context,
        programs: Programs::build(context)?,
        rounds: arguments.rounds,
        seconds: arguments.seconds,
        peers: arguments.peers,
    };
    println!("\n{cores} cores, load average {} at the begin.", machine::load_average()?);
    let mut failed = Vec::new();
    for work in works {
        // One work that fails must not cost the others, which take minutes each.
        if let Err(error) = bench.measure(work) {
            println!("\nNot measured: {error:#}");
            failed.push(format!("{work:?}"));
        }
    }
    anyhow::ensure!(failed.is_empty(), "not measured: {}", failed.join(", "));
    Ok(())
}

impl Bench<'_> {
    fn measure(&self, work: Work) -> Result<()> {
        match work {
            Work::Get => cpu::get_closed(self),
            Work::Post => cpu::post(self),
            Work::Http2 => cpu::get_http2(self),
            Work::Tls => cpu::get_tls(self),
            Work::Memory => memory::users(self),
            Work::WebSockets => memory::web_sockets(self),
            Work::Lateness => pace::lateness(self),
            Work::Stall => pace::stall(self),
            Work::Merge => merge::run(self),
        }
    }
}

/// A figure in a table; a dash where there is none.
fn cell(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
}

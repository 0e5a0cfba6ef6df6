//! `cargo xtask`: every task of this repository that is more than one cargo command.
//!
//! Each module is one subject (images, chart, cluster, tidy); this file only maps the command line to them.

mod bench;
mod chart;
mod cluster;
mod context;
mod dashboards;
mod debian;
mod fuzz;
mod gallery;
mod generated;
mod go;
mod images;
mod instructions;
mod metrics;
mod monitoring;
mod schemas;
mod suite;
mod tidy;
mod tools;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::context::Context;

/// Builds, checks and tests Proofload.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run every check and test, those on a real cluster included.
    Test {
        /// Only what needs no cluster.
        #[arg(long)]
        quick: bool,
    },
    /// Check the rules of the house that can be read from the code.
    Tidy,
    /// Write the `CustomResourceDefinitions`, to crds/ and into the chart.
    Crds {
        /// Compare instead of writing; fail where they differ.
        #[arg(long)]
        check: bool,
    },
    /// Write the generated files of docs/.
    Docs {
        /// Compare instead of writing; fail where they differ.
        #[arg(long)]
        check: bool,
    },
    /// Write the chart's dashboards for Grafana.
    Dashboards {
        /// Compare instead of writing; fail where they differ.
        #[arg(long)]
        check: bool,
    },
    /// Check the dashboards against Grafana's schema, the alert rules by their unit tests, and what is scraped by promtool.
    Monitoring,
    /// Check the chart: lint it, render it, and hold the result against the API server's own schemas.
    Chart,
    /// A real cluster on this machine, with the operator in it.
    #[command(subcommand)]
    Cluster(cluster::Command),
    /// Measure what docs/benchmarks.md says: the engine beside other generators, and runs on the cluster that is up.
    Bench(bench::Arguments),
    /// Count instructions of the engine's hot path and of merging, and compare them with benches/instructions.json.
    Instructions {
        /// Write what is counted now instead of comparing.
        #[arg(long)]
        bless: bool,
    },
    /// Try every parser with inputs that are made up.
    Fuzz {
        /// Only this: a target of fuzz/.
        target: Option<String>,
        /// For how long each.
        #[arg(long, default_value_t = 60)]
        seconds: u32,
    },
    /// Run the examples that follow real load tests, and write docs/gallery.md with pictures of their reports.
    Gallery {
        /// Only this example's picture; the page stays.
        example: Option<String>,
    },
    /// Build the tools that other tasks need (helm, kubeconform).
    Tools,
    /// Check licences, sources and duplicates of all dependencies (builds cargo-deny first).
    Deny {
        /// Check for known vulnerabilities too; fetches their list from the internet.
        #[arg(long)]
        advisories: bool,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match context::leave_cargo().and_then(|()| run(arguments.task)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> anyhow::Result<ExitCode> {
    let context = Context::new()?;
    match task {
        Task::Test { quick } => return suite::run(&context, quick),
        Task::Tidy => tidy::check(&context)?,
        Task::Crds { check } => generated::crds(&context, check)?,
        Task::Docs { check } => generated::docs(&context, check)?,
        Task::Dashboards { check } => generated::dashboards(&context, check)?,
        Task::Monitoring => monitoring::check(&context)?,
        Task::Chart => chart::check(&context)?,
        Task::Cluster(command) => cluster::run(&context, command)?,
        Task::Bench(arguments) => bench::run(&context, arguments)?,
        Task::Instructions { bless } => instructions::run(&context, bless)?,
        Task::Fuzz { target, seconds } => fuzz::run(&context, target.as_deref(), seconds)?,
        Task::Gallery { example } => gallery::run(&context, example.as_deref())?,
        Task::Tools => tools::ensure(&context)?,
        Task::Deny { advisories } => tools::deny(&context, advisories)?,
    }
    Ok(ExitCode::SUCCESS)
}

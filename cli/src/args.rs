//! What the command line understands.

// Doc comments here are help texts, where backticks would be noise.
#![allow(clippy::doc_markdown)]

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

/// Load tests that end in a verdict. The same file runs here and in a cluster.
#[derive(Debug, Parser)]
#[command(
    version,
    arg_required_else_help = true,
    after_help = "\
Examples:
  proofload new checkout > checkout.yaml       a commented file to begin with
  proofload run checkout.yaml                  run it here, with no cluster
  proofload run checkout.yaml --demo-target    try it against a server that is brought along

Exit codes of run are in its own help: proofload run --help"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a load test from this machine, and report.
    Run(RunArgs),
    /// Check files as the API server and the operator would, and name every problem.
    Validate(ValidateArgs),
    /// Print a commented load test to begin with.
    New(NewArgs),
    /// Show a stored report.
    Report(ReportArgs),
    /// Print the version.
    Version,
    /// Print a completion script for a shell.
    #[command(after_help = "Example:\n  proofload completions bash > /etc/bash_completion.d/proofload")]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Serve the target of `run --demo-target`, until the end of standard input.
    #[command(hide = true)]
    DemoTarget,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  proofload run checkout.yaml
  proofload run checkout.yaml --target http://localhost:8080
  proofload run checkout.yaml --output json > report.json
  kubectl get loadtest checkout -o yaml | proofload run -

Ctrl-C once ends the load and still reports; twice quits at once.

Exit codes:
    0  passed, or there are no criteria
   99  failed: a criterion did not hold
   98  inconclusive: the figures cannot be trusted
  104  the file is not a valid load test; nothing was run
  105  stopped by the user
    1  anything else")]
pub(crate) struct RunArgs {
    /// A file with exactly one LoadTest, or - for standard input.
    pub(crate) file: PathBuf,
    /// Put the load on a server that is brought along and runs in a process of its own.
    #[arg(long, conflicts_with = "target")]
    pub(crate) demo_target: bool,
    /// Put the load here instead of on spec.target.baseUrl.
    #[arg(long, value_name = "URL")]
    pub(crate) target: Option<String>,
    /// What to print at the end.
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    /// Write the report as JSON into a file, compressed if it ends in .gz.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Show no progress.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  proofload validate tests/*.yaml")]
pub(crate) struct ValidateArgs {
    /// Files with exactly one LoadTest each, or - for standard input.
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  proofload new checkout --target http://checkout.shop.svc:8080 > checkout.yaml")]
pub(crate) struct NewArgs {
    /// The load test's name.
    #[arg(default_value = "my-test")]
    pub(crate) name: String,
    /// The service under test.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    pub(crate) target: String,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  proofload report report.json
  kubectl get configmap checkout-report -o jsonpath='{.binaryData.report\\.json\\.gz}' | base64 -d | proofload report -")]
pub(crate) struct ReportArgs {
    /// A report as JSON, compressed by gzip or not, or - for standard input.
    pub(crate) file: PathBuf,
    /// How to show it.
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
}

/// A form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Text,
    /// For programs, as docs/report.schema.json says.
    Json,
}

//! What the command line understands.

// Doc comments here are help texts, where backticks would be noise.
#![allow(clippy::doc_markdown)]

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use proofload_api::units::{Micros, Rate, Share};
use proofload_results::Tolerance;

use crate::form::ReportFile;

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
  proofload compare before.json after.json     whether it got worse

Exit codes of run and compare are in their own help: proofload run --help"
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
    /// Show a report, of a file or of a run in the cluster, in one of many forms.
    Report(ReportArgs),
    /// Hold runs against a baseline, and fail where one is worse.
    Compare(CompareArgs),
    /// Change the load of a test that is under way: of a run on this machine, or else of one in the cluster.
    Scale(ScaleArgs),
    /// Run the test of a LoadTestSchedule in the cluster now.
    Trigger(TriggerArgs),
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
  proofload run checkout.yaml --report report.html --report junit.xml
  proofload run checkout.yaml --baseline main.json.gz
  kubectl get loadtest checkout -o yaml | proofload run -

A variable of spec.env without a value is taken from this process's environment, or else
from the file NAME/KEY of its ConfigMap or Secret.

Ctrl-C once ends the load, does the teardown and still reports; twice quits at once.
While it runs: proofload scale checkout --to 200

Exit codes:
    0  passed, or there are no criteria
   99  failed: a criterion did not hold, or the run is worse than its baseline
   98  inconclusive: the figures cannot be trusted
  104  the file is not a valid load test; nothing was run
  105  stopped by the user
    1  anything else")]
pub(crate) struct RunArgs {
    /// A file with exactly one LoadTest, or - for standard input. Of a LoadTestSchedule the template is run, once.
    pub(crate) file: PathBuf,
    /// Put the load on a server that is brought along and runs in a process of its own. Where spec.target.baseUrl is
    /// https, by TLS; the files that spec.target.tls names are then that server's own.
    #[arg(long, conflicts_with = "target")]
    pub(crate) demo_target: bool,
    /// Put the load here instead of on spec.target.baseUrl.
    #[arg(long, value_name = "URL")]
    pub(crate) target: Option<String>,
    /// Ask this Prometheus for the target's own metrics (spec.serverMetrics) instead of the one at spec.prometheus.url.
    #[arg(long, value_name = "URL")]
    pub(crate) prometheus: Option<String>,
    /// Where its data sets and files are: a key of a ConfigMap or Secret is DIR/NAME/KEY, or else DIR/KEY. Default: the
    /// directory of the file.
    #[arg(long, value_name = "DIR")]
    pub(crate) files: Option<PathBuf>,
    /// Hold the run against this earlier one, instead of what spec.baseline says: a report as JSON, compressed by gzip or
    /// not; or a LoadTest in the cluster, NAME or NAMESPACE/NAME. A regression fails the run.
    #[arg(long, value_name = "RUN|FILE")]
    pub(crate) baseline: Option<PathBuf>,
    /// Hold the run against no earlier one, whatever spec.baseline says.
    #[arg(long, conflicts_with = "baseline")]
    pub(crate) no_baseline: bool,
    /// What to print at the end.
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    /// Write the report into a file too, as its name ends: .json, .json.gz, .html, .md, .xml (JUnit). May be given several
    /// times.
    #[arg(long, value_name = "FILE", value_parser = ReportFile::parse)]
    pub(crate) report: Vec<ReportFile>,
    /// Show no progress.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  proofload validate tests/*.yaml
  proofload validate checkout.yaml --files tests/data

Data sets and files are checked too, where they are here; of a ConfigMap or Secret that is only in the cluster it is
said that it was not checked.")]
pub(crate) struct ValidateArgs {
    /// Files with exactly one LoadTest or LoadTestSchedule each, or - for standard input.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) tests: Vec<PathBuf>,
    /// Where their data sets and files are, as for run. Default: the directory of each file.
    #[arg(long, value_name = "DIR")]
    pub(crate) files: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
#[command(
    group(clap::ArgGroup::new("level").required(true)),
    after_help = "\
Examples:
  proofload scale checkout --to 200                       so many users from now on
  proofload scale checkout --rate 500/s                   so many iterations that begin
  proofload scale checkout --scenario browse --to 50      of a test with several scenarios
  kubectl proofload scale checkout -n shop --to 200

The change holds until the scenario ends or is changed again, and is in the report."
)]
pub(crate) struct ScaleArgs {
    /// The load test.
    pub(crate) name: String,
    /// So many users, over all runners, of a scenario with users.
    #[arg(long, value_name = "USERS", group = "level", value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    pub(crate) to: Option<u32>,
    /// So many iterations that begin, over all runners, of a scenario with arrivals: 500/s, 90/m, 10/h.
    #[arg(long, value_name = "RATE", group = "level")]
    pub(crate) rate: Option<Rate>,
    /// Which scenario. Default: the only one.
    #[arg(long)]
    pub(crate) scenario: Option<String>,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  proofload trigger nightly
  proofload trigger nightly -n shop --wait
  kubectl annotate --overwrite loadtestschedule nightly proofload.dev/trigger=\"$(date)\"

The last one is the same for those who have only kubectl. A schedule that is suspended or pauses runs too. Where a run is
under way, the new one waits for it, unless spec.concurrencyPolicy is Allow or Replace.

Exit codes of --wait are those of run: 0 passed, 99 failed, 98 inconclusive, 1 anything else.")]
pub(crate) struct TriggerArgs {
    /// The schedule.
    pub(crate) name: String,
    /// Wait for the run's verdict.
    #[arg(long)]
    pub(crate) wait: bool,
    /// For so long at most, the run of before included.
    #[arg(long, value_name = "TIME", default_value = "24h", requires = "wait")]
    pub(crate) timeout: Micros,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
}

/// Which cluster, and where in it. With any of these, nothing on this machine is looked at.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct ClusterArgs {
    /// Its namespace in the cluster. Default: that of the context. With it, this machine is not looked at.
    #[arg(long, short)]
    pub(crate) namespace: Option<String>,
    /// How to reach the cluster. Default: as kubectl does.
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Which context of it.
    #[arg(long)]
    pub(crate) context: Option<String>,
}

impl ClusterArgs {
    /// Whether the cluster is meant, and not this machine.
    pub(crate) const fn is_given(&self) -> bool {
        self.namespace.is_some() || self.kubeconfig.is_some() || self.context.is_some()
    }
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
  proofload report report.json                       a file, as run --report writes it
  proofload report checkout -n shop                  the report of a LoadTest in the cluster
  proofload report checkout -o html > report.html    a page for a browser
  proofload report checkout -o md > comment.md       for a pull request
  proofload report checkout -o junit --to junit.xml  for a CI system
  proofload report checkout -o csv --to results/run  results/run_stats.csv, _stats_history.csv,
                                                     _failures.csv and _exceptions.csv, as Locust has them
  zcat report.json.gz | proofload report -")]
pub(crate) struct ReportArgs {
    /// A report as JSON, compressed by gzip or not, or - for standard input; else a LoadTest in the cluster whose run is
    /// over.
    #[arg(value_name = "RUN|FILE")]
    pub(crate) source: PathBuf,
    /// How to show it.
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    /// Write it into a file instead, JSON compressed if that ends in .gz. Of csv this is what the names of its four files
    /// begin with.
    #[arg(long, value_name = "PATH")]
    pub(crate) to: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  proofload compare before.json after.json
  proofload compare before.json monday.json tuesday.json --tolerance 20%
  proofload compare main.json.gz branch.json.gz --output md --to comment.md

The first is the baseline; scenarios and steps are compared by their names. A figure is worse if it is so by more than
is tolerated and by more than chance, which follows from the whole distribution of latency and from the counts of
requests: docs/compare.md.

Exit codes:
    0  nothing is worse
   99  a figure is worse
   98  a run cannot be compared: its figures are in doubt, or there is nothing in common
    1  anything else")]
pub(crate) struct CompareArgs {
    /// What the others are held against: a report as JSON, compressed by gzip or not, or - for standard input; or a
    /// LoadTest in the cluster, NAME or NAMESPACE/NAME.
    pub(crate) baseline: PathBuf,
    /// The others.
    #[arg(required = true, value_name = "RUN")]
    pub(crate) others: Vec<PathBuf>,
    /// How much longer times, and how much lower rates may be.
    #[arg(long, value_name = "SHARE", default_value_t = Tolerance::default().relative)]
    pub(crate) tolerance: Share,
    /// How much higher the share of requests that failed may be, in percentage points.
    #[arg(long, value_name = "SHARE", default_value_t = Tolerance::default().errors)]
    pub(crate) error_tolerance: Share,
    /// How to show it.
    #[arg(long, short, value_enum, default_value_t = CompareOutput::Text)]
    pub(crate) output: CompareOutput,
    /// Write it into a file instead of to standard output.
    #[arg(long, value_name = "FILE")]
    pub(crate) to: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
}

/// A form of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CompareOutput {
    /// For people at a terminal.
    Text,
    /// Markdown, for a pull request.
    Md,
    /// A page of its own.
    Html,
    /// For programs, as docs/compare.md says.
    Json,
}

/// A form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Text,
    /// A page for a browser, in one file.
    Html,
    /// Markdown, for a pull request.
    #[value(alias = "markdown")]
    Md,
    /// JUnit XML, for CI systems: a test case for each criterion.
    Junit,
    /// For programs, as docs/report.schema.json says.
    Json,
    /// Locust's stats; its other three files only by --to of report.
    Csv,
}

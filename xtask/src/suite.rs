//! `cargo xtask test`: every check and test there is, one after the other, and a count at the end.
//!
//! The cluster's components take minutes to build the first time, mostly on one core: that begins first, beside the
//! checks that need no cluster.

use std::fs::File;
use std::process::{Child, Command, ExitCode};
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use xshell::cmd;

use crate::context::Context;
use crate::{chart, cluster, debian, fuzz, generated, images, instructions, monitoring, tidy, tools};

/// Shell scripts of the repository.
const SCRIPTS: &[&str] = &[".ci/run", "tests/cluster/cluster", "tests/cluster/smoke"];

/// For how many seconds each parser is fuzzed: enough to try again what was found once, and a little that is new.
const FUZZING: u32 = 5;

/// What became of a step that did not fail.
enum Outcome {
    Passed,
    /// It cannot run here, and why.
    Skipped(String),
}

pub(crate) fn run(context: &Context, quick: bool) -> Result<ExitCode> {
    let mut suite = Suite::new(context);
    let preparation = if quick { None } else { Preparation::begin(context)? };
    suite.checks();
    if quick {
        suite.step("chart", offline_chart);
    } else {
        suite.step("instructions", count_instructions);
        suite.on_a_cluster(preparation);
    }
    Ok(suite.close())
}

struct Suite<'a> {
    context: &'a Context,
    /// In CI nothing may be skipped: what cannot run there has failed.
    ci: bool,
    passed: usize,
    failed: Vec<String>,
    skipped: usize,
}

impl<'a> Suite<'a> {
    fn new(context: &'a Context) -> Self {
        let ci = std::env::var("CI").is_ok_and(|value| value == "true");
        Self { context, ci, passed: 0, failed: Vec::new(), skipped: 0 }
    }

    /// Runs one step under a heading. Returns whether later steps may build on it.
    fn step(&mut self, name: &str, run: impl FnOnce(&Context) -> Result<Outcome>) -> bool {
        println!("\n== {name}");
        let begin = Instant::now();
        let result = match run(self.context) {
            Ok(Outcome::Skipped(why)) if self.ci => Err(anyhow::anyhow!("skipped, which CI must not: {why}")),
            other => other,
        };
        let seconds = begin.elapsed().as_secs_f64();
        match result {
            Ok(Outcome::Passed) => {
                self.passed += 1;
                println!("== {name}: passed in {seconds:.1} s");
                true
            }
            Ok(Outcome::Skipped(why)) => {
                self.skipped += 1;
                println!("== {name}: skipped: {why}");
                false
            }
            Err(error) => {
                self.failed.push(name.to_owned());
                println!("== {name}: FAILED after {seconds:.1} s: {error:#}");
                false
            }
        }
    }

    /// What needs no cluster.
    fn checks(&mut self) {
        self.step("format", |context| {
            cargo(context, &["fmt", "--all", "--check"])?;
            cargo(context, &["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"])
        });
        self.step("tidy", |context| tidy::check(context).map(|()| Outcome::Passed));
        self.step("clippy", |context| {
            cargo(context, &["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"])
        });
        self.step("generated files", |context| {
            generated::crds(context, true)?;
            generated::docs(context, true)?;
            generated::dashboards(context, true)?;
            Ok(Outcome::Passed)
        });
        self.step("unit tests", |context| {
            debian::ensure_browser(context)?;
            debian::ensure_prometheus(context)?;
            cargo(context, &["test", "--quiet", "--workspace", "--exclude", "proofload-e2e"])
        });
        self.step("dashboards and alerts", |context| monitoring::check(context).map(|()| Outcome::Passed));
        self.step("fuzzing", |context| {
            if !debian::present(context, "c++") && !debian::is_root(context)? {
                return Ok(Outcome::Skipped("it needs a C++ compiler, which only root can install".to_owned()));
            }
            fuzz::run(context, None, FUZZING).map(|()| Outcome::Passed)
        });
    }

    fn on_a_cluster(&mut self, preparation: Option<Preparation>) {
        let prepared = self.step("prerequisites", |context| match preparation {
            Some(preparation) => preparation.finish(),
            None => Ok(Outcome::Skipped(why_no_cluster(context)?.unwrap_or_default())),
        });
        if !prepared {
            self.not_run(&["scripts", "cluster", "chart", "install", "e2e tests"], "the prerequisites are missing");
            return;
        }
        self.step("scripts", lint_scripts);
        let started = self.step("cluster", |context| {
            // The preparation was another process's: this one has yet to learn where Go is.
            tools::ensure(context)?;
            cluster::start(context, 3)?;
            Ok(Outcome::Passed)
        });
        if !started {
            self.not_run(&["chart", "install", "e2e tests"], "there is no cluster");
            return;
        }
        self.step("chart", |context| {
            chart::lint(context)?;
            chart::refresh_schemas(context, &cluster::use_own(context)?)?;
            chart::validate(context)?;
            Ok(Outcome::Passed)
        });
        let mut deployed = None;
        if self.step("install", |context| {
            deployed = Some(cluster::deploy(context)?);
            Ok(Outcome::Passed)
        }) {
            self.step("e2e tests", |context| e2e(context, deployed.as_ref().context("just installed")?));
        } else {
            self.not_run(&["e2e tests"], "the operator is not installed");
        }
    }

    /// Steps that another step's failure kept from running.
    fn not_run(&mut self, names: &[&str], why: &str) {
        for name in names {
            self.step(name, |_| Ok(Outcome::Skipped(why.to_owned())));
        }
    }

    /// The count, alone on the last line, as tools that read it expect.
    fn close(self) -> ExitCode {
        if !self.failed.is_empty() {
            println!("\nfailed: {}", self.failed.join(", "));
        }
        let skipped = if self.skipped > 0 { format!(", {} skipped", self.skipped) } else { String::new() };
        println!("\n{} passed, {} failed{skipped}", self.passed, self.failed.len());
        if self.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

fn cargo(context: &Context, arguments: &[&str]) -> Result<Outcome> {
    let sh = &context.sh;
    cmd!(sh, "cargo {arguments...}").quiet().run()?;
    Ok(Outcome::Passed)
}

/// Not a quick check: the engine is built as it is released.
fn count_instructions(context: &Context) -> Result<Outcome> {
    if !debian::present(context, "valgrind") && !debian::is_root(context)? {
        return Ok(Outcome::Skipped("valgrind is missing, and only root can install it".to_owned()));
    }
    instructions::run(context, false)?;
    Ok(Outcome::Passed)
}

fn lint_scripts(context: &Context) -> Result<Outcome> {
    let sh = &context.sh;
    for script in SCRIPTS {
        cmd!(sh, "bash -n {script}").quiet().run()?;
    }
    cmd!(sh, "shellcheck {SCRIPTS...}").quiet().run()?;
    Ok(Outcome::Passed)
}

fn offline_chart(context: &Context) -> Result<Outcome> {
    if !chart::schema_directory(context).exists() {
        return Ok(Outcome::Skipped("the schemas come from a cluster, and none has run here yet".to_owned()));
    }
    tools::ensure(context)?;
    chart::lint(context)?;
    chart::validate(context)?;
    Ok(Outcome::Passed)
}

/// The tests of tests/e2e, told where the cluster is and what is installed in it.
fn e2e(context: &Context, images: &images::Images) -> Result<Outcome> {
    debian::ensure_prometheus(context)?;
    let sh = &context.sh;
    cmd!(sh, "cargo test --package proofload-e2e -- --test-threads=1")
        .env("KUBECONFIG", cluster::kubeconfig(context))
        .env("PROOFLOAD_CLUSTER", context.cluster_script())
        .env("PROOFLOAD_OPERATOR_IMAGE", images.operator())
        .env("PROOFLOAD_RUNNER_IMAGE", images.runner())
        .env("PROOFLOAD_TARGET_IMAGE", images.target())
        .quiet()
        .run()?;
    Ok(Outcome::Passed)
}

/// Why this machine cannot run the cluster, if so.
fn why_no_cluster(context: &Context) -> Result<Option<String>> {
    if !cfg!(target_os = "linux") {
        return Ok(Some("the cluster runs on Linux only".to_owned()));
    }
    Ok((!debian::is_root(context)?).then(|| "only root can start the cluster".to_owned()))
}

/// `cargo xtask cluster prepare` in the background.
struct Preparation {
    process: Child,
    log: std::path::PathBuf,
}

impl Preparation {
    /// Nothing is begun where no cluster can run.
    fn begin(context: &Context) -> Result<Option<Self>> {
        if why_no_cluster(context)?.is_some() {
            return Ok(None);
        }
        let log = context.home.join("prepare.log");
        context.sh.create_dir(&context.home)?;
        let output = File::create(&log).with_context(|| log.display().to_string())?;
        // Nice, because the checks in the foreground are what a person waits for.
        let process = Command::new("nice")
            .arg(std::env::current_exe()?)
            .args(["cluster", "prepare"])
            .stdin(std::process::Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .context("starting `cargo xtask cluster prepare`")?;
        println!("building the cluster's components meanwhile; log: {}", log.display());
        Ok(Some(Self { process, log }))
    }

    fn finish(mut self) -> Result<Outcome> {
        let status = self.process.wait()?;
        if status.success() {
            return Ok(Outcome::Passed);
        }
        let log = std::fs::read_to_string(&self.log)?;
        let lines: Vec<_> = log.lines().collect();
        println!("{}", lines[lines.len().saturating_sub(40)..].join("\n"));
        ensure!(status.code().is_some(), "`cargo xtask cluster prepare` was killed");
        bail!("`cargo xtask cluster prepare` failed; all of its output: {}", self.log.display())
    }
}

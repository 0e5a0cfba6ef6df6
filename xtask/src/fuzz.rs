//! `cargo xtask fuzz`: tries each parser with inputs that libFuzzer makes up from what the code does with them.
//!
//! Works with the toolchain that builds everything else: coverage is compiled in by flags that are stable, and there is
//! no sanitizer, which safe code needs least. What is worth trying again is kept outside of the clone, so that each run
//! begins where the last one ended; what breaks a parser is kept too, and belongs into fuzz/corpus once it is mended.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use xshell::cmd;

use crate::context::Context;
use crate::debian;

/// A target of fuzz/, and where inputs to begin with lie besides its own corpus.
struct Target {
    name: &'static str,
    seeds: &'static [&'static str],
}

const fn target(name: &'static str, seeds: &'static [&'static str]) -> Target {
    Target { name, seeds }
}

const TARGETS: &[Target] = &[
    target("responses", &["crates/engine/tests/corpus/responses"]),
    target("chunked", &[]),
    target("criteria", &[]),
    target("units", &[]),
    target("templates", &[]),
    target("json_path", &[]),
    target("snapshot", &[]),
    target("data", &[]),
    target("loadtest", &["examples"]),
];

/// What cargo-fuzz compiles with, but for the sanitizer.
const FLAGS: &[&str] = &[
    "--cfg",
    "fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// The longest input, in bytes: what is wrong with a parser shows in short ones.
const LONGEST: u32 = 4096;
/// An input that takes longer, in seconds, is one that breaks the parser.
const SLOWEST: u32 = 10;
/// So many lines are shown of what a target said that was broken.
const SHOWN: usize = 40;

/// Fuzzes one target, or each, for so many seconds. As many at once as there are CPUs.
pub(crate) fn run(context: &Context, only: Option<&str>, seconds: u32) -> Result<()> {
    let targets: Vec<&Target> = TARGETS.iter().filter(|target| only.is_none_or(|only| target.name == only)).collect();
    if targets.is_empty() {
        let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
        bail!("expected one of {}, got {}", names.join(", "), only.unwrap_or_default());
    }
    let programs = build(context)?;
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let mut broken = Vec::new();
    for some in targets.chunks(cpus) {
        let runs = some.iter().map(|target| Ok((target, target.start(context, &programs, seconds)?)));
        for (target, mut run) in runs.collect::<Result<Vec<_>>>()? {
            let status = run.wait()?;
            let said = context.sh.read_file(target.log(context)).unwrap_or_default();
            let lines: Vec<_> = said.lines().collect();
            if status.success() {
                println!("{}: {}", target.name, lines.last().unwrap_or(&"done"));
            } else {
                println!("{}: {status}\n{}", target.name, lines[lines.len().saturating_sub(SHOWN)..].join("\n"));
                broken.push(target.name);
            }
        }
    }
    let found = home(context);
    ensure!(broken.is_empty(), "broken: {}; the inputs are in {}", broken.join(", "), found.display());
    Ok(())
}

/// Where inputs are kept.
fn home(context: &Context) -> PathBuf {
    context.home.join("fuzz")
}

/// Builds all targets; returns the directory that they are in.
fn build(context: &Context) -> Result<PathBuf> {
    if !debian::present(context, "c++") {
        debian::install(context, &["g++"], "fuzzing")?;
    }
    let sh = &context.sh;
    let version = cmd!(sh, "rustc --version --verbose").quiet().read()?;
    let host =
        version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc says for which host it is")?;
    let target_directory = match sh.var_os("CARGO_TARGET_DIR") {
        Some(directory) => PathBuf::from(directory).join("fuzz"),
        None => context.root.join("target/fuzz"),
    };
    // Naming the host keeps the flags from build scripts and macros.
    cmd!(sh, "cargo build --quiet --manifest-path fuzz/Cargo.toml --bins --target {host}")
        .env("CARGO_TARGET_DIR", &target_directory)
        .env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\u{1f}"))
        .quiet()
        .run()?;
    Ok(target_directory.join(host).join("debug"))
}

impl Target {
    /// What it said when it ran last.
    fn log(&self, context: &Context) -> PathBuf {
        home(context).join(format!("{}.log", self.name))
    }

    fn start(&self, context: &Context, programs: &Path, seconds: u32) -> Result<Child> {
        let Self { name, seeds } = self;
        let kept = home(context).join(name);
        context.sh.create_dir(&kept)?;
        let broken = home(context).join(format!("{name}-"));
        let mut command = Command::new(programs.join(name));
        // New inputs go to the first directory only.
        command.arg(kept).arg(context.root.join("fuzz/corpus").join(name));
        command.args(seeds.iter().map(|seeds| context.root.join(seeds)));
        let dictionary = context.root.join(format!("fuzz/dictionaries/{name}.dict"));
        if dictionary.exists() {
            command.arg(format!("-dict={}", dictionary.display()));
        }
        command.arg(format!("-artifact_prefix={}", broken.display()));
        command.args([
            format!("-max_total_time={seconds}"),
            format!("-max_len={LONGEST}"),
            format!("-timeout={SLOWEST}"),
        ]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(self.log(context))?);
        command.spawn().with_context(|| format!("starting {name}"))
    }
}

//! One run of a generator on the generators' core: what it cost, by the kernel's accounting, and what the server counted.

use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::machine::{GENERATOR_CORE, busy, children, most_resident};
use super::servers::Server;
use crate::context::Context;

/// How much longer than planned a generator may run before it is ended.
const PATIENCE: Duration = Duration::from_secs(90);
/// How often memory is looked at. The kernel remembers the highest, so that only the end must not be missed by much.
const GLANCE: Duration = Duration::from_millis(20);

/// A load generator and how it is told to send.
#[derive(Debug, Clone)]
pub(super) struct Generator {
    pub(super) name: String,
    pub(super) command: Vec<String>,
}

impl Generator {
    pub(super) fn new(name: &str, command: &[&str]) -> Self {
        let command = command.iter().map(|&argument| argument.to_owned()).collect();
        Self { name: name.to_owned(), command }
    }
}

/// What one run of a generator cost.
pub(super) struct Sample {
    /// Seconds of CPU of the whole process.
    pub(super) user: f64,
    pub(super) system: f64,
    /// What the server counted.
    pub(super) requests: f64,
    pub(super) elapsed: f64,
    /// The most bytes that it had resident.
    pub(super) memory: f64,
    /// Cores that neither the generator nor the server used.
    pub(super) others: f64,
    /// What it printed.
    pub(super) said: String,
}

impl Sample {
    /// Microseconds of CPU for each request.
    pub(super) fn cpu(&self) -> f64 {
        (self.user + self.system) * 1e6 / self.requests
    }

    /// The part of it that was spent in the kernel.
    pub(super) fn in_kernel(&self) -> f64 {
        self.system * 1e6 / self.requests
    }
}

/// Runs a generator that should take so many seconds.
pub(super) fn run(context: &Context, generator: &Generator, server: &dyn Server, seconds: u32) -> Result<Sample> {
    let (before, busy_before) = (server.served()?, server.busy()?);
    let mut sample = unobserved(context, generator, seconds)?;
    // nginx counts the question before too: one of thousands.
    sample.requests = (server.served()? - before) as f64;
    ensure!(sample.requests > 100.0, "{} sent next to nothing: {}", generator.name, sample.said);
    sample.others = (sample.others - (server.busy()? - busy_before) / sample.elapsed).max(0.0);
    Ok(sample)
}

/// The same where no server counts: without requests, and what a server used is used by others.
pub(super) fn unobserved(context: &Context, generator: &Generator, seconds: u32) -> Result<Sample> {
    let busy_before = busy()?;
    let begin = Instant::now();
    let directory = context.home.join("bench");
    context.sh.create_dir(&directory)?;
    let log = directory.join("generator.log");
    let (memory, times) = execute(context, generator, &log, Duration::from_secs(seconds.into()) + PATIENCE)?;
    let elapsed = begin.elapsed().as_secs_f64();
    let mut times = times.split_whitespace().map(str::parse::<f64>);
    let (Some(Ok(user)), Some(Ok(system))) = (times.next(), times.next()) else {
        bail!("bash told no times of {}", generator.name)
    };
    Ok(Sample {
        user,
        system,
        requests: 0.0,
        elapsed,
        memory: memory as f64,
        others: (busy()? - busy_before - user - system).max(0.0) / elapsed,
        said: std::fs::read_to_string(&log)?,
    })
}

/// The most memory that the generator had resident, and its times as bash tells them. What it prints goes into a file:
/// a pipe would have to be emptied while it runs.
fn execute(context: &Context, generator: &Generator, log: &Path, most: Duration) -> Result<(u64, String)> {
    let begin = Instant::now();
    // The shell's `time` is what the kernel accounted to the process when it ended: no sampling, nothing estimated.
    let script = "ulimit -S -n \"$(ulimit -H -n)\"; TIMEFORMAT='%3U %3S'; log=$1; shift\n\
                  time taskset --cpu-list \"$@\" > \"$log\" 2>&1";
    let mut process = Command::new("bash")
        .args(["-c", script, "bash"])
        .arg(log)
        .arg(GENERATOR_CORE)
        .args(&generator.command)
        .current_dir(log.parent().context("the log is in a directory")?)
        .env("PATH", context.sh.var_os("PATH").unwrap_or_default())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("starting bash")?;
    let mut memory = 0;
    let status = loop {
        if let Some(status) = process.try_wait()? {
            break status;
        }
        let children = children(process.id());
        memory = memory.max(children.iter().copied().map(most_resident).sum::<u64>());
        if begin.elapsed() > most {
            for child in children {
                // It ends between the question and this, or it ends now.
                let _ = Command::new("kill").arg(child.to_string()).status();
            }
        }
        std::thread::sleep(GLANCE);
    };
    let mut times = String::new();
    process.stderr.take().context("standard error is a pipe")?.read_to_string(&mut times)?;
    let said = || std::fs::read_to_string(log).unwrap_or_default();
    ensure!(status.success(), "{} failed ({status}): {} {times}", generator.name, said());
    Ok((memory, times))
}

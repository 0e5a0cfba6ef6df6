//! `cargo xtask bench`: what docs/benchmarks.md says, measured again. Prints Markdown.
//!
//! The engine is measured beside wrk in the same run, since only a ratio means anything on a shared machine. What needs a
//! cluster is measured by tests/e2e/examples/measure.rs on the one that is up; nothing is started or installed here.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use clap::ValueEnum;
use serde_json::Value;
use xshell::cmd;

use crate::context::Context;
use crate::{cluster, debian};

/// What to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Subject {
    /// CPU per request of the load engine, beside wrk.
    Engine,
    /// Whole runs on the cluster of KUBECONFIG, or on our own if it is up.
    Cluster,
}

/// Where the server runs, and where the generators do: they must not share a core.
const SERVER_CORE: &str = "0";
const GENERATOR_CORE: &str = "1";
/// Rounds; each runs every generator once, so that a ratio compares runs close together in time.
const ROUNDS: usize = 7;
const CONNECTIONS: &str = "64";
const SECONDS: &str = "8";
/// Ticks of the kernel's accounting in a second, as /proc tells it on every architecture that we know.
const TICKS: f64 = 100.0;
/// How long nginx may take to listen.
const UP_WITHIN: Duration = Duration::from_secs(5);

pub(crate) fn run(context: &Context, subject: Option<Subject>, timeline: bool) -> Result<()> {
    if subject != Some(Subject::Cluster) {
        engine(context)?;
    }
    if subject != Some(Subject::Engine) {
        on_cluster(context, timeline)?;
    }
    Ok(())
}

/// A load generator and how it is told to send, over 64 connections from one thread.
struct Generator {
    name: &'static str,
    command: Vec<String>,
}

/// What one run of a generator cost.
struct Sample {
    /// Microseconds of CPU of the whole process, for each request that the server counted.
    cpu: f64,
    /// The part of it that was spent in the kernel.
    system: f64,
    rate: f64,
    /// Cores that neither the generator nor the server used.
    others: f64,
}

fn engine(context: &Context) -> Result<()> {
    println!("\n## CPU per request of the engine\n");
    let missing: Vec<_> = ["nginx", "taskset"].into_iter().filter(|tool| !debian::present(context, tool)).collect();
    if !missing.is_empty() {
        println!("Not measured, missing here: {} (Debian: apt-get install nginx util-linux).", missing.join(", "));
        return Ok(());
    }
    let cores = std::thread::available_parallelism()?.get();
    if cores < 2 {
        println!("Not measured: server and generator need a core each, and there is one.");
        return Ok(());
    }
    let ours = build_ours(context)?;
    let server = Nginx::start(context)?;
    let generators = generators(context, &ours, &server.url());
    let load_before = load_average()?;
    let mut samples: Vec<Vec<Sample>> = generators.iter().map(|_| Vec::new()).collect();
    for round in 1..=ROUNDS {
        for (generator, samples) in generators.iter().zip(&mut samples) {
            let sample = measure(context, generator, &server)?;
            eprintln!("round {round}: {}: {:.2} us, {:.0}/s", generator.name, sample.cpu, sample.rate);
            samples.push(sample);
        }
    }
    println!(
        "nginx on core {SERVER_CORE}, generators on core {GENERATOR_CORE}, {CONNECTIONS} connections, {ROUNDS} rounds"
    );
    println!(
        "of {SECONDS} s each, medians. {cores} cores, load average {load_before} before and {} after.\n",
        load_average()?
    );
    print_table(&generators, &samples);
    Ok(())
}

/// Builds our generator; where cargo put it.
fn build_ours(context: &Context) -> Result<PathBuf> {
    let sh = &context.sh;
    let arguments = ["build", "--quiet", "--release", "--package", "proofload-engine", "--example", "measure"];
    let messages = cmd!(sh, "cargo {arguments...} --message-format json").quiet().read()?;
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let built = messages.filter_map(|message| message["executable"].as_str().map(PathBuf::from)).next_back();
    built.context("cargo named no executable")
}

/// The first is what the others are compared with, if it is there.
fn generators(context: &Context, ours: &Path, url: &str) -> Vec<Generator> {
    let generator = |name, command: &[&str]| {
        let command = command.iter().map(|&argument| argument.to_owned()).collect();
        Generator { name, command }
    };
    let duration = format!("-d{SECONDS}s");
    let connections = format!("-c{CONNECTIONS}");
    let wrk = generator("wrk", &["wrk", "-t1", &connections, &duration, url]);
    let mut found = Vec::new();
    if debian::present(context, &wrk.command[0]) {
        found.push(wrk);
    } else {
        println!("Missing here, so there is nothing to compare with: wrk (Debian: apt-get install wrk).\n");
    }
    found.push(generator("Proofload", &[&ours.to_string_lossy(), url, CONNECTIONS, SECONDS, "1"]));
    found
}

fn measure(context: &Context, generator: &Generator, server: &Nginx) -> Result<Sample> {
    let sh = &context.sh;
    let command = &generator.command;
    // The shell's `time` is what the kernel accounted to the process when it ended: no sampling, nothing estimated.
    let script = "TIMEFORMAT='%3U %3S'; time taskset --cpu-list \"$@\" 2>&1";
    let (served_before, busy_before, nginx_before) = (server.served()?, busy()?, server.busy()?);
    let begin = Instant::now();
    let output = cmd!(sh, "bash -c {script} bash {GENERATOR_CORE} {command...}").quiet().ignore_status().output()?;
    let elapsed = begin.elapsed().as_secs_f64();
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "{}: {said}", generator.name);
    let times = String::from_utf8_lossy(&output.stderr);
    let mut times = times.split_whitespace().map(str::parse::<f64>);
    let (Some(Ok(user)), Some(Ok(system))) = (times.next(), times.next()) else {
        bail!("bash told no times of {}", generator.name)
    };
    // The question before is counted too.
    let requests = (server.served()? - served_before - 1) as f64;
    let others = busy()? - busy_before - (server.busy()? - nginx_before) - user - system;
    ensure!(requests > 1000.0, "{} sent next to nothing: {said}", generator.name);
    Ok(Sample {
        cpu: (user + system) * 1e6 / requests,
        system: system * 1e6 / requests,
        rate: requests / elapsed,
        others: others.max(0.0) / elapsed,
    })
}

fn print_table(generators: &[Generator], samples: &[Vec<Sample>]) {
    println!(
        "| generator | CPU us/request | of that in the kernel | ratio to {} (least to most) | requests/s | cores used by others |",
        generators[0].name
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    for (generator, own) in generators.iter().zip(samples) {
        let column = |of: fn(&Sample) -> f64| middle(own.iter().map(of).collect());
        let mut ratios: Vec<f64> = own.iter().zip(&samples[0]).map(|(own, first)| own.cpu / first.cpu).collect();
        ratios.sort_by(f64::total_cmp);
        let (least, most) = (ratios.first().copied().unwrap_or_default(), ratios.last().copied().unwrap_or_default());
        println!(
            "| {} | {:.2} | {:.2} | {:.2} ({least:.2} to {most:.2}) | {:.0} | {:.2} |",
            generator.name,
            column(|sample| sample.cpu),
            column(|sample| sample.system),
            middle(ratios),
            column(|sample| sample.rate),
            column(|sample| sample.others),
        );
    }
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// One nginx process with a tiny answer, which counts what it served.
struct Nginx {
    process: Child,
    address: SocketAddr,
    counts: SocketAddr,
}

impl Nginx {
    fn start(context: &Context) -> Result<Self> {
        let directory = context.home.join("bench");
        context.sh.create_dir(&directory)?;
        let (address, counts) = (free_address()?, free_address()?);
        let configuration = directory.join("nginx.conf");
        context.sh.write_file(&configuration, nginx_configuration(&directory, address, counts))?;
        let process = Command::new("taskset")
            .args(["--cpu-list", SERVER_CORE, "nginx", "-e", "stderr", "-p"])
            .arg(&directory)
            .arg("-c")
            .arg(&configuration)
            .env("PATH", context.sh.var_os("PATH").unwrap_or_default())
            .stdin(Stdio::null())
            .spawn()
            .context("starting nginx")?;
        let server = Self { process, address, counts };
        let deadline = Instant::now() + UP_WITHIN;
        while let Err(error) = server.served() {
            if Instant::now() > deadline {
                return Err(error.context("nginx does not answer"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Requests that were served so far, the ones to ask this included.
    fn served(&self) -> Result<u64> {
        let mut stream = TcpStream::connect(self.counts)?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        // The third of three numbers in a line of their own: accepted, handled, requests.
        let mut lines = answer.lines().map(|line| line.split_whitespace().map(str::parse::<u64>).collect());
        let numbers: Option<Vec<u64>> = lines.find_map(|line: Result<Vec<_>, _>| line.ok().filter(|n| n.len() == 3));
        numbers.map(|numbers| numbers[2]).with_context(|| format!("expected nginx's counts, got {answer}"))
    }

    /// Seconds of CPU that it used so far.
    fn busy(&self) -> Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        // Names may have spaces; after their closing parenthesis, user and system time are the 12th and 13th field.
        let (_, fields) = stat.rsplit_once(')').context("/proc/PID/stat has a name in parentheses")?;
        Ok(fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>()
            / TICKS)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // It is one process, which nothing depends on: there is nothing to do about a failure.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn nginx_configuration(directory: &Path, address: SocketAddr, counts: SocketAddr) -> String {
    let scratch = directory.display();
    format!(
        "daemon off; master_process off; worker_processes 1; pid {scratch}/nginx.pid; error_log stderr crit;\n\
         events {{ worker_connections 16000; }}\n\
         http {{\n\
         \x20 access_log off; keepalive_requests 1000000000;\n\
         \x20 client_body_temp_path {scratch}/body; proxy_temp_path {scratch}/proxy;\n\
         \x20 fastcgi_temp_path {scratch}/fastcgi; uwsgi_temp_path {scratch}/uwsgi; scgi_temp_path {scratch}/scgi;\n\
         \x20 server {{ listen {address} backlog=4096; return 200 \"ok\\n\"; }}\n\
         \x20 server {{ listen {counts}; location / {{ stub_status; }} }}\n\
         }}\n"
    )
}

/// Nothing listens here now.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}

/// Seconds of CPU that all processes of this machine used so far.
fn busy() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/stat")?;
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu ")).context("/proc/stat has all CPUs together")?;
    let ticks: Vec<f64> = line.split_whitespace().filter_map(|ticks| ticks.parse().ok()).collect();
    // user, nice, system, idle, iowait, irq, softirq; what follows is not ours or counted already.
    Ok(ticks.iter().take(7).enumerate().filter(|(at, _)| *at != 3 && *at != 4).map(|(_, ticks)| ticks).sum::<f64>()
        / TICKS)
}

fn load_average() -> Result<String> {
    let text = std::fs::read_to_string("/proc/loadavg")?;
    Ok(text.split_whitespace().next().unwrap_or_default().to_owned())
}

fn on_cluster(context: &Context, timeline: bool) -> Result<()> {
    println!("\n## Runs on a cluster");
    let chosen = std::env::var_os("KUBECONFIG").filter(|path| !path.is_empty()).map(PathBuf::from);
    let (kubeconfig, kubectl) = match chosen {
        Some(path) => (path, PathBuf::from("kubectl")),
        None if cluster::is_running(context) => (cluster::kubeconfig(context), cluster::use_own(context)?),
        None => {
            println!("\nNot measured: no KUBECONFIG, and our own cluster is not up (`cargo xtask cluster up`).");
            return Ok(());
        }
    };
    let sh = &context.sh;
    let _own = sh.push_env("KUBECONFIG", &kubeconfig);
    let image = "jsonpath={.spec.template.spec.containers[0].image}";
    let target = match std::env::var("PROOFLOAD_TARGET_IMAGE") {
        Ok(image) => image,
        Err(_) => cmd!(sh, "{kubectl} --namespace default get deployment demo-target --output {image}")
            .quiet()
            .read()
            .context("no demo target to take the image from: `cargo xtask cluster up`, or PROOFLOAD_TARGET_IMAGE")?,
    };
    println!("\nLoad average before: {}.", load_average()?);
    let arguments: &[&str] = if timeline { &["--", "--timeline"] } else { &[] };
    // Not `--release`: it is only a client.
    cmd!(sh, "cargo run --quiet --package proofload-e2e --example measure {arguments...}")
        .env("PROOFLOAD_TARGET_IMAGE", target)
        .quiet()
        .run()?;
    Ok(())
}

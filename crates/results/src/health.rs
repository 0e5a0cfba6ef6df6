//! The load generator's own health: whether what was measured says more about the generator than about the target.
//!
//! | sign | over the whole run | in a window of 10 s |
//! | --- | --- | --- |
//! | throttled by its container | more than 10% of the time | the same |
//! | CPU of the process | more than 90% of what it may use | the same |
//! | a thread that sends load runs, or is ready to | | more than 90% of the time |
//! | lateness | p99 over 50 ms | so in half of its seconds |
//! | memory | | more than 95% of the limit |
//! | no file or no port left for a connection | once | once |
//!
//! A window finds what the whole run hides; that it is 10 s long, and that lateness must last for half of it, keeps a
//! single burst or a single pause of the machine from spoiling a long run. No share of the run is asked for beyond that:
//! ten seconds are many requests, whatever the rest was like, and a criterion may be on a stage that is no longer.
//!
//! A run shorter than a window is judged as a whole. While a run is under way the latest window counts, from 5 s on.

use proofload_api::Micros;
use proofload_api::units::{Size, short_share, short_time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::doubt::DoubtKind;
use crate::figures::TimeFigures;
use crate::pressure::{Pressure, Ratio, SHORTEST_WINDOW};
use crate::snapshot::GeneratorRecord;
use crate::totals::{RunnerTotals, Totals};
use crate::words::{grouped, rounded, things};

/// A generator whose 99th percentile of lateness is longer than this is saturated: latency is counted from the intended
/// time, so this much of it may be the generator's.
pub const MAX_LATENESS_P99: Micros = Micros::from_millis(50);
/// A generator that was throttled for more than this share of the time is saturated.
pub const MAX_THROTTLED: f64 = 0.10;
/// A generator that used more than this share of the CPU that it could have is saturated; so is one of which a thread
/// wanted a CPU for more than this share of the time.
pub const MAX_CPU: f64 = 0.90;
/// A generator that was late in this share of a window is saturated.
pub const MAX_LATE: f64 = 0.50;
/// A generator that has this share of its memory in use is about to be killed, and slow until then.
pub const MAX_MEMORY: f64 = 0.95;
/// A generator that has this share of its files open is about to have none left: told while the run is under way, no
/// doubt as long as there was one for each connection.
pub const MAX_FILES: f64 = 0.95;
/// A runner at work for less than this has no share of CPU to speak of: some milliseconds of sending as fast as the
/// target answers are all of the time that there was. Its lateness still tells.
const SHORTEST: Micros = Micros::from_secs(1);
/// The share of its CPU at which a generator is comfortable: what advice on more runners aims at.
const COMFORTABLE_CPU: f64 = 0.60;

/// The load generator's own health, over all runners.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Generator {
    /// Whether it kept up. If not, latency and rate say more about it than about the target.
    pub healthy: bool,
    /// CPU used, as a share of what the busiest runner could have used.
    pub cpu: f64,
    /// Share of the time for which the most throttled runner was throttled.
    pub throttled: f64,
    /// Actual minus intended send time of every request, in microseconds. Absent without requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lateness: Option<TimeFigures>,
    /// How far apart the runners began, in microseconds.
    pub skew: u64,
    /// Resident memory of the largest runner at its highest, in bytes.
    pub memory: u64,
    /// Threads that sent load, over all runners.
    pub threads: u32,
    /// The worst 10 s of any runner, each figure by itself. Absent of a run that was shorter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worst: Option<Worst>,
}

/// The worst 10 s of any runner, each figure by itself. All are shares, 0..=1.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Worst {
    /// CPU used, of what could have been used.
    pub cpu: f64,
    /// Time in which the busiest thread ran or was ready to.
    pub thread: f64,
    /// Time for which the container was throttled.
    pub throttled: f64,
    /// Seconds with a 99th percentile of lateness over 50 ms.
    pub late: f64,
    /// Open files, of those that may be.
    pub files: f64,
    /// Memory in use, of its limit.
    pub memory: f64,
}

/// What a generator may have too little of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StrainKind {
    /// CPU: it is busy, throttled, or late.
    Cpu,
    /// Memory.
    Memory,
    /// Open files.
    Files,
    /// Local ports for connections to the target.
    Ports,
}

/// A sign that a runner is saturated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strain {
    /// Which runner.
    pub runner: u32,
    /// What it has too little of.
    pub kind: StrainKind,
    /// In words, with what to do about it.
    pub text: String,
}

impl Generator {
    /// The health of all runners together; `skew` is the conductor's measurement.
    pub fn of(totals: &Totals, skew: Micros) -> Self {
        let runners = || totals.runners.values();
        let most = |of: fn(&RunnerTotals) -> f64| rounded(runners().map(of).fold(0.0, f64::max), 4);
        Self {
            healthy: totals.runners.iter().all(|(index, runner)| saturation(*index, runner, 1).is_empty()),
            cpu: most(|runner| cpu(&runner.generator).share()),
            throttled: most(|runner| throttled(&runner.generator).share()),
            lateness: TimeFigures::of(&totals.lateness),
            skew: skew.0,
            memory: runners().map(|runner| runner.generator.memory).max().unwrap_or(0),
            threads: runners().map(|runner| runner.generator.threads).fold(0, u32::saturating_add),
            worst: Worst::of(runners().map(|runner| runner.generator.worst).fold(Pressure::default(), Pressure::worse)),
        }
    }
}

impl Worst {
    fn of(worst: Pressure) -> Option<Self> {
        let share = |ratio: Ratio| rounded(ratio.share(), 4);
        (worst.cpu.whole > 0).then(|| Self {
            cpu: share(worst.cpu),
            thread: share(worst.thread),
            throttled: share(worst.throttled),
            late: share(worst.late),
            files: share(worst.files),
            memory: share(worst.memory),
        })
    }
}

impl StrainKind {
    /// What doubt it leaves.
    pub(crate) const fn doubt(self) -> DoubtKind {
        match self {
            Self::Cpu | Self::Memory => DoubtKind::Saturated,
            Self::Files | Self::Ports => DoubtKind::Exhausted,
        }
    }
}

/// CPU time of a whole run, of what could have been used.
pub(crate) fn cpu(generator: &GeneratorRecord) -> Ratio {
    Ratio::new(generator.cpu, generator.cpu_available)
}

/// Time for which the container was throttled, of a whole run.
pub(crate) fn throttled(generator: &GeneratorRecord) -> Ratio {
    Ratio::new(generator.throttled, generator.elapsed)
}

/// What a runner had too little of, over all of its run; nothing if it kept up. `runners` is how many there are.
pub(crate) fn saturation(index: u32, runner: &RunnerTotals, runners: u32) -> Vec<Strain> {
    if runner.requests == 0 {
        return Vec::new();
    }
    let words = Words { index, runners, over: "at its worst, for 10s" };
    let generator = &runner.generator;
    let slow = whole_run(&words, runner).or_else(|| words.slow(&generator.worst)).map(|text| (StrainKind::Cpu, text));
    let exhausted = [words.files(generator), words.ports(generator)];
    let all = [slow, words.memory(generator.worst.memory)].into_iter().chain(exhausted).flatten();
    all.map(|(kind, text)| Strain { runner: index, kind, text }).collect()
}

/// What a runner has too little of just now. `runners` is how many there are.
pub fn strains(index: u32, generator: &GeneratorRecord, runners: u32) -> Vec<Strain> {
    let words = Words { index, runners, over: "over the last seconds" };
    let recent = &generator.recent;
    let is_long_enough = recent.throttled.whole >= SHORTEST_WINDOW.0;
    let slow = is_long_enough.then(|| words.slow(recent)).flatten().map(|text| (StrainKind::Cpu, text));
    let files = words.files(generator).or_else(|| words.few_files(recent.files));
    let all = [slow, words.memory(recent.memory), files, words.ports(generator)].into_iter().flatten();
    all.map(|(kind, text)| Strain { runner: index, kind, text }).collect()
}

/// Why a runner was slow over the whole run, if it was.
fn whole_run(words: &Words<'_>, runner: &RunnerTotals) -> Option<String> {
    let Words { index, .. } = words;
    let is_long_enough = runner.generator.elapsed >= SHORTEST.0;
    let of_run = |ratio: Ratio| if is_long_enough { ratio.share() } else { 0.0 };
    let (cpu, throttled) = (of_run(cpu(&runner.generator)), of_run(throttled(&runner.generator)));
    let lateness = Micros(runner.lateness.percentile(99.0).unwrap_or(0));
    let more = words.more(cpu);
    if throttled > MAX_THROTTLED {
        let throttled = short_share(throttled);
        return Some(format!(
            "Runner {index} could not keep up: it was throttled for {throttled} of the time. \
             Give each runner more CPU (runners.resources.cpu), or use {more}."
        ));
    }
    if cpu > MAX_CPU {
        let cpu = short_share(cpu);
        return Some(format!(
            "Runner {index} could not keep up: it used {cpu} of its CPU. Use {more}, or give each more CPU."
        ));
    }
    (lateness > MAX_LATENESS_P99).then(|| {
        let lateness = short_time(lateness.0 as f64);
        format!(
            "Runner {index} could not keep up: 1% of its requests left {lateness} or more after their time, while it \
             used {} of its CPU. Run it where nothing else needs the CPU, or use {more}.",
            short_share(cpu)
        )
    })
}

/// What is said of a runner.
struct Words<'a> {
    index: u32,
    runners: u32,
    /// When what is said of a window was so.
    over: &'a str,
}

impl Words<'_> {
    /// How many runners more would do, given the share of its CPU that one of them wants.
    fn more(&self, cpu: f64) -> String {
        let more = f64::from(self.runners) * (cpu.max(MAX_CPU) / COMFORTABLE_CPU - 1.0);
        things(more.ceil().max(1.0) as u64, "more runner")
    }

    /// Why it was slow in a window, if it was.
    fn slow(&self, seen: &Pressure) -> Option<String> {
        let Self { index, over, .. } = self;
        let more = self.more(seen.cpu.share());
        let share = |ratio: Ratio| short_share(ratio.share());
        if seen.throttled.share() > MAX_THROTTLED {
            let throttled = share(seen.throttled);
            return Some(format!(
                "Runner {index} could not keep up: it was throttled for {throttled} of the time {over}. \
                 Give each runner more CPU (runners.resources.cpu), or use {more}."
            ));
        }
        if seen.cpu.share() > MAX_CPU {
            let cpu = share(seen.cpu);
            return Some(format!(
                "Runner {index} could not keep up: it used {cpu} of its CPU {over}. Use {more}, or give each more CPU."
            ));
        }
        if seen.thread.share() > MAX_CPU {
            let thread = share(seen.thread);
            return Some(format!(
                "Runner {index} could not keep up: one of its threads ran, or waited for a CPU, {thread} of the time \
                 {over}. Use {more}, or run it where nothing else needs the CPU."
            ));
        }
        (seen.late.share() >= MAX_LATE).then(|| {
            let (late, limit) = (share(seen.late), MAX_LATENESS_P99);
            format!(
                "Runner {index} could not keep up: in {late} of the seconds {over}, more than 1% of its requests left \
                 {limit} or more after their time. Run it where nothing else needs the CPU, or use {more}."
            )
        })
    }

    fn memory(&self, memory: Ratio) -> Option<(StrainKind, String)> {
        let share = memory.share();
        (share > MAX_MEMORY).then(|| {
            let text = format!(
                "Runner {} had {} of its {} of memory in use. Give each runner more memory \
                 (runners.resources.memory), or use {}.",
                self.index,
                short_share(share),
                Size(memory.whole),
                self.more(0.0)
            );
            (StrainKind::Memory, text)
        })
    }

    /// That there was no file left for a connection.
    fn files(&self, generator: &GeneratorRecord) -> Option<(StrainKind, String)> {
        (generator.without_file > 0).then(|| {
            let limit = match generator.recent.files.larger(generator.worst.files).whole {
                0 => String::new(),
                limit => format!(", which is {}", grouped(limit)),
            };
            let text = format!(
                "Runner {} may open no more files, which failed {}: those errors are its own, not the target's. Raise \
                 the limit of open files (ulimit -n){limit}, or use more runners.",
                self.index,
                things(generator.without_file, "connection")
            );
            (StrainKind::Files, text)
        })
    }

    /// That there will soon be none.
    fn few_files(&self, files: Ratio) -> Option<(StrainKind, String)> {
        (files.share() > MAX_FILES).then(|| {
            let text = format!(
                "Runner {} has {} of {} files open: connections beyond that will fail. Raise the limit of open files \
                 (ulimit -n), or use more runners.",
                self.index,
                grouped(files.part),
                grouped(files.whole)
            );
            (StrainKind::Files, text)
        })
    }

    /// That there was no port left for a connection.
    fn ports(&self, generator: &GeneratorRecord) -> Option<(StrainKind, String)> {
        (generator.without_port > 0).then(|| {
            let ports = match generator.ports {
                0 => String::new(),
                ports => format!(" of {}", grouped(u64::from(ports))),
            };
            let text = format!(
                "Runner {} had no local port{ports} left, which failed {}: those errors are its own, not the target's. \
                 Keep connections open for more requests, use more runners, or widen net.ipv4.ip_local_port_range.",
                self.index,
                things(generator.without_port, "connection")
            );
            (StrainKind::Ports, text)
        })
    }
}

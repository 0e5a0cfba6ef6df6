//! The load generator's own health: whether what was measured says more about the generator than about the target.

use proofload_api::Micros;
use proofload_api::units::{short_share, short_time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::figures::TimeFigures;
use crate::totals::{RunnerTotals, Totals};
use crate::words::{rounded, share, things};

/// A generator whose 99th percentile of lateness is longer than this is saturated: latency is counted from the intended
/// time, so this much of it may be the generator's.
pub const MAX_LATENESS_P99: Micros = Micros::from_millis(50);
/// A generator that was throttled for more than this share of the time is saturated.
pub const MAX_THROTTLED: f64 = 0.10;
/// A generator that used more than this share of the CPU that it could have is saturated.
pub const MAX_CPU: f64 = 0.90;
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
}

impl Generator {
    /// The health of all runners together; `skew` is the conductor's measurement.
    pub fn of(totals: &Totals, skew: Micros) -> Self {
        let runners = || totals.runners.values();
        let most = |of: fn(&RunnerTotals) -> f64| rounded(runners().map(of).fold(0.0, f64::max), 4);
        Self {
            healthy: totals.runners.iter().all(|(index, runner)| saturation(*index, runner, 1).is_none()),
            cpu: most(cpu),
            throttled: most(throttled),
            lateness: TimeFigures::of(&totals.lateness),
            skew: skew.0,
            memory: runners().map(|runner| runner.generator.memory).max().unwrap_or(0),
            threads: runners().map(|runner| runner.generator.threads).fold(0, u32::saturating_add),
        }
    }
}

fn cpu(runner: &RunnerTotals) -> f64 {
    share(runner.generator.cpu, runner.generator.cpu_available)
}

fn throttled(runner: &RunnerTotals) -> f64 {
    share(runner.generator.throttled, runner.generator.elapsed)
}

/// Why a runner is saturated and what to do about it; `None` if it kept up. `runners` is how many there are.
pub(crate) fn saturation(index: u32, runner: &RunnerTotals, runners: u32) -> Option<String> {
    if runner.requests == 0 {
        return None;
    }
    let is_long_enough = runner.generator.elapsed >= SHORTEST.0;
    let (cpu, throttled) = if is_long_enough { (cpu(runner), throttled(runner)) } else { (0.0, 0.0) };
    let lateness = Micros(runner.lateness.percentile(99.0).unwrap_or(0));
    let more = (f64::from(runners) * (cpu.max(MAX_CPU) / COMFORTABLE_CPU - 1.0)).ceil().max(1.0) as u64;
    let more = things(more, "more runner");
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

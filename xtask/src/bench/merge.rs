//! How long the answers of many runners take to become one result.

use anyhow::{Context as _, Result};
use serde_json::Value;
use xshell::cmd;

use super::machine::{GENERATOR_CORE, median};
use super::{Bench, cell, ours};

const RUNNERS: &str = "500";
const STEPS: &str = "50";
/// Buckets of the timeline: as with one of 600 seconds, and without any.
const BUCKETS: [&str; 2] = ["600", "1"];

pub(super) fn run(bench: &Bench) -> Result<()> {
    println!("\n## Merging\n\n{RUNNERS} runners' snapshots of {STEPS} steps; medians of {}.\n", bench.rounds);
    println!(
        "| buckets of the timeline | encoded, MiB | decode ms | sum ms | all ms | held, MiB | the process at most, MiB |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    let (sh, program) = (&bench.context.sh, &bench.programs.merge);
    for buckets in BUCKETS {
        let mut reports: Vec<Value> = Vec::new();
        for _ in 0..bench.rounds {
            let command = cmd!(sh, "taskset --cpu-list {GENERATOR_CORE} {program} {RUNNERS} {STEPS} {buckets}");
            reports.push(ours::report(&command.quiet().read().context("the example `merge`")?)?);
        }
        let column = |name: &'static str, unit: f64| {
            cell(median(reports.iter().filter_map(move |report| Some(report[name].as_f64()? / unit))), 1)
        };
        let (millis, mib) = (1e3, f64::from(1 << 20));
        println!(
            "| {buckets} | {} | {} | {} | {} | {} | {} |",
            column("bytes", mib),
            column("decode", millis),
            column("sum", millis),
            column("all", millis),
            column("held", mib),
            column("memory", mib)
        );
    }
    Ok(())
}

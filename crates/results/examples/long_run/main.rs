//! What the report of a long run takes: `cargo run --release -p proofload-results --example long_run`.
//!
//! Prints, for 24 hours of 500 runners, 50 steps and 6 stages: the stored size, how much of the detail is left in it, and
//! how long its page takes to render (the median of 9).

use std::time::Instant;

use proofload_results::html;

mod run;

fn main() {
    let report = run::report();
    let kib = |bytes: usize| bytes as f64 / 1024.0;
    println!("stored: {:.0} KiB of 900", kib(run::packed(&report)));
    let buckets = &report.timeline.buckets;
    let has_heat = buckets.iter().any(|bucket| !bucket.heat.is_empty());
    let steps = &report.scenarios[0].steps;
    println!("timeline: {} parts, with heat: {has_heat}", buckets.len());
    println!("steps: {}, each by stage: {}", steps.len(), steps.iter().any(|step| !step.stages.is_empty()));
    println!("distributions of steps: {}", steps.iter().any(|step| step.figures.distribution.is_some()));
    println!("spec: {}", report.spec.is_some());
    let mut times: Vec<_> = (0..9)
        .map(|_| {
            let begin = Instant::now();
            let page = html::render(&report);
            (begin.elapsed(), page.len())
        })
        .collect();
    times.sort();
    let (time, bytes) = times[times.len() / 2];
    println!("page: {:.0} KiB in {:.0} ms", kib(bytes), time.as_secs_f64() * 1e3);
}

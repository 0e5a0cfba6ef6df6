//! Executes a test's spec in this process, and prints what came of it as one line of JSON: what `cargo xtask bench` and
//! `cargo xtask instructions` run.
//!
//! `load SPEC [THREADS] [SNAPSHOTS]`: SPEC is a file with the `spec` of a `LoadTest` as JSON. With SNAPSHOTS, which is the
//! default, everything is recorded as in a runner, a snapshot each second included; 0 leaves those out, for runs whose
//! instructions are counted: there time must not decide what is done. Times are in microseconds.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proofload_api::Problem;
use proofload_api::criterion::Ended;
use proofload_engine::{Engine, Options};
use proofload_plan::{Plan, Role, Segment, compile};
use proofload_results::{Cell, Snapshot, Times};
use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().collect();
    let path = args.get(1).ok_or("expected SPEC [THREADS] [SNAPSHOTS]")?;
    let number = |at: usize| args.get(at).map_or(Ok(1), |text| text.parse::<usize>());
    let (threads, snapshots) = (number(2)?, number(3)? > 0);
    let plan = Arc::new(plan(&std::fs::read(path)?)?);
    let engine = Engine::launch(Arc::clone(&plan), Segment::WHOLE, Options { threads }, Arc::default())?;
    let load = (0..plan.scenarios.len()).filter(|i| plan.scenarios[*i].role == Role::Main).collect::<Vec<_>>();
    engine.begin(&load, Instant::now() + Duration::from_millis(10), &[]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let snapshot = runtime.block_on(async {
        if snapshots {
            while tokio::time::timeout(Duration::from_secs(1), engine.ended()).await.is_err() {
                engine.snapshot().await;
            }
        }
        engine.ended().await;
        engine.snapshot().await
    });
    println!("{}", report(&snapshot)?);
    Ok(())
}

fn plan(spec: &[u8]) -> Result<Plan, Box<dyn Error>> {
    let problems = |problems: Vec<Problem>| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    Ok(compile(&serde_json::from_slice(spec)?, "load").map_err(problems)?.plan)
}

fn report(snapshot: &Snapshot) -> Result<Value, Box<dyn Error>> {
    let mut total = Cell::default();
    for cell in &snapshot.cells {
        total.add(&cell.decode()?);
    }
    let generator = &snapshot.generator;
    let lateness = generator.lateness.decode(proofload_results::histogram::DIGITS)?;
    let errors = snapshot.errors.iter().map(|error| format!("{} x {}", error.count, error.message));
    Ok(json!({
        "requests": total.requests(),
        "errors": total.errors(),
        "first_errors": errors.take(5).collect::<Vec<_>>(),
        "dropped": snapshot.scenarios.iter().map(|scenario| scenario.dropped).sum::<u64>(),
        "elapsed": generator.elapsed,
        "cpu": generator.cpu,
        "memory": generator.memory,
        "latency": percentiles(&total.latency(Ended::Answered)),
        "lateness": percentiles(&lateness),
    }))
}

fn percentiles(times: &Times) -> Value {
    let at = |percentile: f64| times.percentile(percentile);
    json!({"p50": at(50.0), "p90": at(90.0), "p99": at(99.0), "p99.9": at(99.9), "max": at(100.0)})
}

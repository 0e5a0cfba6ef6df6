//! Load with all accounting on, to be compared with other generators: requests per second, CPU per request.
//!
//! `measure URL [CONNECTIONS] [SECONDS] [THREADS] [THINK_MS] [RATE]`: `measure http://127.0.0.1:8080/ 64 10 1` for the cost of
//! a request, `measure http://127.0.0.1:8080/ 10000 20 1 2000` for lateness and memory at 5,000 requests per second,
//! `measure http://127.0.0.1:8080/ 1000 20 1 0 5000` for the same by arrivals.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proofload_api::Problem;
use proofload_engine::{Engine, Options};
use proofload_plan::{Plan, Segment, compile};
use proofload_results::{Cell, Times};
use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().collect();
    let url = args.get(1).ok_or("expected URL [CONNECTIONS] [SECONDS] [THREADS] [THINK_MS] [RATE]")?;
    let number = |at: usize, default: u64| args.get(at).map_or(Ok(default), |text| text.parse::<u64>());
    let (connections, seconds, threads) = (number(2, 64)?, number(3, 10)?, number(4, 1)?);
    let load = load(u32::try_from(connections)?, seconds, number(6, 0)?);
    let plan = Arc::new(plan(url, &load, number(5, 0)?)?);
    let engine = Engine::launch(
        Arc::clone(&plan),
        Segment::WHOLE,
        Options { threads: usize::try_from(threads)? },
        Arc::default(),
    )?;
    engine.begin(&[0], Instant::now() + Duration::from_millis(10), &[]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let snapshot = runtime.block_on(async {
        // Snapshots are a part of what load costs.
        while tokio::time::timeout(Duration::from_secs(1), engine.ended()).await.is_err() {
            engine.snapshot().await;
        }
        engine.snapshot().await
    });
    let mut total = Cell::default();
    for cell in &snapshot.cells {
        total.add(&cell.decode()?);
    }
    let requests = total.requests();
    let generator = &snapshot.generator;
    println!("{requests} requests, {} errors, {:.0}/s", total.errors(), requests as f64 / seconds as f64);
    println!("{} arrivals dropped", snapshot.scenarios[0].dropped);
    println!("CPU per request {:.3} us", generator.cpu as f64 / requests.max(1) as f64);
    println!(
        "memory {} KiB, CPU {:.0}%",
        generator.memory / 1024,
        100.0 * generator.cpu as f64 / generator.elapsed as f64
    );
    show("latency", &total.latency(None));
    show("lateness", &generator.lateness.decode(proofload_results::histogram::DIGITS)?);
    for error in &snapshot.errors {
        println!("{} x {}", error.count, error.message);
    }
    Ok(())
}

fn show(name: &str, times: &Times) {
    let at = |p: f64| times.percentile(p).unwrap_or_default();
    println!("{name} us: p50 {} p90 {} p99 {} p99.9 {} max {}", at(50.0), at(90.0), at(99.0), at(99.9), at(100.0));
}

/// Users that loop; or with a rate, arrivals.
fn plan(url: &str, load: &Value, think: u64) -> Result<Plan, Box<dyn Error>> {
    let rest = url.strip_prefix("http://").ok_or("expected a URL that begins with http://")?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut scenario = load.clone();
    scenario["name"] = "measure".into();
    scenario["steps"] =
        json!([{"name": "get", "request": {"path": format!("/{path}")}, "expect": {"status": ["2xx"]}}]);
    if think > 0 {
        // Users that begin together would pause together.
        scenario["thinkTime"] = json!({"min": "0s", "max": format!("{}ms", 2 * think)});
    }
    let spec = json!({"target": {"baseUrl": format!("http://{authority}")}, "scenarios": [scenario]});
    let problems = |problems: Vec<Problem>| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    Ok(compile(&serde_json::from_value(spec)?, "measure").map_err(problems)?.plan)
}

fn load(users: u32, seconds: u64, rate: u64) -> Value {
    let hold = format!("{seconds}s");
    match rate {
        0 => json!({"users": {"stages": [{"to": users, "hold": hold}]}}),
        rate => json!({"arrivals": {"stages": [{"to": format!("{rate}/s"), "hold": hold}], "maxUsers": users}}),
    }
}

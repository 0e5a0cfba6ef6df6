//! A soak on the real cluster: memory of runners and operator does not grow with the time, and nothing is lost.
//!
//! `PROOFLOAD_SOAK` says how many seconds; a minute where it is not set. Ten minutes or more by hand:
//!
//! ```sh
//! PROOFLOAD_SOAK=600 cargo test -p proofload-e2e --test soak_runs -- --nocapture
//! ```

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use proofload_api::{Phase, Verdict};
use proofload_e2e::processes::{OPERATOR, Process, RUNNER};
use proofload_e2e::{Run, Site, load_test};
use serde_json::json;

/// How much more memory a process may have in the second half of the load than it had in the first, in KiB. Within ten
/// minutes a timeline of 600 buckets fills, with a histogram in each; nothing else grows.
const GROWTH: u64 = 4 << 10;

/// The most that a kind of process held in each half of the load, in KiB.
#[derive(Debug, Default, Clone, Copy)]
struct Held {
    halves: [u64; 2],
}

impl Held {
    fn note(&mut self, half: usize, program: &str) {
        let most = Process::all(program).iter().filter_map(Process::resident).max().unwrap_or(0);
        self.halves[half] = self.halves[half].max(most);
    }

    fn is_bounded(&self, what: &str) -> Result<()> {
        let [first, second] = self.halves;
        ensure!(first > 0, "no {what} was seen on this machine");
        ensure!(second <= first + GROWTH, "{what}: {first} KiB in the first half, {second} KiB in the second");
        Ok(())
    }
}

#[tokio::test]
async fn e2e_a_soak_holds_its_memory_and_counts_each_request() -> Result<()> {
    let seconds: u64 = match std::env::var("PROOFLOAD_SOAK") {
        Ok(text) => text.parse().context("PROOFLOAD_SOAK is a number of seconds")?,
        Err(_) => 60,
    };
    let site = Site::new("soak").await?;
    let mut test = load_test(&site, "soak", 2, 8, seconds);
    test["spec"]["criteria"] = json!([
        {"expr": "rate(errors) < 1%", "abort": {"window": "20s", "after": "5s"}},
        {"expr": "p99(latency) < 2s", "abort": {"window": "20s", "after": "5s"}},
        {"expr": "count(requests) > 0"},
    ]);
    let run = Run::create(&site, &test).await?;
    run.reaches(Phase::Running, 60).await?;
    run.sends(100, 60).await?;
    let (mut operator, mut runners) = (Held::default(), Held::default());
    let (began, length) = (Instant::now(), Duration::from_secs(seconds));
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    while began.elapsed() < length.saturating_sub(Duration::from_secs(5)) {
        ticks.tick().await;
        let half = usize::from(began.elapsed() * 2 > length);
        operator.note(half, OPERATOR);
        runners.note(half, RUNNER);
    }
    println!("KiB held in each half of {seconds} s: operator {:?}, runner {:?}", operator.halves, runners.halves);
    run.ends_as(Verdict::Passed, 120).await?;
    let report = run.report().await?;
    assert_eq!(report.summary.requests, site.counts().await?.requests);
    assert_eq!(report.doubts, []);
    let bytes = run.report_json().await?.len();
    assert!(bytes < 900 << 10, "a report of {bytes} bytes");
    operator.is_bounded("operator")?;
    runners.is_bounded("runner")?;
    site.close().await
}

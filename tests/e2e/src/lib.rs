//! What the tests on a real cluster share: a namespace with a counting target, runs, faults, and what processes hold.
//!
//! `cargo xtask test` starts the cluster, installs the operator and says where both are by environment variables. Every
//! wait here is for a condition, with a deadline that says what was there instead.

pub mod dashboards;
pub mod faults;
pub mod leaders;
pub mod processes;
pub mod prometheus;
pub mod runs;
pub mod site;

pub use faults::Node;
pub use prometheus::{Histograms, Prometheus};
pub use runs::{Run, load_test};
pub use site::Site;

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Asks again and again until there is an answer, for at most so long.
pub async fn until<T, F>(what: &str, seconds: u64, mut ask: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<Result<T, String>>>,
{
    let deadline = Instant::now() + Duration::from_secs(seconds);
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    loop {
        ticks.tick().await;
        match ask().await? {
            Ok(answer) => return Ok(answer),
            Err(instead) if Instant::now() >= deadline => bail!("waited {seconds} s for {what}, but {instead}"),
            Err(_) => {}
        }
    }
}

/// Runs this workspace's `proofload`; its standard output, or what it said instead.
pub async fn proofload(arguments: &[&str]) -> Result<String> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let run = ["run", "--quiet", "--package", "proofload", "--bin", "proofload", "--"];
    program(&cargo, &[&run[..], arguments].concat()).await
}

/// Runs a program; its standard output, or what it said instead.
pub async fn program(name: &str, arguments: &[&str]) -> Result<String> {
    let mut command = tokio::process::Command::new(name);
    if let Some(directory) = faults::cluster_directory() {
        command.env("CLUSTER_DIR", directory);
    }
    let output = command.args(arguments).output().await?;
    if !output.status.success() {
        bail!("{name} {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

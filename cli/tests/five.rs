//! The examples that follow the reports of an ambient API, of deployments and of an API for threads: run as they are, by
//! the command line, and held against what the target counted.
//!
//! Users who wait for their answers send as many requests as they get answers: bounds of the counts follow from what the
//! target's profile can do, whatever this machine can.
#![allow(clippy::unwrap_used)] // A test may panic.

#[path = "five/ambient.rs"]
mod ambient;
mod common;
#[path = "five/deployments.rs"]
mod deployments;
#[allow(dead_code)] // The other program uses the rest.
#[path = "five_more/example.rs"]
mod example;
#[path = "five/threads.rs"]
mod threads;

use example::{Ran, number};
use serde_json::Value;

/// Runs an example that waits most of the time, beside others.
fn run(name: &str, profile: &str) -> Ran {
    let _machine = example::with_others();
    run_now(name, profile)
}

/// Runs an example that has work to do, by itself.
fn run_alone(name: &str, profile: &str) -> Ran {
    let _machine = example::alone();
    run_now(name, profile)
}

/// Runs an example against a profile, and holds all of its requests against the target's count.
fn run_now(name: &str, profile: &str) -> Ran {
    let ran = example::run_file(&example::file_of(name), &format!("/profile/{profile}"), None);
    let summary = &ran.report["summary"];
    assert_eq!(number(&summary["requests"]), ran.counts.requests);
    ran
}

/// How many of a part's requests ended so.
fn outcome(part: &Value, name: &str) -> u64 {
    number(&part["outcomes"][name])
}

/// The share of errors of a part.
fn errors(part: &Value) -> f64 {
    part["errors"].as_f64().unwrap() / part["requests"].as_f64().unwrap()
}

/// A figure of a part's latency, in seconds.
fn latency(part: &Value, figure: &str) -> f64 {
    part["latency"][figure].as_f64().unwrap() / 1e6
}

/// There is one finding of this kind, and so it begins.
#[track_caller]
fn finds(ran: &Ran, kind: &str, begin: &str) {
    let found = ran.findings(kind);
    assert!(matches!(found[..], [text] if text.starts_with(begin)), "{found:?}");
}

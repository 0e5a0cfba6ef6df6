//! A generator that has too little of something says so at once, and leaves a doubt: on the command line, as a person
//! meets it.
#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::{code, proofload, report, text};
use proofload_target::TestTarget;
use serde_json::Value;
use tempfile::TempDir;

/// A load test of one scenario with this load.
fn file(directory: &Path, load: &str) -> PathBuf {
    let path = directory.join("test.yaml");
    let test = format!(
        "apiVersion: proofload.dev/v1alpha1\nkind: LoadTest\nmetadata: {{name: short}}\nspec:\n  \
         target: {{baseUrl: 'http://127.0.0.1:1', timeout: 5s}}\n  scenarios:\n  - name: main\n    {load}\n    \
         steps: [{{name: get, request: {{path: /fast}}}}]\n  \
         criteria: [{{expr: rate(errors) < 1%}}]\n  runners: {{count: 1}}\n"
    );
    std::fs::write(&path, test).unwrap();
    path
}

/// What was warned of, and the doubts of the report.
fn told(output: &Output) -> (Vec<String>, Vec<Value>) {
    let stderr = text(&output.stderr);
    let warned = stderr.lines().filter_map(|line| line.strip_prefix("warning: ")).map(str::to_owned).collect();
    (warned, report(output)["doubts"].as_array().unwrap().clone())
}

/// Runs `proofload run` by a shell that has set something up before it.
fn run_after(preparation: &str, file: &Path, arguments: &[&str]) -> Output {
    let run = proofload(&["run", file.to_str().unwrap(), "--output", "json"]);
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{preparation}\nexec \"$@\""), "sh"]).arg(run.get_program());
    shell.args(run.get_args()).args(arguments).output().unwrap()
}

#[test]
fn a_rate_that_no_cpu_can_send_is_told_while_the_run_is_under_way() {
    let directory = TempDir::new().unwrap();
    let load = "arrivals: {maxUsers: 64, stages: [{to: 400000/s, hold: 12s}]}";
    // Generator and target have one CPU between them, so that there is no doubt about who has too little of it.
    let output = run_after("taskset -pc 0 $$ >&2", &file(directory.path(), load), &["--demo-target"]);
    let (warned, doubts) = told(&output);
    assert_eq!(warned.len(), 1, "once: {warned:?}");
    assert!(warned[0].starts_with("Runner 0 could not keep up: ") && warned[0].contains("more runner"), "{warned:?}");
    let saturated = doubts.iter().find(|doubt| doubt["kind"] == "Saturated");
    assert!(saturated.is_some_and(|doubt| doubt["runner"] == 0), "{doubts:?}");
    assert_eq!((code(&output), &report(&output)["generator"]["healthy"]), (98, &Value::Bool(false)));
}

#[test]
fn a_limit_of_open_files_is_not_held_against_the_target() {
    let (directory, target) = (TempDir::new().unwrap(), TestTarget::start().unwrap());
    let load = "users: {stages: [{to: 100, hold: 2s}]}\n    thinkTime: {min: 100ms, max: 100ms}";
    let output = run_after("ulimit -n 60", &file(directory.path(), load), &["--target", &target.url()]);
    let (warned, doubts) = told(&output);
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert!(warned[0].starts_with("Runner 0 may open no more files, which failed "), "{warned:?}");
    assert!(warned[0].contains("(ulimit -n), which is 60"), "{warned:?}");
    assert!(doubts.iter().any(|doubt| doubt["kind"] == "Exhausted"), "{doubts:?}");
    let report = report(&output);
    assert_eq!((code(&output), &report["criteria"][0]["outcome"]), (98, &Value::from("Untrusted")), "{report}");
    assert!(report["summary"]["outcomes"]["connect"].as_u64().unwrap() > 0, "{report}");
}

#[test]
fn local_ports_that_ran_out_are_not_held_against_the_target() {
    // A network of its own, in which there are few ports. Where that is not allowed `results` has a test of the words.
    let may = Command::new("unshare").args(["-rn", "ip", "link", "set", "lo", "up"]).output();
    if !may.is_ok_and(|output| output.status.success()) {
        return;
    }
    let directory = TempDir::new().unwrap();
    let load = "users: {stages: [{to: 60, hold: 2s}]}\n    thinkTime: {min: 100ms, max: 100ms}";
    let narrow = "[ -n \"$INSIDE\" ] || INSIDE=1 exec unshare -rn sh -c 'ip link set lo up; \
                  echo 40000 40019 > /proc/sys/net/ipv4/ip_local_port_range; exec \"$@\"' sh \"$@\"";
    let output = run_after(narrow, &file(directory.path(), load), &["--demo-target"]);
    let (warned, doubts) = told(&output);
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert!(warned[0].starts_with("Runner 0 had no local port of 20 left, which failed "), "{warned:?}");
    assert!(doubts.iter().any(|doubt| doubt["kind"] == "Exhausted"), "{doubts:?}");
    assert_eq!(code(&output), 98, "{}", report(&output));
}

//! `proofload run` against an earlier run: what is worse fails, and what cannot be read is said before any load.
#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use std::path::Path;
use std::process::Output;

use common::{code, proofload, report, text};
use proofload_target::TestTarget;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A test of 800 requests for a path of the target, with something more in its spec.
fn write(directory: &Path, path: &str, more: &str) -> String {
    let file = directory.join("test.yaml");
    let test = format!(
        "apiVersion: proofload.dev/v1alpha1\nkind: LoadTest\nmetadata: {{name: shop}}\nspec:\n  \
         target: {{baseUrl: 'http://127.0.0.1:1'}}\n  scenarios:\n  - name: main\n    \
         iterations: {{users: 4, perUser: 200, maxDuration: 60s}}\n    \
         steps: [{{name: get, request: {{path: {path}}}}}]\n  {more}\n"
    );
    std::fs::write(&file, test).unwrap();
    file.to_str().unwrap().to_owned()
}

fn run(file: &str, arguments: &[&str]) -> Output {
    let target = TestTarget::start().unwrap();
    proofload(&["run", file, "--target", &target.url(), "-q", "-o", "json"]).args(arguments).output().unwrap()
}

/// A report without doubts: what a busy machine leaves there is not what is tested here.
fn store(output: &Output, path: &Path) {
    let mut stored = report(output);
    stored["doubts"] = json!([]);
    std::fs::write(path, stored.to_string()).unwrap();
}

/// The exit code that follows, unless this machine was too busy to say.
#[track_caller]
fn ends_with(output: &Output, expected: i32) -> Value {
    let report = report(output);
    let is_certain = report["doubts"].as_array().is_none_or(Vec::is_empty);
    assert_eq!(code(output), if is_certain { expected } else { 98 }, "{}", report["reason"]);
    report
}

#[test]
fn a_slower_run_than_the_one_in_the_file_beside_the_test_fails() {
    let directory = TempDir::new().unwrap();
    let first = run(&write(directory.path(), "/delay/1", ""), &[]);
    store(&first, &directory.path().join("main.json"));
    let slow = write(directory.path(), "/delay/20", "baseline: {file: main.json, tolerance: 20%}");
    let slower = ends_with(&run(&slow, &[]), 99);
    let baseline = &slower["baseline"];
    assert_eq!(
        (baseline["name"].as_str(), baseline["comparison"]["tolerance"]["relative"].as_str()),
        (Some("shop"), Some("20%"))
    );
    if slower["verdict"] == "Failed" {
        assert!(slower["reason"].as_str().unwrap().starts_with("Worse than shop: main"), "{}", slower["reason"]);
        assert_eq!(baseline["outcome"], "Fail");
    }
    // The command line has the last word.
    let unjudged = run(&slow, &["--no-baseline"]);
    assert_eq!((code(&unjudged), &report(&unjudged)["baseline"]), (0, &Value::Null));
    let stored = directory.path().join("slow.json");
    store(&unjudged, &stored);
    let faster = run(&write(directory.path(), "/delay/1", ""), &["--baseline", stored.to_str().unwrap()]);
    assert_eq!(ends_with(&faster, 0)["baseline"]["name"], "shop");
}

#[test]
fn a_baseline_that_cannot_be_read_is_said_before_any_load() {
    let directory = TempDir::new().unwrap();
    std::fs::write(directory.path().join("no.json"), "{}").unwrap();
    for (baseline, expected) in [
        (
            "{file: gone.json}",
            "spec.baseline.file: expected a report of Proofload, as JSON or compressed by gzip, got there is no file ",
        ),
        ("{file: no.json}", "got no.json: expected a report of Proofload as JSON, got something else"),
        ("{configMap: {name: old, key: report}}", "spec.baseline.configMap: expected a report of Proofload"),
        (
            "{loadTest: shop-1}",
            "spec.baseline.loadTest: expected a report on this machine, got LoadTest \"shop-1\" of a cluster",
        ),
        ("{schedule: nightly}", "name one with --baseline, or hold the run against none with --no-baseline"),
        ("{loadTest: shop-1, file: no.json}", "expected exactly one of loadTest, schedule, configMap and file"),
        ("{}", "expected exactly one of loadTest, schedule, configMap and file"),
    ] {
        let file = write(directory.path(), "/fast", &format!("baseline: {baseline}"));
        let output = proofload(&["run", &file, "-q"]).output().unwrap();
        let said = text(&output.stderr);
        assert!(code(&output) == 104 && said.contains(expected), "{baseline}: {said}");
    }
}

#[test]
fn what_is_here_of_a_baseline_is_validated() {
    let directory = TempDir::new().unwrap();
    let validate = |baseline: &str| {
        let file = write(directory.path(), "/fast", &format!("baseline: {baseline}"));
        let output = proofload(&["validate", &file]).output().unwrap();
        (code(&output), text(&output.stderr))
    };
    let (code, said) = validate("{loadTest: shop-1}");
    assert!(code == 0 && said.contains("note: spec.baseline.loadTest: not checked"), "{said}");
    let (code, said) = validate("{configMap: {name: old, key: report}}");
    assert!(code == 0 && said.contains("note: spec.baseline.configMap: not checked"), "{said}");
    let (code, said) = validate("{file: gone.json}");
    assert!(code == 104 && said.contains("spec.baseline.file: "), "{said}");
}

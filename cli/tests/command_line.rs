//! The command line as a user or a CI job meets it: what it prints, and its exit codes.
#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use common::{code, proofload, report, signal, text, wait_until};
use proofload_target::TestTarget;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

/// A load test of 2 users for so long, with some criteria and a count of runners.
fn file(directory: &Path, hold: &str, criteria: &str, runners: &str) -> PathBuf {
    let path = directory.join("test.yaml");
    let test = format!(
        "apiVersion: proofload.dev/v1alpha1\nkind: LoadTest\nmetadata: {{name: short}}\nspec:\n  \
         target: {{baseUrl: 'http://127.0.0.1:1'}}\n  scenarios:\n  - name: browse\n    \
         users: {{stages: [{{to: 3, hold: {hold}}}]}}\n    thinkTime: {{min: 5ms, max: 10ms}}\n    \
         steps: [{{name: get, request: {{path: /fast}}}}]\n  \
         criteria: [{criteria}]\n  runners: {{count: {runners}}}\n"
    );
    std::fs::write(&path, test).unwrap();
    path
}

fn run(hold: &str, criteria: &str, runners: &str, target: &str) -> Output {
    let directory = TempDir::new().unwrap();
    let file = file(directory.path(), hold, criteria, runners);
    proofload(&["run", file.to_str().unwrap(), "--target", target, "--output", "json"]).output().unwrap()
}

#[test]
fn the_report_counts_what_the_target_counted_with_1_3_and_8_runners() {
    for runners in ["1", "3", "8"] {
        let target = TestTarget::start().unwrap();
        let output = run("1s", "{expr: rate(errors) < 1%}", runners, &target.url());
        let report = report(&output);
        assert_eq!(report["summary"]["requests"], target.counts().requests, "{runners} runners");
        assert_eq!(report["runners"].as_array().unwrap().len().to_string(), runners);
        // A busy machine can leave the figures in doubt, never wrong.
        assert!([0, 98].contains(&code(&output)), "{report}");
    }
}

#[test]
fn a_criterion_that_breaks_ends_with_99_and_the_value_seen() {
    let target = TestTarget::start().unwrap();
    let output = run("300ms", "{expr: count(errors) > 0}, {expr: count(requests) < 2}", "1", &target.url());
    let report = report(&output);
    assert_eq!((code(&output), &report["verdict"]), (99, &Value::from("Failed")), "{report}");
    assert!(report["criteria"][1]["observed"].as_f64().unwrap() >= 2.0);
}

#[test]
fn a_dead_target_fails_with_every_request_counted_as_connect() {
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = run("300ms", "{expr: rate(errors) < 1%}", "1", &format!("http://{dead}"));
    let report = report(&output);
    assert_eq!((code(&output), &report["verdict"]), (99, &Value::from("Failed")), "{report}");
    assert_eq!(report["summary"]["outcomes"]["connect"], report["summary"]["requests"]);
}

#[test]
fn the_demo_target_is_brought_along_and_its_count_is_told() {
    let directory = TempDir::new().unwrap();
    let file = file(directory.path(), "300ms", "", "1");
    let stored = directory.path().join("report.json.gz");
    let (file, stored) = (file.to_str().unwrap(), stored.to_str().unwrap());
    let output = proofload(&["run", file, "--demo-target", "--report", stored]).output().unwrap();
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    assert!(text(&output.stdout).starts_with("- Unjudged  short, begun 20"), "{}", text(&output.stdout));
    let json = proofload(&["report", stored, "--output", "json"]).output().unwrap();
    let counted = format!("The demo target counted {} requests.", report(&json)["summary"]["requests"]);
    assert!(text(&output.stderr).contains(&counted), "{} {counted}", text(&output.stderr));
    let shown = proofload(&["report", stored]).output().unwrap();
    assert_eq!((code(&shown), shown.stdout), (0, output.stdout));
}

#[test]
fn a_test_of_a_target_with_tls_runs_against_the_demo_target_as_it_is() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("secure.yaml");
    // Neither the name nor the files are there; the demo target has its own.
    let test = |protocol: &str| {
        format!(
            "apiVersion: proofload.dev/v1alpha1
kind: LoadTest
metadata: {{name: secure}}
spec:
  target:
    baseUrl: https://shop.test:8443
    protocol: {protocol}
    tls: {{ca: shop-ca, certificate: me, key: my-key}}
  files:
    shop-ca: {{configMap: {{name: shop, key: ca.pem}}}}
    me: {{secret: {{name: me, key: tls.crt}}}}
    my-key: {{secret: {{name: me, key: tls.key}}}}
  scenarios:
  - name: main
    iterations: {{users: 2, perUser: 10, maxDuration: 10s}}
    steps: [{{name: get, request: {{path: /fast}}}}]
  criteria: [{{expr: count(errors) == 0}}]
"
        )
    };
    for protocol in ["Http1", "Http2"] {
        std::fs::write(&file, test(protocol)).unwrap();
        let arguments = ["run", file.to_str().unwrap(), "--demo-target", "--output", "json"];
        let output = proofload(&arguments).output().unwrap();
        assert_eq!(code(&output), 0, "{protocol}: {}", text(&output.stderr));
        assert_eq!(report(&output)["summary"]["requests"], 20, "{protocol}");
        assert!(text(&output.stderr).contains("The demo target counted 20 requests."), "{}", text(&output.stderr));
    }
}

#[test]
fn the_demo_target_ends_when_whoever_started_it_is_gone() {
    let mut child = proofload(&["demo-target"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut url = String::new();
    output.read_line(&mut url).unwrap();
    assert!(url.starts_with("http://127.0.0.1:"));
    let mut tls = String::new();
    output.read_line(&mut tls).unwrap();
    assert!(tls.contains("https://127.0.0.1:"), "{tls}");
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    let mut counts = String::new();
    output.read_to_string(&mut counts).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&counts).unwrap()["requests"], 0);
}

/// A run of a minute, once its load is on.
fn long_run(target: &TestTarget, criteria: &str) -> (Child, TempDir) {
    let directory = TempDir::new().unwrap();
    let file = file(directory.path(), "60s", criteria, "1");
    let mut command = proofload(&["run", file.to_str().unwrap(), "--target", &target.url(), "--output", "json"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("load", || target.counts().requests > 3);
    (child, directory)
}

#[test]
fn ctrl_c_or_sigterm_once_ends_the_load_and_still_reports() {
    for (stop, why) in [(Signal::INT, "Ctrl-C"), (Signal::TERM, "SIGTERM")] {
        let target = TestTarget::start().unwrap();
        let (child, _directory) = long_run(&target, "{expr: rate(errors) < 1%}");
        signal(&child, stop);
        let output = child.wait_with_output().unwrap();
        let report = report(&output);
        assert_eq!((code(&output), &report["verdict"]), (105, &Value::from("Inconclusive")), "{report}");
        assert!(report["reason"].as_str().unwrap().contains(why), "{report}");
        assert_eq!(report["runners"][0]["state"], "Stopped");
    }
}

#[test]
fn ctrl_c_twice_quits_at_once() {
    let target = TestTarget::start().unwrap();
    let (mut child, _directory) = long_run(&target, "");
    signal(&child, Signal::INT);
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("again to quit") {
        line.clear();
        assert!(errors.read_line(&mut line).unwrap() > 0, "the first Ctrl-C is answered");
    }
    signal(&child, Signal::INT);
    assert_eq!(child.wait().unwrap().code(), Some(105));
}

#[test]
fn every_problem_is_told_at_once_with_its_line_and_nothing_is_run() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("bad.yaml");
    let bad = "kind: Service\n---\napiVersion: proofload.dev/v1alpha1\nkind: LoadTest\nmetadata: {name: bad}\nspec:\n  \
               target:\n    baseUrl: ftp://x\n    timeot: 3s\n  scenarios:\n  - name: a\n    \
               users: {stages: [{to: 5, over: 0s}]}\n    steps:\n    - {name: x, request: {path: /}}\n    \
               - {name: x, request: {path: /}}\n  criteria:\n  - {expr: p95(latncy) < 3ms}\n";
    std::fs::write(&path, bad).unwrap();
    for command in ["run", "validate"] {
        let output = proofload(&[command, path.to_str().unwrap()]).output().unwrap();
        let said = text(&output.stderr);
        assert_eq!((code(&output), text(&output.stdout).as_str()), (104, ""), "{said}");
        for (line, part) in [
            (8, "spec.target.baseUrl"),
            (9, "did you mean timeout?"),
            (12, "over: expected a time longer than 0s"),
            (15, "steps[1].name"),
            (17, "did you mean latency?"),
        ] {
            let found = |said: &&str| said.contains(&format!("bad.yaml:{line}: ")) && said.contains(part);
            assert!(said.lines().any(|line| found(&line)), "{line} {part} in:\n{said}");
        }
    }
}

/// What is said of a file that comes by standard input.
fn validated(input: &[u8]) -> (i32, String) {
    let mut command = proofload(&["validate", "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    // A file that is too large is not read to its end.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    (code(&output), text(&output.stderr))
}

#[test]
fn what_is_not_one_load_test_is_refused_in_words() {
    let refused = |input: &[u8], part: &str| {
        let (code, said) = validated(input);
        assert!(code == 104 && said.starts_with("standard input: ") && said.contains(part), "{code} {said}");
    };
    refused(b"", "expected one LoadTest, got nothing");
    refused(b"kind: Service\n---\nkind: Pod\n", "expected one LoadTest, got Service, Pod");
    refused(b"kind: LoadTest\n---\nkind: LoadTest\n", "got 2: put each into a file of its own");
    refused(b"a: [1,\n", "not YAML");
    refused(b"a: 1\na: 2\n", "not YAML");
    refused(&[0xff, 0xfe, 0x00], "UTF-8");
    refused(&vec![b'#'; 2 << 20], "expected at most 1 MiB");
}

#[test]
fn a_starter_file_is_valid_under_any_name_that_a_cluster_takes() {
    let starter = proofload(&["new", "checkout", "--target", "http://api.shop.svc:8080/v1"]).output().unwrap();
    assert_eq!(validated(&starter.stdout), (0, String::new()));
    let refused = proofload(&["new", "a.name.with.dots"]).output().unwrap();
    assert_eq!((code(&refused), text(&refused.stdout).as_str()), (104, ""), "{}", text(&refused.stderr));
}

#[test]
fn errors_of_use_and_of_files_end_with_1_and_say_what_to_do() {
    let said = |arguments: &[&str]| {
        let output = proofload(arguments).output().unwrap();
        assert_eq!(code(&output), 1);
        text(&output.stderr)
    };
    assert!(said(&["run"]).contains("Usage: proofload run"));
    assert!(said(&["run", "/no/such/file"]).contains("opening /no/such/file: No such file"));
    assert!(said(&["report", env!("CARGO_MANIFEST_DIR")]).contains("reading"));
    assert!(
        said(&["report", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")])
            .contains("expected a report of Proofload")
    );
    let near = said(&["report", concat!(env!("CARGO_MANIFEST_DIR"), "/Crago.toml")]);
    assert!(near.contains("there is no file") && near.contains("did you mean Cargo.toml?"), "{near}");
    // Before any load.
    let test = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/quickstart.yaml");
    assert!(said(&["run", test, "--report", "a.pdf"]).contains("expected a name that ends in .json"));
}

#[test]
fn it_is_a_plugin_of_kubectl_too() {
    let output = Command::new(env!("CARGO_BIN_EXE_kubectl-proofload")).args(["run", "--help"]).output().unwrap();
    assert!(text(&output.stdout).contains("Usage: kubectl proofload run"), "{}", text(&output.stdout));
    assert!(text(&output.stdout).contains("Examples:"));
    let completions = proofload(&["completions", "bash"]).output().unwrap();
    assert!(text(&completions.stdout).contains("complete -F _proofload"));
}

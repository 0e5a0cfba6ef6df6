//! `proofload scale` against an API server that says what a story wants, and keeps what it is sent.
#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use common::api::{kubeconfig, refusal, serve};
use common::{code, proofload, text};
use serde_json::{Value, json};
use tempfile::TempDir;

fn test(phase: &str, version: &str) -> Value {
    let scenario = |name: &str| {
        json!({"name": name, "arrivals": {"stages": [{"to": "5/s", "hold": "1m"}]},
               "steps": [{"name": "get", "request": {"path": "/"}}]})
    };
    json!({
        "apiVersion": "proofload.dev/v1alpha1", "kind": "LoadTest",
        "metadata": {"name": "checkout", "namespace": "shop", "resourceVersion": version},
        "spec": {"target": {"baseUrl": "http://t"}, "scenarios": [scenario("browse"), scenario("buy")],
                 "scale": [{"scenario": "buy", "rate": "7/s"}, {"scenario": "browse", "rate": "6/s"}]},
        "status": {"phase": phase},
    })
}

fn scale(url: &str, more: &[&str]) -> (i32, String) {
    let directory = TempDir::new().unwrap();
    let config = kubeconfig(&directory, url);
    let arguments = [&["scale", "checkout", "--kubeconfig", config.to_str().unwrap()], more].concat();
    let output = proofload(&arguments).output().unwrap();
    (code(&output), text(&output.stdout) + &text(&output.stderr))
}

#[test]
fn a_change_is_patched_against_what_was_read_and_tried_again_where_somebody_else_was_faster() {
    let answers =
        vec![(200, test("Running", "1")), refusal(409), (200, test("Running", "2")), (200, test("Running", "3"))];
    let (url, requests) = serve(answers);
    let (status, said) = scale(&url, &["--scenario", "browse", "--rate", "500/s"]);
    assert_eq!((status, said.as_str()), (0, "shop/checkout: scenario browse goes from 6/s to 500/s\n"));
    let requests = requests.lock().unwrap();
    let lines: Vec<&str> = requests.iter().map(|(line, _)| line.split(' ').next().unwrap()).collect();
    assert_eq!(lines, ["get", "patch", "get", "patch"]);
    assert!(requests[3].0.contains("/namespaces/shop/loadtests/checkout"), "{}", requests[3].0);
    let expected = json!({
        "metadata": {"resourceVersion": "2"},
        "spec": {"scale": [{"scenario": "buy", "rate": "7/s"}, {"scenario": "browse", "rate": "500/s"}]},
    });
    assert_eq!(requests[3].1, expected);
}

#[test]
fn what_cannot_be_scaled_says_why_and_changes_nothing() {
    let refused = |answer: (u16, Value), arguments: &[&str], why: &str| {
        let (url, requests) = serve(vec![answer]);
        let (status, said) = scale(&url, arguments);
        assert!(status == 1 && said.contains(why), "{said}");
        assert_eq!(requests.lock().unwrap().len(), 1);
    };
    let running = || (200, test("Running", "1"));
    refused(running(), &["--rate", "9/s"], "expected --scenario with one of browse, buy");
    refused(running(), &["--to", "9", "--scenario", "buy"], "expected --rate with a rate such as 500/s, got users");
    refused((200, test("Finished", "1")), &["--rate", "9/s"], "the run of shop/checkout is over");
    refused(refusal(404), &["--rate", "9/s"], "there is no LoadTest checkout in namespace shop");
    refused(refusal(404), &["--rate", "9/s", "-n", "other"], "in namespace other");
}

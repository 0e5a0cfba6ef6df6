//! `proofload scale` against an API server that says what a story wants, and keeps what it is sent.
#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;

use common::{code, proofload, text};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Requests as they came: the line, and the body.
type Requests = Arc<Mutex<Vec<(String, Value)>>>;

/// Serves answers, one after the other, each on a connection of its own.
fn serve(answers: Vec<(u16, Value)>) -> (String, Requests) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests = Requests::default();
    let kept = Arc::clone(&requests);
    thread::spawn(move || {
        for (status, body) in answers {
            let (stream, _) = listener.accept().unwrap();
            kept.lock().unwrap().push(answer(stream, status, &body));
        }
    });
    (url, requests)
}

fn answer(stream: TcpStream, status: u16, body: &Value) -> (String, Value) {
    let mut input = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        input.read_line(&mut line).unwrap();
        if line.trim().is_empty() {
            break;
        }
        head.push(line.trim().to_lowercase());
    }
    let length = head.iter().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    let mut sent = vec![0; length];
    input.read_exact(&mut sent).unwrap();
    let body = body.to_string();
    let answer = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    input.get_mut().write_all(answer.as_bytes()).unwrap();
    (head[0].clone(), serde_json::from_slice(&sent).unwrap_or_default())
}

fn kubeconfig(directory: &TempDir, url: &str) -> PathBuf {
    let path = directory.path().join("kubeconfig");
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "here",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "shop"}}],
    });
    std::fs::write(&path, config.to_string()).unwrap();
    path
}

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

fn refusal(status: u16) -> (u16, Value) {
    let reason = if status == 404 { "NotFound" } else { "Conflict" };
    (
        status,
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": status, "message": ""}),
    )
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

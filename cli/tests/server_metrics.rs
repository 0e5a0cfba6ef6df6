//! The target's own metrics: a real Prometheus scrapes the target, and `proofload run` asks it.
#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use common::{code, proofload, report, text, wait_until};
use proofload_target::TestTarget;
use serde_json::Value;
use tempfile::TempDir;

/// Prometheus, with one target that it scrapes each second.
struct Prometheus {
    process: Child,
    url: String,
    _directory: TempDir,
}

impl Prometheus {
    fn scraping(target: &TestTarget) -> Self {
        let directory = TempDir::new().unwrap();
        // Free a moment ago; nobody else takes such ports in order.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let admin = target.admin_url();
        let admin = admin.strip_prefix("http://").unwrap();
        let config = format!(
            "global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: target\n  static_configs: [{{targets: ['{admin}']}}]\n"
        );
        std::fs::write(directory.path().join("prometheus.yml"), config).unwrap();
        let process = Command::new("prometheus")
            .arg("--config.file=prometheus.yml")
            .arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .current_dir(directory.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Prometheus, as in Debian's package prometheus");
        let prometheus = Self { process, url: format!("http://127.0.0.1:{port}"), _directory: directory };
        let is_scraped = || get(port, "/api/v1/query?query=process_resident_memory_bytes").contains("\"value\"");
        wait_until("Prometheus to have scraped the target", is_scraped);
        prometheus
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn get(port: u16, path: &str) -> String {
    let mut body = String::new();
    if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
        let asked = write!(stream, "GET {path} HTTP/1.0\r\nHost: prometheus\r\n\r\n");
        let _ = asked.and_then(|()| stream.read_to_string(&mut body));
    }
    body
}

/// A test of so many seconds with these metrics and criteria.
fn file(directory: &Path, seconds: u32, more: &str) -> PathBuf {
    let path = directory.join("test.yaml");
    let test = format!(
        "apiVersion: proofload.dev/v1alpha1\nkind: LoadTest\nmetadata: {{name: watched}}\nspec:\n  \
         target: {{baseUrl: 'http://127.0.0.1:1'}}\n  scenarios:\n  - name: main\n    \
         arrivals: {{maxUsers: 20, stages: [{{to: 40/s, hold: {seconds}s, name: steady}}]}}\n    \
         steps: [{{name: get, request: {{path: /fast}}}}]\n  runners: {{count: 1}}\n{more}"
    );
    std::fs::write(&path, test).unwrap();
    path
}

fn run(file: &Path, target: &TestTarget, arguments: &[&str]) -> Output {
    let url = target.url();
    let all = [&["run", file.to_str().unwrap(), "--target", &url, "--output", "json"], arguments].concat();
    proofload(&all).output().unwrap()
}

fn criterion<'a>(report: &'a Value, expr: &str) -> &'a Value {
    let all = report["criteria"].as_array().unwrap();
    all.iter().find(|criterion| criterion["expr"] == expr).unwrap()
}

const METRICS: &str = "  serverMetrics:
    memory: {query: 'process_resident_memory_bytes{job=\"target\"}'}
    requests: {query: 'sum(target_requests_total)'}
  criteria:
  - expr: slope(server.memory) < 1%/h
  - {expr: last(server.requests) > 100, during: steady}
  - expr: rate(errors) < 1%
";

#[test]
fn a_leak_is_found_by_its_slope() {
    let (directory, target) = (TempDir::new().unwrap(), TestTarget::start().unwrap());
    target.leak(100_000);
    let prometheus = Prometheus::scraping(&target);
    let output = run(&file(directory.path(), 12, METRICS), &target, &["--prometheus", &prometheus.url]);
    let report = report(&output);
    assert_eq!(code(&output), 99, "{report:#}");
    let leak = criterion(&report, "slope(server.memory) < 1%/h");
    assert_eq!(leak["outcome"], "Fail");
    assert!(leak["observed"].as_f64().unwrap() > 1.0, "more than all of it in an hour: {leak}");
    for expr in ["last(server.requests) > 100", "rate(errors) < 1%"] {
        assert_eq!(criterion(&report, expr)["outcome"], "Pass", "{report:#}");
    }
    let memory = &report["server"][0];
    assert_eq!((&memory["name"], &memory["unit"]), (&Value::from("memory"), &Value::from("bytes")));
    let figures = |of: &str| memory["figures"][of].as_f64().unwrap();
    assert!(figures("max") > figures("min") + 10e6 && figures("last") >= figures("max"), "{memory}");
    assert_eq!(memory["stages"][0]["stage"], "steady");
    assert!(memory["samples"].as_array().unwrap().len() >= 10, "{memory}");
    assert!(text(&output.stderr).contains("Waiting for what Prometheus says"), "{}", text(&output.stderr));
}

#[test]
fn a_query_that_prometheus_cannot_read_is_told_before_any_load() {
    let (directory, target) = (TempDir::new().unwrap(), TestTarget::start().unwrap());
    let prometheus = Prometheus::scraping(&target);
    target.clear();
    let with = |query: &str| format!("  serverMetrics:\n    memory: {{query: '{query}'}}\n");
    for (query, expected) in [
        ("sum(up", "spec.serverMetrics.memory.query: expected `)`"),
        ("sum(up) by", "spec.serverMetrics.memory.query: expected a query that Prometheus can read"),
    ] {
        let file = file(directory.path(), 2, &with(query));
        let output = run(&file, &target, &["--prometheus", &prometheus.url]);
        assert_eq!(code(&output), 104, "{}", text(&output.stderr));
        let stderr = text(&output.stderr);
        let line = stderr.lines().find(|line| line.contains(expected)).unwrap_or_else(|| panic!("{stderr}"));
        assert!(line.contains("test.yaml:"), "with its line: {line}");
    }
    assert_eq!(target.counts().requests, 0);
}

#[test]
fn a_prometheus_that_is_away_leaves_its_own_criteria_open_and_no_other() {
    let (directory, target) = (TempDir::new().unwrap(), TestTarget::start().unwrap());
    let url = format!("http://{}", target.refusing_address().unwrap());
    let more = format!("  prometheus: {{url: '{url}', wait: 1s}}\n{METRICS}");
    let output = run(&file(directory.path(), 2, &more), &target, &[]);
    let report = report(&output);
    assert_eq!((code(&output), &report["verdict"]), (98, &Value::from("Inconclusive")));
    assert_eq!(criterion(&report, "rate(errors) < 1%")["outcome"], "Pass");
    let leak = criterion(&report, "slope(server.memory) < 1%/h");
    assert_eq!(leak["outcome"], "NoData");
    assert!(leak["note"].as_str().unwrap().contains("Prometheus cannot be reached"), "{leak}");
    let reason = report["reason"].as_str().unwrap();
    // One cause for both criteria is said once, with the names of both.
    let expected = "There is nothing to judge slope(server.memory) < 1%/h; last(server.requests) > 100 during steady by: \
                    Prometheus cannot be reached: ";
    assert!(reason.starts_with(expected), "{reason}");
}

/// A server that refuses everybody, and says what it was told: a hostile one.
fn echo() -> (String, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (url, asked) = (format!("http://{}", listener.local_addr().unwrap()), Arc::new(AtomicU32::new(0)));
    let counted = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut request = [0_u8; 4096];
            let read = stream.read(&mut request).unwrap_or(0);
            let said = String::from_utf8_lossy(&request[..read]).replace(['\r', '\n', '"'], " ");
            counted.fetch_add(u32::from(said.contains("Bearer s3cr3t-token")), Ordering::Relaxed);
            let body = format!("{{\"status\":\"error\",\"errorType\":\"unauthorized\",\"error\":\"{said}\"}}");
            let head = format!("HTTP/1.1 401 No\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            let _ = stream.write_all((head + &body).as_bytes());
        }
    });
    (url, asked)
}

#[test]
fn a_token_reaches_prometheus_and_nobody_else() {
    let (directory, target) = (TempDir::new().unwrap(), TestTarget::start().unwrap());
    let (url, asked) = echo();
    let more = format!(
        "  env: [{{name: TOKEN, valueFrom: {{secretKeyRef: {{name: s, key: k}}}}}}]\n  \
         prometheus: {{url: '{url}', wait: 1s, auth: {{bearer: '{{{{env.TOKEN}}}}'}}}}\n{METRICS}"
    );
    let file = file(directory.path(), 1, &more);
    let html = directory.path().join("report.html");
    let url = target.url();
    let arguments = ["run", file.to_str().unwrap(), "--target", &url, "-o", "json", "--report", html.to_str().unwrap()];
    let output = proofload(&arguments).env("TOKEN", "s3cr3t-token").output().unwrap();
    assert!(asked.load(Ordering::Relaxed) > 0, "{}", text(&output.stderr));
    let note = criterion(&report(&output), "slope(server.memory) < 1%/h")["note"].as_str().unwrap().to_owned();
    assert!(note.contains("unauthorized") && note.contains("***"), "{note}");
    for said in [text(&output.stdout), text(&output.stderr), std::fs::read_to_string(html).unwrap()] {
        assert!(!said.contains("s3cr3t-token"));
    }
}

//! `proofload report` in each form, of a file and of a run in the cluster.
#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use std::io::Write;
use std::path::PathBuf;

use common::api::{kubeconfig, refusal, serve};
use common::{code, proofload, text};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A run of 30 requests, and its reports in two forms.
fn stored(directory: &TempDir) -> (PathBuf, PathBuf) {
    let path = |name: &str| directory.path().join(name);
    let test = "apiVersion: proofload.dev/v1alpha1\nkind: LoadTest\nmetadata: {name: short}\nspec:\n  \
                target: {baseUrl: 'http://127.0.0.1:1'}\n  scenarios:\n  - name: main\n    \
                iterations: {users: 3, perUser: 10}\n    \
                steps: [{name: get, request: {path: /fast}}]\n  \
                criteria: [{expr: count(errors) == 0}, {expr: count(requests) < 2}]\n";
    std::fs::write(path("test.yaml"), test).unwrap();
    let (file, json, xml) = (path("test.yaml"), path("report.json"), path("report.xml"));
    let arguments = ["run", file.to_str().unwrap(), "--demo-target", "--quiet", "-o", "md"];
    let mut command = proofload(&arguments);
    let output = command.arg("--report").arg(&json).arg("--report").arg(&xml).output().unwrap();
    assert_eq!(code(&output), 99, "{}", text(&output.stderr));
    assert!(text(&output.stdout).starts_with("## ❌ Failed: short\n"), "{}", text(&output.stdout));
    (json, xml)
}

#[test]
fn a_report_is_shown_in_each_form_and_written_where_it_is_wanted() {
    let directory = TempDir::new().unwrap();
    let (json, xml) = stored(&directory);
    let json = json.to_str().unwrap();
    let shown = |form: &str| {
        let output = proofload(&["report", json, "-o", form]).output().unwrap();
        assert_eq!(code(&output), 0, "{form}: {}", text(&output.stderr));
        text(&output.stdout)
    };
    assert_eq!(shown("junit"), std::fs::read_to_string(xml).unwrap());
    assert!(shown("junit").contains("failures=\"1\""), "{}", shown("junit"));
    assert!(shown("md").starts_with("## ❌ Failed: short\n") && shown("text").starts_with("✗ Failed  short"));
    assert_eq!(shown("json"), std::fs::read_to_string(json).unwrap());
    let to = |form: &str, name: &str| {
        let path = directory.path().join(name);
        let output = proofload(&["report", json, "-o", form, "--to", path.to_str().unwrap()]).output().unwrap();
        assert_eq!((code(&output), text(&output.stdout).as_str()), (0, ""), "{}", text(&output.stderr));
    };
    assert!(shown("html").to_lowercase().starts_with("<!doctype html>"), "{}", shown("html"));
    to("csv", "of-run");
    let file = |name: &str| std::fs::read_to_string(directory.path().join(name)).unwrap();
    assert_eq!(file("of-run_stats.csv"), shown("csv"));
    assert!(file("of-run_stats.csv").contains("\r\nGET,main/get,30,0,"), "{}", shown("csv"));
    assert!(file("of-run_stats_history.csv").starts_with("Timestamp,User Count,Type,Name,"));
    assert_eq!(file("of-run_exceptions.csv"), "Count,Message,Traceback,Nodes\r\n");
    assert!(file("of-run_failures.csv").starts_with("Method,Name,Error,Occurrences"));
    to("json", "again.json.gz");
    let again = directory.path().join("again.json.gz");
    let output = proofload(&["report", again.to_str().unwrap()]).output().unwrap();
    assert_eq!(text(&output.stdout), shown("text"));
}

fn test(phase: &str, report: Option<&str>) -> (u16, Value) {
    let scenario = json!({"name": "main", "iterations": {"users": 1, "perUser": 1},
                          "steps": [{"name": "get", "request": {"path": "/"}}]});
    let mut test = json!({
        "apiVersion": "proofload.dev/v1alpha1", "kind": "LoadTest",
        "metadata": {"name": "checkout", "namespace": "shop"},
        "spec": {"target": {"baseUrl": "http://t"}, "scenarios": [scenario]},
        "status": {"phase": phase, "message": "as it is"},
    });
    if let Some(report) = report {
        test["status"]["report"] = json!({"configMap": report});
    }
    (200, test)
}

/// What is said of a report in a cluster that answers so, and what it was asked for.
fn asked(answers: Vec<(u16, Value)>, name: &str, more: &[&str]) -> (i32, String, Vec<String>) {
    let directory = TempDir::new().unwrap();
    let (url, requests) = serve(answers);
    let config = kubeconfig(&directory, &url);
    let arguments = [&["report", name, "--kubeconfig", config.to_str().unwrap()], more].concat();
    let output = proofload(&arguments).output().unwrap();
    let lines = requests.lock().unwrap().iter().map(|(line, _)| line.clone()).collect();
    (code(&output), text(&output.stdout) + &text(&output.stderr), lines)
}

#[test]
fn the_report_of_a_run_in_the_cluster_is_where_its_status_says() {
    let directory = TempDir::new().unwrap();
    let json = std::fs::read(stored(&directory).0).unwrap();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(&json).unwrap();
    let encoded = k8s_openapi::ByteString(gzip.finish().unwrap());
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "checkout-abc-report"},
                     "binaryData": {"report.json.gz": encoded}});
    let answers = vec![test("Finished", Some("checkout-abc-report")), (200, map)];
    let (status, said, lines) = asked(answers, "checkout", &["-o", "json"]);
    assert_eq!((status, said.as_bytes()), (0, &json[..]), "{said}");
    assert!(lines[1].contains("/namespaces/shop/configmaps/checkout-abc-report"), "{lines:?}");
    // As the status of another run names it.
    let (status, said, lines) = asked(vec![refusal(404), refusal(403)], "warehouse/stock", &[]);
    assert!(status == 1 && said.contains("there is no LoadTest stock in namespace warehouse"), "{said}");
    assert!(lines[0].contains("/namespaces/warehouse/loadtests/stock"), "{lines:?}");
    let (status, said, _) = asked(Vec::new(), "warehouse/stock", &["-n", "shop"]);
    assert!(status == 1 && said.contains("expected a LoadTest in namespace shop, got one in warehouse"), "{said}");
}

#[test]
fn where_there_is_no_report_it_is_said_why() {
    let refused = |answers: Vec<(u16, Value)>, name: &str, why: &str| {
        let (status, said, _) = asked(answers, name, &[]);
        assert!(status == 1 && said.contains(why), "{said}");
    };
    refused(vec![test("Running", None)], "checkout", "shop/checkout has no report: its run is under way");
    refused(vec![test("Pending", None)], "checkout", "its run has not begun");
    refused(vec![test("Finished", None)], "checkout", "it ended without one: as it is");
    refused(
        vec![test("Finished", Some("gone")), refusal(404)],
        "checkout",
        "the ConfigMap gone with the report is gone",
    );
    let others = json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList", "metadata": {},
                        "items": [{"metadata": {"name": "checkout"}}]});
    let near = "there is no LoadTest chekout in namespace shop (did you mean checkout?)";
    refused(vec![refusal(404), (200, others)], "chekout", near);
    refused(vec![refusal(404), refusal(403)], "chekout", "there is no LoadTest chekout in namespace shop");
    let (status, said, _) = asked(Vec::new(), "../No-Name", &[]);
    assert!(status == 1 && said.contains("expected the name of a LoadTest in the cluster, got ../No-Name"), "{said}");
}

#[test]
fn a_name_that_is_neither_a_file_nor_in_the_cluster_is_told_of_both() {
    let directory = TempDir::new().unwrap();
    std::fs::write(directory.path().join("checkout"), "").unwrap();
    std::fs::create_dir(directory.path().join("chekout")).unwrap();
    std::fs::create_dir(directory.path().join("out")).unwrap();
    std::fs::write(directory.path().join("out/checkout"), "").unwrap();
    for (name, namespace) in [("chekout", "shop"), ("out/chekout", "out")] {
        let (url, _) = serve(vec![refusal(404), refusal(403)]);
        let config = kubeconfig(&directory, &url);
        let mut command = proofload(&["report", name]);
        let output = command.current_dir(directory.path()).env("KUBECONFIG", config).output().unwrap();
        let said = text(&output.stderr);
        let expected = format!("there is no file {name} (did you mean checkout?), and in the cluster");
        assert!(said.contains(&expected), "{said}");
        assert!(said.contains(&format!("there is no LoadTest chekout in namespace {namespace}")), "{said}");
    }
}

//! Schedules on the command line: files of that kind, `proofload trigger`, and that docs/schedules.md is true.
#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use common::api::{WISH, kubeconfig, refusal, serve};
use common::{code, proofload, text};
use proofload_api::admission::admit_schedule;
use serde_json::{Value, json};
use tempfile::TempDir;

const FILE: &str = "apiVersion: proofload.dev/v1alpha1
kind: LoadTestSchedule
metadata: {name: nightly}
spec:
  schedule: 0 3 * * *
  timeZone: Europe/Berlin
  template:
    spec:
      target: {baseUrl: 'http://127.0.0.1:9'}
      scenarios:
      - name: main
        iterations: {users: 1, perUser: 3}
        steps: [{name: get, request: {path: /}}]
";

fn on_file(text: &str, arguments: &[&str]) -> (i32, String) {
    let directory = TempDir::new().unwrap();
    std::fs::write(directory.path().join("nightly.yaml"), text).unwrap();
    let output = proofload(arguments).current_dir(directory.path()).output().unwrap();
    (code(&output), self::text(&output.stdout) + &self::text(&output.stderr))
}

#[test]
fn a_schedule_is_validated_with_all_its_problems_at_their_lines() {
    let (status, said) = on_file(FILE, &["validate", "nightly.yaml"]);
    assert_eq!(status, 0, "{said}");
    assert!(said.starts_with("nightly.yaml: valid: runs at 0 3 * * * Europe/Berlin; each run: 1 scenario"), "{said}");
    let wrong =
        FILE.replace("0 3 *", "61 3 *").replace("Europe/Berlin", "Europe/Belin").replace("path: /", "path: '/{{id}}'");
    let (status, said) = on_file(&wrong, &["validate", "nightly.yaml"]);
    assert_eq!(status, 104);
    for line in [
        "nightly.yaml:5: spec.schedule: expected minutes from 0 to 59, got \"61\" in \"61 3 * * *\"",
        "nightly.yaml:6: spec.timeZone: expected the name of a zone in the IANA database",
        "(did you mean Europe/Berlin?)",
        "nightly.yaml:13: spec.template.spec.scenarios[0].steps[0].request.path: expected",
    ] {
        assert!(said.contains(line), "{line} is not in:\n{said}");
    }
    let unknown = FILE.replace("  schedule:", "  shedule:").replace("perUser: 3", "perUser: 0");
    let (status, said) = on_file(&unknown, &["validate", "nightly.yaml"]);
    assert_eq!(status, 104);
    assert!(
        said.contains(":5: spec.shedule: expected a field that exists, got an unknown one (did you mean schedule?)"),
        "{said}"
    );
    assert!(said.contains("spec.template.spec.scenarios[0].iterations.perUser: expected at least 1"), "{said}");
    let neither = FILE.replace("  schedule: 0 3 * * *\n", "");
    assert!(on_file(&neither, &["validate", "nightly.yaml"]).1.contains("expected schedule, onRollout, or both"));
}

#[test]
fn the_template_of_a_schedule_is_run_once_here() {
    let (status, said) = on_file(FILE, &["run", "nightly.yaml", "--demo-target", "--quiet", "--output", "json"]);
    let report: Value = serde_json::from_str(said.lines().next().unwrap_or_default())
        .or_else(|_| serde_json::from_str(&said))
        .unwrap_or_else(|error| panic!("{status}: {error}: {said}"));
    assert_eq!((&report["name"], &report["summary"]["requests"]), (&json!("nightly"), &json!(3)));
}

fn schedule(status: &Value) -> Value {
    let mut schedule: Value = serde_saphyr::from_str(FILE).unwrap();
    schedule["metadata"] = json!({"name": "nightly", "namespace": "shop", "generation": 1});
    schedule["status"] = status.clone();
    schedule
}

fn runs(runs: &[Value]) -> (u16, Value) {
    (200, json!({"apiVersion": "proofload.dev/v1alpha1", "kind": "LoadTestList", "metadata": {}, "items": runs}))
}

fn run(name: &str, status: &Value) -> Value {
    json!({
        "apiVersion": "proofload.dev/v1alpha1", "kind": "LoadTest",
        "metadata": {"name": name, "namespace": "shop", "uid": name, "annotations": {"proofload.dev/cause": "Trigger"}},
        "spec": {"target": {"baseUrl": "http://t"}, "scenarios": []},
        "status": status,
    })
}

fn trigger(url: &str, more: &[&str]) -> (i32, String) {
    let directory = TempDir::new().unwrap();
    let config = kubeconfig(&directory, url);
    let arguments = [&["trigger", "nightly", "--kubeconfig", config.to_str().unwrap()], more].concat();
    let output = proofload(&arguments).output().unwrap();
    (code(&output), text(&output.stdout) + &text(&output.stderr))
}

#[test]
fn a_trigger_is_an_annotation_of_the_schedule() {
    let answers = vec![(200, schedule(&json!({}))), (200, schedule(&json!({})))];
    let (url, requests) = serve(answers);
    let (status, said) = trigger(&url, &[]);
    assert!(status == 0 && said.starts_with("shop/nightly: asked for a run"), "{said}");
    let requests = requests.lock().unwrap();
    let (line, body) = &requests[1];
    assert!(line.starts_with("patch") && line.contains("/namespaces/shop/loadtestschedules/nightly"), "{line}");
    assert!(body["metadata"]["annotations"]["proofload.dev/trigger"].as_str().is_some_and(|wish| wish.len() > 10));
}

/// The schedule, with the wish that stands there and the one that was last dealt with.
fn wished(now: &str, dealt_with: &str, history: &Value) -> (u16, Value) {
    let mut schedule = schedule(&json!({"lastTrigger": dealt_with, "history": history}));
    schedule["metadata"]["annotations"] = json!({"proofload.dev/trigger": now});
    (200, schedule)
}

/// What is said by `trigger --wait`, where one run was there before, and these are the answers after the wish.
fn waits(timeout: &str, looks: Vec<(u16, Value)>) -> (i32, String) {
    let before = vec![(200, schedule(&json!({}))), runs(&[earlier()]), (200, schedule(&json!({})))];
    let (url, _) = serve([before, looks].concat());
    trigger(&url, &["--wait", "--timeout", timeout])
}

fn earlier() -> Value {
    run("nightly-1t", &json!({"verdict": "Passed", "message": "long ago"}))
}

#[test]
fn a_trigger_that_is_not_dealt_with_in_time_takes_no_other_run_for_its_own() {
    let failed = run("nightly-2t", &json!({"verdict": "Failed", "message": "p95(latency) < 500ms was 812ms"}));
    // Not dealt with yet, though the run is there: it could be another's.
    let looks = vec![wished(WISH, "another", &json!([])), runs(&[earlier(), failed])];
    let (status, said) = waits("0s", looks);
    assert!(status == 1 && said.contains("no verdict within 0s"), "{said}");
}

#[test]
fn a_trigger_in_whose_place_somebody_else_asked_says_so_at_once() {
    let (status, said) = waits("1h", vec![wished("another", "another", &json!([])), runs(&[earlier()])]);
    assert!(status == 1 && said.contains("somebody else asked for a run before this one was begun"), "{said}");
}

#[test]
fn a_trigger_stays_with_its_own_run_whoever_asks_meanwhile() {
    let begun = || [wished(WISH, WISH, &json!([])), runs(&[earlier(), run("nightly-2t", &json!({}))])];
    let ours = run("nightly-2t", &json!({"verdict": "Failed", "message": "p95(latency) < 500ms was 812ms"}));
    let theirs = run("nightly-3t", &json!({"verdict": "Passed", "message": "theirs"}));
    let ended = [wished("another", "another", &json!([])), runs(&[theirs, ours])];
    let (status, said) = waits("1h", [begun(), ended].concat());
    assert!(status == 99 && said.contains("shop/nightly-2t: Failed: p95(latency) < 500ms was 812ms"), "{said}");
    // Of a schedule that keeps none of its runs.
    let past = json!([{"name": "nightly-2t", "verdict": "Failed", "cause": "Trigger", "due": "2026-03-01T12:00:00Z"}]);
    let (status, said) = waits("1h", [begun(), [wished("another", "another", &past), runs(&[])]].concat());
    assert!(status == 99 && said.contains("shop/nightly-2t: Failed: the schedule did not keep the run"), "{said}");
}

#[test]
fn a_trigger_that_cannot_work_says_why() {
    let invalid = json!({"state": "Invalid", "observedGeneration": 1, "message": "The spec has 1 problem"});
    let (url, requests) = serve(vec![(200, schedule(&invalid))]);
    let (status, said) = trigger(&url, &["--wait"]);
    assert!(status == 1 && said.contains("shop/nightly cannot be run: The spec has 1 problem"), "{said}");
    assert_eq!(requests.lock().unwrap().len(), 1);
    let (url, _) = serve(vec![refusal(404)]);
    let (status, said) = trigger(&url, &["-n", "other"]);
    assert!(status == 1 && said.contains("there is no LoadTestSchedule nightly in namespace other"), "{said}");
}

#[test]
fn the_page_on_schedules_has_every_field_and_its_example_is_valid() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/schedules.md")).unwrap();
    let example = page.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let (status, said) = on_file(example, &["validate", "nightly.yaml"]);
    assert_eq!(status, 0, "{said}");
    let example: Value = serde_saphyr::from_str(example).unwrap();
    admit_schedule(&example).unwrap();
    let crd = serde_json::to_value(&proofload_api::crds()[1]).unwrap();
    let spec = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"];
    for field in spec.as_object().unwrap().keys() {
        assert!(page.contains(&format!("\n| `{field}` | ")), "{field} is described");
        assert!(example["spec"].get(field).is_some(), "{field} has an example");
    }
}

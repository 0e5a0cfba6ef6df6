//! examples/soak.yaml: it is admitted and compiles as it is, with the load that it says; and with its hours as seconds it
//! runs, every part of it, and is judged.
#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use std::path::Path;

use proofload_api::{LoadTest, Micros};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Eight hours in twenty seconds.
const FASTER: u64 = 1440;
/// Users who read so much faster make no more requests than a test may.
const READ_FASTER: u64 = 20;

fn example() -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/soak.yaml");
    serde_saphyr::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

/// A time of a spec, so many times as short.
fn shorten(time: &mut Value, times: u64) {
    if let Some(text) = time.as_str() {
        let micros: Micros = serde_json::from_value(json!(text)).unwrap();
        *time = json!(format!("{}ms", (micros.0 / 1000).div_ceil(times)));
    }
}

/// The same soak, so fast.
fn shortened() -> Value {
    let mut test = example();
    let scenario = &mut test["spec"]["scenarios"][0];
    for stage in scenario["users"]["stages"].as_array_mut().unwrap() {
        shorten(&mut stage["over"], FASTER);
        shorten(&mut stage["hold"], FASTER);
        stage.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    }
    for bound in ["min", "max"] {
        shorten(&mut scenario["thinkTime"][bound], READ_FASTER);
    }
    for criterion in test["spec"]["criteria"].as_array_mut().unwrap() {
        if let Some(abort) = criterion.get_mut("abort") {
            shorten(&mut abort["window"], FASTER);
            shorten(&mut abort["after"], FASTER);
        }
    }
    test
}

#[test]
fn the_soak_compiles_and_lasts_eight_hours_and_five_minutes() {
    let test: LoadTest = proofload_api::admission::admit(&example()).unwrap();
    let compiled = proofload_plan::compile(&test.spec, "soak").unwrap();
    assert_eq!(compiled.plan.planned(), Micros::from_secs(8 * 3600 + 300));
    // 485 minutes in 600 buckets, in whole seconds.
    assert_eq!(compiled.plan.timeline_width, Micros::from_secs(49));
    assert_eq!(compiled.criteria.iter().filter(|criterion| criterion.abort.is_some()).count(), 2);
}

#[test]
fn the_soak_in_twenty_seconds_passes_and_each_hour_of_it_is_judged() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("soak.yaml");
    std::fs::write(&file, shortened().to_string()).unwrap();
    let arguments = ["run", file.to_str().unwrap(), "--demo-target", "--quiet", "--output", "json"];
    let output = common::proofload(&arguments).output().unwrap();
    let report = common::report(&output);
    let stages: Vec<_> = report["scenarios"][0]["stages"].as_array().unwrap().iter().collect();
    let names: Vec<_> = stages.iter().map(|stage| stage["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["rise", "first-hour", "between", "last-hour"]);
    // Each with requests of its own: 50 users, each about seven a second.
    for (stage, least) in stages.iter().zip([0, 100, 600, 100]) {
        assert!(stage["requests"].as_u64().unwrap() > least, "{stage:#}");
    }
    // A busy machine can leave times in doubt, which is no fault of an example.
    let doubts = report["doubts"].as_array().map(Vec::as_slice).unwrap_or_default();
    assert!(doubts.iter().all(|doubt| doubt["kind"] == "Saturated" || doubt["kind"] == "Skew"), "{doubts:?}");
    assert_eq!(report["verdict"], if doubts.is_empty() { "Passed" } else { "Inconclusive" }, "{}", report["reason"]);
    assert_eq!(report["criteria"].as_array().unwrap().len(), 5);
}

#[test]
fn the_soak_of_a_service_that_breaks_ends_itself_within_a_window() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("soak.yaml");
    let mut test = shortened();
    test["spec"]["scenarios"][0]["steps"] = json!([{"name": "home", "request": {"path": "/good-for/4000"}}]);
    std::fs::write(&file, test.to_string()).unwrap();
    let arguments = ["run", file.to_str().unwrap(), "--demo-target", "--quiet", "--output", "json"];
    let output = common::proofload(&arguments).output().unwrap();
    let report = common::report(&output);
    assert_eq!((common::code(&output), &report["verdict"]), (99, &json!("Failed")), "{}", report["reason"]);
    assert!(report["reason"].as_str().unwrap().contains("rate(errors) < 1% did not hold over"), "{}", report["reason"]);
    // The service is good for 4 of 20 s. A window is half a second; the rest is what a busy machine may take.
    let duration = report["duration"].as_u64().unwrap();
    assert!((4_000_000..15_000_000).contains(&duration), "{duration}");
}

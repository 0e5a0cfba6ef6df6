//! What the API server and the operator refuse, and that nothing is created for it.

use anyhow::Result;
use proofload_api::Verdict;
use proofload_e2e::{Run, Site, load_test};
use serde_json::{Value, json};

/// A good test with one value replaced.
fn with(site: &Site, pointer: &str, value: Value) -> Value {
    let mut test = load_test(site, "bad", 1, 1, 1);
    *test.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer} is in the good test")) = value;
    test
}

#[tokio::test]
async fn admit_refuses_on_apply_what_the_schema_can_know() -> Result<()> {
    let site = Site::without_target("admit-schema").await?;
    let step = json!({"name": "get", "request": {"path": "/"}});
    let cases = [
        (with(&site, "/spec/target/baseUrl", json!("ftp://nowhere")), "spec.target.baseUrl"),
        (with(&site, "/spec/scenarios/0/users/stages/0/to", json!(-5)), "spec.scenarios[0].users.stages[0].to"),
        (with(&site, "/spec/scenarios/0/users/stages/0/hold", json!("soon")), "spec.scenarios[0].users.stages[0].hold"),
        (with(&site, "/spec/scenarios/0/users", json!({"stages": []})), "spec.scenarios[0].users.stages"),
        (with(&site, "/spec/scenarios/0/steps", json!([])), "spec.scenarios[0].steps"),
        (with(&site, "/spec/runners/count", json!(0)), "spec.runners.count"),
        (with(&site, "/metadata/name", json!("a-name-that-is-much-longer-than-a-host-name-can-be-x")), "at most 50"),
        (with(&site, "/spec/target", json!({"baseUrl": "http://x", "timeot": "1s"})), "spec.target.timeot"),
        (
            with(&site, "/spec/scenarios/0/users", json!({"stages": [{"to": 1, "over": "1s", "hold": "1s"}]})),
            "exactly one time",
        ),
        (with(&site, "/spec/scenarios", json!([{"name": "a", "steps": [step]}])), "exactly one load model"),
    ];
    for (test, expected) in cases {
        let refusal = site.create(&test).await.expect_err(&format!("{expected} is refused")).to_string();
        assert!(refusal.contains(expected), "{expected} is not in: {refusal}");
    }
    let huge = with(&site, "/spec/scenarios/0/steps/0/request", json!({"path": "/", "json": "x".repeat(2 << 20)}));
    let refusal = site.create(&huge).await.expect_err("2 MiB are refused").to_string();
    assert!(refusal.contains("too large") || refusal.contains("larger than max"), "{refusal}");
    assert_eq!(site.made().await?, Vec::<String>::new());
    site.close().await
}

#[tokio::test]
async fn admit_says_every_problem_at_once_and_creates_nothing() -> Result<()> {
    let site = Site::without_target("admit-compile").await?;
    let mut test = load_test(&site, "bad", 1, 0, 1);
    let steps = json!([{"name": "get", "request": {"path": "/"}}, {"name": "get", "request": {"path": "/two words"}}]);
    test["spec"]["scenarios"][0]["steps"] = steps;
    test["spec"]["scenarios"][0]["steps"][1]["request"]["path"] = json!("/{{id}}");
    test["spec"]["scenarios"][0]["users"]["stages"] = json!([{"to": 5, "over": "0s"}]);
    test["spec"]["target"]["baseUrl"] = json!("http://:99999999");
    test["spec"]["criteria"] = json!([{"expr": "p95(latency) < 1"}, {"expr": "rate(errors) < 1%", "of": "mian"}]);
    let run = Run::create(&site, &test).await?;
    let status = run.ends_as(Verdict::Error, 30).await?;
    for expected in [
        "spec.target.baseUrl",
        "spec.scenarios[0].users.stages[0].over: expected a time longer than 0s",
        "spec.scenarios[0].steps[1].name: expected a name that no other step has",
        "spec.scenarios[0].steps[1].request.path: expected something that templates know here, got {{id}}",
        "spec.criteria[0].expr: expected a time such as 500ms",
        "spec.criteria[1].of: expected a scenario, scenario/step or scenario/group of this test",
        "got \"mian\" (did you mean main?)",
    ] {
        assert!(status.message.contains(expected), "{expected} is not in: {}", status.message);
    }
    let finished = status.conditions.iter().find(|condition| condition.type_ == "Finished").expect("it is finished");
    assert_eq!((finished.status.as_str(), finished.reason.as_str()), ("True", "Invalid"));
    assert_eq!(site.made().await?, Vec::<String>::new());
    let events = proofload_e2e::until("the event", 10, || async {
        let events = site.events("bad").await?;
        Ok(if events.is_empty() { Err("there is none".to_owned()) } else { Ok(events) })
    });
    assert_eq!(events.await?[0].0, "Invalid");
    site.close().await
}

#[tokio::test]
async fn admit_refuses_to_change_a_spec_but_for_suspend() -> Result<()> {
    let site = Site::without_target("admit-change").await?;
    let mut test = load_test(&site, "fixed", 1, 1, 1);
    test["spec"]["suspend"] = json!(true);
    site.create(&test).await?;
    let mut changed = test.clone();
    changed["spec"]["scenarios"][0]["users"]["stages"][0]["to"] = json!(2);
    let refusal = site.create(&changed).await.expect_err("a change is refused").to_string();
    assert!(refusal.contains("a LoadTest is one run"), "{refusal}");
    assert_eq!(site.made().await?, Vec::<String>::new());
    site.close().await
}

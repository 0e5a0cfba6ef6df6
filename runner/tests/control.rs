//! The control API of the real binary, over real sockets, against a target that counts.
#![allow(clippy::unwrap_used)] // in helpers of tests too

mod common;
mod metrics;

use std::io::Write;
use std::net::TcpStream;

use common::{RUN, Runner, key, long, plan, requests, token, until};
use proofload_api::Micros;
use proofload_conductor::control::{self, LevelRequest};
use proofload_plan::{Level, PLAN_VERSION};
use proofload_results::{EndCause, LevelRecord, RunnerState, Snapshot};
use proofload_target::TestTarget;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

#[tokio::test]
async fn only_the_holder_of_the_key_steers_and_only_its_own_run() {
    let target = TestTarget::start().unwrap();
    let runner = Runner::start(&plan(&target.url(), &long()));
    let calls = [
        (Method::GET, control::SNAPSHOT),
        (Method::POST, control::BEGIN),
        (Method::POST, control::LEVEL),
        (Method::POST, control::STOP),
        (Method::POST, control::ACKNOWLEDGE),
    ];
    let refused = [
        (None, "no bearer token"),
        (Some("garbage".to_owned()), "InvalidToken"),
        (Some(token(&key(1), "shop/another", 60)), "InvalidAudience"),
        (Some(token(&key(1), RUN, -120)), "ExpiredSignature"),
        (Some(token(&key(2), RUN, 60)), "InvalidSignature"),
    ];
    for (method, path) in calls {
        for (token, why) in &refused {
            let response = runner.request(method.clone(), path, token.as_deref(), None).await;
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{path} with {token:?}");
            let text = response.text().await.unwrap();
            assert!(text.starts_with("expected a token of this run's operator: ") && text.contains(why), "{text}");
        }
    }
    assert_eq!(runner.snapshot().await.state, RunnerState::Waiting);
    for open in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(runner.request(Method::GET, open, None, None).await.status(), StatusCode::OK, "{open}");
    }
}

#[tokio::test]
async fn a_run_goes_from_begin_to_acknowledged_and_counts_what_the_target_counts() {
    let target = TestTarget::start().unwrap();
    let mut runner = Runner::start(&plan(&target.url(), &("iterations", json!({"users": 4, "perUser": 50}))));
    assert_eq!(runner.acknowledge().await, StatusCode::CONFLICT);
    // Told again, as by an operator that was restarted, it does not begin again.
    for _ in 0..3 {
        let (status, clock) = runner.begin(&[0], 20_000).await;
        assert_eq!(status, StatusCode::OK);
        serde_json::from_str::<control::ClockResponse>(&clock).unwrap();
    }
    let last = runner.ended().await;
    assert_eq!(last.state, RunnerState::Ended(EndCause::Completed));
    assert_eq!((requests(&last), target.counts().requests), (200, 200));
    assert_eq!(runner.begin(&[0], 0).await.0, StatusCode::OK);
    assert_eq!(requests(&runner.snapshot().await), 200);
    assert_eq!(runner.acknowledge().await, StatusCode::NO_CONTENT);
    let (status, log) = runner.exits().await;
    assert!(status.success() && log.contains("the final snapshot was acknowledged"), "{status}\n{log}");
    assert_eq!(target.counts().requests, 200);
}

#[tokio::test]
async fn load_that_is_stopped_ends_and_is_acknowledged_only_then() {
    let target = TestTarget::start().unwrap();
    let mut runner = Runner::start(&plan(&target.url(), &long()));
    runner.begin(&[0], 0).await;
    until("some load", async || Some(()).filter(|()| target.counts().requests > 100).ok_or("little".to_owned())).await;
    assert_eq!(runner.acknowledge().await, StatusCode::CONFLICT);
    assert_eq!(runner.snapshot().await.state, RunnerState::Running);
    assert_eq!(runner.stop("enough").await.0, StatusCode::OK);
    assert_eq!(runner.stop("told again").await.0, StatusCode::OK);
    let last = runner.ended().await;
    assert_eq!(last.state, RunnerState::Ended(EndCause::Stopped));
    // A conductor that comes later finds out why.
    assert_eq!(last.stop.as_ref().map(|note| &note.reason[..]), Some("enough"));
    assert_eq!(requests(&last), target.counts().requests);
    assert_eq!(runner.acknowledge().await, StatusCode::NO_CONTENT);
    assert!(runner.exits().await.0.success());
}

#[tokio::test]
async fn a_begin_that_makes_no_sense_is_refused() {
    let target = TestTarget::start().unwrap();
    let runner = Runner::start(&plan(&target.url(), &long()));
    let (status, text) = runner.begin(&[0, 1], 0).await;
    assert_eq!(
        (status, text.trim()),
        (StatusCode::UNPROCESSABLE_ENTITY, "expected the index of one of 1 scenarios, got 1")
    );
    let (status, text) = runner.begin(&[0], 61_000_000).await;
    assert_eq!((status, text.trim()), (StatusCode::UNPROCESSABLE_ENTITY, "expected a begin within 60s, got 61s"));
    assert_eq!(runner.snapshot().await.state, RunnerState::Waiting);
}

#[tokio::test]
async fn a_runner_that_is_told_to_end_ends_its_load_and_keeps_its_figures() {
    let target = TestTarget::start().unwrap();
    let mut runner = Runner::start(&plan(&target.url(), &long()));
    runner.begin(&[0], 0).await;
    until("some load", async || Some(()).filter(|()| target.counts().requests > 100).ok_or("little".to_owned())).await;
    let told = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_micros();
    runner.terminate();
    let last = runner.ended().await;
    assert_eq!(last.state, RunnerState::Ended(EndCause::Terminated));
    let counted = target.counts();
    let last_request = u128::from(counted.last_request_unix_micros.unwrap());
    assert!(last_request < told + 1_000_000, "load went on for {} us", last_request - told);
    assert_eq!((requests(&last), counted.in_flight.now), (counted.requests, 0));
    assert_eq!(requests(&runner.snapshot().await), requests(&last));
    assert_eq!(runner.acknowledge().await, StatusCode::NO_CONTENT);
    assert!(runner.exits().await.0.success());
    assert_eq!(target.counts().requests, counted.requests);
}

#[tokio::test]
async fn a_runner_that_nobody_asks_ends_its_load_by_itself() {
    let target = TestTarget::start().unwrap();
    let mut plan = plan(&target.url(), &long());
    plan.heartbeat_timeout = Micros::from_secs(1);
    let runner = Runner::start(&plan);
    runner.begin(&[0], 0).await;
    until("some load", async || Some(()).filter(|()| target.counts().requests > 100).ok_or("little".to_owned())).await;
    // Prometheus is not a conductor: what it asks for is no sign of life.
    until("the load to end", async || {
        let metrics = runner.metrics().await;
        let idle = "proofload_users{namespace=\"shop\",loadtest=\"checkout\",scenario=\"main\"} 0\n";
        if metrics.contains(idle) { Ok(()) } else { Err(metrics) }
    })
    .await;
    let last = runner.ended().await;
    assert_eq!(last.state, RunnerState::Ended(EndCause::Abandoned));
    assert_eq!(requests(&last), target.counts().requests);
}

#[tokio::test]
async fn a_plan_of_another_release_is_refused_with_what_to_do() {
    let mut plan = serde_json::to_value(plan("http://127.0.0.1:9", &long())).unwrap();
    plan["version"] = json!(9);
    let (status, log) = Runner::launch(&plan).exits().await;
    assert_eq!(status.code(), Some(1));
    assert!(
        log.contains(&format!("expected a plan of version {PLAN_VERSION}, got version 9"))
            && log.contains("use the runner image"),
        "{log}"
    );
    let (status, log) = Runner::launch(&json!({"version": PLAN_VERSION})).exits().await;
    assert_eq!(status.code(), Some(1));
    assert!(log.contains("is not a plan"), "{log}");
}

#[tokio::test]
async fn a_runner_that_cannot_do_its_work_says_why_where_the_kubelet_looks() {
    let mut runner = Runner::launch(&json!({"version": 2}));
    let (status, _) = runner.exits().await;
    assert_eq!(status.code(), Some(1));
    assert!(runner.last_words().contains("is not a plan"), "{}", runner.last_words());
}

#[tokio::test]
async fn a_snapshot_comes_without_figures_to_whoever_wants_none() {
    let target = TestTarget::start().unwrap();
    let runner = Runner::start(&plan(&target.url(), &("iterations", json!({"users": 1, "perUser": 3}))));
    runner.begin(&[0], 0).await;
    let whole = runner.ended().await;
    let response = runner.request(Method::GET, control::SNAPSHOT_WITHOUT_FIGURES, Some(&runner.token), None).await;
    let light = Snapshot::decode(&response.bytes().await.unwrap()).unwrap();
    assert_eq!((whole.scenarios[0].iterations, &light.scenarios), (3, &whole.scenarios));
    assert_eq!((light.state, light.cells.len(), light.timeline.len()), (whole.state, 0, 0));
    assert!(light.sequence > whole.sequence && !whole.cells.is_empty());
}

/// A directory as the kubelet mounts it, with a data set, and a test that uses it and a variable.
fn with_materials(target: &str, rows: &str) -> (TempDir, Value) {
    let directory = TempDir::new().unwrap();
    std::fs::create_dir(directory.path().join("data")).unwrap();
    std::fs::write(directory.path().join("data/accounts"), rows).unwrap();
    let spec = json!({
        "target": {"baseUrl": target},
        "env": [{"name": "CANARY", "valueFrom": {"secretKeyRef": {"name": "logins", "key": "token"}}}],
        "data": {"accounts": {"secret": {"name": "logins", "key": "users.csv"}, "pick": "Unique"}},
        "scenarios": [{
            "name": "main", "iterations": {"users": 1, "perUser": 2},
            "steps": [{"name": "get", "request": {"path": "/status/500?user={{accounts.user}}&env={{env.CANARY}}"}}],
        }],
    });
    let plan = proofload_plan::compile(&serde_json::from_value(spec).unwrap(), RUN).unwrap().plan;
    (directory, serde_json::to_value(plan).unwrap())
}

#[tokio::test]
async fn secrets_reach_the_target_and_no_log_no_metric_and_no_plan() {
    let target = TestTarget::start().unwrap();
    let (directory, plan) = with_materials(&target.url(), "user,password\ncanary-1,x\ncanary-2,x\n");
    assert!(!plan.to_string().contains("canary-"));
    let mut runner = Runner::launch_in(directory, &plan, &[("CANARY", "canary-env")]).answering();
    runner.begin(&[0], 0).await;
    let last = runner.ended().await;
    let sent = target.counts().by_query;
    assert_eq!(sent["user"].keys().collect::<Vec<_>>(), ["canary-1", "canary-2"]);
    assert_eq!(sent["env"]["canary-env"], 2);
    assert_eq!((requests(&last), last.errors.len()), (2, 1));
    assert!(!format!("{last:?}").contains("canary-"), "{last:?}");
    assert!(!runner.metrics().await.contains("canary-"));
    assert_eq!(runner.acknowledge().await, StatusCode::NO_CONTENT);
    let (_, log) = runner.exits().await;
    assert!(!log.contains("canary-"), "{log}");
}

#[tokio::test]
async fn data_that_is_wrong_is_said_where_the_kubelet_looks_a_line_for_each_problem() {
    let (directory, plan) = with_materials("http://127.0.0.1:9", "user,password\ncanary-1,x\ncanary-2\n");
    let mut runner = Runner::launch_in(directory, &plan, &[]);
    let (status, log) = runner.exits().await;
    let words = runner.last_words();
    assert_eq!((status.code(), words.lines().count()), (Some(1), 2), "{words}");
    assert!(words.contains("spec.data.accounts: expected 2 values") && words.contains("on line 3"), "{words}");
    assert!(words.lines().any(|line| line.contains("CANARY") && line.contains("Secret logins")), "{words}");
    assert!(log.contains("on line 3") && !log.contains("canary-") && !words.contains("canary-"), "{log}");
}

#[tokio::test]
async fn levels_of_a_scenario_that_there_is_not_are_refused() {
    let target = TestTarget::start().unwrap();
    let runner = Runner::start(&plan(&target.url(), &long()));
    let record = LevelRecord { level: Level::Users(8), from: 0, before: None };
    let (status, text) = runner.take_levels(&LevelRequest { scenario: 1, levels: vec![record] }).await;
    assert_eq!(
        (status, text.trim()),
        (StatusCode::UNPROCESSABLE_ENTITY, "expected the index of one of 1 scenarios, got 1")
    );
}

#[tokio::test]
async fn what_setup_extracted_is_known_to_the_conductor_and_never_logged() {
    const CANARY: &str = "canary-3f9a";
    let target = TestTarget::start().unwrap();
    let mut runner = Runner::start(&plan(&target.url(), &("iterations", json!({"users": 1, "perUser": 1}))));
    let variables = [(0, CANARY.to_owned())];
    assert_eq!(runner.begin_with(&[0], 0, &variables).await.0, StatusCode::OK);
    assert_eq!(runner.ended().await.variables, variables);
    assert!(!runner.metrics().await.contains(CANARY));
    assert_eq!(runner.acknowledge().await, StatusCode::NO_CONTENT);
    let (_, log) = runner.exits().await;
    assert!(log.contains("\"variables\":1") && !log.contains(CANARY), "{log}");
}

#[tokio::test]
async fn a_connection_that_says_nothing_does_not_keep_an_acknowledged_runner() {
    let target = TestTarget::start().unwrap();
    let mut runner = Runner::start(&plan(&target.url(), &("iterations", json!({"users": 1, "perUser": 1}))));
    let mut mute = TcpStream::connect(&runner.address).unwrap();
    mute.write_all(b"GET /metrics HTTP/1.1\r\nHost: ").unwrap();
    runner.begin(&[0], 0).await;
    runner.ended().await;
    assert_eq!(runner.acknowledge().await, StatusCode::NO_CONTENT);
    assert!(runner.exits().await.0.success());
}

#[tokio::test]
async fn a_runner_that_is_scraped_stays_until_its_final_figures_were_scraped() {
    let target = TestTarget::start().unwrap();
    let mut runner = Runner::start(&plan(&target.url(), &("iterations", json!({"users": 2, "perUser": 30}))));
    runner.metrics().await;
    runner.begin(&[0], 0).await;
    runner.ended().await;
    assert_eq!(runner.acknowledge().await, StatusCode::NO_CONTENT);
    // An operator that was restarted acknowledges again: it is answered, since the runner is still there.
    assert_eq!(runner.acknowledge().await, StatusCode::NO_CONTENT);
    assert!(runner.metrics().await.contains(" 60\n"));
    let (status, log) = runner.exits().await;
    assert!(status.success() && log.contains("nobody needs this runner any more"), "{status}\n{log}");
}

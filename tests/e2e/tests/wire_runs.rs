//! What is spoken to the target, on a real cluster: TLS with certificates from a Secret, HTTP/2, web sockets.

use anyhow::Result;
use proofload_api::Verdict;
use proofload_api::status::CriterionOutcome;
use proofload_e2e::{Run, Site, load_test};
use serde_json::{Value, json};

/// A test of the secure target by two runners, with this protocol and these shared connections.
fn test_of(site: &Site, name: &str, protocol: &str, tls: &Value, scenario: &Value, criteria: &Value) -> Value {
    let mut test = load_test(site, name, 2, 1, 1);
    let file = |key: &str| json!({"secret": {"name": "tls", "key": key}});
    test["spec"]["files"] = json!({"ca": file("ca.pem"), "us": file("client.pem"), "key": file("client.key")});
    test["spec"]["target"] = json!({
        "baseUrl": site.secure_url(), "protocol": protocol, "timeout": "5s", "tls": tls,
        "connections": {"shared": 4, "streams": 10},
    });
    test["spec"]["scenarios"] = json!([scenario]);
    test["spec"]["criteria"] = criteria.clone();
    test
}

fn identity() -> Value {
    json!({"ca": "ca", "certificate": "us", "key": "key", "serverName": Site::TLS_NAME})
}

#[tokio::test]
async fn e2e_http2_over_tls_with_a_certificate_of_our_own_counts_what_the_target_counts() -> Result<()> {
    let site = Site::secure("http2").await?;
    let scenario = json!({
        "name": "orders", "iterations": {"users": 40, "perUser": 50},
        "steps": [{"name": "order", "request": {"method": "POST", "path": "/delay/20", "json": {"id": "{{uuid}}"}}}],
    });
    let criteria = json!([{"expr": "count(errors) == 0"}, {"expr": "count(requests) == 2000"}]);
    let run = Run::create(&site, &test_of(&site, "streams", "Http2", &identity(), &scenario, &criteria)).await?;
    run.ends_as(Verdict::Passed, 90).await?;
    let counts = site.counts().await?;
    assert_eq!((counts.requests, run.report().await?.summary.requests), (2000, 2000));
    let connections = &counts.connections;
    assert!((1..=4).contains(&connections.http2), "four connections at most: {connections:?}");
    assert!((2..=10).contains(&connections.max_streams), "up to ten requests at once: {connections:?}");
    assert_eq!(counts.tls.client_certificates, connections.http2, "{:?}", counts.tls);
    site.close().await
}

#[tokio::test]
async fn e2e_a_target_that_cannot_be_trusted_gets_no_request() -> Result<()> {
    let site = Site::secure("untrusted").await?;
    let scenario = json!({
        "name": "orders", "iterations": {"users": 4, "perUser": 5},
        "steps": [{"name": "order", "request": {"path": "/fast"}}],
    });
    let criteria = json!([{"expr": "count(outcome(tls)) == 0"}]);
    let mut tls = identity();
    tls["serverName"] = json!("another.test");
    let run = Run::create(&site, &test_of(&site, "name", "Auto", &tls, &scenario, &criteria)).await?;
    run.ends_as(Verdict::Failed, 90).await?;
    let (counts, report) = (site.counts().await?, run.report().await?);
    assert_eq!((counts.requests, report.summary.outcomes["tls"]), (0, 20));
    let said = |error: &str| report.errors.iter().any(|known| known.message.contains(error));
    assert!(said("not valid for name"), "{:?}", report.errors);
    site.close().await
}

#[tokio::test]
async fn e2e_web_sockets_over_tls_stay_open_and_count_each_message() -> Result<()> {
    let site = Site::secure("sockets").await?;
    let scenario = json!({
        "name": "chat", "iterations": {"users": 20, "perUser": 10},
        "onStart": [{"name": "open", "webSocket": {"connect": {"path": "/ws"}}}],
        "steps": [
            {"name": "ask", "webSocket": {"send": "{{uuid}} hello", "until": "hello"}},
            {"name": "alive", "webSocket": {"ping": {}}},
        ],
        "onStop": [{"name": "leave", "webSocket": {"close": {}}}],
    });
    let criteria = json!([{"expr": "count(errors) == 0"}, {"expr": "count(requests) == 200", "of": "chat/ask"}]);
    let run = Run::create(&site, &test_of(&site, "chat", "Auto", &identity(), &scenario, &criteria)).await?;
    run.ends_as(Verdict::Passed, 90).await?;
    let sockets = site.counts().await?.web_sockets;
    assert_eq!((sockets.opened, sockets.messages_in, sockets.pings), (20, 200, 200), "{sockets:?}");
    let status = run.status().await?;
    assert!(status.criteria.iter().all(|criterion| criterion.outcome == CriterionOutcome::Pass), "{status:?}");
    site.close().await
}

//! How Prometheus is asked, against servers that answer as it may: late, in another way, with too much.
#![allow(clippy::unwrap_used)] // A test may panic.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Bytes;
use axum::http::{Method, StatusCode, Uri};
use axum::routing::any;
use proofload_engine::Materials;
use proofload_plan::Plan;
use proofload_results::ServerAnswer;
use proofload_server_metrics::Asker;
use serde_json::json;

/// Serves what a function of the method, the form and the number of the question says.
async fn serve(answer: impl Fn(&Method, &str, u32) -> (u16, String) + Clone + Send + Sync + 'static) -> String {
    let asked = Arc::new(AtomicU32::new(0));
    let handler = move |method: Method, uri: Uri, body: Bytes| {
        let (asked, answer) = (asked.fetch_add(1, Ordering::Relaxed), answer.clone());
        async move {
            let form = uri.query().map_or_else(|| String::from_utf8_lossy(&body).into_owned(), str::to_owned);
            let (status, body) = answer(&method, &form, asked);
            (StatusCode::from_u16(status).unwrap(), body)
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/prefix", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, Router::new().route("/prefix/api/v1/{*rest}", any(handler))).into_future());
    url
}

fn plan(url: &str, wait: &str) -> Plan {
    let spec = json!({
        "target": {"baseUrl": "http://t"},
        "scenarios": [{"name": "main", "users": {"stages": [{"to": 1, "hold": "10s"}]},
                       "steps": [{"name": "get", "request": {"path": "/"}}]}],
        "serverMetrics": {"memory": {"query": "sum(a{b=\"c d\"})"}},
        "prometheus": {"url": url, "wait": wait},
    });
    proofload_plan::compile(&serde_json::from_value(spec).unwrap(), "x/y").unwrap().plan
}

/// What comes of asking about the ten seconds that are over just now.
async fn ask(url: &str, wait: &str) -> ServerAnswer {
    let asker = Asker::new(&plan(url, wait), &Materials::default()).unwrap().unwrap();
    let began = SystemTime::now() - Duration::from_secs(10);
    let mut answers = asker.ask(began, (0, 10_000_000)).await;
    assert_eq!(answers.len(), 1);
    answers.remove(0)
}

fn field<'a>(form: &'a str, name: &str) -> &'a str {
    form.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default()
}

/// A series with a value each second, up to so many seconds before the end of what is asked about.
fn series(form: &str, before_end: u32) -> String {
    let start: f64 = field(form, "start").parse().unwrap();
    let values: Vec<_> = (0..=10 - before_end).map(|at| json!([start + f64::from(at), at.to_string()])).collect();
    json!({"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {}, "values": values}]}})
        .to_string()
}

#[tokio::test]
async fn values_are_those_of_the_run_in_its_own_time() {
    let url = serve(|method, form, _| {
        assert_eq!(
            (method, field(form, "query"), field(form, "step")),
            (&Method::POST, "sum%28a%7Bb%3D%22c+d%22%7D%29", "1")
        );
        (200, series(form, 0))
    });
    let answer = ask(&url.await, "30s").await;
    let expected: Vec<(u64, f64)> = (0..=10).map(|at| (at * 1_000_000, at as f64)).collect();
    // Prometheus is asked in milliseconds.
    let near = |(one, other): (&(u64, f64), &(u64, f64))| {
        one.0.abs_diff(other.0) <= 1_000 && one.1.to_bits() == other.1.to_bits()
    };
    assert!(answer.samples.len() == 11 && answer.samples.iter().zip(&expected).all(near), "{answer:?}");
    assert_eq!(answer.error, None);
}

#[tokio::test]
async fn values_that_come_late_are_awaited_and_what_there_is_counts_in_the_end() {
    let late = serve(|_, form, asked| match asked {
        0 => (503, "busy".to_owned()),
        1 => (200, series(form, 8)),
        _ => (200, series(form, 0)),
    });
    assert_eq!(ask(&late.await, "30s").await.samples.len(), 11);
    let never = serve(|_, form, _| (200, series(form, 8)));
    let answer = ask(&never.await, "1s").await;
    assert_eq!((answer.samples.len(), answer.error), (3, None));
    let nothing =
        serve(|_, _, _| (200, r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#.to_owned()));
    assert_eq!(ask(&nothing.await, "0s").await.samples, []);
}

#[tokio::test]
async fn where_post_is_not_allowed_get_is_tried() {
    let url =
        serve(|method, form, _| if method == Method::GET { (200, series(form, 0)) } else { (405, String::new()) });
    assert_eq!(ask(&url.await, "0s").await.samples.len(), 11);
}

#[tokio::test]
async fn an_answer_that_is_too_long_or_of_no_use_is_an_error_at_once() {
    let long = serve(|_, _, _| (200, "x".repeat(2 << 20)));
    let error = ask(&long.await, "60s").await.error.unwrap();
    assert!(error.contains("at most 1 MiB"), "{error}");
    let elsewhere = serve(|_, _, _| (302, String::new()));
    let error = ask(&elsewhere.await, "60s").await.error.unwrap();
    assert!(error.contains("status 302"), "{error}");
}

#[tokio::test]
async fn only_what_prometheus_cannot_read_is_a_problem_before_the_run() {
    let problems = async |status: u16, body: &'static str| {
        let url = serve(move |_, _, _| (status, body.to_owned())).await;
        Asker::new(&plan(&url, "1s"), &Materials::default()).unwrap().unwrap().check().await
    };
    let bad = problems(400, r#"{"status":"error","errorType":"bad_data","error":"1:5: parse error"}"#).await;
    assert_eq!(bad.len(), 1);
    let said = bad[0].to_string();
    assert!(said.starts_with("spec.serverMetrics.memory.query: ") && said.contains("1:5: parse error"), "{said}");
    assert_eq!(problems(503, "busy").await, []);
    assert_eq!(problems(400, "no").await, []);
}

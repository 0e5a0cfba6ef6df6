//! The control API and the endpoints for Kubernetes and Prometheus.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use proofload_conductor::control::{self, BeginRequest, ClockResponse, LevelRequest, ServerRequest};
use proofload_metrics::Format;
use proofload_results::{EndCause, StopNote};
use serde::Deserialize;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use crate::auth::{Verifier, require_token};
use crate::life::Life;
use crate::{metrics, scrapes};

/// A message of the control API is a few numbers, but for a begin, which carries what setup extracted.
const MAX_MESSAGE: usize = 8 << 20;
/// A begin is seconds ahead at most; a longer one is a mistake.
const MAX_DELAY: Duration = Duration::from_mins(1);

/// How long answers under way may take once the process may end: a connection on which nothing comes must not keep it.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// Answers until the final snapshot is acknowledged and scraped, or until the process was told to end and the grace
/// period is over.
pub(crate) async fn serve(
    life: Arc<Life>,
    verifier: Verifier,
    listen: SocketAddr,
    grace: Duration,
) -> anyhow::Result<ExitCode> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let listener = tokio::net::TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    info!(address = %listener.local_addr()?, "answering");
    let router = router(Arc::clone(&life), verifier);
    let told_to_end = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let (leaving, is_leaving) = tokio::sync::oneshot::channel();
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let server = axum::serve(listener, service).with_graceful_shutdown(async move {
        stay(life, grace, told_to_end).await;
        // Whoever would hear of it has ended only if the server has, too.
        let _ = leaving.send(());
    });
    let mut server = std::pin::pin!(server.into_future());
    tokio::select! {
        result = &mut server => result.context("the control API failed")?,
        _ = is_leaving => {
            let last_answers = tokio::time::timeout(LAST_ANSWERS, &mut server).await;
            last_answers.unwrap_or(Ok(())).context("the control API failed")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns when the process may end.
async fn stay(life: Arc<Life>, grace: Duration, told_to_end: impl Future<Output = ()>) {
    let watches = async {
        tokio::join!(life.watch_heartbeat(), life.watch_health());
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = life.fulfilled() => info!("nobody needs this runner any more"),
        () = told_to_end => life.terminate(grace).await,
        () = watches => {}
    }
}

fn router(life: Arc<Life>, verifier: Verifier) -> Router {
    let control = Router::new()
        .route(control::SNAPSHOT, get(snapshot))
        .route(control::BEGIN, post(begin))
        .route(control::LEVEL, post(level))
        .route(control::STOP, post(stop))
        .route(control::SERVER, post(server_metrics))
        .route(control::ACKNOWLEDGE, post(acknowledge))
        .route_layer(from_fn_with_state(verifier, require_token));
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(async || "ok\n"))
        .route("/metrics", get(scrape).layer(from_fn_with_state(Arc::clone(&life), scrapes::remember)))
        .merge(control)
        .layer(DefaultBodyLimit::max(MAX_MESSAGE))
        .with_state(life)
}

/// What is asked for of a snapshot.
#[derive(Deserialize)]
struct Wanted {
    /// Whether cells, timeline and errors are: with them it may be megabytes.
    #[serde(default = "Wanted::all")]
    figures: bool,
}

impl Wanted {
    const fn all() -> bool {
        true
    }
}

async fn snapshot(State(life): State<Arc<Life>>, Query(wanted): Query<Wanted>) -> Response {
    life.touch();
    let mut snapshot = life.snapshot().await;
    if !wanted.figures {
        (snapshot.cells, snapshot.timeline, snapshot.errors) = Default::default();
    }
    let bytes = snapshot.encode();
    ([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response()
}

async fn begin(State(life): State<Arc<Life>>, Json(request): Json<BeginRequest>) -> Response {
    life.touch();
    let within = Duration::from_micros(request.in_micros);
    if let Some(refusal) = request.scenarios.iter().find_map(|scenario| unknown(&life, *scenario)) {
        return refuse(refusal);
    }
    if within > MAX_DELAY {
        return refuse(format!("expected a begin within {MAX_DELAY:?}, got {within:?}"));
    }
    life.begin(&request.scenarios, within, &request.variables);
    clock(&life).await
}

async fn level(State(life): State<Arc<Life>>, Json(request): Json<LevelRequest>) -> Response {
    life.touch();
    if let Some(refusal) = unknown(&life, request.scenario) {
        return refuse(refusal);
    }
    life.take_levels(request.scenario, &request.levels);
    clock(&life).await
}

async fn stop(State(life): State<Arc<Life>>, Json(note): Json<StopNote>) -> Response {
    life.touch();
    life.stop(EndCause::Stopped, Some(note));
    clock(&life).await
}

async fn server_metrics(State(life): State<Arc<Life>>, Json(request): Json<ServerRequest>) -> Response {
    life.touch();
    if request.to < request.from {
        return refuse("expected a time that ends after its begin".to_owned());
    }
    match life.ask_server((request.from, request.to)).await {
        Ok(response) => Json(response).into_response(),
        Err(refusal) => (StatusCode::CONFLICT, format!("{refusal}\n")).into_response(),
    }
}

async fn acknowledge(State(life): State<Arc<Life>>) -> Response {
    life.touch();
    if life.acknowledge() {
        return StatusCode::NO_CONTENT.into_response();
    }
    (StatusCode::CONFLICT, "expected the load to have ended: stop it first\n").into_response()
}

async fn clock(life: &Life) -> Response {
    Json(ClockResponse { clock: life.snapshot().await.clock }).into_response()
}

/// Why a scenario's index is refused, if it is.
fn unknown(life: &Life, scenario: usize) -> Option<String> {
    let known = life.plan().scenarios.len();
    (scenario >= known).then(|| format!("expected the index of one of {known} scenarios, got {scenario}"))
}

fn refuse(message: String) -> Response {
    (StatusCode::UNPROCESSABLE_ENTITY, message + "\n").into_response()
}

async fn scrape(State(life): State<Arc<Life>>, headers: HeaderMap) -> Response {
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let format = Format::accepted(&accept.collect::<Vec<_>>().join(","));
    let exposition = metrics::exposition(life.plan(), &life.snapshot().await);
    ([(header::CONTENT_TYPE, format.content_type())], format.write(&exposition)).into_response()
}

//! The endpoints for probes and Prometheus.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::context::Context;
use crate::metrics::CONTENT_TYPE;

/// Answers until the process ends.
pub(crate) async fn serve(listen: SocketAddr, context: Arc<Context>) -> anyhow::Result<()> {
    let router = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(context);
    let listener = tokio::net::TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    axum::serve(listener, router).await.context("the server of probes failed")
}

async fn ready(State(context): State<Arc<Context>>) -> Response {
    if context.is_ready() {
        return "ok\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, "the caches are not filled yet\n").into_response()
}

async fn metrics(State(context): State<Arc<Context>>) -> Response {
    match context.metrics.render() {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

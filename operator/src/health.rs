//! The endpoints for probes and Prometheus.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use proofload_metrics::Format;
use tokio::sync::watch;

use crate::context::Context;
use crate::lease::Standing;

/// Answers until the process ends.
pub(crate) async fn serve(
    listen: SocketAddr,
    context: Arc<Context>,
    standing: watch::Receiver<Standing>,
) -> anyhow::Result<()> {
    let router = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(async move |state| ready(state, &standing.borrow())))
        .route("/metrics", get(metrics))
        .with_state(context);
    let listener = tokio::net::TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    axum::serve(listener, router).await.context("the server of probes failed")
}

/// Who stands by is ready too: it has what it needs to act.
fn ready(State(context): State<Arc<Context>>, standing: &Standing) -> Response {
    let unavailable = |why: String| (StatusCode::SERVICE_UNAVAILABLE, why).into_response();
    match standing {
        _ if !context.is_ready() => unavailable("the caches are not filled yet\n".to_owned()),
        Standing::Unknown(why) => unavailable(format!("the Lease cannot be had: {why}\n")),
        Standing::Standby { holder } => format!("standby: {holder} leads\n").into_response(),
        Standing::Leader => "leads\n".into_response(),
    }
}

async fn metrics(State(context): State<Arc<Context>>, headers: HeaderMap) -> Response {
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let format = Format::accepted(&accept.collect::<Vec<_>>().join(","));
    ([(header::CONTENT_TYPE, format.content_type())], format.write(&context.metrics.exposition())).into_response()
}

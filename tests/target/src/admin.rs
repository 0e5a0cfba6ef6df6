//! One admin connection: the counts as JSON, clearing them, and the switch of how everything is answered.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::Shared;
use crate::body::answer;
use crate::gate::{Accept, Behaviour};
use crate::request::{Connection, Method};
use crate::wire::Wire;

/// Serves a connection until it ends.
pub(crate) async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let mut connection = Connection::new(Wire::plain(stream));
    while let Ok(Some(request)) = connection.next(|_| false).await {
        let close = !request.keep_alive;
        let (status, content_type, body) = match request.path.as_str() {
            "/stats" => (200, "application/json", serde_json::to_vec(&shared.ledger.counts()).unwrap_or_default()),
            "/clear" if request.method == Method::Post => {
                shared.clear();
                (204, "", Vec::new())
            }
            "/behave" if request.method == Method::Post => match behaviour(&request.query) {
                Some(behaviour) => {
                    shared.gate.behave(behaviour);
                    (204, "", Vec::new())
                }
                None => (400, "text/plain", b"expected ?status=CODE&delay=MS&accept=HOW, each optional\n".to_vec()),
            },
            "/metrics" => {
                let metrics = shared.leak.metrics(shared.ledger.counts().requests);
                (200, "text/plain; version=0.0.4", metrics.into_bytes())
            }
            "/leak" if request.method == Method::Post => match leak(&request.query) {
                Some(bytes) => {
                    shared.leak.keep(bytes);
                    (204, "", Vec::new())
                }
                None => (400, "text/plain", b"expected ?bytes=NUMBER\n".to_vec()),
            },
            "/clear" | "/behave" | "/leak" => (405, "text/plain", b"expected POST\n".to_vec()),
            "/healthz" => (200, "text/plain", b"ok\n".to_vec()),
            _ => (404, "text/plain", b"expected /stats, /metrics, /clear, /behave, /leak or /healthz\n".to_vec()),
        };
        let bytes = answer(status, content_type, &body, request.method == Method::Head, close);
        if connection.wire.write_all(&bytes).await.is_err() || close {
            return;
        }
    }
}

/// `bytes=65536`: what is kept for each request.
fn leak(query: &str) -> Option<u64> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs.find_map(|(name, value)| (name == "bytes").then(|| value.parse().ok())?)
}

/// `status=500&delay=20&accept=reset`: a status from 200 to 599, milliseconds, and what becomes of connections: `close`,
/// `reset`, `hang`; nothing is as the paths ask.
fn behaviour(query: &str) -> Option<Behaviour> {
    let mut behaviour = Behaviour::default();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "status" => behaviour.status = Some(value.parse().ok().filter(|status| (200..600).contains(status))?),
            "delay" => behaviour.delay = Duration::from_millis(value.parse().ok()?),
            "accept" => behaviour.accept = Accept::of(&value)?,
            _ => return None,
        }
    }
    Some(behaviour)
}

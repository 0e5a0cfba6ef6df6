//! One admin connection: the counts as JSON, and clearing them.

use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::body::answer;
use crate::counts::Ledger;
use crate::request::{Connection, Method};

/// Serves a connection until it ends.
pub(crate) async fn serve(stream: TcpStream, ledger: Arc<Ledger>) {
    let mut connection = Connection::new(stream);
    while let Ok(Some(request)) = connection.next().await {
        let close = !request.keep_alive;
        let (status, content_type, body) = match request.path.as_str() {
            "/stats" => (200, "application/json", serde_json::to_vec(&ledger.counts()).unwrap_or_default()),
            "/clear" if request.method == Method::Post => {
                ledger.clear();
                (204, "", Vec::new())
            }
            "/clear" => (405, "text/plain", b"expected POST\n".to_vec()),
            "/healthz" => (200, "text/plain", b"ok\n".to_vec()),
            _ => (404, "text/plain", b"expected /stats, /clear or /healthz\n".to_vec()),
        };
        let bytes = answer(status, content_type, &body, request.method == Method::Head, close);
        if connection.stream.write_all(&bytes).await.is_err() || close {
            return;
        }
    }
}

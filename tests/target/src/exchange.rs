//! One data connection: reads requests, counts them, and does what their paths ask for.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::action::Action;
use crate::body;
use crate::counts::Ledger;
use crate::request::{Connection, Method, Request};

/// Serves a connection until it ends.
pub(crate) async fn serve(stream: TcpStream, peer: SocketAddr, ledger: Arc<Ledger>) {
    let _open = ledger.open();
    let _ = stream.set_nodelay(true);
    let mut connection = Connection::new(stream);
    // An error ends this connection, which is all that it can do.
    while let Ok(Some(request)) = connection.next().await {
        let action = Action::of(&request.path, &ledger);
        let _in_flight = ledger.request(&request.path, &action.name(), peer.ip().to_canonical());
        let goes_on = act(action, &mut connection, &request).await;
        if !matches!(goes_on, Ok(true)) {
            return;
        }
    }
}

/// Does what was asked for; whether the connection goes on.
async fn act(action: Action, connection: &mut Connection, request: &Request) -> io::Result<bool> {
    let (is_head, close) = (request.method == Method::Head, !request.keep_alive);
    let stream = &mut connection.stream;
    let text = |status, close| body::answer(status, "text/plain", b"ok\n", is_head, close);
    match action {
        Action::Ok => stream.write_all(&text(200, close)).await?,
        Action::Json => {
            stream.write_all(&body::answer(200, "application/json", b"{\"ok\":true}\n", is_head, close)).await?;
        }
        Action::Delay(time) => {
            tokio::time::sleep_until(Instant::now() + time).await;
            stream.write_all(&text(200, close)).await?;
        }
        Action::Status(code) => stream.write_all(&text(code, close)).await?,
        Action::Bytes(size) => body::sized(stream, size, is_head).await?,
        Action::Chunked(size) => body::chunked(stream, size, is_head).await?,
        Action::SlowBody(time) => body::slow(stream, time, is_head).await?,
        Action::Close => return Ok(false),
        Action::CloseMidBody => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly a few").await?;
            return Ok(false);
        }
        Action::Reset => {
            // With no time to linger, closing sends RST.
            SockRef::from(&*stream).set_linger(Some(Duration::ZERO))?;
            return Ok(false);
        }
        Action::Hang => {
            connection.closed().await;
            return Ok(false);
        }
        Action::Garbage => {
            stream.write_all(b"\x16\x03\x01 this is not the protocol that you expect\r\n\r\n").await?;
            return Ok(false);
        }
        Action::KeepAliveOff => {
            stream.write_all(&text(200, true)).await?;
            return Ok(false);
        }
        Action::Http10 => {
            stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nok\n").await?;
            return Ok(false);
        }
    }
    Ok(!close)
}

//! One data connection: reads requests, counts them, and does what their paths ask for.

use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::Shared;
use crate::action::Action;
use crate::body;
use crate::gate::Gate;
use crate::request::{Connection, Method, Request};
use crate::service::{self, Answer};

/// Serves a connection until it ends.
pub(crate) async fn serve(stream: TcpStream, peer: SocketAddr, shared: Arc<Shared>) {
    let Shared { ledger, gate, service } = &*shared;
    let _open = ledger.open();
    let _ = stream.set_nodelay(true);
    let from = peer.ip().to_canonical();
    let mut connection = Connection::new(stream);
    // An error ends this connection, which is all that it can do.
    while let Ok(Some(request)) = connection.next(service::answers).await {
        let session = service.session(request.cookie.as_deref(), ledger);
        let behaviour = gate.behaviour();
        let goes_on = if request.full.is_some() && behaviour.status.is_none() {
            let answer = service.answer(&request, session, ledger).await;
            let _in_flight = ledger.request(&request.path, &request.query, &name(answer.status), from);
            pause(behaviour.delay).await;
            tell(&answer, &mut connection, &request).await
        } else {
            let action = match behaviour.status {
                Some(status) => Action::Status(status),
                None => Action::of(&request.path, ledger, gate),
            };
            let _in_flight = ledger.request(&request.path, &request.query, &action.name(), from);
            pause(behaviour.delay).await;
            act(action, &mut connection, &request, gate).await
        };
        if !matches!(goes_on, Ok(true)) {
            return;
        }
    }
}

async fn pause(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

/// The name under which an answer of the service is counted.
fn name(status: u16) -> Cow<'static, str> {
    if (200..300).contains(&status) { Cow::Borrowed("ok") } else { Action::Status(status).name() }
}

async fn tell(answer: &Answer, connection: &mut Connection, request: &Request) -> io::Result<bool> {
    let headers: Vec<(&str, &str)> = answer.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let (is_head, close) = (request.method == Method::Head, !request.keep_alive);
    let bytes = body::with_headers(answer.status, &headers, &answer.body, is_head, close);
    connection.stream.write_all(&bytes).await?;
    Ok(!close)
}

/// Does what was asked for; whether the connection goes on.
async fn act(action: Action, connection: &mut Connection, request: &Request, gate: &Gate) -> io::Result<bool> {
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
        Action::Serve(time) => {
            tokio::time::sleep_until(Instant::now() + time).await;
            // Before the answer: who has it may ask again at once, and finds the place free.
            gate.leave();
            stream.write_all(&text(200, close)).await?;
        }
        Action::Refuse(time) => {
            tokio::time::sleep_until(Instant::now() + time).await;
            stream.write_all(&text(503, close)).await?;
        }
        Action::Queue(places, time) => {
            let queue = gate.queue(places);
            let place = queue.acquire().await.map_err(io::Error::other)?;
            tokio::time::sleep_until(Instant::now() + time).await;
            drop(place);
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

//! One data connection that speaks HTTP/1.1: reads requests, counts them, and does what their paths ask for.

use std::io;
use std::net::IpAddr;

use tokio::io::AsyncWriteExt;

use crate::Shared;
use crate::action::Action;
use crate::body::{self, FILL};
use crate::cut::{Cut, Point};
use crate::decide::Reply;
use crate::gate::Gate;
use crate::profile;
use crate::request::{Connection, Method, Request};
use crate::service::{self, Answer};
use crate::web_socket;
use crate::wire::{Ending, Wire};

/// The body of an answer that is cut short.
const CUT_BODY: usize = 1000;

/// Serves a connection until it ends.
pub(crate) async fn serve(wire: Wire, from: IpAddr, shared: &Shared) {
    let mut connection = Connection::new(wire);
    // An error ends this connection, which is all that it can do.
    while let Ok(Some(request)) = connection.next(wants_all).await {
        if let Some(key) = web_socket::key(&request) {
            let in_flight = shared.ledger.request(&request.path, &request.query, "web-socket", from);
            return web_socket::serve(connection.into_wire(), &request, &key, in_flight, shared).await;
        }
        let (reply, in_flight) = shared.decide(&request, from).await;
        let goes_on = match reply {
            Reply::Answer(answer) => tell(&answer, &mut connection, &request).await,
            Reply::Act(Action::Cut(cut)) => Ok(Some(cut_short(cut, &mut connection.wire).await)),
            Reply::Act(Action::Reset | Action::RstStream(_)) => Ok(Some(Ending::Reset)),
            Reply::Act(action) => act(action, &mut connection, &request, &shared.gate).await,
        };
        match goes_on {
            Ok(None) => {}
            Ok(Some(ending)) => {
                drop(in_flight);
                return connection.into_wire().end(ending).await;
            }
            Err(_) => return,
        }
    }
    connection.into_wire().end(Ending::Close).await;
}

/// Whether all of a request to this path is needed.
fn wants_all(path: &str) -> bool {
    service::answers(path) || profile::answers(path) || path == web_socket::PATH
}

/// Where an answer said so, its connection ends.
fn after(goes_on: bool) -> Option<Ending> {
    (!goes_on).then_some(Ending::Close)
}

async fn tell(answer: &Answer, connection: &mut Connection, request: &Request) -> io::Result<Option<Ending>> {
    let headers: Vec<(&str, &str)> = answer.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let (is_head, close) = (request.method == Method::Head, !request.keep_alive);
    let bytes = body::with_headers(answer.status, &headers, &answer.body, is_head, close);
    connection.wire.write_all(&bytes).await?;
    Ok(after(!close))
}

/// Writes as much of an answer as it wants; how the connection ends.
async fn cut_short(cut: Cut, wire: &mut Wire) -> Ending {
    if let Point::Answer(most) = cut.point {
        let answer = body::answer(200, "text/plain", &FILL[..CUT_BODY], false, false);
        // Who does not listen any more misses nothing.
        let _ = wire.write_all(&answer[..most.min(answer.len())]).await;
    }
    if cut.is_reset { Ending::Reset } else { Ending::Close }
}

/// Does what was asked for; how the connection ends, if it does.
async fn act(
    action: Action,
    connection: &mut Connection,
    request: &Request,
    gate: &Gate,
) -> io::Result<Option<Ending>> {
    let (is_head, close) = (request.method == Method::Head, !request.keep_alive);
    let wire = &mut connection.wire;
    let text = |status, close| body::answer(status, "text/plain", b"ok\n", is_head, close);
    if let Some((status, content_type, body)) = action.plain(gate).await {
        wire.write_all(&body::answer(status, content_type, body, is_head, close)).await?;
        return Ok(after(!close));
    }
    match action {
        Action::Bytes(size) => body::sized(wire, size, is_head).await?,
        Action::Chunked(size) => body::chunked(wire, size, is_head).await?,
        Action::SlowBody(time) => body::slow(wire, time, is_head).await?,
        Action::CloseMidBody => {
            wire.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly a few").await?;
            return Ok(Some(Ending::Close));
        }
        Action::Hang => {
            connection.closed().await;
            return Ok(Some(Ending::Close));
        }
        Action::Fault(fault) => return Ok(after(fault.commit(wire, is_head, close).await?)),
        Action::KeepAliveOff => {
            wire.write_all(&text(200, true)).await?;
            return Ok(Some(Ending::Close));
        }
        Action::Http10 => {
            wire.write_all(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nok\n").await?;
            return Ok(Some(Ending::Close));
        }
        _ => return Ok(Some(Ending::Close)),
    }
    Ok(after(!close))
}

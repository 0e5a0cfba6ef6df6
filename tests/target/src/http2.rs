//! One data connection that speaks HTTP/2: reads requests, counts them, and does what their paths ask for.

use std::future::poll_fn;
use std::net::IpAddr;

use bytes::Bytes;
use futures::FutureExt;
use futures::stream::{FuturesUnordered, StreamExt};
use h2::server::{self, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use http::Response;
use tokio::time::{Duration, Instant, sleep_until};

use crate::Shared;
use crate::action::Action;
use crate::body::{FILL, PIECE};
use crate::cut::{Cut, Point};
use crate::decide::Reply;
use crate::fault::{Fault, GARBAGE};
use crate::profile;
use crate::request::{MAX_KEPT, Method, Request};
use crate::service::{self, Answer};
use crate::wire::{Ending, Lent, Wire};

/// What a request does to its connection.
enum After {
    /// Nothing.
    GoesOn,
    /// It takes no further requests, and ends with those that it has.
    Retires,
    /// It ends with this one. A stream that is let go of would be reset before that.
    Ends(Ending, SendResponse<Bytes>),
}

/// Serves a connection until it ends.
pub(crate) async fn serve(wire: Wire, from: IpAddr, shared: &Shared) {
    shared.ledger.connections(|connections| connections.http2 += 1);
    let lent = Lent::new(wire);
    let ending = converse(lent.clone(), from, shared).await;
    if let Some(wire) = lent.take_back() {
        wire.end(ending).await;
    }
}

async fn converse(wire: Lent, from: IpAddr, shared: &Shared) -> Ending {
    let mut builder = server::Builder::new();
    builder.max_concurrent_streams(shared.max_streams);
    let Ok(mut connection) = builder.handshake::<_, Bytes>(wire).await else { return Ending::Close };
    let mut requests = FuturesUnordered::new();
    loop {
        // Those that are done are done before the next ones are counted.
        let after = if let Some(after) = requests.next().now_or_never().flatten() {
            after
        } else {
            let streams = requests.len() as u64;
            shared.ledger.connections(|all| all.max_streams = all.max_streams.max(streams));
            tokio::select! {
                accepted = connection.accept() => match accepted {
                    Some(Ok((request, respond))) => {
                        requests.push(serve_one(request, respond, from, shared));
                        After::GoesOn
                    }
                    Some(Err(_)) | None => return Ending::Close,
                },
                Some(after) = requests.next() => after,
            }
        };
        match after {
            After::GoesOn => {}
            After::Retires => connection.graceful_shutdown(),
            After::Ends(ending, _stream) => {
                // Writes what has been said until now.
                let _ = futures::poll!(std::pin::pin!(connection.accept()));
                return ending;
            }
        }
    }
}

async fn serve_one(
    request: http::Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    from: IpAddr,
    shared: &Shared,
) -> After {
    let (head, mut body) = request.into_parts();
    let mut request = Request::of_http2(&head, wants_all);
    let cut = Cut::of_path(&request.path).map(|cut| cut.point);
    if !matches!(cut, Some(Point::Line | Point::Headers)) {
        while let Some(data) = body.data().await {
            // Who resets the stream has not sent the request.
            let Ok(data) = data else { return After::GoesOn };
            let _ = body.flow_control().release_capacity(data.len());
            if let Some(full) = &mut request.full {
                if full.body.len() as u64 > MAX_KEPT {
                    return After::Ends(Ending::Close, respond);
                }
                full.body.extend(&data);
            }
            if cut == Some(Point::Body) {
                break;
            }
        }
    }
    let (reply, _in_flight) = shared.decide(&request, from).await;
    let is_head = request.method == Method::Head;
    // An error is the end of this stream, or of the connection, which the next look at it tells.
    match reply {
        Reply::Answer(answer) => {
            let _ = tell(&answer, &mut respond, is_head);
            After::GoesOn
        }
        Reply::Act(Action::KeepAliveOff) => {
            let _ = tell(&ok(), &mut respond, is_head);
            After::Retires
        }
        Reply::Act(action) => match act(action, &mut respond, is_head, shared).await {
            Ok(Some(ending)) => After::Ends(ending, respond),
            Ok(None) | Err(_) => After::GoesOn,
        },
    }
}

/// Whether all of a request to this path is needed.
fn wants_all(path: &str) -> bool {
    service::answers(path) || profile::answers(path)
}

fn ok() -> Answer {
    Answer { status: 200, headers: Vec::new(), body: b"ok\n".to_vec() }
}

fn tell(answer: &Answer, respond: &mut SendResponse<Bytes>, is_head: bool) -> Result<(), h2::Error> {
    let mut head = Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        // What a request asked for must not become a header of its own.
        head = head.header(*name, value.replace(char::is_control, " "));
    }
    let Ok(head) = head.body(()) else { return Err(Reason::INTERNAL_ERROR.into()) };
    let is_empty = is_head || answer.body.is_empty();
    let mut stream = respond.send_response(head, is_empty)?;
    if is_empty { Ok(()) } else { stream.send_data(Bytes::copy_from_slice(&answer.body), true) }
}

/// Does what was asked for. What is particular to HTTP/1.1 is answered as if it were not. How the
/// connection ends, if it does.
async fn act(
    action: Action,
    respond: &mut SendResponse<Bytes>,
    is_head: bool,
    shared: &Shared,
) -> Result<Option<Ending>, h2::Error> {
    if let Some((status, content_type, body)) = action.plain(&shared.gate).await {
        let headers = vec![("content-type", content_type.to_owned())];
        let body = if matches!(status, 204 | 304) { Vec::new() } else { body.to_vec() };
        tell(&Answer { status, headers, body }, respond, is_head)?;
        return Ok(None);
    }
    match action {
        Action::Bytes(size) => fill(begin(respond, Some(size), is_head)?, Some(size), is_head).await?,
        Action::Chunked(size) => fill(begin(respond, None, is_head)?, Some(size), is_head).await?,
        Action::SlowBody(time) => drip(begin(respond, Some(10), is_head)?, time / 10, 10, is_head).await?,
        Action::CloseMidBody => {
            begin(respond, Some(100), false)?.send_data(Bytes::from_static(b"only a few"), false)?;
            return Ok(Some(Ending::Close));
        }
        Action::Close => return Ok(Some(Ending::Close)),
        Action::Reset => return Ok(Some(Ending::Reset)),
        Action::Cut(Cut { point, is_reset }) => {
            if let Point::Answer(most) = point {
                let begun = &FILL[..most.min(PIECE)];
                begin(respond, Some(2 * PIECE), false)?.send_data(Bytes::from_static(begun), false)?;
            }
            return Ok(Some(if is_reset { Ending::Reset } else { Ending::Close }));
        }
        Action::RstStream(code) => respond.send_reset(Reason::from(code)),
        Action::GoAway(code, last) => {
            let last = last.unwrap_or(respond.stream_id().as_u32());
            return Ok(Some(Ending::Say(go_away(code, last))));
        }
        Action::Hang => {
            let _ = poll_fn(|cx| respond.poll_reset(cx)).await;
        }
        Action::Fault(fault) => return commit(fault, respond, is_head).await,
        _ => tell(&ok(), respond, is_head)?,
    }
    Ok(None)
}

async fn commit(fault: Fault, respond: &mut SendResponse<Bytes>, is_head: bool) -> Result<Option<Ending>, h2::Error> {
    match fault {
        Fault::Bytes(..) => return Ok(Some(Ending::Say(GARBAGE.to_vec()))),
        Fault::Endless(..) => fill(begin(respond, None, false)?, None, false).await?,
        // A stream has one answer.
        Fault::Two => tell(&ok(), respond, is_head)?,
        Fault::Headers(count) => {
            let mut head = Response::builder().status(200);
            for index in 0..count.min(20_000) {
                head = head.header(format!("x-header-{index}"), index);
            }
            let Ok(head) = head.body(()) else { return Err(Reason::INTERNAL_ERROR.into()) };
            respond.send_response(head, true)?;
        }
        Fault::Drip(pause, size) => drip(begin(respond, Some(size), is_head)?, pause, size, is_head).await?,
    }
    Ok(None)
}

/// Sends the head of an answer with 200; nothing comes after it if the request was HEAD.
fn begin(
    respond: &mut SendResponse<Bytes>,
    length: Option<usize>,
    is_head: bool,
) -> Result<SendStream<Bytes>, h2::Error> {
    let head = length.into_iter().fold(Response::builder(), |head, length| head.header("content-length", length));
    let Ok(head) = head.body(()) else { return Err(Reason::INTERNAL_ERROR.into()) };
    respond.send_response(head, is_head)
}

/// Sends a body of so many bytes, or without an end, as fast as they are taken.
async fn fill(mut stream: SendStream<Bytes>, size: Option<usize>, is_head: bool) -> Result<(), h2::Error> {
    if is_head {
        return Ok(());
    }
    let mut left = size.unwrap_or(usize::MAX);
    while left > 0 {
        stream.reserve_capacity(left.min(PIECE));
        let Some(capacity) = poll_fn(|cx| stream.poll_capacity(cx)).await else { return Ok(()) };
        let here = capacity?.min(left).min(PIECE);
        if size.is_some() {
            left -= here;
        }
        stream.send_data(Bytes::from_static(&FILL[..here]), left == 0)?;
    }
    if size == Some(0) { stream.send_data(Bytes::new(), true) } else { Ok(()) }
}

/// Sends a body of so many bytes, each of them after a pause.
async fn drip(mut stream: SendStream<Bytes>, pause: Duration, size: usize, is_head: bool) -> Result<(), h2::Error> {
    if is_head {
        return Ok(());
    }
    let start = Instant::now();
    for index in 1..=size {
        sleep_until(start + pause.saturating_mul(index as u32)).await;
        stream.send_data(Bytes::from_static(b"x"), index == size)?;
    }
    if size == 0 { stream.send_data(Bytes::new(), true) } else { Ok(()) }
}

/// A GOAWAY frame (RFC 9113, 6.8).
fn go_away(code: u32, last: u32) -> Vec<u8> {
    let head = [0, 0, 8, 7, 0, 0, 0, 0, 0];
    [&head[..], &(last & 0x7fff_ffff).to_be_bytes(), &code.to_be_bytes()].concat()
}

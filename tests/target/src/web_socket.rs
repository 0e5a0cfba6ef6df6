//! `/ws`: web sockets that echo, push, and end as their query says.

use std::collections::BTreeMap;
use std::future::pending;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::Shared;
use crate::counts::{Ledger, RequestInFlight};
use crate::request::Request;
use crate::wire::{Ending, Wire};

/// Where web sockets are.
pub(crate) const PATH: &str = "/ws";
/// Small, since there may be ten thousand of them.
const BUFFER: usize = 4 << 10;
const MAX_MESSAGE: usize = 16 << 20;
/// A frame with bits that are reserved, and an opcode that is.
const BAD_FRAME: &[u8] = b"\xff\x05nonsense";

/// What the query says.
#[derive(Debug, Default)]
struct Script {
    /// A message each of these.
    push: Option<Duration>,
    /// How it ends, and when: so long after it was opened, else at the first message.
    end: Option<End>,
    after: Option<Duration>,
    /// A message of so many bytes at the begin.
    greeting: Option<usize>,
    /// Messages are not echoed.
    is_silent: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum End {
    Close(u16, String),
    Say(Vec<u8>),
    /// Without a close frame.
    Drop,
    Reset,
}

impl Script {
    fn of(query: &str) -> Self {
        let values: BTreeMap<_, _> = form_urlencoded::parse(query.as_bytes()).collect();
        let number = |name: &str| values.get(name).and_then(|value| value.parse::<u64>().ok());
        let millis = |name: &str| number(name).map(Duration::from_millis);
        let reason = || values.get("reason").map(|reason| reason.chars().take(40).collect()).unwrap_or_default();
        let close = number("close").map(|code| End::Close(u16::try_from(code).unwrap_or(1000), reason()));
        let named = [
            ("garbage", End::Say(BAD_FRAME.to_vec())),
            // A text of one byte that is not UTF-8.
            ("not-utf8", End::Say(b"\x81\x01\xff".to_vec())),
            ("drop", End::Drop),
            ("reset", End::Reset),
        ];
        Self {
            push: millis("push").map(|time| time.max(Duration::from_millis(1))),
            end: close.or_else(|| named.into_iter().find(|(name, _)| values.contains_key(*name)).map(|(_, end)| end)),
            after: millis("after"),
            greeting: number("greeting").map(|size| size.min(MAX_MESSAGE as u64) as usize),
            is_silent: values.contains_key("silent"),
        }
    }
}

/// The key of a request for a web socket; none if it is none.
pub(crate) fn key(request: &Request) -> Option<String> {
    let full = request.full.as_ref().filter(|_| request.path == PATH)?;
    let is_upgrade = full.header("upgrade")?.eq_ignore_ascii_case("websocket");
    full.header("sec-websocket-key").filter(|_| is_upgrade).map(str::to_owned)
}

/// Serves a web socket until it ends.
pub(crate) async fn serve(
    mut wire: Wire,
    request: &Request,
    key: &str,
    in_flight: RequestInFlight<'_>,
    shared: &Shared,
) {
    let offered = request.full.as_ref().and_then(|full| full.header("sec-websocket-protocol"));
    let chosen = offered.and_then(|offered| offered.split(',').next()).map(str::trim);
    let protocol = chosen.map(|name| format!("Sec-WebSocket-Protocol: {name}\r\n")).unwrap_or_default();
    let accept = derive_accept_key(key.as_bytes());
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n{protocol}\r\n"
    );
    let open = shared.ledger.open_web_socket();
    if wire.write_all(head.as_bytes()).await.is_err() {
        return;
    }
    drop(in_flight);
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(0)
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE));
    let mut socket = WebSocketStream::from_raw_socket(wire, Role::Server, Some(config)).await;
    let ending = match converse(&mut socket, &Script::of(&request.query), &shared.ledger).await {
        Ok(ending) => ending,
        // The peer's mistake, or its end.
        Err(_) => Ending::Close,
    };
    drop(open);
    socket.into_inner().end(ending).await;
}

async fn converse(socket: &mut WebSocketStream<Wire>, script: &Script, ledger: &Ledger) -> Result<Ending, Error> {
    let begin = Instant::now();
    let mut pushes = script.push.map(|period| {
        let mut pushes = interval_at(begin + period, period);
        pushes.set_missed_tick_behavior(MissedTickBehavior::Delay);
        pushes
    });
    let end_at = script.end.as_ref().and(script.after).map(|after| begin + after);
    let send = |text: String| {
        ledger.web_sockets(|sockets| sockets.messages_out += 1);
        Message::text(text)
    };
    if let Some(size) = script.greeting {
        socket.send(send("x".repeat(size))).await?;
    }
    let mut number = 0_u64;
    loop {
        tokio::select! {
            message = socket.next() => {
                let Some(message) = message.transpose()? else { return Ok(Ending::Close) };
                let is_data = message.is_text() || message.is_binary();
                count(&message, ledger);
                if is_data && end_at.is_none() && let Some(end) = &script.end {
                    return finish(socket, end, ledger).await;
                }
                if is_data && !script.is_silent {
                    ledger.web_sockets(|sockets| sockets.messages_out += 1);
                    socket.send(message).await?;
                }
            }
            () = next(&mut pushes) => {
                number += 1;
                socket.send(send(format!("{{\"push\":{number}}}"))).await?;
            }
            () = at(end_at) => if let Some(end) = &script.end {
                return finish(socket, end, ledger).await;
            },
        }
    }
}

/// Ends a web socket as its script says.
async fn finish(socket: &mut WebSocketStream<Wire>, end: &End, ledger: &Ledger) -> Result<Ending, Error> {
    match end {
        End::Say(bytes) => return Ok(Ending::Say(bytes.clone())),
        End::Drop => return Ok(Ending::Close),
        End::Reset => return Ok(Ending::Reset),
        End::Close(code, reason) => {
            socket.close(Some(CloseFrame { code: CloseCode::from(*code), reason: reason.as_str().into() })).await?;
        }
    }
    // The peer says so too, and what it sent before it knew is counted.
    while let Some(Ok(message)) = socket.next().await {
        count(&message, ledger);
    }
    Ok(Ending::Close)
}

fn count(message: &Message, ledger: &Ledger) {
    ledger.web_sockets(|sockets| match message {
        Message::Text(_) | Message::Binary(_) => sockets.messages_in += 1,
        Message::Ping(_) => sockets.pings += 1,
        Message::Close(frame) => {
            let code = frame.as_ref().map_or(1005, |frame| u16::from(frame.code));
            *sockets.close_codes.entry(code).or_default() += 1;
        }
        Message::Pong(_) | Message::Frame(_) => {}
    });
}

async fn next(pushes: &mut Option<Interval>) {
    match pushes {
        Some(pushes) => drop(pushes.tick().await),
        None => pending().await,
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => pending().await,
    }
}

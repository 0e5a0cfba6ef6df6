//! Steps over a web socket, checked and resolved.

use proofload_api::units::Micros;
use proofload_api::websocket::{Receive, WebSocket as ApiWebSocket, WebSocketConnect};

use super::names::{Names, Put};
use super::request::{self, Base};
use super::{MAX_DURATION, Problems};
use crate::model::WebSocket;
use crate::template::Template;

const ONE: &str = "exactly one of connect, send (or receive), ping, hold and close";

pub(super) fn web_socket(
    given: &ApiWebSocket,
    base: &Base<'_>,
    names: &mut Names<'_>,
    path: &str,
    problems: &mut Problems,
) -> WebSocket {
    let is_message = given.send.is_some() || given.receive.is_some();
    let all = [
        ("connect", given.connect.is_some()),
        (if given.send.is_some() { "send" } else { "receive" }, is_message),
        ("ping", given.ping.is_some()),
        ("hold", given.hold.is_some()),
        ("close", given.close.is_some()),
    ];
    let all: Vec<&str> = all.into_iter().filter(|(_, is)| *is).map(|(name, _)| name).collect();
    if all.len() != 1 {
        let came = if all.is_empty() { "none".to_owned() } else { all.join(" and ") };
        problems.add(path, ONE, came);
    }
    if given.until.is_some() && !is_message {
        problems.add(format!("{path}.until"), "until beside send or receive", "until alone");
    }
    if let Some(connect) = &given.connect {
        return self::connect(connect, base, names, &format!("{path}.connect"), problems);
    }
    if !names.is_connected() {
        let hint = "a user opens its web socket by a step with webSocket: {connect: {path: /...}}";
        problems.add_hint(path, "a step before this one that connects", "none", hint);
    }
    if let Some(hold) = given.hold {
        if hold == Micros::ZERO || hold > MAX_DURATION {
            let expected = format!("a time longer than 0s, at most {MAX_DURATION}");
            problems.add(format!("{path}.hold"), expected, hold.to_string());
        }
        WebSocket::Hold(hold)
    } else if let Some(close) = given.close {
        // What else there is says that no code came, or is nobody's to send (RFC 6455, 7.4).
        if !matches!(close.code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
            let expected = "a code that can be sent: 1000 to 1003, 1007 to 1014, or 3000 to 4999";
            problems.add(format!("{path}.close.code"), expected, close.code.to_string());
        }
        WebSocket::Close(close.code)
    } else if is_message {
        message(given, names, path, problems)
    } else {
        WebSocket::Ping
    }
}

fn message(given: &ApiWebSocket, names: &mut Names<'_>, path: &str, problems: &mut Problems) -> WebSocket {
    let receive = given.receive != Some(Receive::Nothing);
    if !receive && given.send.is_none() {
        problems.add(format!("{path}.receive"), "send beside receive: Nothing", "nothing to do");
    }
    if !receive && given.until.is_some() {
        problems.add(format!("{path}.until"), "no until beside receive: Nothing", "one");
    }
    let mut text = |field: &str, text: &Option<String>, put| {
        let text = text.as_ref()?;
        Some(names.template(text, put, &format!("{path}.{field}"), problems))
    };
    let (send, until) = (text("send", &given.send, Put::Body), text("until", &given.until, Put::Plain));
    if given.until.as_ref().is_some_and(String::is_empty) {
        problems.add(format!("{path}.until"), "a text that the message has in it", "an empty one");
    }
    WebSocket::Message { send, receive, until }
}

fn connect(
    given: &WebSocketConnect,
    base: &Base<'_>,
    names: &mut Names<'_>,
    path: &str,
    problems: &mut Problems,
) -> WebSocket {
    let own = request::headers(&given.headers, given.auth.as_ref(), path, problems);
    let mut headers = request::merge(base, &own, None, names, problems);
    // The handshake's own `Connection` says what is to become of this one.
    headers.retain(|(name, _)| !name.eq_ignore_ascii_case("connection"));
    for (i, protocol) in given.protocols.iter().enumerate() {
        let path = format!("{path}.protocols[{i}]");
        // Both are tokens.
        if !request::is_header(protocol) {
            problems.add(path, "a protocol's name, such as graphql-transport-ws", format!("{protocol:?}"));
        } else if given.protocols[..i].contains(protocol) {
            problems.add(path, "each protocol once", format!("{protocol:?} twice"));
        }
    }
    if !given.protocols.is_empty() {
        headers.push(("Sec-WebSocket-Protocol".to_owned(), Template::text(given.protocols.join(", "))));
    }
    let path = request::target(&given.path, base, names, &format!("{path}.path"), problems);
    WebSocket::Connect { path, headers }
}

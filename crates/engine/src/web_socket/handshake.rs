//! The handshake of a web socket (RFC 6455, 4.1): a request that asks to leave HTTP.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;

use proofload_api::step::{Method, Redirects};
use proofload_plan::{Body, Escape, Part, Plan, Request, Template, Value};
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::Session;
use crate::exchange::{Scratch, Traffic};
use crate::failure::Failure;
use crate::http1::{Kept, Message, Prepared, Response, Violation, values};
use crate::materials::Materials;
use crate::stream::Stream;

const KEY: &str = "Sec-WebSocket-Key";

/// A handshake, made ready.
pub(crate) struct Handshake {
    pub(crate) request: Prepared,
    /// The protocols that it offers; none if that is not the same for all users.
    protocols: Option<Vec<String>>,
}

impl Handshake {
    pub(super) fn new(
        path: &Template,
        headers: &[(String, Template)],
        plan: &Plan,
        materials: &Materials,
    ) -> Result<Self, String> {
        let fixed = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")];
        let mut headers = headers.to_vec();
        let offered = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-protocol"));
        let words = |(_, value): &(String, Template)| value.as_text().map(|text| words(text.as_bytes()));
        let protocols = offered.map(words).collect::<Option<Vec<_>>>().map(|all| all.concat());
        headers.extend(fixed.map(|(name, value)| (name.to_owned(), Template::text(value))));
        headers.push((KEY.to_owned(), key()));
        let request =
            Request { method: Method::Get, path: path.clone(), headers, body: Body::None, redirects: Redirects::Never };
        Ok(Self { request: Prepared::new(&request, plan, materials)?, protocols })
    }

    /// Asks for a web socket over a new connection. None if the answer is another one, which is for others to judge;
    /// its body is not read, as the connection is of no use any more.
    pub(crate) async fn shake(
        &self,
        mut stream: Stream,
        request: &Message<'_>,
        scratch: &Scratch,
        traffic: &mut Traffic,
        kept: &mut Kept<'_>,
    ) -> Result<Option<Box<Session>>, Failure> {
        while traffic.bytes_out < request.length() as u64 {
            let rest = request.rest(traffic.bytes_out as usize);
            traffic.bytes_out += stream.write(rest).await.map_err(|error| Failure::broken(&error))? as u64;
        }
        stream.flush().await.map_err(|error| Failure::broken(&error))?;
        let mut response = Response::new(false);
        let rest = loop {
            let follow = |bytes: &[u8]| {
                traffic.bytes_in += bytes.len() as u64;
                if bytes.is_empty() {
                    response.end()?;
                    return Err(Failure::closed(traffic.bytes_in > 0));
                }
                let used = response.follow(bytes, kept)?;
                traffic.status = response.status();
                Ok(bytes[used..].to_vec())
            };
            let rest = read(&mut stream, scratch, follow).await?;
            if traffic.status.is_some() {
                break rest;
            }
        };
        if traffic.status != Some(101) {
            return Ok(None);
        }
        self.verify(kept.whole_head(), request.rest(0))?;
        Ok(Some(Session::new(stream, rest)))
    }

    /// Whether the answer is one to this very request.
    fn verify(&self, answer: &[u8], request: &[u8]) -> Result<(), Violation> {
        let says = |name: &str, wanted: &str| {
            values(answer, name).iter().flat_map(|value| words(value)).any(|word| word.eq_ignore_ascii_case(wanted))
        };
        if !says("upgrade", "websocket") || !says("connection", "upgrade") {
            return Err(Violation("101 without an upgrade to a web socket"));
        }
        let accepted = values(answer, "sec-websocket-accept");
        if accepted.first().copied() != Some(derive_accept_key(sent_key(request)).as_bytes()) {
            return Err(Violation("a Sec-WebSocket-Accept that is not of this request"));
        }
        if !values(answer, "sec-websocket-extensions").is_empty() {
            return Err(Violation("a web socket with extensions, which nobody asked for"));
        }
        let chosen = values(answer, "sec-websocket-protocol");
        let is_offered = |protocol: &&[u8]| {
            self.protocols.as_ref().is_none_or(|offered| offered.iter().any(|own| own.as_bytes() == *protocol))
        };
        if chosen.len() > 1 || !chosen.iter().all(is_offered) {
            return Err(Violation("a Sec-WebSocket-Protocol that was not offered"));
        }
        Ok(())
    }
}

/// Looks at what comes next, at the end of the connection at nothing.
async fn read<T>(
    stream: &mut Stream,
    scratch: &Scratch,
    look: impl FnOnce(&[u8]) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut look = Some(look);
    poll_fn(|cx| {
        let mut bytes = scratch.read.borrow_mut();
        let mut buffer = ReadBuf::new(&mut bytes);
        Pin::new(&mut *stream).poll_read(cx, &mut buffer).map(|result| {
            match result {
                // TLS that ends without saying so is an end, too: nothing was read.
                Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => return Err(Failure::broken(&error)),
                _ => {}
            }
            look.take().map_or_else(|| Err(Failure::closed(true)), |look| look(buffer.filled()))
        })
    })
    .await
}

/// Sixteen bytes in Base64, another one for each handshake: digits, since templates can draw them.
fn key() -> Template {
    const LEAST: i64 = 1_000_000_000_000_000;
    let digits = Value::RandomInt(LEAST, 10 * LEAST - 1);
    Template(vec![Part::Base64(Template(vec![Part::Value(digits, Escape::None)]))])
}

/// The key that a request has sent. No header's value can hold a line's end.
fn sent_key(request: &[u8]) -> &[u8] {
    let mut lines = request.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    lines.find_map(|line| line.strip_prefix(KEY.as_bytes())?.strip_prefix(b": ")).unwrap_or_default()
}

/// The words of a header that is a list.
fn words(value: &[u8]) -> Vec<String> {
    let words = value.split(|byte| *byte == b',').map(|word| String::from_utf8_lossy(word.trim_ascii()).into_owned());
    words.filter(|word| !word.is_empty()).collect()
}

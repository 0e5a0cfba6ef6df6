//! Answers that no server should give, in HTTP/1.1: bytes that are none, that never end, or that come slowly.

use std::io;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use crate::body;
use crate::wire::Wire;

/// The most headers that a path can ask for.
const MAX_HEADERS: u64 = 1_000_000;

/// An answer that no server should give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// These bytes, then the end of the connection.
    Bytes(&'static str, &'static [u8]),
    /// The first bytes, then the second ones again and again.
    Endless(&'static [u8], &'static [u8]),
    /// Two answers to one request.
    Two,
    /// So many headers.
    Headers(u64),
    /// Each byte of an answer, whose body has so many, after a pause.
    Drip(Duration, usize),
}

pub(crate) const GARBAGE: &[u8] = b"\x16\x03\x01 this is not the protocol that you expect\r\n\r\n";

/// What `/bad/NAME` says.
const BAD: [(&str, &[u8]); 9] = [
    ("status", b"HTTP/1.1 two hundred\r\n\r\n"),
    ("version", b"HTTP/3.7 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ("header", b"HTTP/1.1 200 OK\r\nthis has no colon\r\n\r\n"),
    ("length", b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nok\n"),
    ("lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nok\n\n"),
    ("chunk", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nok\n\r\n0\r\n\r\n"),
    ("chunk-end", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nok\nmore\r\n0\r\n\r\n"),
    // An empty SETTINGS frame, with which a server of HTTP/2 begins.
    ("http2", b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"),
    ("nothing", b"\r\n\r\n\r\n\r\n"),
];

/// What `/endless/NAME` says.
const ENDLESS: [(&str, &[u8], &[u8]); 7] = {
    const FILL: [u8; 4096] = [b'x'; 4096];
    [
        ("body", b"HTTP/1.1 200 OK\r\n\r\n", &FILL),
        ("chunks", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"10\r\nxxxxxxxxxxxxxxxx\r\n"),
        ("chunk-line", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;", &FILL),
        ("trailers", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X-Trailer: and one more\r\n"),
        ("head", b"HTTP/1.1 200 OK\r\n", b"X-Header: and one more\r\n"),
        ("header", b"HTTP/1.1 200 OK\r\nX-Header: ", &FILL),
        ("continue", b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ]
};

impl Fault {
    /// What a path's words ask for.
    pub(crate) fn of(words: &[&str]) -> Option<Self> {
        let number = |text: &str| text.parse::<u64>().ok();
        Some(match words {
            ["garbage"] => Self::Bytes("garbage", GARBAGE),
            ["bad", name] => BAD.iter().find(|(known, _)| known == name).map(|(_, bytes)| Self::Bytes("bad", bytes))?,
            ["endless"] => Self::of(&["endless", "chunks"])?,
            ["endless", name] => {
                let (_, first, again) = ENDLESS.iter().find(|(known, ..)| known == name)?;
                Self::Endless(first, again)
            }
            ["two"] => Self::Two,
            ["headers", count] => Self::Headers(number(count)?.min(MAX_HEADERS)),
            ["drip", millis] => Self::Drip(Duration::from_millis(number(millis)?), 10),
            ["drip", millis, size] => {
                Self::Drip(Duration::from_millis(number(millis)?), number(size)?.min(1 << 20) as usize)
            }
            _ => return None,
        })
    }

    /// The name under which it is counted.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Bytes(name, _) => name,
            Self::Endless(..) => "endless",
            Self::Two => "two",
            Self::Headers(_) => "headers",
            Self::Drip(..) => "drip",
        }
    }

    /// Does it; whether the connection goes on.
    pub(crate) async fn commit(self, wire: &mut Wire, is_head: bool, close: bool) -> io::Result<bool> {
        let ok = body::answer(200, "text/plain", b"ok\n", is_head, close);
        match self {
            Self::Bytes(_, bytes) => {
                wire.write_all(bytes).await?;
                return Ok(false);
            }
            Self::Endless(first, again) => {
                wire.write_all(first).await?;
                // More than a few bytes at once, else this end would be what is slow.
                let many = again.repeat(body::PIECE.div_ceil(again.len()));
                loop {
                    wire.write_all(&many).await?;
                }
            }
            Self::Two => wire.write_all(&ok.repeat(2)).await?,
            Self::Headers(count) => {
                let mut bytes = b"HTTP/1.1 200 OK\r\n".to_vec();
                for index in 0..count {
                    bytes.extend(format!("X-Header-{index}: {index}\r\n").into_bytes());
                    if bytes.len() > body::PIECE {
                        wire.write_all(&bytes).await?;
                        bytes.clear();
                    }
                }
                bytes.extend(b"Content-Length: 0\r\n\r\n");
                wire.write_all(&bytes).await?;
            }
            Self::Drip(pause, size) => {
                let bytes = body::answer(200, "text/plain", &vec![b'x'; size], is_head, close);
                let begin = Instant::now();
                for (index, byte) in bytes.iter().enumerate() {
                    tokio::time::sleep_until(begin + pause.saturating_mul(index as u32)).await;
                    wire.write_all(&[*byte]).await?;
                }
            }
        }
        Ok(!close)
    }
}

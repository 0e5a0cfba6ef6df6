//! Reads requests from a connection: heads by `httparse`; bodies are read, and kept only for who wants them.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::cut::{Cut, Point};
use crate::wire::Wire;

const MAX_HEAD: usize = 64 << 10;
const MAX_LINE: usize = 8 << 10;
/// The largest body that is kept.
pub(crate) const MAX_KEPT: u64 = 64 << 20;

/// What matters of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// Without the query; begins with a slash.
    pub(crate) path: String,
    /// What comes after the question mark.
    pub(crate) query: String,
    /// The `Cookie` header.
    pub(crate) cookie: Option<String>,
    /// Everything, for the paths whose answer depends on it.
    pub(crate) full: Option<Box<Full>>,
    /// Whether the sender wants to send more on this connection.
    pub(crate) keep_alive: bool,
    body: Body,
    expects_continue: bool,
}

/// All that a request says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Full {
    pub(crate) method: String,
    /// Names in lower case, in the order in which they came.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Full {
    /// The value of the first header of this name, which is in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// The methods that are answered differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    /// Gets no body.
    Head,
    Post,
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    Length(u64),
    Chunked,
}

/// A connection, and what was read from it but not used yet.
pub(crate) struct Connection {
    pub(crate) wire: Wire,
    pending: Vec<u8>,
}

fn bad(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl Connection {
    pub(crate) fn new(wire: Wire) -> Self {
        Self { wire, pending: Vec::new() }
    }

    /// The wire, at which everything that was read but not used comes first.
    pub(crate) fn into_wire(mut self) -> Wire {
        self.wire.give_back(self.pending);
        self.wire
    }

    /// The next request, its body read to the end, or to where its path wants it to be cut short; none at the end of the
    /// connection. All of it is kept for the paths of which `wants_all` says so.
    pub(crate) async fn next(&mut self, wants_all: fn(&str) -> bool) -> io::Result<Option<Request>> {
        let mut request = loop {
            if let Some(request) = cut_at_line(&self.pending) {
                return Ok(Some(request));
            }
            if let Some((request, used)) = parse(&self.pending, wants_all)? {
                self.pending.drain(..used);
                break request;
            }
            if self.pending.len() > MAX_HEAD {
                return Err(bad("a head over 64 KiB"));
            }
            if !self.read().await? {
                return Ok(None);
            }
        };
        let cut = Cut::of_path(&request.path).map(|cut| cut.point);
        if cut == Some(Point::Headers) {
            return Ok(Some(request));
        }
        if request.expects_continue {
            self.wire.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        let mut kept = request.full.as_mut().map(|full| &mut full.body);
        match request.body {
            Body::Length(length) if cut == Some(Point::Body) => self.take(length / 2, &mut kept).await?,
            Body::Chunked if cut == Some(Point::Body) => drop(self.line().await?),
            Body::Length(length) => self.take(length, &mut kept).await?,
            Body::Chunked => self.take_chunks(&mut kept).await?,
        }
        Ok(Some(request))
    }

    /// Waits until the peer has closed the connection.
    pub(crate) async fn closed(&mut self) {
        while let Ok(true) = self.read().await {
            self.pending.clear();
        }
    }

    /// Reads more; whether there was more.
    async fn read(&mut self) -> io::Result<bool> {
        self.pending.reserve(4096);
        Ok(self.wire.read_buf(&mut self.pending).await? > 0)
    }

    async fn take(&mut self, mut length: u64, kept: &mut Option<&mut Vec<u8>>) -> io::Result<()> {
        if kept.as_ref().is_some_and(|kept| kept.len() as u64 + length > MAX_KEPT) {
            return Err(bad("a body over 64 MiB, for a path that keeps it"));
        }
        loop {
            let here = usize::try_from(length).unwrap_or(usize::MAX).min(self.pending.len());
            if let Some(kept) = kept {
                kept.extend(&self.pending[..here]);
            }
            self.pending.drain(..here);
            length -= here as u64;
            if length == 0 {
                return Ok(());
            }
            if !self.read().await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    async fn take_chunks(&mut self, kept: &mut Option<&mut Vec<u8>>) -> io::Result<()> {
        loop {
            let line = self.line().await?;
            let digits = line.split(';').next().unwrap_or_default().trim();
            let size = u64::from_str_radix(digits, 16).map_err(|_| bad("a chunk without a size"))?;
            if size == 0 {
                while !self.line().await?.is_empty() {}
                return Ok(());
            }
            self.take(size, kept).await?;
            if !self.line().await?.is_empty() {
                return Err(bad("a chunk longer than its size"));
            }
        }
    }

    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.pending.windows(2).position(|pair| pair == b"\r\n") {
                let line = String::from_utf8_lossy(&self.pending[..end]).into_owned();
                self.pending.drain(..end + 2);
                return Ok(line);
            }
            if self.pending.len() > MAX_LINE || !self.read().await? {
                return Err(bad("a line without an end"));
            }
        }
    }
}

/// The request whose first line has come, if that is where its path wants it to be cut short.
fn cut_at_line(bytes: &[u8]) -> Option<Request> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let line = std::str::from_utf8(&bytes[..end]).ok()?;
    let target = line.split(' ').nth(1)?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Cut::of_path(path).filter(|cut| cut.point == Point::Line)?;
    Some(Request {
        method: Method::Other,
        path: path.to_owned(),
        query: query.to_owned(),
        cookie: None,
        full: None,
        keep_alive: false,
        body: Body::Length(0),
        expects_continue: false,
    })
}

/// A head, and how many bytes it took; none if it is not complete.
fn parse(bytes: &[u8], wants_all: fn(&str) -> bool) -> io::Result<Option<(Request, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; 128];
    let mut head = httparse::Request::new(&mut headers);
    let used = match head.parse(bytes) {
        Ok(httparse::Status::Complete(used)) => used,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(bad("not an HTTP request")),
    };
    let value = |name: &str| {
        let header = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(header.value).ok().map(str::trim)
    };
    let is_chunked = value("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
    let body = match value("content-length") {
        _ if is_chunked => Body::Chunked,
        Some(length) => Body::Length(length.parse().map_err(|_| bad("a Content-Length that is not a number"))?),
        None => Body::Length(0),
    };
    let connection = value("connection").unwrap_or_default().to_ascii_lowercase();
    let target = head.path.unwrap_or("/");
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let full = wants_all(path).then(|| Box::new(all(&head)));
    let request = Request {
        method: match head.method {
            Some("HEAD") => Method::Head,
            Some("POST") => Method::Post,
            _ => Method::Other,
        },
        path: if path.starts_with('/') { path.to_owned() } else { format!("/{path}") },
        query: query.to_owned(),
        cookie: value("cookie").map(str::to_owned),
        full,
        keep_alive: if head.version == Some(1) { connection != "close" } else { connection == "keep-alive" },
        body,
        expects_continue: value("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue")),
    };
    Ok(Some((request, used)))
}

impl Request {
    /// The head of a request of HTTP/2; its body comes later.
    pub(crate) fn of_http2(head: &http::request::Parts, wants_all: fn(&str) -> bool) -> Self {
        let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        // Each cookie may be a header of its own (RFC 9113, 8.2.3).
        let cookies: Vec<String> = head.headers.get_all("cookie").iter().map(text).collect();
        let path = head.uri.path();
        let headers = head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value)));
        let full = || Full { method: head.method.to_string(), headers: headers.collect(), body: Vec::new() };
        Self {
            method: match head.method {
                http::Method::HEAD => Method::Head,
                http::Method::POST => Method::Post,
                _ => Method::Other,
            },
            path: if path.starts_with('/') { path.to_owned() } else { format!("/{path}") },
            query: head.uri.query().unwrap_or_default().to_owned(),
            cookie: (!cookies.is_empty()).then(|| cookies.join("; ")),
            full: wants_all(path).then(|| Box::new(full())),
            keep_alive: true,
            body: Body::Length(0),
            expects_continue: false,
        }
    }
}

/// Method and headers as they came; the body comes later.
fn all(head: &httparse::Request) -> Full {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    let headers = head.headers.iter().map(|header| (header.name.to_ascii_lowercase(), text(header.value)));
    Full { method: head.method.unwrap_or_default().to_owned(), headers: headers.collect(), body: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_says_how_its_body_ends_and_whether_more_will_come() {
        let (request, used) =
            parse(b"POST /a/b?c=d HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", |_| false).unwrap().unwrap();
        assert_eq!((request.path.as_str(), request.query.as_str(), used), ("/a/b", "c=d", 45));
        assert_eq!((request.body, &request.full), (Body::Length(3), &None));
        assert!(request.method == Method::Post && request.keep_alive);
        let (request, _) = parse(b"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", |_| true).unwrap().unwrap();
        assert_eq!((request.body, request.keep_alive), (Body::Chunked, false));
        assert_eq!(request.full.unwrap().header("transfer-encoding"), Some("chunked"));
        assert_eq!(parse(b"GET / HTTP/1.1\r\nHost", |_| true).unwrap(), None);
        assert!(parse(b"\0\0\0\0", |_| true).is_err());
    }
}

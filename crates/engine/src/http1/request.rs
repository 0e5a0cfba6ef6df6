//! Builds requests as bytes: once for each step where all users send the same, else for each request.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Instant;

use proofload_api::step::{Method, Redirects};
use proofload_plan::{Body, Escape, Part, Piece, Plan, Protocol, Request, Template};

use crate::buffers::{Buffers, Lent};
use crate::cookies::Jar;
use crate::http2::Head;
use crate::materials::Materials;
use crate::render::{Known, Text, Unset};

/// A request of a step, made ready.
pub(crate) struct Prepared {
    method: Method,
    kind: Kind,
    /// The request itself says that the connection ends with it.
    closes: bool,
    /// It has a `Cookie` header of its own, which goes before what the user keeps.
    has_cookies: bool,
    /// Whether an answer that points elsewhere is followed.
    pub(crate) follows: bool,
    /// The scheme of its URI.
    scheme: &'static str,
    /// The head of a request that is the same for all users, where HTTP/2 may be spoken.
    http2: Option<Box<Head>>,
}

enum Kind {
    /// The same for all users.
    Fixed(Box<[u8]>, Marks),
    Made {
        path: Text,
        /// Header lines.
        headers: Text,
        /// None without a `Content-Length`.
        body: Option<Vec<Content>>,
    },
}

/// A piece of a body.
enum Content {
    Text(Text),
    File(Arc<[u8]>),
}

/// Where in a request's bytes is what.
#[derive(Debug, Clone, Copy, Default)]
struct Marks {
    /// Where the request line ends.
    line: usize,
    /// Where the headers end, apart from cookies, and those that follow from the body.
    headers: usize,
    /// Where the head ends.
    head: usize,
    /// How long the body is, files included; none without a `Content-Length`.
    body: Option<usize>,
}

/// One request, ready to be written.
pub(crate) struct Message<'a> {
    bytes: Bytes<'a>,
    marks: Marks,
    /// Files, each after how many of the bytes.
    files: Vec<(usize, &'a [u8])>,
    method: Method,
    closes: bool,
    has_cookies: bool,
    scheme: &'static str,
    /// Its head in HTTP/2, if that is known already.
    http2: Option<&'a Head>,
}

enum Bytes<'a> {
    Fixed(&'a [u8]),
    Lent(Lent<'a>),
}

/// Cookies to send, as they are now.
pub(crate) type Cookies<'a> = Option<(&'a Jar, Instant)>;

impl Prepared {
    /// A request, or what would make it no HTTP, or more than one request.
    pub(crate) fn new(request: &Request, plan: &Plan, materials: &Materials) -> Result<Self, String> {
        let is_in_path = |escape| matches!(escape, Escape::Percent);
        check(&request.path, |byte| byte.is_ascii_graphic(), is_in_path)
            .map_err(|error| format!("the path {error}"))?;
        let path = Text::new(&request.path, plan, materials)?;
        if path.as_literal().is_some_and(<[u8]>::is_empty) {
            return Err("the path is empty".to_owned());
        }
        let headers = headers(&request.headers, plan, materials)?;
        let says_close =
            |value: &Template| value.as_text().is_some_and(|text| text.trim().eq_ignore_ascii_case("close"));
        let has = |wanted: &str, is: &dyn Fn(&Template) -> bool| {
            request.headers.iter().any(|(name, value)| name.eq_ignore_ascii_case(wanted) && is(value))
        };
        let mut prepared = Self {
            method: request.method,
            closes: has("connection", &says_close),
            has_cookies: has("cookie", &|_| true),
            follows: request.redirects == Redirects::SameOrigin,
            scheme: if plan.target.tls.is_some() { "https" } else { "http" },
            http2: None,
            kind: Kind::Made { path, headers, body: body(&request.body, plan, materials)? },
        };
        if let Some((bytes, marks)) = prepared.fixed() {
            prepared.kind = Kind::Fixed(bytes, marks);
            if plan.target.protocol != Protocol::Http1 {
                let Kind::Fixed(bytes, marks) = &prepared.kind else { return Ok(prepared) };
                let head = Head::translate(&prepared.whole(bytes, *marks));
                prepared.http2 = Some(Box::new(head.map_err(|wrong| format!("HTTP/2 has no place for {wrong}"))?));
            }
        }
        Ok(prepared)
    }

    /// The request's bytes, if they are the same for all users, and of no file, which would be kept twice.
    fn fixed(&self) -> Option<(Box<[u8]>, Marks)> {
        let Kind::Made { path, headers, body } = &self.kind else { return None };
        let text = |content: &Content| match content {
            Content::Text(text) => text.as_literal().map(<[u8]>::to_vec),
            Content::File(_) => None,
        };
        let body = match body {
            Some(contents) => Some(contents.iter().map(text).collect::<Option<Vec<_>>>()?.concat()),
            None => None,
        };
        let mut bytes = Vec::with_capacity(256);
        let line = begin(&mut bytes, self.method, path.as_literal()?);
        bytes.extend_from_slice(headers.as_literal()?);
        let marks = end_head(&mut bytes, line, None, body.as_ref().map(Vec::len));
        bytes.extend(body.unwrap_or_default());
        Some((bytes.into(), marks))
    }

    /// A message of these bytes.
    fn whole<'a>(&self, bytes: &'a [u8], marks: Marks) -> Message<'a> {
        Message {
            bytes: Bytes::Fixed(bytes),
            marks,
            files: Vec::new(),
            method: self.method,
            closes: self.closes,
            has_cookies: self.has_cookies,
            scheme: self.scheme,
            http2: None,
        }
    }

    /// The request that a user sends now.
    pub(crate) fn message<'a>(
        &'a self,
        known: &mut Known<'_>,
        cookies: Cookies<'_>,
        buffers: &'a Buffers,
    ) -> Result<Message<'a>, Unset> {
        let mut message = self.whole(&[], Marks::default());
        match &self.kind {
            Kind::Fixed(bytes, marks) => {
                (message.bytes, message.marks) = (Bytes::Fixed(bytes), *marks);
                message.http2 = self.http2.as_deref();
                if !self.has_cookies && cookies.is_some_and(|(jar, now)| jar.has_any(message.path(), now)) {
                    return Ok(message.again(self.method, message.path(), cookies, buffers));
                }
            }
            Kind::Made { path, headers, body } => {
                let mut head = buffers.lend();
                head.extend_from_slice(self.method.as_str().as_bytes());
                head.push(b' ');
                path.render(known, &mut head)?;
                head.extend_from_slice(b" HTTP/1.1\r\n");
                let line = head.len();
                headers.render(known, &mut head)?;
                // A body's length comes before it.
                let mut texts = buffers.lend();
                for content in body.iter().flatten() {
                    match content {
                        Content::Text(text) => text.render(known, &mut texts)?,
                        Content::File(file) => message.files.push((texts.len(), file)),
                    }
                }
                let files: usize = message.files.iter().map(|(_, file)| file.len()).sum();
                let cookies = cookies.filter(|_| !self.has_cookies);
                message.marks = end_head(&mut head, line, cookies, body.is_some().then_some(texts.len() + files));
                head.extend_from_slice(&texts);
                message.files.iter_mut().for_each(|(at, _)| *at += message.marks.head);
                message.bytes = Bytes::Lent(head);
            }
        }
        Ok(message)
    }
}

impl<'a> Message<'a> {
    fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Fixed(bytes) => bytes,
            Bytes::Lent(bytes) => bytes,
        }
    }

    /// How long it is, files included.
    pub(crate) fn length(&self) -> usize {
        self.marks.head + self.marks.body.unwrap_or(0)
    }

    /// How long its head is.
    pub(crate) fn head_length(&self) -> usize {
        self.marks.head
    }

    /// All header lines.
    pub(crate) fn fields(&self) -> &[u8] {
        &self.bytes()[self.marks.line..self.marks.head]
    }

    /// The scheme of its URI.
    pub(crate) fn scheme(&self) -> &'static str {
        self.scheme
    }

    /// Its head in HTTP/2, if that was prepared.
    pub(crate) fn prepared(&self) -> Option<&Head> {
        self.http2
    }

    /// What is to be written next, after so many bytes; nothing after all of them.
    pub(crate) fn rest(&self, written: usize) -> &[u8] {
        let (bytes, mut from, mut left) = (self.bytes(), 0, written);
        for (at, file) in &self.files {
            if left < at - from {
                return &bytes[from + left..*at];
            }
            left -= at - from;
            from = *at;
            if left < file.len() {
                return &file[left..];
            }
            left -= file.len();
        }
        &bytes[from + left..]
    }

    /// The method.
    pub(crate) fn method(&self) -> Method {
        self.method
    }

    /// Whether it says itself that the connection ends with it.
    pub(crate) fn closes(&self) -> bool {
        self.closes
    }

    /// The path and query.
    pub(crate) fn path(&self) -> &str {
        let line = &self.bytes()[self.method.as_str().len() + 1..self.marks.line];
        // Written above, of texts.
        std::str::from_utf8(&line[..line.len() - b" HTTP/1.1\r\n".len()]).unwrap_or("/")
    }

    /// The same request to another place. With a method that has no body, it loses its own, and what describes that.
    pub(crate) fn again(&self, method: Method, path: &str, cookies: Cookies<'_>, buffers: &'a Buffers) -> Self {
        let (bytes, marks) = (self.bytes(), self.marks);
        let loses_body = method != self.method && matches!(method, Method::Get | Method::Head);
        let mut out = buffers.lend();
        let line = begin(&mut out, method, path.as_bytes());
        let headers = &bytes[marks.line..marks.headers];
        for header in headers.split_inclusive(|byte| *byte == b'\n') {
            if !loses_body || !header.get(..8).is_some_and(|name| name.eq_ignore_ascii_case(b"content-")) {
                out.extend_from_slice(header);
            }
        }
        let cookies = cookies.filter(|_| !self.has_cookies);
        let body = marks.body.filter(|_| !loses_body);
        let new = end_head(&mut out, line, cookies, body);
        let mut files = Vec::new();
        if body.is_some() {
            out.extend_from_slice(&bytes[marks.head..]);
            files.extend(self.files.iter().map(|(at, file)| (at - marks.head + new.head, *file)));
        }
        Self {
            bytes: Bytes::Lent(out),
            marks: new,
            files,
            method,
            closes: self.closes,
            has_cookies: self.has_cookies,
            scheme: self.scheme,
            http2: None,
        }
    }
}

/// Writes a request line; how long it is.
fn begin(out: &mut Vec<u8>, method: Method, path: &[u8]) -> usize {
    out.extend_from_slice(method.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(path);
    out.extend_from_slice(b" HTTP/1.1\r\n");
    out.len()
}

/// Ends a head that has its request line and its headers, for a body of a length.
fn end_head(out: &mut Vec<u8>, line: usize, cookies: Cookies<'_>, body: Option<usize>) -> Marks {
    let headers = out.len();
    if let Some((jar, now)) = cookies {
        let path = out[..line].split(|byte| *byte == b' ').nth(1).unwrap_or_default().to_vec();
        jar.write(std::str::from_utf8(&path).unwrap_or("/"), now, out);
    }
    if let Some(length) = body {
        // Writing to memory cannot fail.
        let _ = write!(out, "Content-Length: {length}\r\n");
    }
    out.extend_from_slice(b"\r\n");
    Marks { line, headers, head: out.len(), body }
}

/// Header lines.
fn headers(headers: &[(String, Template)], plan: &Plan, materials: &Materials) -> Result<Text, String> {
    let mut lines = Text::default();
    for (name, value) in headers {
        let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
        if !is_name {
            return Err(format!("the header {name:?} has a name that is none"));
        }
        let stands = |byte: u8| byte == b'\t' || !byte.is_ascii_control();
        let is_in_header = |escape| matches!(escape, Escape::Header | Escape::Percent);
        check(value, stands, is_in_header).map_err(|error| format!("the header {name:?} {error}"))?;
        lines.push_literal(format!("{name}: ").as_bytes());
        lines.append(Text::new(value, plan, materials)?);
        lines.push_literal(b"\r\n");
    }
    Ok(lines)
}

/// Whether nothing that a template gives can end the line that it is in.
fn check(template: &Template, stands: impl Fn(u8) -> bool, is_escape: impl Fn(Escape) -> bool) -> Result<(), String> {
    let wrong = |part: &&Part| match part {
        Part::Text(text) => !text.bytes().all(&stands),
        Part::Value(_, escape) => !is_escape(*escape),
        Part::Base64(_) => false,
    };
    match template.0.iter().find(wrong) {
        Some(Part::Text(_)) => Err("has a control character or a space where none can be".to_owned()),
        Some(_) => Err("has a template whose values are not escaped for it".to_owned()),
        None => Ok(()),
    }
}

fn body(body: &Body, plan: &Plan, materials: &Materials) -> Result<Option<Vec<Content>>, String> {
    let text = |template: &Template| Text::new(template, plan, materials).map(Content::Text);
    let file = |i: usize| {
        let file = materials.files.get(i).ok_or_else(|| format!("it has no file {i}"))?;
        Ok::<_, String>(Content::File(Arc::clone(file)))
    };
    let contents = match body {
        Body::None => return Ok(None),
        Body::Text(template) => vec![text(template)?],
        Body::File(i) => vec![file(*i)?],
        Body::Pieces(pieces) => {
            let content = |piece: &Piece| match piece {
                Piece::Text(template) => text(template),
                Piece::File(i) => file(*i),
            };
            pieces.iter().map(content).collect::<Result<_, _>>()?
        }
    };
    Ok(Some(contents))
}

#[cfg(test)]
mod tests;

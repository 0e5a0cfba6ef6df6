//! A response's head: its status, how its body ends, and whether the connection can be used again.

use std::mem::MaybeUninit;

/// The most header lines of a response.
pub(super) const MAX_HEADERS: usize = 256;

/// The longest body that hyper takes: the two lengths above it have meanings of its own.
const MAX_LENGTH: u64 = u64::MAX - 2;

/// What matters of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) status: u16,
    /// How the body ends, or why that cannot be told. Means nothing where there is no body.
    pub(super) framing: Result<Framing, &'static str>,
    /// What the head says; the framing may say otherwise.
    pub(super) keep_alive: bool,
    /// Whether it has a `Set-Cookie`.
    pub(super) sets_cookies: bool,
}

/// What headers say.
#[derive(Default)]
struct Said {
    length: Option<Result<u64, &'static str>>,
    /// Whether the last transfer coding is chunked, if there is one.
    coding: Option<bool>,
    keep_alive: Option<bool>,
    sets_cookies: bool,
}

/// How a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    Length(u64),
    Chunked,
    UntilClose,
}

/// A head, and how many bytes it took; none if it is not complete.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Head, usize)>, &'static str> {
    let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut head = httparse::Response::new(&mut []);
    let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut head, bytes, &mut headers);
    let length = match parsed {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(describe(error)),
    };
    let status = head.code.filter(|code| *code >= 100).ok_or("a status below 100")?;
    let is_http11 = head.version == Some(1);
    let said = read_headers(head.headers);
    let keep_alive = said.keep_alive.unwrap_or(is_http11);
    let framing = said.framing(is_http11);
    Ok(Some((Head { status, framing, keep_alive, sets_cookies: said.sets_cookies }, length)))
}

/// The values of a header in a head that has been parsed before.
pub(crate) fn values<'a>(bytes: &'a [u8], name: &str) -> Vec<&'a [u8]> {
    let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut head = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    if config.parse_response_with_uninit_headers(&mut head, bytes, &mut headers).is_err() {
        return Vec::new();
    }
    let named = head.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
    named.map(|header| header.value.trim_ascii()).collect()
}

fn read_headers(headers: &[httparse::Header<'_>]) -> Said {
    let mut said = Said::default();
    for header in headers {
        // Telling by length first is quicker than comparing every name with each of these.
        match header.name.len() {
            10 if header.name.eq_ignore_ascii_case("connection") => {
                for word in words(header.value) {
                    if word.eq_ignore_ascii_case(b"close") {
                        said.keep_alive = Some(false);
                    } else if word.eq_ignore_ascii_case(b"keep-alive") {
                        said.keep_alive = said.keep_alive.or(Some(true));
                    }
                }
            }
            10 if header.name.eq_ignore_ascii_case("set-cookie") => said.sets_cookies = true,
            14 if header.name.eq_ignore_ascii_case("content-length") => {
                for word in header.value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                    said.length = Some(match (decimal(word), said.length) {
                        (Some(value), None) => Ok(value),
                        (Some(value), Some(Ok(length))) if value == length => Ok(length),
                        (Some(_), Some(Ok(_))) => Err("two different values of Content-Length"),
                        (_, Some(Err(error))) => Err(error),
                        (None, _) => Err("a Content-Length that is not a number"),
                    });
                }
            }
            17 if header.name.eq_ignore_ascii_case("transfer-encoding") => {
                said.coding =
                    Some(words(header.value).last().is_some_and(|last| last.eq_ignore_ascii_case(b"chunked")));
            }
            _ => {}
        }
    }
    said
}

/// The members of a list. What is not a list of words in ASCII has none.
fn words(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let value = if value.is_ascii() { value } else { &[] };
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

impl Said {
    /// How the body ends: a transfer coding overrides a length, and unless the last coding is chunked, the connection's end
    /// is the body's (RFC 9112, 6.3).
    fn framing(&self, is_http11: bool) -> Result<Framing, &'static str> {
        match (self.coding, self.length) {
            // RFC 9112, 6.1: the framing is faulty.
            (Some(_), _) if !is_http11 => Err("a transfer coding in HTTP/1.0"),
            (Some(true), _) => Ok(Framing::Chunked),
            (None, Some(Ok(length))) if length > MAX_LENGTH => Err("a Content-Length over 2^64 - 3"),
            (None, Some(length)) => Ok(Framing::Length(length?)),
            (Some(false), _) | (None, None) => Ok(Framing::UntilClose),
        }
    }
}

fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

fn describe(error: httparse::Error) -> &'static str {
    match error {
        httparse::Error::HeaderName => "a bad header name",
        httparse::Error::HeaderValue => "a bad header value",
        httparse::Error::NewLine => "a bad line end",
        httparse::Error::Status => "a bad status line",
        httparse::Error::TooManyHeaders => "over 256 header lines",
        httparse::Error::Token | httparse::Error::Version => "not an HTTP/1 response",
    }
}

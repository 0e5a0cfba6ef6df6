//! Heads: a request's, from that of HTTP/1.1; a response's, as HTTP/1.1 would have it, for whoever wants to look at it.

use http::header::{HeaderName, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, Request, Uri};

use crate::failure::Failure;
use crate::http1::{Message, Violation};

/// What a frame has before its payload.
pub(super) const FRAME: u64 = 9;
/// The most header fields of a response, as of HTTP/1.1.
const MAX_FIELDS: usize = 256;

/// A request's head.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(super) request: Request<()>,
    /// Its size as if nothing of it were compressed: how well that goes depends on what went before it over the same
    /// connection, which must not decide what is counted for a request.
    pub(super) size: u64,
}

impl Head {
    /// The head of a message.
    pub(super) fn of(message: &Message<'_>) -> Result<Self, Failure> {
        match message.prepared() {
            Some(head) => Ok(head.clone()),
            None => Self::translate(message).map_err(Failure::formless),
        }
    }

    /// What HTTP/2 makes of a head (RFC 9113, 8.2 and 8.3): fields about the connection are left out, and `Host` is the
    /// authority.
    pub(crate) fn translate(message: &Message<'_>) -> Result<Self, &'static str> {
        let mut size = FRAME;
        let mut authority = None;
        let mut headers = HeaderMap::new();
        for line in message.fields().split(|byte| *byte == b'\n') {
            let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
            let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
            let name = HeaderName::from_bytes(name).map_err(|_| "a request with a header name that is none")?;
            if name == http::header::HOST {
                let host = Authority::try_from(value).map_err(|_| "a request whose Host is no authority")?;
                authority.get_or_insert(host);
            } else if !is_of_connection(&name, value) {
                size += (name.as_str().len() + value.len()) as u64;
                let value = HeaderValue::from_bytes(value).map_err(|_| "a request with a bad header value")?;
                headers.append(name, value);
            }
        }
        let authority = authority.ok_or("a request without a Host")?;
        let scheme: Scheme = message.scheme().parse().map_err(|_| "a request with a bad scheme")?;
        let path = path(message.path())?;
        size += [":method", ":scheme", ":authority", ":path"].iter().map(|name| name.len() as u64).sum::<u64>();
        size += (message.method().as_str().len() + scheme.as_str().len()) as u64;
        size += (authority.as_str().len() + path.as_str().len()) as u64;
        let mut uri = http::uri::Parts::default();
        (uri.scheme, uri.authority, uri.path_and_query) = (Some(scheme), Some(authority), Some(path));
        let mut request = Request::new(());
        *request.uri_mut() = Uri::from_parts(uri).map_err(|_| "a request whose target is no URI")?;
        *request.method_mut() = message.method().as_str().parse().map_err(|_| "a request with a bad method")?;
        *request.version_mut() = http::Version::HTTP_2;
        *request.headers_mut() = headers;
        Ok(Self { request, size })
    }
}

/// Whether a field is about the connection, or the transfer over it, which in HTTP/2 is no matter of fields.
fn is_of_connection(name: &HeaderName, value: &[u8]) -> bool {
    match name.as_str() {
        "connection" | "keep-alive" | "proxy-connection" | "transfer-encoding" | "upgrade" | "http2-settings" => true,
        "te" => !value.eq_ignore_ascii_case(b"trailers"),
        _ => false,
    }
}

/// A path and query. HTTP/1.1 sends bytes that are none of a URI's as they are; here they are escaped.
fn path(path: &str) -> Result<PathAndQuery, &'static str> {
    // The library would leave out what follows a hash.
    if !path.contains('#')
        && let Ok(path) = path.parse()
    {
        return Ok(path);
    }
    let mut escaped = String::with_capacity(path.len() + 16);
    for char in path.chars() {
        match char {
            '"' => escaped.push_str("%22"),
            '#' => escaped.push_str("%23"),
            '<' => escaped.push_str("%3C"),
            '>' => escaped.push_str("%3E"),
            '\\' => escaped.push_str("%5C"),
            '^' => escaped.push_str("%5E"),
            '`' => escaped.push_str("%60"),
            _ => escaped.push(char),
        }
    }
    escaped.parse().map_err(|_| "a request whose path is none")
}

/// The size of a response's head as if nothing of it were compressed; a violation if it has too many fields.
pub(super) fn size(headers: &HeaderMap) -> Result<u64, Violation> {
    if headers.len() > MAX_FIELDS {
        return Err(Violation("over 256 header lines"));
    }
    let fields: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    Ok(FRAME + ":status200".len() as u64 + fields as u64)
}

/// Writes a response's head as HTTP/1.1 has it.
pub(super) fn write(status: u16, headers: &HeaderMap, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("HTTP/1.1 {status} \r\n").as_bytes());
    for (name, value) in headers {
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests;

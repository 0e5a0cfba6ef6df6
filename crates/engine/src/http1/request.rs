//! Builds a request as bytes, once for each step of the plan.

use proofload_api::scenario::Method;
use proofload_plan::Request;

/// A request, ready to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Prepared {
    /// Head and body.
    pub(crate) bytes: Box<[u8]>,
    /// The answer has no body, whatever its head says.
    pub(crate) is_head: bool,
    /// The request itself says that the connection ends with it.
    pub(crate) closes: bool,
}

/// A request that would not be HTTP, or would be more than one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a request without control characters, got one in {0}")]
pub(crate) struct InvalidRequest(String);

/// The request as bytes. The plan has its `Host` among the headers; the length of the body is added here.
pub(crate) fn prepare(request: &Request) -> Result<Prepared, InvalidRequest> {
    let mut bytes = Vec::with_capacity(256);
    let is_token = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
    if !is_token(&request.path) {
        return Err(InvalidRequest("the path".to_owned()));
    }
    bytes.extend(format!("{} {} HTTP/1.1\r\n", request.method.as_str(), request.path).into_bytes());
    let mut closes = false;
    for (name, value) in &request.headers {
        let is_value = value.bytes().all(|b| b == b'\t' || !b.is_ascii_control());
        if !is_token(name) || name.contains(':') || !is_value {
            return Err(InvalidRequest(format!("the header {name:?}")));
        }
        closes |= name.eq_ignore_ascii_case("connection") && value.trim().eq_ignore_ascii_case("close");
        bytes.extend(format!("{name}: {value}\r\n").into_bytes());
    }
    if let Some(body) = &request.body {
        bytes.extend(format!("Content-Length: {}\r\n", body.len()).into_bytes());
    }
    bytes.extend(b"\r\n");
    bytes.extend(request.body.as_deref().unwrap_or_default().as_bytes());
    Ok(Prepared { bytes: bytes.into(), is_head: request.method == Method::Head, closes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[(&str, &str)], body: Option<&str>) -> Request {
        Request {
            method: Method::Post,
            path: "/a?b=c".to_owned(),
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            body: body.map(str::to_owned),
        }
    }

    #[test]
    fn a_request_is_its_head_and_body() {
        let prepared = prepare(&request(&[("Host", "a:8080"), ("Connection", "Close")], Some("hi"))).unwrap();
        let expected = "POST /a?b=c HTTP/1.1\r\nHost: a:8080\r\nConnection: Close\r\nContent-Length: 2\r\n\r\nhi";
        assert_eq!(String::from_utf8_lossy(&prepared.bytes), expected);
        assert!(prepared.closes && !prepared.is_head);
        assert!(prepare(&request(&[], None)).unwrap().bytes.ends_with(b" HTTP/1.1\r\n\r\n"));
    }

    #[test]
    fn a_request_is_never_two() {
        assert!(prepare(&request(&[("A", "b\r\nC: d")], None)).is_err());
        assert!(prepare(&request(&[("A: b\r\nC", "d")], None)).is_err());
        assert!(prepare(&Request { path: "/a b".to_owned(), ..request(&[], None) }).is_err());
    }
}

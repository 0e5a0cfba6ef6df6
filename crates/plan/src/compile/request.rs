//! Requests: addresses, headers and bodies, checked and resolved.

use std::collections::BTreeMap;

use http::uri::{Authority, Uri};
use http::{HeaderName, HeaderValue};
use proofload_api::admission::WEB_SOCKET;
use proofload_api::step::{Auth, Redirects, Request as ApiRequest};
use proofload_api::units::Micros;

use super::Problems;
use super::body::body;
use super::names::{Names, Parts, Put};
use super::pieces::{Piece, pieces};
use crate::model::Request;
use crate::template::{Part, Template};

/// What every request of a test has in common.
pub(super) struct Base<'a> {
    pub(super) authority: String,
    /// Without a slash at its end.
    pub(super) path: String,
    pub(super) headers: Vec<Header<'a>>,
    pub(super) redirects: Redirects,
    pub(super) timeout: Micros,
    /// Whether each connection takes one request only.
    pub(super) close: bool,
    /// What separates the parts of an upload.
    pub(super) boundary: String,
}

/// A header as it is written.
pub(super) struct Header<'a> {
    pub(super) name: &'a str,
    content: Content<'a>,
    /// Where it is written.
    pub(super) path: String,
}

#[derive(Clone, Copy)]
enum Content<'a> {
    Text(&'a str),
    Auth(&'a Auth),
}

impl<'a> Header<'a> {
    /// Every text in it that can have templates.
    pub(super) fn texts(&self) -> Vec<&'a str> {
        match self.content {
            Content::Text(text) => vec![text],
            Content::Auth(auth) => {
                let basic = auth.basic.iter().flat_map(|basic| [basic.username.as_str(), basic.password.as_str()]);
                auth.bearer.as_deref().into_iter().chain(basic).collect()
            }
        }
    }
}

/// A base URL taken apart.
pub(super) struct Address {
    pub(super) is_secure: bool,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) authority: String,
    pub(super) path: String,
}

const UNKNOWN: Address =
    Address { is_secure: false, host: String::new(), port: 0, authority: String::new(), path: String::new() };
const URL: &str = "an address such as http://api.shop.svc:8080";

pub(super) fn base_url(url: &str, path: &str, problems: &mut Problems) -> Address {
    let shown = shown(url);
    let uri: Uri = match url.parse() {
        Ok(uri) => uri,
        Err(error) => {
            problems.add(path, URL, format!("{shown:?}: {error}"));
            return UNKNOWN;
        }
    };
    let is_secure = match uri.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        Some("ws" | "wss") => {
            problems.add_hint(path, URL, format!("{shown:?}"), WEB_SOCKET);
            return UNKNOWN;
        }
        _ => {
            problems.add(path, URL, format!("{shown:?}"));
            return UNKNOWN;
        }
    };
    let authority = uri.authority().filter(|authority| !authority.host().is_empty());
    let Some(authority) = authority else {
        problems.add(path, URL, format!("{shown:?}, which has no host"));
        return UNKNOWN;
    };
    if uri.query().is_some() || url.contains('#') || authority.as_str().contains('@') {
        problems.add(path, "no user, query or fragment in it", format!("{shown:?}"));
    }
    let Some(port) = port(authority, is_secure) else {
        problems.add(path, "a port of 1 to 65535", format!("{shown:?}"));
        return UNKNOWN;
    };
    Address {
        is_secure,
        host: authority.host().trim_matches(['[', ']']).to_owned(),
        port,
        authority: authority.as_str().to_owned(),
        path: uri.path().trim_end_matches('/').to_owned(),
    }
}

/// An address in words; without a user and a password, which go into no status and no event.
fn shown(url: &str) -> String {
    let begin = url.find("://").map_or(0, |scheme| scheme + 3);
    match url.rfind('@') {
        Some(at) if at >= begin => format!("{}...{}", &url[..begin], &url[at..]),
        _ => url.to_owned(),
    }
}

fn port(authority: &Authority, is_secure: bool) -> Option<u16> {
    let default = if is_secure { 443 } else { 80 };
    let written = authority.as_str().strip_prefix(authority.host()).unwrap_or_default();
    if written.is_empty() { Some(default) } else { authority.port_u16().filter(|port| *port > 0) }
}

/// Headers that the engine sets itself: they say how the message is framed, or make a web socket of a connection.
const OURS: [&str; 7] = [
    "content-length",
    "transfer-encoding",
    "connection",
    "upgrade",
    "sec-websocket-key",
    "sec-websocket-version",
    "sec-websocket-extensions",
];

pub(super) fn is_header(name: &str) -> bool {
    HeaderName::from_bytes(name.as_bytes()).is_ok()
}

/// The headers of a target or of a step; `path` is of what has them.
pub(super) fn headers<'a>(
    headers: &'a BTreeMap<String, String>,
    auth: Option<&'a Auth>,
    path: &str,
    problems: &mut Problems,
) -> Vec<Header<'a>> {
    let mut checked: Vec<Header<'a>> = Vec::with_capacity(headers.len() + 1);
    for (name, value) in headers {
        let path = format!("{path}.headers.{name}");
        if !is_header(name) {
            problems.add(&path, "a header name of letters, digits and -", format!("{name:?}"));
        } else if OURS.iter().any(|ours| ours.eq_ignore_ascii_case(name)) {
            problems.add_hint(&path, "another header", format!("{name:?}"), "the load engine sets this one itself");
        } else if name.eq_ignore_ascii_case("sec-websocket-protocol") {
            let hint = "a step names them in webSocket.connect.protocols";
            problems.add_hint(&path, "no protocols of a web socket as a header", format!("{name:?}"), hint);
        } else if let Some(wrong) = unfit(value) {
            // Never the value itself: it may be a secret, and this goes into status and events.
            let came = format!("{} characters, one of them {wrong:?}", value.chars().count());
            problems.add(&path, "a value of visible characters on one line", came);
        } else if let Some(first) = checked.iter().find(|other| other.name.eq_ignore_ascii_case(name)) {
            problems.add(&path, "each header once", format!("{:?} and {name:?}", first.name));
        } else {
            checked.push(Header { name, content: Content::Text(value), path });
        }
    }
    if let Some(auth) = auth {
        let path = format!("{path}.auth");
        if auth.basic.is_some() == auth.bearer.is_some() {
            let came = if auth.basic.is_some() { "both" } else { "neither" };
            problems.add(&path, "exactly one of basic and bearer", came);
        } else if checked.iter().any(|other| other.name.eq_ignore_ascii_case("authorization")) {
            problems.add(&path, "either auth or a header Authorization", "both");
        } else {
            checked.push(Header { name: "Authorization", content: Content::Auth(auth), path });
        }
    }
    checked
}

/// A character that no header's value can have; templates are escaped when they are filled in.
fn unfit(value: &str) -> Option<char> {
    let fixed = |piece: &Piece<'_>| match piece {
        Piece::Text(text) => HeaderValue::from_str(text).is_err().then(|| (*text).to_owned()),
        Piece::Place(..) => None,
    };
    let wrong = pieces(value).unwrap_or_default().iter().find_map(fixed)?;
    Some(wrong.chars().find(|c| !(' '..='~').contains(c)).unwrap_or_default())
}

pub(super) fn request(
    request: &ApiRequest,
    base: &Base<'_>,
    names: &mut Names<'_>,
    path: &str,
    problems: &mut Problems,
) -> Request {
    let own = headers(&request.headers, request.auth.as_ref(), path, problems);
    let (body, content_type) = body(request, base, names, path, problems);
    let typed = own.iter().find(|header| header.name.eq_ignore_ascii_case("content-type"));
    if let Some(header) = typed.filter(|_| !request.multipart.is_empty()) {
        let hint = "multipart sets it, with the boundary between the parts";
        problems.add_hint(&header.path, "no Content-Type beside multipart", "one", hint);
    }
    Request {
        method: request.method,
        path: target(&request.path, base, names, &format!("{path}.path"), problems),
        headers: merge(base, &own, content_type, names, problems),
        body,
        redirects: request.redirects.unwrap_or(base.redirects),
    }
}

/// The path and query of a request, below the target's.
pub(super) fn target(
    text: &str,
    base: &Base<'_>,
    names: &mut Names<'_>,
    path: &str,
    problems: &mut Problems,
) -> Template {
    let is_right = |piece: &Piece<'_>| match piece {
        Piece::Text(text) => text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#'),
        Piece::Place(..) => true,
    };
    let fixed = pieces(text).unwrap_or_default();
    if !text.starts_with('/') || text.starts_with("{{") || !fixed.iter().all(is_right) {
        let expected = "a path that begins with / and has no space and no fragment, percent-encoded where needed";
        problems.add(path, expected, format!("{text:?}"));
    }
    let mut parts = Parts::default();
    parts.text(&base.path);
    names.append(text, Put::Path, path, problems, &mut parts);
    parts.finish()
}

/// `Host` first; a step's header replaces the target's of the same name.
pub(super) fn merge(
    base: &Base<'_>,
    own: &[Header<'_>],
    content_type: Option<String>,
    names: &mut Names<'_>,
    problems: &mut Problems,
) -> Vec<(String, Template)> {
    let mut merged: Vec<(String, Template)> = Vec::with_capacity(own.len() + base.headers.len() + 4);
    let has = |merged: &[(String, Template)], name: &str| merged.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
    // The target's `Bearer {{token}}` is not for the step that gets the token.
    let given = base.headers.iter().filter(|header| !header.texts().iter().any(|text| names.is_early(text)));
    let given: Vec<&Header<'_>> = own.iter().chain(given).collect();
    for header in given {
        if !has(&merged, header.name) {
            merged.push((header.name.to_owned(), content(header, names, problems)));
        }
    }
    let defaults = [
        ("Content-Type", content_type),
        ("User-Agent", Some(concat!("proofload/", env!("CARGO_PKG_VERSION")).to_owned())),
        ("Connection", base.close.then(|| "close".to_owned())),
    ];
    for (name, value) in defaults {
        if let Some(value) = value.filter(|_| !has(&merged, name)) {
            merged.push((name.to_owned(), Template::text(value)));
        }
    }
    match merged.iter().position(|(name, _)| name.eq_ignore_ascii_case("host")) {
        Some(host) => merged[..=host].rotate_right(1),
        None => merged.insert(0, ("Host".to_owned(), Template::text(base.authority.clone()))),
    }
    merged
}

/// What a header says, compiled.
pub(super) fn content(header: &Header<'_>, names: &mut Names<'_>, problems: &mut Problems) -> Template {
    let auth = match header.content {
        Content::Text(text) => return names.template(text, Put::Header, &header.path, problems),
        Content::Auth(auth) => auth,
    };
    let mut parts = Parts::default();
    if let Some(token) = &auth.bearer {
        let path = format!("{}.bearer", header.path);
        if unfit(token).is_some() {
            problems.add(&path, "a token of visible characters on one line", "another character in it");
        }
        parts.text("Bearer ");
        names.append(token, Put::Header, &path, problems, &mut parts);
    } else if let Some(basic) = &auth.basic {
        let mut credentials = Parts::default();
        let path = format!("{}.basic.username", header.path);
        let fixed = pieces(&basic.username).unwrap_or_default();
        if fixed.iter().any(|piece| matches!(piece, Piece::Text(text) if text.contains(':'))) {
            problems.add(&path, "a name without a colon, which ends it", "one with a colon");
        }
        names.append(&basic.username, Put::Plain, &path, problems, &mut credentials);
        credentials.text(":");
        let path = format!("{}.basic.password", header.path);
        names.append(&basic.password, Put::Plain, &path, problems, &mut credentials);
        parts.text("Basic ");
        parts.0.push(Part::Base64(credentials.finish()));
    }
    parts.finish()
}

//! Steps and their requests: addresses, headers and bodies, checked and resolved.

use std::collections::BTreeMap;

use http::uri::{Authority, Uri};
use http::{HeaderName, HeaderValue};
use proofload_api::scenario::{Flow, Request as ApiRequest, Scenario as ApiScenario, StatusPattern, Step as ApiStep};

use crate::compile::{Problems, unique};
use crate::model::{Request, Step};

/// What every request of a test has in common.
pub(crate) struct Base {
    pub(crate) authority: String,
    /// Without a slash at its end.
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
}

/// A base URL taken apart.
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) authority: String,
    pub(crate) path: String,
}

const UNKNOWN: Address = Address { host: String::new(), port: 0, authority: String::new(), path: String::new() };
const URL: &str = "an address such as http://api.shop.svc:8080";

pub(crate) fn base_url(url: &str, path: &str, problems: &mut Problems) -> Address {
    let uri: Uri = match url.parse() {
        Ok(uri) => uri,
        Err(error) => {
            problems.add(path, URL, format!("{url:?}: {error}"));
            return UNKNOWN;
        }
    };
    if uri.scheme_str() != Some("http") {
        let hint = "this version sends plain HTTP/1.1 only";
        problems.add_hint(path, URL, format!("{url:?}"), hint);
        return UNKNOWN;
    }
    let authority = uri.authority().filter(|authority| !authority.host().is_empty());
    let Some(authority) = authority else {
        problems.add(path, URL, format!("{url:?}, which has no host"));
        return UNKNOWN;
    };
    if uri.query().is_some() || url.contains('#') || authority.as_str().contains('@') {
        problems.add(path, "no user, query or fragment in it", format!("{url:?}"));
    }
    let Some(port) = port(authority) else {
        problems.add(path, "a port of 1 to 65535", format!("{url:?}"));
        return UNKNOWN;
    };
    Address {
        host: authority.host().trim_matches(['[', ']']).to_owned(),
        port,
        authority: authority.as_str().to_owned(),
        path: uri.path().trim_end_matches('/').to_owned(),
    }
}

fn port(authority: &Authority) -> Option<u16> {
    let written = authority.as_str().strip_prefix(authority.host()).unwrap_or_default();
    if written.is_empty() { Some(80) } else { authority.port_u16().filter(|port| *port > 0) }
}

/// Headers that the engine sets itself: they say how the message is framed.
const OURS: [&str; 4] = ["content-length", "transfer-encoding", "connection", "upgrade"];

pub(crate) fn headers(
    headers: &BTreeMap<String, String>,
    path: &str,
    problems: &mut Problems,
) -> Vec<(String, String)> {
    let mut checked: Vec<(String, String)> = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        let path = format!("{path}.{name}");
        if HeaderName::from_bytes(name.as_bytes()).is_err() {
            problems.add(&path, "a header name of letters, digits and -", format!("{name:?}"));
        } else if OURS.iter().any(|ours| ours.eq_ignore_ascii_case(name)) {
            problems.add_hint(&path, "another header", format!("{name:?}"), "the load engine sets this one itself");
        } else if HeaderValue::from_str(value).is_err() {
            // Never the value itself: it may be a secret, and this goes into status and events.
            let wrong = value.chars().find(|c| !(' '..='~').contains(c)).unwrap_or_default();
            let came = format!("{} characters, one of them {wrong:?}", value.chars().count());
            problems.add(&path, "a value of visible characters on one line", came);
        } else if let Some((first, _)) = checked.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)) {
            problems.add(&path, "each header once", format!("{first:?} and {name:?}"));
        } else {
            no_template(value, &path, problems);
            checked.push((name.clone(), value.clone()));
        }
    }
    checked
}

/// A template that nobody fills in would be sent as it stands: a wrong test that looks right.
fn no_template(text: &str, path: &str, problems: &mut Problems) {
    if text.contains("{{") {
        problems.add(path, "no {{: this version sends everything as it stands", "a template");
    }
}

pub(crate) fn steps(scenario: &ApiScenario, base: &Base, path: &str, problems: &mut Problems) -> Vec<Step> {
    if scenario.steps.is_empty() {
        problems.add(format!("{path}.steps"), "at least one step", "none");
    }
    let weighted = scenario.flow == Flow::Weighted;
    if weighted && !scenario.steps.is_empty() && scenario.steps.iter().all(|step| step.weight == Some(0)) {
        problems.add(format!("{path}.steps"), "at least one step with a weight above 0", "weights that are all 0");
    }
    let names: Vec<&str> = scenario.steps.iter().map(|step| step.name.as_str()).collect();
    let mut steps = Vec::with_capacity(scenario.steps.len());
    for (i, step) in scenario.steps.iter().enumerate() {
        let path = format!("{path}.steps[{i}]");
        unique(&names, i, "step", &path, problems);
        if !weighted && step.weight.is_some() {
            let hint = "remove it, or set flow: Weighted";
            problems.add_hint(&format!("{path}.weight"), "no weight in a Sequence", "a weight", hint);
        }
        steps.push(Step {
            name: step.name.clone(),
            weight: step.weight.unwrap_or(1),
            request: request(&step.request, base, &format!("{path}.request"), problems),
            expect: expect(step, &path, problems),
        });
    }
    steps
}

fn expect(step: &ApiStep, path: &str, problems: &mut Problems) -> Vec<StatusPattern> {
    match &step.expect {
        None => vec![StatusPattern::Class(2), StatusPattern::Class(3)],
        Some(expect) => {
            if expect.status.is_empty() {
                problems.add(format!("{path}.expect.status"), "at least one status such as 2xx or 429", "none");
            }
            expect.status.clone()
        }
    }
}

fn request(request: &ApiRequest, base: &Base, path: &str, problems: &mut Problems) -> Request {
    let own = headers(&request.headers, &format!("{path}.headers"), problems);
    let target = &request.path;
    let printable = target.starts_with('/') && target.bytes().all(|byte| byte.is_ascii_graphic());
    if !printable || target.contains('#') {
        let expected = "a path that begins with / and has no space and no fragment, percent-encoded where needed";
        problems.add(format!("{path}.path"), expected, format!("{target:?}"));
    }
    no_template(target, &format!("{path}.path"), problems);
    if request.body.is_some() && request.json.is_some() {
        problems.add(path, "at most one body: either body or json", "both");
    }
    let json = request.json.as_ref().map(ToString::to_string);
    let field = if json.is_some() { "json" } else { "body" };
    let body = json.clone().or_else(|| request.body.clone());
    if let Some(body) = &body {
        no_template(body, &format!("{path}.{field}"), problems);
    }
    Request {
        method: request.method,
        path: format!("{}{target}", base.path),
        headers: merge_headers(base, own, json.is_some()),
        body,
    }
}

/// `Host` first; a step's header replaces the target's of the same name.
fn merge_headers(base: &Base, own: Vec<(String, String)>, json: bool) -> Vec<(String, String)> {
    let mut merged = own;
    let has = |merged: &[(String, String)], name: &str| merged.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
    for (name, value) in &base.headers {
        if !has(&merged, name) {
            merged.push((name.clone(), value.clone()));
        }
    }
    if json && !has(&merged, "content-type") {
        merged.push(("Content-Type".to_owned(), "application/json".to_owned()));
    }
    if !has(&merged, "user-agent") {
        merged.push(("User-Agent".to_owned(), concat!("proofload/", env!("CARGO_PKG_VERSION")).to_owned()));
    }
    match merged.iter().position(|(name, _)| name.eq_ignore_ascii_case("host")) {
        Some(host) => merged[..=host].rotate_right(1),
        None => merged.insert(0, ("Host".to_owned(), base.authority.clone())),
    }
    merged
}

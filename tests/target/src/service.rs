//! A small pretend service: login and tokens, sessions by cookie, forms, redirects, jobs, uploads, and an echo.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::counts::Ledger;
use crate::request::{Full, Request};
use crate::upload;

/// The most tokens, sessions, forms and jobs that are remembered, of each; the oldest ones are forgotten.
const MAX_KNOWN: usize = 100_000;
const SESSION: &str = "session";

/// An answer of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        let headers = vec![("Content-Type", "application/json".to_owned())];
        Self { status, headers, body: format!("{body}\n").into_bytes() }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// What the service remembers.
#[derive(Debug, Default)]
pub(crate) struct Service {
    inner: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    last: u64,
    /// How often each has been used.
    tokens: BTreeMap<u64, u64>,
    /// How often each was here.
    sessions: BTreeMap<u64, u64>,
    /// Whether each has come back.
    forms: BTreeMap<u64, bool>,
    /// How often each will yet say that it is queued.
    jobs: BTreeMap<u64, u64>,
}

impl Known {
    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }
}

/// Remembers something under a number, and forgets the oldest if that is too much.
fn remember<V>(known: &mut BTreeMap<u64, V>, id: u64, value: V) {
    known.insert(id, value);
    if known.len() > MAX_KNOWN {
        known.pop_first();
    }
}

/// A text that stands for a number and cannot be taken for another kind's.
fn text(kind: &str, id: u64) -> String {
    format!("{kind}-{id}-{:016x}", id.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17) ^ kind.len() as u64)
}

/// The number, if the text is one that [`text`] made.
fn number(kind: &str, given: &str) -> Option<u64> {
    let id = given.strip_prefix(kind)?.strip_prefix('-')?.split('-').next()?.parse().ok()?;
    (text(kind, id) == given).then_some(id)
}

/// Whether a path is answered by the service, which then needs all of the request.
pub(crate) fn answers(path: &str) -> bool {
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    matches!(
        first,
        "login"
            | "logout"
            | "private"
            | "basic"
            | "session"
            | "set-cookie"
            | "redirect"
            | "echo"
            | "form"
            | "jobs"
            | "upload"
    )
}

/// The first value of a parameter of the query, or of a form.
fn parameter(query: &[u8], name: &str) -> Option<String> {
    form_urlencoded::parse(query).find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}

fn bearer(request: &Full) -> Option<u64> {
    number("token", request.header("authorization")?.strip_prefix("Bearer ")?)
}

impl Service {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request's session cookie, if it has one; the session, if it is open.
    pub(crate) fn session(&self, cookies: Option<&str>, ledger: &Ledger) -> Option<u64> {
        let mut pairs = cookies?.split(';').filter_map(|pair| pair.trim().split_once('='));
        let (_, value) = pairs.find(|(name, _)| *name == SESSION)?;
        let open = number(SESSION, value).filter(|id| self.lock().sessions.contains_key(id));
        ledger.sessions(|sessions| match open {
            Some(_) => sessions.known += 1,
            None => sessions.unknown += 1,
        });
        open
    }

    /// The answer to a request whose path [`answers`].
    pub(crate) async fn answer(&self, request: &Request, session: Option<u64>, ledger: &Ledger) -> Answer {
        let Some(full) = &request.full else { return Answer::json(500, &json!({"error": "the request was not kept"})) };
        let path: Vec<&str> = request.path.trim_start_matches('/').split('/').collect();
        match path[..] {
            ["login"] => self.login(),
            ["logout"] => match bearer(full).and_then(|id| self.lock().tokens.remove(&id)) {
                Some(uses) => Answer::json(200, &json!({"ok": true, "uses": uses})),
                None => refused(),
            },
            ["private", ..] => match bearer(full).and_then(|id| self.use_token(id)) {
                Some(uses) => Answer::json(200, &json!({"ok": true, "uses": uses})),
                None => refused(),
            },
            ["basic", user, password] => {
                let expected = format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")));
                let ok = full.header("authorization") == Some(&expected);
                if ok { Answer::json(200, &json!({"ok": true})) } else { refused() }
            }
            ["session"] => self.open_session(session, ledger),
            ["session", "end"] => self.end_session(session),
            ["set-cookie"] => {
                let cookies = form_urlencoded::parse(request.query.as_bytes()).filter(|(name, _)| name == "cookie");
                let answer = Answer::json(200, &json!({"ok": true}));
                cookies.fold(answer, |answer, (_, value)| answer.with("Set-Cookie", value))
            }
            ["redirect", status, ..] => redirect(status, path.get(2).copied(), &request.query),
            ["echo", ..] => echo(request, full),
            ["form"] => self.form(full),
            ["jobs"] => self.begin_job(&request.query),
            ["jobs", id] => self.look_at_job(id),
            ["upload"] => upload::answer(full, ledger).await,
            _ => Answer::json(404, &json!({"error": "not found"})),
        }
    }

    fn login(&self) -> Answer {
        let mut known = self.lock();
        let id = known.next();
        remember(&mut known.tokens, id, 0);
        let token = text("token", id);
        Answer::json(200, &json!({"token": token, "expiresIn": 3600})).with("X-Token", token)
    }

    /// How often it has been used now, if it is known.
    fn use_token(&self, id: u64) -> Option<u64> {
        let mut known = self.lock();
        let uses = known.tokens.get_mut(&id)?;
        *uses += 1;
        Some(*uses)
    }

    fn open_session(&self, session: Option<u64>, ledger: &Ledger) -> Answer {
        let mut known = self.lock();
        if let Some(id) = session {
            let seen = known.sessions.entry(id).or_default();
            *seen += 1;
            return Answer::json(200, &json!({"session": text(SESSION, id), "new": false, "visits": *seen}));
        }
        let id = known.next();
        remember(&mut known.sessions, id, 1);
        ledger.sessions(|sessions| sessions.opened += 1);
        let value = text(SESSION, id);
        Answer::json(200, &json!({"session": value, "new": true, "visits": 1}))
            .with("Set-Cookie", format!("{SESSION}={value}; Path=/; HttpOnly"))
    }

    fn end_session(&self, session: Option<u64>) -> Answer {
        let ended = session.and_then(|id| self.lock().sessions.remove(&id)).is_some();
        Answer::json(200, &json!({"ended": ended})).with("Set-Cookie", format!("{SESSION}=; Path=/; Max-Age=0"))
    }

    /// A page with a form, whose hidden token must come back; each token is good for once.
    fn form(&self, full: &Full) -> Answer {
        let mut known = self.lock();
        if full.method == "POST" {
            let given = parameter(&full.body, "csrf").and_then(|value| number("csrf", &value));
            let used = given.and_then(|id| known.forms.get_mut(&id));
            return match used.filter(|used| !**used) {
                Some(used) => {
                    *used = true;
                    Answer::json(200, &json!({"ok": true}))
                }
                None => Answer::json(403, &json!({"error": "the form's token is missing, wrong or used"})),
            };
        }
        let id = known.next();
        remember(&mut known.forms, id, false);
        let csrf = text("csrf", id);
        let page = format!("<form method=\"post\">\n<input type=\"hidden\" name=\"csrf\" value=\"{csrf}\">\n</form>\n");
        Answer { status: 200, headers: vec![("Content-Type", "text/html".to_owned())], body: page.into_bytes() }
    }

    fn begin_job(&self, query: &str) -> Answer {
        let polls = parameter(query.as_bytes(), "polls").and_then(|polls| polls.parse().ok()).unwrap_or(3);
        let mut known = self.lock();
        let id = known.next();
        remember(&mut known.jobs, id, polls);
        Answer::json(201, &json!({"id": id, "state": "queued"})).with("Location", format!("/jobs/{id}"))
    }

    /// A job is queued when it is looked at so many times, and done from then on.
    fn look_at_job(&self, id: &str) -> Answer {
        let mut known = self.lock();
        let Some(left) = id.parse().ok().and_then(|id| known.jobs.get_mut(&id)) else {
            return Answer::json(404, &json!({"error": "there is no such job"}));
        };
        let state = if *left == 0 { "done" } else { "queued" };
        *left = left.saturating_sub(1);
        Answer::json(200, &json!({"id": id.parse::<u64>().ok(), "state": state}))
    }
}

fn refused() -> Answer {
    Answer::json(401, &json!({"error": "the token is missing or wrong"})).with("WWW-Authenticate", "Bearer")
}

/// To where `to` says; or so many times to itself.
fn redirect(status: &str, hops: Option<&str>, query: &str) -> Answer {
    let status = status.parse().ok().filter(|status| (300..400).contains(status)).unwrap_or(302);
    let to = match hops.map(str::parse::<u64>) {
        Some(Ok(0)) => return Answer::json(200, &json!({"ok": true})),
        Some(Ok(left)) => format!("/redirect/{status}/{}", left - 1),
        Some(Err(_)) | None => parameter(query.as_bytes(), "to").unwrap_or_else(|| "/fast".to_owned()),
    };
    Answer { status, headers: vec![("Location", to)], body: Vec::new() }
}

/// The request, as JSON: what was read, not what a client meant to send.
fn echo(request: &Request, full: &Full) -> Answer {
    let mut headers: BTreeMap<&str, String> = BTreeMap::new();
    for (name, value) in &full.headers {
        let known = headers.entry(name).or_default();
        if !known.is_empty() {
            known.push_str(", ");
        }
        known.push_str(value);
    }
    let query: BTreeMap<_, _> = form_urlencoded::parse(request.query.as_bytes()).collect();
    Answer::json(
        200,
        &json!({
            "method": full.method, "path": request.path, "rawQuery": request.query, "query": query, "headers": headers,
            "body": String::from_utf8_lossy(&full.body), "bytes": full.body.len(),
            "json": serde_json::from_slice::<Value>(&full.body).ok(),
        }),
    )
}

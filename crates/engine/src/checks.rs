//! What must hold of an answer, and what is kept of it: compiled once, looked at for each.

use std::cell::OnceCell;
use std::sync::Arc;

use memchr::memmem::Finder;
use proofload_api::units::Micros;
use proofload_plan::{CheckKind, ExtractFrom, Plan, Step};
use regex::bytes::Regex;
use serde_json::Value;
use serde_json_path::JsonPath;

use crate::cookies;
use crate::failure::{CheckText, Detail, Why};
use crate::http1::{Kept, Wants, values};
use crate::render::Variables;

/// The longest value that is kept: each user keeps its own.
const MAX_VALUE: usize = 64 << 10;

/// The checks of a step.
pub(crate) struct Checks {
    tests: Vec<(Test, Arc<CheckText>)>,
    /// What is found, and the variable where it is kept.
    extracts: Vec<(Find, usize, Arc<CheckText>)>,
    /// What of an answer they need.
    pub(crate) wants: Wants,
}

enum Test {
    Latency(Micros),
    Header(String, Option<String>),
    Contains(Box<Finder<'static>>),
    Matches(Regex),
    JsonEquals(JsonPath, Value),
    JsonExists(JsonPath),
    Size(u64, u64),
}

enum Find {
    Json(JsonPath),
    Header(String),
    Cookie(String),
    Regex(Regex, usize),
}

/// An answer that came.
pub(crate) struct Answer<'a> {
    kept: &'a Kept<'a>,
    latency: Micros,
    /// The body as JSON, once somebody has asked for it.
    json: OnceCell<Option<Value>>,
}

impl Checks {
    /// The checks of a step, or what is wrong with them.
    pub(crate) fn new(step: &Step, plan: &Plan) -> Result<Self, String> {
        let mut wants = Wants::default();
        let tests = step.checks.iter().map(|check| {
            match &check.kind {
                CheckKind::Latency(_) | CheckKind::Size { .. } => {}
                CheckKind::Header(..) => wants.head = true,
                _ => wants.body = true,
            }
            let text = CheckText { name: check.name.clone(), expected: expected(&check.kind) };
            let made = Test::new(&check.kind).map_err(|error| format!("check {}: {error}", check.name))?;
            Ok((made, Arc::new(text)))
        });
        let tests = tests.collect::<Result<_, String>>()?;
        let extracts = step.extract.iter().map(|extract| {
            match &extract.from {
                ExtractFrom::Header(_) | ExtractFrom::Cookie(_) => wants.head = true,
                ExtractFrom::Json(_) | ExtractFrom::Regex(..) => wants.body = true,
            }
            let variable = plan.variables.get(extract.variable);
            let variable = variable.ok_or_else(|| format!("it has no variable {}", extract.variable))?;
            let text = CheckText { name: format!("extract {variable}"), expected: expected_source(&extract.from) };
            let find = Find::new(&extract.from).map_err(|error| format!("extract {variable}: {error}"))?;
            Ok((find, extract.variable, Arc::new(text)))
        });
        let extracts = extracts.collect::<Result<_, String>>()?;
        Ok(Self { tests, extracts, wants })
    }

    /// Whether there is nothing to look at.
    pub(crate) fn is_empty(&self) -> bool {
        self.tests.is_empty() && self.extracts.is_empty()
    }

    /// Looks at an answer, and keeps what is to be kept of it. Whether each check held goes to `held`, in the order of
    /// the plan: checks, then extracts. The first that did not is named.
    pub(crate) fn judge(&self, answer: &Answer<'_>, variables: &mut Variables, held: &mut Vec<bool>) -> Option<Detail> {
        held.clear();
        let mut first = None;
        let mut note = |result: Result<(), Why>, text: &Arc<CheckText>| {
            held.push(result.is_ok());
            if let Err(why) = result {
                first.get_or_insert_with(|| Detail::Check(Arc::clone(text), why));
            }
        };
        for (test, text) in &self.tests {
            note(test.holds(answer).and_then(|holds| holds.then_some(()).ok_or(Why::Expected)), text);
        }
        for (find, variable, text) in &self.extracts {
            let (result, value) = match find.find(answer) {
                Ok(Some(value)) if value.len() > MAX_VALUE => (Err(Why::LongValue), None),
                Ok(Some(value)) => (Ok(()), Some(value)),
                Ok(None) => (Err(Why::Expected), None),
                Err(why) => (Err(why), None),
            };
            note(result, text);
            variables.set(*variable, value);
        }
        first
    }

    /// No answer was looked at: what would have been kept of it is not known.
    pub(crate) fn forget(&self, variables: &mut Variables) {
        self.extracts.iter().for_each(|(_, variable, _)| variables.set(*variable, None));
    }
}

impl Test {
    fn new(kind: &CheckKind) -> Result<Self, String> {
        Ok(match kind {
            CheckKind::Latency(most) => Self::Latency(*most),
            CheckKind::Header(name, value) => Self::Header(name.clone(), value.clone()),
            CheckKind::Contains(text) => Self::Contains(Box::new(Finder::new(text).into_owned())),
            CheckKind::Matches(pattern) => Self::Matches(regex(pattern)?),
            CheckKind::JsonEquals(path, value) => Self::JsonEquals(json_path(path)?, value.clone()),
            CheckKind::JsonExists(path) => Self::JsonExists(json_path(path)?),
            CheckKind::Size { min, max } => Self::Size(*min, *max),
        })
    }

    fn holds(&self, answer: &Answer<'_>) -> Result<bool, Why> {
        Ok(match self {
            Self::Latency(most) => answer.latency <= *most,
            Self::Header(name, wanted) => {
                let is_wanted = |value: &&[u8]| wanted.as_ref().is_none_or(|wanted| *value == wanted.trim().as_bytes());
                values(answer.kept.whole_head(), name).iter().any(is_wanted)
            }
            Self::Contains(text) => text.find(answer.body()?).is_some(),
            Self::Matches(pattern) => pattern.is_match(answer.body()?),
            Self::JsonEquals(path, wanted) => path.query(answer.json()?).iter().any(|found| is_same(found, wanted)),
            Self::JsonExists(path) => !path.query(answer.json()?).is_empty(),
            Self::Size(min, max) => (*min..=*max).contains(&answer.kept.length()),
        })
    }
}

impl Find {
    fn new(from: &ExtractFrom) -> Result<Self, String> {
        Ok(match from {
            ExtractFrom::Json(path) => Self::Json(json_path(path)?),
            ExtractFrom::Header(name) => Self::Header(name.clone()),
            ExtractFrom::Cookie(name) => Self::Cookie(name.clone()),
            ExtractFrom::Regex(pattern, group) => {
                let (regex, group) = (regex(pattern)?, *group as usize);
                if group >= regex.captures_len() {
                    return Err(format!("the regular expression has no group {group}"));
                }
                Self::Regex(regex, group)
            }
        })
    }

    /// The value; none where there is none.
    fn find(&self, answer: &Answer<'_>) -> Result<Option<String>, Why> {
        Ok(match self {
            Self::Json(path) => path.query(answer.json()?).first().map(|found| match found {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            }),
            Self::Header(name) => values(answer.kept.whole_head(), name).first().map(|value| text(value)),
            Self::Cookie(name) => {
                let values = values(answer.kept.whole_head(), "set-cookie");
                // What is set last is what counts.
                let mut mine = values.iter().rev().filter_map(|value| cookies::parse(value));
                mine.find(|cookie| cookie.name() == name).map(|cookie| cookie.value().to_owned())
            }
            Self::Regex(regex, group) => {
                let found = regex.captures(answer.body()?);
                found.and_then(|found| found.get(*group).map(|part| text(part.as_bytes())))
            }
        })
    }
}

impl<'a> Answer<'a> {
    pub(crate) fn new(kept: &'a Kept<'a>, latency: Micros) -> Self {
        Self { kept, latency, json: OnceCell::new() }
    }

    fn body(&self) -> Result<&[u8], Why> {
        self.kept.whole_body().ok_or(Why::TooLong)
    }

    fn json(&self) -> Result<&Value, Why> {
        let body = self.body()?;
        self.json.get_or_init(|| serde_json::from_slice(body).ok()).as_ref().ok_or(Why::NotJson)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn regex(pattern: &str) -> Result<Regex, String> {
    Regex::new(pattern).map_err(|error| error.to_string())
}

fn json_path(path: &str) -> Result<JsonPath, String> {
    proofload_plan::json_path::parse(path).map_err(|error| error.to_string())
}

/// Whether two values are the same; numbers are however they are written.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(a), Value::Number(b)) => a == b || (a.is_f64() || b.is_f64()) && a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| is_same(a, b)))
        }
        _ => one == other,
    }
}

/// What a check expects, as the plan has it. Values of headers are not shown.
fn expected(kind: &CheckKind) -> String {
    match kind {
        CheckKind::Latency(most) => format!("an answer within {most}"),
        CheckKind::Header(_, None) => "the header".to_owned(),
        CheckKind::Header(_, Some(_)) => "the header with the value of the test".to_owned(),
        CheckKind::Contains(text) => short(&format!("{text:?}")),
        CheckKind::Matches(pattern) => format!("a match of {}", short(pattern)),
        CheckKind::JsonEquals(_, value) => short(&value.to_string()),
        CheckKind::JsonExists(_) => "something there".to_owned(),
        CheckKind::Size { min, max: u64::MAX } => format!("at least {min} bytes"),
        CheckKind::Size { min, max } => format!("{min} to {max} bytes"),
    }
}

fn expected_source(from: &ExtractFrom) -> String {
    match from {
        ExtractFrom::Json(path) => format!("a value at {}", short(path)),
        ExtractFrom::Header(name) => format!("the header {name}"),
        ExtractFrom::Cookie(name) => format!("the cookie {name}"),
        ExtractFrom::Regex(pattern, _) => format!("a match of {}", short(pattern)),
    }
}

/// The begin of a long text.
fn short(text: &str) -> String {
    const MAX: usize = 100;
    match text.char_indices().nth(MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;

//! What is expected of an answer, and what is kept of it.

use proofload_api::step::{Expect, Extract as ApiExtract, StatusPattern, Step as ApiStep};
use proofload_api::units::{ByteSize, Micros};
use regex::Regex;

use super::Problems;
use super::answer::{self, Answer};
use super::names::{Names, is_variable};
use super::pieces::has_place;
use super::request::is_header;
use crate::model::{Check, CheckKind, Extract, ExtractFrom};

/// The good statuses of a step, and its checks in the order in which they are counted.
pub(super) fn expect(step: &ApiStep, path: &str, problems: &mut Problems) -> (Vec<StatusPattern>, Vec<Check>) {
    let default = match answer::of(step) {
        Answer::Whole => vec![StatusPattern::Class(2), StatusPattern::Class(3)],
        Answer::Handshake => vec![StatusPattern::Code(101)],
        Answer::Message | Answer::Time | Answer::Nothing => Vec::new(),
    };
    answer::check(step, path, problems);
    let Some(expect) = &step.expect else { return (default, Vec::new()) };
    let path = format!("{path}.expect");
    if expect.status.as_ref().is_some_and(Vec::is_empty) {
        problems.add(format!("{path}.status"), "at least one status such as 2xx or 429", "none");
    }
    let mut checks = Vec::new();
    if let Some(latency) = expect.latency {
        if latency == Micros::ZERO {
            problems.add(format!("{path}.latency"), "a time longer than 0s", "0s");
        }
        checks.push(Check { name: "latency".to_owned(), kind: CheckKind::Latency(latency) });
    }
    headers(expect, &path, problems, &mut checks);
    body(expect, &path, problems, &mut checks);
    json(expect, &path, problems, &mut checks);
    if let Some(size) = &expect.size {
        let (min, max) = (size.min.unwrap_or_default(), size.max.unwrap_or(ByteSize(u64::MAX)));
        if min > max {
            problems.add(
                format!("{path}.size"),
                "a min that is not larger than max",
                format!("min {min} and max {max}"),
            );
        } else if size.min.is_none() && size.max.is_none() {
            problems.add(format!("{path}.size"), "min or max", "neither");
        }
        checks.push(Check { name: "size".to_owned(), kind: CheckKind::Size { min: min.0, max: max.0 } });
    }
    (expect.status.clone().unwrap_or(default), checks)
}

fn headers(expect: &Expect, path: &str, problems: &mut Problems, checks: &mut Vec<Check>) {
    let mut seen: Vec<&String> = Vec::new();
    for (name, value) in &expect.headers {
        let path = format!("{path}.headers.{name}");
        if !is_header(name) {
            problems.add(&path, "a header name of letters, digits and -", format!("{name:?}"));
        } else if let Some(first) = seen.iter().find(|other| other.eq_ignore_ascii_case(name)) {
            problems.add(&path, "each header once", format!("{first:?} and {name:?}"));
        }
        fixed(value, &path, problems);
        seen.push(name);
        let value = (value != "*").then(|| value.clone());
        checks.push(Check { name: format!("header {name}"), kind: CheckKind::Header(name.clone(), value) });
    }
}

fn body(expect: &Expect, path: &str, problems: &mut Problems, checks: &mut Vec<Check>) {
    let Some(body) = &expect.body else { return };
    if body.contains.is_none() && body.matches.is_none() {
        problems.add(format!("{path}.body"), "contains or matches", "neither");
    }
    if let Some(text) = &body.contains {
        fixed(text, &format!("{path}.body.contains"), problems);
        checks.push(Check { name: "body contains".to_owned(), kind: CheckKind::Contains(text.clone()) });
    }
    if let Some(pattern) = &body.matches {
        regex(pattern, &format!("{path}.body.matches"), problems);
        checks.push(Check { name: "body matches".to_owned(), kind: CheckKind::Matches(pattern.clone()) });
    }
}

fn json(expect: &Expect, path: &str, problems: &mut Problems, checks: &mut Vec<Check>) {
    for (json, value) in &expect.json {
        let path = format!("{path}.json[{json:?}]");
        json_path(json, &path, problems);
        if let Some(text) = value.as_str() {
            fixed(text, &path, problems);
        }
        checks.push(Check { name: format!("json {json}"), kind: CheckKind::JsonEquals(json.clone(), value.clone()) });
    }
    for (i, json) in expect.json_exists.iter().enumerate() {
        let path = format!("{path}.jsonExists[{i}]");
        json_path(json, &path, problems);
        if expect.json.contains_key(json) || expect.json_exists[..i].contains(json) {
            problems.add(&path, "each JSON path once", format!("{json:?} twice"));
        }
        checks.push(Check { name: format!("json {json}"), kind: CheckKind::JsonExists(json.clone()) });
    }
}

/// An expectation is a fixed text: a template in it would be compared as it stands, and never hold.
fn fixed(text: &str, path: &str, problems: &mut Problems) {
    if has_place(text) {
        problems.add(path, "a fixed text, since nothing is filled in here", "a template");
    }
}

/// What a step keeps of its answer.
pub(super) fn extract(step: &ApiStep, names: &Names<'_>, path: &str, problems: &mut Problems) -> Vec<Extract> {
    let mut extracts = Vec::with_capacity(step.extract.len());
    for (name, extract) in &step.extract {
        let path = format!("{path}.extract.{name}");
        if !is_variable(name) {
            let expected = "a name of letters, digits, _ and - that templates have no other meaning for";
            problems.add(&path, expected, format!("{name:?}"));
        }
        let variable = names.variable(name).unwrap_or_default();
        extracts.extend(from(extract, &path, problems).map(|from| Extract { variable, from }));
    }
    extracts
}

fn from(extract: &ApiExtract, path: &str, problems: &mut Problems) -> Option<ExtractFrom> {
    match (&extract.json, &extract.header, &extract.cookie, &extract.regex) {
        (Some(json), None, None, None) => {
            json_path(json, &format!("{path}.json"), problems);
            Some(ExtractFrom::Json(json.clone()))
        }
        (None, Some(header), None, None) => {
            if !is_header(header) {
                let came = format!("{header:?}");
                problems.add(format!("{path}.header"), "a header name of letters, digits and -", came);
            }
            Some(ExtractFrom::Header(header.clone()))
        }
        (None, None, Some(cookie), None) => Some(ExtractFrom::Cookie(cookie.clone())),
        (None, None, None, Some(extract)) => {
            let groups = regex(&extract.pattern, &format!("{path}.regex.pattern"), problems)?;
            let group = extract.group.unwrap_or(u32::from(groups > 0));
            if group > groups {
                let expected = format!("a group that the pattern has: 0 to {groups}");
                problems.add(format!("{path}.regex.group"), expected, group.to_string());
            }
            Some(ExtractFrom::Regex(extract.pattern.clone(), group))
        }
        _ => {
            let given = [
                ("json", extract.json.is_some()),
                ("header", extract.header.is_some()),
                ("cookie", extract.cookie.is_some()),
                ("regex", extract.regex.is_some()),
            ];
            let given: Vec<&str> = given.into_iter().filter(|(_, is)| *is).map(|(name, _)| name).collect();
            let came = if given.is_empty() { "none".to_owned() } else { given.join(" and ") };
            problems.add(path, "exactly one of json, header, cookie and regex", came);
            None
        }
    }
}

/// How many groups a regular expression has, if it is one.
fn regex(pattern: &str, path: &str, problems: &mut Problems) -> Option<u32> {
    match Regex::new(pattern) {
        Ok(regex) => Some(u32::try_from(regex.captures_len() - 1).unwrap_or(u32::MAX)),
        Err(error) => {
            // The crate draws the pattern with a caret below it, and says on the last line what is wrong.
            let text = error.to_string();
            let caret = text.lines().find(|line| line.contains('^') && line.chars().all(|c| matches!(c, ' ' | '^')));
            let column = caret.and_then(|line| line.find('^')).and_then(|at| at.checked_sub(3));
            let place = column.map_or_else(String::new, |column| format!(" at column {column}"));
            let wrong = text.lines().last().unwrap_or_default();
            let wrong = wrong.strip_prefix("error: ").unwrap_or(wrong);
            let came = format!("{wrong}{place} in {:?}", short(pattern));
            problems.add(path, "a regular expression as of Rust's regex crate", came);
            None
        }
    }
}

fn json_path(text: &str, path: &str, problems: &mut Problems) {
    if let Err(error) = crate::json_path::parse(text) {
        let came = format!("{error} in {:?}", short(text));
        problems.add(path, "a JSON path (RFC 9535) such as $.items[0].id", came);
    }
}

fn short(text: &str) -> String {
    if text.chars().count() <= 80 { text.to_owned() } else { text.chars().take(77).chain("...".chars()).collect() }
}

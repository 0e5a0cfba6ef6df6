//! Bodies: texts, JSON, forms, uploads, files.

use proofload_api::step::{Part, Request as ApiRequest};
use serde_json::Value;

use super::Problems;
use super::names::{Names, Parts, Put, percent};
use super::pieces::has_place;
use super::request::Base;
use crate::model::{Body, Piece};

/// What is sent where nothing is known of a file.
const ANY: &str = "application/octet-stream";

/// The body of a request, and the type of its content where no header says otherwise.
pub(super) fn body(
    request: &ApiRequest,
    base: &Base<'_>,
    names: &mut Names<'_>,
    path: &str,
    problems: &mut Problems,
) -> (Body, Option<String>) {
    let given = [
        ("body", request.body.is_some()),
        ("json", request.json.is_some()),
        ("form", !request.form.is_empty()),
        ("multipart", !request.multipart.is_empty()),
        ("file", request.file.is_some()),
    ];
    let given: Vec<&str> = given.into_iter().filter(|(_, is)| *is).map(|(name, _)| name).collect();
    if given.len() > 1 {
        let expected = "at most one body: body, json, form, multipart or file";
        problems.add(path, expected, given.join(" and "));
    }
    let field = format!("{path}.{}", given.first().unwrap_or(&"body"));
    let mut parts = Parts::default();
    if let Some(text) = &request.body {
        (Body::Text(names.template(text, Put::Body, &field, problems)), None)
    } else if let Some(value) = &request.json {
        json(value, names, &field, problems, &mut parts);
        (Body::Text(parts.finish()), Some("application/json".to_owned()))
    } else if !request.form.is_empty() {
        for (i, (name, value)) in request.form.iter().enumerate() {
            let path = format!("{field}.{name}");
            fixed(name, &path, problems);
            parts.text(if i == 0 { "" } else { "&" });
            parts.text(&percent(name));
            parts.text("=");
            names.append(value, Put::Form, &path, problems, &mut parts);
        }
        (Body::Text(parts.finish()), Some("application/x-www-form-urlencoded".to_owned()))
    } else if !request.multipart.is_empty() {
        let pieces = multipart(&request.multipart, &base.boundary, names, &field, problems);
        (Body::Pieces(pieces), Some(format!("multipart/form-data; boundary={}", base.boundary)))
    } else if let Some(file) = &request.file {
        let file = names.file(file, &field, problems);
        (file.map_or(Body::None, Body::File), Some(ANY.to_owned()))
    } else {
        (Body::None, None)
    }
}

/// Written compactly, with what is filled in escaped where it stands.
fn json(value: &Value, names: &mut Names<'_>, path: &str, problems: &mut Problems, parts: &mut Parts) {
    match value {
        Value::String(text) => names.append_json(text, path, problems, parts),
        Value::Array(items) => {
            parts.text("[");
            for (i, item) in items.iter().enumerate() {
                parts.text(if i == 0 { "" } else { "," });
                json(item, names, &format!("{path}[{i}]"), problems, parts);
            }
            parts.text("]");
        }
        Value::Object(fields) => {
            parts.text("{");
            for (i, (name, value)) in fields.iter().enumerate() {
                let path = format!("{path}.{name}");
                parts.text(if i == 0 { "\"" } else { ",\"" });
                names.append(name, Put::Json, &path, problems, parts);
                parts.text("\":");
                json(value, names, &path, problems, parts);
            }
            parts.text("}");
        }
        other => parts.text(&other.to_string()),
    }
}

fn multipart(given: &[Part], boundary: &str, names: &mut Names<'_>, path: &str, problems: &mut Problems) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut parts = Parts::default();
    for (i, part) in given.iter().enumerate() {
        let path = format!("{path}[{i}]");
        let texts = [("fileName", part.file_name.as_ref()), ("contentType", part.content_type.as_ref())];
        for (field, text) in texts.into_iter().chain([("name", Some(&part.name))]) {
            fixed(text.map_or("", String::as_str), &format!("{path}.{field}"), problems);
        }
        if part.content_type.as_ref().is_some_and(|text| text.bytes().any(|byte| byte < b' ')) {
            let expected = "a content type such as image/png, on one line";
            problems.add(format!("{path}.contentType"), expected, "another character in it");
        }
        parts.text(&format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"", quoted(&part.name)));
        if let Some(name) = part.file_name.as_ref().or(part.file.as_ref()) {
            parts.text(&format!("; filename=\"{}\"", quoted(name)));
        }
        let default = part.file.as_ref().map(|_| ANY);
        if let Some(content_type) = part.content_type.as_deref().or(default) {
            parts.text(&format!("\r\nContent-Type: {content_type}"));
        }
        parts.text("\r\n\r\n");
        match (&part.value, &part.file) {
            (Some(value), None) => names.append(value, Put::Plain, &format!("{path}.value"), problems, &mut parts),
            (None, Some(file)) => {
                if let Some(file) = names.file(file, &format!("{path}.file"), problems) {
                    pieces.push(Piece::Text(std::mem::take(&mut parts).finish()));
                    pieces.push(Piece::File(file));
                }
            }
            (value, _) => {
                let came = if value.is_some() { "both" } else { "neither" };
                problems.add(&path, "exactly one of value and file", came);
            }
        }
        parts.text("\r\n");
    }
    parts.text(&format!("--{boundary}--\r\n"));
    pieces.push(Piece::Text(parts.finish()));
    pieces
}

/// As browsers write names in an upload.
fn quoted(text: &str) -> String {
    text.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

/// A template that nobody fills in would be sent as it stands: a wrong test that looks right.
fn fixed(text: &str, path: &str, problems: &mut Problems) {
    if has_place(text) {
        problems.add(path, "a fixed text, since nothing is filled in here", "a template");
    }
}

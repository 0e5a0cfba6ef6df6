//! `/upload`: bodies and the files of multipart bodies, counted and hashed.

use std::fmt::Write as _;

use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::counts::Ledger;
use crate::request::Full;
use crate::service::Answer;

/// Counts what was sent and says what came: the parts of a multipart body, or the body.
pub(crate) async fn answer(request: &Full, ledger: &Ledger) -> Answer {
    let content_type = request.header("content-type").unwrap_or_default();
    let Ok(boundary) = multer::parse_boundary(content_type) else {
        let sha256 = count(&request.body, ledger);
        let body = json!({"bytes": request.body.len(), "sha256": sha256, "contentType": content_type});
        return Answer::json(200, &body);
    };
    match parts(&request.body, boundary, ledger).await {
        Ok(parts) => Answer::json(200, &json!({"bytes": request.body.len(), "parts": parts})),
        Err(error) => Answer::json(400, &json!({"error": format!("not a multipart body: {error}")})),
    }
}

async fn parts(body: &[u8], boundary: String, ledger: &Ledger) -> multer::Result<Vec<Value>> {
    let whole = Ok::<_, std::convert::Infallible>(Bytes::copy_from_slice(body));
    let mut multipart = multer::Multipart::new(futures::stream::iter([whole]), boundary);
    let mut parts = Vec::new();
    while let Some(field) = multipart.next_field().await? {
        let mut part = json!({"name": field.name(), "contentType": field.content_type().map(ToString::to_string)});
        let file_name = field.file_name().map(str::to_owned);
        let bytes = field.bytes().await?;
        part["bytes"] = bytes.len().into();
        match file_name {
            Some(name) => {
                part["fileName"] = name.into();
                part["sha256"] = count(&bytes, ledger).into();
            }
            None => part["value"] = String::from_utf8_lossy(&bytes).into(),
        }
        parts.push(part);
    }
    Ok(parts)
}

/// Counts a file; its SHA-256 in hexadecimal.
fn count(bytes: &[u8], ledger: &Ledger) -> String {
    let mut sha256 = String::new();
    for byte in Sha256::digest(bytes) {
        // Writing to a string cannot fail.
        let _ = write!(sha256, "{byte:02x}");
    }
    ledger.upload(bytes.len() as u64, &sha256);
    sha256
}

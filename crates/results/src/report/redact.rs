//! Keeps what is secret out of a report: the values of headers that carry credentials. Bodies stand as they are, since
//! nothing tells a secret one from another.

use serde_json::Value;

/// What stands in place of a secret.
const REDACTED: &str = "(redacted)";

/// Headers whose names hold one of these carry credentials.
const SECRET: [&str; 8] = ["authorization", "cookie", "token", "secret", "password", "api-key", "apikey", "signature"];

/// A spec without the values of headers that carry credentials.
pub(super) fn redacted(spec: &Value) -> Value {
    match spec {
        Value::Object(fields) => {
            let redact = |(name, value): (&String, &Value)| match value {
                Value::Object(headers) if name == "headers" => (name.clone(), headers.iter().map(header).collect()),
                // What a request sends is the user's own JSON, which may have any field.
                other if name == "json" => (name.clone(), other.clone()),
                other => (name.clone(), redacted(other)),
            };
            Value::Object(fields.iter().map(redact).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(redacted).collect()),
        other => other.clone(),
    }
}

fn header((name, value): (&String, &Value)) -> (String, Value) {
    let lower = name.to_lowercase();
    let is_secret = SECRET.iter().any(|part| lower.contains(part));
    (name.clone(), if is_secret { REDACTED.into() } else { value.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn headers_that_carry_credentials_are_not_in_a_report() {
        let spec = json!({
            "target": {"headers": {"Authorization": "Bearer canary", "Accept": "text/plain", "X-API-Key": "canary"}},
            "scenarios": [{"steps": [{"request": {"headers": {"Cookie": "canary"}, "json": {"headers": {"a": 1}}}}]}],
        });
        let text = redacted(&spec).to_string();
        assert!(!text.contains("canary"), "{text}");
        assert!(text.contains("text/plain") && text.contains(r#"{"headers":{"a":1}}"#), "{text}");
    }
}

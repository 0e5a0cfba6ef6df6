//! Keeps what is secret out of a report: the values of headers that carry credentials, of variables of the environment,
//! and of authentication. Bodies stand as they are, since nothing tells a secret one from another.

use serde_json::{Map, Value};

/// What stands in place of a secret.
const REDACTED: &str = "(redacted)";

/// Headers whose names hold one of these carry credentials.
const SECRET: [&str; 9] =
    ["auth", "cookie", "token", "secret", "password", "key", "signature", "session", "credential"];

/// A spec without what is secret.
pub(super) fn redacted(spec: &Value) -> Value {
    let Value::Object(fields) = spec else { return within(spec) };
    // Only the test's own `env` has variables: a step's JSON may have a field of that name.
    let field = |(name, value): (&String, &Value)| match value {
        Value::Array(variables) if name == "env" => (name.clone(), variables.iter().map(variable).collect()),
        other => (name.clone(), field(name, other)),
    };
    Value::Object(fields.iter().map(field).collect())
}

fn within(spec: &Value) -> Value {
    match spec {
        Value::Object(fields) => Value::Object(fields.iter().map(|(n, value)| (n.clone(), field(n, value))).collect()),
        Value::Array(items) => Value::Array(items.iter().map(within).collect()),
        other => other.clone(),
    }
}

fn field(name: &str, value: &Value) -> Value {
    match (name, value) {
        ("headers", Value::Object(headers)) => Value::Object(headers.iter().map(header).collect()),
        ("auth", Value::Object(auth)) => Value::Object(auth.iter().map(credentials).collect()),
        // What a request sends is the user's own, which may have any field.
        ("json" | "form" | "body", other) => other.clone(),
        (_, other) => within(other),
    }
}

fn header((name, value): (&String, &Value)) -> (String, Value) {
    let lower = name.to_lowercase();
    let is_secret = SECRET.iter().any(|part| lower.contains(part));
    (name.clone(), if is_secret { REDACTED.into() } else { value.clone() })
}

/// Of basic authentication the user stays, of a bearer token nothing. A template stays: it says only where the secret is.
fn credentials((name, value): (&String, &Value)) -> (String, Value) {
    let value = match value {
        Value::Object(fields) => {
            let keep = |name: &str| name == "user" || name == "username";
            let field = |(n, v): (&String, &Value)| (n.clone(), if keep(n) { v.clone() } else { secret(v) });
            Value::Object(fields.iter().map(field).collect::<Map<_, _>>())
        }
        other => secret(other),
    };
    (name.clone(), value)
}

/// Where a variable comes from stays, its value does not.
fn variable(variable: &Value) -> Value {
    let Value::Object(fields) = variable else { return variable.clone() };
    let field = |(name, value): (&String, &Value)| {
        (name.clone(), if name == "value" { REDACTED.into() } else { value.clone() })
    };
    Value::Object(fields.iter().map(field).collect())
}

fn secret(value: &Value) -> Value {
    match value {
        Value::String(text) if text.starts_with("{{") && text.ends_with("}}") && text.matches("{{").count() == 1 => {
            value.clone()
        }
        _ => REDACTED.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn headers_that_carry_credentials_are_not_in_a_report() {
        let spec = json!({
            "target": {"headers": {"Authorization": "Bearer canary", "Accept": "text/plain", "X-API-Key": "canary",
                                   "X-Auth": "canary", "X-Session-Id": "canary", "Subscription_Key": "canary"}},
            "scenarios": [{"steps": [{"request": {"headers": {"Cookie": "canary"}, "json": {"headers": {"a": 1}}}}]}],
        });
        let text = redacted(&spec).to_string();
        assert!(!text.contains("canary"), "{text}");
        assert!(text.contains("text/plain") && text.contains(r#"{"headers":{"a":1}}"#), "{text}");
    }

    #[test]
    fn neither_variables_nor_credentials_are_in_a_report() {
        let spec = json!({
            "target": {"auth": {"basic": {"user": "ann", "password": "canary"}}},
            "env": [{"name": "TOKEN", "value": "canary"}, {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s"}}}],
            "setup": [{"request": {"auth": {"bearer": "canary"}, "json": {"env": [{"value": 1}]}}}],
            "teardown": [{"request": {"auth": {"bearer": "{{env.TOKEN}}"}}}],
        });
        let text = redacted(&spec).to_string();
        assert!(!text.contains("canary"), "{text}");
        for kept in ["ann", "TOKEN", "secretKeyRef", "{{env.TOKEN}}", r#"{"env":[{"value":1}]}"#] {
            assert!(text.contains(kept), "{kept}: {text}");
        }
    }
}

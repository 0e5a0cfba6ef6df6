//! Scenarios: one kind of traffic each, a load model and a flow of steps.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::units::Micros;

/// One kind of traffic: how much of it (exactly one of `users` and `iterations`) and what each user does
/// (`steps`). Scenarios begin together unless one names another in `after`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.users) != has(self.iterations)",
     "message": "expected exactly one load model: either users or iterations"},
    {"rule": "has(self.flow) && self.flow == 'Weighted' || self.steps.all(s, !has(s.weight))",
     "message": "expected no step with a weight, since the flow is not Weighted: remove the weights or set flow: Weighted"},
    {"rule": "!has(self.after) || self.after != self.name", "message": "expected after to name another scenario"},
]))]
pub struct Scenario {
    /// Names the scenario in criteria, figures and reports. Unique in the test.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// The scenario that must have finished, on every runner, before this one begins. Default: begins at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub after: Option<String>,
    /// Closed load model: a number of users, each of which loops through the flow, along a curve of stages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<Users>,
    /// Closed load model with an end: a number of users, each of which goes through the flow so many times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iterations: Option<Iterations>,
    /// How long a user pauses after each step, drawn evenly between `min` and `max`. Default: no pause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub think_time: Option<ThinkTime>,
    /// `Sequence`: an iteration is every step in order. `Weighted`: an iteration is one step, drawn by weight.
    #[serde(default)]
    pub flow: Flow,
    /// What a user does.
    #[schemars(length(min = 1, max = 64))]
    pub steps: Vec<Step>,
}

/// A curve of concurrent users, one stage after the other, beginning at 0 users.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Users {
    /// The parts of the curve. At the end of the last one no new request begins, and those under way may finish.
    #[schemars(length(min = 1, max = 64))]
    pub stages: Vec<Stage>,
}

/// A part of the curve: `{to: 100, over: 10s}` is a ramp to 100, `{hold: 5m}` stays at what there is, and
/// `{to: 100, hold: 5m}` jumps to 100 and stays there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.over) != has(self.hold)", "message": "expected exactly one time: either over (a ramp) or hold"},
    {"rule": "!has(self.over) || has(self.to)", "message": "expected over together with to, the number of users to ramp to"},
]))]
pub struct Stage {
    /// Names the stage in figures and reports. Default: its place and shape, e.g. `2: hold 100`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: Option<String>,
    /// The number of users at the end of this stage, over all runners.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1_000_000))]
    pub to: Option<u32>,
    /// How long the ramp to that number takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<Micros>,
    /// How long to stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Micros>,
}

/// A fixed amount of work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Iterations {
    /// Concurrent users, over all runners.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub users: u32,
    /// How many iterations each user makes.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub per_user: u32,
    /// Ends the scenario even if work is left, which makes the verdict `Inconclusive`.
    #[serde(default = "Iterations::default_max_duration")]
    pub max_duration: Micros,
}

impl Iterations {
    const fn default_max_duration() -> Micros {
        Micros::from_secs(600)
    }
}

/// A pause, drawn evenly between two times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ThinkTime {
    /// The shortest pause.
    pub min: Micros,
    /// The longest pause.
    pub max: Micros,
}

/// How a user goes through its steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Flow {
    /// An iteration is every step in order.
    #[default]
    Sequence,
    /// An iteration is one step, drawn by weight.
    Weighted,
}

/// One named action of a flow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// Names the step in criteria, figures and reports. Unique in the scenario.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// How often this step is drawn beside the others, in a `Weighted` flow. Default 1; 0 is never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1_000_000))]
    pub weight: Option<u32>,
    /// The HTTP request to send.
    pub request: Request,
    /// What counts as a good answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<Expect>,
}

/// An HTTP request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
// Not a CEL rule, since CEL cannot see a field that may hold anything.
#[schemars(extend("not" = {"required": ["body", "json"]}))]
pub struct Request {
    /// The method.
    #[serde(default)]
    pub method: Method,
    /// The path and query, below the target's `baseUrl`.
    #[schemars(length(min = 1, max = 8192), regex(pattern = "^/[!-~]*$"))]
    pub path: String,
    /// Headers of this request, beside the target's; the same name replaces it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub headers: BTreeMap<String, String>,
    /// The body, as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 262_144))]
    pub body: Option<String>,
    /// The body as JSON; sets `Content-Type: application/json` unless a header says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_json")]
    pub json: Option<serde_json::Value>,
}

fn any_json(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"x-kubernetes-preserve-unknown-fields": true})
}

/// An HTTP method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs)]
pub enum Method {
    #[default]
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
}

impl Method {
    /// As it stands in a request.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
        }
    }
}

/// What counts as a good answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Expect {
    /// Statuses and classes of them, e.g. `[2xx, 429]`. Default: `[2xx, 3xx]`.
    #[schemars(length(min = 1, max = 32))]
    pub status: Vec<StatusPattern>,
}

/// A status code such as 429, or a class of them such as `2xx`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusPattern {
    /// Exactly this code, 100 to 599.
    Code(u16),
    /// All codes with this first digit, 1 to 5.
    Class(u8),
}

impl StatusPattern {
    /// Whether a status is one of these.
    pub const fn matches(self, status: u16) -> bool {
        match self {
            Self::Code(code) => status == code,
            Self::Class(class) => status / 100 == class as u16,
        }
    }

    fn from_code(code: u64) -> Option<Self> {
        u16::try_from(code).ok().filter(|code| (100..600).contains(code)).map(Self::Code)
    }

    fn from_text(text: &str) -> Option<Self> {
        match text.as_bytes() {
            [class @ b'1'..=b'5', b'x', b'x'] => Some(Self::Class(class - b'0')),
            _ => text.parse().ok().and_then(Self::from_code),
        }
    }
}

impl fmt::Display for StatusPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "{code}"),
            Self::Class(class) => write!(f, "{class}xx"),
        }
    }
}

impl Serialize for StatusPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Code(code) => serializer.serialize_u16(*code),
            Self::Class(_) => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for StatusPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Code(u64),
            Text(String),
        }
        let written = Written::deserialize(deserializer)?;
        let (pattern, text) = match written {
            Written::Code(code) => (Self::from_code(code), code.to_string()),
            Written::Text(text) => (Self::from_text(&text), text),
        };
        pattern.ok_or_else(|| {
            serde::de::Error::custom(format!("expected a status such as 429 or a class such as 2xx, got {text:?}"))
        })
    }
}

impl JsonSchema for StatusPattern {
    fn schema_name() -> Cow<'static, str> {
        "StatusPattern".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"x-kubernetes-int-or-string": true, "minimum": 100, "maximum": 599,
                      "pattern": "^([1-5]xx|[1-5][0-9][0-9])$", "maxLength": 3})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_pattern_is_a_code_or_a_class() {
        let read = |json: &str| serde_json::from_str::<StatusPattern>(json);
        assert_eq!(read("429").unwrap(), StatusPattern::Code(429));
        assert_eq!(read("\"429\"").unwrap(), StatusPattern::Code(429));
        assert!(read("\"2xx\"").unwrap().matches(204));
        assert!(!read("\"2xx\"").unwrap().matches(301));
        for wrong in ["42", "600", "\"6xx\"", "\"2XX\"", "\"ok\"", "-1"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}

//! Steps: the named actions of a flow, what they send, what they expect, what they keep of the answer.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::units::{ByteSize, Micros};
use crate::websocket::WebSocket;

/// One named action of a flow: either a request or a web socket's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.request) != has(self.webSocket)", "message": "expected exactly one of request and webSocket"},
]))]
pub struct Step {
    /// Names the step in criteria, figures and reports. Unique in the scenario.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// The group that the step is in, e.g. `shop` or `shop/pay`. Steps of a group follow each other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 127))]
    pub group: Option<String>,
    /// How often this step is drawn beside the others, in a `Weighted` flow; of steps in no group only. Default 1; 0 is
    /// never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1_000_000))]
    pub weight: Option<u32>,
    /// The HTTP request to send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
    /// What to do with the user's web socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web_socket: Option<WebSocket>,
    /// What counts as a good answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<Expect>,
    /// What to keep of the answer, by the name under which templates of later steps use it: `{{token}}`. An answer that
    /// does not have it is a failed check, named `extract NAME`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub extract: BTreeMap<String, Extract>,
}

/// An HTTP request. Texts may hold templates: `{{accounts.app}}` (a column of a data set), `{{token}}` (a value that an
/// earlier step extracted), `{{uuid}}`, `{{user.id}}`, `{{iteration}}`, `{{run.id}}`, `{{random.int(1,100)}}`,
/// `{{random.choice(a,b)}}`, `{{timestamp}}` (milliseconds since 1970), `{{env.NAME}}`; `{{"text"}}` is the text itself,
/// braces included.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
// Not CEL rules, since CEL cannot see a field that may hold anything.
#[schemars(extend("allOf" = [
    {"not": {"required": ["body", "json"]}}, {"not": {"required": ["body", "form"]}},
    {"not": {"required": ["body", "multipart"]}}, {"not": {"required": ["body", "file"]}},
    {"not": {"required": ["json", "form"]}}, {"not": {"required": ["json", "multipart"]}},
    {"not": {"required": ["json", "file"]}}, {"not": {"required": ["form", "multipart"]}},
    {"not": {"required": ["form", "file"]}}, {"not": {"required": ["multipart", "file"]}},
]))]
pub struct Request {
    /// The method.
    #[serde(default)]
    pub method: Method,
    /// The path and query, below the target's `baseUrl`. What a template puts in is percent-encoded.
    #[schemars(length(min = 1, max = 8192), regex(pattern = "^/[ -~]*$"))]
    pub path: String,
    /// Headers of this request, beside the target's; the same name replaces it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64, "additionalProperties" = {"type": "string", "maxLength": 8192}))]
    pub headers: BTreeMap<String, String>,
    /// Who sends it; replaces the target's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// The body, as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 262_144))]
    pub body: Option<String>,
    /// The body as JSON; sets `Content-Type: application/json` unless a header says otherwise. What a template puts into
    /// a text is escaped; a text that is one template and ends in `| json`, as in `"{{random.int(1,9) | json}}"`, becomes
    /// the value itself, here a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_json")]
    pub json: Option<serde_json::Value>,
    /// The body as a form, `application/x-www-form-urlencoded`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64, "additionalProperties" = {"type": "string", "maxLength": 65536}))]
    pub form: BTreeMap<String, String>,
    /// The body as `multipart/form-data`: an upload.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub multipart: Vec<Part>,
    /// The body is the file of this name, of `spec.files`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub file: Option<String>,
    /// What to do about an answer that points elsewhere. Default: the target's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirects: Option<Redirects>,
}

/// A part of a multipart body: exactly one of `value` and `file`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.value) != has(self.file)", "message": "expected exactly one of value and file"},
]))]
pub struct Part {
    /// The field's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The field's value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 65_536))]
    pub value: Option<String>,
    /// The name of a file, of `spec.files`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub file: Option<String>,
    /// What the file is called in the upload. Default: its name in `spec.files`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub file_name: Option<String>,
    /// Default: `application/octet-stream` for a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub content_type: Option<String>,
}

/// Who sends a request: exactly one of `basic` and `bearer`. Keep secrets out of it with `{{env.NAME}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.basic) != has(self.bearer)", "message": "expected exactly one of basic and bearer"},
]))]
pub struct Auth {
    /// A user name and a password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic: Option<Basic>,
    /// A token, sent as `Authorization: Bearer TOKEN`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 8192))]
    pub bearer: Option<String>,
}

/// A user name and a password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Basic {
    /// The user's name.
    #[schemars(length(max = 1024))]
    pub username: String,
    /// The password.
    #[schemars(length(max = 1024))]
    pub password: String,
}

/// What to do about an answer that points elsewhere (301, 302, 303, 307, 308 with a `Location`). Each request that
/// follows is a request of the same step, counted by itself; the last answer is the one that is checked. At most 10.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Redirects {
    /// It is an answer like any other.
    #[default]
    Never,
    /// Go there, if it is the target itself: the same scheme, host and port. An answer that points elsewhere is an answer
    /// like any other.
    SameOrigin,
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

/// What counts as a good answer. All of it must hold; what does not is counted by its name: `status` as the outcome
/// `unexpected-status`, everything else as `failed-check`. Of a web socket, `connect` has a status and headers, a message
/// that is received is a body, and all but `hold` take a time.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Expect {
    /// Statuses and classes of them, e.g. `[2xx, 429]`. Default: `[2xx, 3xx]`, of a web socket `[101]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32))]
    pub status: Option<Vec<StatusPattern>>,
    /// The answer must have come within this time. Counted as the check `latency`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Micros>,
    /// Headers that the answer must have, with these values; `*` is any value. Counted as `header NAME`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16, "additionalProperties" = {"type": "string", "maxLength": 8192}))]
    pub headers: BTreeMap<String, String>,
    /// What the body must hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<BodyExpect>,
    /// Values that the body, as JSON, must have: a JSON path (RFC 9535) and the value, e.g. `{$.state: queued}`. Counted
    /// as `json PATH`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "json_by_path")]
    pub json: BTreeMap<String, serde_json::Value>,
    /// JSON paths that must find something in the body. Counted as `json PATH`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 512)))]
    pub json_exists: Vec<String>,
    /// How large the body must be. Counted as `size`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<SizeExpect>,
}

fn json_by_path(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "maxProperties": 16,
                  "additionalProperties": {"x-kubernetes-preserve-unknown-fields": true}})
}

/// What a body must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BodyExpect {
    /// This text. Counted as the check `body contains`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub contains: Option<String>,
    /// Something that this regular expression matches. Counted as `body matches`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub matches: Option<String>,
}

/// How large a body must be, in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SizeExpect {
    /// At least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<ByteSize>,
    /// At most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<ByteSize>,
}

/// Where in an answer a value is: exactly one of these.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "[has(self.json), has(self.header), has(self.cookie), has(self.regex)].filter(x, x).size() == 1",
     "message": "expected exactly one of json, header, cookie and regex"},
]))]
pub struct Extract {
    /// The first value that this JSON path (RFC 9535) finds in the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub json: Option<String>,
    /// The value of this header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub header: Option<String>,
    /// The value of this cookie, as this answer sets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub cookie: Option<String>,
    /// What a regular expression finds in the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regex: Option<RegexExtract>,
}

/// What a regular expression finds in a body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegexExtract {
    /// The regular expression, in the syntax of Rust's regex crate.
    #[schemars(length(min = 1, max = 4096))]
    pub pattern: String,
    /// Which of its groups; 0 is all that it matched. Default: 1 where it has groups, else 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 99))]
    pub group: Option<u32>,
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

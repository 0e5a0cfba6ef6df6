//! Steps over a web socket.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::step::Auth;
use crate::units::Micros;

/// Something that a user does with its web socket: exactly one of `connect`, a message (`send`, `receive` or both),
/// `ping`, `hold` and `close`. A user has one web socket, beside its other connections; it stays open from one iteration to
/// the next, until it is closed or connected anew, or the user leaves.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "[has(self.connect), has(self.send) || has(self.receive), has(self.ping), has(self.hold), has(self.close)]\
              .filter(x, x).size() == 1",
     "message": "expected exactly one of connect, send (or receive), ping, hold and close"},
    {"rule": "!has(self.until) || has(self.send) || has(self.receive)", "message": "expected until beside send or receive"},
    {"rule": "!has(self.receive) || self.receive != 'Nothing' || (has(self.send) && !has(self.until))",
     "message": "expected send and no until beside receive: Nothing"},
]))]
pub struct WebSocket {
    /// Opens it. An answer other than 101 is an unexpected status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect: Option<WebSocketConnect>,
    /// Sends this text, which may hold templates, as a text message; `{{x | json}}` puts a value in as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 262_144))]
    pub send: Option<String>,
    /// What to wait for. Default: `Next`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receive: Option<Receive>,
    /// Passes over messages up to one that contains this text, which may hold templates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub until: Option<String>,
    /// Sends a ping, and waits for its pong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ping: Option<Ping>,
    /// Holds it open for so long, answers pings, and passes over messages. Counted only if it is closed meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Micros>,
    /// Closes it, and waits for the target to do so too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub close: Option<WebSocketClose>,
}

/// How a web socket is opened.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebSocketConnect {
    /// The path and query, below the target's `baseUrl`. What a template puts in is percent-encoded.
    #[schemars(length(min = 1, max = 8192), regex(pattern = "^/[ -~]*$"))]
    pub path: String,
    /// Headers, beside the target's; the same name replaces it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64, "additionalProperties" = {"type": "string", "maxLength": 8192}))]
    pub headers: BTreeMap<String, String>,
    /// Who asks; replaces the target's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// Protocols that the target may choose from (`Sec-WebSocket-Protocol`), the best one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 253)))]
    pub protocols: Vec<String>,
}

/// What a message waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Receive {
    /// The next message, which is what the step expects something of: its latency is counted until then.
    Next,
    /// Nothing: it is sent, and that is all.
    Nothing,
}

/// A ping. It has nothing to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Ping {}

/// How a web socket is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WebSocketClose {
    /// The code that is sent: 1000 to 1003, 1007 to 1014, or 3000 to 4999.
    #[serde(default = "WebSocketClose::default_code")]
    #[schemars(range(min = 1000, max = 4999))]
    pub code: u16,
}

impl WebSocketClose {
    const fn default_code() -> u16 {
        1000
    }
}

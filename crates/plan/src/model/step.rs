//! What users do: flows, steps, requests, what is expected and kept of the answers.

use proofload_api::criterion::Operator;
use proofload_api::step::{Method, Redirects, StatusPattern};
use proofload_api::units::Micros;
use serde::{Deserialize, Serialize};

use crate::template::Template;

/// The most answers that a request follows elsewhere.
pub const MAX_REDIRECTS: u32 = 10;

/// How a user goes through the steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    /// What an iteration does, in order; or, with weights, what it does one of.
    pub nodes: Vec<Node>,
    /// How often each node is drawn beside the others; none for a sequence.
    pub weights: Option<Vec<u32>>,
}

/// A step, or a group of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Node {
    /// A step, by its index in the scenario.
    Step(usize),
    /// Steps that follow each other.
    Group(Group),
}

/// Steps that follow each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// What it does, in order.
    pub nodes: Vec<Node>,
    /// How many times, at most.
    pub repeat: u32,
    /// Looked at before each time: it must hold.
    pub condition: Option<Condition>,
}

/// A comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// The left side.
    pub left: Template,
    /// How they are compared: as numbers where both are some, else as texts.
    pub operator: Operator,
    /// The right side.
    pub right: Template,
}

/// One named action of a flow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// The group that it is in.
    pub group: Option<String>,
    /// What to do.
    pub action: Action,
    /// Statuses that count as a good answer; of a web socket, 101 to its handshake.
    pub expect: Vec<StatusPattern>,
    /// What else must hold.
    pub checks: Vec<Check>,
    /// What to keep of the answer. Each is a check too, after those of `checks`.
    pub extract: Vec<Extract>,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// Sends an HTTP request.
    Request(Request),
    /// Does something with the user's web socket.
    WebSocket(WebSocket),
}

/// Something that a user does with its web socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WebSocket {
    /// Opens it: closes the one before, if there is one.
    Connect {
        /// Path and query, the target's base path included.
        path: Template,
        /// Every header but those of the handshake itself, `Host` first.
        headers: Vec<(String, Template)>,
    },
    /// Sends a message, receives one, or both.
    Message {
        /// What to send first, if something.
        send: Option<Template>,
        /// Whether to wait for a message.
        receive: bool,
        /// Messages are passed over up to one that contains this.
        until: Option<Template>,
    },
    /// Sends a ping, and waits for its pong.
    Ping,
    /// Holds it open for so long.
    Hold(Micros),
    /// Closes it with a code, and waits for the target to do so too.
    Close(u16),
}

/// A request, fully resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Path and query, the target's base path included.
    pub path: Template,
    /// Every header but `Content-Length`, `Host` first.
    pub headers: Vec<(String, Template)>,
    /// The body.
    pub body: Body,
    /// What to do about an answer that points elsewhere.
    pub redirects: Redirects,
}

/// A request's body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Body {
    /// None, without a `Content-Length`.
    None,
    /// A text; an empty one sends `Content-Length: 0`.
    Text(Template),
    /// A file, by index in [`Plan::files`].
    File(usize),
    /// Pieces, one after the other: texts and files.
    Pieces(Vec<Piece>),
}

/// A piece of a body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Piece {
    /// A text.
    Text(Template),
    /// A file, by index in [`Plan::files`].
    File(usize),
}

/// Something that must hold of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// Under which name it is counted.
    pub name: String,
    /// What must hold.
    pub kind: CheckKind,
}

/// What must hold of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CheckKind {
    /// It came within this time.
    Latency(Micros),
    /// It has this header, with this value; any, where there is none.
    Header(String, Option<String>),
    /// Its body holds this text.
    Contains(String),
    /// Its body matches this regular expression, which compiles.
    Matches(String),
    /// Its body has, at this JSON path, which compiles, this value.
    JsonEquals(String, serde_json::Value),
    /// Its body has something at this JSON path, which compiles.
    JsonExists(String),
    /// Its body has so many bytes.
    Size {
        /// At least.
        min: u64,
        /// At most.
        max: u64,
    },
}

/// Something to keep of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extract {
    /// Where it is kept: an index of [`Plan::variables`].
    pub variable: usize,
    /// Where it is found.
    pub from: ExtractFrom,
}

/// Where in an answer a value is found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ExtractFrom {
    /// At this JSON path of the body, which compiles.
    Json(String),
    /// In this header.
    Header(String),
    /// In this cookie, as the answer sets it.
    Cookie(String),
    /// In this group of what this regular expression, which compiles, matches of the body.
    Regex(String, u32),
}

impl Step {
    /// Names of the checks, in the order in which they are counted: those of `checks`, then those of `extract`.
    /// `variables` are the plan's.
    pub fn check_names<'a>(&'a self, variables: &'a [String]) -> impl Iterator<Item = String> + 'a {
        let extracts = self.extract.iter().map(|extract| format!("extract {}", variables[extract.variable]));
        self.checks.iter().map(|check| check.name.clone()).chain(extracts)
    }

    /// The longest that it takes, where a request may take `timeout`.
    pub fn longest(&self, timeout: Micros) -> Micros {
        match &self.action {
            Action::Request(Request { redirects: Redirects::SameOrigin, .. }) => {
                Micros(timeout.0.saturating_mul(1 + u64::from(MAX_REDIRECTS)))
            }
            Action::WebSocket(WebSocket::Hold(time)) => *time,
            Action::Request(_) | Action::WebSocket(_) => timeout,
        }
    }
}

//! Texts with places that are filled in for each request: compiled once, typed, known to be complete.

use serde::{Deserialize, Serialize};

/// A text with places to fill in.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Template(pub Vec<Part>);

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Part {
    /// As it stands.
    Text(String),
    /// A place to fill in.
    Value(Value, Escape),
    /// Base64 of what another template gives: the credentials of basic authentication.
    Base64(Template),
}

/// What is filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Value {
    /// A column of the row that the user has of a data set: the set's index, the column's index in its `columns`.
    Data(usize, usize),
    /// What a step extracted: an index of the plan's variables.
    Variable(usize),
    /// A random UUID (version 4), from the user's own random choices.
    Uuid,
    /// The user's number, from 1, over all runners.
    UserId,
    /// The user's iteration, from 1.
    Iteration,
    /// The run's name.
    RunId,
    /// A number, drawn evenly from the first to the second.
    RandomInt(i64, i64),
    /// One of these, drawn evenly.
    RandomChoice(Vec<String>),
    /// Milliseconds since 1970.
    Timestamp,
    /// A variable of the environment: an index of the plan's `env`.
    Env(usize),
}

/// What is done to a value so that it fits where it is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Escape {
    /// Nothing.
    None,
    /// Percent-encoded but for letters, digits and `-._~`: in paths and forms.
    Percent,
    /// Control characters are percent-encoded: in headers, which are one line each.
    Header,
    /// As the inside of a JSON string.
    Json,
    /// A JSON value by itself: as it stands if it is one, else as a JSON string.
    JsonValue,
}

impl Template {
    /// A template with nothing to fill in.
    pub fn text(text: impl Into<String>) -> Self {
        Self(vec![Part::Text(text.into())])
    }

    /// The text, if there is nothing to fill in.
    pub fn as_text(&self) -> Option<String> {
        self.0.iter().map(Part::as_text).collect()
    }
}

impl Part {
    fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Value(..) | Self::Base64(_) => None,
        }
    }
}

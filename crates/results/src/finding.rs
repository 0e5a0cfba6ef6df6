//! What can be concluded from a run, each conclusion with its evidence.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// A conclusion. It changes no verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// What kind of conclusion it is.
    pub kind: FindingKind,
    /// The conclusion, in a sentence or two that need no knowledge of load tests. May have foreign text (names) in it:
    /// escape it before it is shown.
    pub text: String,
    /// What it follows from, in the order in which it is to be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
}

/// Kinds of conclusions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum FindingKind {
    /// Something that should be known of the run, e.g. that a certificate was not checked.
    Note,
    /// Between which loads the criteria stop holding, seen within one scenario.
    BreakingPoint,
    /// Between which scenarios of different load the criteria stop holding.
    Cliff,
    /// The load from which on more of it brings little more throughput, and the most that is to be expected.
    Capacity,
    /// More load brought no more throughput, only longer waiting.
    Saturation,
    /// The target stopped serving: from some moment on nothing succeeded.
    Outage,
    /// Errors of a kind that began only at some load or moment.
    ErrorOnset,
    /// A step of which nothing, or next to nothing, succeeded.
    BrokenStep,
    /// How long after an overload the criteria held again, or that they did not.
    Recovery,
    /// Refusals that were expected (e.g. status 429) and how many they were.
    Limited,
    /// Steps or scenarios that are slower under load than alone.
    Contention,
    /// A figure that drifts while the load stays the same.
    Drift,
}

/// A figure that a conclusion follows from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// What was looked at, e.g. `errors with 40 users`.
    pub what: String,
    /// What was seen, with its unit, e.g. `60%`.
    pub value: String,
}

impl Finding {
    /// Something that should be known of the run.
    pub fn note(text: impl Into<String>) -> Self {
        Self { kind: FindingKind::Note, text: text.into(), evidence: Vec::new() }
    }
}

impl Evidence {
    /// A figure, in words.
    pub fn new(what: impl Into<String>, value: impl Into<String>) -> Self {
        Self { what: what.into(), value: value.into() }
    }
}

/// Reads findings of version 1 of the report too.
pub(crate) fn of_any_version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Finding>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Any {
        Sentence(String),
        Finding(Finding),
    }
    let findings = Vec::<Any>::deserialize(deserializer)?.into_iter().map(|any| match any {
        Any::Sentence(text) => Finding::note(text),
        Any::Finding(finding) => finding,
    });
    Ok(findings.collect())
}

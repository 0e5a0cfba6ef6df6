//! Runs held against a baseline: what changed, whether more than chance, and whether by more than is tolerated.
//!
//! What is assumed, and how it was checked, is in docs/compare.md.

mod cells;
pub mod html;
mod judge;
pub mod markdown;
mod pairs;
mod statistics;
pub mod text;
mod warnings;

use proofload_api::Verdict;
use proofload_api::units::Share;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::report::Report;

/// Raised by every change of [`Comparison`] that breaks a reader.
pub const COMPARISON_VERSION: u32 = 1;

/// How probable it is, at most, that chance alone makes any figure of a comparison of two runs worse or better. It is
/// divided among the figures (Bonferroni), since one false alarm of many steps fails a build as well as the only one would.
pub const LEVEL: f64 = 0.01;

/// How much worse a figure may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tolerance {
    /// How much longer times may be, and how much lower rates, of what they were.
    pub relative: Share,
    /// How much higher shares of errors may be, in percentage points.
    pub errors: Share,
}

impl Default for Tolerance {
    /// 10%, since two runs of the same test on the same machines differ by some percent by themselves; one percentage
    /// point of errors, which is what most tests allow altogether.
    fn default() -> Self {
        Self { relative: Share::from_percent(10), errors: Share::from_percent(1) }
    }
}

/// Runs held against a baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// The version of this format.
    pub version: u32,
    /// How much worse a figure could be.
    pub tolerance: Tolerance,
    /// How probable it was, at most, that chance alone makes any figure of a run worse or better, 0..=1.
    pub level: f64,
    /// What the others are held against.
    pub baseline: ComparedRun,
    /// Each of the others, in order.
    pub others: Vec<Against>,
}

/// A run that is compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComparedRun {
    /// The load test's name.
    pub name: String,
    /// Its namespace; absent without a cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// When the load began, in RFC 3339; absent if it never did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// Its verdict.
    pub verdict: Verdict,
}

/// A run held against the baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Against {
    /// Which.
    pub run: ComparedRun,
    /// `Failed`: something is worse. `Inconclusive`: it cannot be compared. `Passed`: nothing is worse.
    pub verdict: Verdict,
    /// Why it cannot be compared. Has foreign text in it, as the warnings have: escape it before it is shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub obstacles: Vec<String>,
    /// What to know before the figures are read, e.g. that the load was another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The whole run, then each scenario and its steps, in the order of the baseline; then those of this run only. Where
    /// both runs have the same only scenario, that is the whole run.
    pub parts: Vec<PartChanges>,
}

/// What changed in a part of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PartChanges {
    /// The scenario; absent for the whole run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenario: Option<String>,
    /// The step; absent for a whole scenario.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Which of the runs have it.
    pub presence: Presence,
    /// Each figure.
    pub changes: Vec<Change>,
}

/// Which of two runs have a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Presence {
    /// Both.
    Both,
    /// Only the baseline.
    Removed,
    /// Only the other.
    Added,
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Figure {
    /// Requests sent. They are shown, not judged.
    Requests,
    /// Requests per second. Judged where the target decides on it: not of arrivals, nor of a search.
    Rate,
    /// The share of requests that failed.
    Errors,
    /// The median of latency.
    P50,
    /// The 95th percentile of latency.
    P95,
    /// The 99th percentile of latency.
    P99,
}

/// What changed of a figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// Which.
    pub figure: Figure,
    /// What it was in the baseline: a number, per second, a share of 0..=1, microseconds. Absent without samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<f64>,
    /// What it is in the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<f64>,
    /// The change, as a share of what it was; of shares of errors the difference. Absent where there is none of either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<f64>,
    /// The least that the change may be, by chance. Absent where that cannot be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// The most that it may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// What it means; absent where the figure is not judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finding: Option<Tendency>,
}

/// What a change means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Tendency {
    /// Worse by more than is tolerated, and by more than chance: a regression.
    Worse,
    /// Better, by as much as the other way would be worse.
    Better,
    /// Within tolerance.
    Same,
    /// Worse or better by more than is tolerated, which chance may have done: with more samples it could be told.
    Unclear,
    /// There are too few samples, or only percentiles without what they were made from.
    Unknown,
}

/// Holds runs against a baseline.
pub fn compare(baseline: &Report, others: &[&Report], tolerance: &Tolerance) -> Comparison {
    Comparison {
        version: COMPARISON_VERSION,
        tolerance: *tolerance,
        level: LEVEL,
        baseline: baseline.into(),
        others: others.iter().map(|other| judge::against(baseline, other, *tolerance)).collect(),
    }
}

impl Comparison {
    /// `Failed` if any run is worse, else `Inconclusive` if any cannot be compared, else `Passed`.
    pub fn verdict(&self) -> Verdict {
        let any = |verdict| self.others.iter().any(|other| other.verdict == verdict);
        let worst = [Verdict::Failed, Verdict::Inconclusive].into_iter().find(|verdict| any(*verdict));
        worst.unwrap_or(Verdict::Passed)
    }

    /// As JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("every key is a string and every number is finite")
    }
}

impl From<&Report> for ComparedRun {
    fn from(report: &Report) -> Self {
        Self {
            name: report.name.clone(),
            namespace: report.namespace.clone(),
            start: report.start.clone(),
            verdict: report.verdict,
        }
    }
}

impl Against {
    /// Every change of one kind, with the part that it is of.
    pub fn with(&self, tendency: Tendency) -> impl Iterator<Item = (&PartChanges, &Change)> {
        self.parts.iter().flat_map(move |part| {
            let changes = part.changes.iter().filter(move |change| change.finding == Some(tendency));
            changes.map(move |change| (part, change))
        })
    }
}

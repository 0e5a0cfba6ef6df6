//! The report: everything that is known of a run once it is over, as versioned JSON.
//!
//! Times are microseconds (from the run's begin, where they are moments), shares 0..=1, sizes bytes. The verdict follows
//! from the report alone: [`Report::verdict_from_parts`].

mod build;
mod held;
mod redact;
mod scenario;
mod steered;
mod timeline;

use proofload_api::Verdict;
use proofload_api::loadtest::Severity;
use proofload_api::status::CriterionOutcome;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

pub use build::Input;
pub(crate) use steered::search as search_report;
pub use steered::{ChangeReport, LoadLevel, SearchReport, SearchStepReport};
pub use timeline::{Timeline, TimelineBucket};

use crate::baseline::BaselineReport;
use crate::doubt::Doubt;
use crate::figures::Figures;
use crate::finding::{self, Finding};
use crate::health::Generator;
use crate::judge::verdict;
use crate::server::ServerReport;

/// Raised by every change of [`Report`] that breaks a reader.
///
/// 1: findings were sentences. 2: they are [`Finding`]s.
pub const REPORT_VERSION: u32 = 2;

/// Everything that is known of a run once it is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The version of this format; readers refuse a higher one.
    pub version: u32,
    /// The load test's name.
    pub name: String,
    /// Its namespace; absent without a cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// What the test is about, as its spec says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What the run is called in the plan and in snapshots.
    pub run: String,
    /// From what every random choice of the run followed: the same seed, the same requests.
    #[serde(default)]
    pub seed: u64,
    /// Whether the target holds the load.
    pub verdict: Verdict,
    /// Why, in a sentence or a few.
    pub reason: String,
    /// Why the run could not be executed; the verdict is then `Error`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When the load began, in RFC 3339; absent if it never did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// How long the run was under load, in microseconds.
    pub duration: u64,
    /// Planned load against what was put on.
    pub load: RunLoad,
    /// Figures of all load: of everything but setup and teardown.
    pub summary: Figures,
    /// Each scenario, in the order of the spec.
    pub scenarios: Vec<ScenarioReport>,
    /// What was done once before all load; absent if there is no setup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setup: Option<ScenarioReport>,
    /// What was done once after all load; absent if there is no teardown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teardown: Option<ScenarioReport>,
    /// Changes of load that someone wanted while the run was under way, in the order of time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<ChangeReport>,
    /// Each criterion, in the order of the spec.
    pub criteria: Vec<CriterionReport>,
    /// What came of holding the run against an earlier one; absent where none was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<BaselineReport>,
    /// Why the figures may not be what they seem; no verdict is `Passed` with one.
    #[serde(default)]
    pub doubts: Vec<Doubt>,
    /// What can be concluded, the most important first; these change no verdict.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "finding::of_any_version")]
    pub findings: Vec<Finding>,
    /// The run over time.
    pub timeline: Timeline,
    /// Errors in words, the most frequent first.
    pub errors: Vec<ErrorReport>,
    /// What the target's own metrics were, as Prometheus has them; in the order of their names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub server: Vec<ServerReport>,
    /// The load generator's own health.
    pub generator: Generator,
    /// Each planned runner.
    pub runners: Vec<RunnerReport>,
    /// The load test's spec as it was executed; absent if it does not fit into where the report is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<serde_json::Value>,
}

/// Planned load against what was put on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunLoad {
    /// The most users at once, by the plan.
    pub planned_users: u32,
    /// The most users at once, as seen.
    pub peak_users: u32,
    /// How long the load was planned to last, in microseconds; a fixed amount of work may be done earlier.
    pub planned_duration: u64,
}

/// What was measured of a scenario.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScenarioReport {
    /// Its name.
    pub name: String,
    /// The verdict of the criteria on this scenario and its steps.
    pub verdict: Verdict,
    /// Planned load against what was put on.
    pub load: ScenarioLoad,
    /// Its figures.
    #[serde(flatten)]
    pub figures: Figures,
    /// Each stage of its load model.
    pub stages: Vec<StageReport>,
    /// Each step of its flow.
    pub steps: Vec<StepReport>,
    /// Each group of steps, by itself and with the groups in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupReport>,
    /// What was searched and found; absent where nothing is searched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<SearchReport>,
}

/// What was measured in a group of steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroupReport {
    /// Its name.
    pub name: String,
    /// Its figures.
    #[serde(flatten)]
    pub figures: Figures,
}

/// How often a check of a step's answers held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckReport {
    /// Its name; of a value that is extracted `extract`, a space, and the value's name.
    pub name: String,
    /// Answers that it held of.
    pub passed: u64,
    /// Answers that it did not hold of.
    pub failed: u64,
}

/// Planned load of a scenario against what was put on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScenarioLoad {
    /// When it began, in microseconds from the run's begin; absent if it never did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began: Option<u64>,
    /// How long it was planned to last, in microseconds; a fixed amount of work may be done earlier.
    pub planned_duration: u64,
    /// How long it lasted, in microseconds.
    pub duration: u64,
    /// The most users at once, by the plan.
    pub planned_users: u32,
    /// The most users at once, as seen; absent where another scenario was under way at the same time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_users: Option<u32>,
    /// Iterations planned; absent where the load model plans by time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned_iterations: Option<u64>,
    /// Iterations done.
    pub iterations: u64,
    /// Iterations that the scenario's end cut off.
    pub cut_iterations: u64,
    /// Iterations that ended early, since a step needed a value that an earlier one had failed to extract, or a web socket
    /// that was not open.
    #[serde(default)]
    pub broken_iterations: u64,
    /// Arrivals that found no free user, and were not sent.
    #[serde(default)]
    pub dropped: u64,
    /// Users that found no row left in a `Unique` data set, and stopped.
    #[serde(default)]
    pub starved_users: u64,
}

/// What was measured in a stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StageReport {
    /// Its name.
    pub name: String,
    /// When it began, in microseconds from the run's begin; absent if it never did. In the stages of a step absent, as
    /// all of its load is: it is that of the scenario's stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began: Option<u64>,
    /// For how long its load was on, in microseconds: not the time that requests take that are under way at its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<u64>,
    /// The planned load at its begin, after the jump if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<LoadLevel>,
    /// The planned load at its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<LoadLevel>,
    /// Whether the criteria hold in this stage alone: those of severity `Fail` on times and shares, of the whole run, the
    /// scenario or a step of it, that are not on other stages anyway. Absent without such, and where the stage has no
    /// samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<bool>,
    /// Its figures.
    #[serde(flatten)]
    pub figures: Figures,
}

/// What was measured of a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepReport {
    /// Its name.
    pub name: String,
    /// Its figures.
    #[serde(flatten)]
    pub figures: Figures,
    /// The group that it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// What was checked of its answers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<CheckReport>,
    /// Its figures in each stage; absent where there is one stage only, or where they do not fit into where the report
    /// is stored.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<StageReport>,
}

/// What became of a criterion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CriterionReport {
    /// The criterion, as the user wrote it.
    pub expr: String,
    /// What it was judged on, if not the whole run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// The stages that it was judged on, if not all of the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub during: Option<String>,
    /// What a failure means.
    pub severity: Severity,
    /// When it ends the run; absent if it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abort: Option<AbortReport>,
    /// Whether it ended the run; `observed` is then of the window that did.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub aborted: bool,
    /// The value seen, in microseconds, as a share, per second, as a number, or in bytes, as the criterion asks. Absent
    /// without samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<f64>,
    /// What became of it.
    pub outcome: CriterionOutcome,
    /// Why there was nothing to judge by, where that is not plain. Foreign text: escape it before it is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// When a criterion ends the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AbortReport {
    /// How much time was judged at once, in microseconds.
    pub window: u64,
    /// How long after the begin of what was judged the first window began.
    pub after: u64,
}

/// A kind of error, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErrorReport {
    /// The scenario.
    pub scenario: String,
    /// The step.
    pub step: String,
    /// The outcome.
    pub outcome: String,
    /// What happened, e.g. `status 503`. Foreign text: escape it before it is shown.
    pub message: String,
    /// How often.
    pub count: u64,
    /// When first, in microseconds from the run's begin.
    pub first_seen: u64,
    /// When last.
    pub last_seen: u64,
}

/// What became of a runner.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunnerReport {
    /// Which, from 0.
    pub index: u32,
    /// How it ended.
    pub state: RunnerEnd,
    /// Its share of the users, 0..=1.
    pub share: f64,
    /// Requests of it that are counted.
    pub requests: u64,
    /// Why it was lost, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<String>,
}

/// How a runner ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RunnerEnd {
    /// It did its share of the plan.
    Completed,
    /// The conductor stopped it.
    Stopped,
    /// Its process was told to end (SIGTERM).
    Terminated,
    /// It heard nothing for longer than the heartbeat timeout.
    Abandoned,
    /// It is gone.
    Lost,
    /// Its last figures never came, or cannot be read.
    Missing,
    /// The run ended before it began.
    NotStarted,
}

impl Report {
    /// Builds a report, whatever went wrong: of no snapshots at all too.
    pub fn build(input: &Input<'_>) -> Self {
        build::build(input)
    }

    /// Builds the most detailed report that fits: the timeline gets coarser first, then the figures of each step in each
    /// stage go, then those of the baseline that are not worse, then the spec. Percentiles are always of merged histograms, which is why this cannot be done to a
    /// report that exists.
    pub fn build_to_fit(input: &Input<'_>, fits: impl Fn(&Self) -> bool) -> Self {
        build::build_to_fit(input, fits)
    }

    /// The verdict as it follows from what is in this report; the same as [`Report::verdict`] unless it was changed.
    pub fn verdict_from_parts(&self) -> Verdict {
        if self.error.is_some() {
            return Verdict::Error;
        }
        // Whoever stopped the run, and whatever is missing since: this is what was seen.
        if self.criteria.iter().any(|criterion| criterion.aborted) {
            return Verdict::Failed;
        }
        let criteria = self.criteria.iter().map(|criterion| (criterion.severity, criterion.outcome));
        let baseline = self.baseline.as_ref().and_then(|baseline| baseline.outcome);
        let criteria = criteria.chain(baseline.map(|outcome| (Severity::Fail, outcome)));
        let is_complete = |runner: &RunnerReport| runner.state == RunnerEnd::Completed;
        match verdict(criteria, &self.doubts) {
            Verdict::Passed if !self.runners.iter().all(is_complete) => Verdict::Inconclusive,
            verdict => verdict,
        }
    }

    /// From JSON, of this version or an earlier one.
    pub fn from_json(json: &[u8]) -> Result<Self, InvalidReport> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let Versioned { version } =
            serde_json::from_slice(json).map_err(|error| InvalidReport::NotAReport(error.to_string()))?;
        if version > REPORT_VERSION {
            return Err(InvalidReport::Version(version));
        }
        serde_json::from_slice(json).map_err(|error| InvalidReport::Damaged(error.to_string()))
    }

    /// As JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("every key is a string and every number is finite")
    }

    /// The JSON Schema of a report.
    pub fn schema() -> Schema {
        schemars::schema_for!(Self)
    }
}

/// Bytes that are not a report that this version can read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReport {
    /// Not a report at all.
    #[error("expected a report of Proofload as JSON, got something else: {0}")]
    NotAReport(String),
    /// Of a later version.
    #[error("expected a report of version {REPORT_VERSION} or lower, got version {0}: a newer Proofload can read it")]
    Version(u32),
    /// With fields that are missing or of another kind.
    #[error("expected a whole report, got a damaged one: {0}")]
    Damaged(String),
}

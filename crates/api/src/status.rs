//! What the operator says of a run, in `status`. No floats: figures for people are strings such as `14ms`.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::loadtest::Severity;
pub use crate::measured::MeasuredStatus;

/// What the operator says of a run. Read only; at most 64 KiB.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LoadTestStatus {
    /// Where the run is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// The verdict: written once, at the end, and never changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Why it is so, in a sentence or a few.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// How much of the planned time has passed, e.g. `40%`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub progress: String,
    /// What was planned: runners, users, time, resources.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanStatus>,
    /// How many runners are where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runners: Option<RunnersStatus>,
    /// The last seconds while running, the whole run once finished: what the columns of kubectl show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live: Option<LiveStatus>,
    /// Figures of the whole run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<FiguresStatus>,
    /// Figures of each scenario.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scenarios: Vec<ScenarioStatus>,
    /// What was searched, and what was found so far.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub search: Vec<SearchStatus>,
    /// What each criterion saw.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub criteria: Vec<CriterionStatus>,
    /// What the target's own metrics were, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub server: BTreeMap<String, ServerMetricStatus>,
    /// What came of holding the run against its baseline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<BaselineStatus>,
    /// The load generator's own health.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generator: Option<GeneratorStatus>,
    /// Figures of the whole run as plain numbers; only once it is finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured: Option<MeasuredStatus>,
    /// The `ConfigMap` that holds the whole report.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<ReportReference>,
    /// When the load began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,
    /// When the verdict was reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Time>,
    /// The generation of the spec that this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Finished`, `Succeeded`, `Reconciling`, `Stalled`; and `ReportStored`, where the report could not be stored at once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Phase {
    /// Admitted, not begun: suspended, or about to be.
    Pending,
    /// Runners are being created and made ready.
    Starting,
    /// Load is on the target.
    Running,
    /// The load has ended; the last figures are being fetched and judged.
    Finishing,
    /// The verdict is there.
    Finished,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Whether the target holds the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Verdict {
    /// Every criterion held, and every runner's final figures are in it.
    Passed,
    /// A criterion did not hold.
    Failed,
    /// The figures cannot be trusted: no samples, a lost runner, a saturated generator.
    Inconclusive,
    /// There are no criteria.
    Unjudged,
    /// It could not run.
    Error,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Passed => "Passed",
            Self::Failed => "Failed",
            Self::Inconclusive => "Inconclusive",
            Self::Unjudged => "Unjudged",
            Self::Error => "Error",
        })
    }
}

/// What became of a criterion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CriterionOutcome {
    /// It held.
    Pass,
    /// It did not hold.
    Fail,
    /// There were no samples, which never passes.
    NoData,
    /// The figures cannot be trusted enough to say.
    Untrusted,
}

impl fmt::Display for CriterionOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pass => "Pass",
            Self::Fail => "Fail",
            Self::NoData => "NoData",
            Self::Untrusted => "Untrusted",
        })
    }
}

/// What was planned.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanStatus {
    /// Runner pods.
    pub runners: u32,
    /// The most users at once, over all runners.
    pub users: u32,
    /// The longest that the load can last, e.g. `5m10s`.
    pub duration: String,
    /// CPU of each runner.
    pub cpu: String,
    /// Memory of each runner.
    pub memory: String,
    /// Why so many runners of that size.
    pub reason: String,
}

/// How many runners are where. A runner is counted in `desired` and in one of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunnersStatus {
    /// Planned.
    pub desired: u32,
    /// Waiting for the start.
    pub ready: u32,
    /// Sending load.
    pub running: u32,
    /// At the end of their share of the plan.
    pub finished: u32,
    /// Gone before the end of their share.
    pub lost: u32,
}

/// What the columns of kubectl show.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LiveStatus {
    /// Users at work.
    pub users: u32,
    /// Requests per second.
    pub rps: u64,
    /// 99th percentile of latency, `-` without samples.
    pub p99: String,
    /// Share of requests that failed.
    pub errors: String,
}

/// Figures of a run or a part of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FiguresStatus {
    /// Requests sent.
    pub requests: u64,
    /// Requests that failed.
    pub errors: u64,
    /// Share of requests that failed.
    pub error_rate: String,
    /// Requests per second.
    pub rps: u64,
    /// Requests by outcome, without those that are zero.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outcomes: BTreeMap<String, u64>,
    /// Latency: `p50`, `p95`, `p99`, `max`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub latency: BTreeMap<String, String>,
}

/// Figures of a scenario.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScenarioStatus {
    /// The scenario.
    pub name: String,
    /// The verdict of the criteria on this scenario and its steps.
    pub verdict: Verdict,
    /// Its figures.
    #[serde(flatten)]
    pub figures: FiguresStatus,
    /// Arrivals that found no free user, and were not sent.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropped: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A search for the highest load that holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SearchStatus {
    /// The scenario.
    pub scenario: String,
    /// The highest load that held, e.g. `40 users`; `-` where none has (yet).
    pub answer: String,
    /// The last steps, at most 32: the report has all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<SearchStepStatus>,
}

impl SearchStatus {
    /// So many steps are shown at most.
    pub const MOST_STEPS: usize = 32;
}

/// A step of a search.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SearchStepStatus {
    /// Its load, e.g. `40 users`.
    pub level: String,
    /// Whether it was held; absent while it is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<bool>,
    /// Why it was judged so, in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}

/// What a criterion saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CriterionStatus {
    /// The criterion.
    pub expr: String,
    /// What it is judged on, if not the whole run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// The stages that it is judged on, if not all of the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub during: Option<String>,
    /// What a failure means.
    #[serde(default)]
    pub severity: Severity,
    /// The value seen, e.g. `812ms`, or `-` without samples.
    pub observed: String,
    /// The same for machines: a decimal number of seconds, bytes, shares of 1, or whatever else is counted, e.g. `0.812`.
    /// Absent without samples.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// What became of it.
    pub outcome: CriterionOutcome,
}

/// The load generator's own health.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GeneratorStatus {
    /// Whether it kept up. If not, latency and rate say more about it than about the target. While the load is on:
    /// whether it has kept up so far.
    pub healthy: bool,
    /// CPU used, as a share of what the busiest runner had.
    pub cpu: String,
    /// Share of time for which the busiest runner was throttled.
    pub throttled: String,
    /// 99th percentile of lateness: actual minus intended send time.
    pub lateness_p99: String,
    /// How far apart the runners began.
    pub skew: String,
    /// What runners have too little of just now, and what to do about it; only while the load is on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl GeneratorStatus {
    /// So many warnings are shown at most.
    pub const MOST_WARNINGS: usize = 5;
}

/// Where the whole report is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReportReference {
    /// A `ConfigMap` in the same namespace; its key `report.json.gz` is the report.
    pub config_map: String,
    /// What became of the copy that `results.store` asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<StoreStatus>,
}

/// What became of the copy of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StoreStatus {
    /// How far it is.
    pub phase: StorePhase,
    /// Where it is, or is to be, e.g. `s3://reports/soak/shop/checkout-1f0c9`.
    pub location: String,
    /// What went wrong last, and what happens next.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// How far a copy of a report is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum StorePhase {
    /// It is being written.
    Pending,
    /// It could not be written yet, and is tried again.
    Retrying,
    /// It is there.
    Stored,
    /// It could not be written in time, and is given up; the `ConfigMap` is there.
    Failed,
}

/// What a metric of the target was, for people: `812Mi`, `0.42`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServerMetricStatus {
    /// The smallest.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub min: String,
    /// The mean over time.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub avg: String,
    /// The largest.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub max: String,
    /// The last.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub last: String,
    /// How it changed, as a share of its mean for each hour, e.g. `+0.4%/h`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub slope: String,
    /// Why there is nothing, if so.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// What came of holding a run against its baseline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BaselineStatus {
    /// The run that it was held against.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// `Pass`: no regression. `Fail`: some. `NoData`: there was nothing to hold it against, or nothing alike in both.
    /// `Untrusted`: one of the two runs is in doubt. Absent while there is no earlier run, and none is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<CriterionOutcome>,
    /// What got worse beyond the tolerance, at most 10 lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regressions: Vec<String>,
    /// In a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

impl BaselineStatus {
    /// So many regressions are shown at most.
    pub const MOST_REGRESSIONS: usize = 10;
}

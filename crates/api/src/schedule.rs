//! `LoadTestSchedule`: load tests that are run again and again, as a `CronJob` runs Jobs.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::loadtest::LoadTestSpec;
use crate::status::Verdict;
use crate::units::Micros;

/// A load test that is run again and again: at times, when a Deployment has rolled out, or when somebody asks
/// (`proofload trigger NAME`). Each run is a `LoadTest` of its own, named `NAME-TICK`; the schedule keeps the last verdicts.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "proofload.dev",
    version = "v1alpha1",
    kind = "LoadTestSchedule",
    plural = "loadtestschedules",
    shortname = "lts",
    namespaced,
    status = "LoadTestScheduleStatus",
    derive = "PartialEq",
    printcolumn = r#"{"name":"Schedule","type":"string","jsonPath":".spec.schedule"}"#,
    printcolumn = r#"{"name":"Zone","type":"string","jsonPath":".spec.timeZone","priority":1}"#,
    printcolumn = r#"{"name":"State","type":"string","jsonPath":".status.state","description":"Active, Suspended, Paused or Invalid"}"#,
    printcolumn = r#"{"name":"Active","type":"integer","jsonPath":".status.activeRuns","description":"Runs that have no verdict yet"}"#,
    printcolumn = r#"{"name":"Last","type":"string","jsonPath":".status.lastVerdict","description":"Verdict of the last run that has one"}"#,
    printcolumn = r#"{"name":"Last Run","type":"date","jsonPath":".status.lastScheduleTime"}"#,
    printcolumn = r#"{"name":"Next","type":"string","jsonPath":".status.nextScheduleTime"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Message","type":"string","jsonPath":".status.message","priority":1}"#
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.schedule) || has(self.onRollout)", "message": "expected schedule, onRollout, or both"},
]))]
pub struct LoadTestScheduleSpec {
    /// When, as cron writes it: minute, hour, day of the month, month, day of the week, e.g. `0 3 * * 1-5`; or `@hourly`,
    /// `@daily`, `@weekly`, `@monthly`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub schedule: Option<String>,
    /// In which zone, by its IANA name, e.g. `Europe/Berlin`. A time that does not exist on the day when summer begins is run
    /// at the first moment after the gap; one that comes twice when summer ends is run once, the first time.
    #[serde(default = "LoadTestScheduleSpec::default_zone")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: String,
    /// What happens at a tick while an earlier run has no verdict yet.
    #[serde(default)]
    pub concurrency_policy: ConcurrencyPolicy,
    /// No run is begun until this is false; those under way go on.
    #[serde(default)]
    pub suspend: bool,
    /// How late a run may begin, if it could not at its tick. One that would be later is missed, and counted as such. Of
    /// several such ticks only the last is run.
    #[serde(default = "LoadTestScheduleSpec::default_deadline")]
    pub starting_deadline: Micros,
    /// How many finished runs are kept. The last that passed always is.
    #[serde(default)]
    pub history: HistoryLimits,
    /// After so many runs in a row that did not pass the schedule pauses itself, and says why. A change of its spec, or a run
    /// on demand that passes, ends the pause. Default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub pause_after: Option<u32>,
    /// Runs when this Deployment has rolled out another version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_rollout: Option<Rollout>,
    /// The test that is run.
    pub template: LoadTestTemplate,
}

impl LoadTestScheduleSpec {
    fn default_zone() -> String {
        "Etc/UTC".to_owned()
    }

    const fn default_deadline() -> Micros {
        Micros::from_secs(600)
    }
}

/// What happens at a tick while an earlier run has no verdict yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum ConcurrencyPolicy {
    /// The tick is skipped: two loads at once would measure each other.
    #[default]
    Forbid,
    /// The earlier run is deleted, with its load, and the new one begins.
    Replace,
    /// Both run.
    Allow,
}

/// How many finished runs are kept, by their verdicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HistoryLimits {
    /// Of those that passed, or had no criteria.
    #[schemars(range(min = 1, max = 100))]
    pub passed: u32,
    /// Of those that failed.
    #[schemars(range(max = 100))]
    pub failed: u32,
    /// Of all others: `Inconclusive`, `Error`.
    #[schemars(range(max = 100))]
    pub other: u32,
}

impl Default for HistoryLimits {
    fn default() -> Self {
        Self { passed: 5, failed: 5, other: 5 }
    }
}

/// A Deployment whose rollouts are awaited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    /// A Deployment of the same namespace. A run begins once all of its replicas are of a version with other images than
    /// those that were there before.
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub deployment: String,
}

/// A `LoadTest` to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoadTestTemplate {
    /// Labels and annotations of each run.
    #[serde(default)]
    pub metadata: TemplateMetadata,
    /// The spec of each run.
    pub spec: LoadTestSpec,
}

/// Labels and annotations.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TemplateMetadata {
    /// Labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32, "additionalProperties" = {"type": "string", "maxLength": 63}))]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32, "additionalProperties" = {"type": "string", "maxLength": 4096}))]
    pub annotations: BTreeMap<String, String>,
}

/// What the operator says of a schedule. Read only.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LoadTestScheduleStatus {
    /// What it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<ScheduleState>,
    /// Why it is so, in a sentence or a few.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The last tick that was dealt with: run, skipped or missed. None before it is ever dealt with again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_schedule_time: Option<Time>,
    /// Since when ticks count: no earlier one is run. It is the last time that the schedule was changed or resumed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// The cron and the zone that the times here are of, e.g. `0 3 * * * Europe/Berlin`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cron: String,
    /// The run that is about to be made. It is written down before it is made: whoever goes on from here makes the same
    /// run, and not another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending: Option<PendingRun>,
    /// The next tick; absent where there is none, or none wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_schedule_time: Option<Time>,
    /// Runs that have no verdict yet.
    #[serde(default)]
    pub active_runs: u32,
    /// Their names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub active: Vec<String>,
    /// Ticks that were not run, since an earlier run was still under way.
    pub skipped: u64,
    /// Ticks that were not run, since their deadline was over.
    pub missed: u64,
    /// The verdict of the last run that has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_verdict: Option<Verdict>,
    /// The last run that passed: what `baseline: {schedule: NAME}` means.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_passed: Option<String>,
    /// How many runs in a row, up to the last, did not pass.
    pub failures_in_a_row: u32,
    /// Since when it pauses, and because of what; absent while it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<Pause>,
    /// The last runs that have a verdict, the latest first; at most 20. They stay here when the runs are deleted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<PastRun>,
    /// How the last runs went on, in a sentence, e.g. `p95 180ms to 210ms over 12 runs (+1.4% a run)`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub trend: String,
    /// The last wish for a run on demand that was dealt with: the annotation's value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_trigger: Option<String>,
    /// The Deployment that was last seen to be rolled out, with its images, e.g. `checkout: shop/checkout:v42`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rolled_out: Option<String>,
    /// The generation of the spec that this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

impl LoadTestScheduleStatus {
    /// So many runs are remembered at most.
    pub const MOST_RUNS: usize = 20;
}

/// What a schedule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ScheduleState {
    /// It runs its test at each tick.
    Active,
    /// Somebody suspended it.
    Suspended,
    /// It paused itself after too many failures.
    Paused,
    /// Its spec cannot be run.
    Invalid,
}

/// Why a schedule pauses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pause {
    /// Since when.
    pub since: Time,
    /// Because of what, e.g. `3 runs in a row did not pass, the last since p95(latency) < 500ms was 812ms`.
    pub reason: String,
    /// The generation of the spec that pauses; another one does not.
    pub generation: i64,
}

/// A run that is about to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PendingRun {
    /// The `LoadTest` to be.
    pub name: String,
    /// When it is due, or was asked for.
    pub due: Time,
    /// Why it is run.
    pub cause: RunCause,
}

/// A run that a schedule made and that has a verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PastRun {
    /// The `LoadTest`.
    pub name: String,
    /// Its verdict.
    pub verdict: Verdict,
    /// Why it was run.
    pub cause: RunCause,
    /// When it was due, or asked for.
    pub due: Time,
    /// When the verdict was reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Time>,
    /// Requests per second.
    #[serde(default)]
    pub rps: u64,
    /// 95th percentile of latency, e.g. `180ms`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub p95: String,
    /// Share of requests that failed, e.g. `0.2%`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub errors: String,
}

/// Why a schedule made a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RunCause {
    /// Its time had come.
    Schedule,
    /// Somebody asked for it.
    Trigger,
    /// A Deployment had rolled out.
    Rollout,
}

impl fmt::Display for RunCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl fmt::Display for ScheduleState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Labels and annotations between schedules and their runs.
pub mod marks {
    /// Label of a run: the schedule that made it.
    pub const SCHEDULE_LABEL: &str = "proofload.dev/schedule";
    /// Annotation of a run: when it was due, in RFC 3339.
    pub const DUE: &str = "proofload.dev/due";
    /// Annotation of a run: why it was made ([`super::RunCause`]).
    pub const CAUSE: &str = "proofload.dev/cause";
    /// Annotation of a schedule: each new value asks for one run now.
    pub const TRIGGER: &str = "proofload.dev/trigger";
}

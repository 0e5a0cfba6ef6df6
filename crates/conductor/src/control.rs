//! The control API between a conductor and a runner pod: paths and messages. No transport here.
//!
//! Every request carries `Authorization: Bearer <JWT>`, signed with Ed25519 by the operator and valid for a short time
//! for one run. Runners hold only the public key.

use proofload_results::{LevelRecord, ServerAnswer};
use serde::{Deserialize, Serialize};

/// `GET`: an encoded [`proofload_results::Snapshot`]. Also counts as a sign of life from the conductor.
pub const SNAPSHOT: &str = "/v1/snapshot";
/// `GET`: the same without cells, timeline and errors, of which there may be megabytes.
pub const SNAPSHOT_WITHOUT_FIGURES: &str = "/v1/snapshot?figures=false";
/// `POST` [`BeginRequest`]: begin scenarios. Idempotent; answers [`ClockResponse`].
pub const BEGIN: &str = "/v1/begin";
/// `POST` [`LevelRequest`]: take up levels of load. Idempotent; answers [`ClockResponse`].
pub const LEVEL: &str = "/v1/level";
/// `POST` [`proofload_results::StopNote`]: end all load but teardown; the first note counts. Idempotent; answers [`ClockResponse`].
pub const STOP: &str = "/v1/stop";
/// `POST`: the final snapshot has been stored, the runner may go. Refused (409) while load is under way.
pub const ACKNOWLEDGE: &str = "/v1/acknowledge";

/// `POST` [`ServerRequest`]: ask Prometheus for the target's own metrics, once the load is over. The first question
/// counts, and it is not waited for: whoever asked asks again. Idempotent; answers [`ServerResponse`].
pub const SERVER: &str = "/v1/server-metrics";

/// How long a token is valid, in seconds.
pub const TOKEN_SECONDS: u64 = 120;

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The run it is for: [`proofload_plan::Plan::run`].
    pub aud: String,
    /// Not valid after: seconds since 1970.
    pub exp: u64,
}

/// Begin scenarios.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BeginRequest {
    /// Indices of scenarios of the plan.
    pub scenarios: Vec<usize>,
    /// When, in microseconds from the arrival of this message: no clock of another machine is trusted.
    pub in_micros: u64,
    /// What setup extracted, as in [`proofload_results::Snapshot::variables`].
    #[serde(default)]
    pub variables: Vec<(u32, String)>,
}

/// Take up levels of load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LevelRequest {
    /// Index of the scenario of the plan.
    pub scenario: usize,
    /// All levels of the scenario so far, the new ones at the end: a runner that missed one catches up, and one that has
    /// them all does nothing.
    pub levels: Vec<LevelRecord>,
}

/// Ask Prometheus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerRequest {
    /// From when, in microseconds from the run's begin, which the runner knows by its own clock on the wall.
    pub from: u64,
    /// Until when.
    pub to: u64,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ServerResponse {
    /// Prometheus is being asked.
    Waiting,
    /// All that came.
    Answers(Vec<ServerAnswer>),
}

/// A runner's clock as it answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockResponse {
    /// Its monotonic clock, in microseconds: the clock of its snapshots.
    pub clock: u64,
}

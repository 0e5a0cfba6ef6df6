//! Load models: how much load a scenario puts on, and when.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{Micros, Rate, Share};

/// A curve of concurrent users, one stage after the other, beginning at 0 users.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Users {
    /// The parts of the curve. At the end of the last one no new request begins, and those under way may finish.
    #[schemars(length(min = 1, max = 64))]
    pub stages: Vec<Stage>,
}

/// A part of the curve: `{to: 100, over: 10s}` is a ramp to 100, `{hold: 5m}` stays at what there is, and
/// `{to: 100, hold: 5m}` jumps to 100 and stays there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.over) != has(self.hold)", "message": "expected exactly one time: either over (a ramp) or hold"},
    {"rule": "!has(self.over) || has(self.to)", "message": "expected over together with to, the number of users to ramp to"},
]))]
pub struct Stage {
    /// Names the stage in figures, in reports and in criteria's `during`. Default: its place and shape, e.g.
    /// `2: hold 100`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: Option<String>,
    /// The number of users at the end of this stage, over all runners.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1_000_000))]
    pub to: Option<u32>,
    /// How long the ramp to that number takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<Micros>,
    /// How long to stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Micros>,
}

/// A curve of the rate at which iterations begin, one stage after the other, beginning at 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Arrivals {
    /// The parts of the curve. At the end of the last one no iteration begins, and those under way have `gracefulStop`.
    #[schemars(length(min = 1, max = 64))]
    pub stages: Vec<RateStage>,
    /// The most users at once, over all runners. An arrival that finds none free is not sent late: it is counted as
    /// dropped. Default: as many as the highest rate has arrivals in two seconds, at least 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_users: Option<u32>,
}

/// A part of the curve: `{to: 2000/s, over: 30s}` is a ramp to 2000 a second, `{hold: 5m}` stays at what there is, and
/// `{to: 2000/s, hold: 5m}` jumps to 2000 a second and stays there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.over) != has(self.hold)", "message": "expected exactly one time: either over (a ramp) or hold"},
    {"rule": "!has(self.over) || has(self.to)", "message": "expected over together with to, the rate to ramp to"},
]))]
pub struct RateStage {
    /// Names the stage in figures, in reports and in criteria's `during`. Default: its place and shape, e.g.
    /// `2: hold 100/s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: Option<String>,
    /// Iterations that begin, over all runners, at the end of this stage: `500/s`, `90/m`, `10/h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Rate>,
    /// How long the ramp to that rate takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<Micros>,
    /// How long to stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Micros>,
}

/// A fixed amount of work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Iterations {
    /// Concurrent users, over all runners.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub users: u32,
    /// How many iterations each user makes.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub per_user: u32,
    /// Ends the scenario even if work is left, which makes the verdict `Inconclusive`.
    #[serde(default = "Iterations::default_max_duration")]
    pub max_duration: Micros,
}

impl Iterations {
    const fn default_max_duration() -> Micros {
        Micros::from_secs(600)
    }
}

/// Finds the highest load that still holds `until`: rises from `from` by `factor` until a step breaks, then halves the
/// distance until it is within `precision`. Each step is judged on its own window of time, over all runners.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.users) != has(self.rate)", "message": "expected exactly one of users and rate"},
]))]
pub struct Search {
    /// Searches the highest number of concurrent users.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<SearchUsers>,
    /// Searches the highest rate at which iterations begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<SearchRate>,
    /// How long the load of a step is put on, settling included.
    pub stage: Micros,
    /// How much of that passes before the step's figures count. Default: a fifth of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settle: Option<Micros>,
    /// A criterion: the load is too high once it does not hold in a step's window, e.g. `rate(errors) < 1%`.
    #[schemars(length(min = 1, max = 256))]
    pub until: String,
    /// How close to the highest load that holds one is that does not, as a share of it, before the search ends.
    #[serde(default = "Search::default_precision")]
    pub precision: Share,
}

impl Search {
    const fn default_precision() -> Share {
        Share::from_percent(5)
    }
    const fn default_factor() -> u32 {
        2
    }
}

/// A search among numbers of users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SearchUsers {
    /// Where to begin.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub from: u32,
    /// By what to rise while nothing breaks.
    #[serde(default = "Search::default_factor")]
    #[schemars(range(min = 2, max = 10))]
    pub factor: u32,
    /// Where to stop, even if nothing breaks.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub limit: u32,
}

/// A search among rates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SearchRate {
    /// Where to begin.
    pub from: Rate,
    /// By what to rise while nothing breaks.
    #[serde(default = "Search::default_factor")]
    #[schemars(range(min = 2, max = 10))]
    pub factor: u32,
    /// Where to stop, even if nothing breaks.
    pub limit: Rate,
    /// The most users at once, over all runners; a step in which an arrival finds none free has not held. Default: as
    /// for `arrivals`, by the limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_users: Option<u32>,
}

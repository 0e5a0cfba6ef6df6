//! Scenarios: one kind of traffic each, a load model and a flow of steps.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use crate::load::{Arrivals, Iterations, RateStage, Search, SearchRate, SearchUsers, Stage, Users};
pub use crate::step::{
    Auth, Basic, BodyExpect, Expect, Extract, Method, Part, Redirects, RegexExtract, Request, SizeExpect,
    StatusPattern, Step,
};
use crate::units::Micros;

/// One kind of traffic: how much of it (exactly one of `users`, `arrivals`, `iterations` and `search`) and what each
/// user does (`steps`). Scenarios begin together unless one says otherwise in `after` or `at`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "[has(self.users), has(self.arrivals), has(self.iterations), has(self.search)].filter(x, x).size() == 1",
     "message": "expected exactly one load model: users, arrivals, iterations or search"},
    {"rule": "has(self.flow) && self.flow == 'Weighted' || self.steps.all(s, !has(s.weight))",
     "message": "expected no step with a weight, since the flow is not Weighted: remove the weights or set flow: Weighted"},
    {"rule": "!has(self.after) || self.after != self.name", "message": "expected after to name another scenario"},
    {"rule": "!(has(self.after) && has(self.at))", "message": "expected at most one of after and at"},
    {"rule": "!(has(self.thinkTime) && has(self.pacing))", "message": "expected at most one of thinkTime and pacing"},
]))]
pub struct Scenario {
    /// Names the scenario in criteria, figures and reports. Unique in the test.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// The scenario that must have finished, on every runner, before this one begins. Default: begins at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub after: Option<String>,
    /// How long after the run's begin this scenario begins. Default: at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Micros>,
    /// Closed load model: a number of users, each of which loops through the flow, along a curve of stages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<Users>,
    /// Open load model: iterations begin at a rate, along a curve of stages, whether or not earlier ones have ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrivals: Option<Arrivals>,
    /// Closed load model with an end: a number of users, each of which goes through the flow so many times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iterations: Option<Iterations>,
    /// Finds the highest load that still holds a criterion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<Search>,
    /// How long a user pauses after each step. Default: no pause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub think_time: Option<ThinkTime>,
    /// A user begins an iteration each so long; at once, where the one before took longer. Not for `arrivals`, which
    /// have a rate of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pacing: Option<Micros>,
    /// How long iterations under way may go on once the load is over; what is left of them then is cut off. Default:
    /// 30s for `arrivals` (and `search` for a rate), else 0s: no request begins any more, those under way may finish.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub graceful_stop: Option<Micros>,
    /// `Sequence`: an iteration is every step in order. `Weighted`: an iteration is one step, or one group of steps,
    /// drawn by weight.
    #[serde(default)]
    pub flow: Flow,
    /// Groups of steps that follow each other: repeated, repeated while something holds, or only named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub groups: Vec<Group>,
    /// What each user does once, before its first iteration.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub on_start: Vec<Step>,
    /// What a user does in an iteration.
    #[schemars(length(min = 1, max = 64))]
    pub steps: Vec<Step>,
    /// What each user does once, after its last iteration, unless the run is stopped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub on_stop: Vec<Step>,
}

/// A pause: exactly one of `{min, max}` (drawn evenly), `{constant}` and `{mean}` (drawn from an exponential
/// distribution, as independent people pause; never longer than 10 times the mean).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.min) == has(self.max) && [has(self.min), has(self.constant), has(self.mean)].filter(x, x).size() == 1",
     "message": "expected exactly one of {min, max}, {constant} and {mean}"},
]))]
pub struct ThinkTime {
    /// The shortest pause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<Micros>,
    /// The longest pause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Micros>,
    /// The pause, always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub constant: Option<Micros>,
    /// The mean of pauses that are exponentially distributed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean: Option<Micros>,
}

/// How a user goes through its steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Flow {
    /// An iteration is every step in order.
    #[default]
    Sequence,
    /// An iteration is one step, or one group, drawn by weight.
    Weighted,
}

/// Steps that follow each other and name this group in `group`. A group whose name begins with another group's and a
/// slash is part of that one: `shop/pay` is in `shop`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    /// Names the group in figures and in criteria's `of`.
    #[schemars(
        length(min = 1, max = 127),
        regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(/[a-z0-9]([-a-z0-9]*[a-z0-9])?){0,3}$")
    )]
    pub name: String,
    /// How many times a user goes through the group, each time that it comes to it; with `while`, at most. Default 1,
    /// with `while` 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub repeat: Option<u32>,
    /// Goes through the group again for as long as this holds, e.g. `{{state}} != done`; it is looked at before each
    /// time. Operators: `== != < <= > >=`, which compare numbers where both sides are some, else texts. A variable that
    /// has no value yet is empty.
    #[serde(default, rename = "while", skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub while_: Option<String>,
    /// How often this group is drawn beside the others, in a `Weighted` flow; of outermost groups only. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1_000_000))]
    pub weight: Option<u32>,
}

//! The plan: what a runner executes, fully resolved. It travels as JSON in the run's `ConfigMap`.

mod run;
mod server;
mod step;
mod target;

use proofload_api::criterion::Expr;
use proofload_api::data::{KeyRef, Per, Pick};
use proofload_api::loadtest::{Abort, Severity};
use proofload_api::units::{Micros, Rate, Share};
use serde::{Deserialize, Serialize};

use crate::arrivals::RateCurve;
use crate::curve::UserCurve;

pub use server::{ServerMetrics, ServerQuery};
pub use step::{
    Action, Body, Check, CheckKind, Condition, Extract, ExtractFrom, Flow, Group, MAX_REDIRECTS, Node, Piece, Request,
    Step, WebSocket,
};
pub use target::{Connections, Keep, Protocol, Target, Tls};

/// Raised by every change to [`Plan`] that an older runner would execute differently.
pub const PLAN_VERSION: u32 = 4;

/// What to execute, over all runners.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// [`PLAN_VERSION`] of the compiler; a runner refuses any other.
    pub version: u32,
    /// The run, as `namespace/name` or a local name. Snapshots carry it, so that no two runs are ever merged.
    pub run: String,
    /// From what every random choice of the run follows.
    pub seed: u64,
    /// The service under test.
    pub target: Target,
    /// Data sets, in the order of their names.
    pub data: Vec<DataSet>,
    /// Names of the files that requests send, in the order of their names.
    pub files: Vec<Source>,
    /// Variables of the environment that templates use.
    pub env: Vec<Variable>,
    /// Names of everything that any step extracts; a value is known by its index here.
    pub variables: Vec<String>,
    /// What to send: the scenarios of the spec in their order, then setup, then teardown, where there are such.
    pub scenarios: Vec<Scenario>,
    /// What the target is asked of itself; none if it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerMetrics>,
    /// A runner that has not heard from its conductor for so long stops its load by itself.
    pub heartbeat_timeout: Micros,
    /// Width of a bucket of the timeline. All runners use the same, so that they merge bucket by bucket.
    pub timeline_width: Micros,
}

/// Where bytes come from that are not in the plan. Runners find them as files: `DIR/NAME`, where `NAME` is the source's
/// and `DIR` the runner's own (a volume that the kubelet mounts, or a directory of the laptop).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Its name in the spec.
    pub name: String,
    /// Where it is.
    pub place: Place,
}

/// Where a source is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Place {
    /// A key of a `ConfigMap`.
    ConfigMap(KeyRef),
    /// A key of a `Secret`.
    Secret(KeyRef),
    /// A file beside the test's own.
    File(String),
}

/// A table of rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataSet {
    /// Where it is; its name is the set's.
    pub source: Source,
    /// How it is written.
    pub format: Format,
    /// Which row is used.
    pub pick: Pick,
    /// How long a row is kept.
    pub per: Per,
    /// Columns that templates use; the set must have all of them.
    pub columns: Vec<String>,
    /// Of a `Unique` set: rows that the plan needs, where it says how many.
    pub needs: Option<u64>,
}

/// How a data set is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Format {
    /// Values separated by commas; the first line names the columns.
    Csv,
    /// A JSON object on each line.
    Jsonl,
}

/// A variable of the environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value where the spec has it; none for what only the runner's environment knows.
    pub value: Option<String>,
    /// Where it comes from otherwise.
    pub place: Option<Place>,
}

/// What a scenario is to the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// Load.
    Main,
    /// Once before all load, by one user of the first runner.
    Setup,
    /// Once after all load, by one user of the first runner.
    Teardown,
}

/// One kind of traffic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// What it is to the run.
    pub role: Role,
    /// Index of the scenario that must have finished before, on every runner; smaller than this one's own index or
    /// not: the order of the file is kept, and there is no cycle.
    pub after: Option<usize>,
    /// How long after the run's begin, or its predecessor's end, it begins.
    pub at: Micros,
    /// How much.
    pub load: Load,
    /// A pause after each step.
    pub think_time: Option<ThinkTime>,
    /// A user begins an iteration each so long.
    pub pacing: Option<Micros>,
    /// How long iterations under way may go on once the load is over.
    pub graceful_stop: Micros,
    /// How a user goes through the steps.
    pub flow: Flow,
    /// Every step: those of `on_start`, of the flow, of `on_stop`, in this order. Never empty.
    pub steps: Vec<Step>,
    /// How many of them, at the begin, a user does once before its first iteration.
    pub on_start: usize,
    /// How many of them, at the end, a user does once after its last iteration.
    pub on_stop: usize,
    /// Data sets that the steps use, by index.
    pub data: Vec<usize>,
}

/// A load model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Load {
    /// Users that loop, along a curve.
    Users(UserCurve),
    /// Iterations that begin along a curve of rates.
    Arrivals {
        /// The rates.
        curve: RateCurve,
        /// The most users at once.
        max_users: u32,
    },
    /// A fixed amount of work.
    Iterations {
        /// Concurrent users.
        users: u32,
        /// Iterations of each.
        per_user: u32,
        /// Ends the scenario even if work is left.
        max_duration: Micros,
    },
    /// Levels of load that the conductor chooses, one step after the other.
    Search(Search),
}

/// A search for the highest load that holds a criterion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Search {
    /// The first level.
    pub from: Level,
    /// The highest, of the same kind.
    pub limit: Level,
    /// By what to rise while nothing breaks; at least 2.
    pub factor: u32,
    /// The most users at once, where levels are rates.
    pub max_users: u32,
    /// How long a step's load is put on before its window begins.
    pub settle: Micros,
    /// How long a step's window is.
    pub window: Micros,
    /// What must hold in a window, as the user wrote it; it parses as [`Expr`].
    pub until: String,
    /// How close one level that holds and one that does not must be, as a share of the lower.
    pub precision: Share,
    /// The most steps that this search can take.
    pub most_steps: u32,
}

/// An amount of load, over all runners.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Level {
    /// Concurrent users.
    Users(u32),
    /// Iterations that begin.
    Rate(Rate),
}

impl Level {
    /// No load at all: what ends a search.
    pub fn is_zero(self) -> bool {
        matches!(self, Self::Users(0) | Self::Rate(Rate { per_hour: 0 }))
    }
}

impl std::fmt::Display for Level {
    /// `40 users`, `500/s`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Users(1) => f.pad("1 user"),
            Self::Users(users) => f.pad(&format!("{users} users")),
            Self::Rate(rate) => rate.fmt(f),
        }
    }
}

/// A pause after each step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ThinkTime {
    /// Always the same.
    Constant(Micros),
    /// Drawn evenly.
    Uniform {
        /// The shortest.
        min: Micros,
        /// The longest.
        max: Micros,
    },
    /// Drawn from an exponential distribution, cut off at ten times the mean.
    Exponential {
        /// Of the distribution before it is cut off.
        mean: Micros,
    },
}

/// A criterion, resolved. Runners need none: these stay with who judges.
#[derive(Debug, Clone, PartialEq)]
pub struct Criterion {
    /// As the user wrote it.
    pub text: String,
    /// What it says.
    pub expr: Expr,
    /// What it is judged on.
    pub scope: Scope,
    /// `of`, as the user wrote it.
    pub of: Option<String>,
    /// The stages that it is judged on, as pairs of scenario and stage; none for all of the time.
    pub during: Option<Vec<(usize, usize)>>,
    /// The name of those stages, as the user wrote it.
    pub during_text: Option<String>,
    /// When it ends the run.
    pub abort: Option<Abort>,
    /// What a failure means.
    pub severity: Severity,
}

/// A part of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All load: everything but setup and teardown.
    Run,
    /// One scenario, by index.
    Scenario(usize),
    /// Consecutive steps of a scenario: its index, the first step's, and how many.
    Steps(usize, usize, usize),
}

impl ThinkTime {
    /// The longest pause.
    pub fn longest(&self) -> Micros {
        match self {
            Self::Constant(time) | Self::Uniform { max: time, .. } => *time,
            Self::Exponential { mean } => Micros(mean.0.saturating_mul(10)),
        }
    }

    /// The mean pause.
    pub fn mean(&self) -> Micros {
        match self {
            Self::Constant(time) | Self::Exponential { mean: time } => *time,
            Self::Uniform { min, max } => Micros(min.0.midpoint(max.0)),
        }
    }
}

impl Load {
    /// The most users at once, over all runners.
    pub fn users(&self) -> u32 {
        match self {
            Self::Users(curve) => curve.peak(),
            Self::Iterations { users, .. } => *users,
            Self::Arrivals { max_users, .. } => *max_users,
            Self::Search(search) => search.max_users,
        }
    }

    /// How long no later than which the last request begins, from the scenario's own begin.
    pub fn duration(&self) -> Micros {
        match self {
            Self::Users(curve) => curve.duration(),
            Self::Iterations { max_duration, .. } => *max_duration,
            Self::Arrivals { curve, .. } => curve.duration(),
            Self::Search(search) => search.longest(),
        }
    }

    /// Whether iterations begin at a rate, with users that are taken as they are needed.
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Arrivals { .. } | Self::Search(Search { from: Level::Rate(_), .. }))
    }

    /// Names of the stages, for figures. A fixed amount of work is one stage. A search has `settling`, for everything
    /// outside of a step's window, and one for each step that it can take.
    pub fn stage_names(&self) -> Vec<String> {
        match self {
            Self::Users(curve) => curve.spans().iter().map(|span| span.name.clone()).collect(),
            Self::Iterations { .. } => vec!["iterations".to_owned()],
            Self::Arrivals { curve, .. } => curve.spans().iter().map(|span| span.name.clone()).collect(),
            Self::Search(search) => {
                let steps = (1..=search.most_steps).map(|step| format!("step {step}"));
                std::iter::once("settling".to_owned()).chain(steps).collect()
            }
        }
    }
}

impl Search {
    /// No longer than this does the search take: every step, and between two of them the time to judge one and to
    /// tell every runner.
    pub fn longest(&self) -> Micros {
        /// A look at every runner, and one more where the operator is started again meanwhile.
        const JUDGING: Micros = Micros::from_secs(5);
        let step = self.settle + self.window + JUDGING;
        Micros(step.0.saturating_mul(u64::from(self.most_steps)))
    }
}

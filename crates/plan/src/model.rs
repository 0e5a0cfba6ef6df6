//! The plan: what a runner executes, fully resolved. It travels as JSON in the run's `ConfigMap`.

use proofload_api::criterion::Expr;
use proofload_api::loadtest::Severity;
use proofload_api::scenario::{Flow, Method, StatusPattern};
use proofload_api::units::Micros;
use serde::{Deserialize, Serialize};

use crate::curve::UserCurve;
use crate::layout::Layout;
use crate::segment::Segment;

/// Raised by every change to [`Plan`] that an older runner would execute differently.
pub const PLAN_VERSION: u32 = 1;

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
    /// What to send.
    pub scenarios: Vec<Scenario>,
    /// A runner that has not heard from its conductor for so long stops its load by itself.
    pub heartbeat_timeout: Micros,
    /// Width of a bucket of the timeline. All runners use the same, so that they merge bucket by bucket.
    pub timeline_width: Micros,
}

/// The service under test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Name or address to connect to; an IPv6 address without brackets.
    pub host: String,
    /// Port to connect to.
    pub port: u16,
    /// The `Host` header.
    pub authority: String,
    /// From the intended time of a request to the last byte of its response.
    pub timeout: Micros,
    /// How users share connections.
    pub connections: Connections,
}

/// How users share connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Connections {
    /// So many for each user, used in turn.
    PerUser(u32),
    /// So many for all users of all runners together.
    Shared(u32),
}

/// One kind of traffic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// Index of the scenario that must have finished before, on every runner; smaller than this one's own index or
    /// not: the order of the file is kept, and there is no cycle.
    pub after: Option<usize>,
    /// How much.
    pub load: Load,
    /// A pause after each step.
    pub think_time: Option<ThinkTime>,
    /// How a user goes through the steps.
    pub flow: Flow,
    /// What a user does; never empty.
    pub steps: Vec<Step>,
}

/// A load model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Load {
    /// Users that loop, along a curve.
    Users(UserCurve),
    /// A fixed amount of work.
    Iterations {
        /// Concurrent users.
        users: u32,
        /// Iterations of each.
        per_user: u32,
        /// Ends the scenario even if work is left.
        max_duration: Micros,
    },
}

/// A pause, drawn evenly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThinkTime {
    /// The shortest.
    pub min: Micros,
    /// The longest.
    pub max: Micros,
}

/// One named action of a flow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// How often it is drawn beside the others, in a weighted flow.
    pub weight: u32,
    /// What to send.
    pub request: Request,
    /// Statuses that count as a good answer.
    pub expect: Vec<StatusPattern>,
}

/// A request, fully resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Path and query, the target's base path included.
    pub path: String,
    /// Every header but `Content-Length`, `Host` first.
    pub headers: Vec<(String, String)>,
    /// The body; none sends no `Content-Length`, an empty one sends `Content-Length: 0`.
    pub body: Option<String>,
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
    /// What a failure means.
    pub severity: Severity,
}

/// A part of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Everything.
    Run,
    /// One scenario, by index.
    Scenario(usize),
    /// One step, by the indices of its scenario and itself.
    Step(usize, usize),
}

impl Load {
    /// The most users at once, over all runners.
    pub fn users(&self) -> u32 {
        match self {
            Self::Users(curve) => curve.peak(),
            Self::Iterations { users, .. } => *users,
        }
    }

    /// How long no later than which the last request begins, from the scenario's own begin.
    pub fn duration(&self) -> Micros {
        match self {
            Self::Users(curve) => curve.duration(),
            Self::Iterations { max_duration, .. } => *max_duration,
        }
    }

    /// Names of the stages, for figures. A fixed amount of work is one stage.
    pub fn stage_names(&self) -> Vec<String> {
        match self {
            Self::Users(curve) => curve.spans().iter().map(|span| span.name.clone()).collect(),
            Self::Iterations { .. } => vec!["iterations".to_owned()],
        }
    }
}

impl Plan {
    /// Where each figure is kept.
    pub fn layout(&self) -> Layout {
        Layout::new(self)
    }

    /// Users of one segment that are ever at work, over all scenarios.
    pub fn users_of(&self, segment: Segment) -> u32 {
        self.scenarios.iter().map(|scenario| segment.share(scenario.load.users())).sum()
    }

    /// The most users that can be at work at once, over all runners: those of scenarios that may overlap.
    pub fn peak_users(&self) -> u32 {
        // Chains of `after` do not overlap. A chain's peak is its largest scenario; chains run side by side.
        let mut peaks: Vec<u32> = self.scenarios.iter().map(|scenario| scenario.load.users()).collect();
        let is_followed = |i: usize| self.scenarios.iter().any(|s| s.after == Some(i));
        let mut claimed = vec![false; peaks.len()];
        let mut total = 0_u32;
        for leaf in (0..self.scenarios.len()).filter(|i| !is_followed(*i)) {
            // Where chains branch, the trunk is counted with the first branch only.
            let mut peak = 0;
            let mut at = Some(leaf);
            while let Some(i) = at.filter(|i| !claimed[*i]) {
                claimed[i] = true;
                peak = peak.max(std::mem::take(&mut peaks[i]));
                at = self.scenarios[i].after;
            }
            total = total.saturating_add(peak);
        }
        total
    }

    /// When no request can be under way any more, from the run's begin: every wait included.
    pub fn longest(&self) -> Micros {
        (0..self.scenarios.len()).map(|i| self.longest_until(i)).max().unwrap_or_default()
    }

    /// How long the load is planned to last, were every follower to begin at once. For progress.
    pub fn planned(&self) -> Micros {
        let until =
            |i: usize| self.chain(i).map(|i| self.scenarios[i].load.duration()).fold(Micros::ZERO, std::ops::Add::add);
        (0..self.scenarios.len()).map(until).max().unwrap_or_default()
    }

    fn longest_until(&self, scenario: usize) -> Micros {
        /// Between the end of a scenario and the begin of its follower: a silent runner may have to be given up first,
        /// or the operator to be started again.
        const HANDOVER: Micros = Micros::from_secs(60);
        let one = |i: usize| self.scenarios[i].load.duration() + self.target.timeout + HANDOVER;
        self.chain(scenario).map(one).fold(Micros::ZERO, std::ops::Add::add)
    }

    /// A scenario, the one before it, and so on.
    fn chain(&self, scenario: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(scenario), |i| self.scenarios[*i].after)
    }
}

//! What to do next: a pure function of what is seen.

use proofload_api::Micros;
use proofload_api::loadtest::OnLost;
use proofload_plan::{Level, Plan};
use proofload_results::{LevelRecord, LostRunner, SnapshotSet, StopNote};

use crate::fleet::RunnerView;
use crate::sight::Sight;

/// What a decision depends on beside the runners.
#[derive(Debug, Clone)]
pub struct Conditions<'a> {
    /// What is executed.
    pub plan: &'a Plan,
    /// Whether load was seen before: if no runner is left to tell, it has begun all the same.
    pub begun: bool,
    /// How long the runners have been awaited.
    pub waited: Micros,
    /// How long they may be awaited.
    pub start_deadline: Micros,
    /// After how long a silent runner is lost.
    pub lost_after: Micros,
    /// What to do about a lost runner.
    pub on_lost: OnLost,
    /// Someone wants the run to end, or a criterion ends it, and why.
    pub stop: Option<StopNote>,
    /// What is wanted of scenarios since the run began, by their index: the last word on each.
    pub scale: &'a [(usize, Level)],
    /// The figures behind the views, for judging the steps of a search; `views` may come without figures.
    pub figures: &'a SnapshotSet,
}

/// What to do, and what is being waited for.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// What to do now.
    pub action: Action,
    /// What the run is waiting for, in words; empty where there is nothing to say.
    pub waiting_for: String,
    /// Runners that are lost so far.
    pub lost: Vec<LostRunner>,
}

/// What to do now.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Look again later.
    Wait,
    /// Begin scenarios.
    Begin(Vec<Begin>),
    /// Have runners take up levels of load.
    Steer(Vec<Steer>),
    /// End the load of these runners, but for a teardown.
    Stop {
        /// Which.
        runners: Vec<u32>,
        /// Why.
        note: StopNote,
    },
    /// No load was sent, and none will be.
    GiveUp {
        /// Why.
        reason: String,
        /// Whether someone wanted it so, rather than that it could not run.
        wanted: bool,
    },
    /// Every runner has ended or is lost: judge.
    Finish(Ending),
}

/// Begin scenarios on runners.
#[derive(Clone, PartialEq, Eq)]
pub struct Begin {
    /// Indices of scenarios.
    pub scenarios: Vec<usize>,
    /// Indices of runners.
    pub runners: Vec<u32>,
    /// Whether this is the barrier, where the delay is chosen so that the slowest runner still makes it; a runner that
    /// was late for it begins at once.
    pub together: bool,
    /// What setup extracted, for runners that do not know it.
    pub variables: Vec<(u32, String)>,
}

impl std::fmt::Debug for Begin {
    /// What setup extracted may be secret, and decisions are logged: only how much of it there is.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Begin")
            .field("scenarios", &self.scenarios)
            .field("runners", &self.runners)
            .field("together", &self.together)
            .field("variables", &self.variables.len())
            .finish()
    }
}

/// Levels of load for runners to take up.
#[derive(Debug, Clone, PartialEq)]
pub struct Steer {
    /// Index of the scenario.
    pub scenario: usize,
    /// Indices of runners.
    pub runners: Vec<u32>,
    /// All levels of the scenario so far, the new ones at the end.
    pub levels: Vec<LevelRecord>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Ending {
    /// Runners whose load is missing, wholly or from some moment on.
    pub lost: Vec<LostRunner>,
    /// Why the run ended before its plan did.
    pub stopped: Option<StopNote>,
}

/// Decides what to do next.
pub fn decide(runners: &[RunnerView], conditions: &Conditions<'_>) -> Decision {
    let fleet = Sight::new(runners, conditions);
    if conditions.begun || fleet.begun().next().is_some() { fleet.after_begin() } else { fleet.before_begin() }
}

//! What to do next: a pure function of what is seen.

use std::collections::BTreeMap;

use proofload_api::Micros;
use proofload_api::loadtest::OnLost;
use proofload_plan::Plan;
use proofload_results::{EndCause, LostRunner, RunnerState, Snapshot};

use crate::fleet::RunnerView;

/// After the plan's longest time, how much longer a runner may take before it is stopped.
const OVERTIME: Micros = Micros::from_secs(30);
/// After that, and after the deadline for the start, how much longer before it is given up.
const PATIENCE: Micros = Micros::from_secs(30);

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
    /// Someone wants the run to end, and why.
    pub stop: Option<String>,
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
    /// End the load of these runners, since `reason`.
    Stop {
        /// Which.
        runners: Vec<u32>,
        /// Why.
        reason: String,
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begin {
    /// Indices of scenarios.
    pub scenarios: Vec<usize>,
    /// Indices of runners.
    pub runners: Vec<u32>,
    /// Whether this is the barrier, where the delay is chosen so that the slowest runner still makes it; a runner that
    /// was late for it begins at once.
    pub together: bool,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Ending {
    /// Runners whose load is missing, wholly or from some moment on.
    pub lost: Vec<LostRunner>,
    /// Why the run ended before its plan did.
    pub stopped: Option<String>,
}

/// Decides what to do next.
pub fn decide(runners: &[RunnerView], conditions: &Conditions<'_>) -> Decision {
    let fleet = Sight::new(runners, conditions);
    if conditions.begun || fleet.begun().next().is_some() { fleet.after_begin() } else { fleet.before_begin() }
}

/// The runners, sorted by what they mean for the run.
struct Sight<'a> {
    conditions: &'a Conditions<'a>,
    runners: &'a [RunnerView],
    present: BTreeMap<u32, &'a Snapshot>,
    lost: Vec<LostRunner>,
}

impl<'a> Sight<'a> {
    fn new(runners: &'a [RunnerView], conditions: &'a Conditions<'a>) -> Self {
        let mut present = BTreeMap::new();
        let mut lost = Vec::new();
        for (index, view) in (0..).zip(runners) {
            if let RunnerView::Present { snapshot, .. } = view {
                present.insert(index, &**snapshot);
            }
            if let Some(reason) = loss(view, conditions) {
                lost.push(LostRunner { index, reason });
            }
        }
        Self { conditions, runners, present, lost }
    }

    /// Runners whose load has begun or is about to.
    fn begun(&self) -> impl Iterator<Item = (u32, &'a Snapshot)> {
        self.present.iter().filter(|(_, snapshot)| snapshot.state != RunnerState::Waiting).map(|(i, s)| (*i, *s))
    }

    fn is_lost(&self, index: u32) -> bool {
        self.lost.iter().any(|lost| lost.index == index)
    }

    fn decision(self, action: Action, waiting_for: impl Into<String>) -> Decision {
        Decision { action, waiting_for: waiting_for.into(), lost: self.lost }
    }

    fn before_begin(self) -> Decision {
        let conditions = self.conditions;
        if let Some(reason) = &conditions.stop {
            return self.decision(Action::GiveUp { reason: reason.clone(), wanted: true }, "");
        }
        if let Some(lost) = self.lost.first() {
            let reason = format!("runner {} ended before the load began: {}", lost.index, lost.reason);
            return self.decision(Action::GiveUp { reason, wanted: false }, "");
        }
        let ready = self.present.len();
        if ready == self.runners.len() && conditions.waited < conditions.start_deadline + PATIENCE {
            let roots = (0..conditions.plan.scenarios.len()).filter(|i| conditions.plan.scenarios[*i].after.is_none());
            let begin =
                Begin { scenarios: roots.collect(), runners: self.present.keys().copied().collect(), together: true };
            return self.decision(Action::Begin(vec![begin]), "");
        }
        let blockers = self.blockers();
        if conditions.waited >= conditions.start_deadline {
            let total = self.runners.len();
            let reason =
                format!("{ready} of {total} runners were ready within {}{blockers}", conditions.start_deadline);
            return self.decision(Action::GiveUp { reason, wanted: false }, "");
        }
        let waiting_for = format!("{} of {} runners{blockers}", self.runners.len() - ready, self.runners.len());
        self.decision(Action::Wait, waiting_for)
    }

    /// Why runners are not ready: each different reason once, with how many have it.
    fn blockers(&self) -> String {
        let mut reasons: BTreeMap<&str, u32> = BTreeMap::new();
        for view in self.runners {
            if let RunnerView::Pending { reason: Some(reason) } = view {
                *reasons.entry(reason).or_default() += 1;
            }
        }
        let lines = reasons.iter().take(5).map(|(reason, count)| format!("{count}x {reason}"));
        let text = lines.collect::<Vec<_>>().join("; ");
        if text.is_empty() { text } else { format!(": {text}") }
    }

    fn after_begin(self) -> Decision {
        let still_at_work: Vec<u32> = self
            .present
            .iter()
            .filter(|(index, snapshot)| !self.is_lost(**index) && !matches!(snapshot.state, RunnerState::Ended(_)))
            .map(|(index, _)| *index)
            .collect();
        let unsettled = (0..).zip(self.runners).any(|(index, view)| {
            matches!(view, RunnerView::Silent { .. } | RunnerView::Pending { .. }) && !self.is_lost(index)
        });
        let stop = self.stop_reason();
        if still_at_work.is_empty() && !unsettled {
            let ending = Ending { lost: self.lost.clone(), stopped: stop.or_else(|| self.stopped_by_conductor()) };
            return self.decision(Action::Finish(ending), "");
        }
        if let Some(reason) = stop {
            let waiting_for = format!("{} runners to stop", still_at_work.len());
            return self.decision(Action::Stop { runners: still_at_work, reason }, waiting_for);
        }
        let begins = self.begins(&still_at_work);
        if !begins.is_empty() {
            return self.decision(Action::Begin(begins), "");
        }
        let waiting_for = if unsettled { "a runner that does not answer" } else { "" };
        self.decision(Action::Wait, waiting_for)
    }

    fn stop_reason(&self) -> Option<String> {
        if let Some(reason) = &self.conditions.stop {
            return Some(reason.clone());
        }
        if let Some(lost) = self.lost.first().filter(|_| self.conditions.on_lost == OnLost::Abort) {
            return Some(format!("runner {} was lost ({}) and runners.onLost is Abort", lost.index, lost.reason));
        }
        let longest = self.conditions.plan.longest();
        let overdue = self.begun().any(|(_, snapshot)| elapsed(snapshot) > longest + OVERTIME);
        overdue.then(|| format!("the run took longer than the {longest} that its plan can take"))
    }

    /// An operator that was killed after it stopped the run still finds that out.
    fn stopped_by_conductor(&self) -> Option<String> {
        let stopped = |snapshot: &&Snapshot| snapshot.state == RunnerState::Ended(EndCause::Stopped);
        self.present.values().any(stopped).then(|| "the run was stopped".to_owned())
    }

    /// What is due to begin: the first scenarios on runners that were late, and scenarios whose predecessor has ended on
    /// every runner that is left.
    fn begins(&self, at_work: &[u32]) -> Vec<Begin> {
        let mut begins: Vec<Begin> = Vec::new();
        for (scenario, spec) in self.conditions.plan.scenarios.iter().enumerate() {
            let due = spec.after.is_none_or(|before| {
                let ended = |snapshot: &Snapshot| snapshot.scenarios.get(before).is_some_and(|s| s.ended.is_some());
                at_work.iter().all(|index| ended(self.present[index]))
            });
            let idle = |snapshot: &Snapshot| snapshot.scenarios.get(scenario).is_none_or(|s| s.began.is_none());
            let runners: Vec<u32> = at_work.iter().copied().filter(|index| idle(self.present[index])).collect();
            if !due || runners.is_empty() || self.is_unsettled_before(spec.after) {
                continue;
            }
            match begins.iter_mut().find(|begin| begin.runners == runners) {
                Some(begin) => begin.scenarios.push(scenario),
                None => begins.push(Begin { scenarios: vec![scenario], runners, together: spec.after.is_some() }),
            }
        }
        begins
    }

    /// A silent runner may still be at work on the predecessor: wait until it answers or is lost.
    fn is_unsettled_before(&self, before: Option<usize>) -> bool {
        let silent =
            |(index, view): (u32, &RunnerView)| matches!(view, RunnerView::Silent { .. }) && !self.is_lost(index);
        before.is_some() && (0..).zip(self.runners).any(silent)
    }
}

/// How long a runner's load has lasted.
fn elapsed(snapshot: &Snapshot) -> Micros {
    Micros(snapshot.began.map_or(0, |began| snapshot.clock.saturating_sub(began)))
}

/// Why a runner's load is missing, if it is.
fn loss(view: &RunnerView, conditions: &Conditions<'_>) -> Option<String> {
    match view {
        RunnerView::Gone { reason } => Some(reason.clone()),
        RunnerView::Silent { lasting } if *lasting >= conditions.lost_after => {
            Some(format!("it has not answered for {}", Micros::from_secs(lasting.0 / 1_000_000)))
        }
        RunnerView::Present { snapshot, .. } => match snapshot.state {
            RunnerState::Ended(EndCause::Terminated) => Some("its pod was told to end".to_owned()),
            RunnerState::Ended(EndCause::Abandoned) => Some("it was out of touch and stopped its load".to_owned()),
            RunnerState::Running if elapsed(snapshot) > conditions.plan.longest() + OVERTIME + PATIENCE => {
                Some("it did not stop".to_owned())
            }
            _ => None,
        },
        RunnerView::Silent { .. } | RunnerView::Pending { .. } => None,
    }
}

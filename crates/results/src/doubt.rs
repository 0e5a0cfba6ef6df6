//! Doubts: why figures may not be what they seem. A verdict of `Passed` needs that there are none.

use proofload_api::units::{short_share, short_time};
use proofload_api::{Micros, Outcome};
use proofload_plan::{Load, Plan, Scope, Segment};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::health::{Strain, saturation};
use crate::server::ServerAnswer;
use crate::shortfall::{dropped, starved, unfinished};
use crate::snapshot::{Aborted, EndCause, LevelRecord, RunnerState};
use crate::totals::{RunnerTotals, Totals};
use crate::words::{safe, sentence};

/// Runners that began further apart than this did not put the planned load on together.
pub const MAX_SKEW: Micros = Micros::from_secs(1);

/// A reason not to trust the figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Doubt {
    /// What kind of reason.
    pub kind: DoubtKind,
    /// Whose, if it is one runner's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runner: Option<u32>,
    /// The share of the planned load that is missing for it, 0..=1, where load is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<f64>,
    /// In a sentence or two, with what to do about it.
    pub text: String,
}

/// The kinds of doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DoubtKind {
    /// A runner is gone: evicted, killed, its node lost. Its load is missing from then on.
    LostRunner,
    /// The last figures of a runner never came, or cannot be read.
    MissingSnapshot,
    /// A runner ended before its share was done.
    EndedEarly,
    /// The run was stopped before its end.
    Stopped,
    /// A fixed amount of work was not done in its time.
    UnfinishedIterations,
    /// The generator could not keep up.
    Saturated,
    /// The generator had no file or no local port left for a connection: some of the errors are its own.
    Exhausted,
    /// The runners began too far apart.
    Skew,
    /// Arrivals found no free user, and were not sent.
    DroppedArrivals,
    /// Users found no row left in their data, and stopped.
    StarvedUsers,
}

impl DoubtKind {
    /// Whether it changes times by itself, rather than by load that is missing.
    pub const fn is_own_slowness(self) -> bool {
        matches!(self, Self::Saturated)
    }

    /// Whether it adds errors that are not the target's.
    pub const fn is_own_error(self) -> bool {
        matches!(self, Self::Exhausted)
    }
}

/// What only the conductor knows of a run: what happened to it, rather than what it measured.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Circumstances {
    /// Runners that are gone.
    pub lost: Vec<LostRunner>,
    /// Why the run was stopped before its end, as the end of `The run was stopped after 12s: `; none if it was not.
    pub stopped: Option<String>,
    /// How far apart the runners began.
    pub skew: Micros,
    /// Why the run could not be executed at all; the verdict is then `Error`.
    pub error: Option<String>,
    /// The criterion that ended the run, and what was seen in its window. It has failed, whatever the whole run says.
    pub aborted: Option<Aborted>,
    /// What Prometheus said of the target meanwhile.
    pub server: Vec<ServerAnswer>,
}

/// A runner that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostRunner {
    /// Which.
    pub index: u32,
    /// Why, e.g. `evicted` or `OOMKilled, exit code 137`.
    pub reason: String,
}

/// Every doubt that a run's end leaves. `runners` is how many the run has.
pub fn doubts(plan: &Plan, runners: u32, totals: &Totals, circumstances: &Circumstances) -> Vec<Doubt> {
    let mut found = Vec::new();
    let is_complete = |index: u32| {
        let runner = totals.runners.get(&index);
        runner.is_some_and(|runner| runner.state == RunnerState::Ended(EndCause::Completed))
    };
    let all_complete = (0..runners).all(is_complete);
    if let Some(why) = circumstances.stopped.as_ref().filter(|_| !all_complete) {
        let at = match totals.elapsed(Scope::Run) {
            Micros::ZERO => "before its load began".to_owned(),
            elapsed => format!("after {}", short_time(elapsed.0 as f64)),
        };
        let text = match circumstances.aborted {
            // It says when, too.
            Some(_) => format!("{}, which ended the run.", safe(why)),
            None => format!("The run was stopped {at}: {}", sentence(&safe(why))),
        };
        found.push(Doubt::new(DoubtKind::Stopped, None, None, text));
    }
    for index in (0..runners).filter(|index| !is_complete(*index)) {
        found.extend(runner_doubt(plan, Segment::new(index, runners), totals, circumstances));
    }
    if found.is_empty() {
        found.extend(unfinished(plan, totals));
    }
    found.extend(dropped(plan, totals));
    found.extend(starved(plan, totals));
    for (index, runner) in &totals.runners {
        let doubt = |strain: Strain| Doubt::new(strain.kind.doubt(), Some(*index), None, strain.text);
        found.extend(saturation(*index, runner, runners).into_iter().map(doubt));
    }
    let skew = skew(plan, totals, circumstances);
    if skew > MAX_SKEW {
        let skew = short_time(skew.0 as f64);
        let text = format!("The runners began {skew} apart, so the planned load was never on together.");
        found.push(Doubt::new(DoubtKind::Skew, None, None, text));
    }
    found
}

/// How far apart the runners began: the run, or any scenario of load, since each may have missed the begin of either.
pub(crate) fn skew(plan: &Plan, totals: &Totals, circumstances: &Circumstances) -> Micros {
    let spread = |scenario: usize| {
        let began = || totals.runners.values().filter_map(|runner| runner.scenarios.get(scenario)?.began);
        began().max().unwrap_or(0) - began().min().unwrap_or(0)
    };
    let most = (0..plan.main().len()).map(spread).max().unwrap_or(0);
    circumstances.skew.max(Micros(most))
}

impl Doubt {
    pub(crate) fn new(kind: DoubtKind, runner: Option<u32>, missing: Option<f64>, text: String) -> Self {
        Self { kind, runner, missing: missing.map(|share| crate::words::rounded(share, 4)), text }
    }
}

/// The doubt about a runner whose final snapshot is not there or not of all of its share.
fn runner_doubt(plan: &Plan, segment: Segment, totals: &Totals, circumstances: &Circumstances) -> Option<Doubt> {
    let index = segment.index;
    let runner = totals.runners.get(&index);
    let missing = missing_load(plan, segment, runner);
    let percent = short_share(missing);
    let (kind, text) = if let Some(lost) = circumstances.lost.iter().find(|lost| lost.index == index) {
        // When it was heard of last, which is what its figures go up to.
        let last = runner.map(|runner| runner.generator.elapsed).filter(|elapsed| *elapsed > 0);
        let at = last.map(|last| format!(" {} into the run", short_time(last as f64))).unwrap_or_default();
        let reason = safe(&lost.reason);
        (DoubtKind::LostRunner, format!("Runner {index} was lost{at} ({reason}): {percent} of the load is missing."))
    } else if let Some(why) = totals.unreadable.get(&index) {
        (DoubtKind::MissingSnapshot, format!("The figures of runner {index} cannot be read: {}", sentence(&safe(why))))
    } else {
        match runner.map(|runner| runner.state) {
            // That the run was stopped has been said once for all runners.
            None if circumstances.stopped.is_some() && totals.requests() == 0 => return None,
            Some(RunnerState::Ended(EndCause::Stopped) | RunnerState::Waiting) if circumstances.stopped.is_some() => {
                return None;
            }
            Some(RunnerState::Waiting) => {
                (DoubtKind::EndedEarly, format!("Runner {index} never began: {percent} of the load is missing."))
            }
            Some(RunnerState::Ended(cause)) => {
                let why = ended_early(cause);
                let text = format!("Runner {index} {why}: {percent} of the load is missing.");
                (DoubtKind::EndedEarly, text)
            }
            _ => {
                let text = format!(
                    "The last figures of runner {index} never came: up to {percent} of the load is not counted."
                );
                (DoubtKind::MissingSnapshot, text)
            }
        }
    };
    Some(Doubt::new(kind, Some(index), Some(missing), text))
}

const fn ended_early(cause: EndCause) -> &'static str {
    match cause {
        EndCause::Completed => "did its share",
        EndCause::Stopped => "was stopped before its share was done",
        EndCause::Terminated => "was told by its machine to end (SIGTERM) before its share was done",
        EndCause::Abandoned => "heard nothing for longer than the heartbeat timeout and stopped by itself",
    }
}

/// The share of the whole plan that a runner did not do, as far as is known. Scenarios count by their users.
fn missing_load(plan: &Plan, segment: Segment, runner: Option<&RunnerTotals>) -> f64 {
    let (mut missing, mut whole) = (0.0, 0.0);
    for (at, scenario) in plan.main().iter().enumerate() {
        let users = f64::from(segment.share(scenario.load.users()));
        whole += f64::from(scenario.load.users());
        let progress = runner.and_then(|runner| Some((runner.scenarios.get(at)?, runner.generator.elapsed)));
        let done = progress.map_or(0.0, |(progress, now)| match (&scenario.load, progress.began) {
            (_, None) => 0.0,
            (Load::Users(curve), Some(began)) => {
                let passed = progress.ended.unwrap_or(now).saturating_sub(began);
                passed as f64 / curve.duration().0.max(1) as f64
            }
            (Load::Iterations { per_user, .. }, Some(_)) => {
                progress.iterations as f64 / (users * f64::from(*per_user)).max(1.0)
            }
            // How long a search takes is not known before.
            (Load::Search(_), Some(_)) if progress.ended.is_some() && ended_itself(&progress.levels) => 1.0,
            (load @ (Load::Arrivals { .. } | Load::Search(_)), Some(began)) => {
                let passed = progress.ended.unwrap_or(now).saturating_sub(began);
                passed as f64 / load.duration().0.max(1) as f64
            }
        });
        missing += users * (1.0 - done.clamp(0.0, 1.0));
    }
    if whole == 0.0 { 0.0 } else { missing / whole }
}

/// Whether a search came to its end.
fn ended_itself(levels: &[LevelRecord]) -> bool {
    levels.last().is_some_and(|last| last.level.is_zero())
}

/// Whether an outcome says something good of the target.
pub(crate) const fn is_good(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Ok)
}

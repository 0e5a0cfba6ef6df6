//! Runs a simulation to its end, and tells what the conductor did.

use std::fmt::Write as _;

use proofload_api::Micros;
use proofload_api::loadtest::OnLost;
use proofload_conductor::{Action, Begin, Conditions, RunnerView, Steer, pass};
use proofload_plan::Level;
use proofload_results::{Aborted, SnapshotSet, StopNote};

use crate::fleet::Simulation;

/// What happens to a run from outside.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outside {
    pub(crate) abort_on_loss: bool,
    pub(crate) stop_at: Option<Micros>,
    /// In this pass only, a criterion ends the run: whoever conducts after it has not seen that.
    pub(crate) abort_at: Option<Micros>,
    /// From a time on, what is wanted of the first scenario.
    pub(crate) scale: Vec<(Micros, Level)>,
    /// Seconds in which the conductor is killed while it gives commands, so that one runner hears of them at most, and
    /// for how many seconds there is none then.
    pub(crate) kills: Vec<(u64, usize, u64)>,
}

/// Runs to the end, a pass a second. Returns the story, one line for each pass that did or said something new.
pub(crate) fn story(simulation: &mut Simulation, outside: &Outside) -> String {
    let plan = simulation.plan.clone();
    let mut figures = SnapshotSet::new(&plan, simulation.runners.len() as u32);
    let (mut told, mut last, mut away_until) = (String::new(), String::new(), 0);
    for second in 0..3600 {
        simulation.now = Micros::from_secs(second);
        if second < away_until {
            continue;
        }
        simulation.reach = usize::MAX;
        if let Some((_, reach, away)) = outside.kills.iter().find(|(at, ..)| *at == second) {
            simulation.reach = *reach;
            away_until = second + 1 + away;
        }
        let is_due = |at: &Micros| simulation.now >= *at;
        let note = || StopNote { reason: "a person said so".to_owned(), aborted: None };
        let aborted = || StopNote {
            reason: "rate(errors) < 1% did not hold".to_owned(),
            aborted: Some(Aborted { criterion: 0, observed: 0.5 }),
        };
        let scale: Vec<(usize, Level)> =
            outside.scale.iter().filter(|(at, _)| is_due(at)).map(|(_, level)| (0, *level)).collect();
        let conditions = Conditions {
            plan: &plan,
            begun: simulation.runners.iter().any(|runner| runner.begun.iter().any(Option::is_some)),
            waited: simulation.now,
            start_deadline: Micros::from_secs(120),
            lost_after: Micros::from_secs(20),
            on_lost: if outside.abort_on_loss { OnLost::Abort } else { OnLost::Inconclusive },
            stop: match outside.abort_at.filter(|at| simulation.now == *at) {
                Some(_) => Some(aborted()),
                None => outside.stop_at.filter(is_due).map(|_| note()),
            },
            scale: &scale,
            figures: &figures,
        };
        let (views, decision) = futures::executor::block_on(pass(simulation, &conditions));
        for view in views {
            if let RunnerView::Present { snapshot, .. } = view {
                figures.insert(*snapshot).unwrap();
            }
        }
        if away_until > second {
            // Who comes next has seen nothing.
            figures = SnapshotSet::new(&plan, simulation.runners.len() as u32);
        }
        let line = line(&decision.action, &decision.waiting_for);
        if line != last {
            writeln!(told, "{second}s {line}").unwrap();
            last = line;
        }
        if matches!(decision.action, Action::Finish(_) | Action::GiveUp { .. }) {
            return told;
        }
    }
    panic!("the run did not end:\n{told}");
}

fn line(action: &Action, waiting_for: &str) -> String {
    match action {
        Action::Wait if waiting_for.is_empty() => "watch".to_owned(),
        Action::Wait => format!("wait for {waiting_for}"),
        Action::Begin(begins) => begins.iter().map(begin).collect::<Vec<_>>().join(", "),
        Action::Steer(steers) => steers.iter().map(steer).collect::<Vec<_>>().join(", "),
        Action::Stop { runners, note } => format!("stop {runners:?}: {}", note.reason),
        Action::GiveUp { reason, .. } => format!("give up: {reason}"),
        Action::Finish(ending) => {
            let missing = ending.lost.iter().map(|runner| format!(", lost {}: {}", runner.index, runner.reason));
            let how = |note: &StopNote| if note.aborted.is_some() { "aborted" } else { "stopped" };
            let stopped = ending.stopped.iter().map(|note| format!(", {}: {}", how(note), note.reason));
            format!("finish{}{}", missing.collect::<String>(), stopped.collect::<String>())
        }
    }
}

fn begin(begin: &Begin) -> String {
    let how = if begin.together { "together" } else { "at once" };
    let with = if begin.variables.is_empty() { "" } else { ", with what setup extracted" };
    format!("begin {:?} on {:?} {how}{with}", begin.scenarios, begin.runners)
}

fn steer(steer: &Steer) -> String {
    let last = steer.levels.last().unwrap();
    let after = match last.before {
        Some(before) if before.held => ", the one before held",
        Some(_) => ", the one before broke",
        None => "",
    };
    format!("level {} of {} from {}ms on {:?}{after}", steer.levels.len(), last.level, last.from / 1000, steer.runners)
}

//! Which part of one run belongs to which of another, and what of it can be held against each other.

use std::collections::BTreeSet;

use super::Presence;
use crate::figures::Figures;
use crate::report::{Report, ScenarioReport};
use crate::words::rounded;

/// A part of a run, in both or in one of them.
#[derive(Debug)]
pub(super) struct Pair<'a> {
    pub(super) scenario: Option<&'a str>,
    pub(super) step: Option<&'a str>,
    pub(super) sides: Sides<'a>,
    /// Whether both did the same: of other scenarios or steps in it, figures of the whole say nothing of the target.
    pub(super) is_same: bool,
    /// Whether the rate is the target's doing, rather than what was asked for.
    pub(super) is_closed: bool,
}

/// Figures, and the time under load that they are over, in seconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Side<'a> {
    pub(super) figures: &'a Figures,
    pub(super) seconds: f64,
}

impl Side<'_> {
    /// Requests a second over that time.
    pub(super) fn rate(self) -> Option<f64> {
        (self.seconds > 0.0).then(|| rounded(self.figures.requests as f64 / self.seconds, 3))
    }
}

/// The figures of a part that at least one run has.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sides<'a> {
    Both(Side<'a>, Side<'a>),
    Removed(Side<'a>),
    Added(Side<'a>),
}

impl<'a> Sides<'a> {
    fn of(before: Option<Side<'a>>, after: Option<Side<'a>>) -> Option<Self> {
        match (before, after) {
            (Some(before), Some(after)) => Some(Self::Both(before, after)),
            (Some(before), None) => Some(Self::Removed(before)),
            (None, after) => after.map(Self::Added),
        }
    }

    pub(super) const fn presence(&self) -> Presence {
        match self {
            Self::Both(..) => Presence::Both,
            Self::Removed(_) => Presence::Removed,
            Self::Added(_) => Presence::Added,
        }
    }
}

/// What is under way at the end of the planned load may take as long as its timeout: one request that hangs is no lower
/// rate.
fn side(figures: &Figures, took: u64, planned: u64) -> Side<'_> {
    let micros = if planned == 0 { took } else { took.min(planned) };
    Side { figures, seconds: micros as f64 / 1e6 }
}

fn of_run(run: &Report) -> Side<'_> {
    side(&run.summary, run.duration, run.load.planned_duration)
}

fn of_load<'a>(figures: &'a Figures, scenario: &ScenarioReport) -> Side<'a> {
    side(figures, scenario.load.duration, scenario.load.planned_duration)
}

/// Every part of two runs: the whole, then each scenario with its steps. The whole is left out where both have the same
/// only scenario. Setup and teardown are no load, and in none.
pub(super) fn pairs<'a>(before: &'a Report, after: &'a Report) -> Vec<Pair<'a>> {
    let mut pairs = Vec::new();
    let scenarios = matched(&before.scenarios, &after.scenarios, |scenario| &scenario.name);
    if scenarios.len() > 1 {
        let is_same = |(before, after): &(Option<&ScenarioReport>, Option<&ScenarioReport>)| {
            before.zip(*after).is_some_and(|(before, after)| has_same_steps(before, after))
        };
        pairs.push(Pair {
            scenario: None,
            step: None,
            sides: Sides::Both(of_run(before), of_run(after)),
            is_same: scenarios.iter().all(is_same),
            is_closed: [before, after].iter().all(|run| run.scenarios.iter().all(|scenario| is_closed(run, scenario))),
        });
    }
    for (of_before, of_after) in scenarios {
        let is_closed = of_before.is_none_or(|scenario| is_closed(before, scenario))
            && of_after.is_none_or(|scenario| is_closed(after, scenario));
        pairs.extend(of_scenario(of_before, of_after, is_closed));
    }
    pairs
}

/// A scenario and its steps; of one that only one of the runs has only itself.
fn of_scenario<'a>(
    before: Option<&'a ScenarioReport>,
    after: Option<&'a ScenarioReport>,
    is_closed: bool,
) -> Vec<Pair<'a>> {
    let scenario = before.or(after).map(|scenario| scenario.name.as_str());
    let whole = |scenario: &'a ScenarioReport| of_load(&scenario.figures, scenario);
    let is_same = before.zip(after).is_some_and(|(before, after)| has_same_steps(before, after));
    let sides = Sides::of(before.map(whole), after.map(whole));
    let pair = |step, sides, is_same| Pair { scenario, step, sides, is_same, is_closed };
    let mut pairs: Vec<_> = sides.map(|sides| pair(None, sides, is_same)).into_iter().collect();
    let (Some(before), Some(after)) = (before, after) else { return pairs };
    for (of_before, of_after) in matched(&before.steps, &after.steps, |step| &step.name) {
        let sides = Sides::of(
            of_before.map(|step| of_load(&step.figures, before)),
            of_after.map(|step| of_load(&step.figures, after)),
        );
        let step = of_before.or(of_after).map(|step| step.name.as_str());
        pairs.extend(sides.map(|sides| pair(step, sides, true)));
    }
    pairs
}

/// Things of the same name, in the order of the first; then those of the second only.
pub(super) fn matched<'a, T>(
    before: &'a [T],
    after: &'a [T],
    name: impl Fn(&T) -> &String,
) -> Vec<(Option<&'a T>, Option<&'a T>)> {
    let find = |all: &'a [T], one: &T| all.iter().find(|other| name(other) == name(one));
    let known = before.iter().map(|one| (Some(one), find(after, one)));
    let new = after.iter().filter(|one| find(before, one).is_none()).map(|one| (None, Some(one)));
    known.chain(new).collect()
}

/// Whether two scenarios have steps of the same names.
pub(super) fn has_same_steps(before: &ScenarioReport, after: &ScenarioReport) -> bool {
    let names = |scenario: &ScenarioReport| -> BTreeSet<String> {
        scenario.steps.iter().map(|step| step.name.clone()).collect()
    };
    names(before) == names(after)
}

/// Whether the users of a scenario wait for the target before they go on. Of arrivals the rate is asked for, and what a
/// search puts on follows from what it saw.
fn is_closed(report: &Report, scenario: &ScenarioReport) -> bool {
    let mut levels = scenario.stages.iter().flat_map(|stage| stage.from.iter().chain(&stage.to)).peekable();
    let is_open = if levels.peek().is_some() {
        levels.any(|level| level.rate.is_some())
    } else {
        // A report of version 1 tells it only of the whole run.
        report.timeline.buckets.iter().any(|bucket| bucket.planned_rate.is_some())
    };
    !is_open && scenario.search.is_none()
}

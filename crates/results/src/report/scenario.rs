//! What was measured of one scenario.

use proofload_api::Micros;
use proofload_plan::{CellAddress, Criterion, Level, Load, Node, Plan, Scope, Step};

use super::held::held;
use super::steered::{planned as planned_load, search};
use super::{CheckReport, GroupReport, LoadLevel, ScenarioLoad, ScenarioReport, StageReport, StepReport};
use crate::cell::Cell;
use crate::doubt::Doubt;
use crate::figures::Figures;
use crate::judge::{Judgement, verdict};
use crate::part::stage_times;
use crate::search;
use crate::shortfall::planned_iterations;
use crate::totals::{ScenarioTotals, Totals};

pub(super) fn scenario(
    plan: &Plan,
    totals: &Totals,
    at: usize,
    criteria: &[Criterion],
    judgements: &[Judgement],
    doubts: &[Doubt],
) -> ScenarioReport {
    let planned = &plan.scenarios[at];
    let progress = &totals.scenarios[at];
    let is_here = |scope: Scope| matches!(scope, Scope::Scenario(i) | Scope::Steps(i, ..) if i == at);
    let here = judgements.iter().filter(|judgement| is_here(judgement.scope));
    let stages = stages(plan, at, progress);
    let stage_of_steps = |stage: usize, steps: std::ops::Range<usize>| {
        let mut sum = Cell::default();
        for step in steps {
            sum.add(&totals.cells[totals.layout().index(CellAddress { scenario: at, step, stage })]);
        }
        StageReport {
            name: stages[stage].0.clone(),
            began: None,
            duration: None,
            from: None,
            to: None,
            held: None,
            figures: Figures::of(&sum, stages[stage].1),
        }
    };
    let stage_of_all = |stage: usize| {
        let times = stage_times(planned, progress, stage);
        let began = times.first().map(|(from, _)| *from);
        // What is under way after the end of a curve is no load of it any more.
        let end = planned_end(&planned.load, progress);
        let duration = times.iter().map(|(from, until)| (*until).min(end).saturating_sub(*from)).sum();
        let (from, to) = stage_load(plan, totals, at, stage, &times).unzip();
        let duration = began.map(|_| duration);
        let held = held(plan, totals, criteria, (at, stage));
        StageReport { began, duration, from, to, held, ..stage_of_steps(stage, 0..planned.steps.len()) }
    };
    let step = |(place, step): (usize, &Step)| {
        let cell = totals.scope(Scope::Steps(at, place, 1));
        StepReport {
            name: step.name.clone(),
            figures: Figures::whole(&cell, progress.elapsed()),
            group: step.group.clone(),
            checks: checks(plan, step, &cell),
            stages: match stages.len() {
                1 => Vec::new(),
                stages => (0..stages).map(|stage| stage_of_steps(stage, place..place + 1)).collect(),
            },
        }
    };
    ScenarioReport {
        name: planned.name.clone(),
        verdict: verdict(here.map(|judgement| (judgement.severity, judgement.outcome)), doubts),
        load: load(plan, totals, at),
        figures: Figures::whole(&totals.scope(Scope::Scenario(at)), progress.elapsed()),
        stages: (0..stages.len()).map(stage_of_all).collect(),
        steps: planned.steps.iter().enumerate().map(step).collect(),
        groups: groups(plan, totals, at),
        search: search(&planned.load, &progress.levels),
    }
}

/// The planned load at the begin and at the end of a stage that was under load at these times; none where it never was,
/// and of what a search does between its steps.
fn stage_load(
    plan: &Plan,
    totals: &Totals,
    at: usize,
    stage: usize,
    times: &[(u64, u64)],
) -> Option<(LoadLevel, LoadLevel)> {
    let (load, progress) = (&plan.scenarios[at].load, &totals.scenarios[at]);
    let (first, last) = (times.first()?.0, times.last()?.1);
    match load {
        Load::Search(_) if stage == 0 => None,
        Load::Users(curve) if progress.levels.is_empty() => {
            let span = curve.spans().get(stage)?;
            Some((Level::Users(span.from).into(), Level::Users(span.to).into()))
        }
        Load::Arrivals { curve, .. } if progress.levels.is_empty() => {
            let span = curve.spans().get(stage)?;
            Some((Level::Rate(span.from).into(), Level::Rate(span.to).into()))
        }
        _ => {
            let level = |moment| planned_load(plan, totals, at, moment);
            Some((level(first)?, level(last.min(planned_end(load, progress)).saturating_sub(1))?))
        }
    }
}

/// When the load of a scenario is over, by the plan; of load models that do not plan by time never.
fn planned_end(load: &Load, progress: &ScenarioTotals) -> u64 {
    match load {
        Load::Users(_) | Load::Arrivals { .. } => progress.began.unwrap_or(0).saturating_add(load.duration().0),
        Load::Iterations { .. } | Load::Search(_) => u64::MAX,
    }
}

fn load(plan: &Plan, totals: &Totals, at: usize) -> ScenarioLoad {
    let (load, progress) = (&plan.scenarios[at].load, &totals.scenarios[at]);
    ScenarioLoad {
        began: progress.began,
        planned_duration: load.duration().0,
        duration: progress.elapsed().0,
        planned_users: load.users(),
        peak_users: peak_users(plan, totals, at),
        planned_iterations: planned_iterations(load),
        iterations: progress.iterations,
        cut_iterations: progress.cut_iterations,
        broken_iterations: progress.broken_iterations,
        dropped: progress.dropped,
        starved_users: progress.starved,
    }
}

fn checks(plan: &Plan, step: &Step, cell: &Cell) -> Vec<CheckReport> {
    let counts = cell.checks.iter().copied().chain(std::iter::repeat(crate::cell::CheckCount::default()));
    let check = |(name, count): (String, crate::cell::CheckCount)| CheckReport {
        name,
        passed: count.passed,
        failed: count.failed,
    };
    step.check_names(&plan.variables).zip(counts).map(check).collect()
}

/// Every group of the flow, from the outermost in.
fn groups(plan: &Plan, totals: &Totals, at: usize) -> Vec<GroupReport> {
    fn names<'a>(nodes: &'a [Node], found: &mut Vec<&'a str>) {
        for node in nodes {
            if let Node::Group(group) = node {
                found.push(&group.name);
                names(&group.nodes, found);
            }
        }
    }
    let planned = &plan.scenarios[at];
    let mut found = Vec::new();
    names(&planned.flow.nodes, &mut found);
    let is_in = |step: &Step, name: &str| {
        let rest = step.group.as_deref().and_then(|group| group.strip_prefix(name));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let group = |name: &str| {
        let mut sum = Cell::default();
        for (place, _) in planned.steps.iter().enumerate().filter(|(_, step)| is_in(step, name)) {
            sum.add(&totals.scope(Scope::Steps(at, place, 1)));
        }
        GroupReport { name: name.to_owned(), figures: Figures::of(&sum, totals.scenarios[at].elapsed()) }
    };
    found.into_iter().map(group).collect()
}

/// The stages, and how long each was under load; of a search only those of the steps that were begun.
fn stages(plan: &Plan, at: usize, progress: &ScenarioTotals) -> Vec<(String, Micros)> {
    let planned = &plan.scenarios[at];
    let mut names = planned.load.stage_names();
    if matches!(planned.load, Load::Search(_)) {
        names.truncate(1 + search::steps(&progress.levels).len());
    }
    let length = |stage: usize| {
        stage_times(planned, progress, stage).into_iter().map(|(from, until)| until.saturating_sub(from)).sum()
    };
    names.into_iter().enumerate().map(|(stage, name)| (name, Micros(length(stage)))).collect()
}

/// The most users of a scenario at once; none where another one was under way at the same time, since the timeline
/// counts the users of all of them. A bucket in which one scenario of load followed another, or load a setup, is of both.
fn peak_users(plan: &Plan, totals: &Totals, at: usize) -> Option<u32> {
    let width = plan.timeline_width.0.max(1);
    let times = |at: usize| Some((totals.scenarios[at].began?, totals.scenarios[at].until?));
    let buckets = |(began, until): (u64, u64)| (began / width) as usize..=(until.saturating_sub(1) / width) as usize;
    let (began, until) = times(at)?;
    // The one user of setup or teardown adds nothing to the most of a scenario of load.
    let others: Vec<_> = (0..plan.main().len()).filter(|other| *other != at).filter_map(times).collect();
    if others.iter().any(|(other_began, other_until)| *other_began < until && *other_until > began) {
        return None;
    }
    let is_own = |place: usize| {
        buckets((began, until)).contains(&place) && !others.iter().any(|other| buckets(*other).contains(&place))
    };
    let seen = totals.timeline.iter().enumerate().filter(|(place, _)| is_own(*place));
    seen.map(|(_, bucket)| bucket.users).max()
}

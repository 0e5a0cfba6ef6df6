//! Builds a report.

use proofload_api::units::Micros;
use proofload_api::{Outcome, Verdict};
use proofload_plan::{CellAddress, Criterion, Load, Plan, Scope, Segment};
use serde_json::Value;

use super::redact::redacted;
use super::timeline::timeline;
use super::{
    CriterionReport, ErrorReport, REPORT_VERSION, Report, RunLoad, RunnerEnd, RunnerReport, ScenarioLoad,
    ScenarioReport, StageReport, StepReport,
};
use crate::doubt::{Circumstances, Doubt, doubts, planned_iterations};
use crate::figures::Figures;
use crate::health::Generator;
use crate::judge::{Judgement, judge, verdict};
use crate::reason::reason;
use crate::snapshot::{EndCause, ErrorRecord, RunnerState};
use crate::totals::{ScenarioTotals, Totals};
use crate::words::{rounded, share};

/// What a report is built from.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// What was to be executed.
    pub plan: &'a Plan,
    /// What must hold.
    pub criteria: &'a [Criterion],
    /// The spec that the plan was compiled from.
    pub spec: &'a Value,
    /// The load test's name.
    pub name: &'a str,
    /// Its namespace; none without a cluster.
    pub namespace: Option<&'a str>,
    /// When the load began, in RFC 3339; none if it never did.
    pub start: Option<&'a str>,
    /// How many runners the run has.
    pub runners: u32,
    /// What the runners measured.
    pub totals: &'a Totals,
    /// What happened to the run.
    pub circumstances: &'a Circumstances,
}

pub(super) fn build(input: &Input<'_>) -> Report {
    let Input { plan, totals, .. } = *input;
    let doubts = doubts(plan, input.runners, totals, input.circumstances);
    let judgements = judge(input.criteria, totals, &doubts);
    let elapsed = totals.elapsed(Scope::Run);
    let mut report = Report {
        version: REPORT_VERSION,
        name: input.name.to_owned(),
        namespace: input.namespace.map(str::to_owned),
        run: plan.run.clone(),
        verdict: Verdict::Error,
        reason: String::new(),
        error: input.circumstances.error.clone(),
        start: input.start.map(str::to_owned),
        duration: elapsed.0,
        load: RunLoad {
            planned_users: plan.peak_users(),
            peak_users: totals.timeline.iter().map(|bucket| bucket.users).max().unwrap_or(0),
            planned_duration: plan.planned().0,
        },
        summary: Figures::of(&totals.scope(Scope::Run), elapsed),
        scenarios: (0..plan.scenarios.len()).map(|at| scenario(plan, totals, at, &judgements, &doubts)).collect(),
        criteria: judgements.iter().map(criterion).collect(),
        timeline: timeline(plan, totals, 1),
        errors: totals.errors.iter().map(|record| error(plan, record)).collect(),
        generator: Generator::of(totals, input.circumstances.skew),
        runners: (0..input.runners).map(|index| runner(input, Segment::new(index, input.runners))).collect(),
        doubts,
        spec: Some(redacted(input.spec)),
    };
    // The verdict is made from what the report holds, so that it follows from the report alone.
    report.verdict = report.verdict_from_parts();
    if report.verdict == Verdict::Error {
        report.scenarios.iter_mut().for_each(|scenario| scenario.verdict = Verdict::Error);
    }
    report.reason = reason(&report);
    report
}

pub(super) fn build_to_fit(input: &Input<'_>, fits: impl Fn(&Report) -> bool) -> Report {
    /// Fewer buckets than this show nothing.
    const FEWEST_BUCKETS: usize = 8;
    let mut report = build(input);
    let mut per_bucket = 1;
    while !fits(&report) && report.timeline.buckets.len() > FEWEST_BUCKETS {
        per_bucket *= 2;
        report.timeline = timeline(input.plan, input.totals, per_bucket);
    }
    if !fits(&report) {
        let steps = report.scenarios.iter_mut().flat_map(|scenario| &mut scenario.steps);
        steps.for_each(|step| step.stages.clear());
    }
    if !fits(&report) {
        report.spec = None;
    }
    report
}

fn scenario(plan: &Plan, totals: &Totals, at: usize, judgements: &[Judgement], doubts: &[Doubt]) -> ScenarioReport {
    let planned = &plan.scenarios[at];
    let progress = &totals.scenarios[at];
    let is_here = |scope: Scope| matches!(scope, Scope::Scenario(i) | Scope::Step(i, _) if i == at);
    let here = judgements.iter().filter(|judgement| is_here(judgement.scope));
    let stages = stages(planned.load.stage_names(), &planned.load, progress);
    let stage_of_steps = |stage: usize, steps: std::ops::Range<usize>| {
        let mut sum = crate::cell::Cell::default();
        for step in steps {
            sum.add(&totals.cells[totals.layout().index(CellAddress { scenario: at, step, stage })]);
        }
        StageReport { name: stages[stage].0.clone(), figures: Figures::of(&sum, stages[stage].1) }
    };
    let step = |(place, step): (usize, &proofload_plan::Step)| StepReport {
        name: step.name.clone(),
        figures: Figures::of(&totals.scope(Scope::Step(at, place)), progress.elapsed()),
        stages: match stages.len() {
            1 => Vec::new(),
            stages => (0..stages).map(|stage| stage_of_steps(stage, place..place + 1)).collect(),
        },
    };
    ScenarioReport {
        name: planned.name.clone(),
        verdict: verdict(here.map(|judgement| (judgement.severity, judgement.outcome)), doubts),
        load: ScenarioLoad {
            began: progress.began,
            planned_duration: planned.load.duration().0,
            duration: progress.elapsed().0,
            planned_users: planned.load.users(),
            peak_users: peak_users(totals, at, plan.timeline_width),
            planned_iterations: planned_iterations(&planned.load),
            iterations: progress.iterations,
            cut_iterations: progress.cut_iterations,
        },
        figures: Figures::of(&totals.scope(Scope::Scenario(at)), progress.elapsed()),
        stages: (0..stages.len()).map(|stage| stage_of_steps(stage, 0..planned.steps.len())).collect(),
        steps: planned.steps.iter().enumerate().map(step).collect(),
    }
}

/// The stages, and how long each was under load. What comes after the end of the curve belongs to the last one.
fn stages(names: Vec<String>, load: &Load, progress: &ScenarioTotals) -> Vec<(String, Micros)> {
    let elapsed = progress.elapsed();
    let Load::Users(curve) = load else {
        return names.into_iter().map(|name| (name, elapsed)).collect();
    };
    let last = names.len().saturating_sub(1);
    let mut begin = Micros::ZERO;
    let length = |(place, (name, span)): (usize, (String, &proofload_plan::Span))| {
        let left = elapsed.saturating_sub(begin);
        begin = begin + span.duration;
        (name, if place == last { left } else { left.min(span.duration) })
    };
    names.into_iter().zip(curve.spans()).enumerate().map(length).collect()
}

/// The most users of a scenario at once; none where another one was under way at the same time, since the timeline
/// counts the users of all of them.
fn peak_users(totals: &Totals, at: usize, width: Micros) -> Option<u32> {
    let (began, until) = (totals.scenarios[at].began?, totals.scenarios[at].until?);
    let overlaps = |(other, progress): (usize, &ScenarioTotals)| {
        other != at
            && progress.began.is_some_and(|began| began < until)
            && progress.until.is_some_and(|until| until > began)
    };
    if totals.scenarios.iter().enumerate().any(overlaps) {
        return None;
    }
    let width = width.0.max(1);
    let buckets = (began / width) as usize..=(until.saturating_sub(1) / width) as usize;
    let seen = totals.timeline.iter().enumerate().filter(|(place, _)| buckets.contains(place));
    seen.map(|(_, bucket)| bucket.users).max()
}

fn criterion(judgement: &Judgement) -> CriterionReport {
    CriterionReport {
        expr: judgement.text.clone(),
        of: judgement.of.clone(),
        severity: judgement.severity,
        observed: judgement.observed.map(|value| value.amount),
        outcome: judgement.outcome,
    }
}

fn error(plan: &Plan, record: &ErrorRecord) -> ErrorReport {
    let scenario = plan.scenarios.get(record.scenario as usize);
    let step = scenario.and_then(|scenario| scenario.steps.get(record.step as usize));
    ErrorReport {
        scenario: scenario.map_or_else(|| record.scenario.to_string(), |scenario| scenario.name.clone()),
        step: step.map_or_else(|| record.step.to_string(), |step| step.name.clone()),
        outcome: Outcome::name(record.outcome).to_owned(),
        message: record.message.clone(),
        count: record.count,
        first_seen: record.first_seen,
        last_seen: record.last_seen,
    }
}

fn runner(input: &Input<'_>, segment: Segment) -> RunnerReport {
    let Input { plan, totals, circumstances, .. } = *input;
    let index = segment.index;
    let known = totals.runners.get(&index);
    let lost = circumstances.lost.iter().find(|lost| lost.index == index);
    let state = match (known.map(|runner| runner.state), lost) {
        (Some(RunnerState::Ended(EndCause::Completed)), _) => RunnerEnd::Completed,
        (_, Some(_)) => RunnerEnd::Lost,
        (Some(RunnerState::Ended(EndCause::Stopped)), _) => RunnerEnd::Stopped,
        (Some(RunnerState::Ended(EndCause::Terminated)), _) => RunnerEnd::Terminated,
        (Some(RunnerState::Ended(EndCause::Abandoned)), _) => RunnerEnd::Abandoned,
        (Some(RunnerState::Waiting), _) => RunnerEnd::NotStarted,
        (None, _) if input.start.is_none() => RunnerEnd::NotStarted,
        (Some(RunnerState::Running) | None, _) => RunnerEnd::Missing,
    };
    let users: u64 = plan.scenarios.iter().map(|scenario| u64::from(scenario.load.users())).sum();
    RunnerReport {
        index,
        state,
        share: rounded(share(u64::from(plan.users_of(segment)), users), 4),
        requests: known.map_or(0, |runner| runner.requests),
        lost: lost.filter(|_| state == RunnerEnd::Lost).map(|lost| lost.reason.clone()),
    }
}

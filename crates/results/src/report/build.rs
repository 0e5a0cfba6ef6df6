//! Builds a report.

use proofload_api::{Outcome, Verdict};
use proofload_plan::{Criterion, Plan, Role, Scope, Segment};
use serde_json::Value;

use super::redact::redacted;
use super::scenario::scenario;
use super::steered::changes;
use super::timeline::timeline;
use super::{
    AbortReport, CriterionReport, ErrorReport, REPORT_VERSION, Report, RunLoad, RunnerEnd, RunnerReport, ScenarioReport,
};
use crate::baseline::{self, Baseline, BaselineReport};
use crate::doubt::{Circumstances, doubts, skew};
use crate::figures::Figures;
use crate::findings::findings;
use crate::health::Generator;
use crate::judge::{Judgement, judge};
use crate::reason::reason;
use crate::server;
use crate::setup;
use crate::shortfall::{notes, without_judged};
use crate::snapshot::{EndCause, ErrorRecord, RunnerState};
use crate::totals::Totals;
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
    /// What it is to be held against; none if against nothing.
    pub baseline: Option<&'a Baseline>,
}

pub(super) fn build(input: &Input<'_>) -> Report {
    let Input { plan, totals, .. } = *input;
    let doubts = without_judged(doubts(plan, input.runners, totals, input.circumstances), input.criteria);
    let judgements =
        judge(plan, input.criteria, totals, &doubts, input.circumstances.aborted, &input.circumstances.server);
    let elapsed = totals.elapsed(Scope::Run);
    let scenario = |at: usize| scenario(plan, totals, at, input.criteria, &judgements, &doubts);
    let once = |role| plan.index_of(role).map(scenario);
    let setup_failed = || input.circumstances.stopped.clone().filter(|why| setup::has_failed(why));
    let mut report = Report {
        version: REPORT_VERSION,
        name: input.name.to_owned(),
        namespace: input.namespace.map(str::to_owned),
        description: input.spec["description"].as_str().map(str::to_owned),
        run: plan.run.clone(),
        seed: plan.seed,
        verdict: Verdict::Error,
        reason: String::new(),
        error: input.circumstances.error.clone().or_else(setup_failed),
        start: input.start.map(str::to_owned),
        duration: elapsed.0,
        load: RunLoad {
            planned_users: plan.peak_users(),
            peak_users: totals.timeline.iter().map(|bucket| bucket.users).max().unwrap_or(0),
            planned_duration: plan.planned().0,
        },
        summary: Figures::whole(&totals.scope(Scope::Run), elapsed),
        scenarios: (0..plan.main().len()).map(scenario).collect(),
        setup: once(Role::Setup),
        teardown: once(Role::Teardown),
        changes: changes(plan, totals),
        findings: notes(plan, totals, input.start.is_some(), &input.circumstances.lost),
        criteria: judgements.iter().map(criterion).collect(),
        timeline: timeline(plan, totals, 1),
        errors: totals.errors.iter().map(|record| error(plan, record)).collect(),
        server: server::reports(plan, input.criteria, totals, &input.circumstances.server),
        generator: Generator::of(totals, skew(plan, totals, input.circumstances)),
        runners: (0..input.runners).map(|index| runner(input, Segment::new(index, input.runners))).collect(),
        baseline: None,
        doubts,
        spec: Some(redacted(input.spec)),
    };
    // The verdict is made from what the report holds, so that it follows from the report alone.
    report.verdict = report.verdict_from_parts();
    // What could not be executed is no worse than anything.
    if let Some(baseline) = input.baseline.filter(|_| report.verdict != Verdict::Error) {
        baseline::hold(&mut report, baseline);
    }
    if report.verdict == Verdict::Error {
        report.scenarios.iter_mut().for_each(|scenario| scenario.verdict = Verdict::Error);
    }
    let notes = std::mem::take(&mut report.findings);
    report.findings = findings(&report);
    report.findings.extend(notes);
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
        report.server.iter_mut().for_each(server::ServerReport::thin);
    }
    if !fits(&report) {
        report.timeline.buckets.iter_mut().for_each(|bucket| bucket.heat.clear());
    }
    if !fits(&report) {
        let all = report.scenarios.iter_mut().chain(&mut report.setup).chain(&mut report.teardown);
        all.flat_map(|scenario: &mut ScenarioReport| &mut scenario.steps).for_each(|step| step.stages.clear());
    }
    if !fits(&report) {
        let all = report.scenarios.iter_mut().chain(&mut report.setup).chain(&mut report.teardown);
        all.flat_map(|scenario| &mut scenario.steps).for_each(|step| step.figures.distribution = None);
    }
    if !fits(&report) {
        report.baseline.iter_mut().for_each(BaselineReport::shrink);
    }
    if !fits(&report) {
        report.spec = None;
    }
    report
}

fn criterion(judgement: &Judgement) -> CriterionReport {
    CriterionReport {
        expr: judgement.text.clone(),
        of: judgement.of.clone(),
        during: judgement.during.clone(),
        severity: judgement.severity,
        abort: judgement.abort.map(|abort| AbortReport { window: abort.window.0, after: abort.after.0 }),
        aborted: judgement.aborted,
        observed: judgement.observed.map(|value| value.amount),
        outcome: judgement.outcome,
        note: judgement.note.clone(),
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
    let users: u64 = plan.main().iter().map(|scenario| u64::from(scenario.load.users())).sum();
    RunnerReport {
        index,
        state,
        share: rounded(share(u64::from(plan.users_of(segment)), users), 4),
        requests: known.map_or(0, |runner| runner.requests),
        lost: lost.filter(|_| state == RunnerEnd::Lost).map(|lost| lost.reason.clone()),
    }
}

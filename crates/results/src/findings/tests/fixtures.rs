//! Reports, written down as runs would have left them.

use std::collections::BTreeMap;

use proofload_api::Verdict;
use proofload_api::loadtest::Severity;
use proofload_api::status::CriterionOutcome;

use crate::figures::{Figures, TimeFigures};
use crate::finding::{Finding, FindingKind};
use crate::findings::findings;
use crate::health::Generator;
use crate::report::{
    CriterionReport, ErrorReport, LoadLevel, REPORT_VERSION, Report, RunLoad, ScenarioLoad, ScenarioReport,
    StageReport, StepReport, Timeline, TimelineBucket,
};

pub(super) const SECOND: u64 = 1_000_000;

/// What was seen while some load was on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    /// Users at its begin and at its end.
    pub(super) users: (u32, u32),
    pub(super) seconds: u64,
    /// Requests per second.
    pub(super) rate: f64,
    /// The share that failed.
    pub(super) errors: f64,
    /// The median of latency, in milliseconds; its p95 is twice as long.
    pub(super) median: f64,
    pub(super) held: Option<bool>,
}

impl Seen {
    /// A load that is held, and goes well.
    pub(super) const fn well(users: u32, seconds: u64, rate: f64, median: f64) -> Self {
        Self { users: (users, users), seconds, rate, errors: 0.0, median, held: None }
    }
}

pub(super) fn figures(requests: u64, errors: u64, seconds: u64, median: f64) -> Figures {
    let micros = |times: f64| (median * 1000.0 * times) as u64;
    let latency = TimeFigures {
        min: micros(0.5),
        p50: micros(1.0),
        p95: micros(2.0),
        max: micros(3.0),
        ..TimeFigures::default()
    };
    let ok = requests - errors;
    let count = |name: &str, count| (count > 0).then(|| (name.to_owned(), count));
    Figures {
        requests,
        ok,
        errors,
        rate: requests as f64 / seconds.max(1) as f64,
        outcomes: count("ok", ok).into_iter().chain(count("reset", errors)).collect(),
        statuses: count("200", ok).into_iter().collect(),
        latency: (requests > 0).then_some(latency),
        ..Figures::default()
    }
}

/// A report of scenarios that ran one after the other, each of stages.
pub(super) fn report(scenarios: &[(&str, &[Seen])]) -> Report {
    report_with_noise(scenarios, &[])
}

/// The same with each second off by a part; the noise is repeated.
pub(super) fn report_with_noise(scenarios: &[(&str, &[Seen])], noise: &[f64]) -> Report {
    let mut report = empty();
    let mut noise = noise.iter().copied().chain(noise.is_empty().then_some(0.0)).cycle();
    for (name, stages) in scenarios {
        let began = report.timeline.buckets.len() as u64 * SECOND;
        let mut told = Vec::new();
        for (place, seen) in stages.iter().enumerate() {
            told.push(stage(place, seen, &mut report.timeline.buckets, &mut noise));
        }
        let sum = |of: fn(&Figures) -> u64| told.iter().map(|stage| of(&stage.figures)).sum::<u64>();
        let duration = report.timeline.buckets.len() as u64 * SECOND - began;
        let median = stages.last().map_or(1.0, |seen| seen.median);
        let whole = figures(sum(|one| one.requests), sum(|one| one.errors), duration / SECOND, median);
        let planned_users = stages.iter().map(|seen| seen.users.0.max(seen.users.1)).max().unwrap_or(0);
        report.scenarios.push(ScenarioReport {
            name: (*name).to_owned(),
            verdict: Verdict::Unjudged,
            load: ScenarioLoad { began: Some(began), duration, planned_users, ..ScenarioLoad::default() },
            figures: whole.clone(),
            stages: told,
            steps: vec![step("get", whole)],
            groups: Vec::new(),
            search: None,
        });
    }
    let sum = |of: fn(&Figures) -> u64| report.scenarios.iter().map(|one| of(&one.figures)).sum::<u64>();
    let seconds = report.timeline.buckets.len() as u64;
    report.summary = figures(sum(|one| one.requests), sum(|one| one.errors), seconds, 1.0);
    report.duration = seconds * SECOND;
    report
}

fn stage(
    place: usize,
    seen: &Seen,
    timeline: &mut Vec<TimelineBucket>,
    noise: &mut impl Iterator<Item = f64>,
) -> StageReport {
    let began = timeline.len() as u64 * SECOND;
    let (mut requests, mut errors) = (0, 0);
    for second in 0..seen.seconds {
        let (from, to) = (f64::from(seen.users.0), f64::from(seen.users.1));
        let users = (from + (to - from) * (second as f64 + 0.5) / seen.seconds as f64).round() as u32;
        let off = 1.0 + noise.next().unwrap();
        let of_second = (seen.rate * off).round() as u64;
        let micros = |times: f64| Some((seen.median * 1000.0 * times * off) as u64).filter(|_| of_second > 0);
        let bucket = TimelineBucket {
            at: timeline.len() as u64 * SECOND,
            requests: of_second,
            errors: (of_second as f64 * seen.errors).round() as u64,
            users,
            planned_users: users,
            rate: of_second as f64,
            p50: micros(1.0),
            p95: micros(2.0),
            p99: micros(2.5),
            ..TimelineBucket::default()
        };
        requests += bucket.requests;
        errors += bucket.errors;
        timeline.push(bucket);
    }
    let load = |users| Some(LoadLevel { users: Some(users), rate: None });
    StageReport {
        name: format!("stage-{place}"),
        began: Some(began),
        duration: Some(seen.seconds * SECOND),
        from: load(seen.users.0),
        to: load(seen.users.1),
        held: seen.held,
        figures: figures(requests, errors, seen.seconds, seen.median),
    }
}

pub(super) fn step(name: &str, figures: Figures) -> StepReport {
    StepReport { name: name.to_owned(), figures, group: None, checks: Vec::new(), stages: Vec::new() }
}

pub(super) fn error(step: &str, outcome: &str, message: &str, count: u64, first: u64) -> ErrorReport {
    ErrorReport {
        scenario: "shop".to_owned(),
        step: step.to_owned(),
        outcome: outcome.to_owned(),
        message: message.to_owned(),
        count,
        first_seen: first * SECOND,
        last_seen: (first + 5) * SECOND,
    }
}

pub(super) fn criterion(expr: &str) -> CriterionReport {
    CriterionReport {
        expr: expr.to_owned(),
        of: None,
        during: None,
        severity: Severity::Fail,
        abort: None,
        aborted: false,
        observed: None,
        outcome: CriterionOutcome::Pass,
        note: None,
    }
}

/// What is concluded, of one kind.
pub(super) fn found(report: &Report, kind: FindingKind) -> Vec<Finding> {
    findings(report).into_iter().filter(|finding| finding.kind == kind).collect()
}

/// The same, as sentences.
pub(super) fn said(report: &Report, kind: FindingKind) -> Vec<String> {
    found(report, kind).into_iter().map(|finding| finding.text).collect()
}

/// Which kinds of conclusions there are, in their order.
pub(super) fn kinds(report: &Report) -> Vec<FindingKind> {
    findings(report).into_iter().map(|finding| finding.kind).collect()
}

fn empty() -> Report {
    Report {
        version: REPORT_VERSION,
        name: "checkout".to_owned(),
        namespace: None,
        description: None,
        run: "shop/checkout".to_owned(),
        seed: 1,
        verdict: Verdict::Unjudged,
        reason: String::new(),
        error: None,
        start: None,
        duration: 0,
        load: RunLoad::default(),
        summary: Figures { outcomes: BTreeMap::new(), ..Figures::default() },
        scenarios: Vec::new(),
        setup: None,
        teardown: None,
        changes: Vec::new(),
        criteria: Vec::new(),
        doubts: Vec::new(),
        findings: Vec::new(),
        baseline: None,
        timeline: Timeline { width: SECOND, buckets: Vec::new() },
        errors: Vec::new(),
        server: Vec::new(),
        generator: Generator::default(),
        runners: Vec::new(),
        spec: None,
    }
}

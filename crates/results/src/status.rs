//! Figures as a `LoadTest`'s status shows them: strings for people, no floats.

use std::collections::BTreeMap;

use proofload_api::criterion::{Expr, Unit, Value};
use proofload_api::status::{
    CriterionStatus, FiguresStatus, GeneratorStatus, MeasuredStatus, ScenarioStatus, SearchStatus, SearchStepStatus,
    ServerMetricStatus,
};
use proofload_api::units::{short_share, short_time};

use crate::compare::{Figure, PartChanges};
use crate::figures::{Figures, TimeFigures};
use crate::health::Generator;
use crate::judge::Judgement;
use crate::merge::SnapshotSet;
use crate::reason::observed;
use crate::report::{CriterionReport, Report, ScenarioReport, SearchReport, search_report};
use crate::server::ServerReport;
use crate::snapshot::LevelRecord;
use crate::words::{rounded, safe};
use proofload_plan::Plan;

/// The most bytes of foreign text in a status.
const MAX_MESSAGE: usize = 120;

impl From<&Figures> for FiguresStatus {
    fn from(figures: &Figures) -> Self {
        let latency = figures.latency.iter().flat_map(|times| {
            [("p50", times.p50), ("p95", times.p95), ("p99", times.p99), ("max", times.max)]
                .map(|(name, micros)| (name.to_owned(), short_time(micros as f64)))
        });
        Self {
            requests: figures.requests,
            errors: figures.errors,
            error_rate: errors(figures),
            rps: figures.rate.round() as u64,
            outcomes: figures.outcomes.clone(),
            latency: latency.collect::<BTreeMap<_, _>>(),
        }
    }
}

/// The share of errors for people, `-` without samples.
pub(crate) fn errors(figures: &Figures) -> String {
    figures.error_share().map_or_else(|| "-".to_owned(), short_share)
}

impl From<&ScenarioReport> for ScenarioStatus {
    fn from(scenario: &ScenarioReport) -> Self {
        Self {
            name: scenario.name.clone(),
            verdict: scenario.verdict,
            figures: (&scenario.figures).into(),
            dropped: scenario.load.dropped,
        }
    }
}

impl From<&CriterionReport> for CriterionStatus {
    fn from(criterion: &CriterionReport) -> Self {
        Self {
            expr: criterion.expr.clone(),
            of: criterion.of.clone(),
            during: criterion.during.clone(),
            severity: criterion.severity,
            observed: observed(criterion),
            value: value(criterion).map(decimal).unwrap_or_default(),
            outcome: criterion.outcome,
        }
    }
}

impl From<&ServerReport> for ServerMetricStatus {
    fn from(server: &ServerReport) -> Self {
        let mut message = server.error.as_deref().map(safe).unwrap_or_default();
        if message.len() > MAX_MESSAGE {
            message.truncate(message.floor_char_boundary(MAX_MESSAGE - 3));
            message.push_str("...");
        }
        let Some(figures) = &server.figures else { return Self { message, ..Self::default() } };
        let shown = |value| server.unit.shown(value);
        Self {
            min: shown(figures.min),
            avg: shown(figures.avg),
            max: shown(figures.max),
            last: shown(figures.last),
            slope: figures.shown_slope(),
            message,
        }
    }
}

impl From<&Judgement> for CriterionStatus {
    fn from(judgement: &Judgement) -> Self {
        Self {
            expr: judgement.text.clone(),
            of: judgement.of.clone(),
            during: judgement.during.clone(),
            severity: judgement.severity,
            observed: judgement.observed.map_or_else(|| "-".to_owned(), |value| value.to_string()),
            value: judgement.observed.map(|value| decimal(in_base_units(value))).unwrap_or_default(),
            outcome: judgement.outcome,
        }
    }
}

impl From<&Report> for MeasuredStatus {
    fn from(report: &Report) -> Self {
        let summary = &report.summary;
        let seconds = |micros: u64| decimal(micros as f64 / 1e6);
        let latency = |of: fn(&TimeFigures) -> u64| summary.latency.as_ref().map(of).map(seconds).unwrap_or_default();
        Self {
            requests_per_second: decimal(summary.rate),
            error_ratio: summary.error_share().map(decimal).unwrap_or_default(),
            p95: latency(|times| times.p95),
            p99: latency(|times| times.p99),
            start_skew: seconds(report.generator.skew),
            baseline_change: baseline_change(report),
        }
    }
}

/// Of the whole run, which is that of its only scenario; how many requests there were is no figure of the target.
fn baseline_change(report: &Report) -> BTreeMap<String, String> {
    let has_one = report.scenarios.len() == 1;
    let is_whole = |part: &&PartChanges| part.step.is_none() && (part.scenario.is_none() || has_one);
    let comparison = report.baseline.as_ref().and_then(|baseline| baseline.comparison.as_ref());
    let whole = comparison.and_then(|comparison| comparison.others.first()?.parts.iter().find(is_whole));
    let changes = whole.into_iter().flat_map(|part| &part.changes);
    let of_target = changes.filter(|change| change.figure != Figure::Requests);
    of_target.filter_map(|change| Some((change.figure.name().to_owned(), decimal(change.change?)))).collect()
}

/// What a criterion saw, in base units. One of a later version, whose unit is not known here, has none.
fn value(criterion: &CriterionReport) -> Option<f64> {
    let unit = criterion.expr.parse::<Expr>().ok()?.unit();
    Some(in_base_units(Value { unit, amount: criterion.observed? }))
}

/// Seconds where values are times; all others are in base units already.
fn in_base_units(value: Value) -> f64 {
    if value.unit == Unit::Time { value.amount / 1e6 } else { value.amount }
}

/// A number without an exponent, exact to a billionth.
fn decimal(number: f64) -> String {
    rounded(number, 9).to_string()
}

impl From<&Generator> for GeneratorStatus {
    fn from(generator: &Generator) -> Self {
        Self {
            healthy: generator.healthy,
            cpu: short_share(generator.cpu),
            throttled: short_share(generator.throttled),
            lateness_p99: generator
                .lateness
                .as_ref()
                .map_or_else(|| "-".to_owned(), |lateness| short_time(lateness.p99 as f64)),
            skew: short_time(generator.skew as f64),
            // What it had too little of is among the doubts, which the message tells.
            warnings: Vec::new(),
        }
    }
}

/// The searches of a run while it is under way.
pub fn searches(plan: &Plan, snapshots: &SnapshotSet) -> Vec<SearchStatus> {
    let scenarios = plan.main().iter().enumerate().filter_map(|(at, scenario)| {
        let levels =
            snapshots.iter().filter_map(|snapshot| snapshot.scenarios.get(at)).map(|progress| &progress.levels);
        let longest: &[LevelRecord] = levels.max_by_key(|levels| levels.len()).map_or(&[], Vec::as_slice);
        search_report(&scenario.load, longest).map(|search| search_status(&scenario.name, &search, false))
    });
    scenarios.collect()
}

/// The searches of a run that is over.
pub fn searches_of(report: &Report) -> Vec<SearchStatus> {
    let scenarios = report.scenarios.iter();
    scenarios.filter_map(|one| Some(search_status(&one.name, one.search.as_ref()?, true))).collect()
}

fn search_status(scenario: &str, search: &SearchReport, is_over: bool) -> SearchStatus {
    let skipped = search.steps.len().saturating_sub(SearchStatus::MOST_STEPS);
    let step = |step: &crate::report::SearchStepReport| SearchStepStatus {
        level: step.level.to_string(),
        held: step.held,
        why: if step.held.is_some() || is_over { end_of(&step.why) } else { String::new() },
    };
    SearchStatus {
        scenario: scenario.to_owned(),
        answer: search.answer.map_or_else(|| "-".to_owned(), |answer| answer.to_string()),
        steps: search.steps.iter().skip(skipped).map(step).collect(),
    }
}

/// A text, or where it is long its end: there stands what was seen, and the criterion is in the spec.
fn end_of(text: &str) -> String {
    /// The most characters: status has many of these, and a size.
    const MOST: usize = 80;
    match text.chars().count().checked_sub(MOST) {
        None | Some(0) => text.to_owned(),
        Some(more) => format!("...{}", text.chars().skip(more + 3).collect::<String>()),
    }
}

//! What the conductor steered: searches, step by step, and changes of load while the run was under way.

use proofload_api::criterion::{Expr, Value};
use proofload_plan::{Level, Load, Plan, Search};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::search::{SearchStep, answer, is_finished, steps};
use crate::snapshot::LevelRecord;
use crate::totals::Totals;
use crate::words::{grouped, rounded, things};

/// An amount of load: users or a rate.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoadLevel {
    /// Concurrent users, over all runners.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<u32>,
    /// Iterations that begin in a second, over all runners.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
}

/// A change of load that someone wanted while the run was under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChangeReport {
    /// When it took effect, in microseconds from the run's begin.
    pub at: u64,
    /// The scenario.
    pub scenario: String,
    /// The load by the plan, or by the change before, at that moment.
    pub from: LoadLevel,
    /// The load from then on.
    pub to: LoadLevel,
}

/// A search for the highest load that holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SearchReport {
    /// What had to hold in the window of a step.
    pub until: String,
    /// The highest load that held; absent if none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<LoadLevel>,
    /// Whether the search came to its end. If not, the answer is only the highest load that was seen to hold.
    pub finished: bool,
    /// Each step, in the order of time.
    pub steps: Vec<SearchStepReport>,
}

/// A step of a search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SearchStepReport {
    /// Its load.
    pub level: LoadLevel,
    /// When its load was put on, in microseconds from the run's begin.
    pub at: u64,
    /// When its window began.
    pub window_from: u64,
    /// When its window ended.
    pub window_until: u64,
    /// What `until` saw in the window, in its unit. Absent without samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<f64>,
    /// Arrivals of the window that found no free user.
    #[serde(default)]
    pub dropped: u64,
    /// Whether the load was held; absent where the step was not judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<bool>,
    /// Why it was judged so, in words.
    pub why: String,
}

impl From<Level> for LoadLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Users(users) => Self { users: Some(users), rate: None },
            Level::Rate(rate) => Self { users: None, rate: Some(rounded(rate.as_per_second_f64(), 3)) },
        }
    }
}

impl std::fmt::Display for LoadLevel {
    /// `40 users`, `437.5/s`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = match (self.users, self.rate) {
            (Some(users), _) => things(users.into(), "user"),
            (None, Some(rate)) if rate.fract() == 0.0 => format!("{}/s", grouped(rate as u64)),
            (None, Some(rate)) => format!("{rate}/s"),
            (None, None) => "-".to_owned(),
        };
        f.pad(&text)
    }
}

/// What a search found; none where nothing is searched.
pub(crate) fn search(load: &Load, records: &[LevelRecord]) -> Option<SearchReport> {
    let Load::Search(search) = load else { return None };
    Some(SearchReport {
        until: search.until.clone(),
        answer: answer(search, records).map(LoadLevel::from),
        finished: is_finished(search, records),
        steps: steps(records).iter().map(|one| step(search, one)).collect(),
    })
}

fn step(search: &Search, step: &SearchStep) -> SearchStepReport {
    let window_from = step.from.saturating_add(search.settle.0);
    SearchStepReport {
        level: step.level.into(),
        at: step.from,
        window_from,
        window_until: window_from.saturating_add(search.window.0),
        observed: step.result.and_then(|result| result.observed),
        dropped: step.result.map_or(0, |result| result.dropped),
        held: step.result.map(|result| result.held),
        why: why(search, step),
    }
}

fn why(search: &Search, step: &SearchStep) -> String {
    let Some(result) = step.result else { return "it was not judged: the run ended before".to_owned() };
    let until = search.until.trim();
    let value = result.observed.map(|amount| match until.parse::<Expr>() {
        Ok(expr) => Value { unit: expr.unit(), amount }.to_string(),
        Err(_) => amount.to_string(),
    });
    match (value, result.dropped) {
        (_, 1..) => format!("{} found no free user", things(result.dropped, "arrival")),
        (None, _) => "there were no samples".to_owned(),
        (Some(value), _) if result.held => format!("{until} held: {value}"),
        (Some(value), _) => format!("{until} did not hold: {value}"),
    }
}

/// Every change of load that someone wanted.
pub(super) fn changes(plan: &Plan, totals: &Totals) -> Vec<ChangeReport> {
    let mut changes = Vec::new();
    for (at, scenario) in plan.main().iter().enumerate() {
        if matches!(scenario.load, Load::Search(_)) {
            continue;
        }
        for record in &totals.scenarios[at].levels {
            let before = planned(plan, totals, at, record.from.saturating_sub(1)).unwrap_or(match record.level {
                Level::Users(_) => LoadLevel { users: Some(0), rate: None },
                Level::Rate(_) => LoadLevel { users: None, rate: Some(0.0) },
            });
            let (name, to) = (scenario.name.clone(), record.level.into());
            changes.push(ChangeReport { at: record.from, scenario: name, from: before, to });
        }
    }
    changes.sort_by_key(|change| change.at);
    changes
}

/// The load of a scenario that was planned for a moment, levels taken into account; none outside of its time.
pub(super) fn planned(plan: &Plan, totals: &Totals, scenario: usize, moment: u64) -> Option<LoadLevel> {
    let (load, progress) = (&plan.scenarios[scenario].load, &totals.scenarios[scenario]);
    let passed = moment.checked_sub(progress.began?)?;
    let is_over = match load {
        // What is under way after the end of a curve is not planned any more.
        Load::Users(_) | Load::Arrivals { .. } => passed >= load.duration().0,
        Load::Iterations { .. } | Load::Search(_) => moment >= progress.until?,
    };
    if is_over {
        return None;
    }
    if let Some(record) = progress.levels.iter().rev().find(|record| record.from <= moment) {
        return Some(record.level.into());
    }
    match load {
        Load::Users(curve) => Some(Level::Users(curve.users_at(proofload_api::Micros(passed))).into()),
        Load::Iterations { users, .. } => Some(Level::Users(*users).into()),
        Load::Arrivals { curve, .. } => Some(Level::Rate(curve.rate_at(proofload_api::Micros(passed))).into()),
        // A search plans nothing ahead.
        Load::Search(_) => None,
    }
}

//! What stands in the way of a comparison, and what should be known before its figures are read.

use proofload_api::Verdict;
use proofload_api::status::CriterionOutcome;
use serde_json::Value;

use super::pairs::{has_same_steps, matched};
use super::{PartChanges, Presence, Tendency};
use crate::report::{LoadLevel, Report, ScenarioReport, SearchReport};
use crate::words::{grouped, things};

/// Loads that differ by more than this share of the larger are not the same.
const SAME_LOAD: f64 = 0.05;

/// What follows from scenarios that only one of the runs has.
const NOT_JUDGED: &str = ", so that the whole run is not judged";

/// Why two runs cannot be compared. With any of these no figure is trusted, worse or not.
pub(super) fn obstacles(baseline: &Report, other: &Report, parts: &[PartChanges]) -> Vec<String> {
    let mut found = Vec::new();
    for (report, which) in [(baseline, "The baseline"), (other, "The run")] {
        if let Some(error) = &report.error {
            found.push(format!("{which} could not be executed: {error}"));
        }
        found.extend(report.doubts.iter().map(|doubt| format!("{which} is in doubt: {}", doubt.text)));
    }
    let of_both = |part: &&PartChanges| part.presence == Presence::Both && part.scenario.is_some();
    let is_known = |tendency: Tendency| tendency != Tendency::Unknown;
    let mut findings = parts.iter().flat_map(|part| &part.changes).filter_map(|change| change.finding);
    if parts.iter().filter(of_both).count() == 0 {
        found.push("The runs have no scenario in common.".to_owned());
    } else if !findings.any(is_known) {
        found.push("There are too few samples to judge any figure.".to_owned());
    }
    found
}

/// What makes figures differ other than the target does.
pub(super) fn warnings(baseline: &Report, other: &Report) -> Vec<String> {
    let mut found = Vec::new();
    if baseline.verdict == Verdict::Failed {
        // It may have held them, and have been worse than its own baseline.
        let is_broken = baseline.criteria.iter().any(|criterion| criterion.outcome == CriterionOutcome::Fail);
        let is_worse = baseline.baseline.as_ref().is_some_and(|held| held.outcome == Some(CriterionOutcome::Fail));
        let what = if is_worse && !is_broken { "its own baseline" } else { "its own criteria" };
        found.push(format!("The baseline did not hold {what}: what was bad there already is no change."));
    }
    let target = |report: &Report| {
        let url = report.spec.as_ref().and_then(|spec| spec.pointer("/target/baseUrl")).and_then(Value::as_str);
        url.map(str::to_owned)
    };
    if let (Some(before), Some(after)) = (target(baseline), target(other))
        && lasting(&before) != lasting(&after)
    {
        found.push(format!("Another target: {after}, was {before}."));
    }
    let mut of_scenarios = Vec::new();
    for (before, after) in matched(&baseline.scenarios, &other.scenarios, |scenario| &scenario.name) {
        match (before, after) {
            (Some(before), Some(after)) => of_scenarios.extend(of_scenario(before, after)),
            (Some(before), None) => of_scenarios.push(format!("Scenario {} is gone{NOT_JUDGED}.", before.name)),
            (None, after) => {
                of_scenarios.extend(after.map(|after| format!("Scenario {} is new{NOT_JUDGED}.", after.name)));
            }
        }
    }
    let users = |report: &Report| report.load.planned_users;
    // Of each scenario it is said better.
    if of_scenarios.is_empty() && !is_same(users(baseline).into(), users(other).into()) {
        let (before, after) = (grouped(users(baseline).into()), things(users(other).into(), "user"));
        found.push(format!("Another load: {after} at once planned, was {before}."));
    }
    found.extend(of_scenarios);
    found.extend(without_distribution(baseline, other));
    found
}

/// An address without what changes from run to run: a server that is started on this machine for a run, as the demo
/// target is, gets another port each time.
fn lasting(url: &str) -> (&str, &str) {
    const LOCAL: &str = "://127.0.0.1:";
    let Some(port) = url.find(LOCAL).map(|place| place + LOCAL.len()) else { return (url, "") };
    (&url[..port], url[port..].trim_start_matches(|c: char| c.is_ascii_digit()))
}

fn of_scenario(before: &ScenarioReport, after: &ScenarioReport) -> Vec<String> {
    let (mut found, name) = (Vec::new(), &before.name);
    let users = |scenario: &ScenarioReport| scenario.load.planned_users;
    if !is_same(users(before).into(), users(after).into()) {
        let (before, after) = (grouped(users(before).into()), things(users(after).into(), "user"));
        found.push(format!("Another load of {name}: {after} planned, was {before}."));
    }
    if let (Some(before), Some(after)) = (highest_rate(before), highest_rate(after))
        && !is_same(before, after)
    {
        let level = |rate| LoadLevel { users: None, rate: Some(rate) };
        found.push(format!("Another load of {name}: up to {} planned, was {}.", level(after), level(before)));
    }
    if !has_same_steps(before, after) {
        found.push(format!("The steps of {name} are not the same, so that only each step is judged."));
    }
    if let (Some(before), Some(after)) = (&before.search, &after.search)
        && before.answer != after.answer
    {
        let answer = |search: &SearchReport| search.answer.map_or_else(|| "none".to_owned(), |load| load.to_string());
        found.push(format!("The highest load that {name} found to hold: {}, was {}.", answer(after), answer(before)));
    }
    found
}

fn is_same(before: f64, after: f64) -> bool {
    (before - after).abs() <= before.max(after) * SAME_LOAD
}

/// The highest rate that a scenario planned; none where it plans no arrivals.
fn highest_rate(scenario: &ScenarioReport) -> Option<f64> {
    let levels = scenario.stages.iter().flat_map(|stage| stage.from.iter().chain(&stage.to));
    levels.filter_map(|level| level.rate).reduce(f64::max)
}

/// That percentiles cannot be judged where one has samples, and no distribution of them.
fn without_distribution(baseline: &Report, other: &Report) -> Option<String> {
    let is_without = |report: &Report| {
        let steps = report.scenarios.iter().flat_map(|scenario| &scenario.steps);
        let mut all = steps.map(|step| &step.figures).chain(report.scenarios.iter().map(|scenario| &scenario.figures));
        all.any(|figures| figures.latency.is_some() && figures.distribution.is_none())
    };
    (is_without(baseline) || is_without(other)).then(|| {
        let of = if is_without(baseline) { "The baseline" } else { "The run" };
        format!("{of} has percentiles without the distribution that they were made from, which cannot be judged.")
    })
}

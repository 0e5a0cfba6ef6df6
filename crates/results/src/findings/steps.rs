//! Steps that never or hardly ever worked, and steps that were refused as was expected.

use proofload_api::units::short_share;

use super::level::FEWEST;
use super::outage;
use crate::finding::{Evidence, Finding, FindingKind};
use crate::report::{ErrorReport, Report, ScenarioReport, StepReport};
use crate::words::{grouped, safe, share, things};

/// A step of which fewer requests succeed is broken.
const BROKEN: f64 = 0.05;
/// Where fewer of all others succeed, it is not the step that is broken.
const OTHERS: f64 = 0.2;
/// So many steps are named in a sentence.
const MOST_NAMED: usize = 3;
/// So many are listed.
const MOST_LISTED: usize = 50;
/// The status that says that there were too many requests.
const TOO_MANY: &str = "429";
/// What is said of an answer that there is no such thing.
const NOT_FOUND: &str = "status 404";

fn steps(report: &Report) -> impl Iterator<Item = (&ScenarioReport, &StepReport)> {
    report.scenarios.iter().flat_map(|scenario| scenario.steps.iter().map(move |step| (scenario, step)))
}

/// Steps of which next to nothing succeeded while others worked, in one finding.
pub(super) fn broken(report: &Report) -> Vec<Finding> {
    let is_found = |(scenario, step): &(&ScenarioReport, &StepReport)| {
        // A target that is not there any more answers no step of a scenario; what was never there is missing anywhere.
        let is_missing = || is_never_found(report, scenario, step) && others_work(steps(report).map(|(_, step)| step));
        let works_elsewhere = || others_work(scenario.steps.iter()) || is_missing();
        is_broken(step) && works_elsewhere() && !is_of_outage(report, scenario, step)
    };
    let broken: Vec<_> = steps(report).filter(is_found).collect();
    if broken.is_empty() {
        return Vec::new();
    }
    let named = broken
        .iter()
        .take(MOST_NAMED)
        .map(|(scenario, step)| format!("{}/{} ({})", scenario.name, step.name, why(report, scenario, step)));
    let named = named.collect::<Vec<_>>().join(", ");
    let and_more = match broken.len().saturating_sub(MOST_NAMED) {
        0 => String::new(),
        more => format!(" and {}", things(more as u64, "other")),
    };
    let worked = if broken.iter().all(|(_, step)| step.figures.ok == 0) { "never" } else { "hardly ever" };
    let text = match broken.len() {
        1 => format!("One step {worked} worked while others did: {named}."),
        many => format!("{many} steps {worked} worked while others did: {named}{and_more}."),
    };
    let evidence = broken.iter().take(MOST_LISTED).map(|(scenario, step)| {
        let (errors, all) = (grouped(step.figures.errors), grouped(step.figures.requests));
        let value = format!("{errors} of {all} failed: {}", why(report, scenario, step));
        Evidence::new(format!("{}/{}", scenario.name, step.name), value)
    });
    vec![Finding { kind: FindingKind::BrokenStep, text, evidence: evidence.collect() }]
}

fn is_broken(step: &StepReport) -> bool {
    let (ok, errors) = (step.figures.ok, step.figures.errors);
    errors >= FEWEST && share(ok, ok.saturating_add(errors)) < BROKEN
}

/// Whether the steps that are not broken work.
fn others_work<'a>(steps: impl Iterator<Item = &'a StepReport>) -> bool {
    let (mut ok, mut errors) = (0_u64, 0_u64);
    for step in steps.filter(|step| !is_broken(step)) {
        ok = ok.saturating_add(step.figures.ok);
        errors = errors.saturating_add(step.figures.errors);
    }
    ok >= FEWEST && share(ok, ok.saturating_add(errors)) >= OTHERS
}

/// Whether all errors of a step are from when nothing worked any more.
fn is_of_outage(report: &Report, scenario: &ScenarioReport, step: &StepReport) -> bool {
    let first = errors(report, scenario, step).map(|error| error.first_seen).min();
    // The moment of an outage is that of a whole bucket, and other steps may have had good answers in the one before.
    let is_since = |(first, began): (u64, u64)| first.saturating_add(report.timeline.width) >= began;
    first.zip(outage::began(report)).is_some_and(is_since)
}

fn is_never_found(report: &Report, scenario: &ScenarioReport, step: &StepReport) -> bool {
    main_error(report, scenario, step).is_some_and(|error| error.message == NOT_FOUND)
}

fn main_error<'a>(report: &'a Report, scenario: &'a ScenarioReport, step: &'a StepReport) -> Option<&'a ErrorReport> {
    errors(report, scenario, step).max_by_key(|error| error.count)
}

fn errors<'a>(
    report: &'a Report,
    scenario: &'a ScenarioReport,
    step: &'a StepReport,
) -> impl Iterator<Item = &'a ErrorReport> {
    report.errors.iter().filter(|error| error.scenario == scenario.name && error.step == step.name)
}

/// What most of a step's errors were.
fn why(report: &Report, scenario: &ScenarioReport, step: &StepReport) -> String {
    match main_error(report, scenario, step) {
        Some(error) if error.message == NOT_FOUND && step.figures.ok == 0 => format!("never found: {NOT_FOUND}"),
        Some(error) => error_name(error),
        None => {
            let outcomes = step.figures.outcomes.iter().filter(|(name, _)| *name != "ok");
            outcomes.max_by_key(|(_, count)| **count).map_or_else(String::new, |(name, _)| name.clone())
        }
    }
}

/// An error in words; what is foreign of it is safe to show.
pub(super) fn error_name(error: &ErrorReport) -> String {
    match error.outcome.as_str() {
        // `status 503` says it all.
        "unexpected-status" => safe(&error.message),
        outcome if error.message.is_empty() => outcome.to_owned(),
        // `timeout after 3s` says it, too.
        outcome if error.message.starts_with(outcome) => safe(&error.message),
        outcome => format!("{outcome}: {}", safe(&error.message)),
    }
}

/// Refusals that were expected, in one finding.
pub(super) fn limited(report: &Report) -> Vec<Finding> {
    let of_step = |(scenario, step): (&ScenarioReport, &StepReport)| {
        let [all, failed] = [&step.figures.statuses, &step.figures.failed_statuses]
            .map(|statuses| statuses.get(TOO_MANY).copied().unwrap_or(0));
        // What was expected is a good answer. The end of the run may have cut an answer off after its status.
        let expected = all.saturating_sub(failed).min(step.figures.ok);
        let value = || format!("{} of {}", grouped(expected), grouped(step.figures.requests));
        (expected > 0).then(|| (expected, Evidence::new(format!("{}/{}", scenario.name, step.name), value())))
    };
    let steps: Vec<(u64, Evidence)> = steps(report).filter_map(of_step).collect();
    let expected: u64 = steps.iter().map(|(expected, _)| *expected).fold(0, u64::saturating_add);
    if expected == 0 {
        return Vec::new();
    }
    let text = format!(
        "{} ({}) were refused with status {TOO_MANY}, as was expected: they count as good answers.",
        things(expected, "request"),
        short_share(share(expected, report.summary.requests)),
    );
    let evidence = steps.into_iter().map(|(_, evidence)| evidence).take(MOST_LISTED).collect();
    vec![Finding { kind: FindingKind::Limited, text, evidence }]
}

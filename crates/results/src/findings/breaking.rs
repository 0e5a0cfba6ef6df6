//! The breaking point: between which loads of one scenario the criteria stop holding.

use super::level::{Level, between, by_load, is_alone, levels, per_second};
use super::ramp;
use crate::finding::{Finding, FindingKind};
use crate::report::{Report, ScenarioReport};

/// Errors up to this share are no sign of too much load.
pub(super) const FEW_ERRORS: f64 = 0.01;
/// Errors from this share on are one.
pub(super) const MANY_ERRORS: f64 = 0.05;
/// Fewer errors than this may be chance, whatever their share is.
const FEWEST_ERRORS: u64 = 5;
/// Of so many requests a load may have broken by its times alone.
const FEWEST_REQUESTS: u64 = 100;

/// The breaking point of each scenario that has one.
pub(super) fn breaking_points(report: &Report) -> Vec<Finding> {
    let one = |scenario| of_levels(report, scenario).or_else(|| ramp::breaking_point(report, scenario));
    // What breaks under the load of several scenarios says nothing of one of them.
    report.scenarios.iter().filter(|scenario| is_alone(report, scenario)).filter_map(one).collect()
}

/// Whether a load that did not hold was seen for long enough to say so.
fn is_sure(level: &Level<'_>) -> bool {
    let figures = level.figures;
    level.held != Some(false) || figures.errors >= FEWEST_ERRORS || figures.requests >= FEWEST_REQUESTS
}

fn of_levels(report: &Report, scenario: &ScenarioReport) -> Option<Finding> {
    let mut levels = by_load(&levels(report, scenario));
    levels.retain(is_sure);
    // Where nothing ever succeeded there was nothing that load could break.
    if levels.len() < 2 || scenario.figures.ok == 0 {
        return None;
    }
    let name = &scenario.name;
    if let Some((held, broken)) = bounds(&levels, |level| level.held) {
        let text = format!(
            "The breaking point of scenario {name} lies {}. Stable up to {} at {}.",
            between(held.load, broken.load),
            held.load,
            per_second(held.good_rate()),
        );
        return Some(finding(text, &[held, broken]));
    }
    // Where the criteria hold at no load, or there are none, errors still tell where the target breaks.
    if levels.iter().any(|level| level.held == Some(true)) {
        return None;
    }
    if let Some((held, broken)) = bounds(&levels, fails_little) {
        let text = format!(
            "The breaking point of scenario {name} lies {}: that is where requests begin to fail. Without errors up to {} \
             at {}.",
            between(held.load, broken.load),
            held.load,
            per_second(held.good_rate()),
        );
        return Some(finding(text, &[held, broken]));
    }
    let lowest = levels.first().filter(|_| levels.iter().all(|level| level.held == Some(false)))?;
    let text = format!(
        "The breaking point of scenario {name} lies below {}, if it is load that breaks it: the criteria held at no load \
         that was tried.",
        lowest.load
    );
    Some(finding(text, &[*lowest]))
}

/// The highest load that held below the lowest that did not, and that one: what held again above it may have done so by
/// chance.
fn bounds<'a>(levels: &[Level<'a>], holds: impl Fn(&Level<'a>) -> Option<bool>) -> Option<(Level<'a>, Level<'a>)> {
    let first = levels.iter().position(|level| holds(level) == Some(false))?;
    let held = levels[..first].iter().rfind(|level| holds(level) == Some(true))?;
    Some((*held, levels[first]))
}

/// Whether next to nothing fails at a load; none between that and many errors.
fn fails_little(level: &Level<'_>) -> Option<bool> {
    let errors = level.errors();
    if errors < FEW_ERRORS {
        return Some(true);
    }
    (errors >= MANY_ERRORS && level.figures.errors >= FEWEST_ERRORS).then_some(false)
}

fn finding(text: String, levels: &[Level<'_>]) -> Finding {
    let evidence = levels.iter().flat_map(Level::evidence).collect();
    Finding { kind: FindingKind::BreakingPoint, text, evidence }
}

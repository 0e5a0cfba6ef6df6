//! Saturation: more load that brought no more throughput, only longer waiting.

use proofload_api::units::short_time;

use super::level::{Level, brings_nothing, by_load, from_to, is_alone, is_topmost, levels, per_second};
use crate::finding::{Evidence, Finding, FindingKind};
use crate::report::{Report, ScenarioReport};

/// Waiting has grown where the median is so many times as long.
const LONGER: f64 = 1.1;

/// Where each scenario saturates the target, if it does.
pub(super) fn saturations(report: &Report) -> Vec<Finding> {
    report.scenarios.iter().filter(|scenario| is_alone(report, scenario)).filter_map(|one| of(report, one)).collect()
}

fn of(report: &Report, scenario: &ScenarioReport) -> Option<Finding> {
    let levels = by_load(&levels(report, scenario));
    let is_saturated = |pair: &&[Level<'_>]| {
        let [low, high] = pair else { return false };
        let medians = low.median().zip(high.median());
        let waits = medians.is_some_and(|(before, after)| after as f64 >= before as f64 * LONGER);
        brings_nothing(low, high) && is_topmost(&levels, low) && waits
    };
    let [low, high] = levels.windows(2).find(is_saturated)? else { return None };
    let median = |level: &Level<'_>| short_time(level.median().unwrap_or(0) as f64);
    let text = format!(
        "More load brings scenario {} only longer waiting: from {}, good answers went from {} to {} and the median from {} to {}.",
        scenario.name,
        from_to(low.load, high.load),
        per_second(low.good_rate()),
        per_second(high.good_rate()),
        median(low),
        median(high),
    );
    let row = |level: &Level<'_>| {
        let value = format!("{} good answers, median {}", per_second(level.good_rate()), median(level));
        Evidence::new(level.load.to_string(), value)
    };
    Some(Finding { kind: FindingKind::Saturation, text, evidence: levels.iter().map(row).collect() })
}

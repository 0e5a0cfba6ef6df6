//! Figures that drift while the load stays the same.

use proofload_api::Micros;
use proofload_api::units::{short_share, short_time};

use super::level::{FEWEST, buckets, error_share, is_alone};
use super::trend::{Rise, rise};
use crate::finding::{Evidence, Finding, FindingKind};
use crate::report::{Report, ScenarioReport, StageReport, TimelineBucket};
use crate::words::grouped;

/// Of fewer buckets no trend is told.
const FEWEST_BUCKETS: usize = 20;
/// Buckets with fewer requests have no median to speak of.
const FEWEST_REQUESTS: u64 = 5;
/// Latency has drifted that is so many times as long.
const LONGER: f64 = 1.25;
/// Errors have drifted that are so much more of all requests.
const MORE_ERRORS: f64 = 0.05;

/// What drifts in each stage that holds a load.
pub(super) fn drifts(report: &Report) -> Vec<Finding> {
    let scenarios = report.scenarios.iter().filter(|scenario| is_alone(report, scenario));
    let is_changed = |scenario: &ScenarioReport| report.changes.iter().any(|change| change.scenario == scenario.name);
    let stages = scenarios.filter(|scenario| scenario.search.is_none() && !is_changed(scenario));
    let stages = stages.flat_map(|scenario| scenario.stages.iter().map(move |stage| (scenario, stage)));
    stages.flat_map(|(scenario, stage)| of_stage(report, scenario, stage)).collect()
}

fn of_stage(report: &Report, scenario: &ScenarioReport, stage: &StageReport) -> Vec<Finding> {
    let (Some(began), Some(duration), Some(load)) = (stage.began, stage.duration, stage.from) else {
        return Vec::new();
    };
    if stage.to != Some(load) {
        return Vec::new();
    }
    let seen = buckets(report, began, began.saturating_add(duration));
    let per_hour = |slope: f64, first: f64| {
        let width = Micros(report.timeline.width).as_secs_f64().max(f64::MIN_POSITIVE);
        let percent = slope / first.max(f64::MIN_POSITIVE) * 3600.0 / width * 100.0;
        format!("{}% an hour", grouped(percent.round() as u64))
    };
    let finding = |what: &str, rise: Rise, shown: fn(f64) -> String| {
        let text = format!(
            "{what} of scenario {} drifts while the load stays at {load}: from {} at the begin of stage {} to {} at its end, \
             in {}.",
            scenario.name,
            shown(rise.first),
            stage.name,
            shown(rise.last),
            short_time(duration as f64),
        );
        let mut evidence =
            vec![Evidence::new("first quarter", shown(rise.first)), Evidence::new("last quarter", shown(rise.last))];
        if rise.first > 0.0 {
            evidence.push(Evidence::new("growth", per_hour(rise.slope, rise.first)));
        }
        Finding { kind: FindingKind::Drift, text, evidence }
    };
    let latency = series(seen, |bucket| bucket.p50.map(|p50| p50 as f64));
    let latency = latency.filter(|rise| rise.last >= rise.first * LONGER);
    let errors = series(seen, |bucket| Some(error_share(bucket)));
    let errors = errors.filter(|rise| rise.last >= rise.first + MORE_ERRORS);
    let latency = latency.map(|rise| finding("The median of latency", rise, short_time));
    latency.into_iter().chain(errors.map(|rise| finding("The share of errors", rise, short_share))).collect()
}

fn series(buckets: &[TimelineBucket], of: impl Fn(&TimelineBucket) -> Option<f64>) -> Option<Rise> {
    let usable = buckets.iter().filter(|bucket| bucket.requests >= FEWEST_REQUESTS);
    let values: Vec<f64> = usable.filter_map(of).collect();
    let requests: u64 = buckets.iter().map(|bucket| bucket.requests).sum();
    // Where buckets are left out, values are further apart than they seem.
    let is_enough = values.len() >= FEWEST_BUCKETS && values.len() * 10 >= buckets.len() * 9 && requests >= FEWEST;
    rise(&values).filter(|_| is_enough)
}

//! Capacity: the load from which on more of it brings no more throughput, by the Universal Scalability Law.

use proofload_api::units::short_share;

use super::level::{Level, brings_nothing, by_load, is_alone, is_topmost, levels, per_second};
use super::scalability::{Law, Point, interval};
use crate::finding::{Evidence, Finding, FindingKind};
use crate::report::{Report, ScenarioReport};
use crate::words::{grouped, rounded};

/// A law with three parameters says nothing of fewer levels than this.
const FEWEST_LEVELS: usize = 4;
/// The highest load must be so many times the lowest: of loads that are alike only chance could be told.
const WIDEST_APART: f64 = 2.0;
/// A law that explains less of what was seen is none.
const LEAST_EXPLAINED: f64 = 0.9;
/// Or one from which what was seen is further away; of levels that are all alike there is nothing to explain.
const CLOSE: f64 = 0.05;

/// Where more fails than this the target is broken, and what it still serves follows no law.
const MOST_ERRORS: f64 = 0.5;

/// The capacity for each kind of work: scenarios with the same steps are the same work.
pub(super) fn capacities(report: &Report) -> Vec<Finding> {
    let mut works: Vec<Vec<&ScenarioReport>> = Vec::new();
    let names =
        |scenario: &'_ ScenarioReport| -> Vec<String> { scenario.steps.iter().map(|step| step.name.clone()).collect() };
    for scenario in report.scenarios.iter().filter(|scenario| is_alone(report, scenario)) {
        match works.iter_mut().find(|work| names(work[0]) == names(scenario)) {
            Some(work) => work.push(scenario),
            None => works.push(vec![scenario]),
        }
    }
    works.iter().filter_map(|work| capacity(report, work)).collect()
}

fn capacity(report: &Report, work: &[&ScenarioReport]) -> Option<Finding> {
    let levels: Vec<Level<'_>> = work.iter().flat_map(|scenario| levels(report, scenario)).collect();
    let mut levels = by_load(&levels);
    levels.retain(|level| level.errors() < MOST_ERRORS);
    let of_users = levels.iter().filter_map(|level| Some((f64::from(level.load.users?), level.good_rate())));
    let points: Vec<Point> = of_users.collect();
    let (least, most) = (points.first()?.0, points.last()?.0);
    if points.len() < FEWEST_LEVELS || points.len() < levels.len() || most < least * WIDEST_APART {
        return None;
    }
    let law = Law::fit(&points)?;
    if law.explained(&points) < LEAST_EXPLAINED && law.deviation(&points) > CLOSE {
        return None;
    }
    let names: Vec<&str> = work.iter().map(|scenario| scenario.name.as_str()).collect();
    // That throughput no longer grows must have been seen: what a law says beyond the last level is a guess.
    let has_no_more = |low: &Level<'_>| levels.iter().any(|high| brings_nothing(low, high)) && is_topmost(&levels, low);
    let is_reached = levels.iter().any(has_no_more);
    let figures = Figures { law, points: &points, peak: is_reached.then(|| law.most(least, most)) };
    let text = match figures.peak {
        None => format!(
            "Throughput of {} still grew at {} users: the knee was not reached.",
            names.join(", "),
            grouped(most as u64)
        ),
        Some(_) => figures.reached(&names.join(", "), least, most)?,
    };
    Some(Finding { kind: FindingKind::Capacity, text, evidence: figures.evidence() })
}

/// What a finding is written from.
struct Figures<'a> {
    law: Law,
    points: &'a [Point],
    /// The most throughput within the levels, where it was reached.
    peak: Option<f64>,
}

impl Figures<'_> {
    /// None where leaving one level out would make it another law.
    fn reached(&self, names: &str, least: f64, most: f64) -> Option<String> {
        let peak = self.peak.unwrap_or(0.0);
        // One that is wider than what it is of says nothing.
        let says_something = |(low, high): &(f64, f64)| *low > 0.0 && high - low <= peak;
        let interval = interval(self.points, |law| law.most(least, most)).filter(says_something)?;
        let within = format!("{} to {} with 95%", per_second(interval.0), per_second(interval.1));
        let at = match self.law.knee().filter(|knee| *knee <= most) {
            Some(knee) if knee < least => format!("peaks at {} users or fewer with", grouped(least as u64)),
            Some(knee) => format!("peaks at about {} users with", grouped(knee.round() as u64)),
            None => "levels off at about".to_owned(),
        };
        Some(format!(
            "Throughput of {names} {at} {} good answers ({within}), by the Universal Scalability Law; more users bring no more. \
             Confidence: {}.",
            per_second(peak),
            self.confidence(interval),
        ))
    }

    /// From how many levels, how well the law fits, and how wide the interval is.
    fn confidence(&self, (low, high): (f64, f64)) -> &'static str {
        let peak = self.peak.unwrap_or(0.0).max(f64::MIN_POSITIVE);
        let width = (high - low) / peak;
        let (levels, deviation) = (self.points.len(), self.law.deviation(self.points));
        let fits = |explained: f64, near: f64| self.law.explained(self.points) >= explained || deviation <= near;
        if levels >= 6 && fits(0.98, 0.02) && width <= 0.3 {
            "high"
        } else if levels >= 5 && fits(0.9, CLOSE) && width <= 1.0 {
            "moderate"
        } else {
            "low"
        }
    }

    fn evidence(&self) -> Vec<Evidence> {
        let Self { law, points, .. } = self;
        let level = |(users, seen): &Point| {
            let value = format!("{} good answers, {} by the law", per_second(*seen), per_second(law.at(*users)));
            Evidence::new(format!("{} users", grouped(*users as u64)), value)
        };
        let mut evidence: Vec<Evidence> = points.iter().map(level).collect();
        evidence.push(Evidence::new("one user alone (lambda)", format!("{}/s", rounded(law.alone, 3))));
        evidence.push(Evidence::new("done one at a time (sigma)", short_share(law.contention)));
        evidence.push(Evidence::new("cost of each pair of users (kappa)", format!("{:.2e}", law.coherency)));
        if let (Some(peak), Some(knee)) = (self.peak, law.knee()) {
            evidence.push(Evidence::new("knee", format!("{} users", grouped(knee.round() as u64))));
            evidence.push(Evidence::new("most throughput", per_second(peak)));
        }
        evidence.push(Evidence::new("explained by the law (R2)", short_share(law.explained(points).max(0.0))));
        evidence
    }
}

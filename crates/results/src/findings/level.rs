//! Levels of load: the parts of a scenario in which its load stays the same, and what was seen there.

use proofload_api::units::{short_share, short_time};
use proofload_api::{Micros, Outcome};

use crate::figures::Figures;
use crate::finding::Evidence;
use crate::report::{LoadLevel, Report, ScenarioReport, StageReport, TimelineBucket};
use crate::words::{grouped, rounded, share, things};

/// Nothing is concluded from fewer requests than this.
pub(super) const FEWEST: u64 = 20;

/// A load that was held for some time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Level<'a> {
    /// The load.
    pub(super) load: LoadLevel,
    /// How long it was held, in microseconds.
    pub(super) duration: u64,
    /// What was seen.
    pub(super) figures: &'a Figures,
    /// Whether the criteria held.
    pub(super) held: Option<bool>,
}

impl Level<'_> {
    /// The load as a number: users, or iterations that begin in a second.
    pub(super) fn amount(&self) -> f64 {
        amount(self.load)
    }

    /// Good answers per second.
    pub(super) fn good_rate(&self) -> f64 {
        self.figures.ok as f64 / Micros(self.duration).as_secs_f64()
    }

    /// The share of requests that failed.
    pub(super) fn errors(&self) -> f64 {
        self.figures.error_share().unwrap_or(0.0)
    }

    /// The median of latency, in microseconds.
    pub(super) fn median(&self) -> Option<u64> {
        self.figures.latency.as_ref().map(|latency| latency.p50)
    }

    /// Errors, times and rate at this load.
    pub(super) fn evidence(&self) -> Vec<Evidence> {
        let load = self.load;
        let mut evidence = vec![Evidence::new(format!("errors with {load}"), short_share(self.errors()))];
        if let Some(latency) = &self.figures.latency {
            evidence.push(Evidence::new(format!("p95 with {load}"), short_time(latency.p95 as f64)));
        }
        evidence.push(Evidence::new(format!("good answers with {load}"), per_second(self.good_rate())));
        evidence
    }
}

/// The levels of a scenario, in the order of time: its stages that hold a load, or the steps of its search. None where
/// someone changed the load while it was under way.
pub(super) fn levels<'a>(report: &Report, scenario: &'a ScenarioReport) -> Vec<Level<'a>> {
    if report.changes.iter().any(|change| change.scenario == scenario.name) {
        return Vec::new();
    }
    if let Some(search) = &scenario.search {
        // The first stage is what lies between the steps.
        let steps = search.steps.iter().zip(scenario.stages.iter().skip(1));
        return steps.filter_map(|(step, stage)| level(stage, step.level, step.held)).collect();
    }
    let held = |stage: &'a StageReport| level(stage, stage.from.filter(|from| Some(*from) == stage.to)?, stage.held);
    scenario.stages.iter().filter_map(held).collect()
}

fn level(stage: &StageReport, load: LoadLevel, held: Option<bool>) -> Option<Level<'_>> {
    let duration = stage.duration.filter(|duration| *duration > 0)?;
    let is_enough = stage.figures.requests >= FEWEST && amount(load) > 0.0;
    is_enough.then_some(Level { load, duration, figures: &stage.figures, held })
}

/// The levels by their load, each as it was when it was first put on: later the target may still suffer from more.
pub(super) fn by_load<'a>(levels: &[Level<'a>]) -> Vec<Level<'a>> {
    let mut sorted = levels.to_vec();
    // A stable sort: of the same load the first stays the first.
    sorted.sort_by(|a, b| a.amount().total_cmp(&b.amount()));
    sorted.dedup_by(|later, first| later.load == first.load);
    sorted
}

/// A load as a number: users, or iterations that begin in a second.
pub(super) fn amount(load: LoadLevel) -> f64 {
    load.users.map(f64::from).or(load.rate).unwrap_or(0.0)
}

/// `between 30 and 40 users`.
pub(super) fn between(low: LoadLevel, high: LoadLevel) -> String {
    match low.users {
        Some(users) => format!("between {} and {high}", grouped(users.into())),
        None => format!("between {low} and {high}"),
    }
}

/// `20 to 30 users`.
pub(super) fn from_to(low: LoadLevel, high: LoadLevel) -> String {
    match low.users {
        Some(users) => format!("{} to {high}", grouped(users.into())),
        None => format!("{low} to {high}"),
    }
}

/// `24/s`, `4.9/s`, `1,200/s`.
pub(super) fn per_second(amount: f64) -> String {
    let shown = rounded(amount, 1);
    if amount >= 100.0 || shown.fract() == 0.0 {
        format!("{}/s", grouped(amount.round() as u64))
    } else {
        format!("{shown}/s")
    }
}

/// `512 requests, 3% failed, median 12ms`.
pub(super) fn in_words(figures: &Figures) -> String {
    let errors = figures.error_share().unwrap_or(0.0);
    let median = figures.latency.as_ref().map(|latency| format!(", median {}", short_time(latency.p50 as f64)));
    let requests = things(figures.requests, "request");
    format!("{requests}, {} failed{}", short_share(errors), median.unwrap_or_default())
}

/// The most users that a scenario's load was planned to have; none where that is only a limit, and not the load itself:
/// of arrivals, and of a search.
pub(super) fn planned_users(scenario: &ScenarioReport) -> Option<u32> {
    let is_rate = |load: &Option<LoadLevel>| load.is_some_and(|load| load.rate.is_some());
    let is_limit =
        scenario.search.is_some() || scenario.stages.iter().any(|one| is_rate(&one.from) || is_rate(&one.to));
    Some(scenario.load.planned_users).filter(|users| *users > 0 && !is_limit)
}

/// How many failed, without those that the target answered as wrong: a request that was wrong (404) is wrong at any load.
pub(super) fn without_wrong(figures: &Figures) -> u64 {
    let is_own_fault = |status: &str| matches!(status.parse(), Ok(400_u16..=428)) && !matches!(status, "408" | "425");
    let statuses = figures.statuses.iter().filter(|(status, _)| is_own_fault(status));
    let wrong = statuses.map(|(_, count)| *count).fold(0, u64::saturating_add);
    let wrong = wrong.min(figures.outcomes.get(Outcome::UnexpectedStatus.name()).copied().unwrap_or(0));
    figures.errors.saturating_sub(wrong)
}

/// When a scenario was under load, in microseconds from the run's begin.
pub(super) fn times(scenario: &ScenarioReport) -> Option<(u64, u64)> {
    let began = scenario.load.began?;
    Some((began, began.saturating_add(scenario.load.duration)))
}

/// Whether two scenarios were under load at the same time; what one of them saw may then come from the other.
pub(super) fn overlap(one: &ScenarioReport, other: &ScenarioReport) -> bool {
    match (times(one), times(other)) {
        (Some((began, until)), Some((other_began, other_until))) => began < other_until && other_began < until,
        _ => false,
    }
}

/// Whether next to nothing of other scenarios was under load at the same time, so that the run's timeline is the
/// scenario's.
pub(super) fn is_alone(report: &Report, scenario: &ScenarioReport) -> bool {
    /// The least share of the requests.
    const NEARLY_ALL: f64 = 0.95;
    let others = report.scenarios.iter().filter(|other| !std::ptr::eq(*other, scenario) && overlap(scenario, other));
    let others = others.map(|other| other.figures.requests).fold(0, u64::saturating_add);
    let own = scenario.figures.requests;
    scenario.load.began.is_some() && (others == 0 || share(own, own.saturating_add(others)) >= NEARLY_ALL)
}

/// The buckets of the timeline that are wholly within a time.
pub(super) fn buckets(report: &Report, from: u64, until: u64) -> &[TimelineBucket] {
    let (all, width) = (&report.timeline.buckets, report.timeline.width);
    let first = all.partition_point(|bucket| bucket.at < from);
    let end = all.partition_point(|bucket| bucket.at.saturating_add(width) <= until);
    all.get(first..end).unwrap_or_default()
}

/// The share of the requests of a bucket that failed.
pub(super) fn error_share(bucket: &TimelineBucket) -> f64 {
    share(bucket.errors, bucket.requests)
}

/// Whether the good answers per second of two levels differ from what their loads would lead to by more than chance: the
/// counts are taken as if each answer came by itself, which overstates chance for users that wait for their answers.
pub(super) fn is_less_than_load(low: &Level<'_>, high: &Level<'_>) -> bool {
    /// The chance of so many standard deviations is one in 700.
    const DEVIATIONS: f64 = 3.0;
    let grown = high.good_rate() / low.good_rate();
    let chance = (1.0 / low.figures.ok.max(1) as f64 + 1.0 / high.figures.ok.max(1) as f64).sqrt();
    low.figures.ok >= FEWEST && grown * DEVIATIONS.mul_add(chance, 1.0) < high.amount() / low.amount()
}

/// Whether the load grew by a fifth or more from one level to another, and good answers by less than a twentieth.
pub(super) fn brings_nothing(low: &Level<'_>, high: &Level<'_>) -> bool {
    let has_grown = high.amount() >= low.amount() * 1.2;
    has_grown && !brings_more(low, high) && is_less_than_load(low, high)
}

/// Whether good answers grew by a twentieth or more from one level to another.
fn brings_more(low: &Level<'_>, high: &Level<'_>) -> bool {
    high.good_rate() >= low.good_rate() * 1.05
}

/// Whether no load above a level brought more than it did: where one did, the level was a dip and no limit.
pub(super) fn is_topmost(levels: &[Level<'_>], low: &Level<'_>) -> bool {
    let mut above = levels.iter().filter(|high| high.amount() >= low.amount() * 1.2);
    above.all(|high| !brings_more(low, high))
}

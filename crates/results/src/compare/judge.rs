//! What the change of each figure means, and what all of them mean for a run.

use proofload_api::Verdict;

use super::pairs::{Pair, Side, Sides, pairs};
use super::statistics::{Events, Interval, Part, Ranked, percentile_change, rate_change, share_change};
use super::warnings::{obstacles, warnings};
use super::{Against, Change, Figure, LEVEL, PartChanges, Tendency, Tolerance};
use crate::distribution::Distribution;
use crate::figures::Figures;
use crate::report::Report;

impl Figure {
    /// In the order in which they are shown.
    pub const ALL: [Self; 6] = [Self::Requests, Self::Rate, Self::Errors, Self::P50, Self::P95, Self::P99];

    /// Which percentile it is; none if it is none.
    const fn percent(self) -> Option<u8> {
        match self {
            Self::P50 => Some(50),
            Self::P95 => Some(95),
            Self::P99 => Some(99),
            Self::Requests | Self::Rate | Self::Errors => None,
        }
    }

    fn of(self, figures: &Figures) -> Option<f64> {
        let latency = figures.latency.as_ref();
        match self {
            Self::Requests => Some(figures.requests as f64),
            Self::Rate => Some(figures.rate),
            Self::Errors => figures.error_share(),
            Self::P50 => latency.map(|times| times.p50 as f64),
            Self::P95 => latency.map(|times| times.p95 as f64),
            Self::P99 => latency.map(|times| times.p99 as f64),
        }
    }

    /// Shares of errors by their difference, everything else by its share of what it was.
    fn change(self, before: f64, after: f64) -> Option<f64> {
        let change = if self == Self::Errors { after - before } else { (after - before) / before };
        change.is_finite().then_some(change)
    }

    /// Whether one value is worse than another by more than is tolerated.
    fn is_worse(self, before: f64, after: f64, tolerance: Tolerance) -> bool {
        let relative = tolerance.relative.as_f64();
        match self {
            Self::Requests => false,
            Self::Rate => after < before * (1.0 - relative),
            Self::Errors => after - before > tolerance.errors.as_f64(),
            Self::P50 | Self::P95 | Self::P99 => after > before * (1.0 + relative),
        }
    }
}

/// Holds a run against the baseline.
pub(super) fn against(baseline: &Report, other: &Report, tolerance: Tolerance) -> Against {
    let pairs = pairs(baseline, other);
    let samples: Vec<Samples> = pairs.iter().map(Samples::of).collect();
    let tests = samples.iter().map(Samples::tests).sum::<usize>().max(1);
    // To each side half.
    let miss = LEVEL / 2.0 / tests as f64;
    let part = |(pair, samples): (&Pair, &Samples)| PartChanges {
        scenario: pair.scenario.map(str::to_owned),
        step: pair.step.map(str::to_owned),
        presence: pair.sides.presence(),
        changes: Figure::ALL.into_iter().map(|figure| change(figure, pair, samples, miss, tolerance)).collect(),
    };
    let parts: Vec<PartChanges> = pairs.iter().zip(&samples).map(part).collect();
    let obstacles = obstacles(baseline, other, &parts);
    let is_worse = |change: &Change| change.finding == Some(Tendency::Worse);
    let verdict = if !obstacles.is_empty() {
        Verdict::Inconclusive
    } else if parts.iter().flat_map(|part| &part.changes).any(is_worse) {
        Verdict::Failed
    } else {
        Verdict::Passed
    };
    Against { run: other.into(), verdict, obstacles, warnings: warnings(baseline, other), parts }
}

/// What the figures of a part were made from, where both runs have it.
#[derive(Debug, Default)]
struct Samples {
    latency: Option<(Ranked, Ranked)>,
    errors: Option<(Part, Part)>,
    rate: Option<(Events, Events)>,
}

impl Samples {
    fn of(pair: &Pair<'_>) -> Self {
        let Sides::Both(before, after) = pair.sides else { return Self::default() };
        if !pair.is_same {
            return Self::default();
        }
        let ranked = |side: Side<'_>| {
            let times = side.figures.distribution.as_ref().map(Distribution::times)?.ok()?;
            (!times.is_empty()).then(|| Ranked::new(&times))
        };
        let failed = |side: Side<'_>| {
            let Figures { ok, errors, .. } = *side.figures;
            let whole = ok.checked_add(errors)?;
            (whole > 0).then_some(Part { count: errors, whole })
        };
        let events = |side: Side<'_>| Events { count: side.figures.requests, seconds: side.seconds };
        Self {
            latency: ranked(before).zip(ranked(after)),
            errors: failed(before).zip(failed(after)),
            rate: pair.is_closed.then(|| (events(before), events(after))),
        }
    }

    /// How many figures are tested with them.
    fn tests(&self) -> usize {
        let percentiles = Figure::ALL.into_iter().filter_map(Figure::percent).count();
        let latency = if self.latency.is_some() { percentiles } else { 0 };
        latency + usize::from(self.errors.is_some()) + usize::from(self.rate.is_some())
    }

    /// What the change of a figure may be; none where that cannot be told.
    fn interval(&self, figure: Figure, miss: f64) -> Option<Interval> {
        match (figure, figure.percent()) {
            (_, Some(percent)) => {
                let (before, after) = self.latency.as_ref()?;
                Some(percentile_change(before, after, percent, miss))
            }
            (Figure::Errors, _) => self.errors.and_then(|(before, after)| share_change(before, after, miss)),
            (Figure::Rate, _) => self.rate.and_then(|(before, after)| rate_change(before, after, miss)),
            _ => None,
        }
    }
}

fn change(figure: Figure, pair: &Pair<'_>, samples: &Samples, miss: f64, tolerance: Tolerance) -> Change {
    let is_judged = match figure {
        Figure::Requests => false,
        Figure::Rate => pair.is_same && pair.is_closed,
        Figure::Errors | Figure::P50 | Figure::P95 | Figure::P99 => pair.is_same,
    };
    let of = |side: Side<'_>| match figure {
        // Over the same time as its interval.
        Figure::Rate if is_judged => side.rate().or(figure.of(side.figures)),
        _ => figure.of(side.figures),
    };
    let (before, after) = match pair.sides {
        Sides::Both(before, after) => (of(before), of(after)),
        Sides::Removed(before) => (of(before), None),
        Sides::Added(after) => (None, of(after)),
    };
    let both = before.zip(after);
    let interval = samples.interval(figure, miss);
    let finding = both.filter(|_| is_judged).map(|(before, after)| match interval {
        None => Tendency::Unknown,
        Some(interval) => finding(figure, (before, after), interval, tolerance),
    });
    let bound = |bound: fn(Interval) -> f64| interval.map(bound).filter(|bound| bound.is_finite());
    Change {
        figure,
        before,
        after,
        change: both.and_then(|(before, after)| figure.change(before, after)),
        low: bound(|interval| interval.low),
        high: bound(|interval| interval.high),
        finding,
    }
}

/// What a change means, given what it may be.
fn finding(figure: Figure, (before, after): (f64, f64), interval: Interval, tolerance: Tolerance) -> Tendency {
    let (is_higher, is_lower) = (interval.low > 0.0, interval.high < 0.0);
    let (is_worse, is_better) = if figure == Figure::Rate { (is_lower, is_higher) } else { (is_higher, is_lower) };
    // A ratio has no bound below at -100%.
    let is_bounded = interval.high.is_finite() && (figure == Figure::Errors || interval.low > -1.0);
    let is_more = figure.is_worse(before, after, tolerance);
    let is_less = figure.is_worse(after, before, tolerance);
    match () {
        () if is_worse && is_more => Tendency::Worse,
        () if is_better && is_less => Tendency::Better,
        () if !(is_bounded || is_higher || is_lower) => Tendency::Unknown,
        () if is_more || is_less => Tendency::Unclear,
        () => Tendency::Same,
    }
}

//! How far a figure may be from its truth by chance alone, and what is left of a change then.
//!
//! Intervals come from counts, never from means: latency is no bell curve. Those of percentiles are order statistics (how
//! many of n samples are below a percentile is binomial, whatever the distribution is), those of shares are
//! Clopper-Pearson's; both never miss more often than they say. Two intervals are put together as by Newcombe (also known
//! as MOVER), which keeps that each reaches further to one side than to the other.

use statrs::distribution::{ContinuousCDF, Normal};
use statrs::function::factorial::ln_binomial;

use crate::histogram::Times;

/// An estimate with how far it may be off to each side; without a bound where there are too few samples for one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Estimate {
    value: f64,
    low: f64,
    high: f64,
}

/// What a change may be. A side without a bound is infinite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Interval {
    pub(super) low: f64,
    pub(super) high: f64,
}

/// The difference `to - from` of two estimates of independent samples.
fn difference(from: Estimate, to: Estimate) -> Interval {
    let change = to.value - from.value;
    Interval {
        low: change - (to.value - to.low).hypot(from.high - from.value),
        high: change + (to.high - to.value).hypot(from.value - from.low),
    }
}

/// Samples by rank, from a histogram.
#[derive(Debug)]
pub(super) struct Ranked {
    /// Each bucket: the largest time in it, and how many samples are in it or below.
    buckets: Vec<(u64, u64)>,
    count: u64,
}

impl Ranked {
    pub(super) fn new(times: &Times) -> Self {
        let (histogram, mut count) = (times.histogram(), 0_u64);
        let largest = histogram.max();
        let bucket = |value: hdrhistogram::iterators::IterationValue<u64>| {
            count = count.saturating_add(value.count_at_value());
            (value.value_iterated_to().min(largest), count)
        };
        let buckets = histogram.iter_recorded().map(bucket).collect();
        Self { buckets, count }
    }

    /// The logarithm of the time of a rank, from 1. Changes of times are ratios, so that theirs are differences.
    fn ln(&self, rank: u64) -> f64 {
        let place = self.buckets.partition_point(|(_, below)| *below < rank);
        let micros = self.buckets.get(place).or(self.buckets.last()).map_or(0, |(micros, _)| *micros);
        (micros.max(1) as f64).ln()
    }

    /// A percentile, 1..=99, which is missed with at most this probability to each side.
    fn estimate(&self, percent: u8, miss: f64) -> Estimate {
        let rank = (u128::from(self.count) * u128::from(percent)).div_ceil(100) as u64;
        let part = f64::from(percent) / 100.0;
        let low = match lower_rank(self.count, part, miss) {
            0 => f64::NEG_INFINITY,
            rank => self.ln(rank),
        };
        // The same, counted from the other end.
        let high = match lower_rank(self.count, 1.0 - part, miss) {
            0 => f64::INFINITY,
            rank => self.ln(self.count - (rank - 1)),
        };
        Estimate { value: self.ln(rank), low, high }
    }
}

/// By how much a percentile is longer, as a share of what it was: 0.3 is 30% longer. Neither may be empty.
pub(super) fn percentile_change(from: &Ranked, to: &Ranked, percent: u8, miss: f64) -> Interval {
    let logarithm = difference(from.estimate(percent, miss), to.estimate(percent, miss));
    Interval { low: logarithm.low.exp_m1(), high: logarithm.high.exp_m1() }
}

/// So many of a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) count: u64,
    pub(super) whole: u64,
}

impl Part {
    fn estimate(self, miss: f64) -> Estimate {
        let Self { count, whole } = self;
        Estimate {
            value: crate::words::share(count, whole),
            low: lower_share(count, whole, miss),
            high: 1.0 - lower_share(whole - count, whole, miss),
        }
    }
}

/// By how much a share is larger: 0.01 is one percentage point. None where there are so few samples that not even the
/// largest difference would mean anything. `count` is at most `whole`.
pub(super) fn share_change(from: Part, to: Part, miss: f64) -> Option<Interval> {
    let change = |from: Part, to: Part| difference(from.estimate(miss), to.estimate(miss));
    let most = change(Part { count: 0, ..from }, Part { count: to.whole, ..to });
    (most.low > 0.0).then(|| change(from, to))
}

/// Events in a time, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Events {
    pub(super) count: u64,
    pub(super) seconds: f64,
}

/// By how much a rate is higher, as a share of what it was, if events come independently of each other. None where
/// there are so few that not even the largest difference would mean anything.
///
/// Of all events of both, how many are in the second is then binomial, by the shares of time if the rates are the same.
pub(super) fn rate_change(from: Events, to: Events, miss: f64) -> Option<Interval> {
    let all = from.count.checked_add(to.count)?;
    let odds = |share: f64| share / (1.0 - share) * from.seconds / to.seconds - 1.0;
    let lowest = lower_share(all, all, miss);
    let is_enough = all > 0 && odds(lowest) > 0.0 && odds(1.0 - lowest) < 0.0;
    is_enough.then(|| {
        let share = Part { count: to.count, whole: all }.estimate(miss);
        Interval { low: odds(share.low), high: odds(share.high) }
    })
}

/// Of more than this so many are taken, in the same proportions: intervals are then wider than they need be, by far less
/// than anyone sees, and no count, whoever wrote it, takes longer than some milliseconds.
const MOST: u64 = 100_000_000;

/// The highest rank whose sample is above the part's percentile with at most this probability; 0 where there is none.
fn lower_rank(count: u64, part: f64, miss: f64) -> u64 {
    if count > MOST {
        let rank = u128::from(lower_rank(MOST, part, miss)) * u128::from(count) / u128::from(MOST);
        return u64::try_from(rank).unwrap_or(count);
    }
    let (mean, variance) = (count as f64 * part, count as f64 * part * (1.0 - part));
    let z = Normal::standard().inverse_cdf(miss);
    // Cornish and Fisher's first term: nearly right, and the steps from there make it right.
    let guess = mean + z * variance.sqrt() + (1.0 - 2.0 * part) * (z * z - 1.0) / 6.0;
    let mut rank = guess.clamp(0.0, count as f64) as u64;
    while rank > 0 && at_most(rank - 1, count, part) > miss {
        rank -= 1;
    }
    while rank < count && at_most(rank, count, part) <= miss {
        rank += 1;
    }
    rank
}

/// The largest probability with which `count` of `whole`, or more, come with at most this probability.
fn lower_share(count: u64, whole: u64, miss: f64) -> f64 {
    /// Halvings of what may be wrong: to a millionth of the share, far less than any interval is wide.
    const HALVINGS: u32 = 20;
    if whole > MOST {
        let fewer = u128::from(count) * u128::from(MOST) / u128::from(whole);
        return lower_share(fewer as u64, MOST, miss);
    }
    let (mut low, mut high) = (0.0, crate::words::share(count, whole));
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if at_most(whole - count, whole, 1.0 - middle) <= miss { low = middle } else { high = middle }
    }
    low
}

/// How probable at most `limit` of `count` are, of a probability for each.
fn at_most(limit: u64, count: u64, probability: f64) -> f64 {
    if limit >= count {
        return 1.0;
    }
    // Each sum begins at its largest term, so that it may end as soon as terms add nothing.
    if limit as f64 <= count as f64 * probability {
        lower_tail(limit, count, probability)
    } else {
        1.0 - lower_tail(count - limit - 1, count, 1.0 - probability)
    }
}

/// The sum of the probabilities from `limit` down.
fn lower_tail(limit: u64, count: u64, probability: f64) -> f64 {
    if probability <= 0.0 {
        return 1.0;
    }
    if probability >= 1.0 {
        return 0.0;
    }
    let (of, not) = (limit as f64, (count - limit) as f64);
    let first = ln_binomial(count, limit) + of * probability.ln() + not * (-probability).ln_1p();
    let against = (1.0 - probability) / probability;
    let (mut term, mut sum) = (1.0_f64, 1.0_f64);
    for k in (0..limit).rev() {
        term *= (k + 1) as f64 / (count - k) as f64 * against;
        sum += term;
        if term < sum * 1e-15 {
            break;
        }
    }
    (first + sum.ln()).exp()
}

#[cfg(test)]
mod tests;

//! The arithmetic against other ways to the same numbers, and how often chance alone is taken for a change.

use fastrand::Rng;
use statrs::distribution::{Binomial, DiscreteCDF};

use super::*;

#[test]
fn binomial_probabilities_are_those_of_statrs() {
    for (count, probability) in [(1, 0.5), (7, 0.01), (50, 0.95), (1000, 0.99), (1000, 0.5), (5000, 0.05)] {
        let known = Binomial::new(probability, count).unwrap();
        for limit in (0..=count).step_by(1 + count as usize / 50) {
            let (ours, theirs) = (at_most(limit, count, probability), known.cdf(limit));
            let is_near = (ours - theirs).abs() <= 1e-9 * theirs.max(1e-6);
            assert!(is_near, "at most {limit} of {count} by {probability}: {ours} {theirs}");
        }
    }
}

#[test]
fn ranks_and_shares_are_the_known_ones() {
    // Tables of order statistics: the median's interval of 95% of 10, 20 and 100 samples.
    assert_eq!([10, 20, 100].map(|count| lower_rank(count, 0.5, 0.025)), [2, 6, 40]);
    // 0.95^n must be below the miss: with 89 samples even the largest may be below p95 that often, with 90 it may not.
    assert_eq!([89, 90].map(|count| lower_rank(count, 0.05, 0.01)), [0, 1]);
    // Clopper and Pearson's 95% of 10 of 100, and the rule of three.
    let ten = Part { count: 10, whole: 100 }.estimate(0.025);
    assert!((ten.low - 0.0490).abs() < 1e-4 && (ten.high - 0.1762).abs() < 1e-4, "{ten:?}");
    let none = Part { count: 0, whole: 1000 }.estimate(0.05);
    assert!(none.low == 0.0 && (none.high - 3.0 / 1000.0).abs() < 2e-5, "{none:?}");
}

#[test]
fn a_hundred_million_samples_are_no_hurdle() {
    let count = 100_000_000;
    let rank = lower_rank(count, 0.5, 0.001);
    // Of so many the normal curve is as good as exact: 3.09 standard deviations of 5000.
    assert!((rank as f64 - (5e7 - 3.0902 * 5000.0)).abs() < 20.0, "{rank}");
    assert!((at_most(rank, count, 0.5) - 0.001).abs() < 1e-5);
    // Of more the same part is taken.
    let (many, part) = (lower_rank(199_999_999, 0.5, 0.001), rank as f64 / count as f64);
    assert!((many as f64 / 199_999_999.0 - part).abs() < 1e-6, "{many}");
}

/// A time from a distribution, in microseconds.
type Draw = fn(&mut Rng) -> f64;

fn exponential(rng: &mut Rng) -> f64 {
    -20_000.0 * (1.0 - rng.f64()).ln()
}

fn log_normal(rng: &mut Rng) -> f64 {
    let normal = Normal::standard().inverse_cdf(rng.f64().clamp(1e-12, 1.0 - 1e-12));
    20_000.0 * (0.5 * normal).exp()
}

/// Cache hits, misses, and a few that wait for a lock: p95 is at the edge of a gap.
fn three_modes(rng: &mut Rng) -> f64 {
    let center = [2_000.0, 30_000.0, 400_000.0][usize::from(rng.f64() > 0.6) + usize::from(rng.f64() > 0.95)];
    center * (0.9 + 0.2 * rng.f64())
}

fn sample(rng: &mut Rng, count: usize, draw: Draw, factor: f64) -> Ranked {
    let mut times = Times::new();
    (0..count).for_each(|_| times.record((draw(rng) * factor) as u64));
    Ranked::new(&times)
}

/// How many of so many comparisons take it for a change: to more, and to less.
fn found(rng: &mut Rng, of: usize, compare: impl Fn(&mut Rng) -> Interval) -> (usize, usize) {
    let mut found = (0, 0);
    for _ in 0..of {
        let change = compare(rng);
        found.0 += usize::from(change.low > 0.0);
        found.1 += usize::from(change.high < 0.0);
    }
    found
}

#[test]
fn chance_is_taken_for_a_change_of_a_percentile_about_as_often_as_the_level_says() {
    const MISS: f64 = 0.025;
    const RUNS: usize = 400;
    let rng = &mut Rng::with_seed(7);
    for (draw, name) in [(exponential as Draw, "exponential"), (log_normal, "log-normal"), (three_modes, "modes")] {
        for (few, many, percent) in [(400, 400, 50), (150, 1200, 50), (400, 400, 95), (200, 800, 95), (800, 800, 99)] {
            let compare = |rng: &mut Rng| {
                let (from, to) = (sample(rng, few, draw, 1.0), sample(rng, many, draw, 1.0));
                percentile_change(&from, &to, percent, MISS)
            };
            let (more, less) = found(rng, RUNS, compare);
            // 10 are due to each side. Rarer is allowed: order statistics never reach the level where they are coarse.
            let said = format!("p{percent} of {few} and {many}, {name}: {more} and {less}");
            assert!(more.max(less) <= 24, "{said}");
            assert!(more + less >= 2, "never anything: {said}");
        }
    }
}

#[test]
fn chance_is_taken_for_a_change_of_a_share_no_more_often_than_the_level_says() {
    const MISS: f64 = 0.01;
    const RUNS: usize = 1000;
    let rng = &mut Rng::with_seed(8);
    let part = |rng: &mut Rng, whole: u64, share: f64| {
        let count = (0..whole).filter(|_| rng.f64() < share).count() as u64;
        Part { count, whole }
    };
    for (from, to, share) in [(500, 500, 0.05), (1000, 100, 0.002), (60, 600, 0.5), (2000, 30, 0.01)] {
        let compare = |rng: &mut Rng| share_change(part(rng, from, share), part(rng, to, share), MISS).unwrap();
        let (more, less) = found(rng, RUNS, compare);
        // 10 are due to each side.
        assert!(more.max(less) <= 24, "{share} of {from} and {to}: {more} and {less}");
    }
}

#[test]
fn chance_is_taken_for_a_change_of_a_rate_no_more_often_than_the_level_says() {
    const MISS: f64 = 0.01;
    const RUNS: usize = 1000;
    let rng = &mut Rng::with_seed(9);
    let events = |rng: &mut Rng, seconds: f64| {
        let (mut at, mut count) = (0.0, 0);
        while at < seconds {
            at -= (1.0 - rng.f64()).ln() / 20.0;
            count += u64::from(at < seconds);
        }
        Events { count, seconds }
    };
    for (from, to) in [(10.0, 10.0), (3.0, 30.0)] {
        let (more, less) = found(rng, RUNS, |rng| rate_change(events(rng, from), events(rng, to), MISS).unwrap());
        // 10 are due to each side.
        assert!(more.max(less) <= 24 && more + less >= 3, "{from} s and {to} s: {more} and {less}");
    }
}

#[test]
fn what_is_30_percent_slower_is_found_with_1000_samples() {
    let rng = &mut Rng::with_seed(10);
    for (percent, at_least) in [(50, 99), (95, 85)] {
        let compare = |rng: &mut Rng| {
            let (from, to) = (sample(rng, 1000, log_normal, 1.0), sample(rng, 1000, log_normal, 1.3));
            percentile_change(&from, &to, percent, 0.001)
        };
        let (more, less) = found(rng, 100, compare);
        assert!(more >= at_least && less == 0, "p{percent}: {more}");
    }
}

#[test]
fn too_few_samples_tell_nothing() {
    let rng = &mut Rng::with_seed(11);
    let (from, to) = (sample(rng, 300, exponential, 1.0), sample(rng, 300, exponential, 50.0));
    let change = percentile_change(&from, &to, 99, 0.001);
    assert!(change.low <= -1.0 && change.high.is_infinite(), "{change:?}");
    assert!(percentile_change(&from, &to, 95, 0.001).low > 0.0);
    let (none, all) = (Part { count: 0, whole: 3 }, Part { count: 3, whole: 3 });
    assert_eq!(share_change(none, all, 0.005), None);
    let once = Events { count: 1, seconds: 10.0 };
    assert_eq!(rate_change(once, once, 0.005), None);
}

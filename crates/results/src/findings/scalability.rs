//! The Universal Scalability Law (N. Gunther): throughput by concurrency, `X(N) = l N / (1 + s (N-1) + k N (N-1))`.
//!
//! `l` is what one user gets done alone, `s` the part of it that is done one at a time, `k` what users cost each other;
//! neither is negative, and a part is at most all. It is fitted to throughput itself, by least squares. The law made
//! linear, `N/X`, would give the most weight to the levels with the least throughput: beyond a breaking point there is
//! next to none, and all other levels would no longer count.
//!
//! For given `s` and `k` the best `l` is known, so that two parameters are searched, first on a coarse grid over all that
//! they can be, then on ever finer ones around the best: slower than descending, but nothing can lead it astray.

/// A law that was fitted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Law {
    /// What one user gets done alone, per second.
    pub(super) alone: f64,
    /// The part that is done one at a time, 0..=1.
    pub(super) contention: f64,
    /// What each pair of users costs.
    pub(super) coherency: f64,
    /// The sum of squared distances.
    squares: f64,
}

/// A concurrency, and the throughput that was seen with it.
pub(super) type Point = (f64, f64);

/// Steps of the grid in each direction.
const STEPS: i32 = 24;
/// How often the grid gets finer.
const ROUNDS: i32 = 7;
/// The grid is of powers of ten, from this one down to nothing at all.
const LARGEST: f64 = 3.0;
/// So many powers of ten the first grid spans.
const SPAN: f64 = 7.0;

impl Law {
    /// Fitted to points with concurrencies of at least one; none without throughput, or to fewer than three.
    pub(super) fn fit(points: &[Point]) -> Option<Self> {
        let most = points.iter().map(|(users, _)| *users).fold(1.0, f64::max);
        let is_usable =
            points.iter().all(|(users, seen)| *users >= 1.0 && users.is_finite() && *seen >= 0.0 && seen.is_finite());
        if points.len() < 3 || most <= 1.0 || !is_usable || points.iter().all(|(_, seen)| *seen <= 0.0) {
            return None;
        }
        // Both as what they cost with the most users: the same scale for every run.
        let (pairs, others) = (most * (most - 1.0), most - 1.0);
        let of = |contention: Option<f64>, coherency: Option<f64>| {
            let power = |exponent: Option<f64>| exponent.map_or(0.0, |exponent| 10_f64.powf(exponent));
            Self::with(points, (power(contention) / others).min(1.0), power(coherency) / pairs)
        };
        let mut best = (None, None, of(None, None));
        let (mut center, mut span) = ((LARGEST - SPAN / 2.0, LARGEST - SPAN / 2.0), SPAN);
        for _ in 0..ROUNDS {
            let at = |center: f64, step: i32| center + span * (f64::from(step) / f64::from(STEPS) - 0.5);
            let exponents = |center: f64| (0..=STEPS).map(move |step| Some(at(center, step))).chain([None]);
            for contention in exponents(center.0) {
                for coherency in exponents(center.1) {
                    let law = of(contention, coherency);
                    if law.squares < best.2.squares {
                        best = (contention, coherency, law);
                    }
                }
            }
            center = (best.0.unwrap_or(center.0), best.1.unwrap_or(center.1));
            span *= 4.0 / f64::from(STEPS);
        }
        Some(best.2).filter(|law| law.alone > 0.0 && law.squares.is_finite())
    }

    /// The best law with these two parameters.
    fn with(points: &[Point], contention: f64, coherency: f64) -> Self {
        let law = Self { alone: 1.0, contention, coherency, squares: 0.0 };
        let (mut along, mut length) = (0.0, 0.0);
        for (users, seen) in points {
            let expected = law.at(*users);
            along += seen * expected;
            length += expected * expected;
        }
        let law = Self { alone: along / length, ..law };
        let squares = points.iter().map(|(users, seen)| (seen - law.at(*users)).powi(2)).sum();
        Self { squares, ..law }
    }

    /// The throughput that it says.
    pub(super) fn at(&self, users: f64) -> f64 {
        let others = users - 1.0;
        self.alone * users / (1.0 + self.contention * others + self.coherency * users * others)
    }

    /// The concurrency with the most throughput; none where more always brings more.
    pub(super) fn knee(&self) -> Option<f64> {
        let knee = ((1.0 - self.contention).max(0.0) / self.coherency).sqrt().max(1.0);
        (self.coherency > 0.0 && knee.is_finite()).then_some(knee)
    }

    /// The most throughput between two concurrencies.
    pub(super) fn most(&self, least: f64, most: f64) -> f64 {
        self.at(self.knee().map_or(most, |knee| knee.min(most).max(least)))
    }

    /// How much of the variance of what was seen the law explains.
    pub(super) fn explained(&self, points: &[Point]) -> f64 {
        let mean = mean(points.iter().map(|(_, seen)| *seen));
        let all: f64 = points.iter().map(|(_, seen)| (seen - mean).powi(2)).sum();
        if all > 0.0 { 1.0 - self.squares / all } else { 1.0 }
    }

    /// How far what was seen is from the law, in the mean, as a part of what was seen.
    pub(super) fn deviation(&self, points: &[Point]) -> f64 {
        let count = points.len().max(1) as f64;
        let mean = mean(points.iter().map(|(_, seen)| *seen));
        if mean > 0.0 { (self.squares / count).sqrt() / mean } else { f64::INFINITY }
    }
}

/// The interval that a figure of the law is in with a probability of 95%, by the jackknife: from how much it changes when
/// one of the points is left out. Deterministic, and it needs no law of errors.
pub(super) fn interval(points: &[Point], figure: impl Fn(&Law) -> f64) -> Option<(f64, f64)> {
    /// Student's quantiles for 97.5%, by degrees of freedom from 1.
    const QUANTILES: [f64; 12] = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179];
    let all = figure(&Law::fit(points)?);
    let without = |place: usize| {
        let rest: Vec<Point> =
            points.iter().enumerate().filter(|(i, _)| *i != place).map(|(_, point)| *point).collect();
        Law::fit(&rest).map(|law| figure(&law))
    };
    let each = (0..points.len()).map(without).collect::<Option<Vec<f64>>>()?;
    let (count, center) = (each.len() as f64, mean(each.iter().copied()));
    let squares: f64 = each.iter().map(|one| (one - center).powi(2)).sum();
    let deviation = ((count - 1.0) / count * squares).sqrt();
    let quantile = QUANTILES.get(each.len().saturating_sub(2)).copied().unwrap_or(2.1);
    let (low, high) = ((all - quantile * deviation).max(0.0), all + quantile * deviation);
    (low.is_finite() && high.is_finite()).then_some((low, high))
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0_u32), |(sum, count), value| (sum + value, count + 1));
    sum / f64::from(count.max(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn points(alone: f64, contention: f64, coherency: f64, users: &[f64], noise: &[f64]) -> Vec<Point> {
        let law = Law { alone, contention, coherency, squares: 0.0 };
        let noise = noise.iter().copied().chain(std::iter::repeat(0.0));
        users.iter().zip(noise).map(|(users, noise)| (*users, law.at(*users) * (1.0 + noise))).collect()
    }

    fn is_near(seen: f64, truth: f64, part: f64) -> bool {
        (seen - truth).abs() <= truth * part
    }

    #[test]
    fn an_exact_law_is_found_again() {
        for (alone, contention, coherency) in
            [(2.0, 0.05, 0.0005), (100.0, 0.0, 0.01), (0.1, 0.3, 1e-6), (5.0, 0.02, 0.0)]
        {
            let seen = points(alone, contention, coherency, &[1.0, 5.0, 10.0, 25.0, 50.0, 100.0], &[]);
            let law = Law::fit(&seen).unwrap();
            assert!(is_near(law.alone, alone, 0.01), "{law:?}");
            assert!((law.contention - contention).abs() < 0.002, "{law:?}");
            assert!(
                is_near(law.most(1.0, 100.0), seen.iter().map(|point| point.1).fold(0.0, f64::max), 0.05),
                "{law:?}"
            );
            assert!(law.explained(&seen) > 0.999 && law.deviation(&seen) < 0.01, "{law:?}");
            let (low, high) = interval(&seen, |law| law.most(1.0, 100.0)).unwrap();
            assert!(low <= high && is_near(low, high, 0.05), "{low} {high}");
        }
        let law = Law::fit(&points(2.0, 0.05, 0.0005, &[5.0, 20.0, 40.0, 80.0], &[])).unwrap();
        assert!(is_near(law.knee().unwrap(), (0.95_f64 / 0.0005).sqrt(), 0.02), "{law:?}");
    }

    #[test]
    fn a_line_has_no_knee_within_what_was_seen() {
        let law = Law::fit(&points(3.0, 0.0, 0.0, &[10.0, 20.0, 40.0, 80.0], &[])).unwrap();
        assert!(is_near(law.at(80.0), 240.0, 0.001), "{law:?}");
        assert!(law.knee().is_none_or(|knee| knee > 800.0), "{law:?}");
    }

    #[test]
    fn a_collapse_does_not_outweigh_what_came_before() {
        let seen = [(5.0, 10.0), (10.0, 19.0), (20.0, 30.0), (40.0, 0.1), (80.0, 0.0)];
        let law = Law::fit(&seen).unwrap();
        assert!(law.at(10.0) > 10.0 && law.knee().is_some_and(|knee| knee < 40.0), "{law:?}");
    }

    #[test]
    fn what_cannot_be_fitted_is_not() {
        assert_eq!(Law::fit(&[]), None);
        assert_eq!(Law::fit(&[(1.0, 1.0), (2.0, 2.0)]), None);
        assert_eq!(Law::fit(&[(10.0, 0.0), (20.0, 0.0), (30.0, 0.0)]), None);
        assert_eq!(Law::fit(&[(1.0, 5.0), (1.0, 5.0), (1.0, 5.0)]), None);
        assert_eq!(Law::fit(&[(1.0, f64::NAN), (2.0, 5.0), (3.0, 5.0)]), None);
        assert_eq!(Law::fit(&[(0.0, 5.0), (2.0, 5.0), (3.0, 5.0)]), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn noise_moves_the_peak_by_little(
            contention in 0.0_f64..0.2,
            coherency in 0.0002_f64..0.003,
            noise in proptest::collection::vec(-0.03_f64..0.03, 7),
        ) {
            let users = [2.0, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0];
            let seen = points(10.0, contention, coherency, &users, &noise);
            let (truth, law) = (points(10.0, contention, coherency, &users, &[]), Law::fit(&seen).unwrap());
            let truth = Law::fit(&truth).unwrap().most(1.0, 160.0);
            prop_assert!(is_near(law.most(1.0, 160.0), truth, 0.1), "{:?}: {} for {}", law, law.most(1.0, 160.0), truth);
        }

        #[test]
        fn no_points_make_it_panic_or_give_what_is_no_number(
            seen in proptest::collection::vec((1.0_f64..1e7, prop_oneof![Just(0.0), 0.0_f64..1e9]), 0..6),
        ) {
            if let Some(law) = Law::fit(&seen) {
                prop_assert!(law.at(10.0).is_finite() && law.most(1.0, 1e6).is_finite() && law.explained(&seen).is_finite());
                prop_assert!(law.contention <= 1.0 && law.coherency >= 0.0);
                prop_assert!(law.knee().is_none_or(|knee| knee >= 1.0 && knee.is_finite()));
                prop_assert!(interval(&seen, |law| law.most(1.0, 100.0)).is_none_or(|(low, high)| low <= high));
            }
        }
    }
}

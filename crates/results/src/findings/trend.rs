//! Whether a series rises, by tests that a few outliers do not sway.

/// A series that rises.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rise {
    /// The middle of its first quarter.
    pub(super) first: f64,
    /// The middle of its last quarter.
    pub(super) last: f64,
    /// How much it rises from one value to the next (Theil and Sen: the median of all slopes).
    pub(super) slope: f64,
}

/// Longer series are shortened to about so many values, each the median of a few: all pairs of values are looked at.
const MOST_VALUES: usize = 200;
/// So many standard deviations are chance once in 30,000 series: reports have many.
const DEVIATIONS: f64 = 4.0;

/// How a series rises; none where it does not by more than chance (Mann and Kendall), and of fewer than 8 values.
pub(super) fn rise(values: &[f64]) -> Option<Rise> {
    let each = values.len().div_ceil(MOST_VALUES).max(1);
    let values: Vec<f64> = values.chunks(each).map(|chunk| median(chunk.to_vec())).collect();
    let quarter = values.len() / 4;
    if quarter < 2 || !values.iter().all(|value| value.is_finite()) {
        return None;
    }
    let (mut slopes, mut sum, mut before) = (Vec::new(), 0_i64, Vec::new());
    for (at, value) in values.iter().enumerate() {
        for (earlier, was) in before.iter().enumerate() {
            let difference: f64 = value - was;
            slopes.push(difference / (at - earlier) as f64);
            sum += i64::from(difference > 0.0) - i64::from(difference < 0.0);
        }
        before.push(*value);
    }
    let count = values.len() as f64;
    let variance = (count * (count - 1.0) * (2.0 * count + 5.0) - ties(&values)) / 18.0;
    let slope = median(slopes) / each as f64;
    let is_rising = variance > 0.0 && (sum - 1) as f64 / variance.sqrt() > DEVIATIONS && slope > 0.0;
    let first = median(values[..quarter].to_vec());
    let last = median(values[values.len() - quarter..].to_vec());
    is_rising.then_some(Rise { first, last, slope })
}

/// How steeply points rise, whatever the distances between them (Theil and Sen: the median of the slopes of all pairs);
/// none where there are no two moments.
pub(crate) fn slope(points: &[(f64, f64)]) -> Option<f64> {
    let each = points.len().div_ceil(MOST_VALUES).max(1);
    let middle = |chunk: &[(f64, f64)], of: fn(&(f64, f64)) -> f64| median(chunk.iter().map(of).collect());
    let points: Vec<_> =
        points.chunks(each).map(|chunk| (middle(chunk, |(x, _)| *x), middle(chunk, |(_, y)| *y))).collect();
    let pairs =
        points.iter().enumerate().flat_map(|(place, later)| points[..place].iter().map(move |one| (one, later)));
    let slopes: Vec<f64> = pairs
        .filter(|(one, later)| later.0 > one.0)
        .map(|(one, later)| (later.1 - one.1) / (later.0 - one.0))
        .collect();
    (!slopes.is_empty()).then(|| median(slopes))
}

/// How much values that are the same take from the variance.
fn ties(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let of_group = |group: &[f64]| {
        let same = group.len() as f64;
        same * (same - 1.0) * (2.0 * same + 5.0)
    };
    sorted.chunk_by(|one, other| one.total_cmp(other).is_eq()).map(of_group).sum()
}

/// The value in the middle, 0 of none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_rise_is_seen_with_its_slope_and_a_fall_is_none() {
        let series: Vec<f64> = (0..40).map(|at| 100.0 + f64::from(at)).collect();
        assert_eq!(rise(&series), Some(Rise { first: 105.0, last: 135.0, slope: 1.0 }));
        let falls: Vec<f64> = series.iter().rev().copied().collect();
        assert_eq!(rise(&falls), None);
        assert_eq!(rise(&series[..6]), None);
    }

    #[test]
    fn a_long_series_is_shortened_and_has_the_same_slope() {
        let series: Vec<f64> = (0..10_000).map(|at| f64::from(at) * 2.0).collect();
        let seen = rise(&series).unwrap();
        assert!((seen.slope - 2.0).abs() < 0.01, "{seen:?}");
    }

    #[test]
    fn outliers_and_a_series_that_stays_are_no_rise() {
        assert_eq!(rise(&[5.0; 40]), None);
        let spikes: Vec<f64> = (0..40).map(|at| if at > 36 { 1e9 } else { 10.0 }).collect();
        assert_eq!(rise(&spikes).filter(|rise| rise.last > rise.first), None);
        assert_eq!(rise(&[f64::NAN; 40]), None);
    }

    #[test]
    fn the_slope_of_points_knows_their_distances_and_not_their_outliers() {
        let mut points: Vec<(f64, f64)> = (0..1_000).map(|at| f64::from(at * at)).map(|x| (x, 5.0 - 2.0 * x)).collect();
        points[500].1 = 1e12;
        assert!((slope(&points).unwrap() + 2.0).abs() < 1e-6, "{:?}", slope(&points));
        assert_eq!((slope(&[]), slope(&[(1.0, 2.0), (1.0, 3.0)])), (None, None));
    }

    proptest! {
        #[test]
        fn noise_alone_hardly_rises(noise in proptest::collection::vec(0.85_f64..1.15, 20..200)) {
            prop_assert!(rise(&noise).is_none_or(|rise| rise.last < rise.first * 1.25));
        }
    }
}

//! Distributions as Prometheus has them: buckets with fixed bounds, and native ones, of the same samples.
//!
//! Both are counted out from an HDR histogram, whose buckets are no wider than a thousandth of their values: a sample
//! that is closer than that to a bound may be counted on the other side of it. The sum is taken of the middles of these
//! buckets. Nothing is ever taken away from a run's histograms, so none of the counts goes back.

use proofload_results::Times;

/// Upper bounds of the classic buckets, in seconds: what latency targets are commonly said in.
pub const BOUNDS: [f64; 15] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// The resolution of native histograms: eight buckets for each doubling, each 9% wider than the one before.
pub const NATIVE_SCHEMA: i32 = 3;

/// Native histograms count what is no longer than this as zero: 2^-128, as all of Prometheus's libraries have it.
pub const ZERO_THRESHOLD: f64 = 2.938_735_877_055_719e-39;

/// Native buckets for each doubling.
const EACH_DOUBLING: f64 = 8.0;

const MICROS: f64 = 1e6;

/// A distribution of seconds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Histogram {
    /// Samples.
    pub count: u64,
    /// Their sum, in seconds.
    pub sum: f64,
    /// How many are no longer than each of [`BOUNDS`].
    pub classic: [u64; BOUNDS.len()],
    /// How many are zero.
    pub zero: u64,
    /// Native buckets that have samples, in order: the index, and how many. Bucket `i` ends at 2^(i/8) seconds.
    pub native: Vec<(i32, u64)>,
}

impl Histogram {
    /// Of a distribution.
    pub fn of(times: &Times) -> Self {
        let mut histogram = Self::default();
        for (micros, count) in times.counts() {
            histogram.add(micros as f64 / MICROS, count);
        }
        let mut below = 0;
        for bucket in &mut histogram.classic {
            below += *bucket;
            *bucket = below;
        }
        histogram
    }

    /// Adds samples that are no shorter than those before; the classic buckets do not hold each other yet.
    fn add(&mut self, seconds: f64, count: u64) {
        self.count += count;
        self.sum += seconds * count as f64;
        if let Some(bucket) = BOUNDS.iter().position(|bound| seconds <= *bound) {
            self.classic[bucket] += count;
        }
        if seconds <= ZERO_THRESHOLD {
            self.zero += count;
            return;
        }
        let index = (seconds.log2() * EACH_DOUBLING).ceil() as i32;
        match self.native.last_mut() {
            Some((last, counted)) if *last == index => *counted += count,
            _ => self.native.push((index, count)),
        }
    }
}

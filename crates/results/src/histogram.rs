//! Distributions of times: HDR histograms of microseconds, and their compact form for the wire.

mod sum;

use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Serializer, V2Serializer};
use serde::{Deserialize, Serialize};

pub(crate) use sum::Sum;

/// The longest time that is told apart from a longer one: one hour, in microseconds. Longer times count as this.
pub const LONGEST: u64 = 3_600_000_000;

/// Significant decimal digits of every figure that a verdict depends on.
pub const DIGITS: u8 = 3;
/// Significant decimal digits of a bucket of the timeline: there are hundreds, and they are for the eye.
pub const TIMELINE_DIGITS: u8 = 2;

/// A distribution of times in microseconds. Grows with the largest time seen, up to [`LONGEST`]; its size does not
/// depend on the number of samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Times(Histogram<u64>);

impl Times {
    /// An empty distribution with [`DIGITS`] digits.
    pub fn new() -> Self {
        Self::with_digits(DIGITS)
    }

    /// An empty distribution with [`TIMELINE_DIGITS`] digits.
    pub fn coarse() -> Self {
        Self::with_digits(TIMELINE_DIGITS)
    }

    fn with_digits(digits: u8) -> Self {
        let mut histogram = Histogram::new(digits).expect("1 to 5 digits are valid");
        histogram.auto(true);
        Self(histogram)
    }

    /// The histogram within.
    pub(crate) const fn histogram(&self) -> &Histogram<u64> {
        &self.0
    }

    /// Counts one time, in microseconds.
    pub fn record(&mut self, micros: u64) {
        // Not `saturating_record`: that one never grows the histogram, and clamps to what it holds now.
        self.0.record(micros.min(LONGEST)).expect("a histogram that resizes itself holds any value up to an hour");
    }

    /// Adds another distribution. Exact: bucket by bucket.
    pub fn add(&mut self, other: &Self) {
        self.0.add(&other.0).expect("a histogram that resizes itself holds any other");
    }

    /// Takes an earlier state of this distribution away: what was recorded since. `None` if it is not an earlier state.
    pub fn since(&self, earlier: &Self) -> Option<Self> {
        let mut difference = self.0.clone();
        difference.subtract(&earlier.0).ok()?;
        Some(Self(difference))
    }

    /// How many times were counted.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The smallest, largest, mean, and standard deviation, in microseconds; of no samples 0.
    pub fn extremes(&self) -> (u64, u64, f64, f64) {
        if self.is_empty() {
            return (0, 0, 0.0, 0.0);
        }
        (self.0.min(), self.0.max(), self.0.mean(), self.0.stdev())
    }

    /// A percentile, 0..=100, in microseconds; `None` of no samples.
    pub fn percentile(&self, percentile: f64) -> Option<u64> {
        // The largest value of a bucket may lie above the largest value seen.
        (!self.is_empty()).then(|| self.0.value_at_percentile(percentile).min(self.0.max()))
    }

    /// Each bucket that has samples, in order: a value in its middle, in microseconds, and how many.
    pub fn counts(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let middle = |value| self.0.median_equivalent(value).min(self.0.max());
        self.0.iter_recorded().map(move |value| (middle(value.value_iterated_to()), value.count_at_value()))
    }

    /// The compact form. Nothing for no samples.
    pub fn encode(&self) -> EncodedTimes {
        let mut bytes = Vec::new();
        if !self.is_empty() {
            V2Serializer::new().serialize(&self.0, &mut bytes).expect("a vector takes any number of bytes");
        }
        EncodedTimes(bytes)
    }
}

impl Default for Times {
    fn default() -> Self {
        Self::new()
    }
}

/// A distribution in HDR histogram's V2 format, not compressed; no bytes if there are no samples.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EncodedTimes(#[serde(with = "bytes")] Vec<u8>);

impl From<Vec<u8>> for EncodedTimes {
    /// Bytes that may be a distribution.
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

/// Bytes that are not a histogram of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an HDR histogram in V2 format with {expected} digits and no value over an hour, got {came}")]
pub struct InvalidHistogram {
    expected: u8,
    came: String,
}

impl EncodedTimes {
    /// The distribution, which must have so many digits. Bounded memory, whatever the bytes are.
    pub fn decode(&self, digits: u8) -> Result<Times, InvalidHistogram> {
        let mut sum = Sum::new(digits);
        sum.add(self)?;
        Ok(sum.finish())
    }
}

/// Serde's default for `Vec<u8>` is a sequence of numbers, which is slow.
mod bytes {
    use serde::de::{Deserializer, Error, SeqAccess, Visitor};
    use serde::ser::Serializer;

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        struct Bytes;
        impl<'de> Visitor<'de> for Bytes {
            type Value = Vec<u8>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }
            fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
                Ok(bytes)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<u8>, A::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = seq.next_element()? {
                    bytes.push(byte);
                }
                Ok(bytes)
            }
        }
        deserializer.deserialize_byte_buf(Bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn percentiles_are_of_the_samples() {
        let mut times = Times::new();
        (1..=1000).for_each(|micros| times.record(micros * 1000));
        let near = |p: f64, truth: f64| {
            let seen = times.percentile(p).unwrap() as f64;
            assert!((seen / truth - 1.0).abs() < 0.002, "p{p}: {seen}");
        };
        near(50.0, 500_000.0);
        near(99.0, 990_000.0);
        near(100.0, 1_000_000.0);
        assert_eq!(Times::new().percentile(50.0), None);
    }

    #[test]
    fn a_time_over_an_hour_counts_as_an_hour() {
        let mut times = Times::new();
        times.record(u64::MAX);
        assert_eq!(times.count(), 1);
        assert!(times.percentile(50.0).unwrap() >= LONGEST / 1000 * 999);
    }

    proptest! {
        #[test]
        fn encoding_loses_nothing(samples in proptest::collection::vec(0_u64..LONGEST, 0..200)) {
            let mut times = Times::new();
            for micros in samples {
                times.record(micros);
            }
            prop_assert_eq!(times.encode().decode(DIGITS).unwrap(), times);
        }

        #[test]
        fn decoding_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = EncodedTimes(bytes).decode(DIGITS);
        }

        #[test]
        fn decoding_damaged_bytes_never_panics(at in 0_usize..60, byte in any::<u8>()) {
            let mut times = Times::new();
            for micros in [1, 1000, 1_000_000] {
                times.record(micros);
            }
            let mut encoded = times.encode();
            if let Some(place) = encoded.0.get_mut(at) {
                *place = byte;
            }
            let _ = encoded.decode(DIGITS);
        }
    }
}

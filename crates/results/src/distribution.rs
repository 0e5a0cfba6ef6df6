//! A whole distribution of times as it stands in a report: what percentile plots and comparisons of runs are made from.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::{Decompress, FlushDecompress, Status};
use hdrhistogram::serialization::{Serializer, V2DeflateSerializer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::histogram::{DIGITS, EncodedTimes, Times};

/// A distribution of times in microseconds, three digits exact: HDR histogram's V2 format, compressed, as Base64. Other
/// tools for HDR histograms can read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Distribution(String);

/// How HDR histogram's V2 format, compressed, begins; its length follows.
const COOKIE: u32 = 0x1c84_9314;
/// The most bytes of an encoded distribution: far more than one with every bucket in use has.
const MAX_BYTES: usize = 1 << 20;

/// Text that is not a distribution.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an HDR histogram in V2 format with {DIGITS} digits, compressed, as Base64; got {0}")]
pub struct InvalidDistribution(String);

impl Distribution {
    /// Of a distribution; none of no samples.
    pub fn of(times: &Times) -> Option<Self> {
        if times.is_empty() {
            return None;
        }
        let mut bytes = Vec::new();
        V2DeflateSerializer::new()
            .serialize(times.histogram(), &mut bytes)
            .expect("a vector takes any number of bytes");
        Some(Self(STANDARD.encode(bytes)))
    }

    /// The distribution. Bounded memory, whatever the text is.
    pub fn times(&self) -> Result<Times, InvalidDistribution> {
        let invalid = |came: &str| InvalidDistribution(came.to_owned());
        if self.0.len() > MAX_BYTES {
            return Err(invalid("too much text"));
        }
        let bytes = STANDARD.decode(&self.0).map_err(|_| invalid("no Base64"))?;
        // HDR histogram's own reader takes as much memory as the header says.
        let packed = bytes.strip_prefix(&COOKIE.to_be_bytes()).and_then(|rest| rest.get(4..));
        let packed = packed.ok_or_else(|| invalid("another format"))?;
        let mut plain = Vec::with_capacity(MAX_BYTES);
        let end = Decompress::new(true).decompress_vec(packed, &mut plain, FlushDecompress::Finish);
        if !matches!(end, Ok(Status::StreamEnd)) {
            return Err(invalid("what cannot be unpacked"));
        }
        plain.shrink_to_fit();
        EncodedTimes::from(plain).decode(DIGITS).map_err(|error| InvalidDistribution(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::histogram::LONGEST;

    proptest! {
        #[test]
        fn a_distribution_read_again_is_the_same(samples in proptest::collection::vec(0_u64..LONGEST, 0..200)) {
            let mut times = Times::new();
            for micros in &samples {
                times.record(*micros);
            }
            let read = Distribution::of(&times).map(|distribution| distribution.times().unwrap());
            prop_assert_eq!(read, (!samples.is_empty()).then_some(times));
        }

        #[test]
        fn no_text_makes_it_panic(text in "[A-Za-z0-9+/=]{0,200}|.{0,50}") {
            let _ = Distribution(text).times();
        }
    }

    #[test]
    fn no_damage_makes_it_panic() {
        let mut times = Times::new();
        for micros in [1, 1000, 1_000_000] {
            times.record(micros);
        }
        let text = Distribution::of(&times).unwrap().0;
        for at in 0..text.len() {
            let mut damaged = text.clone().into_bytes();
            damaged[at] = if damaged[at] == b'A' { b'B' } else { b'A' };
            let _ = Distribution(String::from_utf8(damaged).unwrap()).times();
        }
        assert!(Distribution("A".repeat(MAX_BYTES + 1)).times().is_err());
    }
}

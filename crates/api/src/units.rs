//! Units: a type for each, parsed at the edge, so that no string is passed inward.
//!
//! The API has no floating-point numbers: times are strings such as `90s` or `1h30m`, sizes `10Ki`.

mod quantity;

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::ops::{Add, Sub};
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use quantity::{ByteSize, InvalidQuantity, Rate, Share};

/// A span of time in whole microseconds, the resolution of every figure.
///
/// Written as numbers with units, the largest first: `250ms`, `90s`, `1h30m`, `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Micros(pub u64);

/// Units from the largest to the smallest. `ms` and `us` must be tried before `m`.
const TIME_UNITS: [(&str, u64); 6] =
    [("d", 86_400_000_000), ("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1_000), ("us", 1)];

/// What the schema admits. At most 5 groups of 7 digits, so that no admitted time overflows 64 bits: one
/// object that cannot be read would stop the operator from reading any.
const TIME_PATTERN: &str = "^([0-9]{1,7}(d|h|ms|m|us|s)){1,5}$";

impl Micros {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// So many seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds * 1_000_000)
    }

    /// So many milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis * 1_000)
    }

    /// As seconds, for rates.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// The difference, or zero where the other is longer.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl From<Duration> for Micros {
    fn from(duration: Duration) -> Self {
        Self(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
    }
}

impl From<Micros> for Duration {
    fn from(micros: Micros) -> Self {
        Self::from_micros(micros.0)
    }
}

impl Add for Micros {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Micros {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        debug_assert!(self.0 >= other.0, "a span of time is never negative");
        self.saturating_sub(other)
    }
}

impl fmt::Display for Micros {
    /// Exact and shortest: `1h30m`, `90s` as `1m30s`, zero as `0s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.pad("0s");
        }
        let mut text = String::new();
        let mut rest = self.0;
        for (unit, size) in TIME_UNITS {
            if rest >= size {
                write!(text, "{}{unit}", rest / size)?;
                rest %= size;
            }
        }
        f.pad(&text)
    }
}

/// A string that is not a time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a time such as 250ms, 90s or 1h30m, got {0:?}")]
pub struct InvalidTime(String);

impl FromStr for Micros {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        let invalid = || InvalidTime(text.chars().take(40).collect());
        let mut rest = text;
        let mut total = 0_u64;
        for _ in 0..TIME_UNITS.len() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            if !(1..=7).contains(&digits) {
                return Err(invalid());
            }
            let (number, tail) = rest.split_at(digits);
            let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
            let (unit, tail) = tail.split_at(letters);
            let (_, size) = TIME_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(invalid)?;
            total += number.parse::<u64>().map_err(|_| invalid())? * size;
            rest = tail;
            if rest.is_empty() {
                return Ok(Self(total));
            }
        }
        Err(invalid())
    }
}

impl Serialize for Micros {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { serializer.serialize_u64(self.0) }
    }
}

impl<'de> Deserialize<'de> for Micros {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return u64::deserialize(deserializer).map(Self);
        }
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Micros {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": TIME_PATTERN, "maxLength": 45})
    }
}

/// A number of bytes: `512`, `10Ki`, `64Mi`, `1Gi`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Size(pub u64);

impl Size {
    /// Units of a size, as in Kubernetes quantities.
    pub const UNITS: [(&str, u64); 4] = [("", 1), ("Ki", 1 << 10), ("Mi", 1 << 20), ("Gi", 1 << 30)];
}

impl fmt::Display for Size {
    /// With at most one decimal: `1.5Ki`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, size) = Self::UNITS.into_iter().rev().find(|(_, size)| self.0 >= *size).unwrap_or(Self::UNITS[0]);
        let tenths = (u128::from(self.0) * 10 + u128::from(size) / 2) / u128::from(size);
        match tenths % 10 {
            0 => f.pad(&format!("{}{unit}", tenths / 10)),
            tenth => f.pad(&format!("{}.{tenth}{unit}", tenths / 10)),
        }
    }
}

impl Size {
    /// Reads `512`, `10Ki`, `64Mi`, `1Gi`.
    fn parse(text: &str) -> Option<Self> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, suffix) = text.split_at(digits);
        let (_, unit) = Self::UNITS.iter().find(|(unit, _)| *unit == suffix)?;
        number.parse::<u64>().ok()?.checked_mul(*unit).map(Self)
    }
}

/// A time for people: three significant digits in the unit that suits, `14ms`, `1.23s`, `250us`, `1m40s`.
pub fn short_time(micros: f64) -> String {
    let digits = |value: f64, unit: &str| {
        let decimals = if value >= 99.95 { 0 } else { usize::from(value < 9.995) + 1 };
        let text = format!("{value:.decimals$}");
        let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
        format!("{text}{unit}")
    };
    match micros {
        m if m < 999.5 => digits(m, "us"),
        m if m < 999_500.0 => digits(m / 1e3, "ms"),
        m if m < 99_500_000.0 => digits(m / 1e6, "s"),
        m => Micros::from_secs((m / 1e6).round() as u64).to_string(),
    }
}

/// A share of 0..=1 for people: `0%`, `0.12%`, `96.3%`. Never rounds to `0%` or `100%` what is not.
pub fn short_share(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        p if p <= 0.0 => "0%".to_owned(),
        p if p < 0.01 => "<0.01%".to_owned(),
        p if p >= 100.0 => "100%".to_owned(),
        p if p > 99.99 => ">99.99%".to_owned(),
        p => {
            let text = if (10.0..=99.9).contains(&p) { format!("{p:.1}") } else { format!("{p:.2}") };
            format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, micros) in
            [("90s", 90_000_000), ("1h30m", 5_400_000_000), ("250ms", 250_000), ("7d", 604_800_000_000), ("0s", 0)]
        {
            assert_eq!(text.parse(), Ok(Micros(micros)), "{text}");
        }
        for text in ["", "5", "s", "-5s", "1.5s", "5 s", "5x", "1h30", "12345678s", "1s1s1s1s1s1s1s", "5µs"] {
            assert!(text.parse::<Micros>().is_err(), "{text}");
        }
    }

    #[test]
    fn figures_for_people_have_three_digits_and_never_round_away_an_error() {
        let times = [14_000.0, 1_234_567.0, 250.0, 100_000_000.0, 999_700.0, 0.0, 100.4].map(short_time);
        assert_eq!(times, ["14ms", "1.23s", "250us", "1m40s", "1s", "0us", "100us"]);
        let shares = [0.0, 0.000_001, 0.0012, 0.9634, 0.999_999, 1.0, 0.1].map(short_share);
        assert_eq!(shares, ["0%", "<0.01%", "0.12%", "96.3%", ">99.99%", "100%", "10%"]);
        assert_eq!([Size(512), Size(1536), Size(1 << 30)].map(|s| s.to_string()), ["512", "1.5Ki", "1Gi"]);
    }

    proptest! {
        #[test]
        fn a_time_survives_being_written_and_read(micros in 0_u64..500_000_000_000_000_000) {
            prop_assert_eq!(Micros(micros).to_string().parse::<Micros>(), Ok(Micros(micros)));
        }

        #[test]
        fn reading_a_time_never_panics(text in "\\PC*") {
            let _ = text.parse::<Micros>();
        }

        #[test]
        fn every_time_that_the_schema_admits_can_be_read(text in "([0-9]{1,7}(d|h|ms|m|us|s)){1,5}") {
            prop_assert!(text.parse::<Micros>().is_ok());
        }
    }
}

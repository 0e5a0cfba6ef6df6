//! Rates, shares and sizes as they are written in a spec.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Size;

/// How often something happens, exactly: `500/s`, `90/m`, `10/h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Rate {
    /// So many in an hour.
    pub per_hour: u64,
}

/// Units of a rate, and how many of them an hour has.
const RATE_UNITS: [(&str, u64); 3] = [("/s", 3600), ("/m", 60), ("/h", 1)];

impl Rate {
    /// The highest rate that can be written: ten million a second.
    pub const MAX: Self = Self::per_second(10_000_000);

    /// So many in a second.
    pub const fn per_second(count: u64) -> Self {
        Self { per_hour: count * 3600 }
    }

    /// In a second, for figures.
    pub fn as_per_second_f64(self) -> f64 {
        self.per_hour as f64 / 3600.0
    }
}

impl fmt::Display for Rate {
    /// In the largest unit in which it is whole: `500/s`, `90/m`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = RATE_UNITS.iter().find(|(_, size)| self.per_hour.is_multiple_of(*size)).unwrap_or(&RATE_UNITS[2]);
        f.pad(&format!("{}{}", self.per_hour / whole.1, whole.0))
    }
}

/// A string that is not what was expected of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, got {came:?}")]
pub struct InvalidQuantity {
    expected: &'static str,
    came: String,
}

fn invalid(expected: &'static str, came: &str) -> InvalidQuantity {
    InvalidQuantity { expected, came: came.chars().take(40).collect() }
}

impl FromStr for Rate {
    type Err = InvalidQuantity;

    fn from_str(text: &str) -> Result<Self, InvalidQuantity> {
        const EXPECTED: &str = "a rate such as 500/s, 90/m or 10/h, at most 10000000/s";
        let read = || {
            let (unit, size) = RATE_UNITS.iter().find(|(unit, _)| text.ends_with(unit))?;
            let number = text.strip_suffix(unit)?;
            let is_digits = (1..=8).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
            let count: u64 = is_digits.then(|| number.parse().ok())??;
            Some(Self { per_hour: count * size }).filter(|rate| *rate <= Self::MAX)
        };
        read().ok_or_else(|| invalid(EXPECTED, text))
    }
}

/// A part of a whole, exactly: `5%`, `0.5%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Share {
    /// In millionths.
    pub millionths: u32,
}

impl Share {
    /// So many hundredths.
    pub const fn from_percent(percent: u32) -> Self {
        Self { millionths: percent * 10_000 }
    }

    /// 0 to 1.
    pub fn as_f64(self) -> f64 {
        f64::from(self.millionths) / 1e6
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.millionths / 10_000, self.millionths % 10_000);
        let text = format!("{whole}.{rest:04}");
        f.pad(&format!("{}%", text.trim_end_matches('0').trim_end_matches('.')))
    }
}

impl FromStr for Share {
    type Err = InvalidQuantity;

    fn from_str(text: &str) -> Result<Self, InvalidQuantity> {
        let read = || {
            let number = text.strip_suffix('%')?;
            let (whole, part) = number.split_once('.').unwrap_or((number, ""));
            let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
            if !(1..=3).contains(&whole.len()) || part.len() > 4 || !is_digits(whole) || !is_digits(part) {
                return None;
            }
            let millionths = whole.parse::<u32>().ok()? * 10_000 + format!("{part:0<4}").parse::<u32>().ok()?;
            Some(Self { millionths }).filter(|share| share.millionths <= 1_000_000)
        };
        read().ok_or_else(|| invalid("a share such as 5% or 0.5%, at most 100%", text))
    }
}

/// A number of bytes as it is written in a spec: `512`, `10Ki`, `64Mi`, `1Gi`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ByteSize(pub u64);

impl fmt::Display for ByteSize {
    /// Exact.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = Size::UNITS.iter().rev();
        let whole = units.filter(|(_, size)| self.0.is_multiple_of(*size)).find(|(_, size)| self.0 >= *size);
        let (unit, size) = whole.unwrap_or(&Size::UNITS[0]);
        f.pad(&format!("{}{unit}", self.0 / size))
    }
}

impl FromStr for ByteSize {
    type Err = InvalidQuantity;

    fn from_str(text: &str) -> Result<Self, InvalidQuantity> {
        let size = Size::parse(text).filter(|_| text.len() <= 12);
        size.map(|size| Self(size.0)).ok_or_else(|| invalid("a size such as 512, 10Ki or 1Mi", text))
    }
}

/// Read from a string, and from the number that YAML makes of a size without a unit.
macro_rules! written {
    ($type:ident, $name:literal, $schema:tt) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                #[derive(Deserialize)]
                #[serde(untagged)]
                enum Written {
                    Number(u64),
                    Text(String),
                }
                if !deserializer.is_human_readable() {
                    return String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom);
                }
                let text = match Written::deserialize(deserializer)? {
                    Written::Number(number) => number.to_string(),
                    Written::Text(text) => text,
                };
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

written!(Rate, "Rate", {"type": "string", "pattern": "^([0-9]{1,7}/s|[0-9]{1,8}/[mh])$", "maxLength": 10});
written!(Share, "Share", {"type": "string", "pattern": "^(100|[0-9]{1,2}([.][0-9]{1,4})?)%$", "maxLength": 8});
written!(ByteSize, "ByteSize", {"x-kubernetes-int-or-string": true, "minimum": 0, "maximum": 1_099_511_627_776_u64,
                                "pattern": "^[0-9]{1,9}(Ki|Mi|Gi)?$", "maxLength": 11});

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rates_shares_and_sizes_are_read_as_people_write_them() {
        assert_eq!("500/s".parse(), Ok(Rate { per_hour: 1_800_000 }));
        assert_eq!("90/m".parse(), Ok(Rate { per_hour: 5_400 }));
        assert_eq!(
            ["500/s", "90/m", "7/h"].map(|text| text.parse::<Rate>().unwrap().to_string()),
            ["500/s", "90/m", "7/h"]
        );
        assert_eq!("0.5%".parse(), Ok(Share { millionths: 5_000 }));
        assert_eq!(
            ["5%", "0.25%", "100%"].map(|text| text.parse::<Share>().unwrap().to_string()),
            ["5%", "0.25%", "100%"]
        );
        assert_eq!("10Ki".parse(), Ok(ByteSize(10_240)));
        assert_eq!(serde_json::from_str::<ByteSize>("512").unwrap(), ByteSize(512));
        for wrong in ["", "500", "/s", "-1/s", "1.5/s", "99999999/s", "1/d"] {
            assert!(wrong.parse::<Rate>().is_err(), "{wrong}");
        }
        for wrong in ["", "5", "%", "-1%", "101%", "1.23456%", "5 %"] {
            assert!(wrong.parse::<Share>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn quantities_survive_being_written_and_read(per_hour in 0_u64..36_000_000_000, millionths in 0_u32..=1_000_000, bytes in 0_u64..1 << 30) {
            // A rate that is whole in no unit that has few enough digits cannot be written, nor read.
            let rate = Rate { per_hour };
            prop_assert!(rate.to_string().parse::<Rate>().map_or(per_hour > 99_999_999, |read| read == rate));
            prop_assert_eq!(Share { millionths }.to_string().parse(), Ok(Share { millionths }));
            prop_assert_eq!(ByteSize(bytes).to_string().parse(), Ok(ByteSize(bytes)));
        }

        #[test]
        fn reading_a_quantity_never_panics(text in "\\PC*") {
            let _ = (text.parse::<Rate>(), text.parse::<Share>(), text.parse::<ByteSize>());
        }
    }
}

//! The criterion grammar: `aggregate(metric) operator value`, e.g. `p95(latency[ok]) < 500ms`.
//!
//! A hand-written parser of a small regular language, so that an error can point at the column and say what would
//! have been right there. It checks units too: a criterion that parses can be evaluated.

mod parse;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::outcome::Outcome;
use crate::units::{Size, short_share, short_time};

/// A parsed criterion.
#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    /// How the samples become one value.
    pub aggregate: Aggregate,
    /// What is measured.
    pub metric: Metric,
    /// How the value is compared.
    pub operator: Operator,
    /// With what.
    pub limit: Value,
}

/// How samples become one value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Aggregate {
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// The mean.
    Avg,
    /// The median.
    Med,
    /// The standard deviation.
    Stddev,
    /// A percentile, 0 < p < 100.
    Percentile(f64),
    /// How many.
    Count,
    /// A share of all requests, or per second for `requests`, `bytes_in` and `bytes_out`.
    Rate,
    /// The value at the end; of the target's own metrics only.
    Last,
    /// How much it rises in an hour; of the target's own metrics only.
    Slope,
}

/// What is measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Metric {
    /// From the intended time of a request to its end.
    Latency(Ended),
    /// From the actual send to the end of the response.
    ServiceTime,
    /// Actual minus intended send time: the generator's own fault.
    Lateness,
    /// Requests sent.
    Requests,
    /// Requests that failed; without those that were answered with a status, if one is named (`errors[!429]`).
    Errors(Option<u16>),
    /// Requests with a good answer; without those of a status, if one is named (`success[!429]`). A share is then of the
    /// other requests alone, as that of `errors[!429]` is.
    Success(Option<u16>),
    /// Bytes received.
    BytesIn,
    /// Bytes sent.
    BytesOut,
    /// Responses with this status.
    Status(u16),
    /// Requests with this outcome.
    Outcome(Outcome),
    /// Arrivals that found no free user; as a share, of all arrivals.
    Dropped,
    /// Answers of which the check of this name held; as a share, of those that were checked.
    Check(String),
    /// The target's own metric of this name, as Prometheus has it.
    Server(String),
}

/// Whose latency is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Requests that got a response, and timeouts: `latency`.
    Answered,
    /// Every request that went over a connection, however it ended: `latency[any]`.
    Any,
    /// Requests with this outcome, which has an end: `latency[ok]`.
    As(Outcome),
}

/// How a value is compared with its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Operator {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
}

/// A value with its unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Value {
    /// The unit.
    pub unit: Unit,
    /// So many of it.
    pub amount: f64,
}

/// The unit of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Microseconds.
    Time,
    /// 0..=1 of all requests.
    Share,
    /// A number per second.
    PerSecond,
    /// A number.
    Count,
    /// Bytes.
    Bytes,
    /// Bytes per second.
    BytesPerSecond,
    /// Microseconds in an hour.
    TimePerHour,
    /// Of a series' own mean, in an hour.
    SharePerHour,
    /// A number in an hour.
    PerHour,
    /// Bytes in an hour.
    BytesPerHour,
}

/// Where a criterion is wrong, and what would be right there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: expected {expected}, got {found}")]
pub struct ParseError {
    /// The column, from 1.
    pub column: usize,
    /// What would have been right.
    pub expected: String,
    /// What was there.
    pub found: String,
}

const AGGREGATES: [(&str, Aggregate); 9] = [
    ("min", Aggregate::Min),
    ("max", Aggregate::Max),
    ("avg", Aggregate::Avg),
    ("med", Aggregate::Med),
    ("stddev", Aggregate::Stddev),
    ("count", Aggregate::Count),
    ("rate", Aggregate::Rate),
    ("last", Aggregate::Last),
    ("slope", Aggregate::Slope),
];
const METRICS: [&str; 13] = [
    "latency",
    "service_time",
    "lateness",
    "requests",
    "errors",
    "success",
    "bytes_in",
    "bytes_out",
    "status",
    "outcome",
    "dropped",
    "check",
    "server",
];
/// How a slope's limit ends, and how much of it an hour has.
const PER_HOUR: [(&str, f64); 3] = [("/h", 1.0), ("/m", 60.0), ("/d", 1.0 / 24.0)];
/// Two-character operators come before their first characters.
const OPERATORS: [(&str, Operator); 6] = [
    ("<=", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("<", Operator::Less),
    (">", Operator::Greater),
];

impl Operator {
    /// Whether the comparison holds.
    pub fn holds(self, value: f64, limit: f64) -> bool {
        // A value comes from integers and a division, a limit from a decimal: equality needs some tolerance.
        let near = (value - limit).abs() <= limit.abs().max(value.abs()) * 1e-9;
        match self {
            Self::Less => value < limit && !near,
            Self::LessOrEqual => value <= limit || near,
            Self::Greater => value > limit && !near,
            Self::GreaterOrEqual => value >= limit || near,
            Self::Equal => near,
            Self::NotEqual => !near,
        }
    }
}

impl Ended {
    /// Whether requests with this outcome are among them.
    pub const fn includes(self, outcome: Outcome) -> bool {
        match self {
            Self::Answered => outcome.has_latency(),
            Self::Any => outcome.has_end(),
            Self::As(only) => only as usize == outcome as usize,
        }
    }
}

impl Metric {
    /// Whether each sample has a value, so that percentiles exist.
    pub const fn is_distribution(&self) -> bool {
        matches!(self, Self::Latency(_) | Self::ServiceTime | Self::Lateness)
    }
}

impl Expr {
    /// The unit of the value, and so of its limit.
    pub const fn unit(&self) -> Unit {
        match units_of(self.aggregate, &self.metric) {
            [unit] => *unit,
            // What a metric of the target is in, its limit says.
            _ => self.limit.unit,
        }
    }
}

/// The units that a limit can have: one, but for the target's own metrics.
const fn units_of(aggregate: Aggregate, metric: &Metric) -> &'static [Unit] {
    match (aggregate, metric) {
        (Aggregate::Slope, Metric::Server(_)) => {
            &[Unit::SharePerHour, Unit::PerHour, Unit::BytesPerHour, Unit::TimePerHour]
        }
        (_, Metric::Server(_)) => &[Unit::Count, Unit::Share, Unit::Time, Unit::Bytes],
        (Aggregate::Count, Metric::BytesIn | Metric::BytesOut) => &[Unit::Bytes],
        (Aggregate::Count, _) => &[Unit::Count],
        (Aggregate::Rate, Metric::BytesIn | Metric::BytesOut) => &[Unit::BytesPerSecond],
        (Aggregate::Rate, Metric::Requests) => &[Unit::PerSecond],
        (Aggregate::Rate, _) => &[Unit::Share],
        _ => &[Unit::Time],
    }
}

impl Unit {
    const fn example(self) -> &'static str {
        match self {
            Self::Time => "a time such as 500ms or 1.5s",
            Self::Share => "a share such as 1%",
            Self::PerSecond => "a rate such as 1000/s",
            Self::Count => "a number such as 100",
            Self::Bytes => "a size such as 10Ki",
            Self::BytesPerSecond => "a size per second such as 10Mi/s",
            Self::TimePerHour => "a time per hour such as 10ms/h",
            Self::SharePerHour => "a share per hour such as 1%/h",
            Self::PerHour => "a number per hour such as 5/h",
            Self::BytesPerHour => "a size per hour such as 10Mi/h",
        }
    }

    fn of_suffix(self, suffix: &str) -> Option<f64> {
        let size = |suffix| Size::UNITS.iter().find(|(unit, _)| *unit == suffix).map(|(_, size)| *size as f64);
        match (self, suffix) {
            (Self::Time, "us") | (Self::PerSecond, "/s") | (Self::Count, "") => Some(1.0),
            (Self::Time, "ms") => Some(1e3),
            (Self::Time, "s") => Some(1e6),
            (Self::Time, "m") => Some(60e6),
            (Self::Time, "h") => Some(3600e6),
            (Self::Share, "%") => Some(0.01),
            (Self::PerSecond, "/m") => Some(1.0 / 60.0),
            (Self::Bytes, suffix) => size(suffix),
            (Self::BytesPerSecond, suffix) => suffix.strip_suffix("/s").and_then(size),
            _ => {
                let (amount, in_an_hour) =
                    PER_HOUR.iter().find_map(|(unit, many)| Some((suffix.strip_suffix(unit)?, many)))?;
                let unit = match self {
                    Self::TimePerHour => Self::Time,
                    Self::SharePerHour => Self::Share,
                    Self::PerHour => Self::Count,
                    Self::BytesPerHour if !amount.is_empty() => Self::Bytes,
                    _ => return None,
                };
                unit.of_suffix(amount).map(|factor| factor * in_an_hour)
            }
        }
    }
}

impl fmt::Display for Aggregate {
    /// As it is written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Percentile(percentile) = self {
            return write!(f, "p{percentile}");
        }
        let known = AGGREGATES.iter().find(|(_, aggregate)| aggregate == self);
        f.write_str(known.map_or("", |(name, _)| name))
    }
}

impl fmt::Display for Metric {
    /// As it is written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latency(Ended::Answered) => f.write_str("latency"),
            Self::Latency(Ended::Any) => f.write_str("latency[any]"),
            Self::Latency(Ended::As(outcome)) => write!(f, "latency[{outcome}]"),
            Self::ServiceTime => f.write_str("service_time"),
            Self::Lateness => f.write_str("lateness"),
            Self::Requests => f.write_str("requests"),
            Self::Errors(None) => f.write_str("errors"),
            Self::Errors(Some(status)) => write!(f, "errors[!{status}]"),
            Self::Success(None) => f.write_str("success"),
            Self::Success(Some(status)) => write!(f, "success[!{status}]"),
            Self::BytesIn => f.write_str("bytes_in"),
            Self::BytesOut => f.write_str("bytes_out"),
            Self::Status(status) => write!(f, "status({status})"),
            Self::Outcome(outcome) => write!(f, "outcome({outcome})"),
            Self::Dropped => f.write_str("dropped"),
            Self::Check(name) => write!(f, "check({name})"),
            Self::Server(name) => write!(f, "server.{name}"),
        }
    }
}

impl fmt::Display for Value {
    /// For people: three digits, `812ms`, `0.52%`, `9840/s`, `-1.2%/h`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.amount < 0.0 {
            return f.pad(&format!("-{}", Self { amount: -self.amount, ..*self }));
        }
        let (amount, size) = (self.amount, Size(self.amount.round() as u64));
        let text = match self.unit {
            Unit::Time => short_time(amount),
            Unit::Share => short_share(amount),
            Unit::PerSecond => format!("{}/s", number(amount)),
            Unit::Count => number(amount),
            Unit::Bytes => size.to_string(),
            Unit::BytesPerSecond => format!("{size}/s"),
            Unit::TimePerHour => format!("{}/h", short_time(amount)),
            // What grows by more than all of it is no rare case here.
            Unit::SharePerHour if amount >= 1.0 => format!("{}%/h", number((amount * 100.0).round())),
            Unit::SharePerHour => format!("{}/h", short_share(amount)),
            Unit::PerHour => format!("{}/h", number(amount)),
            Unit::BytesPerHour => format!("{size}/h"),
        };
        f.pad(&text)
    }
}

/// A number that is not negative, with three digits where it has no more before its point.
fn number(n: f64) -> String {
    match n {
        n if n >= 100.0 || n.fract() == 0.0 => format!("{n:.0}"),
        n if n >= 0.001 => format!("{n:.3}"),
        n => format!("{n:.2e}"),
    }
}

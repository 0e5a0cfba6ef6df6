//! Prometheus's protobuf: the messages of `io.prometheus.client`, as far as they are used here, each after its length.
//!
//! A histogram has its classic and its native buckets in one message, and whoever scrapes takes those that it wants.

use prost::Message;

use crate::exposition::{Exposition, Value};
use crate::family::Kind;
use crate::histogram::{BOUNDS, Histogram as Distribution, NATIVE_SCHEMA, ZERO_THRESHOLD};

/// A family with its series.
#[derive(Clone, PartialEq, Message)]
pub struct MetricFamily {
    /// The name; of a counter with `_total`.
    #[prost(string, tag = "1")]
    pub name: String,
    /// What it tells.
    #[prost(string, tag = "2")]
    pub help: String,
    /// What its values are.
    #[prost(enumeration = "MetricType", tag = "3")]
    pub r#type: i32,
    /// Its series.
    #[prost(message, repeated, tag = "4")]
    pub metric: Vec<Metric>,
    /// Its unit, where it has one.
    #[prost(string, tag = "5")]
    pub unit: String,
}

/// What the values of a family are; there are others, which are not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum MetricType {
    /// Goes up.
    Counter = 0,
    /// Goes up and down.
    Gauge = 1,
    /// A distribution.
    Histogram = 4,
}

/// A series: one of the values is there.
#[derive(Clone, PartialEq, Message)]
pub struct Metric {
    /// Its labels.
    #[prost(message, repeated, tag = "1")]
    pub label: Vec<LabelPair>,
    /// Of a gauge.
    #[prost(message, optional, tag = "2")]
    pub gauge: Option<Number>,
    /// Of a counter.
    #[prost(message, optional, tag = "3")]
    pub counter: Option<Number>,
    /// Of a histogram.
    #[prost(message, optional, tag = "7")]
    pub histogram: Option<Histogram>,
}

/// A label.
#[derive(Clone, PartialEq, Message)]
pub struct LabelPair {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its value.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// A gauge's value, or a counter's.
#[derive(Clone, PartialEq, Message)]
pub struct Number {
    /// The value.
    #[prost(double, tag = "1")]
    pub value: f64,
}

/// A distribution.
#[derive(Clone, PartialEq, Message)]
pub struct Histogram {
    /// Samples.
    #[prost(uint64, tag = "1")]
    pub sample_count: u64,
    /// Their sum.
    #[prost(double, tag = "2")]
    pub sample_sum: f64,
    /// Classic buckets, each with all that are shorter; the last one, without a bound, goes without saying.
    #[prost(message, repeated, tag = "3")]
    pub bucket: Vec<Bucket>,
    /// How wide native buckets are.
    #[prost(sint32, tag = "5")]
    pub schema: i32,
    /// What counts as zero. That it is not 0 marks a native histogram, without samples too.
    #[prost(double, tag = "6")]
    pub zero_threshold: f64,
    /// Samples that are zero.
    #[prost(uint64, tag = "7")]
    pub zero_count: u64,
    /// Which native buckets there are.
    #[prost(message, repeated, tag = "12")]
    pub positive_span: Vec<BucketSpan>,
    /// How many more each has than the one before.
    #[prost(sint64, repeated, tag = "13")]
    pub positive_delta: Vec<i64>,
}

/// A classic bucket.
#[derive(Clone, PartialEq, Message)]
pub struct Bucket {
    /// Samples in it and in all before.
    #[prost(uint64, tag = "1")]
    pub cumulative_count: u64,
    /// The longest that is in it.
    #[prost(double, tag = "2")]
    pub upper_bound: f64,
}

/// Native buckets that follow each other.
#[derive(Clone, PartialEq, Message)]
pub struct BucketSpan {
    /// The index of the first; from the second span on, how many are left out before it.
    #[prost(sint32, tag = "1")]
    pub offset: i32,
    /// How many there are.
    #[prost(uint32, tag = "2")]
    pub length: u32,
}

/// Writes values down.
pub(crate) fn write(exposition: &Exposition) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (family, series) in exposition.families() {
        let labels = |values: &[String]| {
            let pairs = family.labels.iter().zip(values);
            pairs.map(|(name, value)| LabelPair { name: (*name).to_owned(), value: value.clone() }).collect()
        };
        let message = MetricFamily {
            name: family.name.to_owned(),
            help: family.help.to_owned(),
            r#type: MetricType::from(family.kind).into(),
            metric: series.iter().map(|(values, value)| Metric { label: labels(values), ..value.into() }).collect(),
            unit: family.unit().unwrap_or_default().to_owned(),
        };
        bytes.extend(message.encode_length_delimited_to_vec());
    }
    bytes
}

impl From<Kind> for MetricType {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Counter => Self::Counter,
            Kind::Gauge => Self::Gauge,
            Kind::Histogram => Self::Histogram,
        }
    }
}

impl From<&Value> for Metric {
    fn from(value: &Value) -> Self {
        let metric = Self::default();
        match value {
            Value::Count(count) => Self { counter: Some(Number { value: *count as f64 }), ..metric },
            Value::Number(value) => Self { gauge: Some(Number { value: *value }), ..metric },
            Value::Histogram(histogram) => Self { histogram: Some((&**histogram).into()), ..metric },
        }
    }
}

impl From<&Distribution> for Histogram {
    fn from(distribution: &Distribution) -> Self {
        let classic = BOUNDS.iter().zip(&distribution.classic);
        let bucket = classic.map(|(bound, count)| Bucket { cumulative_count: *count, upper_bound: *bound });
        let (positive_span, positive_delta) = native(&distribution.native);
        Self {
            sample_count: distribution.count,
            sample_sum: distribution.sum,
            bucket: bucket.collect(),
            schema: NATIVE_SCHEMA,
            zero_threshold: ZERO_THRESHOLD,
            zero_count: distribution.zero,
            positive_span,
            positive_delta,
        }
    }
}

/// Spans of buckets, and what each bucket has more than the one before.
fn native(buckets: &[(i32, u64)]) -> (Vec<BucketSpan>, Vec<i64>) {
    let (mut spans, mut deltas): (Vec<BucketSpan>, Vec<i64>) = (Vec::new(), Vec::new());
    let (mut next, mut before) = (0, 0);
    for (index, count) in buckets {
        match spans.last_mut() {
            Some(span) if *index == next => span.length += 1,
            _ => spans.push(BucketSpan { offset: index - next, length: 1 }),
        }
        deltas.push(count.cast_signed() - before);
        (next, before) = (index + 1, count.cast_signed());
    }
    (spans, deltas)
}

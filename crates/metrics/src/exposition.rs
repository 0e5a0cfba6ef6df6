//! What a scrape is answered with, before it is written down.

use std::collections::BTreeMap;

use crate::family::{Family, Kind};
use crate::histogram::Histogram;

/// Values of families. No series is there twice, whatever names labels have: a scrape that has one twice is refused as
/// a whole.
#[derive(Debug, Default)]
pub struct Exposition(Vec<(&'static Family, BTreeMap<Vec<String>, Value>)>);

/// A value of a series.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Of a counter.
    Count(u64),
    /// Of a gauge.
    Number(f64),
    /// Of a histogram.
    Histogram(Box<Histogram>),
}

impl Value {
    const fn kind(&self) -> Kind {
        match self {
            Self::Count(_) => Kind::Counter,
            Self::Number(_) => Kind::Gauge,
            Self::Histogram(_) => Kind::Histogram,
        }
    }
}

impl Exposition {
    /// Of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds to a counter, which begins at 0.
    pub fn count<const N: usize>(&mut self, family: &'static Family, labels: [&str; N], count: u64) {
        match self.place(family, &labels, Value::Count(0)) {
            Value::Count(sum) => *sum = sum.saturating_add(count),
            other => *other = Value::Count(count),
        }
    }

    /// Sets a gauge.
    pub fn set<const N: usize>(&mut self, family: &'static Family, labels: [&str; N], value: f64) {
        *self.place(family, &labels, Value::Number(0.0)) = Value::Number(value);
    }

    /// Sets a histogram.
    pub fn distribute<const N: usize>(&mut self, family: &'static Family, labels: [&str; N], histogram: Histogram) {
        let empty = Value::Histogram(Box::default());
        *self.place(family, &labels, empty) = Value::Histogram(Box::new(histogram));
    }

    fn place(&mut self, family: &'static Family, labels: &[&str], first: Value) -> &mut Value {
        debug_assert_eq!(family.labels.len(), labels.len(), "a value for each label of {}", family.name);
        debug_assert_eq!(family.kind, first.kind(), "a value of the kind of {}", family.name);
        let known = self.0.iter().position(|(known, _)| known.name == family.name);
        let at = known.unwrap_or_else(|| {
            self.0.push((family, BTreeMap::new()));
            self.0.len() - 1
        });
        let labels = labels.iter().map(|&label| label.to_owned()).collect();
        self.0[at].1.entry(labels).or_insert(first)
    }

    /// A value of each family, for whoever checks how they are written.
    pub fn of_each(families: &[&'static Family]) -> Self {
        let mut seen = Self::new();
        for family in families {
            let value = match family.kind {
                Kind::Counter => Value::Count(1),
                Kind::Gauge => Value::Number(1.0),
                Kind::Histogram => Value::Histogram(Box::default()),
            };
            seen.place(family, family.labels, value);
        }
        seen
    }

    /// Each family that has series, with them.
    pub(crate) fn families(&self) -> impl Iterator<Item = (&'static Family, &BTreeMap<Vec<String>, Value>)> {
        self.0.iter().map(|(family, series)| (*family, series))
    }
}

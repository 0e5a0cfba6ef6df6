//! A family of metrics: what is known of it before there is any value.

/// A family of metrics, as it stands in the catalogue.
#[derive(Debug, PartialEq, Eq)]
pub struct Family {
    /// The name, as in a query; of a counter with its `_total`.
    pub name: &'static str,
    /// What its values are.
    pub kind: Kind,
    /// Names of the labels, in the order in which values are given.
    pub labels: &'static [&'static str],
    /// What it tells, in words.
    pub help: &'static str,
}

/// What the values of a family are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Goes up, or begins again at 0 with the process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution.
    Histogram,
}

impl Kind {
    /// The name in both forms of text.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl Family {
    /// The name without `_total`: what `OpenMetrics` calls the family of a counter.
    pub fn base(&self) -> &'static str {
        match self.kind {
            Kind::Counter => self.name.strip_suffix("_total").unwrap_or(self.name),
            Kind::Gauge | Kind::Histogram => self.name,
        }
    }

    /// The unit, which is the end of the name; none of plain numbers.
    pub fn unit(&self) -> Option<&'static str> {
        ["seconds", "bytes", "ratio"]
            .into_iter()
            .find(|unit| self.base().strip_suffix(unit).is_some_and(|rest| rest.ends_with('_')))
    }
}

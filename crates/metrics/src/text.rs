//! The two forms of text, which differ in less than they agree in.

use std::fmt::Write as _;

use crate::exposition::{Exposition, Value};
use crate::family::Family;
use crate::histogram::{BOUNDS, Histogram};

/// A form of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Version 0.0.4.
    Prometheus,
    /// Version 1.0.0.
    OpenMetrics,
}

/// Writes values down.
pub(crate) fn write(exposition: &Exposition, dialect: Dialect) -> String {
    let mut writer = Writer { text: String::new(), dialect };
    for (family, series) in exposition.families() {
        writer.describe(family);
        for (labels, value) in series {
            writer.series(family, labels, value);
        }
    }
    if dialect == Dialect::OpenMetrics {
        writer.text += "# EOF\n";
    }
    writer.text
}

struct Writer {
    text: String,
    dialect: Dialect,
}

impl Writer {
    fn describe(&mut self, family: &Family) {
        let (name, kind) = (self.name(family), family.kind.name());
        let help = match self.dialect {
            Dialect::Prometheus => family.help.replace('\\', "\\\\").replace('\n', "\\n"),
            Dialect::OpenMetrics => escape(family.help),
        };
        self.text.extend(["# HELP ", name, " ", &help, "\n# TYPE ", name, " ", kind, "\n"]);
        if let (Dialect::OpenMetrics, Some(unit)) = (self.dialect, family.unit()) {
            self.text.extend(["# UNIT ", name, " ", unit, "\n"]);
        }
    }

    /// What the family is called: `OpenMetrics` knows the `_total` of a counter as a part of its sample alone.
    fn name(&self, family: &Family) -> &'static str {
        match self.dialect {
            Dialect::Prometheus => family.name,
            Dialect::OpenMetrics => family.base(),
        }
    }

    fn series(&mut self, family: &Family, labels: &[String], value: &Value) {
        let pairs = family.labels.iter().zip(labels);
        let labels: Vec<String> = pairs.map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
        let labels = labels.join(",");
        match value {
            Value::Count(count) => self.sample(family.name, "", &labels, &count.to_string()),
            Value::Number(value) => self.sample(family.name, "", &labels, &number(*value)),
            Value::Histogram(histogram) => self.histogram(family.name, &labels, histogram),
        }
    }

    fn histogram(&mut self, name: &str, labels: &str, histogram: &Histogram) {
        let comma = if labels.is_empty() { "" } else { "," };
        let bounds = BOUNDS.iter().map(|bound| self.bound(*bound)).chain(["+Inf".to_owned()]);
        let counts = histogram.classic.iter().chain([&histogram.count]);
        for (bound, count) in bounds.collect::<Vec<_>>().iter().zip(counts) {
            self.sample(name, "_bucket", &format!("{labels}{comma}le=\"{bound}\""), &count.to_string());
        }
        self.sample(name, "_sum", labels, &number(histogram.sum));
        self.sample(name, "_count", labels, &histogram.count.to_string());
    }

    /// A bound as each form writes it: `1`, or `1.0`.
    fn bound(&self, bound: f64) -> String {
        match self.dialect {
            Dialect::Prometheus => number(bound),
            Dialect::OpenMetrics => format!("{bound:?}"),
        }
    }

    fn sample(&mut self, name: &str, suffix: &str, labels: &str, value: &str) {
        let (open, close) = if labels.is_empty() { ("", "") } else { ("{", "}") };
        writeln!(self.text, "{name}{suffix}{open}{labels}{close} {value}").expect("a string takes any text");
    }
}

fn number(value: f64) -> String {
    match value {
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        value => value.to_string(),
    }
}

/// A label's value, which may be anything that someone called something.
fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

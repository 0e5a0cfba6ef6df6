//! Figures and their changes in words: the same in every form.

use proofload_api::Verdict;
use proofload_api::units::{short_share, short_time};

use super::{Against, Change, ComparedRun, Comparison, Figure, PartChanges, Presence, Tendency};
use crate::shown::short_rate;
use crate::words::{grouped, things};

impl Figure {
    /// The heading of its column.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Rate => "rate",
            Self::Errors => "errors",
            Self::P50 => "p50",
            Self::P95 => "p95",
            Self::P99 => "p99",
        }
    }

    /// A value, with its unit.
    pub(super) fn shown(self, value: Option<f64>) -> String {
        let Some(value) = value else { return "-".to_owned() };
        match self {
            Self::Requests => grouped(value as u64),
            Self::Rate => format!("{}/s", short_rate(value)),
            Self::Errors => short_share(value),
            Self::P50 | Self::P95 | Self::P99 => short_time(value),
        }
    }

    /// A change: `+12%`, `-0.4pp`; nothing of nothing.
    fn shown_change(self, change: Option<f64>) -> String {
        let Some(change) = change else { return String::new() };
        let unit = if self == Self::Errors { "pp" } else { "%" };
        let hundredths = change * 100.0;
        let decimals = match hundredths.abs() {
            size if size >= 9.95 => 0,
            size if size >= 0.995 || self != Self::Errors => 1,
            _ => 2,
        };
        let size = format!("{:.decimals$}", hundredths.abs());
        let size = if size.contains('.') { size.trim_end_matches('0').trim_end_matches('.') } else { &size };
        let sign = match size {
            "0" => "",
            _ if hundredths < 0.0 => "-",
            _ => "+",
        };
        format!("{sign}{size}{unit}")
    }
}

impl Tendency {
    /// A sign for those who cannot see colours.
    pub(super) const fn mark(self) -> &'static str {
        match self {
            Self::Worse => "✗",
            Self::Better => "✓",
            Self::Same => "",
            Self::Unclear => "~",
            Self::Unknown => "?",
        }
    }
}

impl Change {
    /// The change with its sign: `✗ +30%`.
    pub(super) fn marked(&self) -> String {
        let mark = self.finding.map_or("", Tendency::mark);
        format!("{mark} {}", self.figure.shown_change(self.change)).trim().to_owned()
    }

    /// From what to what, and what the change may be: `p95 20ms -> 26ms, +30% (+25% to +36%)`.
    pub(crate) fn told(&self) -> String {
        let Self { figure, before, after, low, high, .. } = self;
        let range = match (low, high) {
            (Some(_), Some(_)) => format!("{} to {}", figure.shown_change(*low), figure.shown_change(*high)),
            (Some(_), None) => format!("at least {}", figure.shown_change(*low)),
            (None, _) => format!("at most {}", figure.shown_change(*high)),
        };
        let change = match figure.shown_change(self.change).as_str() {
            "" => format!(", {range}"),
            change => format!(", {change} ({range})"),
        };
        let (name, before, after) = (figure.name(), figure.shown(*before), figure.shown(*after));
        format!("{name} {before} -> {after}{change}")
    }
}

impl PartChanges {
    /// `all`, `scenario`, `scenario/step`. Foreign text.
    pub(crate) fn path(&self) -> String {
        match (&self.scenario, &self.step) {
            (Some(scenario), Some(step)) => format!("{scenario}/{step}"),
            (Some(name), None) => name.clone(),
            _ => "all".to_owned(),
        }
    }

    /// Its own name, without that of what it is in. Foreign text.
    pub(super) fn name(&self) -> &str {
        self.step.as_deref().or(self.scenario.as_deref()).unwrap_or("all")
    }

    /// What is said beside its name, if not both runs have it.
    pub(super) const fn presence_note(&self) -> &'static str {
        match self.presence {
            Presence::Both => "",
            Presence::Removed => "gone",
            Presence::Added => "new",
        }
    }
}

impl ComparedRun {
    /// `namespace/name`. Foreign text.
    pub(crate) fn path(&self) -> String {
        let namespace = self.namespace.as_ref().map(|namespace| format!("{namespace}/"));
        format!("{}{}", namespace.unwrap_or_default(), self.name)
    }

    /// When it began and how it ended. Foreign text.
    pub(super) fn told(&self) -> String {
        let begin = self.start.as_ref().map(|start| format!(", begun {start}")).unwrap_or_default();
        format!("{}{begin}", self.verdict)
    }
}

impl Against {
    /// What came of it: a sign, and a sentence.
    pub(super) fn headline(&self) -> (&'static str, String) {
        let count = |tendency| self.with(tendency).count() as u64;
        match self.verdict {
            Verdict::Failed => ("✗", format!("Worse: {}", things(count(Tendency::Worse), "figure"))),
            Verdict::Inconclusive => ("?", "Cannot be compared".to_owned()),
            _ => match count(Tendency::Better) {
                0 => ("✓", "Not worse".to_owned()),
                better => ("✓", format!("Not worse, and better: {}", things(better, "figure"))),
            },
        }
    }
}

impl Comparison {
    /// What the signs mean, in a sentence or a few.
    pub(super) fn legend(&self) -> String {
        let level = short_share(self.level);
        format!(
            "✗ worse (✓ better) by more than {}, of shares of errors {}pp (percentage points), and by more than chance: \
             at most {level} of comparisons of equal runs have such a sign anywhere. ~ as much, but chance may have \
             done it. ? too few samples.",
            self.tolerance.relative,
            self.tolerance.errors.to_string().trim_end_matches('%'),
        )
    }
}

/// What each run is called in a comparison: `A` is the baseline.
pub(super) fn label(place: usize) -> String {
    match u8::try_from(place) {
        Ok(place @ 0..26) => char::from(b'A' + place).to_string(),
        _ => format!("#{}", place + 1),
    }
}

//! What the forms of a report for people have in common: words for kinds of conclusions, for rates and for loads.

use crate::figures::Figures;
use crate::finding::{Finding, FindingKind};
use crate::report::{Report, StageReport};
use crate::words::grouped;

/// Requests per second: `437.5`, `1,204`.
pub(crate) fn short_rate(rate: f64) -> String {
    if rate >= 100.0 || rate.fract() == 0.0 { grouped(rate.round() as u64) } else { format!("{rate:.1}") }
}

/// Errors per second, over the same time as the rate.
pub(crate) fn error_rate(figures: &Figures) -> f64 {
    if figures.requests == 0 { 0.0 } else { figures.rate * figures.errors as f64 / figures.requests as f64 }
}

/// The lines of the description; none where there is none.
pub(crate) fn description(report: &Report) -> impl Iterator<Item = &str> {
    report.description.as_deref().unwrap_or_default().trim().lines().map(str::trim_end)
}

/// The conclusions to show by themselves: all but the notes that stand in the reason already.
pub(crate) fn findings(report: &Report) -> impl Iterator<Item = &Finding> {
    let is_said = |finding: &Finding| finding.kind == FindingKind::Note && report.reason.contains(&finding.text);
    report.findings.iter().filter(move |finding| !is_said(finding))
}

/// A kind of conclusion, as a title.
pub(crate) const fn title(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::Note => "Note",
        FindingKind::BreakingPoint => "Breaking point",
        FindingKind::Cliff => "Cliff",
        FindingKind::Capacity => "Capacity",
        FindingKind::Saturation => "Saturation",
        FindingKind::Outage => "Outage",
        FindingKind::ErrorOnset => "Begin of errors",
        FindingKind::BrokenStep => "Broken step",
        FindingKind::Recovery => "Recovery",
        FindingKind::Limited => "Limited",
        FindingKind::Contention => "Contention",
        FindingKind::Drift => "Drift",
    }
}

/// The planned load of a stage: `40 users`, `5 users to 10 users`; `-` where nothing was planned.
pub(crate) fn load(stage: &StageReport) -> String {
    match (stage.from, stage.to) {
        (Some(from), Some(to)) if from != to => format!("{from} to {to}"),
        (Some(level), _) | (None, Some(level)) => level.to_string(),
        (None, None) => "-".to_owned(),
    }
}

//! What the forms of a report for people have in common: words for kinds of conclusions, for rates and for loads.

use crate::figures::{Figures, TimeFigures};
use crate::finding::{Finding, FindingKind};
use crate::report::{Report, StageReport};
use crate::words::grouped;

/// Requests per second, by three digits or all of a whole number: `1,204`, `437`, `24.1`, `1.47`, `0.012`.
pub(crate) fn short_rate(rate: f64) -> String {
    match rate {
        rate if rate >= 99.95 || rate.fract() == 0.0 => grouped(rate.round() as u64),
        rate if rate >= 9.995 => format!("{rate:.1}"),
        rate if rate >= 0.9995 => format!("{rate:.2}"),
        rate => format!("{rate:.3}"),
    }
}

/// Errors per second, over the same time as the rate.
pub(crate) fn error_rate(figures: &Figures) -> f64 {
    if figures.requests == 0 { 0.0 } else { figures.rate * figures.errors as f64 / figures.requests as f64 }
}

/// Parts of the run with requests that ended without an answer after having been sent, each by its names, and the time to
/// any end of all of its requests. The run itself, which has no name, where it is more than one scenario.
pub(crate) fn ends(report: &Report) -> Vec<(Vec<&str>, &TimeFigures)> {
    let mut parts: Vec<(Vec<&str>, &Figures)> = Vec::new();
    if report.scenarios.len() > 1 {
        parts.push((Vec::new(), &report.summary));
    }
    for scenario in report.scenarios.iter().chain(&report.setup).chain(&report.teardown) {
        parts.push((vec![&scenario.name], &scenario.figures));
        parts.extend(scenario.steps.iter().map(|step| (vec![&*scenario.name, &step.name], &step.figures)));
    }
    parts.into_iter().filter_map(|(names, figures)| Some((names, figures.time_to_end.as_ref()?))).collect()
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

#[cfg(test)]
mod tests {
    use super::short_rate;

    #[test]
    fn a_rate_has_three_digits() {
        let rates = [0.0, 0.0124, 0.9999, 1.466, 9.999, 24.06, 99.97, 437.5, 1204.2, 5.0];
        let shown = ["0", "0.012", "1.00", "1.47", "10.0", "24.1", "100", "438", "1,204", "5"];
        assert_eq!(rates.map(short_rate), shown);
    }
}

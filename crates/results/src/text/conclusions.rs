//! Sections on what to conclude: the findings with their evidence, and the scenarios side by side.

use std::fmt::Write as _;

use anstyle::AnsiColor;
use proofload_api::Verdict;

use super::sections::{FiguresTable, heading};
use super::table::{Piece, Table};
use super::{Style, marked, wrapped};
use crate::finding::Finding;
use crate::report::Report;
use crate::shown::{self, title};
use crate::words::{grouped, safe};

/// How far a finding's evidence is set in.
const EVIDENCE: &str = "    ";

/// Each finding, and below it what it follows from.
pub(super) fn findings(report: &Report, style: Style) -> String {
    let text: String = shown::findings(report).map(|finding| one(finding, style)).collect();
    if text.is_empty() { text } else { heading("Findings", style) + &text }
}

fn one(finding: &Finding, style: Style) -> String {
    let title = format!("{}:", title(finding.kind));
    let painted = Piece::strong(&*title, AnsiColor::Cyan).paint(style.color);
    let text = wrapped("  ", &format!("{title} {}", safe(finding.text.trim())), style.width);
    let mut text = text.replacen(&title, &painted, 1);
    let evidence = finding.evidence.iter().map(|one| format!("{}: {}", safe(one.what.trim()), safe(one.value.trim())));
    let evidence = evidence.collect::<Vec<_>>().join("; ");
    if !evidence.is_empty() {
        for line in wrapped(EVIDENCE, &evidence, style.width).lines() {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{}", Piece::dim(line).paint(style.color));
        }
    }
    text
}

/// The scenarios side by side, where there are several.
pub(super) fn scenarios(report: &Report, style: Style) -> String {
    if report.scenarios.len() < 2 {
        return String::new();
    }
    let mut table = FiguresTable::after(Table::new(2), &["", "", "users", "peak"]);
    let mut row = |name: String, verdict: Option<Verdict>, planned: u32, peak: Option<u32>, figures| {
        let verdict = verdict.map(marked);
        let peak = peak.map_or_else(|| "-".to_owned(), |peak| grouped(peak.into()));
        let pieces = [Piece::new(name), verdict.unwrap_or_else(|| Piece::new("")), Piece::new(grouped(planned.into()))];
        table.row_after(pieces.into_iter().chain([Piece::new(peak)]).collect(), figures);
    };
    for scenario in &report.scenarios {
        let (verdict, load) = (Some(scenario.verdict), &scenario.load);
        row(safe(&scenario.name), verdict, load.planned_users, load.peak_users, &scenario.figures);
    }
    row("all".to_owned(), None, report.load.planned_users, Some(report.load.peak_users), &report.summary);
    heading("Scenarios", style) + &table.0.lines(2, style.color)
}

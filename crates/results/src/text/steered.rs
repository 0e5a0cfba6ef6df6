//! Sections on what was steered and checked: searches, changes of load, setup and teardown, checks that failed.

use anstyle::AnsiColor;

use super::sections::{FiguresTable, heading, time};
use super::table::{Piece, Table};
use super::{Style, cut};
use crate::report::{Report, ScenarioReport};
use crate::words::{grouped, safe};

pub(super) fn searches(report: &Report, style: Style) -> String {
    let mut text = String::new();
    for scenario in &report.scenarios {
        let Some(search) = &scenario.search else { continue };
        let mut table = Table::new(5);
        for step in &search.steps {
            let (mark, color) = match step.held {
                Some(true) => ("✓", AnsiColor::Green),
                Some(false) => ("✗", AnsiColor::Red),
                None => ("-", AnsiColor::Yellow),
            };
            table.row([
                Piece::colored(mark, color),
                Piece::new(step.level.to_string()),
                Piece::dim(format!("{} to {}", time(step.window_from), time(step.window_until))),
                Piece::new(cut(&safe(&step.why), style.width.saturating_sub(32).max(20))),
            ]);
        }
        let answer = search.answer.map_or_else(|| "none that was tried".to_owned(), |answer| answer.to_string());
        let so_far = if search.finished { "" } else { ", as far as the search came" };
        text += &heading(&format!("Search of {}, capacity: {answer}{so_far}", safe(&scenario.name)), style);
        text += &table.lines(2, style.color);
    }
    text
}

pub(super) fn changes(report: &Report, style: Style) -> String {
    if report.changes.is_empty() {
        return String::new();
    }
    let mut table = Table::new(3);
    for change in &report.changes {
        table.row([
            Piece::new(time(change.at)),
            Piece::new(safe(&change.scenario)),
            Piece::new(format!("{} to {}", change.from, change.to)),
        ]);
    }
    heading("Changes of load", style) + &table.lines(2, style.color)
}

/// Setup and teardown, where a request of theirs failed: else there is nothing to say of them.
pub(super) fn once(report: &Report, style: Style) -> String {
    let failed = report.setup.iter().chain(&report.teardown).filter(|once| once.figures.errors > 0);
    let mut table = FiguresTable::new();
    let mut is_empty = true;
    for once in failed {
        is_empty = false;
        table.row(safe(&once.name), &once.figures);
        for step in &once.steps {
            table.row(format!("  {}", safe(&step.name)), &step.figures);
        }
    }
    if is_empty { String::new() } else { heading("Setup and teardown", style) + &table.0.lines(2, style.color) }
}

/// Checks that did not hold of every answer.
pub(super) fn checks(report: &Report, style: Style) -> String {
    let mut table = Table::new(2);
    let mut is_empty = true;
    let all = report.scenarios.iter().chain(&report.setup).chain(&report.teardown);
    let steps = all.flat_map(|scenario: &ScenarioReport| scenario.steps.iter().map(move |step| (scenario, step)));
    for (scenario, step) in steps {
        for check in step.checks.iter().filter(|check| check.failed > 0) {
            is_empty = false;
            table.row([
                Piece::new(format!("{}/{}", safe(&scenario.name), safe(&step.name))),
                Piece::colored(cut(&safe(&check.name), style.width.saturating_sub(50).max(20)), AnsiColor::Red),
                Piece::new(format!("{} held", grouped(check.passed))),
                Piece::new(format!("{} did not", grouped(check.failed))),
            ]);
        }
    }
    if is_empty { String::new() } else { heading("Checks that failed", style) + &table.lines(2, style.color) }
}

//! A comparison for people at a terminal: what is worse first, then every figure.

use anstyle::AnsiColor;
use proofload_api::Verdict;

use super::cells::label;
use super::{Against, Change, Comparison, Figure, PartChanges, Presence, Tendency};
use crate::text::{Piece, Style, Table, wrapped};
use crate::words::{safe, things};

/// So many changes are told one by one; the table has all of them.
const MOST_TOLD: usize = 20;

/// The comparison as text, with a line break at its end. Foreign strings are escaped.
pub fn render(comparison: &Comparison, style: Style) -> String {
    let mut runs = Table::new(3);
    let all = std::iter::once(&comparison.baseline).chain(comparison.others.iter().map(|other| &other.run));
    for (place, run) in all.enumerate() {
        let role = if place == 0 { ", the baseline" } else { "" };
        runs.row([
            Piece::bold(label(place)),
            Piece::new(safe(&run.path())),
            Piece::dim(format!("{}{role}", safe(&run.told()))),
        ]);
    }
    let mut text = runs.lines(0, style.color);
    for (place, other) in comparison.others.iter().enumerate() {
        text.push('\n');
        text += &against(other, &label(place + 1), style);
    }
    text.push('\n');
    text + &wrapped("", &comparison.legend(), style.width)
}

fn against(other: &Against, label: &str, style: Style) -> String {
    let (mark, said) = other.headline();
    let color = match other.verdict {
        Verdict::Failed => AnsiColor::Red,
        Verdict::Inconclusive => AnsiColor::Yellow,
        _ => AnsiColor::Green,
    };
    let mut text = Piece::strong(format!("{mark} {label} against A  {said}"), color).paint(style.color) + "\n";
    let obstacles = other.obstacles.iter().map(|obstacle| ("?", obstacle));
    for (mark, note) in obstacles.chain(other.warnings.iter().map(|warning| ("!", warning))) {
        let lines = wrapped("", &safe(note), style.width.saturating_sub(5));
        for (place, line) in lines.lines().enumerate() {
            let mark = if place == 0 { mark } else { " " };
            text.extend(["  ", mark, "  ", line, "\n"]);
        }
    }
    for tendency in [Tendency::Worse, Tendency::Better] {
        text += &told(other, tendency, style);
    }
    text.push('\n');
    text + &table(other, label, style)
}

fn color(tendency: Option<Tendency>) -> Option<AnsiColor> {
    match tendency? {
        Tendency::Worse => Some(AnsiColor::Red),
        Tendency::Better => Some(AnsiColor::Green),
        Tendency::Unclear | Tendency::Unknown => Some(AnsiColor::Yellow),
        Tendency::Same => None,
    }
}

fn piece(text: String, tendency: Option<Tendency>) -> Piece {
    match color(tendency) {
        Some(color) => Piece::colored(text, color),
        None => Piece::dim(text),
    }
}

/// The changes of one kind, a line each.
fn told(other: &Against, tendency: Tendency, style: Style) -> String {
    let mut table = Table::new(3);
    for (part, change) in other.with(tendency).take(MOST_TOLD) {
        table.row([
            piece(tendency.mark().to_owned(), Some(tendency)),
            Piece::new(safe(&part.path())),
            piece(change.told(), Some(tendency)),
        ]);
    }
    let more = match other.with(tendency).count().saturating_sub(MOST_TOLD) {
        0 => String::new(),
        more => format!("  and {} more\n", things(more as u64, "figure")),
    };
    table.lines(2, style.color) + &more
}

/// Every part with its figures in both runs, one above the other, and the changes below.
fn table(other: &Against, label: &str, style: Style) -> String {
    let mut table = Table::new(2);
    let heads = Figure::ALL.map(|figure| Piece::dim(figure.name()));
    table.row([Piece::new(""), Piece::new("")].into_iter().chain(heads));
    for part in &other.parts {
        let indent = if part.step.is_some() { "  " } else { "" };
        let note = part.presence_note();
        let note = if note.is_empty() { String::new() } else { format!(" ({note})") };
        let mut name = format!("{indent}{}{note}", safe(part.name()));
        let mut row = |run: &str, value: fn(&Change) -> Option<f64>| {
            let values = part.changes.iter().map(|change| Piece::new(change.figure.shown(value(change))));
            let name = Piece::new(std::mem::take(&mut name));
            table.row([name, Piece::dim(run)].into_iter().chain(values));
        };
        if part.presence != Presence::Added {
            row("A", |change| change.before);
        }
        if part.presence != Presence::Removed {
            row(label, |change| change.after);
        }
        if part.presence == Presence::Both {
            table.row(changes(part));
        }
    }
    table.lines(2, style.color)
}

fn changes(part: &PartChanges) -> Vec<Piece> {
    let changes = part.changes.iter().map(|change| piece(change.marked(), change.finding));
    [Piece::new(""), Piece::new("")].into_iter().chain(changes).collect()
}

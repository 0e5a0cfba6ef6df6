//! A report for people at a terminal: the verdict first, then why, then what was seen.

mod conclusions;
mod sections;
mod server;
mod spark;
mod steered;
mod table;

use anstyle::AnsiColor;
use proofload_api::Verdict;

use crate::report::Report;
use crate::shown::description;
use crate::words::safe;
pub(crate) use table::{Piece, Table};

pub(crate) use sections::over_time;

/// How the text looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Whether the terminal shows colours.
    pub color: bool,
    /// How many columns it has.
    pub width: usize,
}

impl Default for Style {
    /// No colours, 100 columns.
    fn default() -> Self {
        Self { color: false, width: 100 }
    }
}

/// The report as text, with a line break at its end. Foreign strings (names, errors) are escaped: nothing in a report can
/// make the terminal do anything.
pub fn render(report: &Report, style: Style) -> String {
    let mut text = headline(report, style);
    for section in [
        sections::criteria,
        sections::baseline,
        conclusions::findings,
        conclusions::scenarios,
        sections::load,
        steered::searches,
        steered::changes,
        sections::requests,
        steered::once,
        steered::checks,
        sections::stages,
        sections::answers,
        sections::over_time,
        server::server,
        sections::errors,
        sections::ends,
        sections::generator,
        sections::runners,
    ] {
        let section = section(report, style);
        if !section.is_empty() {
            text.push('\n');
            text += &section;
        }
    }
    text
}

fn headline(report: &Report, style: Style) -> String {
    let verdict = marked(report.verdict).paint(style.color);
    let namespace = report.namespace.as_ref().map(|namespace| format!("{}/", safe(namespace))).unwrap_or_default();
    let name = Piece::bold(format!("{namespace}{}", safe(&report.name))).paint(style.color);
    let begin = report.start.as_ref().map(|start| format!(", begun {}", safe(start))).unwrap_or_default();
    let mut text = format!("{verdict}  {name}{begin}\n");
    for line in description(report) {
        let line = wrapped("", &safe(line), style.width);
        text.extend(line.lines().map(|line| format!("{}\n", Piece::dim(line).paint(style.color))));
    }
    text + &wrapped("", &safe(&report.reason), style.width)
}

/// A verdict and its mark.
fn marked(verdict: Verdict) -> Piece {
    let (mark, color) = match verdict {
        Verdict::Passed => ('✓', AnsiColor::Green),
        Verdict::Failed | Verdict::Error => ('✗', AnsiColor::Red),
        Verdict::Inconclusive => ('?', AnsiColor::Yellow),
        Verdict::Unjudged => ('-', AnsiColor::Cyan),
    };
    Piece::strong(format!("{mark} {verdict}"), color)
}

/// Lines of at most so many columns, each set in by `indent`, broken between words.
pub(crate) fn wrapped(indent: &str, text: &str, width: usize) -> String {
    let mut lines = indent.to_owned();
    let mut column = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        if column > 0 && indent.len() + column + 1 + length > width {
            lines.push('\n');
            lines += indent;
            column = 0;
        } else if column > 0 {
            lines.push(' ');
            column += 1;
        }
        lines += word;
        column += length;
    }
    lines.push('\n');
    lines
}

/// At most so many columns, with an ellipsis where something is cut off.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(width.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

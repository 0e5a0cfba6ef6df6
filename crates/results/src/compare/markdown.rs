//! A comparison for a pull request: what is worse first, every figure folded away below it.

use std::fmt::Write as _;

use super::cells::label;
use super::{Against, Change, Comparison, Figure, Presence, Tendency};
use crate::markdown::escape::{code, spelt as escaped};
use crate::words::things;

/// So many changes are told one by one; the table has more of them.
const MOST_TOLD: usize = 20;
/// GitHub takes 65,536 bytes, and refuses what is longer as a whole: tables end here.
const MOST: usize = 55_000;

/// The comparison as Markdown of GitHub's kind. Foreign strings are escaped: they make no markup, no link and mention nobody.
pub fn render(comparison: &Comparison) -> String {
    section(comparison, "###", MOST)
}

/// The same for a page that has room for so many bytes, with headings of this level.
pub(crate) fn section(comparison: &Comparison, heading: &str, most: usize) -> String {
    let mut text = String::from("| | run | |\n| --- | --- | --- |\n");
    let all = std::iter::once(&comparison.baseline).chain(comparison.others.iter().map(|other| &other.run));
    for (place, run) in all.enumerate() {
        let role = if place == 0 { ", the baseline" } else { "" };
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(text, "| {} | {} | {}{role} |", label(place), code(&run.path()), escaped(&run.told()));
    }
    for (place, other) in comparison.others.iter().enumerate() {
        against(&mut text, other, &label(place + 1), heading, most);
    }
    let _ = writeln!(text, "\n{}", comparison.legend());
    text
}

fn against(text: &mut String, other: &Against, label: &str, heading: &str, most: usize) {
    let (mark, said) = other.headline();
    let _ = writeln!(text, "\n{heading} {mark} {label} against A: {said}\n");
    for obstacle in other.obstacles.iter().take(MOST_TOLD) {
        let _ = writeln!(text, "- **?** {}", escaped(obstacle));
    }
    for warning in other.warnings.iter().take(MOST_TOLD) {
        let _ = writeln!(text, "- **!** {}", escaped(warning));
    }
    for tendency in [Tendency::Worse, Tendency::Better] {
        for (part, change) in other.with(tendency).take(MOST_TOLD) {
            let _ = writeln!(text, "- {} {}: {}", tendency.mark(), code(&part.path()), change.told());
        }
        let more = other.with(tendency).count().saturating_sub(MOST_TOLD);
        if more > 0 {
            let _ = writeln!(text, "- and {} more", things(more as u64, "figure"));
        }
    }
    let _ = writeln!(text, "\n<details><summary>Every figure of A and {label}</summary>\n");
    table(text, other, most);
    *text += "\n</details>\n";
}

fn table(text: &mut String, other: &Against, most: usize) {
    *text += "| |";
    for figure in Figure::ALL {
        let _ = write!(text, " {} |", figure.name());
    }
    *text += "\n| --- |";
    *text += &" ---: |".repeat(Figure::ALL.len());
    text.push('\n');
    for (place, part) in other.parts.iter().enumerate() {
        if text.len() > most {
            let _ = writeln!(text, "\nand {} more", things((other.parts.len() - place) as u64, "part"));
            return;
        }
        let note = part.presence_note();
        let note = if note.is_empty() { String::new() } else { format!(" ({note})") };
        let _ = write!(text, "| {}{note} |", code(&part.path()));
        for change in &part.changes {
            let _ = write!(text, " {} |", cell(change, part.presence));
        }
        text.push('\n');
    }
}

fn cell(change: &Change, presence: Presence) -> String {
    let (before, after) = (change.figure.shown(change.before), change.figure.shown(change.after));
    match presence {
        Presence::Removed => before,
        Presence::Added => after,
        Presence::Both => {
            let marked = change.marked();
            let marked = if marked.is_empty() { String::new() } else { format!("<br>{marked}") };
            format!("{before} → {after}{marked}")
        }
    }
}

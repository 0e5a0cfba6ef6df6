//! A comparison as a page of its own: one file, without scripts and without anything from elsewhere.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use proofload_api::Verdict;

use super::cells::label;
use super::{Against, Change, Comparison, Figure, PartChanges, Presence, Tendency};
use crate::style::{BASE, DARK_BY_SYSTEM, source};
use crate::words::safe;

/// In the order in which they count.
const STYLES: [&str; 3] = [BASE, DARK_BY_SYSTEM, include_str!("style.css")];

/// The comparison as a page. Foreign strings are escaped, and the page's policy lets nothing be loaded or run.
pub fn render(comparison: &Comparison) -> String {
    let styles = STYLES.map(source).join(" ");
    let policy = format!("default-src 'none'; style-src {styles}; base-uri 'none'; form-action 'none'");
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Comparison: " (safe(&comparison.baseline.path())) }
                @for text in STYLES { style { (PreEscaped(text)) } }
            }
            body {
                h1 { "Comparison" }
                (runs(comparison))
                @for (place, other) in comparison.others.iter().enumerate() {
                    section {
                        h2 { (headline(other, &label(place + 1))) }
                        (body(other))
                    }
                }
                p.legend { (comparison.legend()) }
            }
        }
    };
    page.into_string()
}

/// The runs that are compared, each in a line.
fn runs(comparison: &Comparison) -> Markup {
    let all = std::iter::once(&comparison.baseline).chain(comparison.others.iter().map(|other| &other.run));
    html! {
        table {
            @for (place, run) in all.enumerate() {
                tr {
                    th scope="row" { (label(place)) }
                    td { (safe(&run.path())) }
                    td { (safe(&run.told())) @if place == 0 { ", the baseline" } }
                }
            }
        }
    }
}

/// The comparison as a part of another page, under a heading of its own there.
pub(crate) fn section(comparison: &Comparison) -> Markup {
    html! {
        (runs(comparison))
        @for (place, other) in comparison.others.iter().enumerate() {
            h3 { (headline(other, &label(place + 1))) }
            (body(other))
        }
        p.legend { (comparison.legend()) }
    }
}

fn headline(other: &Against, label: &str) -> Markup {
    let (mark, said) = other.headline();
    let class = match other.verdict {
        Verdict::Failed => "worse",
        Verdict::Inconclusive => "unknown",
        _ => "better",
    };
    html! { span class=(class) { (mark) " " (label) " against A: " (said) } }
}

fn body(other: &Against) -> Markup {
    html! {
        @if !other.obstacles.is_empty() || !other.warnings.is_empty() {
            ul.notes {
                @for note in other.obstacles.iter().chain(&other.warnings) { li { (safe(note)) } }
            }
        }
        @for tendency in [Tendency::Worse, Tendency::Better] { (told(other, tendency)) }
        div.scroll { (table(other)) }
    }
}

fn class(tendency: Option<Tendency>) -> &'static str {
    match tendency {
        Some(Tendency::Worse) => "worse",
        Some(Tendency::Better) => "better",
        Some(Tendency::Unclear | Tendency::Unknown) => "unknown",
        Some(Tendency::Same) | None => "same",
    }
}

fn told(other: &Against, tendency: Tendency) -> Markup {
    let changes: Vec<_> = other.with(tendency).collect();
    html! {
        @if !changes.is_empty() {
            ul {
                @for (part, change) in changes {
                    li { span class=(class(Some(tendency))) { (tendency.mark()) } " " b { (safe(&part.path())) } " " (change.told()) }
                }
            }
        }
    }
}

fn table(other: &Against) -> Markup {
    html! {
        table {
            thead {
                tr {
                    th { }
                    @for figure in Figure::ALL { th.n scope="col" { (figure.name()) } }
                }
            }
            tbody { @for part in &other.parts { (row(part)) } }
        }
    }
}

fn row(part: &PartChanges) -> Markup {
    let note = part.presence_note();
    html! {
        tr {
            th scope="row" class=(if part.step.is_some() { "step" } else { "whole" }) {
                (safe(part.name())) @if !note.is_empty() { " (" (note) ")" }
            }
            @for change in &part.changes { td.n { (cell(change, part.presence)) } }
        }
    }
}

fn cell(change: &Change, presence: Presence) -> Markup {
    let (before, after) = (change.figure.shown(change.before), change.figure.shown(change.after));
    html! {
        @match presence {
            Presence::Removed => { (before) }
            Presence::Added => { (after) }
            Presence::Both => { (before) " → " (after) br; span class=(class(change.finding)) { (change.marked()) } }
        }
    }
}

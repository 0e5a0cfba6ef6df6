//! Tables of figures, and foreign text in them.

use maud::{Markup, html};
use proofload_api::Verdict;
use proofload_api::units::short_share;

use super::number::{At, Number, cell};
use crate::figures::{Figures, TimeFigures};
use crate::words::safe;

/// More of a name than this only hides what stands beside it.
const LONGEST_NAME: usize = 120;

/// A name as it is shown: nothing in it changes what is around it, and there is an end to it.
pub(super) fn name(text: &str) -> String {
    cut(text, LONGEST_NAME)
}

/// A foreign text of which so many characters are shown.
pub(super) fn cut(text: &str, most: usize) -> String {
    let mut shown: String = text.chars().take(most).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    safe(&shown)
}

/// A table that may be wider than the page.
pub(super) fn scroll(table: &Markup) -> Markup {
    html! { div.scroll tabindex="0" { (table) } }
}

/// The headings that go with [`figures`].
pub(super) fn figures_head() -> Markup {
    html! { @for column in ["requests", "rate", "failed", "failed %", "mean", "p50", "p95", "p99", "max"] {
        th.n scope="col" { (column) }
    } }
}

/// The cells of figures.
pub(super) fn figures(at: &At, figures: &Figures) -> Markup {
    let has_errors = figures.errors > 0;
    let latency = at.at("latency");
    let time = |key: &str, of: fn(&TimeFigures) -> u64| {
        cell(figures.latency.as_ref().map(|times| Number::time(latency.at(key), of(times))))
    };
    let mean = figures.latency.as_ref().map(|times| Number::mean(latency.at("mean"), times.mean));
    html! {
        (Number::count(at.at("requests"), figures.requests).cell())
        (Number::rate(at.at("rate"), figures.rate).cell())
        (Number::count(at.at("errors"), figures.errors).marked_cell(has_errors))
        td.n.bad[has_errors] { (error_share(figures)) }
        (cell(mean))
        (time("p50", |times| times.p50))
        (time("p95", |times| times.p95))
        (time("p99", |times| times.p99))
        (time("max", |times| times.max))
    }
}

/// The part that failed, for people.
pub(super) fn error_share(figures: &Figures) -> String {
    figures.error_share().map_or_else(|| "–".to_owned(), short_share)
}

/// A verdict, by word and sign: its colour only helps.
pub(super) fn badge(verdict: Verdict) -> Markup {
    html! { span class={ "badge " (class(verdict)) } { (sign(verdict)) " " (verdict) } }
}

/// How a verdict looks.
pub(super) const fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "good",
        Verdict::Failed | Verdict::Error => "bad",
        Verdict::Inconclusive => "doubt",
        Verdict::Unjudged => "neutral",
    }
}

/// A verdict as one character.
pub(super) const fn sign(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "✓",
        Verdict::Failed | Verdict::Error => "✗",
        Verdict::Inconclusive => "?",
        Verdict::Unjudged => "–",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_an_end_and_obeys_nobody() {
        assert_eq!(name("a\u{202e}\0b"), "a\\u{202e}\\u{0}b");
        assert_eq!(name(&"x".repeat(10_000)).chars().count(), LONGEST_NAME + 1);
        assert_eq!(name("größe"), "größe");
    }
}

//! A report for a pull request, in GitHub's flavour of Markdown: the verdict first, then what to conclude, then the
//! figures; what is long is folded.
//!
//! GitHub takes 65,536 characters. What does not fit is left out from the end of each table, which says how much.

pub(crate) mod escape;
mod page;
mod sections;
mod server;

use std::fmt::Write as _;

use proofload_api::Verdict;

use crate::report::Report;
use crate::shown::{description, findings, title};
use escape::{paragraph, text};
use page::Page;

/// The report as Markdown, with a line break at its end. Foreign text is escaped: it formats nothing, links to nothing and
/// calls nobody.
pub fn render(report: &Report) -> String {
    let mut page = Page::new();
    headline(report, &mut page);
    for section in [
        sections::criteria,
        sections::baseline,
        conclusions,
        sections::doubts,
        sections::scenarios,
        sections::searches,
        sections::steps,
        sections::stages,
        sections::errors,
        sections::ends,
        sections::checks,
        sections::changes,
        sections::over_time,
        server::server,
        sections::generator,
    ] {
        page.shared(|page| section(report, page));
    }
    page.finish()
}

fn headline(report: &Report, page: &mut Page) {
    /// Of a description; whoever writes a longer one links to it.
    const MOST_LINES: usize = 20;
    let mark = mark(report.verdict);
    let namespace = report.namespace.as_ref().map(|namespace| format!("{}/", text(namespace))).unwrap_or_default();
    page.line(&format!("## {mark} {}: {namespace}{}", report.verdict, text(&report.name)));
    page.gap();
    let lines: Vec<String> = description(report).take(MOST_LINES).map(paragraph).collect();
    if !lines.is_empty() {
        // Two spaces at the end of a line would do as well, and be lost in every editor.
        page.line(&format!("> {}", lines.join("<br>")));
        page.gap();
    }
    page.line(&paragraph(&report.reason));
    page.gap();
    page.line(&sections::about(report));
    page.gap();
}

fn conclusions(report: &Report, page: &mut Page) {
    /// With so much evidence at most: a finding is to be read.
    const MOST_EVIDENCE: usize = 12;
    if findings(report).next().is_none() {
        return;
    }
    page.line("### What to conclude");
    page.gap();
    let mut left_out = 0;
    for finding in findings(report) {
        let mut lines = format!("- **{}**: {}\n", title(finding.kind), text(finding.text.trim()));
        for evidence in finding.evidence.iter().take(MOST_EVIDENCE) {
            // Writing to a string cannot fail.
            let _ = writeln!(lines, "  - {}: {}", text(evidence.what.trim()), text(evidence.value.trim()));
        }
        left_out += usize::from(!page.try_push(&lines));
    }
    page.more(left_out);
    page.gap();
}

const fn mark(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "✅",
        Verdict::Failed | Verdict::Error => "❌",
        Verdict::Inconclusive => "❔",
        Verdict::Unjudged => "➖",
    }
}

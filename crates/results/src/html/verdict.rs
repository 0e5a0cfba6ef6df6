//! The begin of the page: the verdict in plain words, what it is made from, what follows from it, what speaks against it.

use maud::{Markup, html};
use proofload_api::Verdict;
use proofload_api::loadtest::Severity;
use proofload_api::status::CriterionOutcome;
use proofload_api::units::short_time;

use super::number::{At, Number};
use super::plain::plain;
use super::table::{class, cut, error_share, name, scroll, sign};
use crate::baseline::BaselineReport;
use crate::compare;
use crate::doubt::DoubtKind;
use crate::finding::Finding;
use crate::reason::observed;
use crate::report::{CriterionReport, Report};
use crate::shown::title;
use crate::words::safe;

/// More of a text than this is not read by anybody.
const LONGEST_TEXT: usize = 4000;

/// Name, verdict, reason, and the figures that are asked for first.
pub(super) fn headline(report: &Report) -> Markup {
    let planned = At::report().at("load").at("plannedDuration");
    html! {
        header {
            div.bar {
                p.brand { "Proofload · load test report" }
                button type="button" id="theme" hidden { "Dark" }
            }
            h1 { (name(&report.name)) }
            p.meta {
                @if let Some(namespace) = &report.namespace { "in namespace " (name(namespace)) " · " }
                @match &report.start {
                    Some(start) => { "begun " time { (name(start)) } " · under load for "
                        (Number::time(At::report().at("duration"), report.duration).inline()) }
                    None => "the load never began",
                }
                " · planned for " (Number::time(planned, report.load.planned_duration).inline())
            }
        }
        section #verdict class={ "verdict " (class(report.verdict)) } {
            p.word { span.sign aria-hidden="true" { (sign(report.verdict)) } " " (report.verdict) }
            p.plain { (meaning(report.verdict)) }
            p.reason { (cut(&report.reason, LONGEST_TEXT)) }
        }
        @if let Some(description) = &report.description {
            p.description { (lines(description)) }
        }
        (tiles(report))
    }
}

/// What a verdict means, to somebody who has never read one.
const fn meaning(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "Everything that the test asks of the target held.",
        Verdict::Failed => "Not everything that the test asks of the target held.",
        Verdict::Inconclusive => {
            "This run cannot tell whether the target does what the test asks of it: its figures cannot be trusted enough."
        }
        Verdict::Unjudged => "This run was measured, and not judged: the test does not say what must hold.",
        Verdict::Error => "The test could not be executed, so it says nothing about the target.",
    }
}

/// Foreign text whose line breaks stay.
fn lines(text: &str) -> Markup {
    let shown: String = text.trim().chars().take(LONGEST_TEXT).collect();
    html! { @for (place, line) in shown.lines().enumerate() { @if place > 0 { br; } (safe(line)) } }
}

fn tiles(report: &Report) -> Markup {
    let (root, summary) = (At::report(), &report.summary);
    let at = root.at("summary");
    let latency = |key: &str, micros: u64| Number::time(at.at("latency").at(key), micros).inline();
    let tile = |what: &str, value: &Markup, besides: &Markup| {
        html! { div.tile { dt { (what) } dd { (value) @if !besides.0.is_empty() { small { (besides) } } } } }
    };
    let load = root.at("load");
    let users = Number::count(load.at("peakUsers"), report.load.peak_users.into()).inline();
    let planned = Number::count(load.at("plannedUsers"), report.load.planned_users.into()).inline();
    let failed = Number::count(at.at("errors"), summary.errors).inline();
    html! {
        dl.tiles {
            (tile("Requests", &Number::count(at.at("requests"), summary.requests).inline(), &html! {}))
            (tile("Throughput", &Number::rate(at.at("rate"), summary.rate).inline(), &html! {}))
            (tile("Failed", &html! { (error_share(summary)) }, &html! { (failed) " requests" }))
            @if let Some(times) = &summary.latency {
                (tile("Median answer", &latency("p50", times.p50), &html! { "half were faster" }))
                (tile("95th percentile", &latency("p95", times.p95), &html! { "1 in 20 was slower" }))
                (tile("99th percentile", &latency("p99", times.p99), &html! { "1 in 100 was slower" }))
            }
            (tile("Users at once", &users, &html! { "of " (planned) " planned" }))
        }
    }
}

/// Each criterion and what became of it.
pub(super) fn criteria(report: &Report) -> Markup {
    if report.criteria.is_empty() {
        return html! { p.none { "The test has no criteria: it was measured, and not judged." } };
    }
    let at = At::report().at("criteria");
    scroll(&html! { table {
        thead { tr { th scope="col" { "outcome" } th scope="col" { "must hold" } th.n scope="col" { "observed" }
            th scope="col" { "of" } th scope="col" { "during" } th scope="col" { "if it does not" } } }
        tbody { @for (place, criterion) in report.criteria.iter().enumerate() { (row(&at.at(place), criterion)) } }
    } })
}

fn row(at: &At, criterion: &CriterionReport) -> Markup {
    let (class, sign, word) = match (criterion.outcome, criterion.severity) {
        (CriterionOutcome::Pass, _) => ("good", "✓", "held"),
        (CriterionOutcome::Fail, Severity::Warn) => ("doubt", "!", "did not hold"),
        (CriterionOutcome::Fail, Severity::Fail) => ("bad", "✗", "did not hold"),
        (CriterionOutcome::NoData, _) => ("doubt", "?", "no samples"),
        (CriterionOutcome::Untrusted, _) => ("doubt", "?", "not to be trusted"),
    };
    let seen = criterion.observed.map(|amount| Number::observed(at.at("observed"), amount, observed(criterion)));
    html! { tr {
        td { span class={ "badge " (class) } { (sign) " " (word) } }
        td.expr {
            code { (cut(criterion.expr.trim(), 300)) }
            @if let Some(words) = plain(&criterion.expr) { small { (words) } }
            @if let Some(note) = &criterion.note { small { (cut(note, 300)) } }
        }
        @match &seen { Some(seen) => (seen.marked_cell(class == "bad")), None => td.n { "–" } }
        td { @match &criterion.of { Some(of) => (name(of)), None => "whole run" } }
        td { @match &criterion.during { Some(during) => (name(during)), None => "always" } }
        td {
            @match criterion.severity { Severity::Fail => "the test fails", Severity::Warn => "only a warning" }
            @if let Some(abort) = &criterion.abort { ", and the run ends (judged over " (short_time(abort.window as f64)) ")" }
            @if criterion.aborted { strong { " — it ended the run" } }
        }
    } }
}

/// What came of holding the run against an earlier one.
pub(super) fn baseline(baseline: &BaselineReport) -> Markup {
    html! {
        p { (cut(&baseline.message, LONGEST_TEXT)) }
        @if let Some(comparison) = &baseline.comparison { (compare::html::section(comparison)) }
    }
}

/// What can be concluded, each with what it follows from.
pub(super) fn findings(report: &Report) -> Markup {
    if report.findings.is_empty() {
        return html! { p.none { "Nothing beyond the verdict." } };
    }
    html! { ol.findings { @for finding in &report.findings { (one(finding)) } } }
}

fn one(finding: &Finding) -> Markup {
    html! { li {
        p { span.kind { (title(finding.kind)) } " " (cut(&finding.text, LONGEST_TEXT)) }
        @if !finding.evidence.is_empty() {
            dl.evidence { @for evidence in &finding.evidence {
                div { dt { (cut(&evidence.what, 300)) } dd { (cut(&evidence.value, 300)) } }
            } }
        }
    } }
}

/// Why the figures may not be what they seem; nothing where there is no such reason.
pub(super) fn doubts(report: &Report) -> Markup {
    if report.doubts.is_empty() {
        return html! {};
    }
    let at = At::report().at("doubts");
    html! { section #doubts {
        h2 { "Doubts" }
        p.hint { "Reasons why these figures may say something about the test rather than about its target. A test does not "
            "pass with any." }
        ul.doubts { @for (place, doubt) in report.doubts.iter().enumerate() { li {
            span.kind { (doubt_kind(doubt.kind)) } " " (cut(&doubt.text, LONGEST_TEXT))
            @if let Some(missing) = doubt.missing {
                " (" (Number::share(at.at(place).at("missing"), missing).inline()) " of the planned load is missing)"
            }
        } } }
    } }
}

const fn doubt_kind(kind: DoubtKind) -> &'static str {
    match kind {
        DoubtKind::LostRunner => "Runner lost",
        DoubtKind::MissingSnapshot => "Figures missing",
        DoubtKind::EndedEarly => "Ended early",
        DoubtKind::Stopped => "Stopped",
        DoubtKind::UnfinishedIterations => "Work not done",
        DoubtKind::Saturated => "Generator too slow",
        DoubtKind::Exhausted => "Generator ran out",
        DoubtKind::Skew => "Begun apart",
        DoubtKind::DroppedArrivals => "Arrivals dropped",
        DoubtKind::StarvedUsers => "Data ran out",
    }
}

//! A report as one page that opens in any browser, without a network: the verdict first, in words that need no knowledge
//! of load tests, then what it is made from, down to every figure there is.
//!
//! The page is complete without its script, which only draws what its tables say. Each number that stands in the report
//! names its place there (`data-path`) and its value (`data-value`).

mod charts;
mod errors;
mod frame;
mod generator;
mod number;
mod plain;
mod scenarios;
mod server;
mod table;
mod verdict;

use maud::{Markup, html};

use crate::report::Report;
use crate::words::safe;

/// The heading of what the target said of itself.
const TARGET: &str = "The target's own metrics";

/// The report as a page of HTML. Foreign text in it is escaped, and the page's policy keeps what is in it from running or
/// from asking the network for anything.
pub fn render(report: &Report) -> String {
    let title = format!("{}: {}", report.verdict, table::name(&report.name));
    let body = html! {
        (verdict::headline(report))
        nav aria-label="Sections" { @for (id, words) in sections(report) { a href={ "#" (id) } { (words) } " " } }
        main {
            (section("criteria", "Criteria", &verdict::criteria(report)))
            @if let Some(baseline) = &report.baseline { (section("baseline", "Baseline", &verdict::baseline(baseline))) }
            (section("findings", "What to conclude", &verdict::findings(report)))
            (verdict::doubts(report))
            (section("scenarios", "Scenarios", &html! {
                (scenarios::comparison(report))
                (scenarios::each(report))
            }))
            (section("time", "Over time", &charts::over_time(report)))
            @if !report.server.is_empty() { (section("server", TARGET, &server::server(report))) }
            (section("latency", "Latency", &charts::distribution(report)))
            (section("errors", "Errors", &errors::errors(report)))
            (section("generator", "Load generator", &html! {
                (generator::health(report)) (generator::changes(report)) (generator::runners(report))
            }))
            (section("spec", "The test as it was executed", &spec(report)))
            (section("help", "How to read this", &help()))
        }
        footer { p { "Run " code { (table::name(&report.run)) } ", seed " (report.seed)
            ". The same seed makes the same requests." } }
    };
    frame::page(&title, &charts::data(report), &body)
}

fn section(id: &str, heading: &str, body: &Markup) -> Markup {
    html! { section id=(id) { h2 { (heading) } (body) } }
}

fn sections(report: &Report) -> Vec<(&'static str, &'static str)> {
    let all = [
        ("criteria", "Criteria"),
        ("baseline", "Baseline"),
        ("findings", "Conclusions"),
        ("doubts", "Doubts"),
        ("scenarios", "Scenarios"),
        ("time", "Over time"),
        ("server", TARGET),
        ("latency", "Latency"),
        ("errors", "Errors"),
        ("generator", "Generator"),
        ("spec", "Test"),
        ("help", "How to read this"),
    ];
    let is_there = |id: &str| match id {
        "baseline" => report.baseline.is_some(),
        "doubts" => !report.doubts.is_empty(),
        "server" => !report.server.is_empty(),
        _ => true,
    };
    all.into_iter().filter(|(id, _)| is_there(id)).collect()
}

/// The spec as YAML, as its author would write it.
fn spec(report: &Report) -> Markup {
    let Some(spec) = &report.spec else {
        return html! { p.none { "It does not fit into where the report is stored." } };
    };
    // What YAML cannot be made of is shown as the JSON that it is.
    let text = serde_saphyr::to_string(spec).unwrap_or_else(|_| spec.to_string());
    let lines: Vec<String> = text.lines().map(safe).collect();
    html! {
        p.hint { "With its defaults; credentials are left out." }
        pre tabindex="0" { code { (lines.join("\n")) } }
    }
}

fn help() -> Markup {
    let terms = [
        (
            "Latency",
            "How long a user waited: from the moment a request was due, not from when it was sent, until the end of its answer. A target that stalls cannot hide its stall.",
        ),
        (
            "Service time",
            "The same, from when the request was really sent. Where latency is much longer, requests had to wait before they could be sent.",
        ),
        (
            "p50, p95, p99",
            "Of 100 requests, 50 (95, 99) were answered in this time or less. p99 is what one user in a hundred waits, or every user once in a hundred requests.",
        ),
        (
            "Failed",
            "Requests without a good answer: a status that was not expected, a check that did not hold, no answer in time, or no connection.",
        ),
        ("Rate", "Requests per second, over the time under load."),
        (
            "Held, did not hold",
            "Whether what a criterion asks was so. No samples: nothing was measured to judge it by. Not to be trusted: it was measured, with doubts that could have changed it.",
        ),
        (
            "Scenario, step, stage",
            "A scenario is one kind of traffic, a step one named request of it, a stage a part of its load over time.",
        ),
        (
            "Planned and real load",
            "What the test was to put on the target, and what it did. Where they differ, the target or the generator was too slow for it.",
        ),
    ];
    html! { dl.terms { @for (term, meaning) in terms { div { dt { (term) } dd { (meaning) } } } } }
}

//! Errors: which steps have which, and each kind in words with when it was seen.

use std::collections::BTreeSet;

use maud::{Markup, html};
use proofload_api::Outcome;

use super::number::{At, Number};
use super::table::{cut, name, scroll};
use crate::figures::Figures;
use crate::report::{Report, ScenarioReport};
use crate::words::things;

/// So much of a message tells what it is about.
const LONGEST_MESSAGE: usize = 400;

/// What failed, where, and when.
pub(super) fn errors(report: &Report) -> Markup {
    if report.errors.is_empty() && report.summary.errors == 0 {
        return html! { p.none { "No request failed." } };
    }
    html! {
        (matrix(report))
        (ends(report))
        @if !report.errors.is_empty() { h3 { "In words" } (in_words(report)) }
    }
}

/// Every scenario with its place, setup and teardown too.
fn scenarios(report: &Report) -> Vec<(At, &ScenarioReport)> {
    let root = At::report();
    let main = report.scenarios.iter().enumerate().map(|(place, one)| (root.at("scenarios").at(place), one));
    let setup = report.setup.iter().map(|one| (root.at("setup"), one));
    setup.chain(main).chain(report.teardown.iter().map(|one| (root.at("teardown"), one))).collect()
}

/// Outcomes by step, of the steps that have errors.
fn matrix(report: &Report) -> Markup {
    let scenarios = scenarios(report);
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for step in scenarios.iter().flat_map(|(_, scenario)| &scenario.steps) {
        seen.extend(step.figures.outcomes.keys().map(String::as_str));
    }
    // As the terms of outcomes are listed everywhere else; what this version does not know comes last.
    let known = Outcome::ALL.map(Outcome::name);
    let mut columns: Vec<&str> = Vec::new();
    columns.extend(known.into_iter().filter(|name| seen.contains(name)));
    columns.extend(seen.into_iter().filter(|name| !known.contains(name)));
    let row = |at: &At, scenario: &ScenarioReport, place: usize| {
        let step = &scenario.steps[place];
        let outcomes = at.at("steps").at(place).at("outcomes");
        html! { tr {
            th scope="row" { (name(&scenario.name)) " / " (name(&step.name)) }
            @for column in &columns { @match step.figures.outcomes.get(*column) {
                Some(count) => (Number::count(outcomes.at(column), *count).marked_cell(is_error(column))),
                None => td.n.nil { "0" },
            } }
        } }
    };
    html! {
        h3 { "Outcomes by step" }
        p.hint { "Each request is counted once, in one outcome. Only steps with errors are shown." }
        (scroll(&html! { table {
            thead { tr { th scope="col" { "step" } @for column in &columns { th.n scope="col" { (name(column)) } } } }
            tbody { @for (at, scenario) in &scenarios {
                @for place in (0..scenario.steps.len()).filter(|place| scenario.steps[*place].figures.errors > 0) {
                    (row(at, scenario, place))
                }
            } }
        } }))
    }
}

/// Whether an outcome is the target's failure. The generator's own interruptions are none.
fn is_error(name: &str) -> bool {
    Outcome::ALL.into_iter().find(|outcome| outcome.name() == name).is_none_or(Outcome::is_error)
}

/// How long requests took to any end, where some ended without an answer.
fn ends(report: &Report) -> Markup {
    let root = At::report();
    let mut parts: Vec<(At, String, &Figures)> = Vec::new();
    if report.scenarios.len() > 1 {
        parts.push((root.at("summary"), "all".to_owned(), &report.summary));
    }
    for (at, scenario) in scenarios(report) {
        for (place, step) in scenario.steps.iter().enumerate() {
            let words = format!("{} / {}", name(&scenario.name), name(&step.name));
            parts.push((at.at("steps").at(place), words, &step.figures));
        }
        for (place, stage) in scenario.stages.iter().enumerate().filter(|_| scenario.stages.len() > 1) {
            let words = format!("{}, {}", name(&scenario.name), name(&stage.name));
            parts.push((at.at("stages").at(place), words, &stage.figures));
        }
        parts.push((at, name(&scenario.name), &scenario.figures));
    }
    let row = |(at, words, figures): &(At, String, &Figures)| {
        let times = figures.time_to_end.as_ref()?;
        let at = at.at("timeToEnd");
        let each = [("p50", times.p50), ("p95", times.p95), ("p99", times.p99), ("max", times.max)];
        Some(html! { tr {
            th scope="row" { (words) }
            (Number::mean(at.at("mean"), times.mean).cell())
            @for (key, micros) in each { (Number::time(at.at(key), micros).cell()) }
        } })
    };
    let rows: Vec<Markup> = parts.iter().filter_map(row).collect();
    if rows.is_empty() {
        return html! {};
    }
    html! {
        h3 { "Time to any end" }
        p.hint { "Latency is of requests that were answered or ran into their timeout. These are all that went over a connection, "
            "with those that were reset, cut off, or answered by what is no response." }
        (scroll(&html! { table {
            thead { tr { th scope="col" { "part" }
                @for column in ["mean", "p50", "p95", "p99", "max"] { th.n scope="col" { (column) } } } }
            tbody { @for row in &rows { (row) } }
        } }))
    }
}

fn in_words(report: &Report) -> Markup {
    let at = At::report().at("errors");
    html! {
        (scroll(&html! { table {
            thead { tr { th.n scope="col" { "count" } th scope="col" { "outcome" } th scope="col" { "message" } th scope="col" { "step" }
                th.n scope="col" { "first seen" } th.n scope="col" { "last seen" } } }
            tbody { @for (place, error) in report.errors.iter().enumerate() {
                @let at = at.at(place);
                tr {
                    (Number::count(at.at("count"), error.count).marked_cell(true))
                    td { (name(&error.outcome)) }
                    td.message { (cut(&error.message, LONGEST_MESSAGE)) }
                    td { (name(&error.scenario)) " / " (name(&error.step)) }
                    (Number::time(at.at("firstSeen"), error.first_seen).cell())
                    (Number::time(at.at("lastSeen"), error.last_seen).cell())
                }
            } }
        } }))
        p.hint { (things(report.errors.len() as u64, "kind")) ". Times are from the begin of the run." }
    }
}

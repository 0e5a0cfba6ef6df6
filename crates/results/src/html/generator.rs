//! The load generator: whether it kept up, its runners, and what was changed while it ran.

use maud::{Markup, html};

use super::number::{At, Number, cell, level};
use super::table::{cut, name, scroll};
use crate::figures::TimeFigures;
use crate::health::Generator;
use crate::report::{Report, RunnerEnd, RunnerReport};

/// With more runners the table of them is folded.
const MOST_RUNNERS: usize = 20;

/// Whether the generator kept up, and what that is seen from.
pub(super) fn health(report: &Report) -> Markup {
    let generator = &report.generator;
    if report.summary.requests == 0 {
        return html! { p.none { "No request was sent, so there is nothing to say of the generator." } };
    }
    html! {
        p {
            @if generator.healthy { span.badge.good { "✓ kept up" } " Load left when it was due: the figures are the target's." }
            @else { span.badge.doubt { "? could not keep up" }
                " Some of the latency, and of the load that is missing, is the generator's own." }
        }
        (figures(generator))
    }
}

fn figures(generator: &Generator) -> Markup {
    let at = At::report().at("generator");
    let late = at.at("lateness");
    let time = |key: &str, of: fn(&TimeFigures) -> u64| {
        generator.lateness.as_ref().map(|times| Number::time(late.at(key), of(times)))
    };
    let worst = generator.worst.as_ref();
    let share = |key: &str, share: f64| Some(Number::share(at.at("worst").at(key), share));
    let rows = [
        (
            "CPU, of what could be used",
            Some(Number::share(at.at("cpu"), generator.cpu)),
            worst.and_then(|w| share("cpu", w.cpu)),
        ),
        ("busiest thread", None, worst.and_then(|w| share("thread", w.thread))),
        (
            "throttled by its container",
            Some(Number::share(at.at("throttled"), generator.throttled)),
            worst.and_then(|w| share("throttled", w.throttled)),
        ),
        ("requests that left late: p50", time("p50", |times| times.p50), None),
        ("requests that left late: p99", time("p99", |times| times.p99), None),
        ("requests that left late: longest", time("max", |times| times.max), None),
        ("seconds in which requests left late", None, worst.and_then(|w| share("late", w.late))),
        (
            "memory",
            Some(Number::size(at.at("memory"), generator.memory)),
            worst.and_then(|w| share("memory", w.memory)),
        ),
        ("open files, of those that may be", None, worst.and_then(|w| share("files", w.files))),
        ("runners began apart by", Some(Number::time(at.at("skew"), generator.skew)), None),
        ("threads", Some(Number::count(at.at("threads"), generator.threads.into())), None),
    ];
    scroll(&html! { table {
        thead { tr { th scope="col" { "figure" } th.n scope="col" { "whole run" } th.n scope="col" { "worst 10 s" } } }
        tbody { @for (what, whole, worst) in rows { @if whole.is_some() || worst.is_some() {
            tr { th scope="row" { (what) } (cell(whole)) (cell(worst)) }
        } } }
    } })
}

/// Each runner.
pub(super) fn runners(report: &Report) -> Markup {
    let completed = report.runners.iter().filter(|runner| runner.state == RunnerEnd::Completed).count();
    let has_lost = report.runners.iter().any(|runner| runner.lost.is_some());
    let at = At::report().at("runners");
    let row = |(place, runner): (usize, &RunnerReport)| {
        let at = at.at(place);
        let is_complete = runner.state == RunnerEnd::Completed;
        html! { tr {
            th.n scope="row" { (runner.index) }
            td { span class=(if is_complete { "badge good" } else { "badge doubt" }) { (state(runner.state)) } }
            (Number::share(at.at("share"), runner.share).cell())
            (Number::count(at.at("requests"), runner.requests).cell())
            @if has_lost { td { @if let Some(why) = &runner.lost { (cut(why, 300)) } } }
        } }
    };
    let table = scroll(&html! { table {
        thead { tr { th.n scope="col" { "runner" } th scope="col" { "end" } th.n scope="col" { "share of users" }
            th.n scope="col" { "requests" } @if has_lost { th scope="col" { "lost" } } } }
        tbody { @for one in report.runners.iter().enumerate() { (row(one)) } }
    } });
    html! {
        h3 { "Runners" }
        p { (completed) " of " (report.runners.len()) " did their whole share." }
        @if report.runners.len() <= MOST_RUNNERS { (table) } @else { details { summary { "Each runner" } (table) } }
    }
}

const fn state(end: RunnerEnd) -> &'static str {
    match end {
        RunnerEnd::Completed => "completed",
        RunnerEnd::Stopped => "stopped",
        RunnerEnd::Terminated => "terminated",
        RunnerEnd::Abandoned => "abandoned",
        RunnerEnd::Lost => "lost",
        RunnerEnd::Missing => "missing",
        RunnerEnd::NotStarted => "not started",
    }
}

/// Changes of load that someone wanted while the run was under way; nothing where there were none.
pub(super) fn changes(report: &Report) -> Markup {
    if report.changes.is_empty() {
        return html! {};
    }
    let at = At::report().at("changes");
    html! {
        h3 { "Changes of load by hand" }
        (scroll(&html! { table {
            thead { tr { th.n scope="col" { "at" } th scope="col" { "scenario" } th.n scope="col" { "from" } th.n scope="col" { "to" } } }
            tbody { @for (place, change) in report.changes.iter().enumerate() {
                @let at = at.at(place);
                tr {
                    (Number::time(at.at("at"), change.at).cell())
                    td { (name(&change.scenario)) }
                    td.n { (level(&at.at("from"), change.from)) }
                    td.n { (level(&at.at("to"), change.to)) }
                }
            } }
        } }))
    }
}

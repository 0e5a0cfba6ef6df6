//! Scenarios: all of them side by side, then each with its stages, steps, groups, searches and checks.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::number::{At, Number, cell, level};
use super::table::{badge, cut, error_share, figures, figures_head, name, scroll};
use crate::figures::TimeFigures;
use crate::report::{Report, ScenarioReport, SearchReport, StageReport, StepReport};

/// All scenarios, a line each.
pub(super) fn comparison(report: &Report) -> Markup {
    let at = At::report().at("scenarios");
    scroll(&html! { table {
        thead { tr {
            th scope="col" { "scenario" } th scope="col" { "verdict" } th.n scope="col" { "users" }
            @for column in ["requests", "rate", "failed", "failed %", "p50", "p95", "p99"] { th.n scope="col" { (column) } }
        } }
        tbody {
            @for (place, scenario) in report.scenarios.iter().enumerate() { (compared(&at.at(place), scenario)) }
        }
    } })
}

fn compared(at: &At, scenario: &ScenarioReport) -> Markup {
    let figures = &scenario.figures;
    let has_errors = figures.errors > 0;
    let load = at.at("load");
    let planned = Number::count(load.at("plannedUsers"), scenario.load.planned_users.into());
    let peak = scenario.load.peak_users.map(|peak| Number::count(load.at("peakUsers"), peak.into()));
    let time = |key: &str, of: fn(&TimeFigures) -> u64| {
        cell(figures.latency.as_ref().map(|times| Number::time(at.at("latency").at(key), of(times))))
    };
    html! { tr {
        th scope="row" { (name(&scenario.name)) }
        td { (badge(scenario.verdict)) }
        // Of scenarios that were under way at the same time only the plan tells how many users were whose.
        @match &peak { Some(peak) => (peak.cell()), None => td.n { small { "planned " } (planned.inline()) } }
        (Number::count(at.at("requests"), figures.requests).cell())
        (Number::rate(at.at("rate"), figures.rate).cell())
        (Number::count(at.at("errors"), figures.errors).marked_cell(has_errors))
        td.n.bad[has_errors] { (error_share(figures)) }
        (time("p50", |times| times.p50)) (time("p95", |times| times.p95)) (time("p99", |times| times.p99))
    } }
}

/// Each scenario, with setup and teardown where there are such.
pub(super) fn each(report: &Report) -> Markup {
    let root = At::report();
    let is_open = report.scenarios.len() <= 3;
    html! {
        @if let Some(setup) = &report.setup { (one(&root.at("setup"), setup, false)) }
        @for (place, scenario) in report.scenarios.iter().enumerate() {
            (one(&root.at("scenarios").at(place), scenario, is_open))
        }
        @if let Some(teardown) = &report.teardown { (one(&root.at("teardown"), teardown, false)) }
    }
}

fn one(at: &At, scenario: &ScenarioReport, is_open: bool) -> Markup {
    html! {
        details.scenario open[is_open] {
            summary { h3 { (name(&scenario.name)) } " " (badge(scenario.verdict)) }
            (load(&at.at("load"), scenario))
            (answers(at, scenario))
            @if let Some(search) = &scenario.search { (searched(&at.at("search"), search)) }
            @if !scenario.stages.is_empty() { h4 { "Stages" } (stages(&at.at("stages"), &scenario.stages)) }
            @if !scenario.steps.is_empty() { h4 { "Steps" } (steps(at, scenario)) }
            (checks(at, scenario))
            (steps_by_stage(at, scenario))
        }
    }
}

/// Planned load against what was put on.
fn load(at: &At, scenario: &ScenarioReport) -> Markup {
    let load = &scenario.load;
    let count = |key: &str, count: u64| Number::count(at.at(key), count).inline();
    let time = |key: &str, micros: u64| Number::time(at.at(key), micros).inline();
    let rare = [
        ("cutIterations", load.cut_iterations, "cut off by the end"),
        ("brokenIterations", load.broken_iterations, "broken"),
        ("dropped", load.dropped, "arrivals dropped: no user was free"),
        ("starvedUsers", load.starved_users, "users stopped: their data ran out"),
    ];
    html! { p.load {
        @match load.began {
            Some(began) => { "Began at " (time("began", began)) ", lasted " (time("duration", load.duration)) " of "
                (time("plannedDuration", load.planned_duration)) " planned" }
            None => { "Never began; planned for " (time("plannedDuration", load.planned_duration)) }
        }
        @if let Some(peak) = load.peak_users { " · " (count("peakUsers", peak.into())) " users at once of "
            (count("plannedUsers", load.planned_users.into())) " planned" }
        @else { " · " (count("plannedUsers", load.planned_users.into())) " users planned" }
        " · " (count("iterations", load.iterations)) " iterations done"
        @if let Some(planned) = load.planned_iterations { " of " (count("plannedIterations", planned)) " planned" }
        @for (key, number, words) in rare { @if number > 0 { " · " (count(key, number)) " " (words) } }
    } }
}

/// Outcomes and statuses, and how much was sent and received.
fn answers(at: &At, scenario: &ScenarioReport) -> Markup {
    let figures = &scenario.figures;
    let listed = |key: &str, counts: &BTreeMap<String, u64>| {
        let at = at.at(key);
        html! { @for (place, (of, count)) in counts.iter().enumerate() {
            @if place > 0 { " · " } (name(of)) ": " (Number::count(at.at(of), *count).inline())
        } }
    };
    let size = |key: &str, bytes: u64| Number::size(at.at(key), bytes).inline();
    html! { dl.answers {
        @if !figures.outcomes.is_empty() { div { dt { "Outcomes" } dd { (listed("outcomes", &figures.outcomes)) } } }
        @if !figures.statuses.is_empty() { div { dt { "Statuses" } dd { (listed("statuses", &figures.statuses)) } } }
        div { dt { "Bytes" } dd { (size("bytesIn", figures.bytes_in)) " received · " (size("bytesOut", figures.bytes_out)) " sent" } }
    } }
}

fn searched(at: &At, search: &SearchReport) -> Markup {
    let steps = at.at("steps");
    html! {
        h4 { "Search" }
        p { "The highest load of which " code { (cut(search.until.trim(), 300)) } " holds: "
            strong { @match search.answer {
                Some(answer) => (level(&at.at("answer"), answer)), None => "none of those that were tried" } }
            @if !search.finished { ". The search did not come to its end." }
        }
        (scroll(&html! { table {
            thead { tr { th.n scope="col" { "step" } th.n scope="col" { "load" } th.n scope="col" { "put on at" }
                th.n scope="col" { "judged from" } th.n scope="col" { "until" } th scope="col" { "held" } th scope="col" { "why" } } }
            tbody { @for (place, step) in search.steps.iter().enumerate() {
                @let at = steps.at(place);
                tr {
                    th.n scope="row" { (place + 1) }
                    td.n { (level(&at.at("level"), step.level)) }
                    (Number::time(at.at("at"), step.at).cell())
                    (Number::time(at.at("windowFrom"), step.window_from).cell())
                    (Number::time(at.at("windowUntil"), step.window_until).cell())
                    td { (held(step.held)) }
                    td { (cut(&step.why, 300)) }
                }
            } }
        } }))
    }
}

fn held(held: Option<bool>) -> Markup {
    match held {
        Some(true) => html! { span.badge.good { "✓ held" } },
        Some(false) => html! { span.badge.bad { "✗ did not hold" } },
        None => html! { "–" },
    }
}

fn stages(at: &At, stages: &[StageReport]) -> Markup {
    scroll(&html! { table {
        thead { tr { th scope="col" { "stage" } th.n scope="col" { "load" } th.n scope="col" { "began" } th.n scope="col" { "lasted" }
            th scope="col" { "criteria" } (figures_head()) } }
        tbody { @for (place, stage) in stages.iter().enumerate() { (stage_row(&at.at(place), stage)) } }
    } })
}

fn stage_row(at: &At, stage: &StageReport) -> Markup {
    html! { tr {
        th scope="row" { (name(&stage.name)) }
        td.n {
            @match (stage.from, stage.to) {
                (Some(from), Some(to)) if from != to => { (level(&at.at("from"), from)) " → " (level(&at.at("to"), to)) }
                (Some(from), _) => (level(&at.at("from"), from)),
                (None, Some(to)) => (level(&at.at("to"), to)),
                (None, None) => "–",
            }
        }
        (cell(stage.began.map(|micros| Number::time(at.at("began"), micros))))
        (cell(stage.duration.map(|micros| Number::time(at.at("duration"), micros))))
        td { (held(stage.held)) }
        (figures(at, &stage.figures))
    } }
}

/// Steps, then the groups that they are in.
fn steps(at: &At, scenario: &ScenarioReport) -> Markup {
    let (steps, groups) = (at.at("steps"), at.at("groups"));
    html! {
        (scroll(&html! { table {
            thead { tr { th scope="col" { "step" } (figures_head()) } }
            tbody { @for (place, step) in scenario.steps.iter().enumerate() {
                tr { th scope="row" { (name(&step.name)) } (figures(&steps.at(place), &step.figures)) }
            } }
        } }))
        @if !scenario.groups.is_empty() {
            h4 { "Groups of steps" }
            (scroll(&html! { table {
                thead { tr { th scope="col" { "group" } (figures_head()) } }
                tbody { @for (place, group) in scenario.groups.iter().enumerate() {
                    tr { th scope="row" { (name(&group.name)) } (figures(&groups.at(place), &group.figures)) }
                } }
            } }))
        }
    }
}

fn checks(at: &At, scenario: &ScenarioReport) -> Markup {
    if scenario.steps.iter().all(|step| step.checks.is_empty()) {
        return html! {};
    }
    let rows = |place: usize, step: &StepReport| {
        let at = at.at("steps").at(place).at("checks");
        html! { @for (nth, check) in step.checks.iter().enumerate() { tr {
            th scope="row" { (name(&step.name)) }
            td { (name(&check.name)) }
            (Number::count(at.at(nth).at("passed"), check.passed).cell())
            (Number::count(at.at(nth).at("failed"), check.failed).marked_cell(check.failed > 0))
        } } }
    };
    html! {
        h4 { "Checks of answers" }
        (scroll(&html! { table {
            thead { tr { th scope="col" { "step" } th scope="col" { "check" } th.n scope="col" { "held" } th.n scope="col" { "did not" } } }
            tbody { @for (place, step) in scenario.steps.iter().enumerate() { (rows(place, step)) } }
        } }))
    }
}

fn steps_by_stage(at: &At, scenario: &ScenarioReport) -> Markup {
    if scenario.steps.iter().all(|step| step.stages.is_empty()) {
        return html! {};
    }
    html! { details { summary { "Each step in each stage" }
        (scroll(&html! { table.small {
            thead { tr { th scope="col" { "step" } th scope="col" { "stage" } (figures_head()) } }
            tbody { @for (place, step) in scenario.steps.iter().enumerate() {
                @for (nth, stage) in step.stages.iter().enumerate() { tr {
                    th scope="row" { (name(&step.name)) }
                    td { (name(&stage.name)) }
                    (figures(&at.at("steps").at(place).at("stages").at(nth), &stage.figures))
                } }
            } }
        } }))
    } }
}

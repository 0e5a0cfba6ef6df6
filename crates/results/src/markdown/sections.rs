//! The sections of the page; one that has nothing to say writes nothing.

use proofload_api::Size;
use proofload_api::loadtest::Severity;
use proofload_api::status::CriterionOutcome;
use proofload_api::units::{short_share, short_time};

use super::escape::{code_in_table, paragraph, text};
use super::mark;
use super::page::Page;
use crate::compare;
use crate::figures::{Figures, TimeFigures};
use crate::reason::observed;
use crate::report::{CriterionReport, Report, RunnerEnd, ScenarioReport, SearchReport};
use crate::shown::{ends as ends_of, load, short_rate};
use crate::status::errors as error_share;
use crate::text::{Style, over_time as sparklines};
use crate::words::{grouped, things};

/// So many rows of a table are shown, if there is room.
const MOST: usize = 100;
/// So many kinds of errors are.
const MOST_ERRORS: usize = 30;
/// The columns of [`figures`].
const FIGURES: [&str; 7] = ["requests", "rate", "errors", "p50", "p95", "p99", "max"];

fn time(micros: u64) -> String {
    short_time(micros as f64)
}

/// What the run was, in a line.
pub(super) fn about(report: &Report) -> String {
    let mut said = vec![time(report.duration), format!("at most {}", things(report.load.peak_users.into(), "user"))];
    said.push(things(report.summary.requests, "request"));
    if report.runners.len() > 1 {
        said.push(things(report.runners.len() as u64, "runner"));
    }
    if let Some(start) = &report.start {
        said.push(format!("begun {}", text(start)));
    }
    format!("<sub>{}</sub>", said.join(" · "))
}

pub(super) fn criteria(report: &Report, page: &mut Page) {
    if report.criteria.is_empty() {
        return;
    }
    page.line("### Criteria");
    page.gap();
    let row = |criterion: &CriterionReport| {
        let (mark, note) = match (criterion.outcome, criterion.severity) {
            _ if criterion.aborted => ("❌", "ended the run"),
            (CriterionOutcome::Pass, _) => ("✅", ""),
            (CriterionOutcome::Fail, Severity::Fail) => ("❌", ""),
            (CriterionOutcome::Fail, Severity::Warn) => ("⚠️", "a warning only"),
            (CriterionOutcome::NoData, _) => ("❔", "no samples"),
            (CriterionOutcome::Untrusted, _) => ("❔", "not to be trusted"),
        };
        let of = criterion.of.as_ref().map(|of| text(of)).unwrap_or_default();
        let during = criterion.during.as_ref().map(|during| format!(" during {}", text(during))).unwrap_or_default();
        let on = format!("{of}{during}").trim().to_owned();
        vec![mark.to_owned(), code_in_table(&criterion.expr), on, note.to_owned(), text(&observed(criterion))]
    };
    page.table(&["", "criterion", "on", ""], &["observed"], MOST, report.criteria.iter().map(row));
}

/// What came of holding the run against an earlier one, as `proofload compare` says it.
pub(super) fn baseline(report: &Report, page: &mut Page) {
    /// What a comparison's table leaves for its last row and for what comes after it.
    const KEPT: usize = 2_000;
    let Some(baseline) = &report.baseline else { return };
    page.line("### Baseline");
    page.gap();
    let room = page.room();
    let compared = |comparison| compare::markdown::section(comparison, "####", room.saturating_sub(KEPT));
    let is_shown = baseline.comparison.as_ref().is_some_and(|comparison| page.try_push(&compared(comparison)));
    if !is_shown {
        page.line(&paragraph(&baseline.message));
    }
    page.gap();
}

pub(super) fn doubts(report: &Report, page: &mut Page) {
    if report.doubts.is_empty() {
        return;
    }
    page.line("### Why not all of it can be trusted");
    page.gap();
    let left_out = report.doubts.iter().filter(|doubt| !page.try_push(&format!("- {}\n", text(&doubt.text)))).count();
    page.more(left_out);
    page.gap();
}

fn figures(figures: &Figures) -> Vec<String> {
    let latency =
        |of: fn(&TimeFigures) -> u64| figures.latency.as_ref().map_or("-".to_owned(), |times| time(of(times)));
    vec![
        grouped(figures.requests),
        format!("{}/s", short_rate(figures.rate)),
        error_share(figures),
        latency(|times| times.p50),
        latency(|times| times.p95),
        latency(|times| times.p99),
        latency(|times| times.max),
    ]
}

pub(super) fn scenarios(report: &Report, page: &mut Page) {
    page.line("### Scenarios");
    page.gap();
    let of = |scenario: &ScenarioReport| {
        let verdict = format!("{} {}", mark(scenario.verdict), scenario.verdict);
        let peak = scenario.load.peak_users.map_or("-".to_owned(), |peak| grouped(peak.into()));
        let users = vec![grouped(scenario.load.planned_users.into()), peak];
        [vec![text(&scenario.name), verdict], users, figures(&scenario.figures)].concat()
    };
    let once = report.setup.iter().chain(&report.teardown).filter(|once| once.figures.errors > 0);
    let load = [report.load.planned_users, report.load.peak_users].map(|users| grouped(users.into()));
    let all = [vec!["all".to_owned(), String::new()], load.to_vec(), figures(&report.summary)].concat();
    let all = (report.scenarios.len() > 1).then_some(all);
    let rows = report.scenarios.iter().map(of).chain(all).chain(once.map(of));
    page.table(&["scenario", "verdict"], &[&["users planned", "peak"], &FIGURES[..]].concat(), MOST, rows);
}

pub(super) fn searches(report: &Report, page: &mut Page) {
    let searches = report.scenarios.iter().filter_map(|scenario| Some((scenario, scenario.search.as_ref()?)));
    for (scenario, search) in searches {
        let answer = search.answer.map_or_else(|| "none that was tried".to_owned(), |answer| answer.to_string());
        let so_far = if search.finished { "" } else { ", as far as the search came" };
        page.line(&format!("### Search of {}: capacity {answer}{so_far}", text(&scenario.name)));
        page.gap();
        page.table(&["", "load", "window", "why"], &[], MOST, search_rows(search));
    }
}

fn search_rows(search: &SearchReport) -> impl Iterator<Item = Vec<String>> {
    search.steps.iter().map(|step| {
        let mark = step.held.map_or("➖", |held| if held { "✅" } else { "❌" });
        let window = format!("{} to {}", time(step.window_from), time(step.window_until));
        vec![mark.to_owned(), step.level.to_string(), window, text(&step.why)]
    })
}

pub(super) fn steps(report: &Report, page: &mut Page) {
    let steps = report.scenarios.iter().flat_map(|scenario| {
        scenario.steps.iter().map(move |step| {
            let name = format!("{}/{}", text(&scenario.name), text(&step.name));
            [vec![name], figures(&step.figures)].concat()
        })
    });
    page.folded("Steps", |page| page.table(&["step"], &FIGURES, MOST, steps));
}

pub(super) fn stages(report: &Report, page: &mut Page) {
    let mut rows = Vec::new();
    for scenario in report.scenarios.iter().filter(|scenario| scenario.stages.len() > 1) {
        for stage in &scenario.stages {
            let held = stage.held.map_or("", |held| if held { "✅" } else { "❌" });
            let name = format!("{}: {}", text(&scenario.name), text(&stage.name));
            let lasted = stage.duration.map_or("-".to_owned(), time);
            rows.push([vec![held.to_owned(), name, load(stage), lasted], figures(&stage.figures)].concat());
        }
    }
    if !rows.is_empty() {
        let left = ["", "stage", "load", "time"];
        page.folded("Stages", |page| page.table(&left, &FIGURES, MOST, rows.into_iter()));
    }
}

pub(super) fn errors(report: &Report, page: &mut Page) {
    if report.errors.is_empty() {
        return;
    }
    let rows = report.errors.iter().map(|error| {
        let place = format!("{}/{}", text(&error.scenario), text(&error.step));
        let seen = format!("{} to {}", time(error.first_seen), time(error.last_seen));
        vec![place, text(&error.outcome), code_in_table(&error.message), seen, grouped(error.count)]
    });
    let title = format!("Errors: {}", things(report.errors.len() as u64, "kind"));
    let columns = ["step", "outcome", "message", "seen"];
    page.folded(&title, |page| page.table(&columns, &["count"], MOST_ERRORS, rows));
}

/// How long requests took to any end, where some ended without an answer.
pub(super) fn ends(report: &Report, page: &mut Page) {
    let parts = ends_of(report);
    if parts.is_empty() {
        return;
    }
    let rows = parts.into_iter().map(|(names, times)| {
        let name = if names.is_empty() { "all".to_owned() } else { text(&names.join("/")) };
        let row = [short_time(times.mean), time(times.p50), time(times.p95), time(times.p99), time(times.max)];
        std::iter::once(name).chain(row).collect()
    });
    let columns = ["mean", "p50", "p95", "p99", "max"];
    page.folded("Time to any end, with or without an answer", |page| page.table(&["part"], &columns, MOST, rows));
}

pub(super) fn checks(report: &Report, page: &mut Page) {
    let mut rows = Vec::new();
    for scenario in report.scenarios.iter().chain(&report.setup).chain(&report.teardown) {
        for step in &scenario.steps {
            for check in step.checks.iter().filter(|check| check.failed > 0) {
                let place = format!("{}/{}", text(&scenario.name), text(&step.name));
                rows.push(vec![place, code_in_table(&check.name), grouped(check.passed), grouped(check.failed)]);
            }
        }
    }
    if !rows.is_empty() {
        let columns = ["step", "check"];
        let table = |page: &mut Page| page.table(&columns, &["held", "did not"], MOST_ERRORS, rows.into_iter());
        page.folded("Checks that failed", table);
    }
}

pub(super) fn changes(report: &Report, page: &mut Page) {
    if report.changes.is_empty() {
        return;
    }
    let rows = report
        .changes
        .iter()
        .map(|change| vec![time(change.at), text(&change.scenario), change.from.to_string(), change.to.to_string()]);
    page.folded("Changes of load", |page| page.table(&["at", "scenario", "from", "to"], &[], MOST_ERRORS, rows));
}

pub(super) fn over_time(report: &Report, page: &mut Page) {
    let lines = sparklines(report, Style { color: false, width: 100 });
    if !lines.is_empty() {
        // There is no foreign text in these.
        page.folded("Over time", |page| page.line(&format!("```\n{}\n```", lines.trim_end())));
    }
}

pub(super) fn generator(report: &Report, page: &mut Page) {
    let generator = &report.generator;
    let health = if generator.healthy { "kept up" } else { "could not keep up" };
    page.folded(&format!("Load generator: {health}"), |page| {
        let lateness = generator.lateness.as_ref().map_or("-".to_owned(), |lateness| time(lateness.p99));
        let said = [
            ("CPU", short_share(generator.cpu)),
            ("throttled", short_share(generator.throttled)),
            ("lateness p99", lateness),
            ("skew of runners", time(generator.skew)),
            ("memory", Size(generator.memory).to_string()),
            ("threads", generator.threads.to_string()),
        ];
        page.table(&[""], &["seen"], MOST, said.into_iter().map(|(what, seen)| vec![what.to_owned(), seen]));
        if report.runners.len() > 1 {
            let runners = report.runners.iter().filter(|runner| runner.state != RunnerEnd::Completed);
            let incomplete = runners.map(|runner| {
                let why = runner.lost.as_ref().map(|why| text(why)).unwrap_or_default();
                let state = format!("{:?}", runner.state);
                vec![runner.index.to_string(), state, why, short_share(runner.share), grouped(runner.requests)]
            });
            let completed = report.runners.iter().filter(|runner| runner.state == RunnerEnd::Completed).count();
            page.line(&format!("{completed} of {} completed.", things(report.runners.len() as u64, "runner")));
            page.gap();
            if completed < report.runners.len() {
                page.table(&["runner", "end", ""], &["share", "requests"], MOST_ERRORS, incomplete);
            }
        }
    });
}

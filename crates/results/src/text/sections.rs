//! The sections of the text, each with a heading; an empty text where there is nothing to say.

use anstyle::AnsiColor;
use proofload_api::Size;
use proofload_api::loadtest::Severity;
use proofload_api::status::CriterionOutcome;
use proofload_api::units::{short_share, short_time};

use super::spark::{resampled, sparkline};
use super::table::{Piece, Table};
use super::{Style, cut, wrapped};
use crate::compare;
use crate::figures::Figures;
use crate::reason::observed;
use crate::report::{ErrorReport, Report, RunnerEnd, TimelineBucket};
use crate::shown::{ends as ends_of, short_rate};
use crate::status::errors as error_share;
use crate::words::{grouped, safe, things};

/// So many kinds of errors are shown; the report has more.
const MOST_ERRORS: usize = 10;

pub(super) fn heading(text: &str, style: Style) -> String {
    format!("{}\n", Piece::bold(text).paint(style.color))
}

pub(super) fn time(micros: u64) -> String {
    short_time(micros as f64)
}

pub(super) fn criteria(report: &Report, style: Style) -> String {
    if report.criteria.is_empty() {
        return String::new();
    }
    let mut table = Table::new(5);
    for criterion in &report.criteria {
        let is_warning = criterion.severity == Severity::Warn;
        let (mark, color, note) = match (criterion.outcome, is_warning) {
            (CriterionOutcome::Pass, _) => ("✓", AnsiColor::Green, ""),
            (CriterionOutcome::Fail, false) => ("✗", AnsiColor::Red, ""),
            (CriterionOutcome::Fail, true) => ("!", AnsiColor::Yellow, "a warning only"),
            (CriterionOutcome::NoData, _) => ("?", AnsiColor::Yellow, "no samples"),
            (CriterionOutcome::Untrusted, _) => ("?", AnsiColor::Yellow, "not to be trusted"),
        };
        let of = criterion.of.as_ref().map(|of| format!("on {}", safe(of)));
        let during = criterion.during.as_ref().map(|during| format!("during {}", safe(during)));
        let of: Vec<String> = of.into_iter().chain(during).collect();
        let note = if criterion.aborted { "ended the run" } else { note };
        table.row([
            Piece::colored(mark, color),
            Piece::new(safe(criterion.expr.trim())),
            Piece::dim(of.join(" ")),
            Piece::colored(observed(criterion), color),
            Piece::dim(note),
        ]);
    }
    heading("Criteria", style) + &table.lines(2, style.color)
}

/// What came of holding the run against an earlier one, as `proofload compare` says it.
pub(super) fn baseline(report: &Report, style: Style) -> String {
    let Some(baseline) = &report.baseline else { return String::new() };
    let text = match &baseline.comparison {
        Some(comparison) => compare::text::render(comparison, style),
        None => wrapped("  ", &safe(&baseline.message), style.width),
    };
    heading("Baseline", style) + &text
}

pub(super) fn load(report: &Report, style: Style) -> String {
    let mut table = Table::new(1);
    let mut row = |name: String, planned: String, achieved: String| {
        table.row([Piece::new(name), Piece::new(planned), Piece::new(achieved)]);
    };
    row(String::new(), "planned".to_owned(), "achieved".to_owned());
    let (planned, seen) = (report.load.planned_users, report.load.peak_users);
    row("users at once".to_owned(), grouped(planned.into()), grouped(seen.into()));
    row("time".to_owned(), time(report.load.planned_duration), time(report.duration));
    for scenario in &report.scenarios {
        let (name, load) = (safe(&scenario.name), &scenario.load);
        if let Some(planned) = load.planned_iterations {
            row(format!("iterations of {name}"), grouped(planned), grouped(load.iterations));
        }
        for (what, count) in [("dropped arrivals", load.dropped), ("broken iterations", load.broken_iterations)] {
            if count > 0 {
                row(format!("{what} of {name}"), grouped(0), grouped(count));
            }
        }
    }
    heading("Load", style) + &table.lines(2, style.color)
}

/// A table of figures, one line each.
pub(super) struct FiguresTable(pub(super) Table);

impl FiguresTable {
    pub(super) fn new() -> Self {
        Self::after(Table::new(1), &[""])
    }

    /// With columns of its own before the figures.
    pub(super) fn after(mut table: Table, columns: &[&str]) -> Self {
        let names = ["requests", "rate", "errors", "p50", "p95", "p99", "max"];
        table.row(columns.iter().copied().chain(names).map(Piece::dim));
        Self(table)
    }

    pub(super) fn row(&mut self, name: String, figures: &Figures) {
        self.row_after(vec![Piece::new(name)], figures);
    }

    pub(super) fn row_after(&mut self, mut row: Vec<Piece>, figures: &Figures) {
        let latency = |of: fn(&crate::figures::TimeFigures) -> u64| {
            Piece::new(figures.latency.as_ref().map_or_else(|| "-".to_owned(), |times| time(of(times))))
        };
        let errors = error_share(figures);
        row.extend([
            Piece::new(grouped(figures.requests)),
            Piece::new(format!("{}/s", short_rate(figures.rate))),
            if figures.errors > 0 { Piece::colored(errors, AnsiColor::Red) } else { Piece::new(errors) },
            latency(|times| times.p50),
            latency(|times| times.p95),
            latency(|times| times.p99),
            latency(|times| times.max),
        ]);
        self.0.row(row);
    }
}

/// Of one scenario, itself and its steps; of several only their steps, since they are set side by side above.
pub(super) fn requests(report: &Report, style: Style) -> String {
    let mut table = FiguresTable::new();
    let is_one = report.scenarios.len() == 1;
    for scenario in &report.scenarios {
        let place = if is_one { "  ".to_owned() } else { format!("{}/", safe(&scenario.name)) };
        if is_one {
            table.row(safe(&scenario.name), &scenario.figures);
        }
        for step in &scenario.steps {
            table.row(format!("{place}{}", safe(&step.name)), &step.figures);
        }
    }
    heading(if is_one { "Scenarios and steps" } else { "Steps" }, style) + &table.0.lines(2, style.color)
}

pub(super) fn stages(report: &Report, style: Style) -> String {
    let staged: Vec<_> = report.scenarios.iter().filter(|scenario| scenario.stages.len() > 1).collect();
    if staged.is_empty() {
        return String::new();
    }
    let mut table = FiguresTable::new();
    for scenario in &staged {
        for stage in &scenario.stages {
            let name = if report.scenarios.len() > 1 { format!("{} ", safe(&scenario.name)) } else { String::new() };
            table.row(format!("{name}{}", safe(&stage.name)), &stage.figures);
        }
    }
    heading("Stages", style) + &table.0.lines(2, style.color)
}

pub(super) fn answers(report: &Report, style: Style) -> String {
    let summary = &report.summary;
    if summary.requests == 0 {
        return String::new();
    }
    let listed = |counts: &std::collections::BTreeMap<String, u64>| {
        let counts = counts.iter().map(|(name, count)| format!("{} {}", safe(name), grouped(*count)));
        counts.collect::<Vec<_>>().join(", ")
    };
    let mut table = Table::new(2);
    let mut row = |name: &str, text: String| table.row([Piece::new(name), Piece::new(text)]);
    row("outcomes", listed(&summary.outcomes));
    if !summary.statuses.is_empty() {
        row("statuses", listed(&summary.statuses));
    }
    row("bytes", format!("{} received, {} sent", Size(summary.bytes_in), Size(summary.bytes_out)));
    heading("Answers", style) + &table.lines(2, style.color)
}

/// Small charts of rates, latency and errors. No foreign text is in them.
pub(crate) fn over_time(report: &Report, style: Style) -> String {
    let buckets = &report.timeline.buckets;
    if buckets.len() < 2 {
        return String::new();
    }
    let columns = style.width.saturating_sub(30).clamp(10, 100);
    let each = buckets.len().div_ceil(columns).max(1) as u64;
    let mean = |part: &[TimelineBucket]| {
        let rates = part.iter().map(|bucket| bucket.rate);
        Some(rates.sum::<f64>() / part.len() as f64)
    };
    let worst = |part: &[TimelineBucket]| part.iter().filter_map(|bucket| bucket.p99).max().map(|p99| p99 as f64);
    let failed = |part: &[TimelineBucket]| Some(part.iter().map(|bucket| bucket.errors).sum::<u64>() as f64);
    let most = |values: &[Option<f64>]| values.iter().flatten().copied().fold(0.0, f64::max);
    let mut table = Table::new(3);
    let mut row = |name: &str, values: &[Option<f64>], most: String| {
        table.row([Piece::new(name), Piece::colored(sparkline(values), AnsiColor::Cyan), Piece::dim(most)]);
    };
    let rates = resampled(buckets, columns, mean);
    row("rate", &rates, format!("up to {}/s", short_rate(most(&rates))));
    let p99s = resampled(buckets, columns, worst);
    if p99s.iter().any(Option::is_some) {
        row("p99", &p99s, format!("up to {}", short_time(most(&p99s))));
    }
    if report.summary.errors > 0 {
        let errors = resampled(buckets, columns, failed);
        row("errors", &errors, format!("up to {}", grouped(most(&errors) as u64)));
    }
    let width = time(report.timeline.width.saturating_mul(each));
    heading(&format!("Over time, {width} a column"), style) + &table.lines(2, style.color)
}

pub(super) fn errors(report: &Report, style: Style) -> String {
    if report.errors.is_empty() {
        return String::new();
    }
    let mut table = Table::new(0);
    for error in report.errors.iter().take(MOST_ERRORS) {
        table.row([Piece::new(grouped(error.count))]);
    }
    let counts = table.lines(2, false);
    let line = |(error, count): (&ErrorReport, &str)| {
        let place = format!("{}/{}", safe(&error.scenario), safe(&error.step));
        let seen = format!("{place}, {} to {}", time(error.first_seen), time(error.last_seen));
        let room = style.width.saturating_sub(count.chars().count() + seen.chars().count() + 4).max(20);
        let message = cut(&format!("{}: {}", safe(&error.outcome), safe(&error.message)), room);
        let (message, seen) = (Piece::colored(message, AnsiColor::Red), Piece::dim(seen));
        format!("{count}  {}  {}\n", message.paint(style.color), seen.paint(style.color))
    };
    let lines: String = report.errors.iter().zip(counts.lines()).map(line).collect();
    let more = match report.errors.len().saturating_sub(MOST_ERRORS) {
        0 => String::new(),
        more => format!("  and {} more\n", things(more as u64, "kind")),
    };
    heading("Errors", style) + &lines + &more
}

/// How long requests took to any end, where some ended without an answer.
pub(super) fn ends(report: &Report, style: Style) -> String {
    let parts = ends_of(report);
    if parts.is_empty() {
        return String::new();
    }
    let mut table = Table::new(1);
    table.row(["", "mean", "p50", "p95", "p99", "max"].map(Piece::dim));
    for (names, times) in parts {
        let name = if names.is_empty() { "all".to_owned() } else { safe(&names.join("/")) };
        let row = [short_time(times.mean), time(times.p50), time(times.p95), time(times.p99), time(times.max)];
        table.row(std::iter::once(name).chain(row).map(Piece::new));
    }
    heading("Time to any end, with or without an answer", style) + &table.lines(2, style.color)
}

pub(super) fn generator(report: &Report, style: Style) -> String {
    let generator = &report.generator;
    if report.summary.requests == 0 {
        return String::new();
    }
    let lateness = generator.lateness.as_ref().map_or_else(|| "-".to_owned(), |lateness| time(lateness.p99));
    let mut said = vec![format!("CPU {}", short_share(generator.cpu))];
    if generator.throttled > 0.0 {
        said.push(format!("throttled {}", short_share(generator.throttled)));
    }
    said.push(format!("lateness p99 {lateness}"));
    if report.runners.len() > 1 {
        said.push(format!("skew {}", time(generator.skew)));
    }
    said.push(format!("memory {}", Size(generator.memory)));
    let health = if generator.healthy {
        Piece::colored("kept up", AnsiColor::Green)
    } else {
        Piece::strong("could not keep up", AnsiColor::Yellow)
    };
    heading("Generator", style) + &format!("  {}: {}\n", health.paint(style.color), said.join(", "))
}

pub(super) fn runners(report: &Report, style: Style) -> String {
    /// With more, only those that did not complete are shown.
    const MOST_RUNNERS: usize = 16;
    if report.runners.len() < 2 {
        return String::new();
    }
    let mut table = Table::new(2);
    let is_shown = |end: RunnerEnd| report.runners.len() <= MOST_RUNNERS || end != RunnerEnd::Completed;
    for runner in report.runners.iter().filter(|runner| is_shown(runner.state)) {
        let color = if runner.state == RunnerEnd::Completed { AnsiColor::Green } else { AnsiColor::Yellow };
        let lost = runner.lost.as_ref().map(|why| safe(why)).unwrap_or_default();
        table.row([
            Piece::new(runner.index.to_string()),
            Piece::colored(format!("{:?}", runner.state), color),
            Piece::new(short_share(runner.share)),
            Piece::new(things(runner.requests, "request")),
            Piece::dim(lost),
        ]);
    }
    let completed = report.runners.iter().filter(|runner| runner.state == RunnerEnd::Completed).count();
    let title = format!("Runners, {completed} of {} completed", report.runners.len());
    heading(&title, style) + &table.lines(2, style.color)
}

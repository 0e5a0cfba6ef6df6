//! A report as the four files that Locust writes with `--csv`, so that what reads those can read ours.
//!
//! Headers, their order and their units (milliseconds, bytes, seconds since 1970) are those of Locust 2.47, whose failures
//! have two columns more at their end than before. What differs is what a column holds where we know better or less:
//!
//! - a step is named `SCENARIO/STEP`, and its type is its method, `WS` for a web socket;
//! - rates are over the time under load of the scenario, sizes are with heads;
//! - times are those of every request that went over a connection, however it ended; in the history they are latency;
//! - percentiles are those of merged histograms or `N/A`: where requests ended without an answer only seven are known, of a
//!   part of the timeline three, and of all that went before it none;
//! - exceptions are what ended the run or parts of it: there is no code of a user that could raise one.
//!
//! Foreign text that a spreadsheet would take for a formula has an apostrophe before it.

mod table;

use serde_json::Value;

use crate::figures::{Figures, TimeFigures};
use crate::histogram::Times;
use crate::moment::moment;
use crate::report::{Report, RunnerEnd, TimelineBucket};
use crate::shown::error_rate;
use crate::words::{rounded, share};
use table::{Table, foreign};

/// Where there is no value, as Locust says it.
const NONE: &str = "N/A";
/// The name of everything together, whose type is empty.
const AGGREGATED: &str = "Aggregated";

/// The percentiles of every file that has some, and their columns.
const PERCENTILES: [(f64, &str); 11] = [
    (50.0, "50%"),
    (66.0, "66%"),
    (75.0, "75%"),
    (80.0, "80%"),
    (90.0, "90%"),
    (95.0, "95%"),
    (98.0, "98%"),
    (99.0, "99%"),
    (99.9, "99.9%"),
    (99.99, "99.99%"),
    (100.0, "100%"),
];

/// A line for each step that sent something, by name and method, and one for all of them.
pub fn stats(report: &Report) -> String {
    let mut columns = vec![
        "Type",
        "Name",
        "Request Count",
        "Failure Count",
        "Median Response Time",
        "Average Response Time",
        "Min Response Time",
        "Max Response Time",
        "Average Content Size",
        "Requests/s",
        "Failures/s",
    ];
    columns.extend(PERCENTILES.map(|(_, name)| name));
    let mut table = Table::new(&columns);
    let mut entries: Vec<(String, String, &Figures)> = Vec::new();
    for scenario in &report.scenarios {
        for step in scenario.steps.iter().filter(|step| step.figures.requests > 0) {
            entries.push((name(&scenario.name, &step.name), method(report, &scenario.name, &step.name), &step.figures));
        }
    }
    entries.sort_by(|one, other| (&one.0, &one.1).cmp(&(&other.0, &other.1)));
    entries.push((AGGREGATED.to_owned(), String::new(), &report.summary));
    for (name, method, figures) in entries {
        let mut row = vec![method, name, figures.requests.to_string(), figures.errors.to_string()];
        row.extend(times(figures.ends()));
        row.push(rounded(share(figures.bytes_in, figures.requests), 3).to_string());
        row.push(figures.rate.to_string());
        row.push(rounded(error_rate(figures), 3).to_string());
        row.extend(percentiles(figures));
        table.row(&row);
    }
    table.finish()
}

/// A line for each part of the timeline, at its end, with what was counted up to then.
pub fn stats_history(report: &Report) -> String {
    let mut columns = vec!["Timestamp", "User Count", "Type", "Name", "Requests/s", "Failures/s"];
    columns.extend(PERCENTILES.map(|(_, name)| name));
    columns.extend([
        "Total Request Count",
        "Total Failure Count",
        "Total Median Response Time",
        "Total Average Response Time",
        "Total Min Response Time",
        "Total Max Response Time",
        "Total Average Content Size",
    ]);
    let mut table = Table::new(&columns);
    let (mut requests, mut errors) = (0_u64, 0_u64);
    for bucket in &report.timeline.buckets {
        requests = requests.saturating_add(bucket.requests);
        errors = errors.saturating_add(bucket.errors);
        let end = bucket.at.saturating_add(report.timeline.width);
        // Without a begin, since the begin.
        let since = moment(report, end).map_or_else(|| (end / 1_000_000).to_string(), |at| at.as_second().to_string());
        let mut row = vec![since, bucket.users.to_string(), String::new(), AGGREGATED.to_owned()];
        row.push(format!("{:.6}", bucket.rate));
        row.push(format!("{:.6}", bucket.rate * share(bucket.errors, bucket.requests)));
        row.extend(PERCENTILES.map(|(percent, _)| known(bucket, percent).map_or_else(|| NONE.to_owned(), whole)));
        row.extend([requests.to_string(), errors.to_string()]);
        row.extend([NONE; 5].map(str::to_owned));
        table.row(&row);
    }
    table.finish()
}

/// A line for each kind of error, the most frequent first.
pub fn failures(report: &Report) -> String {
    let mut table = Table::new(&["Method", "Name", "Error", "Occurrences", "First Seen", "Last Seen"]);
    for error in &report.errors {
        let seen =
            |at: u64| moment(report, at).map(|at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()).unwrap_or_default();
        table.row(&[
            method(report, &error.scenario, &error.step),
            name(&error.scenario, &error.step),
            foreign(&format!("{}: {}", error.outcome, error.message)),
            error.count.to_string(),
            seen(error.first_seen),
            seen(error.last_seen),
        ]);
    }
    table.finish()
}

/// A line for each thing that ended the run, a runner or iterations before their time.
pub fn exceptions(report: &Report) -> String {
    let mut table = Table::new(&["Count", "Message", "Traceback", "Nodes"]);
    let mut row = |count: u64, message: String, node: String| {
        table.row(&[count.to_string(), foreign(&message), String::new(), node]);
    };
    if let Some(error) = &report.error {
        row(1, error.clone(), String::new());
    }
    let lost = report.runners.iter().filter(|runner| matches!(runner.state, RunnerEnd::Lost | RunnerEnd::Missing));
    for runner in lost {
        let why = runner.lost.as_deref().unwrap_or("its last figures never came");
        row(1, format!("the runner was lost: {why}"), runner.index.to_string());
    }
    for scenario in report.scenarios.iter().filter(|scenario| scenario.load.broken_iterations > 0) {
        let message = format!(
            "iterations of {} ended early, since a step needed what an earlier one had failed to get",
            scenario.name
        );
        row(scenario.load.broken_iterations, message, String::new());
    }
    table.finish()
}

fn name(scenario: &str, step: &str) -> String {
    foreign(&format!("{scenario}/{step}"))
}

/// The method of a step by the spec of the report; empty where that is not known.
fn method(report: &Report, scenario: &str, step: &str) -> String {
    method_of(report, scenario, step).map(foreign).unwrap_or_default()
}

fn method_of<'a>(report: &'a Report, scenario: &str, step: &str) -> Option<&'a str> {
    let spec = report.spec.as_ref()?;
    let named = |value: &'a Value, name: &str| list(value).iter().find(|one| one["name"].as_str() == Some(name));
    let step = match (named(&spec["scenarios"], scenario), scenario) {
        (Some(scenario), _) => {
            ["onStart", "steps", "onStop"].iter().find_map(|steps| named(&scenario[*steps], step))?
        }
        (None, "setup" | "teardown") => named(&spec[scenario], step)?,
        (None, _) => return None,
    };
    if step.get("webSocket").is_some() { Some("WS") } else { step["request"]["method"].as_str().or(Some("GET")) }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Median, mean, shortest and longest; 0 without samples, as Locust has it.
fn times(ends: Option<&TimeFigures>) -> [String; 4] {
    let Some(ends) = ends else { return ["0", "0", "0", "0"].map(str::to_owned) };
    [whole(ends.p50), exact(ends.mean), exact(ends.min as f64), exact(ends.max as f64)]
}

fn percentiles(figures: &Figures) -> [String; 11] {
    // All of a distribution is stored of latency alone.
    let whole_of = figures.distribution.as_ref().filter(|_| figures.time_to_end.is_none());
    let times: Option<Times> = whole_of.and_then(|distribution| distribution.times().ok());
    let value = |percent: f64| match &times {
        Some(times) => times.percentile(percent),
        None => figures.ends().and_then(|ends| told(ends, percent)),
    };
    PERCENTILES.map(|(percent, _)| value(percent).map_or_else(|| NONE.to_owned(), whole))
}

/// A percentile that stands in the figures: of the same histogram, where that itself is not in the report.
fn told(times: &TimeFigures, percent: f64) -> Option<u64> {
    let told = [
        (50.0, times.p50),
        (75.0, times.p75),
        (90.0, times.p90),
        (95.0, times.p95),
        (99.0, times.p99),
        (99.9, times.p99_9),
        (100.0, times.max),
    ];
    find(&told, percent)
}

/// A percentile of a part of the timeline.
fn known(bucket: &TimelineBucket, percent: f64) -> Option<u64> {
    find(&[(50.0, bucket.p50), (95.0, bucket.p95), (99.0, bucket.p99)], percent).flatten()
}

fn find<T: Copy>(known: &[(f64, T)], percent: f64) -> Option<T> {
    known.iter().find(|(one, _)| (one - percent).abs() < 1e-9).map(|(_, value)| *value)
}

/// Whole milliseconds: what Locust's percentiles are.
fn whole(micros: u64) -> String {
    (micros.saturating_add(500) / 1000).to_string()
}

/// Milliseconds with what is below them.
fn exact(micros: f64) -> String {
    rounded(micros / 1000.0, 3).to_string()
}

//! Charts: the data that the page's script draws, and the same data as tables.

use std::cmp::Reverse;
use std::iter::once;

use maud::{Markup, html};
use serde_json::{Value, json};

use super::number::{At, Number, cell};
use super::server;
use super::table::{name, scroll};
use crate::figures::{Figures, TimeFigures};
use crate::histogram::Times;
use crate::report::{Report, ScenarioReport, TimelineBucket};
use crate::words::{rounded, things};
use proofload_api::units::short_time;

/// So many distributions in one plot can be told apart.
const MOST_CURVES: usize = 7;
/// Points of a percentile plot for each power of ten of its axis.
const POINTS: f64 = 20.0;

/// All that the script needs.
pub(super) fn data(report: &Report) -> Value {
    let buckets = &report.timeline.buckets;
    let column = |of: &dyn Fn(&TimelineBucket) -> Value| buckets.iter().map(of).collect::<Value>();
    let seconds = |bucket: &TimelineBucket| json!(rounded(bucket.at as f64 / 1e6, 6));
    let width = report.timeline.width.max(1) as f64 / 1e6;
    let heat = buckets
        .iter()
        .enumerate()
        .flat_map(|(place, bucket)| bucket.heat.iter().map(move |(band, count)| json!([place, band, count])));
    json!({
        "width": width,
        "at": column(&seconds),
        "users": column(&|bucket| json!(bucket.users)),
        "plannedUsers": column(&|bucket| json!(bucket.planned_users)),
        "rate": column(&|bucket| json!(bucket.rate)),
        "plannedRate": plans_rate(report).then(|| column(&|bucket| json!(bucket.planned_rate))),
        "p50": column(&|bucket| json!(bucket.p50)),
        "p95": column(&|bucket| json!(bucket.p95)),
        "p99": column(&|bucket| json!(bucket.p99)),
        "failed": column(&|bucket| json!(bucket.errors)),
        "heat": heat.collect::<Value>(),
        "marks": marks(report),
        "server": server::data(report),
        "percentiles": percentiles(report),
    })
}

fn plans_rate(report: &Report) -> bool {
    report.timeline.buckets.iter().any(|bucket| bucket.planned_rate.is_some())
}

/// Moments that the eye looks for: where scenarios and their stages begin.
fn marks(report: &Report) -> Value {
    let several = report.scenarios.len() > 1;
    let of_scenario = |scenario: &ScenarioReport| {
        let own = scenario.load.began.filter(|_| several);
        let own = own.map(|at| (at, name(&scenario.name)));
        let stages = scenario.stages.iter().filter(|_| !several && scenario.stages.len() > 1);
        own.into_iter().chain(stages.filter_map(|stage| Some((stage.began?, name(&stage.name))))).collect::<Vec<_>>()
    };
    let marks = report.scenarios.iter().flat_map(of_scenario);
    marks
        .map(|(at, label)| json!({"at": at as f64 / 1e6, "label": label.chars().take(24).collect::<String>()}))
        .collect()
}

/// The parts of a run that have a curve each: its scenarios; of one scenario, its steps. Where there are more of them than
/// can be told apart, those that are slowest.
fn parts(report: &Report) -> (&'static str, Vec<(&str, &Figures)>) {
    match &report.scenarios[..] {
        [only] if only.steps.len() > 1 => {
            ("steps", only.steps.iter().map(|step| (&step.name[..], &step.figures)).collect())
        }
        // It is like all requests: one curve is enough.
        [_] => ("scenarios", Vec::new()),
        all => ("scenarios", all.iter().map(|scenario| (&scenario.name[..], &scenario.figures)).collect()),
    }
}

/// The whole run and its parts.
fn curves(report: &Report) -> Vec<(String, Times)> {
    let times = |figures: &Figures| figures.distribution.as_ref().and_then(|all| all.times().ok());
    let curve = |label: &str, figures: &Figures| Some((name(label), times(figures)?));
    let (_, mut parts) = parts(report);
    parts.retain(|(_, figures)| figures.distribution.is_some());
    if parts.len() > MOST_CURVES {
        parts.sort_by_key(|(_, figures)| Reverse(figures.latency.as_ref().map(|times| times.p99)));
        parts.truncate(MOST_CURVES);
    }
    let all = once(("all requests", &report.summary)).chain(parts);
    all.filter_map(|(label, figures)| curve(label, figures)).collect()
}

/// Points of percentile curves: the part that is slower, as 1 in so many, and what each curve is there. A curve ends
/// with its slowest request.
fn points(curves: &[(String, Times)]) -> Vec<(f64, Vec<Option<u64>>)> {
    let most = curves.iter().map(|(_, times)| times.count()).max().unwrap_or(0);
    // The first point beyond the number of samples shows the slowest.
    let last = |count: u64| ((count.max(1) as f64).log10() * POINTS).ceil() as i32;
    let point = |place: i32| {
        let one_in = 10_f64.powf(f64::from(place) / POINTS);
        let percentile = 100.0 * (1.0 - 1.0 / one_in);
        let value =
            |(_, times): &(String, Times)| times.percentile(percentile).filter(|_| place <= last(times.count()));
        (one_in, curves.iter().map(value).collect())
    };
    if most == 0 { Vec::new() } else { (0..=last(most)).map(point).collect() }
}

fn percentiles(report: &Report) -> Value {
    let curves = curves(report);
    let points = points(&curves);
    let x: Vec<f64> = points.iter().map(|(one_in, _)| rounded(*one_in, 4)).collect();
    let series = curves.iter().enumerate().map(|(place, (label, _))| {
        let label: String = label.chars().take(40).collect();
        json!({"label": label, "y": points.iter().map(|(_, values)| values[place]).collect::<Vec<_>>()})
    });
    json!({"x": x, "series": series.collect::<Value>()})
}

/// The run over time, in charts.
pub(super) fn over_time(report: &Report) -> Markup {
    let timeline = &report.timeline;
    if timeline.buckets.is_empty() || report.summary.requests == 0 {
        return html! { p.none { "No request was sent, so there is nothing to show over time." } };
    }
    let rows = |cells: &dyn Fn(&At, &TimelineBucket) -> Markup| {
        let at = At::report().at("timeline").at("buckets");
        html! { @for (place, bucket) in timeline.buckets.iter().enumerate() {
            tr { (Number::time(at.at(place).at("at"), bucket.at).head()) (cells(&at.at(place), bucket)) }
        } }
    };
    let count = |at: &At, key: &str, count: u64| Number::count(at.at(key), count).cell();
    let time = |at: &At, key: &str, time: Option<u64>| cell(time.map(|time| Number::time(at.at(key), time)));
    let with_plan = plans_rate(report);
    let users = rows(&|at, bucket| {
        html! {
            (count(at, "users", bucket.users.into())) (count(at, "plannedUsers", bucket.planned_users.into()))
        }
    });
    let rates = rows(&|at, bucket| {
        html! {
            (count(at, "requests", bucket.requests)) (Number::rate(at.at("rate"), bucket.rate).cell())
            @if with_plan { (cell(bucket.planned_rate.map(|rate| Number::rate(at.at("plannedRate"), rate)))) }
        }
    });
    let times = rows(&|at, bucket| {
        html! {
            (time(at, "p50", bucket.p50)) (time(at, "p95", bucket.p95)) (time(at, "p99", bucket.p99))
        }
    });
    let failed = rows(&|at, bucket| count(at, "errors", bucket.errors));
    let rate_columns: &[&str] = if with_plan { &["requests", "rate", "planned"] } else { &["requests", "rate"] };
    html! {
        p.hint { "Each point is " (Number::time(At::report().at("timeline").at("width"), timeline.width).inline())
            " long. A request is counted where it ended. Drag across a chart to look closer, double-click to go back." }
        div.charts {
            (chart("users", "Users at once", &["users", "planned"], &users))
            (chart("rate", "Requests per second", rate_columns, &rates))
            (chart("latency", "Latency of answers", &["p50", "p95", "p99"], &times))
            (chart("failed", "Failed requests", &["failed"], &failed))
        }
        (heatmap(report))
    }
}

fn chart(kind: &str, title: &str, columns: &[&str], rows: &Markup) -> Markup {
    figure(
        kind,
        title,
        &html! {
            thead { tr { th scope="col" { "from" } @for column in columns { th.n scope="col" { (column) } } } }
            tbody { (rows) }
        },
    )
}

fn figure(kind: &str, title: &str, table: &Markup) -> Markup {
    html! {
        figure.chart {
            figcaption { (title) }
            div.plot data-chart=(kind) role="img" aria-label={ (title) ", drawn from the table below" } {}
            details { summary { "Data" } (scroll(&html! { table.small { (table) } })) }
        }
    }
}

/// When how many answers took how long.
fn heatmap(report: &Report) -> Markup {
    let buckets = &report.timeline.buckets;
    let bands = || buckets.iter().flat_map(|bucket| bucket.heat.iter().map(|(band, _)| *band));
    let (Some(lowest), Some(highest)) = (bands().min(), bands().max()) else { return html! {} };
    let at = At::report().at("timeline").at("buckets");
    let table = html! {
        thead { tr { th scope="col" { "from" }
            @for band in lowest..=highest { th.n scope="col" { "from " (short_time(begin(band))) } } } }
        tbody { @for (place, bucket) in buckets.iter().enumerate() {
            tr { (Number::time(at.at(place).at("at"), bucket.at).head())
                @for band in lowest..=highest {
                    @match bucket.heat.iter().position(|(of, _)| *of == band) {
                        Some(nth) => {
                            (Number::count(at.at(place).at("heat").at(nth).at(1), bucket.heat[nth].1).cell())
                        }
                        None => { td {} }
                    }
                }
            }
        } }
    };
    figure("heat", "Latency heatmap: how many answers took how long, and when", &table)
}

/// Where a band of latency begins, in microseconds.
fn begin(band: u8) -> f64 {
    10_f64.powf(f64::from(band) / 8.0)
}

/// Every figure of the times of all load and of each scenario.
fn all_times(report: &Report) -> Markup {
    let root = At::report();
    let scenarios = report.scenarios.iter().enumerate();
    let scenarios = scenarios.map(|(at, one)| (root.at("scenarios").at(at), name(&one.name), &one.figures));
    let parts: Vec<_> =
        once((root.at("summary"), "all requests".to_owned(), &report.summary)).chain(scenarios).collect();
    let row = |at: &At, of: &str, what: &str, times: &TimeFigures| {
        let time = |key: &str, micros: u64| Number::time(at.at(key), micros).cell();
        let mean = |key: &str, micros: f64| Number::mean(at.at(key), micros).cell();
        html! { tr { th scope="row" { (of) } td { (what) }
            (time("min", times.min)) (mean("mean", times.mean)) (mean("stddev", times.stddev)) (time("p50", times.p50))
            (time("p75", times.p75)) (time("p90", times.p90)) (time("p95", times.p95)) (time("p99", times.p99))
            (time("p99.9", times.p99_9)) (time("max", times.max))
        } }
    };
    scroll(&html! { table.small {
        thead { tr { th scope="col" { "requests" } th scope="col" { "time" }
            @for column in ["min", "mean", "stddev", "p50", "p75", "p90", "p95", "p99", "p99.9", "max"] {
                th.n scope="col" { (column) }
            } } }
        tbody { @for (at, of, figures) in &parts {
            @if let Some(times) = &figures.latency { (row(&at.at("latency"), of, "latency", times)) }
            @if let Some(times) = &figures.time_to_end { (row(&at.at("timeToEnd"), of, "time to any end", times)) }
            @if let Some(times) = &figures.service_time { (row(&at.at("serviceTime"), of, "service time", times)) }
        } }
    } })
}

/// Latency from the fastest to the slowest request.
pub(super) fn distribution(report: &Report) -> Markup {
    if report.summary.latency.is_none() {
        return html! { p.none { "No request was answered, so there is no latency." } (all_times(report)) };
    }
    html! { (percentile_plot(report)) h3 { "All figures" } (all_times(report)) }
}

fn percentile_plot(report: &Report) -> Markup {
    let curves = curves(report);
    let points = points(&curves);
    if points.is_empty() {
        return html! { p.none { "The whole distribution does not fit into where the report is stored." } };
    }
    let table = html! {
        thead { tr { th scope="col" { "percentile" } @for (label, _) in &curves { th.n scope="col" { (label) } } } }
        tbody { @for (one_in, values) in &points {
            tr { th scope="row" { (percentile(*one_in)) }
                @for value in values { td.n { @match value { Some(micros) => (short_time(*micros as f64)), None => "–" } } }
            }
        } }
    };
    let (what, several) = parts(report);
    let all = things(curves.first().map_or(0, |(_, times)| times.count()), "request");
    html! {
        p.hint { "To the right are the slowest requests: at 99%, one in a hundred took as long or longer; at 99.9%, one in a "
            "thousand. A curve that rises steeply at its end has a few very slow ones. Of " (all) "."
            @if several.len() > MOST_CURVES {
                " Of the " (several.len()) " " (what) " those " (MOST_CURVES) " are shown that are slowest at 99%."
            }
        }
        (figure("percentiles", "Latency by percentile", &table))
    }
}

/// `99.9%` of one in 1,000: as many digits as tell it from the next.
fn percentile(one_in: f64) -> String {
    let decimals = one_in.log10().floor() as usize + 1;
    let text = format!("{:.decimals$}", 100.0 * (1.0 - 1.0 / one_in));
    format!("{}%", if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_of_percentiles_ends_with_the_slowest_request() {
        let mut times = Times::new();
        (1..=1000).for_each(|micros| times.record(micros));
        let mut few = Times::new();
        few.record(5);
        let points = points(&[("all".to_owned(), times), ("few".to_owned(), few)]);
        let (first, last) = (&points[0], &points[points.len() - 1]);
        assert_eq!((first.0, &first.1[..]), (1.0, &[Some(1), Some(5)][..]));
        assert_eq!((last.0.round(), &last.1[..]), (1000.0, &[Some(1000), None][..]));
    }

    #[test]
    fn percentiles_have_the_digits_that_tell_them_apart() {
        assert_eq!(
            [1.0, 2.0, 10.0, 100.0, 1000.0, 10_000.0].map(percentile),
            ["0%", "50%", "90%", "99%", "99.9%", "99.99%"]
        );
    }
}

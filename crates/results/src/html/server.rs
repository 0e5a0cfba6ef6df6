//! What the target said of itself: figures, and a chart of each metric beside those of the load.

use maud::{Markup, html};
use serde_json::{Value, json};

use super::number::{At, Number};
use super::table::{cut, name, scroll};
use crate::report::Report;
use crate::server::{ServerFigures, ServerReport, ServerUnit};
use crate::words::rounded;

/// More of a text than this is not read by anybody.
const LONGEST_TEXT: usize = 500;

/// What the script draws.
pub(super) fn data(report: &Report) -> Value {
    let of = |metric: &ServerReport| {
        let (x, y): (Vec<f64>, Vec<f64>) =
            metric.samples.iter().map(|(at, y)| (rounded(*at as f64 / 1e6, 3), *y)).unzip();
        let label: String = name(&metric.name).chars().take(40).collect();
        json!({"label": label, "unit": metric.unit, "x": x, "y": y})
    };
    report.server.iter().map(of).collect()
}

/// The target's own metrics.
pub(super) fn server(report: &Report) -> Markup {
    let at = At::report().at("server");
    html! {
        p.hint { "What Prometheus says of the target for the time under load. The slope is a share of the mean, in an hour: "
            "what rises steadily in a test of constant load is a leak." }
        (scroll(&html! { table {
            thead { tr { th scope="col" { "metric" }
                @for column in ["min", "avg", "max", "last", "slope"] { th.n scope="col" { (column) } } } }
            tbody { @for (place, metric) in report.server.iter().enumerate() { (row(&at.at(place), metric)) } }
        } }))
        div.charts { @for (place, metric) in report.server.iter().enumerate() {
            @if !metric.samples.is_empty() { (chart(&at.at(place), place, metric)) }
        } }
        (stages(report))
    }
}

fn cells(at: &At, unit: ServerUnit, figures: &ServerFigures) -> Markup {
    let cell = |key: &str, value: f64| Number::observed(at.at(key), value, unit.shown(value)).cell();
    html! {
        (cell("min", figures.min)) (cell("avg", figures.avg)) (cell("max", figures.max)) (cell("last", figures.last))
        td.n { (figures.shown_slope()) }
    }
}

fn row(at: &At, metric: &ServerReport) -> Markup {
    html! { tr {
        th scope="row" { (name(&metric.name))
            small { code { (cut(&metric.query, LONGEST_TEXT)) } }
            @if let Some(error) = &metric.error { small { (cut(error, LONGEST_TEXT)) } }
        }
        @match &metric.figures {
            Some(figures) => (cells(&at.at("figures"), metric.unit, figures)),
            None => td.n colspan="5" { "–" },
        }
    } }
}

fn chart(at: &At, place: usize, metric: &ServerReport) -> Markup {
    let title = name(&metric.name);
    html! {
        figure.chart {
            figcaption { (title) }
            div.plot data-chart="server" data-series=(place) role="img" aria-label={ (title) ", drawn from the table below" } {}
            details { summary { "Data" } (scroll(&html! { table.small {
                thead { tr { th scope="col" { "at" } th.n scope="col" { (title) } } }
                tbody { @for (nth, (moment, value)) in metric.samples.iter().enumerate() { tr {
                    (Number::time(at.at("samples").at(nth).at(0), *moment).head())
                    (Number::observed(at.at("samples").at(nth).at(1), *value, metric.unit.shown(*value)).cell())
                } } }
            } })) }
        }
    }
}

/// The figures of each stage; nothing where there is one alone.
fn stages(report: &Report) -> Markup {
    if report.server.iter().all(|metric| metric.stages.len() < 2) {
        return html! {};
    }
    let at = At::report().at("server");
    html! {
        h3 { "By stage" }
        (scroll(&html! { table.small {
            thead { tr { th scope="col" { "metric" } th scope="col" { "scenario" } th scope="col" { "stage" }
                @for column in ["min", "avg", "max", "last", "slope"] { th.n scope="col" { (column) } } } }
            tbody { @for (place, metric) in report.server.iter().enumerate() {
                @for (nth, stage) in metric.stages.iter().enumerate() { tr {
                    th scope="row" { (name(&metric.name)) } td { (name(&stage.scenario)) } td { (name(&stage.stage)) }
                    (cells(&at.at(place).at("stages").at(nth).at("figures"), metric.unit, &stage.figures))
                } }
            } }
        } }))
    }
}

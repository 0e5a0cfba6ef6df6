//! What the target said of itself.

use super::escape::text;
use super::page::Page;
use crate::report::Report;
use crate::server::ServerReport;

/// So many rows of a table are shown, if there is room.
const MOST: usize = 100;

/// The target's own metrics; of those that nothing is known of, why.
pub(super) fn server(report: &Report, page: &mut Page) {
    if report.server.is_empty() {
        return;
    }
    page.line("### The target's own metrics");
    page.gap();
    let row = |metric: &ServerReport| {
        let shown = |value| text(&metric.unit.shown(value));
        let figures = metric.figures.as_ref().map_or_else(
            || vec!["-".to_owned(); 5],
            |figures| {
                let values = [figures.min, figures.avg, figures.max, figures.last].map(shown);
                values.into_iter().chain([figures.shown_slope()]).collect()
            },
        );
        [vec![text(&metric.name)], figures].concat()
    };
    page.table(&["metric"], &["min", "avg", "max", "last", "slope"], MOST, report.server.iter().map(row));
    let failed = report.server.iter().filter_map(|metric| Some((metric, metric.error.as_ref()?)));
    let left_out =
        failed.filter(|(metric, error)| !page.try_push(&format!("- {}: {}\n", text(&metric.name), text(error))));
    let left_out = left_out.count();
    page.more(left_out);
    page.gap();
}

//! What the target said of itself.

use super::sections::heading;
use super::table::{Piece, Table};
use super::{Style, wrapped};
use crate::report::Report;
use crate::words::safe;

/// The target's own metrics, and of those that nothing is known of, why.
pub(super) fn server(report: &Report, style: Style) -> String {
    if report.server.is_empty() {
        return String::new();
    }
    let mut table = Table::new(1);
    table.row(["", "min", "avg", "max", "last", "slope"].map(Piece::dim));
    let mut errors = String::new();
    for metric in &report.server {
        let shown = |value| Piece::new(metric.unit.shown(value));
        match &metric.figures {
            Some(figures) => table.row([
                Piece::new(safe(&metric.name)),
                shown(figures.min),
                shown(figures.avg),
                shown(figures.max),
                shown(figures.last),
                Piece::new(figures.shown_slope()),
            ]),
            None => table.row([Piece::new(safe(&metric.name)), Piece::dim("-")]),
        }
        if let Some(error) = &metric.error {
            errors += &wrapped("  ", &format!("{}: {}", safe(&metric.name), safe(error)), style.width);
        }
    }
    heading("The target's own metrics", style) + &table.lines(2, style.color) + &errors
}

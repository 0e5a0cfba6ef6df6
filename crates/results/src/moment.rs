//! Moments of a run on the calendar.

use jiff::{SignedDuration, Timestamp};

use crate::report::Report;

/// The moment so many microseconds after the run's begin; none where it is not known when that was.
pub(crate) fn moment(report: &Report, micros: u64) -> Option<Timestamp> {
    let begin: Timestamp = report.start.as_deref()?.parse().ok()?;
    begin.checked_add(SignedDuration::from_micros(i64::try_from(micros).ok()?)).ok()
}

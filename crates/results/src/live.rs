//! What the columns of `kubectl get` show while a run is under way, and once it is over.

use std::collections::BTreeMap;

use proofload_api::Outcome;
use proofload_api::status::LiveStatus;
use proofload_api::units::{short_share, short_time};

use crate::cell::EncodedCell;
use crate::histogram::{DIGITS, Times};
use crate::merge::SnapshotSet;
use crate::report::Report;
use crate::snapshot::Snapshot;
use crate::status::errors;
use crate::words::share;

/// What a look at a run leaves for the next one: for each runner its requests so far, and for how long it has been at
/// work by its own clock.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mark(BTreeMap<u32, (u64, u64)>);

impl Mark {
    /// The mark of what is known now.
    pub fn of(snapshots: &SnapshotSet) -> Self {
        let mark = |snapshot: &Snapshot| {
            let requests =
                snapshots.cells_of_load(snapshot).iter().map(EncodedCell::requests).fold(0, u64::saturating_add);
            (snapshot.segment.index, (requests, snapshot.generator.elapsed))
        };
        Self(snapshots.iter().map(mark).collect())
    }

    /// Requests per second between an earlier look and this one, each runner by its own clock.
    fn rate_since(&self, earlier: &Self) -> f64 {
        let rate = self.0.iter().map(|(index, now)| {
            let before = earlier.0.get(index).copied().unwrap_or_default();
            // The clock of a runner that has ended stands still, and its rate is then zero.
            match now.1.saturating_sub(before.1) {
                0 => 0.0,
                elapsed => now.0.saturating_sub(before.0) as f64 * 1e6 / elapsed as f64,
            }
        });
        rate.sum()
    }
}

/// A run as it is now: requests per second since an earlier look; p99 and errors of the whole run so far; users of the
/// runners that are not lost. Decodes one histogram at a time, so that it costs no more for a plan of many steps.
pub fn since(earlier: &Mark, snapshots: &SnapshotSet, is_lost: impl Fn(u32) -> bool) -> LiveStatus {
    let mut latency = Times::new();
    let (mut answered, mut failed) = (0_u64, 0_u64);
    for cell in snapshots.iter().flat_map(|snapshot| snapshots.cells_of_load(snapshot)) {
        let count = |outcome: Outcome| cell.outcomes[outcome.index()];
        answered = answered.saturating_add(cell.requests().saturating_sub(count(Outcome::Interrupted)));
        let errors = Outcome::ALL.into_iter().filter(|outcome| outcome.is_error()).map(count);
        failed = errors.fold(failed, u64::saturating_add);
        // What cannot be read is said in the report, at the end.
        cell.latency.iter().filter_map(|(_, times)| times.decode(DIGITS).ok()).for_each(|times| latency.add(&times));
    }
    let at_work = snapshots.iter().filter(|snapshot| !is_lost(snapshot.segment.index));
    LiveStatus {
        users: at_work.map(|snapshot| snapshots.users_of_load(snapshot)).fold(0, u32::saturating_add),
        rps: Mark::of(snapshots).rate_since(earlier).round() as u64,
        p99: p99(latency.percentile(99.0)),
        errors: if answered == 0 { "-".to_owned() } else { short_share(share(failed, answered)) },
    }
}

/// The whole run, once it is over: no users any more, and the rate of all of it.
pub fn at_end(report: &Report) -> LiveStatus {
    LiveStatus {
        users: 0,
        rps: report.summary.rate.round() as u64,
        p99: p99(report.summary.latency.as_ref().map(|latency| latency.p99)),
        errors: errors(&report.summary),
    }
}

fn p99(micros: Option<u64>) -> String {
    micros.map_or_else(|| "-".to_owned(), |micros| short_time(micros as f64))
}

//! What the columns of `kubectl get` show while a run is under way, and once it is over.

use std::collections::BTreeMap;

use proofload_api::status::{GeneratorStatus, LiveStatus};
use proofload_api::units::{short_share, short_time};
use proofload_api::{Micros, Outcome};

use crate::cell::EncodedCell;
use crate::health::{Strain, cpu, strains, throttled};
use crate::histogram::{DIGITS, Sum};
use crate::merge::SnapshotSet;
use crate::pressure::Ratio;
use crate::report::Report;
use crate::snapshot::{GeneratorRecord, RunnerState, Snapshot};
use crate::status::errors;
use crate::words::{share, things};

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
/// runners that are not lost. Makes one sum, so that it holds no more for a plan of many steps.
pub fn since(earlier: &Mark, snapshots: &SnapshotSet, is_lost: impl Fn(u32) -> bool) -> LiveStatus {
    let mut latency = Sum::new(DIGITS);
    let (mut answered, mut failed) = (0_u64, 0_u64);
    for cell in snapshots.iter().flat_map(|snapshot| snapshots.cells_of_load(snapshot)) {
        let count = |outcome: Outcome| cell.outcomes[outcome.index()];
        answered = answered.saturating_add(cell.requests().saturating_sub(count(Outcome::Interrupted)));
        let errors = Outcome::ALL.into_iter().filter(|outcome| outcome.is_error()).map(count);
        failed = errors.fold(failed, u64::saturating_add);
        // What cannot be read is said in the report, at the end.
        let answered = cell.latency.iter().filter(|(outcome, _)| outcome.has_latency());
        answered.for_each(|(_, times)| drop(latency.add(times)));
    }
    let latency = latency.finish();
    let at_work = snapshots.iter().filter(|snapshot| !is_lost(snapshot.segment.index));
    LiveStatus {
        users: at_work.map(|snapshot| snapshots.users_of_load(snapshot)).fold(0, u32::saturating_add),
        rps: Mark::of(snapshots).rate_since(earlier).round() as u64,
        p99: p99(latency.percentile(99.0)),
        errors: if answered == 0 { "-".to_owned() } else { short_share(share(failed, answered)) },
    }
}

/// What runners that send load have too little of just now. Needs no figures: it is in every answer of a runner.
pub fn warnings<'a>(runners: u32, snapshots: impl IntoIterator<Item = &'a Snapshot>) -> Vec<Strain> {
    let at_work = snapshots.into_iter().filter(|snapshot| snapshot.state == RunnerState::Running);
    at_work.flat_map(|snapshot| strains(snapshot.segment.index, &snapshot.generator, runners)).collect()
}

/// The generator while a run is under way: figures of the run so far, and what it has too little of just now.
pub fn generator(snapshots: &SnapshotSet, skew: Micros, warnings: &[Strain]) -> GeneratorStatus {
    let records = || snapshots.iter().map(|snapshot| &snapshot.generator);
    let most = |of: fn(&GeneratorRecord) -> Ratio| {
        short_share(records().map(of).fold(Ratio::default(), Ratio::larger).share())
    };
    let mut lateness = Sum::new(DIGITS);
    records().for_each(|record| drop(lateness.add(&record.lateness)));
    let lateness = lateness.finish();
    let more = warnings.len().saturating_sub(GeneratorStatus::MOST_WARNINGS);
    let mut texts: Vec<String> =
        warnings.iter().take(GeneratorStatus::MOST_WARNINGS).map(|strain| strain.text.clone()).collect();
    if more > 0 {
        texts.push(format!("and {}", things(more as u64, "more warning")));
    }
    GeneratorStatus {
        healthy: warnings.is_empty(),
        cpu: most(cpu),
        throttled: most(throttled),
        lateness_p99: p99(lateness.percentile(99.0)),
        skew: short_time(skew.0 as f64),
        warnings: texts,
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

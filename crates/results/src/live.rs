//! What the columns of `kubectl get` show while a run is under way, and once it is over.

use proofload_api::Outcome;
use proofload_api::status::LiveStatus;
use proofload_api::units::{short_share, short_time};
use proofload_plan::Scope;

use crate::report::Report;
use crate::status::errors;
use crate::totals::Totals;
use crate::words::share;

/// What happened between two looks at a run: requests per second of the interval, each runner by its own clock; p99 and
/// errors of the whole run so far; users now. A lost runner's users count until [`Totals::lose`] says that it is gone.
pub fn between(earlier: &Totals, later: &Totals) -> LiveStatus {
    let rate = later.runners.iter().map(|(index, now)| {
        let before = earlier.runners.get(index).map_or((0, 0), |before| (before.requests, before.generator.elapsed));
        let requests = now.requests.saturating_sub(before.0);
        // The clock of a runner that has ended stands still, and its rate is then zero.
        match now.generator.elapsed.saturating_sub(before.1) {
            0 => 0.0,
            elapsed => requests as f64 * 1e6 / elapsed as f64,
        }
    });
    let so_far = later.scope(Scope::Run);
    let answered = so_far.requests().saturating_sub(so_far.count(Outcome::Interrupted));
    LiveStatus {
        users: later.users(),
        rps: rate.sum::<f64>().round() as u64,
        p99: p99(so_far.latency(None).percentile(99.0)),
        errors: if answered == 0 { "-".to_owned() } else { short_share(share(so_far.errors(), answered)) },
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

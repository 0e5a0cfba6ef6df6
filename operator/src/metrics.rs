//! What Prometheus sees of the operator: counters of its own work, and what status says of tests and schedules.
//!
//! Of tests and schedules nothing is remembered here but ticks: a scrape reads the caches. So what is told is there again
//! after a restart, and is gone with the object that it is of.

mod requests;
mod runs;
mod schedules;
mod work;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use kube::runtime::reflector::Store;
use proofload_api::LoadTest;
use proofload_api::schedule::LoadTestSchedule;
use proofload_metrics::Exposition;
use proofload_metrics::catalogue::operator::LEADER;

pub(crate) use self::requests::Counting;
use self::schedules::Ticks;
use self::work::Work;

/// What is scraped.
#[derive(Default)]
pub(crate) struct Metrics {
    work: Mutex<Work>,
    ticks: Mutex<Ticks>,
    leads: AtomicBool,
    tests: OnceLock<Store<LoadTest>>,
    schedules: OnceLock<Store<LoadTestSchedule>>,
}

/// What an object is that passes are over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A `LoadTest`.
    Test,
    /// A `LoadTestSchedule`.
    Schedule,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Test => "LoadTest",
            Self::Schedule => "LoadTestSchedule",
        }
    }
}

impl Metrics {
    /// A pass over an object, called `NAMESPACE/NAME`, begins.
    pub(crate) fn begins(&self, kind: Kind, object: &str) -> Instant {
        lock(&self.work).begins(kind, object);
        Instant::now()
    }

    /// It is over: after how long the next one is wanted, if one is; or where it failed.
    pub(crate) fn ends(
        &self,
        kind: Kind,
        object: &str,
        began: Instant,
        result: Result<Option<Duration>, &'static str>,
    ) {
        lock(&self.work).ends(kind, object, began, Instant::now(), result);
    }

    /// The API server has answered a request, or has not.
    fn asked(&self, verb: &'static str, code: String) {
        lock(&self.work).asked(verb, code);
    }

    /// Whether this operator is the one that acts.
    pub(crate) fn leads(&self, leads: bool) {
        self.leads.store(leads, Ordering::Release);
    }

    /// Where the tests are that there are. Later calls change nothing.
    pub(crate) fn tests_from(&self, tests: Store<LoadTest>) {
        let _ = self.tests.set(tests);
    }

    /// Where the schedules are that there are. Later calls change nothing.
    pub(crate) fn schedules_from(&self, schedules: Store<LoadTestSchedule>) {
        let _ = self.schedules.set(schedules);
    }

    /// So many runs of a schedule were due, by its ticks, a wish or a rollout; and so many were made.
    pub(crate) fn schedule_dealt_with(&self, namespace: &str, name: &str, due: u64, made: u64) {
        lock(&self.ticks).dealt_with(namespace, name, due, made);
    }

    /// All of it, now.
    pub(crate) fn exposition(&self) -> Exposition {
        let tests = self.tests.get().map(Store::state).unwrap_or_default();
        let schedules = self.schedules.get().map(Store::state).unwrap_or_default();
        let mut seen = Exposition::new();
        seen.set(&LEADER, [], f64::from(u8::from(self.leads.load(Ordering::Acquire))));
        lock(&self.work).describe(&mut seen, &tests, &schedules, Instant::now());
        runs::describe(&mut seen, tests);
        lock(&self.ticks).describe(&mut seen, &schedules);
        seen
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

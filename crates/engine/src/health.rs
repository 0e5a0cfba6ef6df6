//! What the generator says of itself: CPU time used and allowed, throttling, lateness, files, ports, memory. The
//! distribution of lateness comes from the recorders.
//!
//! A thread of its own looks each second for as long as the engine lives, so that the windows do not depend on how often
//! somebody asks for a snapshot.

use std::io;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use proofload_api::units::Micros;
use proofload_results::Pressure;
use proofload_results::health::MAX_LATENESS_P99;
use proofload_results::snapshot::GeneratorRecord;
use rustix::time::{ClockId, clock_gettime};

use crate::cgroup::Groups;
use crate::failure::Shortage;
use crate::limits;
use crate::watch::{LOOK, Reading, Watch};

/// Watches the process from the begin of its load to the end of it.
pub(crate) struct Health {
    tallies: Vec<Arc<Tally>>,
    groups: Groups,
    /// CPUs that the threads may use.
    cpus: f64,
    ports: u32,
    state: Mutex<State>,
}

struct State {
    /// At the begin of the load: when it begins, and the counters before it.
    before: Option<(Instant, Counters)>,
    watch: Watch,
    /// At the end of the load.
    after: Option<GeneratorRecord>,
}

/// What the operating system counts over all of the process's life, in microseconds.
#[derive(Debug, Clone, Copy)]
struct Counters {
    cpu: u64,
    throttled: u64,
}

/// What one thread that sends load counts for whoever watches it. On a cache line of its own, and written by that thread
/// alone: counting is a load and a store, no locked instruction.
#[derive(Default)]
#[repr(align(64))]
pub(crate) struct Tally {
    requests: AtomicU64,
    late: AtomicU64,
    without_file: AtomicU64,
    without_port: AtomicU64,
    /// The thread's number; 0 before it runs.
    thread: AtomicI32,
}

impl Tally {
    /// The thread that calls this is the one that counts.
    pub(crate) fn belongs_to_this_thread(&self) {
        self.thread.store(rustix::thread::gettid().as_raw_nonzero().get(), Ordering::Relaxed);
    }

    /// A request is done that left so late.
    pub(crate) fn count(&self, lateness: Micros) {
        one_more(&self.requests);
        if lateness > MAX_LATENESS_P99 {
            one_more(&self.late);
        }
    }

    /// A request failed for what this process has too little of.
    pub(crate) fn count_shortage(&self, shortage: Shortage) {
        one_more(match shortage {
            Shortage::Files => &self.without_file,
            Shortage::Ports => &self.without_port,
        });
    }
}

fn one_more(counter: &AtomicU64) {
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

impl Health {
    pub(crate) fn new(threads: usize) -> Self {
        let all = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as f64;
        let groups = Groups::own();
        let cpus = groups.cpu_limit().map_or(all, |limit| limit.min(all)).min(threads as f64);
        Self {
            tallies: (0..threads).map(|_| Arc::default()).collect(),
            groups,
            cpus,
            ports: limits::ports(),
            state: Mutex::new(State { before: None, watch: Watch::new(cpus), after: None }),
        }
    }

    /// What a thread counts into.
    pub(crate) fn tally(&self, thread: usize) -> Arc<Tally> {
        Arc::clone(&self.tallies[thread])
    }

    /// The load begins at a time, which may be a little in the future.
    pub(crate) fn begin(&self, at: Instant) {
        let mut state = self.lock();
        if state.before.is_none() {
            let reading = self.reading(0);
            state.before = Some((at, Counters { cpu: reading.cpu, throttled: reading.throttled }));
            state.watch.look(reading);
        }
    }

    /// Looks how it is, while the load is on.
    fn look(&self) {
        let mut state = self.lock();
        if let (Some((begin, _)), None) = (state.before, &state.after) {
            let reading = self.reading(Micros::from(begin.elapsed()).0);
            state.watch.look(reading);
        }
    }

    /// What is true now, so long after the begin.
    fn reading(&self, at: u64) -> Reading {
        let Counters { cpu, throttled } = self.counters();
        let wanted = |tally: &Arc<Tally>| limits::wanted_cpu(tally.thread.load(Ordering::Relaxed));
        Reading {
            at,
            cpu,
            throttled,
            threads: self.tallies.iter().map(wanted).collect(),
            requests: self.sum(|tally| &tally.requests),
            late: self.sum(|tally| &tally.late),
            files: limits::files(),
            memory: limits::memory(&self.groups),
        }
    }

    /// The load has ended: what is true now stays.
    pub(crate) fn freeze(&self) {
        self.look();
        let mut state = self.lock();
        if state.after.is_none() {
            let mut record = self.record_of(&state);
            record.recent = Pressure::default();
            state.after = Some(record);
        }
    }

    /// The record, but for its lateness.
    pub(crate) fn record(&self) -> GeneratorRecord {
        let state = self.lock();
        state.after.clone().unwrap_or_else(|| self.record_of(&state))
    }

    fn record_of(&self, state: &State) -> GeneratorRecord {
        let mut record = GeneratorRecord {
            threads: self.tallies.len() as u32,
            memory: limits::peak_memory(),
            recent: state.watch.recent(),
            worst: state.watch.worst(),
            without_file: self.sum(|tally| &tally.without_file),
            without_port: self.sum(|tally| &tally.without_port),
            ports: self.ports,
            ..Default::default()
        };
        if let Some((begin, before)) = state.before {
            let now = self.counters();
            record.elapsed = Micros::from(begin.elapsed()).0;
            record.cpu = now.cpu.saturating_sub(before.cpu);
            record.throttled = now.throttled.saturating_sub(before.throttled);
            record.cpu_available = (record.elapsed as f64 * self.cpus) as u64;
        }
        record
    }

    fn counters(&self) -> Counters {
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        let cpu = cpu.tv_sec as u64 * 1_000_000 + cpu.tv_nsec as u64 / 1000;
        Counters { cpu, throttled: self.groups.throttled() }
    }

    fn sum(&self, of: fn(&Tally) -> &AtomicU64) -> u64 {
        self.tallies.iter().map(|tally| of(tally).load(Ordering::Relaxed)).sum()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks each second, until what this gives is dropped.
pub(crate) fn watch(health: Arc<Health>) -> io::Result<Sender<()>> {
    let (alive, ended): (_, Receiver<()>) = channel();
    std::thread::Builder::new().name("health".to_owned()).stack_size(256 << 10).spawn(move || {
        while ended.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
            health.look();
        }
    })?;
    Ok(alive)
}

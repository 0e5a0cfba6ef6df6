//! What the generator says of itself: CPU time used and allowed, throttling, memory. Lateness comes from the recorders.

use std::fs;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use proofload_api::units::Micros;
use proofload_results::snapshot::GeneratorRecord;
use rustix::time::{ClockId, clock_gettime};

use crate::cgroup;

/// Watches the process from the begin of its load to the end of it.
pub(crate) struct Health {
    threads: usize,
    /// CPUs that the process may use.
    cpus: f64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// At the begin of the load: when it begins, and the counters before it.
    before: Option<(Instant, Counters)>,
    /// At the end of the load.
    after: Option<GeneratorRecord>,
}

/// What the operating system counts over all of the process's life, in microseconds.
#[derive(Debug, Clone, Copy)]
struct Counters {
    cpu: u64,
    throttled: u64,
}

impl Health {
    pub(crate) fn new(threads: usize) -> Self {
        let all = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as f64;
        Self { threads, cpus: cgroup::cpu_limit().map_or(all, |limit| limit.min(all)), state: Mutex::default() }
    }

    /// The load begins at a time, which may be a little in the future.
    pub(crate) fn begin(&self, at: Instant) {
        self.lock().before.get_or_insert_with(|| (at, Counters::now()));
    }

    /// The load has ended: what is true now stays.
    pub(crate) fn freeze(&self) {
        let mut state = self.lock();
        if state.after.is_none() {
            state.after = Some(self.record_of(&state));
        }
    }

    /// The record, but for its lateness.
    pub(crate) fn record(&self) -> GeneratorRecord {
        let state = self.lock();
        state.after.clone().unwrap_or_else(|| self.record_of(&state))
    }

    fn record_of(&self, state: &State) -> GeneratorRecord {
        let mut record = GeneratorRecord { threads: self.threads as u32, memory: peak_memory(), ..Default::default() };
        if let Some((begin, before)) = state.before {
            let now = Counters::now();
            record.elapsed = Micros::from(begin.elapsed()).0;
            record.cpu = now.cpu.saturating_sub(before.cpu);
            record.throttled = now.throttled.saturating_sub(before.throttled);
            record.cpu_available = (record.elapsed as f64 * self.cpus.min(self.threads as f64)) as u64;
        }
        record
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counters {
    fn now() -> Self {
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        Self { cpu: cpu.tv_sec as u64 * 1_000_000 + cpu.tv_nsec as u64 / 1000, throttled: cgroup::throttled() }
    }
}

/// Resident memory at its highest, in bytes; 0 where the kernel does not say.
fn peak_memory() -> u64 {
    let kibibytes = || {
        let text = fs::read_to_string("/proc/self/status").ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    };
    kibibytes().unwrap_or(0) * 1024
}

//! How hard a generator is pressed: what it uses of what it may use, over a window of a few seconds.
//!
//! Figures of a whole run hide what did not last for all of it: a generator that was saturated for the last five minutes
//! of an hour has used little of its CPU on average. So every runner looks at itself each second, and keeps the latest
//! window and the worst one. A window is long enough that a moment's burst does not fill it.

use proofload_api::Micros;
use serde::{Deserialize, Serialize};

use crate::snapshot::GeneratorRecord;
use crate::words::share;

/// How long a window is that leaves a doubt.
pub const WINDOW: Micros = Micros::from_secs(10);
/// How long the latest window is at least before it is told of: at the begin of a run there is no longer one.
pub const SHORTEST_WINDOW: Micros = Micros::from_secs(5);

/// A part of a whole; of nothing where the whole is zero, which is how what cannot be known is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ratio {
    /// So much.
    pub part: u64,
    /// Of so much.
    pub whole: u64,
}

impl Ratio {
    /// A part of a whole.
    pub const fn new(part: u64, whole: u64) -> Self {
        Self { part, whole }
    }

    /// The part as a share, 0 where there is no whole.
    pub fn share(self) -> f64 {
        share(self.part, self.whole)
    }

    /// Of two the one with the larger share.
    #[must_use]
    pub fn larger(self, other: Self) -> Self {
        let cross = |part: u64, whole: u64| u128::from(part) * u128::from(whole);
        match (self.whole, other.whole) {
            (0, _) => other,
            (_, 0) => self,
            _ if cross(other.part, self.whole) > cross(self.part, other.whole) => other,
            _ => self,
        }
    }
}

/// What a generator used of what it may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Pressure {
    /// CPU time of the process, of what it could have used.
    pub cpu: Ratio,
    /// Time in which the busiest thread that sends load was running or ready to run, of the time that passed. A thread
    /// that is always one or the other has more to do than it gets done, whoever else takes the CPU.
    pub thread: Ratio,
    /// Time for which the container was throttled, of the time that passed.
    pub throttled: Ratio,
    /// The length of the seconds in which more than 1% of the requests left later than
    /// [`crate::health::MAX_LATENESS_P99`] after their time, of the time that passed.
    pub late: Ratio,
    /// Open files, of those that the process may open.
    pub files: Ratio,
    /// Memory in use, of the limit that is closest.
    pub memory: Ratio,
}

impl Pressure {
    /// The worst of two, each resource by itself.
    #[must_use]
    pub fn worse(self, other: Self) -> Self {
        Self {
            cpu: self.cpu.larger(other.cpu),
            thread: self.thread.larger(other.thread),
            throttled: self.throttled.larger(other.throttled),
            late: self.late.larger(other.late),
            files: self.files.larger(other.files),
            memory: self.memory.larger(other.memory),
        }
    }
}

impl GeneratorRecord {
    /// What becomes of it where the process has so many engines on so many CPUs: an engine takes the process for its own,
    /// but its share of the CPUs is that of all engines together, as the CPU time is that it sets against it.
    pub fn share_process(&mut self, engines: u64, cpus: u64) {
        let most = share(self.elapsed.saturating_mul(cpus), self.cpu_available);
        let times = if most > 0.0 { most.min(engines as f64) } else { engines as f64 };
        for available in [&mut self.cpu_available, &mut self.recent.cpu.whole, &mut self.worst.cpu.whole] {
            *available = (*available as f64 * times) as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_larger_share_is_worse_and_what_is_not_known_is_no_share() {
        let (half, third, nothing) = (Ratio::new(5, 10), Ratio::new(10, 30), Ratio::default());
        assert_eq!((half.larger(third), third.larger(half)), (half, half));
        assert_eq!((nothing.larger(third), third.larger(nothing)), (third, third));
        let worst =
            Pressure { cpu: half, ..Pressure::default() }.worse(Pressure { late: third, ..Pressure::default() });
        assert_eq!(worst, Pressure { cpu: half, late: third, ..Pressure::default() });
        assert_eq!(Ratio::new(u64::MAX, 1).larger(Ratio::new(u64::MAX, 2)), Ratio::new(u64::MAX, 1));
    }

    #[test]
    fn engines_of_one_process_share_its_cpus() {
        let pressure = Pressure { cpu: Ratio::new(18, 10), throttled: Ratio::new(0, 10), ..Pressure::default() };
        let mut record = GeneratorRecord {
            cpu: 180,
            cpu_available: 100,
            elapsed: 100,
            recent: pressure,
            worst: pressure,
            ..GeneratorRecord::default()
        };
        record.share_process(4, 2);
        assert_eq!(record.cpu_available, 200);
        assert_eq!((record.recent.cpu, record.worst.cpu), (Ratio::new(18, 20), Ratio::new(18, 20)));
    }
}

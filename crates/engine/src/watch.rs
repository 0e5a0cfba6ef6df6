//! Windows over what a generator looks up about itself each second: the latest, and the worst.
//!
//! Knows no clock and asks nothing: a reading comes in, with its time.

use std::collections::VecDeque;
use std::time::Duration;

use proofload_results::pressure::{SHORTEST_WINDOW, WINDOW};
use proofload_results::{Pressure, Ratio};

/// Between two looks.
pub(crate) const LOOK: Duration = Duration::from_secs(1);
/// Of so many requests one may be late.
const ONE_OF: u64 = 100;

/// What is looked up. Times are in microseconds; all but files and memory only ever grow.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reading {
    /// Since the begin of the load.
    pub(crate) at: u64,
    /// CPU time of the process.
    pub(crate) cpu: u64,
    /// Time for which the container was throttled.
    pub(crate) throttled: u64,
    /// Time for which each thread that sends load was running or ready to.
    pub(crate) threads: Vec<u64>,
    /// Requests that are done.
    pub(crate) requests: u64,
    /// Those of them that left too late.
    pub(crate) late: u64,
    pub(crate) files: Ratio,
    pub(crate) memory: Ratio,
}

/// The windows of a run.
#[derive(Debug)]
pub(crate) struct Watch {
    /// CPUs that the process may use.
    cpus: f64,
    /// The readings of the latest window, and how much of the time was late until each of them.
    readings: VecDeque<(Reading, u64)>,
    recent: Pressure,
    worst: Pressure,
}

impl Watch {
    pub(crate) fn new(cpus: f64) -> Self {
        Self { cpus, readings: VecDeque::new(), recent: Pressure::default(), worst: Pressure::default() }
    }

    /// Takes in a reading.
    pub(crate) fn look(&mut self, reading: Reading) {
        let late = self.readings.back().map_or(0, |(last, late)| late + late_since(last, &reading));
        self.readings.push_back((reading, late));
        let Some((now, late)) = self.readings.back() else { return };
        let is_whole = |(then, _): &(Reading, u64)| now.at.saturating_sub(then.at) >= WINDOW.0;
        // The first reading is that at the begin of the window: the last one that makes it whole.
        let spare = self.readings.iter().skip(1).take_while(|then| is_whole(then)).count();
        let Some((then, late_then)) = self.readings.get(spare) else { return };
        self.recent = self.between(then, now, late - late_then);
        // Files and memory are of this moment.
        let of_moment = Pressure { files: now.files, memory: now.memory, ..Pressure::default() };
        let ended = if now.at.saturating_sub(then.at) >= WINDOW.0 { self.recent } else { of_moment };
        self.worst = self.worst.worse(ended);
        self.readings.drain(..spare);
    }

    fn between(&self, then: &Reading, now: &Reading, late: u64) -> Pressure {
        let span = now.at.saturating_sub(then.at);
        let of_time = |now: u64, then: u64| Ratio::new(now.saturating_sub(then), span);
        let threads = now.threads.iter().zip(&then.threads).map(|(now, then)| of_time(*now, *then));
        Pressure {
            cpu: Ratio::new(now.cpu.saturating_sub(then.cpu), (span as f64 * self.cpus) as u64),
            thread: threads.fold(Ratio::default(), Ratio::larger),
            throttled: of_time(now.throttled, then.throttled),
            late: Ratio::new(late, span),
            files: now.files,
            memory: now.memory,
        }
    }

    /// The latest window, once it is long enough to speak of.
    pub(crate) fn recent(&self) -> Pressure {
        let of_moment = Pressure { files: self.recent.files, memory: self.recent.memory, ..Pressure::default() };
        if self.recent.throttled.whole >= SHORTEST_WINDOW.0 { self.recent } else { of_moment }
    }

    /// Of all whole windows the worst.
    pub(crate) fn worst(&self) -> Pressure {
        self.worst
    }
}

/// How much of the time between two looks was late: all of it if of the requests that were done more than one in a hundred
/// was; and what a look came too late by, since then this whole process was not run.
fn late_since(then: &Reading, now: &Reading) -> u64 {
    let span = now.at.saturating_sub(then.at);
    let (requests, late) = (now.requests.saturating_sub(then.requests), now.late.saturating_sub(then.late));
    let look = LOOK.as_micros() as u64;
    if late * ONE_OF > requests {
        span
    } else if span > 2 * look {
        span - look
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    /// A run of so many seconds of one thread on one CPU, which are as `second` makes them.
    fn run(seconds: u64, mut second: impl FnMut(u64, &mut Reading)) -> Watch {
        let mut watch = Watch::new(1.0);
        let mut reading = Reading { threads: vec![0], ..Reading::default() };
        watch.look(reading.clone());
        for at in 0..seconds {
            reading.at += SECOND;
            reading.requests += 1000;
            reading.cpu += SECOND / 5;
            reading.threads[0] += SECOND / 4;
            second(at, &mut reading);
            watch.look(reading.clone());
        }
        watch
    }

    #[test]
    fn what_lasts_for_a_window_is_found_however_long_the_run() {
        let watch = run(3600, |at, reading| {
            if (2000..2011).contains(&at) {
                reading.cpu += SECOND * 4 / 5;
                reading.threads[0] += SECOND * 3 / 4;
                reading.throttled += SECOND / 2;
                reading.late += 11;
            }
        });
        let worst = watch.worst();
        assert_eq!(worst.cpu.part, worst.cpu.whole);
        assert_eq!((worst.thread.share(), worst.throttled.share(), worst.late.share()), (1.0, 0.5, 1.0));
        assert_eq!(watch.recent().cpu, Ratio::new(2 * SECOND, 10 * SECOND), "it is over");
    }

    #[test]
    fn a_burst_fills_no_window() {
        let watch = run(3600, |at, reading| {
            if (2000..2003).contains(&at) {
                reading.cpu += SECOND * 4 / 5;
                reading.late += 1000;
            }
        });
        assert_eq!((watch.worst().cpu.share(), watch.worst().late.share()), (0.44, 0.3));
    }

    #[test]
    fn a_window_is_told_of_from_5_s_on_and_leaves_a_doubt_from_10_s_on() {
        let busy = |_, reading: &mut Reading| reading.cpu += SECOND * 4 / 5;
        assert_eq!(run(4, busy).recent().cpu, Ratio::default());
        let told = run(5, busy);
        assert_eq!((told.recent().cpu.share(), told.worst().cpu), (1.0, Ratio::default()));
        assert_eq!(run(10, busy).worst().cpu, Ratio::new(10 * SECOND, 10 * SECOND));
    }

    #[test]
    fn files_and_memory_are_of_the_worst_moment() {
        let watch = run(20, |at, reading| {
            reading.files = Ratio::new(if at == 3 { 99 } else { 10 }, 100);
            reading.memory = Ratio::new(if at == 15 { 98 } else { 20 }, 100);
        });
        assert_eq!((watch.worst().files.part, watch.worst().memory.part), (99, 98));
        assert_eq!((watch.recent().files.part, watch.recent().memory.part), (10, 20));
    }

    #[test]
    fn a_process_that_was_not_run_was_late() {
        let watch = run(30, |at, reading| reading.at += if at == 12 { 9 * SECOND } else { 0 });
        assert!(watch.worst().late.share() > 0.8, "{:?}", watch.worst());
    }

    #[test]
    fn what_is_kept_does_not_grow() {
        let watch = run(24 * 3600, |_, _| {});
        assert!(watch.readings.len() <= 12, "{}", watch.readings.len());
    }
}

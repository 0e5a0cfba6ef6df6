//! A loop that does nothing but sleep until the next moment of an even rate, and how late it wakes, as one line of JSON:
//! what `cargo xtask bench` holds our lateness against, since no generator that sleeps can be earlier on the same machine.
//!
//! `sleeper RATE SECONDS`: RATE is a number per second. Times are in microseconds.

use std::error::Error;
use std::time::{Duration, Instant};

use proofload_results::Times;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use serde_json::json;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().collect();
    let number =
        |at: usize| args.get(at).ok_or("expected RATE SECONDS")?.parse::<u32>().map_err(|error| error.to_string());
    let (rate, seconds) = (number(1)?, number(2)?);
    let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC)?;
    let (begin, mut lateness) = (Instant::now(), Times::new());
    for number in 1..=u64::from(rate) * u64::from(seconds) {
        let due = begin + Duration::from_secs(1).mul_f64(number as f64 / f64::from(rate));
        let left = due.saturating_duration_since(Instant::now());
        if !left.is_zero() {
            let value = Timespec { tv_sec: i64::try_from(left.as_secs())?, tv_nsec: left.subsec_nanos().into() };
            let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
            timerfd_settime(&timer, TimerfdTimerFlags::empty(), &once)?;
            rustix::io::read(&timer, &mut [0; 8])?;
        }
        lateness.record(u64::try_from(due.elapsed().as_micros())?);
    }
    let at = |percentile: f64| lateness.percentile(percentile);
    println!(
        "{}",
        json!({"lateness": {"p50": at(50.0), "p90": at(90.0), "p99": at(99.0), "p99.9": at(99.9), "max": at(100.0)}})
    );
    Ok(())
}

//! What the kernel says of this machine and of processes, and the arithmetic of figures.

use std::net::{SocketAddr, TcpListener};

use anyhow::{Context as _, Result};

/// Where the server runs, and where the generators do: they must not share a core.
pub(super) const SERVER_CORE: &str = "0";
pub(super) const GENERATOR_CORE: &str = "1";

/// Ticks of the kernel's accounting in a second, as /proc tells it on every architecture that we know.
const TICKS: f64 = 100.0;

/// Nothing listens here now.
pub(super) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}

/// Seconds of CPU that all processes of this machine used so far.
pub(super) fn busy() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/stat")?;
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu ")).context("/proc/stat has all CPUs together")?;
    let ticks: Vec<f64> = line.split_whitespace().filter_map(|ticks| ticks.parse().ok()).collect();
    // user, nice, system, idle, iowait, irq, softirq; what follows is not ours or counted already.
    Ok(ticks.iter().take(7).enumerate().filter(|(at, _)| *at != 3 && *at != 4).map(|(_, ticks)| ticks).sum::<f64>()
        / TICKS)
}

/// Seconds of CPU that a process used so far.
pub(super) fn busy_of(process: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // Names may have spaces; after their closing parenthesis, user and system time are the 12th and 13th field.
    let (_, fields) = stat.rsplit_once(')').context("/proc/PID/stat has a name in parentheses")?;
    Ok(fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS)
}

/// The most bytes that a process and its descendants had resident so far; those that are gone have none.
pub(super) fn most_resident(process: u32) -> u64 {
    let own = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let own = own.lines().find_map(|line| line.strip_prefix("VmHWM:")).map(|text| text.trim().trim_end_matches(" kB"));
    let own = own.and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024;
    own + children(process).into_iter().map(most_resident).sum::<u64>()
}

/// The processes that a process has started, as far as they run.
pub(super) fn children(process: u32) -> Vec<u32> {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>()).collect()
}

pub(super) fn load_average() -> Result<String> {
    let text = std::fs::read_to_string("/proc/loadavg")?;
    Ok(text.split_whitespace().next().unwrap_or_default().to_owned())
}

/// The median; none of nothing.
pub(super) fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// The least, the median and the most; none of nothing.
pub(super) fn spread(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64, f64)> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    Some((*values.first()?, values[values.len() / 2], *values.last()?))
}

/// A percentile of sorted values: the smallest that so many percent do not exceed.
pub(super) fn percentile(sorted: &[f64], percentile: f64) -> Option<f64> {
    // 99.9% of 1000 is 999, whatever becomes of it in binary.
    let place = (percentile / 100.0 * sorted.len() as f64 - 1e-6).ceil() as usize;
    sorted.get(place.max(1) - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_of_the_values() {
        let values = [4.0, 1.0, 3.0, 2.0, 5.0];
        assert_eq!(median(values), Some(3.0));
        assert_eq!(spread(values), Some((1.0, 3.0, 5.0)));
        assert_eq!(median([]), None);
        let sorted: Vec<f64> = (1..=1000).map(f64::from).collect();
        assert_eq!(percentile(&sorted, 50.0), Some(500.0));
        assert_eq!(percentile(&sorted, 99.9), Some(999.0));
        assert_eq!(percentile(&sorted, 0.0), Some(1.0));
        assert_eq!(percentile(&[], 50.0), None);
    }

    #[test]
    fn this_process_has_used_memory() {
        assert!(most_resident(std::process::id()) > 100_000);
        assert!(busy_of(std::process::id()).is_ok());
    }
}

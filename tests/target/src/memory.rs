//! A leak to be found: for each request that was counted, so many bytes are kept. They are taken when someone looks, so
//! that the way of a request stays as it is.

use std::sync::{Mutex, PoisonError};

/// No more is ever kept.
const MOST: u64 = 256 << 20;

/// What is kept.
#[derive(Debug, Default)]
pub(crate) struct Leak(Mutex<(u64, Vec<u8>)>);

impl Leak {
    /// From now on, so many bytes are kept for each request; what is kept is given back.
    pub(crate) fn keep(&self, bytes: u64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (bytes, Vec::new());
    }

    /// Keeps what so many requests leave behind.
    fn grow(&self, requests: u64) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (each, kept) = &mut *state;
        let wanted = usize::try_from(each.saturating_mul(requests).min(MOST)).unwrap_or(0);
        if wanted > kept.len() {
            // Written, so that the pages are really there.
            kept.resize(wanted, 1);
        }
    }

    /// The target's metrics in the text format of Prometheus.
    pub(crate) fn metrics(&self, requests: u64) -> String {
        self.grow(requests);
        format!(
            "# HELP process_resident_memory_bytes Memory that this process has.\n\
             # TYPE process_resident_memory_bytes gauge\n\
             process_resident_memory_bytes {}\n\
             # HELP target_requests_total Requests that were counted.\n\
             # TYPE target_requests_total counter\n\
             target_requests_total {requests}\n",
            resident().unwrap_or(0)
        )
    }
}

/// Bytes of this process that are in memory.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_in_the_metrics() {
        let value = |metrics: &str| {
            let line = metrics.lines().find_map(|line| line.strip_prefix("process_resident_memory_bytes "));
            line.unwrap().parse::<u64>().unwrap()
        };
        let leak = Leak::default();
        let before = value(&leak.metrics(10));
        leak.keep(8 << 20);
        let metrics = leak.metrics(4);
        assert!(value(&metrics) > before + (24 << 20), "{metrics}");
        assert!(metrics.ends_with("target_requests_total 4\n"), "{metrics}");
    }
}

//! What the operating system lets this process have: open files, local ports, memory.

use std::fs;
use std::path::Path;

use proofload_results::Ratio;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::cgroup::Groups;

/// Raises the limit of open files as far as the process may by itself: a connection is a file, and the usual limit of
/// 1,024 is for programs that cannot have more. Where that is refused the limit stays, and reaching it is told.
pub fn raise_file_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// Open files, of those that may be.
pub(crate) fn files() -> Ratio {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let directory = Path::new("/proc/self/fd");
    // Since Linux 6.2 the size of the directory is how many there are; before that they are to be counted.
    let size = fs::metadata(directory).map_or(0, |directory| directory.len());
    let open = match size {
        0 => fs::read_dir(directory).map_or(0, |entries| entries.count() as u64),
        size => size,
    };
    Ratio::new(open, limit)
}

/// How many local ports there are for connections to one address; 0 where the kernel does not say.
///
/// How many of them are left is not asked: ports are counted for each address of the target by itself, those of closed
/// connections may or may not be used again (`net.ipv4.tcp_tw_reuse`), and other programs take some. That one could not
/// be had is what tells, and the kernel says that of the connection itself.
pub(crate) fn ports() -> u32 {
    ports_of(&fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default())
}

/// Of `32768 60999`, both of which are used.
fn ports_of(range: &str) -> u32 {
    let mut numbers = range.split_whitespace().filter_map(|number| number.parse::<u32>().ok());
    match (numbers.next(), numbers.next()) {
        (Some(first), Some(last)) if first <= last => last - first + 1,
        _ => 0,
    }
}

/// Memory in use, of the container's limit, or of the machine's memory where there is none.
pub(crate) fn memory(groups: &Groups) -> Ratio {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = kibibytes(&text, "MemTotal:").unwrap_or(0) * 1024;
    let limited = groups.memory(total);
    if limited.whole > 0 {
        return limited;
    }
    let available = kibibytes(&text, "MemAvailable:").map_or(total, |available| available * 1024);
    Ratio::new(total.saturating_sub(available), total)
}

/// Resident memory at its highest, in bytes; 0 where the kernel does not say.
pub(crate) fn peak_memory() -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    kibibytes(&text, "VmHWM:").unwrap_or(0) * 1024
}

/// A number of a file with lines such as `MemTotal:  16384 kB`.
fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// For how long a thread of this process was running or ready to run, in microseconds; 0 where the kernel does not say.
pub(crate) fn wanted_cpu(thread: i32) -> u64 {
    wanted_of(&fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).unwrap_or_default())
}

/// Of `RAN WAITED SLICES`, in nanoseconds.
fn wanted_of(schedstat: &str) -> u64 {
    let numbers = schedstat.split_whitespace().take(2).filter_map(|number| number.parse::<u64>().ok());
    numbers.fold(0, u64::saturating_add) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_files_are_understood() {
        assert_eq!((ports_of("32768\t60999\n"), ports_of("9 8"), ports_of("")), (28_232, 0, 0));
        assert_eq!((wanted_of("2000000 500000 7\n"), wanted_of("")), (2500, 0));
        let text = "MemTotal:       16384 kB\nMemAvailable:    4096 kB\n";
        assert_eq!((kibibytes(text, "MemAvailable:"), kibibytes(text, "VmHWM:")), (Some(4096), None));
    }

    #[test]
    fn this_process_has_files_ports_memory_and_a_thread() {
        let before = files();
        assert!(before.part >= 3 && before.part < before.whole, "{before:?}");
        let opened: Vec<_> = (0..50).map(|_| fs::File::open("/proc/self/status").unwrap()).collect();
        // Other tests open and close files, too.
        assert!(files().part >= opened.len() as u64, "{:?}", files());
        let memory = memory(&Groups::own());
        assert!(memory.part > 0 && memory.part < memory.whole, "{memory:?}");
        assert!(peak_memory() > 1 << 20 && ports() > 0);
        assert!(wanted_cpu(rustix::thread::gettid().as_raw_nonzero().get()) > 0);
    }
}

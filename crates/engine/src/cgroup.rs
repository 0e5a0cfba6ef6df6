//! What the container allows, and how long it held this process back: cgroup v2, and v1 where v2 is not there.
//!
//! Within a container its own group is at the root of the mount. Outside of one the process may be in a group of its own
//! (a systemd unit, `systemd-run -p CPUQuota=50%`). A group is held to the limits of all groups above it, so that each of
//! them counts. v1 has a directory for each controller (within a container, too: `cpu/cpu.stat`), v2 one for all.

use std::fs;
use std::path::{Path, PathBuf};

use proofload_results::Ratio;

const ROOT: &str = "/sys/fs/cgroup";

/// The groups that this process is in.
#[derive(Debug)]
pub(crate) struct Groups {
    cpu: Vec<PathBuf>,
    memory: Vec<PathBuf>,
}

impl Groups {
    /// Those of this process.
    pub(crate) fn own() -> Self {
        Self::below(Path::new(ROOT), &fs::read_to_string("/proc/self/cgroup").unwrap_or_default())
    }

    /// Those below a mount; `own` has lines such as `4:memory:/pod/container` (v1) and `0::/pod/container` (v2).
    fn below(root: &Path, own: &str) -> Self {
        let of = |controller| directories(root, own, controller);
        Self { cpu: of("cpu"), memory: of("memory") }
    }

    /// How many CPUs may be used, if that is limited.
    pub(crate) fn cpu_limit(&self) -> Option<f64> {
        self.cpu.iter().filter_map(|group| cpu_limit(group)).min_by(f64::total_cmp)
    }

    /// For how long this process was throttled, over all of its life, in microseconds; 0 where nothing says so. Summed over
    /// the groups, since of the largest alone a difference could miss another's.
    pub(crate) fn throttled(&self) -> u64 {
        self.cpu.iter().filter_map(|group| throttled(group)).sum()
    }

    /// Memory in use of the limit that is closest, in bytes; nothing without a limit below `machine`, which is how much
    /// there is at all.
    pub(crate) fn memory(&self, machine: u64) -> Ratio {
        let ratios = self.memory.iter().filter_map(|group| memory(group, machine));
        ratios.fold(Ratio::default(), Ratio::larger)
    }
}

/// The directories of a process's group and of those above it.
fn directories(root: &Path, own: &str, controller: &str) -> Vec<PathBuf> {
    let first = root.join(controller);
    let is_v1 = first.is_dir();
    let base = if is_v1 { first } else { root.to_owned() };
    let path = own.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        let is_it = if is_v1 { controllers.split(',').any(|one| one == controller) } else { controllers.is_empty() };
        is_it.then_some(path)
    });
    let path = Path::new(path.unwrap_or_default().trim_start_matches('/'));
    // In a container under v1 the path is the host's, of which nothing is mounted but the root.
    path.ancestors().map(|group| base.join(group)).filter(|directory| directory.is_dir()).collect()
}

fn read(group: &Path, file: &str) -> Option<String> {
    fs::read_to_string(group.join(file)).ok()
}

fn number(group: &Path, file: &str) -> Option<u64> {
    read(group, file)?.trim().parse().ok()
}

/// A number of a file with lines such as `nr_throttled 3`.
fn field(group: &Path, file: &str, name: &str) -> Option<u64> {
    let text = read(group, file)?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    value.trim().parse().ok()
}

fn cpu_limit(group: &Path) -> Option<f64> {
    // v2: `max 100000` or `150000 100000`.
    if let Some(text) = read(group, "cpu.max") {
        let (quota, period) = text.trim().split_once(' ')?;
        return ratio(quota, period);
    }
    ratio(read(group, "cpu.cfs_quota_us")?.trim(), read(group, "cpu.cfs_period_us")?.trim())
}

/// None for `max` and for -1, which are no limit.
fn ratio(quota: &str, period: &str) -> Option<f64> {
    let (quota, period): (f64, f64) = (quota.parse().ok()?, period.parse().ok()?);
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

fn throttled(group: &Path) -> Option<u64> {
    // v2 counts microseconds, v1 nanoseconds.
    let v2 = field(group, "cpu.stat", "throttled_usec");
    v2.or_else(|| Some(field(group, "cpu.stat", "throttled_time")? / 1000))
}

fn memory(group: &Path, machine: u64) -> Option<Ratio> {
    // v2 says `max` where there is no limit, v1 a number that no machine has.
    let limit = number(group, "memory.max").or_else(|| number(group, "memory.limit_in_bytes"))?;
    if limit == 0 || limit >= machine {
        return None;
    }
    let used = number(group, "memory.current").or_else(|| number(group, "memory.usage_in_bytes"))?;
    // Files that nobody has read for some time are dropped when memory is needed: the kubelet leaves them out, too. To ask
    // for that makes the kernel sum up over all CPUs, so only where it matters.
    let droppable = || {
        let v2 = field(group, "memory.stat", "inactive_file");
        field(group, "memory.stat", "total_inactive_file").or(v2).unwrap_or(0)
    };
    let used = if used > limit / 10 * 9 { used.saturating_sub(droppable()) } else { used };
    Some(Ratio::new(used, limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: u64 = 64 << 30;

    /// A directory of files, removed at the end.
    fn with_files(name: &str, own: &str, files: &[(&str, &str)], check: impl Fn(&Groups)) {
        let root = std::env::temp_dir().join(format!("proofload-{name}-{}", std::process::id()));
        fs::create_dir_all(&root).unwrap();
        for (file, text) in files {
            let file = root.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        check(&Groups::below(&root, own));
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn both_versions_are_understood() {
        let v2 = [
            ("cpu.max", "150000 100000\n"),
            ("cpu.stat", "usage_usec 9\nthrottled_usec 1234\n"),
            ("memory.max", "1000\n"),
            ("memory.current", "990\n"),
            ("memory.stat", "anon 600\nfile 390\ninactive_file 300\n"),
        ];
        with_files("v2", "0::/\n", &v2, |groups| {
            assert_eq!((groups.cpu_limit(), groups.throttled()), (Some(1.5), 1234));
            assert_eq!(groups.memory(MACHINE), Ratio::new(690, 1000));
        });
        let v1 = [
            ("cpu/cpu.cfs_quota_us", "50000\n"),
            ("cpu/cpu.cfs_period_us", "100000\n"),
            ("cpu/cpu.stat", "nr_throttled 3\nthrottled_time 5000000\n"),
            ("memory/memory.limit_in_bytes", "1000\n"),
            ("memory/memory.usage_in_bytes", "970\n"),
            ("memory/memory.stat", "inactive_file 0\ntotal_inactive_file 10\n"),
        ];
        // Within a container the host's path is not there.
        with_files("v1", "4:memory:/pod/a\n1:cpu,cpuacct:/pod/a\n", &v1, |groups| {
            assert_eq!((groups.cpu_limit(), groups.throttled()), (Some(0.5), 5000));
            assert_eq!(groups.memory(MACHINE), Ratio::new(960, 1000));
        });
    }

    #[test]
    fn no_limit_is_no_limit() {
        let v2 = [("cpu.max", "max 100000\n"), ("memory.max", "max\n"), ("memory.current", "5\n")];
        with_files("max", "", &v2, |groups| {
            assert_eq!((groups.cpu_limit(), groups.memory(MACHINE)), (None, Ratio::default()));
        });
        let v1 = [
            ("cpu/cpu.cfs_quota_us", "-1\n"),
            ("cpu/cpu.cfs_period_us", "100000\n"),
            ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory/memory.usage_in_bytes", "970\n"),
        ];
        with_files("minus", "", &v1, |groups| {
            assert_eq!((groups.cpu_limit(), groups.memory(MACHINE)), (None, Ratio::default()));
        });
        with_files("none", "0::/a\n", &[], |groups| {
            assert_eq!((groups.cpu_limit(), groups.throttled()), (None, 0));
        });
    }

    #[test]
    fn the_closest_limit_of_all_groups_above_counts() {
        let files = [
            ("cpu.max", "max 100000\n"),
            ("a/cpu.max", "200000 100000\n"),
            ("a/cpu.stat", "throttled_usec 7\n"),
            ("a/memory.max", "1000\n"),
            ("a/memory.current", "800\n"),
            ("a/b/cpu.max", "max 100000\n"),
            ("a/b/cpu.stat", "throttled_usec 0\n"),
            ("a/b/memory.max", "2000\n"),
            ("a/b/memory.current", "500\n"),
            ("other/cpu.max", "1000 100000\n"),
        ];
        with_files("above", "0::/a/b\n", &files, |groups| {
            assert_eq!((groups.cpu_limit(), groups.throttled()), (Some(2.0), 7));
            assert_eq!(groups.memory(MACHINE), Ratio::new(800, 1000));
        });
    }
}

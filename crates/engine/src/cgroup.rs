//! What the container allows, and how long it held this process back: cgroup v2, and v1 where v2 is not there.
//!
//! Within a container its own group is at the root of the mount. Outside of one the files are those of the whole
//! machine, which neither has a limit nor is ever throttled.

use std::fs;
use std::path::Path;

const ROOT: &str = "/sys/fs/cgroup";

/// How many CPUs the group may use, if it is limited.
pub(crate) fn cpu_limit() -> Option<f64> {
    limit_below(Path::new(ROOT))
}

/// For how long the group was throttled, over all of its life, in microseconds; 0 where nothing says so.
pub(crate) fn throttled() -> u64 {
    throttled_below(Path::new(ROOT)).unwrap_or(0)
}

fn limit_below(root: &Path) -> Option<f64> {
    let read = |file: &str| fs::read_to_string(root.join(file)).ok();
    // v2: `max 100000` or `150000 100000`.
    if let Some(text) = read("cpu.max") {
        let (quota, period) = text.trim().split_once(' ')?;
        return ratio(quota, period);
    }
    ratio(read("cpu/cpu.cfs_quota_us")?.trim(), read("cpu/cpu.cfs_period_us")?.trim())
}

/// None for `max` and for -1, which are no limit.
fn ratio(quota: &str, period: &str) -> Option<f64> {
    let (quota, period): (f64, f64) = (quota.parse().ok()?, period.parse().ok()?);
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

fn throttled_below(root: &Path) -> Option<u64> {
    let field = |file: &str, name: &str| {
        let text = fs::read_to_string(root.join(file)).ok()?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        value.trim().parse::<u64>().ok()
    };
    field("cpu.stat", "throttled_usec").or_else(|| Some(field("cpu/cpu.stat", "throttled_time")? / 1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory of files, removed at the end.
    fn with_files(name: &str, files: &[(&str, &str)], check: impl Fn(&Path)) {
        let root = std::env::temp_dir().join(format!("proofload-{name}-{}", std::process::id()));
        fs::create_dir_all(root.join("cpu")).unwrap();
        for (file, text) in files {
            fs::write(root.join(file), text).unwrap();
        }
        check(&root);
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn both_versions_are_understood() {
        let v2 = [("cpu.max", "150000 100000\n"), ("cpu.stat", "usage_usec 9\nthrottled_usec 1234\n")];
        with_files("v2", &v2, |root| assert_eq!((limit_below(root), throttled_below(root)), (Some(1.5), Some(1234))));
        let v1 = [
            ("cpu/cpu.cfs_quota_us", "50000\n"),
            ("cpu/cpu.cfs_period_us", "100000\n"),
            ("cpu/cpu.stat", "nr_throttled 3\nthrottled_time 5000000\n"),
        ];
        with_files("v1", &v1, |root| assert_eq!((limit_below(root), throttled_below(root)), (Some(0.5), Some(5000))));
        with_files("max", &[("cpu.max", "max 100000\n")], |root| assert_eq!(limit_below(root), None));
        with_files("none", &[], |root| assert_eq!((limit_below(root), throttled_below(root)), (None, None)));
    }
}

//! Processes of pods: on the test cluster they are processes of this machine.

use std::path::PathBuf;

/// A process of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process(PathBuf);

/// Processes of the operator.
pub const OPERATOR: &str = "proofload-operator";
/// Processes of runners.
pub const RUNNER: &str = "proofload-runner";

impl Process {
    /// All that execute a program of this name.
    pub fn all(program: &str) -> Vec<Self> {
        // The kernel keeps 15 characters of a name.
        let kept: String = program.chars().take(15).collect();
        let is_it = |path: &PathBuf| std::fs::read_to_string(path.join("comm")).is_ok_and(|name| name.trim() == kept);
        let processes = std::fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
        processes.map(|process| process.path()).filter(is_it).map(Self).collect()
    }

    /// Whether it has this variable with this value in its environment.
    pub fn has(&self, name: &str, value: &str) -> bool {
        let wanted = format!("{name}={value}");
        let environment = std::fs::read(self.0.join("environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|one| one == wanted.as_bytes())
    }

    /// Its number.
    pub fn id(&self) -> String {
        self.0.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Resident memory in KiB; none once it has ended.
    pub fn resident(&self) -> Option<u64> {
        let status = std::fs::read_to_string(self.0.join("status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().trim_end_matches(" kB").parse().ok()
    }
}

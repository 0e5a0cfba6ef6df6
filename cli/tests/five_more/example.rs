//! A file of examples/, run against a demo target in a process of its own, and what both of them said.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use proofload_target::Counts;
use serde_json::Value;

use crate::common::{code, proofload, report};

/// Most of these runs wait nearly all of the time, and can be under way together. One needs the machine for itself.
static MACHINE: RwLock<()> = RwLock::new(());

/// The machine together with other runs.
pub(crate) fn with_others() -> RwLockReadGuard<'static, ()> {
    MACHINE.read().unwrap_or_else(PoisonError::into_inner)
}

/// The machine for one run.
pub(crate) fn alone() -> RwLockWriteGuard<'static, ()> {
    MACHINE.write().unwrap_or_else(PoisonError::into_inner)
}

/// A run that is over.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) report: Value,
    /// What the target counted.
    pub(crate) counts: Counts,
}

pub(crate) fn file_of(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../examples/{name}.yaml"))
}

/// A command, on one CPU of this machine if one is named.
fn on(cpu: Option<&str>, command: Command) -> Command {
    let Some(cpu) = cpu else { return command };
    let mut pinned = Command::new("taskset");
    pinned.args(["--cpu-list", cpu]).arg(command.get_program()).args(command.get_args());
    pinned.env("NO_COLOR", "1").stdin(Stdio::null());
    pinned
}

/// Runs a file. `path` is the one of its `baseUrl`. Generator and target each have the CPU that is named, if one is.
pub(crate) fn run_file(file: &Path, path: &str, cpus: Option<[&str; 2]>) -> Ran {
    let [of_generator, of_target] = cpus.map_or([None; 2], |cpus| cpus.map(Some));
    let target = DemoTarget::start(of_target);
    let url = format!("{}{path}", target.url);
    let arguments = ["run", file.to_str().unwrap(), "--target", &url, "--quiet", "--output", "json"];
    let output = on(of_generator, proofload(&arguments)).output().unwrap();
    Ran { code: code(&output), report: report(&output), counts: target.finish() }
}

/// Runs an example against the profile of its name.
pub(crate) fn run(name: &str) -> Ran {
    run_file(&file_of(name), &format!("/profile/{name}"), None)
}

struct DemoTarget {
    child: Child,
    output: BufReader<ChildStdout>,
    url: String,
}

impl DemoTarget {
    fn start(cpu: Option<&str>) -> Self {
        let mut command = on(cpu, proofload(&["demo-target"]));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut lines = [String::new(), String::new()];
        for line in &mut lines {
            output.read_line(line).unwrap();
        }
        Self { child, output, url: lines[0].trim().to_owned() }
    }

    /// Ends it, which it takes the end of its input for.
    fn finish(mut self) -> Counts {
        drop(self.child.stdin.take());
        let mut counts = String::new();
        self.output.read_to_string(&mut counts).unwrap();
        self.child.wait().unwrap();
        serde_json::from_str(&counts).unwrap()
    }
}

impl Drop for DemoTarget {
    fn drop(&mut self) {
        // Already gone, unless the test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ran {
    /// A scenario's part of the report, or that of a step, a group or a stage in it.
    pub(crate) fn part(&self, scenario: &str, within: Option<(&str, &str)>) -> &Value {
        let found = named(&self.report["scenarios"], scenario);
        within.map_or(found, |(kind, name)| named(&found[kind], name))
    }

    /// The verdict is this one, and this is what became of each criterion, in their order. A busy machine can leave times
    /// in doubt, which is no fault of an example.
    pub(crate) fn ends_as(&self, verdict: &str, outcomes: &[&str]) {
        let doubts = self.report["doubts"].as_array().map(Vec::as_slice).unwrap_or_default();
        assert!(doubts.iter().all(|doubt| doubt["kind"] == "Saturated"), "{doubts:?}");
        let came = self.report["criteria"].as_array().unwrap().iter();
        let came: Vec<_> = came.map(|criterion| criterion["outcome"].as_str().unwrap()).collect();
        let is_right =
            |(came, expected): (&&str, &&str)| came == expected || !doubts.is_empty() && *came == "Untrusted";
        let said = &self.report["reason"];
        assert!(came.len() == outcomes.len() && came.iter().zip(outcomes).all(is_right), "{came:?}: {said}");
        let expected = if came == outcomes {
            verdict
        } else if came.contains(&"Fail") {
            "Failed"
        } else {
            "Inconclusive"
        };
        assert_eq!(self.report["verdict"], expected, "{said}");
        let code = match expected {
            "Passed" => 0,
            "Failed" => 99,
            _ => 98,
        };
        assert_eq!(self.code, code, "{said}");
    }

    /// The texts of the findings of a kind.
    pub(crate) fn findings(&self, kind: &str) -> Vec<&str> {
        let all = self.report["findings"].as_array().into_iter().flatten();
        all.filter(|finding| finding["kind"] == kind).map(|finding| finding["text"].as_str().unwrap()).collect()
    }

    /// There is a finding of this kind that says all of this.
    pub(crate) fn finds(&self, kind: &str, says: &[&str]) {
        let texts = self.findings(kind);
        let is_said = texts.iter().any(|text| says.iter().all(|part| text.contains(part)));
        assert!(is_said, "{kind} {says:?}: {:#}", self.report["findings"]);
    }
}

fn named<'a>(list: &'a Value, name: &str) -> &'a Value {
    let found = list.as_array().into_iter().flatten().find(|one| one["name"] == name);
    found.unwrap_or_else(|| panic!("there is no {name} in {list:#}"))
}

/// A number of the report.
pub(crate) fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

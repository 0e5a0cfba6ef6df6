//! `proofload compare` as a CI job meets it: what it says, where to, and its exit codes.
#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::OnceLock;

use common::{code, proofload, report, text};
use proofload_target::TestTarget;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Runs a test of 800 requests for a path of the target, and stores its report.
fn run(directory: &Path, name: &str, path: &str) -> PathBuf {
    let target = TestTarget::start().unwrap();
    let (file, stored) = (directory.join(format!("{name}.yaml")), directory.join(format!("{name}.json.gz")));
    let test = format!(
        "apiVersion: proofload.dev/v1alpha1\nkind: LoadTest\nmetadata: {{name: {name}}}\nspec:\n  \
         target: {{baseUrl: 'http://127.0.0.1:1'}}\n  scenarios:\n  - name: main\n    \
         iterations: {{users: 4, perUser: 200, maxDuration: 60s}}\n    \
         steps: [{{name: get, request: {{path: {path}}}}}]\n"
    );
    std::fs::write(&file, test).unwrap();
    let (file, report) = (file.to_str().unwrap(), stored.to_str().unwrap());
    let output = proofload(&["run", file, "--target", &target.url(), "--report", report, "-q"]).output().unwrap();
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    stored
}

/// Reports of the same work, where each answer took 1 ms, and 20 ms.
struct Runs {
    directory: TempDir,
    fast: PathBuf,
    slow: PathBuf,
}

fn runs() -> &'static Runs {
    static RUNS: OnceLock<Runs> = OnceLock::new();
    RUNS.get_or_init(|| {
        let directory = TempDir::new().unwrap();
        let [fast, slow] = [("fast", "/delay/1"), ("slow", "/delay/20")]
            .map(|(name, path)| certain(&run(directory.path(), name, path)));
        Runs { directory, fast, slow }
    })
}

/// Takes doubts out of a report: what a busy machine leaves there is not what is tested here.
fn certain(stored: &Path) -> PathBuf {
    let output = proofload(&["report", stored.to_str().unwrap(), "--output", "json"]).output().unwrap();
    let mut stored_report = report(&output);
    stored_report["doubts"] = json!([]);
    let plain = stored.with_extension("");
    std::fs::write(&plain, stored_report.to_string()).unwrap();
    plain
}

fn compare(arguments: &[&str], runs: &[&Path]) -> Output {
    let runs = runs.iter().map(|path| path.to_str().unwrap());
    proofload(&["compare"]).args(runs).args(arguments).output().unwrap()
}

#[test]
fn a_slower_run_ends_with_99_and_the_other_way_round_with_0() {
    let Runs { fast, slow, .. } = runs();
    let output = compare(&[], &[fast, slow]);
    let said = text(&output.stdout);
    assert_eq!(code(&output), 99, "{said}");
    assert!(said.starts_with("A  fast  Unjudged, begun 20") && said.contains("✗ B against A  Worse: "), "{said}");
    assert!(said.lines().any(|line| line.trim().starts_with("✗  main/get  p50 ")), "{said}");
    let output = compare(&[], &[slow, fast]);
    assert_eq!(code(&output), 0, "{}", text(&output.stdout));
    assert!(text(&output.stdout).contains("✓ B against A  Not worse, and better: "), "{}", text(&output.stdout));
    // Of several, one is enough.
    assert_eq!(code(&compare(&[], &[fast, fast, slow])), 99);
}

#[test]
fn a_run_against_itself_ends_with_0_in_every_form() {
    let Runs { fast, .. } = runs();
    for (form, begin) in
        [("text", "A  fast"), ("md", "| | run |"), ("html", "<!DOCTYPE html>"), ("json", "{\"version\":1")]
    {
        let output = compare(&["-o", form], &[fast, fast]);
        let said = text(&output.stdout);
        assert!(code(&output) == 0 && said.starts_with(begin), "{form}: {said}");
    }
}

#[test]
fn what_is_tolerated_is_said_by_the_user() {
    let Runs { fast, slow, .. } = runs();
    let mut failing: Value = serde_json::from_reader(File::open(fast).unwrap()).unwrap();
    for figures in ["/summary", "/scenarios/0", "/scenarios/0/steps/0"] {
        let figures = failing.pointer_mut(figures).unwrap();
        (figures["ok"], figures["errors"]) = (json!(720), json!(80));
    }
    let path = slow.with_file_name("failing.json");
    std::fs::write(&path, failing.to_string()).unwrap();
    let worse = |arguments: &[&str]| {
        let output = compare(&[arguments, &["-o", "json"]].concat(), &[fast, &path]);
        let changes = report(&output)["others"][0]["parts"][0]["changes"].clone();
        (code(&output), changes[2]["finding"].as_str().unwrap().to_owned())
    };
    assert_eq!(worse(&[]), (99, "worse".to_owned()));
    assert_eq!(worse(&["--error-tolerance", "15%"]), (0, "same".to_owned()));
    let refused = compare(&["--tolerance", "ten"], &[fast, slow]);
    assert_eq!(code(&refused), 1);
    assert!(text(&refused.stderr).contains("expected a share such as 5% or 0.5%"), "{}", text(&refused.stderr));
}

#[test]
fn what_cannot_be_compared_ends_with_98() {
    let Runs { directory, fast, slow } = runs();
    let mut other: Value = serde_json::from_reader(File::open(slow).unwrap()).unwrap();
    other["scenarios"][0]["name"] = json!("another");
    let path = directory.path().join("other.json");
    std::fs::write(&path, other.to_string()).unwrap();
    let output = compare(&[], &[fast, &path]);
    assert_eq!(code(&output), 98);
    assert!(text(&output.stdout).contains("?  The runs have no scenario in common."), "{}", text(&output.stdout));
}

#[test]
fn a_comparison_goes_into_a_file_and_a_report_comes_by_standard_input() {
    let Runs { directory, fast, slow } = runs();
    let to = directory.path().join("compared.md");
    let arguments = ["compare", "-", slow.to_str().unwrap(), "-o", "md", "--to", to.to_str().unwrap()];
    let output = proofload(&arguments).stdin(Stdio::from(File::open(fast).unwrap())).output().unwrap();
    assert_eq!((code(&output), text(&output.stdout)), (99, String::new()), "{}", text(&output.stderr));
    assert!(std::fs::read_to_string(&to).unwrap().contains("### ✗ B against A: Worse: "));
}

#[test]
fn errors_of_use_and_of_files_end_with_1_and_say_what_to_do() {
    let Runs { fast, .. } = runs();
    let said = |arguments: &[&str]| {
        let output = proofload(arguments).output().unwrap();
        assert_eq!(code(&output), 1);
        text(&output.stderr)
    };
    let fast = fast.to_str().unwrap();
    assert!(said(&["compare", fast]).contains("Usage: proofload compare"));
    assert!(said(&["compare", fast, "/no/such/file"]).contains("there is no file /no/such/file"));
    assert!(said(&["compare", "-", "-"]).contains("at most once, got it 2 times"));
    let no_report = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    assert!(said(&["compare", no_report, fast]).contains("expected a report of Proofload"));
    assert!(said(&["compare", fast, fast, "--to", "/no/such/directory/x"]).contains("writing /no/such/directory/x"));
}

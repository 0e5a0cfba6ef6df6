//! `cargo xtask tidy`: the invariants of ARCHITECTURE.md and rules of the house that can be read from the code.
//!
//! `edges` is about manifests (which crate may depend on what), `rules` about one source file at a time, `tokens` is how
//! a source file is read.

mod edges;
mod rules;
mod tokens;

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use xshell::cmd;

use crate::context::Context;

/// One thing that is not as it should be.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    /// Relative to the repository.
    path: PathBuf,
    line: usize,
    rule: &'static str,
    /// What is wrong and what to do.
    message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.path.display(), self.line, self.rule, self.message)
    }
}

/// Checks the whole repository; prints what it finds and fails if that is anything.
pub(crate) fn check(context: &Context) -> Result<()> {
    let sh = &context.sh;
    let metadata = cmd!(sh, "cargo metadata --no-deps --format-version 1").quiet().read()?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let mut findings = edges::check(&context.root, &metadata)?;
    findings.extend(versions(context)?);
    for package in metadata["packages"].as_array().context("`cargo metadata` lists packages")? {
        let manifest = package["manifest_path"].as_str().context("a package has a manifest")?;
        let directory = Path::new(manifest).parent().context("a manifest lies in a directory")?;
        let krate = directory.strip_prefix(&context.root).context("a member lies in the repository")?;
        for file in rust_files(context, directory)? {
            let source = context.sh.read_file(&file)?;
            let within = file.strip_prefix(directory).context("a file of the crate")?;
            findings.extend(rules::check(&rules::SourceFile::new(krate, within, &source))?);
        }
    }
    for finding in &findings {
        println!("{finding}");
    }
    ensure!(findings.is_empty(), "{} findings", findings.len());
    Ok(())
}

/// The Rust files of a crate, but not of a crate or of build output inside of it.
fn rust_files(context: &Context, directory: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in context.sh.read_dir(directory)? {
        if path.is_dir() {
            if !path.join("Cargo.toml").exists() && !path.join("CACHEDIR.TAG").exists() {
                found.extend(rust_files(context, &path)?);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The chart installs the version that the workspace builds.
fn versions(context: &Context) -> Result<Vec<Finding>> {
    let path = PathBuf::from("charts/proofload/Chart.yaml");
    let chart = context.sh.read_file(&path)?;
    let version = env!("CARGO_PKG_VERSION");
    let finding = |(field, expected): (&str, String)| {
        let line = chart.lines().position(|line| line.starts_with(&format!("{field}:")));
        let right = line.is_some_and(|line| chart.lines().nth(line) == Some(&expected));
        (!right).then(|| Finding {
            path: path.clone(),
            line: line.map_or(1, |line| line + 1),
            rule: "versions",
            message: format!("the workspace's version is {version}: write `{expected}`"),
        })
    };
    let expected = [("version", format!("version: {version}")), ("appVersion", format!("appVersion: \"{version}\""))];
    Ok(expected.into_iter().filter_map(finding).collect())
}

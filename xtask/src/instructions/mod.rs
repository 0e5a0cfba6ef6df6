//! `cargo xtask instructions`: how many instructions the hot path takes, counted by callgrind.
//!
//! Times vary with the machine and with what else runs on it; instructions hardly do, so that a tenth more of them is
//! seen in CI. Each work is run twice, with few and with many operations: the difference is what the operations take, the
//! start and the end of the process are not in it. What is counted is compared with benches/instructions.json, where each
//! architecture has its own figures; `--bless` writes them.
//!
//! The target is a thread of this process (`canned`), outside of valgrind: its instructions are not counted, and its
//! answers are always the same bytes.

mod canned;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use xshell::cmd;

use crate::bench::ours::{build, get, order, report, spec, target};
use crate::context::Context;
use crate::debian;
use canned::Canned;

/// How far a figure may be from the one that was blessed. Counts of requests vary by less than a percent: when the kernel
/// has an answer ready decides how often the runtime asks.
const TOLERANCE: f64 = 0.03;
/// Operations of the short and of the long run.
const REQUESTS: (u32, u32) = (1000, 4000);
/// Merges, and what is merged: runners, steps, and buckets of the timeline.
const MERGES: (u32, u32) = (1, 3);
const MERGED: [&str; 3] = ["10", "50", "600"];
/// What libraries choose by the CPU at hand is chosen alike on all.
const TUNABLES: &str = "glibc.cpu.hwcaps=-AVX2,-AVX,-ERMS,-FSRM,-AVX_Fast_Unaligned_Load,-AVX512F";

/// Instructions for each operation, by work, by architecture.
type Figures = BTreeMap<String, BTreeMap<String, u64>>;

/// A piece of work: its name, what one operation is, and how it is run with so many of them.
struct Work {
    name: &'static str,
    few: u32,
    many: u32,
    run: Box<dyn Fn(u32) -> Result<Vec<String>>>,
}

pub(crate) fn run(context: &Context, bless: bool) -> Result<()> {
    if !debian::present(context, "valgrind") {
        debian::install(context, &["valgrind"], "counting instructions")?;
    }
    let directory = context.home.join("bench");
    context.sh.create_dir(&directory)?;
    let [load, merge] = build(context, ["--example=load", "--example=merge"])?;
    let server = Canned::start()?;
    let mut counted = BTreeMap::new();
    for work in works(context, &load, merge, &server) {
        let instructions = |operations| count(context, &(work.run)(operations)?);
        let (few, many) = (instructions(work.few)?, instructions(work.many)?);
        let each = many.saturating_sub(few) / u64::from(work.many - work.few);
        println!("{}: {each} instructions", work.name);
        counted.insert(work.name.to_owned(), each);
    }
    let file = context.root.join("benches/instructions.json");
    let mut known = read(&file)?;
    let architecture = std::env::consts::ARCH;
    if bless {
        known.insert(architecture.to_owned(), counted);
        return write(&file, &known);
    }
    match known.get(architecture) {
        Some(known) => compare(known, &counted),
        None => bail!("no figures for {architecture} yet: `cargo xtask instructions --bless`"),
    }
}

fn works(context: &Context, load: &Path, merge: PathBuf, server: &Canned) -> Vec<Work> {
    let requests = |name: &'static str, steps: Value| -> Work {
        let spec_file = context.home.join("bench").join(format!("{name}.instructions.json"));
        let (load, url) = (load.to_owned(), server.url());
        let sh = context.sh.clone();
        let run = move |operations: u32| {
            let load_model = json!({"iterations": {"users": 1, "perUser": operations}});
            sh.write_file(&spec_file, spec(&target(&url, &json!({})), &load_model, &steps).to_string())?;
            Ok(words(&load, &[&spec_file.to_string_lossy(), "1", "0"]))
        };
        Work { name, few: REQUESTS.0, many: REQUESTS.1, run: Box::new(run) }
    };
    let merged = move |operations: u32| {
        let [runners, steps, buckets] = MERGED;
        Ok(words(&merge, &[runners, steps, buckets, &operations.to_string()]))
    };
    vec![
        requests("get", get("/")),
        requests("get-chunked", get("/chunked")),
        requests("post-checked", order()),
        Work { name: "merge-of-10-runners", few: MERGES.0, many: MERGES.1, run: Box::new(merged) },
    ]
}

fn words(program: &Path, arguments: &[&str]) -> Vec<String> {
    let program = program.to_string_lossy().into_owned();
    std::iter::once(program).chain(arguments.iter().map(|&argument| argument.to_owned())).collect()
}

/// Runs a command under callgrind: how many instructions it took, in user space.
fn count(context: &Context, command: &[String]) -> Result<u64> {
    let sh = &context.sh;
    let output = cmd!(sh, "valgrind --tool=callgrind --callgrind-out-file=/dev/null {command...}")
        .env("GLIBC_TUNABLES", TUNABLES)
        .quiet()
        .ignore_status()
        .output()?;
    let (said, valgrind) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{}: {said} {valgrind}", command.join(" "));
    let errors = report(&said)?["errors"].as_u64().unwrap_or(0);
    ensure!(errors == 0, "{errors} requests failed: {said}");
    collected(&valgrind).with_context(|| format!("expected callgrind's count, got {valgrind}"))
}

/// From `==123== Collected : 4567`.
fn collected(said: &str) -> Option<u64> {
    let line = said.lines().find(|line| line.contains("Collected :"))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[derive(Serialize, Deserialize)]
struct File {
    /// What the figures are, for who reads the file.
    about: String,
    instructions: Figures,
}

fn read(file: &Path) -> Result<Figures> {
    if !file.exists() {
        return Ok(Figures::new());
    }
    let text = std::fs::read_to_string(file)?;
    Ok(serde_json::from_str::<File>(&text).with_context(|| file.display().to_string())?.instructions)
}

fn write(file: &PathBuf, figures: &Figures) -> Result<()> {
    let about = "Instructions of each operation, counted by callgrind. Written by `cargo xtask instructions --bless`.";
    let text = serde_json::to_string_pretty(&File { about: about.to_owned(), instructions: figures.clone() })?;
    std::fs::create_dir_all(file.parent().context("a file is in a directory")?)?;
    Ok(std::fs::write(file, text + "\n")?)
}

/// Fails where a figure is further from the known one than it may be, in either direction: what became cheaper must not
/// become dearer again unnoticed.
fn compare(known: &BTreeMap<String, u64>, counted: &BTreeMap<String, u64>) -> Result<()> {
    let mut wrong = Vec::new();
    for (name, counted) in counted {
        match known.get(name) {
            Some(known) => {
                let change = *counted as f64 / *known as f64 - 1.0;
                if change.abs() > TOLERANCE {
                    wrong.push(format!("{name}: {counted} instructions instead of {known} ({:+.1}%)", change * 100.0));
                }
            }
            None => wrong.push(format!("{name}: {counted} instructions, and none are known")),
        }
    }
    wrong
        .extend(known.keys().filter(|name| !counted.contains_key(*name)).map(|name| format!("{name}: is not counted")));
    if wrong.is_empty() {
        return Ok(());
    }
    let (wrong, most) = (wrong.join("\n  "), TOLERANCE * 100.0);
    bail!(
        "the hot path takes other numbers of instructions than benches/instructions.json says, by more than {most}%:\n  \
         {wrong}\nIf that is meant, or if it is less now: `cargo xtask instructions --bless`, and say why in the commit"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(of: &[(&str, u64)]) -> BTreeMap<String, u64> {
        of.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }

    #[test]
    fn more_and_fewer_instructions_are_seen_and_a_little_is_not() {
        let known = figures(&[("get", 1000), ("post", 5000)]);
        assert!(compare(&known, &figures(&[("get", 1020), ("post", 4900)])).is_ok());
        let message = |counted: &[(&str, u64)]| compare(&known, &figures(counted)).unwrap_err().to_string();
        assert!(message(&[("get", 1040), ("post", 5000)]).contains("get: 1040 instructions instead of 1000 (+4.0%)"));
        assert!(message(&[("get", 1000), ("post", 4000)]).contains("post: 4000"));
        assert!(message(&[("get", 1000)]).contains("post: is not counted"));
        assert!(message(&[("get", 1000), ("post", 5000), ("new", 1)]).contains("--bless"));
    }

    #[test]
    fn the_count_is_read_as_callgrind_prints_it() {
        let said = "==1== Callgrind\n==1== Events    : Ir\n==1== Collected : 2345678\n==1==\n";
        assert_eq!(collected(said), Some(2_345_678));
        assert_eq!(collected("nothing"), None);
    }
}

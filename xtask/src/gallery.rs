//! `cargo xtask gallery`: runs the examples that follow real load tests, and writes docs/gallery.md with what Proofload made
//! of them: the verdict, the conclusions, and a picture of each report as a browser shows it.
//!
//! Whatever it says was measured when it was made, so it is not checked for drift; `cli/tests/five.rs` checks the same
//! examples' verdicts, counts and conclusions.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use xshell::cmd;

use crate::context::Context;
use crate::debian;

const PAGE: &str = "docs/gallery.md";
const PICTURES: &str = "docs/gallery";

/// Examples, and what they follow.
const EXAMPLES: &[(&str, &str)] = &[
    ("ambient-api", "One slow endpoint, judged against a table"),
    ("ambient-search", "The same endpoint, searched for what it can take"),
    ("deployments", "Four scenarios, and a cliff behind the third"),
    ("threads-api", "A server that had crashed"),
    ("threads-api-staged", "The staged test that was asked for after the crash"),
    ("concurrency-suite", "Twelve endpoints with limits, gaps and timeouts"),
    ("suite-pool", "A pool of connections that is too small"),
    ("suite-soak", "A leak"),
    ("suite-rise", "A slow rise to the breaking point"),
    ("suite-recovery", "How long it takes to recover"),
    ("suite-sequential", "One after the other, and all at once"),
    ("suite-websockets", "A thousand web sockets held open"),
    ("ten-thousand-users", "Ten thousand users"),
];

/// Only these have a picture of their own: the others look the same.
const PICTURED: &[&str] = &["ambient-api", "deployments", "threads-api", "concurrency-suite", "ten-thousand-users"];

/// As wide as a page of documentation, as high as what matters.
const WINDOW: &str = "--window-size=1100,1500";

pub(crate) fn run(context: &Context, only: Option<&str>) -> Result<()> {
    if !debian::present(context, "chromium") {
        debian::install(context, &["chromium", "fonts-dejavu-core"], "the pictures of the gallery")?;
    }
    let sh = &context.sh;
    cmd!(sh, "cargo build --quiet --release -p proofload").quiet().run()?;
    let scratch = sh.create_temp_dir()?;
    sh.create_dir(context.root.join(PICTURES))?;
    let mut page = String::from(
        "# Gallery\n\nReal load tests, reproduced: what people ran, against a target that behaves as theirs did, and what \
         Proofload says of it.\nEach is an example that runs as it is, with `proofload run examples/NAME.yaml --demo-target` \
         and in a cluster.\n\nWritten by `cargo xtask gallery` from runs on a laptop's worth of machine (2 cores): the \
         sentences below are the reports' own.\n",
    );
    for (name, title) in EXAMPLES.iter().filter(|(name, _)| only.is_none_or(|only| only == *name)) {
        eprintln!("{name}");
        let (json, html) = (scratch.path().join("report.json"), scratch.path().join("report.html"));
        let file = context.root.join("examples").join(format!("{name}.yaml"));
        // The exit code is the verdict's.
        let command = cmd!(sh, "cargo run --quiet --release -p proofload -- run {file} --demo-target --quiet");
        command
            .args(["--report".as_ref(), json.as_os_str(), "--report".as_ref(), html.as_os_str()])
            .quiet()
            .ignore_status()
            .ignore_stdout()
            .run()?;
        let report: Value = serde_json::from_str(&sh.read_file(&json)?).context("reading the report")?;
        if PICTURED.contains(name) {
            picture(context, &html, &context.root.join(PICTURES).join(format!("{name}.png")))?;
        }
        page += &section(name, title, &report)?;
    }
    if only.is_none() {
        sh.write_file(context.root.join(PAGE), page)?;
    }
    Ok(())
}

/// Has a browser draw a page.
fn picture(context: &Context, html: &Path, to: &Path) -> Result<()> {
    let sh = &context.sh;
    let (shot, url) = (format!("--screenshot={}", to.display()), format!("file://{}", html.display()));
    let browser =
        ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--virtual-time-budget=5000"];
    cmd!(sh, "timeout 60 chromium {browser...} {WINDOW} {shot} {url}").quiet().ignore_stdout().ignore_stderr().run()?;
    ensure!(to.is_file(), "the browser made no picture of {}", html.display());
    Ok(())
}

fn section(name: &str, title: &str, report: &Value) -> Result<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().replace('\n', " ");
    let mut out = String::new();
    writeln!(
        out,
        "\n## {title}\n\n[examples/{name}.yaml](../examples/{name}.yaml). {}\n",
        text(&report["description"])
    )?;
    writeln!(out, "**{}**: {}\n", text(&report["verdict"]), text(&report["reason"]))?;
    for finding in report["findings"].as_array().into_iter().flatten().take(5) {
        writeln!(out, "- {}", text(&finding["text"]))?;
    }
    if PICTURED.contains(&name) {
        writeln!(out, "\n![The report of {name}](gallery/{name}.png)")?;
    }
    Ok(out)
}

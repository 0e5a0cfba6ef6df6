//! Prometheus's own tools read what runners and operator say: names by its conventions, and both forms of text.

use anyhow::{Context as _, Result, ensure};
use xshell::cmd;

use crate::context::Context;

/// Checks a value of each metric with the `promtool` on the path.
pub(crate) fn check(context: &Context) -> Result<()> {
    let sh = &context.sh;
    let text = cmd!(sh, "cargo run --quiet -p proofload-metrics --example sample").quiet().read()?;
    let said = cmd!(sh, "promtool check metrics").stdin(format!("{text}\n")).read_stderr();
    let said =
        said.context("`promtool check metrics` finds fault, or is not installed (Debian's package prometheus)")?;
    ensure!(said.trim().is_empty(), "`promtool check metrics` finds fault:\n{said}");

    // Its other reader of text wants times, which no scrape has.
    let open = cmd!(sh, "cargo run --quiet -p proofload-metrics --example sample -- open").quiet().read()?;
    let timed: String = open
        .lines()
        .map(|line| if line.starts_with('#') { format!("{line}\n") } else { format!("{line} 1700000000\n") })
        .collect();
    let directory = sh.create_temp_dir()?;
    let (file, blocks) = (directory.path().join("metrics"), directory.path().join("blocks"));
    sh.write_file(&file, timed)?;
    cmd!(sh, "promtool tsdb create-blocks-from openmetrics {file} {blocks}").quiet().ignore_stdout().run()?;
    eprintln!("both forms of text are as promtool wants them");
    Ok(())
}

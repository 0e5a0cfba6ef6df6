//! `proofload compare`: holds stored reports against each other.

use anyhow::{Context, ensure};
use proofload_results::compare::{compare as compared, html, markdown, text};
use proofload_results::text::Style;
use proofload_results::{Report, Tolerance};

use crate::args::{CompareArgs, CompareOutput};
use crate::exit::Exit;
use crate::report::read_report;
use crate::screen;

/// Compares and shows. The exit code says whether anything is worse.
pub(crate) fn compare(args: &CompareArgs) -> anyhow::Result<Exit> {
    let inputs = std::iter::once(&args.baseline).chain(&args.others).filter(|path| path.as_os_str() == "-").count();
    ensure!(inputs < 2, "expected - for standard input at most once, got it {inputs} times");
    let baseline = read_report(&args.baseline, &args.cluster)?;
    let others =
        args.others.iter().map(|path| read_report(path, &args.cluster)).collect::<anyhow::Result<Vec<Report>>>()?;
    let tolerance = Tolerance { relative: args.tolerance, errors: args.error_tolerance };
    let comparison = compared(&baseline, &others.iter().collect::<Vec<_>>(), &tolerance);
    // A file has no colours and no width of its own.
    let style = if args.to.is_some() { Style::default() } else { screen::style() };
    let shown = match args.output {
        CompareOutput::Text => text::render(&comparison, style),
        CompareOutput::Md => markdown::render(&comparison),
        CompareOutput::Html => html::render(&comparison),
        CompareOutput::Json => comparison.to_json() + "\n",
    };
    match &args.to {
        Some(path) => std::fs::write(path, shown).with_context(|| format!("writing {}", path.display()))?,
        None => screen::print(&shown).map(drop)?,
    }
    Ok(comparison.verdict().into())
}

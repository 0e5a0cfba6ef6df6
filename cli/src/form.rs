//! The forms of a report, and the files that they are written into.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use flate2::Compression;
use flate2::write::GzEncoder;
use proofload_results::text::{self, Style};
use proofload_results::{Report, csv, html, junit, markdown};

use crate::args::Output;

/// A report in a form. Of CSV the first file: standard output is only one.
pub(crate) fn rendered(report: &Report, output: Output, style: Style) -> String {
    match output {
        Output::Text => text::render(report, style),
        Output::Html => html::render(report),
        Output::Md => markdown::render(report),
        Output::Junit => junit::render(report),
        Output::Json => report.to_json() + "\n",
        Output::Csv => csv::stats(report),
    }
}

/// Writes a report into a file, or as CSV into the four whose names begin so.
pub(crate) fn write(report: &Report, output: Output, path: &Path) -> anyhow::Result<()> {
    if output != Output::Csv {
        return ReportFile { path: path.to_owned(), output }.create()?.write(report);
    }
    let files = [
        ("_stats.csv", csv::stats as fn(&Report) -> String),
        ("_stats_history.csv", csv::stats_history),
        ("_failures.csv", csv::failures),
        ("_exceptions.csv", csv::exceptions),
    ];
    for (end, file) in files {
        let mut path = OsString::from(path);
        path.push(end);
        let path = PathBuf::from(path);
        std::fs::write(&path, file(report)).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

/// A file for a report.
#[derive(Debug, Clone)]
pub(crate) struct ReportFile {
    path: PathBuf,
    output: Output,
}

impl ReportFile {
    /// The form is that which the name ends with; without an end it is JSON.
    pub(crate) fn parse(path: &str) -> Result<Self, String> {
        let path = PathBuf::from(path);
        let end = path.extension().map(|end| end.to_string_lossy().to_lowercase());
        let output = match end.as_deref() {
            None | Some("json" | "gz") => Output::Json,
            Some("html" | "htm") => Output::Html,
            Some("md") => Output::Md,
            Some("xml") => Output::Junit,
            Some(_) => return Err("expected a name that ends in .json, .json.gz, .html, .md or .xml".to_owned()),
        };
        Ok(Self { path, output })
    }

    /// Creates it, empty as yet.
    pub(crate) fn create(&self) -> anyhow::Result<Created<'_>> {
        let file = File::create(&self.path).with_context(|| format!("creating {}", self.path.display()))?;
        Ok(Created { of: self, file })
    }
}

/// A file that is there, and empty.
#[derive(Debug)]
pub(crate) struct Created<'a> {
    of: &'a ReportFile,
    file: File,
}

impl Created<'_> {
    /// Writes the report, JSON compressed where the name ends in `.gz`.
    pub(crate) fn write(mut self, report: &Report) -> anyhow::Result<()> {
        let ReportFile { path, output } = self.of;
        let text = rendered(report, *output, Style::default());
        let is_compressed = *output == Output::Json && path.extension().is_some_and(|end| end == "gz");
        let written = if is_compressed {
            let mut encoder = GzEncoder::new(&mut self.file, Compression::default());
            encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish().map(drop))
        } else {
            self.file.write_all(text.as_bytes())
        };
        written.with_context(|| format!("writing {}", path.display()))
    }
}

//! Standard output, and what is known of the terminal behind it.

use std::io::{self, IsTerminal, Write};

use anyhow::Context;
use proofload_results::Report;
use proofload_results::text::Style;

use crate::args::Output;
use crate::exit::Exit;
use crate::form::rendered;

/// Prints to standard output. A reader that has gone (`| head`) is no error.
pub(crate) fn print(text: &str) -> anyhow::Result<Exit> {
    let mut output = io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Passed),
        other => other.map(|()| Exit::Passed).context("writing to standard output"),
    }
}

/// Prints a report.
pub(crate) fn print_report(report: &Report, output: Output) -> anyhow::Result<Exit> {
    print(&rendered(report, output, style()))
}

/// How text on standard output is to look.
pub(crate) fn style() -> Style {
    let output = io::stdout();
    let is_terminal = output.is_terminal();
    // https://no-color.org: set to anything but nothing.
    let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let width = rustix::termios::tcgetwinsize(&output).ok().map(|size| usize::from(size.ws_col));
    let default = Style::default().width;
    let width = width.filter(|width| is_terminal && *width > 0).map_or(default, |width| width.clamp(60, 160));
    Style { color: is_terminal && !is_plain, width }
}

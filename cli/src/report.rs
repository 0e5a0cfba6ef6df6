//! `proofload report`: shows a stored report.

use std::io::Read;

use anyhow::{Context, ensure};
use flate2::read::MultiGzDecoder;
use proofload_results::Report;

use crate::args::ReportArgs;
use crate::exit::Exit;
use crate::file::{open, shown};
use crate::screen;

/// The most bytes of a report, not compressed: far more than any has.
const MAX_BYTES: u64 = 64 << 20;

/// Reads a report, compressed or not, and prints it.
pub(crate) fn report(args: &ReportArgs) -> anyhow::Result<Exit> {
    let shown = shown(&args.file);
    let bytes = read(open(&args.file)?).with_context(|| format!("reading {shown}"))?;
    let report = Report::from_json(&bytes).with_context(|| format!("reading {shown}"))?;
    screen::print_report(&report, args.output)
}

fn read(input: impl Read) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut plain = Vec::new();
        MultiGzDecoder::new(&bytes[..]).take(MAX_BYTES + 1).read_to_end(&mut plain)?;
        bytes = plain;
    }
    ensure!(bytes.len() as u64 <= MAX_BYTES, "expected a report of at most 64 MiB, got more");
    Ok(bytes)
}

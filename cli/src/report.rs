//! `proofload report`: shows a report, of a file or of a run in the cluster.

mod stored;

use std::io::Read;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use flate2::read::MultiGzDecoder;
use proofload_api::MAX_NAME;
use proofload_api::problem::did_you_mean;
use proofload_results::Report;

use crate::args::{ClusterArgs, ReportArgs};
use crate::exit::Exit;
use crate::file::{open, shown};
use crate::{form, screen};

/// The most bytes of a report, not compressed: far more than any has.
const MAX_BYTES: u64 = 64 << 20;

/// Reads a report, and prints it or writes it into files.
pub(crate) fn report(args: &ReportArgs) -> anyhow::Result<Exit> {
    let report = read_report(&args.source, &args.cluster)?;
    match &args.to {
        Some(path) => form::write(&report, args.output, path).map(|()| Exit::Passed),
        None => screen::print_report(&report, args.output),
    }
}

/// Reads a report, compressed or not: of a file, or else of the run of that name in the cluster, `NAME` or
/// `NAMESPACE/NAME`.
pub(crate) fn read_report(source: &Path, cluster: &ClusterArgs) -> anyhow::Result<Report> {
    let text = source.to_str().unwrap_or_default();
    let (namespace, name) = text.split_once('/').map_or((None, text), |(namespace, name)| (Some(namespace), name));
    let name = Some(name).filter(|name| is_name(name) && namespace.is_none_or(is_name));
    // A directory is no report, and often has the name of what is in it.
    let is_here = || source.as_os_str() == "-" || (source.exists() && (name.is_none() || !source.is_dir()));
    if !cluster.is_given() && is_here() {
        let shown = shown(source);
        let bytes = read(open(source)?).with_context(|| format!("reading {shown}"))?;
        return Report::from_json(&bytes).with_context(|| format!("reading {shown}"));
    }
    let Some(name) = name else {
        ensure!(!cluster.is_given(), "expected the name of a LoadTest in the cluster, got {}", source.display());
        bail!("{}", no_file(source));
    };
    let namespaced = ClusterArgs { namespace: namespace.map(str::to_owned), ..cluster.clone() };
    if let (Some(here), Some(given)) = (namespace, &cluster.namespace) {
        ensure!(here == given, "expected a LoadTest in namespace {given}, got one in {here}");
    }
    // What names a run may as well be a file that is not there.
    let is_given = cluster.is_given();
    let cluster = if namespace.is_some() { &namespaced } else { cluster };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let stored = runtime.block_on(stored::fetch(name, cluster)).with_context(|| {
        if is_given { "in the cluster".to_owned() } else { format!("{}, and in the cluster", no_file(source)) }
    })?;
    let what = || format!("reading the report of {name}");
    Report::from_json(&read(&stored[..]).with_context(what)?).with_context(what)
}

/// Whether a `LoadTest` could have this name.
fn is_name(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=MAX_NAME).contains(&text.len()) && text.chars().all(is_part) && !text.starts_with('-') && !text.ends_with('-')
}

/// Says that there is no such file, and which one may have been meant.
fn no_file(path: &Path) -> String {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entries = directory.read_dir().into_iter().flatten().flatten().filter(|entry| entry.path().is_file());
    let names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let near = did_you_mean(name, names.iter().map(String::as_str));
    let hint = near.map(|near| format!(" (did you mean {near}?)")).unwrap_or_default();
    format!("there is no file {}{hint}", path.display())
}

/// A report from its bytes, compressed or not.
pub(crate) fn parse_report(bytes: &[u8]) -> anyhow::Result<Report> {
    Ok(Report::from_json(&read(bytes)?)?)
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

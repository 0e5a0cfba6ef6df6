//! `proofload-runner store`: writes a finished run's report to where `results.store` says, and ends. The operator makes a
//! pod of it, with the report and the credentials mounted.
//!
//! The same report goes to the same names with the same bytes, so that again makes no difference. What passes by itself,
//! such as a connection that is refused, is tried again for a short while; then this process ends and says why in its
//! termination message, and the kubelet starts it again, later each time.

mod bucket;
mod volume;
mod wire;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use flate2::read::GzDecoder;
use proofload_results::{Report, html};
use tracing::{info, warn};

use self::bucket::Bucket;

/// The most bytes that a report unpacks to, as for the operator, which wrote it.
const MAX_UNPACKED: u64 = 64 << 20;
/// The first pause between two tries.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Writes the report of a finished run to a bucket or a volume.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The report, as gzip of JSON.
    #[arg(long, default_value = "/etc/proofload/report.json.gz")]
    report: PathBuf,
    /// The directory of the bucket or the volume to put it into, e.g. `soak/shop/checkout-1f0c9`.
    #[arg(long)]
    to: String,
    /// How long, in seconds, to try again what may pass by itself.
    #[arg(long, default_value_t = 20)]
    patience: u64,
    /// Where to say why the report could not be written; the kubelet puts it into the pod's status.
    #[arg(long, env = "PROOFLOAD_TERMINATION_LOG", default_value = "/dev/termination-log")]
    pub(crate) termination_log: PathBuf,
    /// What to log.
    #[arg(long, env = "PROOFLOAD_LOG", default_value = "info")]
    pub(crate) log: String,
    #[command(subcommand)]
    place: Place,
}

/// Where to.
#[derive(Debug, Subcommand)]
enum Place {
    /// A bucket of anything that speaks S3.
    S3(bucket::Arguments),
    /// A volume that is mounted.
    Volume {
        /// Where it is mounted.
        #[arg(long)]
        root: PathBuf,
    },
}

/// Why a report could not be written, in words that hold no secret and nothing that a server made up.
#[derive(Debug)]
pub(crate) struct Failed {
    words: String,
    /// Whether it may pass by itself within seconds.
    passing: bool,
}

impl Failed {
    fn lasting(words: impl Into<String>) -> Self {
        Self { words: words.into(), passing: false }
    }

    fn passing(words: impl Into<String>) -> Self {
        Self { words: words.into(), passing: true }
    }
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.words)
    }
}

/// A file of a report.
struct Object {
    name: &'static str,
    kind: &'static str,
    bytes: Vec<u8>,
}

/// Writes the report, or says why it could not.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failed> {
    if arguments.to.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
        return Err(Failed::lasting(format!("expected a directory such as a/b, got {:?}", arguments.to)));
    }
    let objects = objects(&arguments.report)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failed::lasting(format!("no runtime: {error}")))?;
    let patience = Duration::from_secs(arguments.patience);
    runtime.block_on(async {
        match &arguments.place {
            Place::S3(s3) => {
                let bucket = Bucket::open(s3)?;
                persist(patience, async || bucket.write(&arguments.to, &objects).await).await
            }
            Place::Volume { root } => persist(patience, async || volume::write(root, &arguments.to, &objects)).await,
        }
    })?;
    info!(to = arguments.to, "stored");
    Ok(())
}

/// The report as it is, after the page for people: whoever finds the report finds its page, too.
fn objects(path: &Path) -> Result<[Object; 2], Failed> {
    let packed = std::fs::read(path)
        .map_err(|error| Failed::lasting(format!("cannot read the report {}: {error}", path.display())))?;
    let not_one = |why: String| Failed::lasting(format!("{} is not a report: {why}", path.display()));
    let mut json = Vec::new();
    let unpacked = GzDecoder::new(&packed[..]).take(MAX_UNPACKED).read_to_end(&mut json);
    unpacked.map_err(|error| not_one(error.to_string()))?;
    let report = Report::from_json(&json).map_err(|error| not_one(error.to_string()))?;
    Ok([
        Object { name: "report.html", kind: "text/html; charset=utf-8", bytes: html::render(&report).into_bytes() },
        Object { name: "report.json.gz", kind: "application/gzip", bytes: packed },
    ])
}

/// Tries again what may pass by itself, with longer and longer pauses.
async fn persist(patience: Duration, mut write: impl AsyncFnMut() -> Result<(), Failed>) -> Result<(), Failed> {
    let end = Instant::now() + patience;
    let mut pause = FIRST_PAUSE;
    loop {
        match write().await {
            Err(failed) if failed.passing && Instant::now() + pause < end => {
                warn!(pause_ms = pause.as_millis(), "tried again soon: {failed}");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            done => return done,
        }
    }
}

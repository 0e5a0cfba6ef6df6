//! A snapshot: everything that one runner has measured so far, cumulative, with a sequence number.

use proofload_api::Outcome;
use proofload_plan::{Level, Segment};
use serde::{Deserialize, Serialize};

use crate::cell::EncodedCell;
use crate::histogram::EncodedTimes;
use crate::pressure::Pressure;

/// The first bytes of an encoded snapshot.
const MAGIC: [u8; 4] = *b"PLSN";

/// Raised by every change of [`Snapshot`]'s encoding, and of what is in it.
pub const SNAPSHOT_VERSION: u16 = 5;

/// The most bytes of an encoded snapshot: what a reader needs to be ready for.
pub const MAX_SNAPSHOT_BYTES: usize = 64 << 20;

/// The most different errors that a runner describes; all are counted all the same, in the cells.
pub const MAX_ERRORS: usize = 200;
/// The most buckets of the timeline; the last one takes what comes after.
pub const MAX_BUCKETS: usize = 600;

/// Everything that one runner has measured so far. All times are microseconds from the run's begin unless said
/// otherwise.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// [`proofload_plan::Plan::run`]; snapshots of different runs are never merged.
    pub run: String,
    /// Whose share this is.
    pub segment: Segment,
    /// Of two snapshots of one runner the one with the higher number holds all of the other.
    pub sequence: u64,
    /// What the runner is doing.
    pub state: RunnerState,
    /// The runner's monotonic clock now, in microseconds from a moment that only it knows.
    pub clock: u64,
    /// The same clock at the begin of the run; none before.
    pub began: Option<u64>,
    /// Each scenario, in the plan's order.
    pub scenarios: Vec<ScenarioProgress>,
    /// Each cell, in the layout's order. Empty before the begin.
    pub cells: Vec<EncodedCell>,
    /// The timeline, in buckets of the plan's width from the run's begin on.
    pub timeline: Vec<EncodedBucket>,
    /// Errors in words, at most [`MAX_ERRORS`] different ones.
    pub errors: Vec<ErrorRecord>,
    /// The generator's own health.
    pub generator: GeneratorRecord,
    /// What setup extracted, by index of the plan's variables: known to the runner that did it, and to those that were
    /// told. Never stored and never shown: these may be secrets.
    pub variables: Vec<(u32, String)>,
    /// Why the conductor stopped the load, if it did: what a conductor that comes later needs to know of it.
    pub stop: Option<StopNote>,
}

impl std::fmt::Debug for Snapshot {
    /// What setup extracted may be secret: only how much of it there is.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot")
            .field("run", &self.run)
            .field("segment", &self.segment)
            .field("sequence", &self.sequence)
            .field("state", &self.state)
            .field("clock", &self.clock)
            .field("began", &self.began)
            .field("scenarios", &self.scenarios)
            .field("cells", &self.cells)
            .field("timeline", &self.timeline)
            .field("errors", &self.errors)
            .field("generator", &self.generator)
            .field("variables", &self.variables.len())
            .field("stop", &self.stop)
            .finish()
    }
}

/// Why a conductor stopped the load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StopNote {
    /// In words.
    pub reason: String,
    /// The criterion that ended the run, if one did.
    pub aborted: Option<Aborted>,
}

/// A criterion that ended the run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Aborted {
    /// Its place among the test's criteria.
    pub criterion: u32,
    /// What was seen in its window, in its unit.
    pub observed: f64,
}

/// What a runner is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RunnerState {
    /// For the first begin.
    Waiting,
    /// Load is under way, or the begin of a later scenario is awaited.
    Running,
    /// Nothing is under way and nothing will be: this snapshot is the last.
    Ended(EndCause),
}

/// Why a runner's load ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EndCause {
    /// Its share of the plan is done.
    Completed,
    /// The conductor said so.
    Stopped,
    /// The process was told to end (SIGTERM).
    Terminated,
    /// Nobody asked for a snapshot for longer than the heartbeat timeout.
    Abandoned,
}

/// How far a runner is with a scenario.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ScenarioProgress {
    /// When its load began.
    pub began: Option<u64>,
    /// When its last request was done.
    pub ended: Option<u64>,
    /// Users at work now.
    pub users: u32,
    /// Iterations done.
    pub iterations: u64,
    /// Iterations cut off by the end of the scenario.
    pub cut_iterations: u64,
    /// Iterations that ended early, since a step needed a value that an earlier one had failed to extract, or a web socket
    /// that was not open.
    pub broken_iterations: u64,
    /// Arrivals that found no free user.
    pub dropped: u64,
    /// Users that found no row left in a `Unique` data set, and stopped.
    pub starved: u64,
    /// Levels of load that the conductor chose, in the order of their begin.
    pub levels: Vec<LevelRecord>,
}

/// A level of load that the conductor chose, and a runner took up.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LevelRecord {
    /// How much, over all runners.
    pub level: Level,
    /// From when on.
    pub from: u64,
    /// What was seen in the window of the level before; none for the first, and where nothing is searched.
    pub before: Option<StepResult>,
}

/// What was seen in a step of a search.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StepResult {
    /// Whether the load of the step was held.
    pub held: bool,
    /// The value of `until`, in its unit; none without samples.
    pub observed: Option<f64>,
    /// Arrivals of the window that found no free user: where there are any, the load was not held.
    pub dropped: u64,
}

/// A bucket of the timeline. A request is in the bucket of its end.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EncodedBucket {
    /// Requests that ended.
    pub requests: u64,
    /// Those that failed.
    pub errors: u64,
    /// The most users at work at once.
    pub users: u32,
    /// Latency, with [`crate::histogram::TIMELINE_DIGITS`] digits.
    pub latency: EncodedTimes,
}

/// One kind of error, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorRecord {
    /// Index of the scenario.
    pub scenario: u32,
    /// Index of the step.
    pub step: u32,
    /// The outcome.
    pub outcome: Outcome,
    /// What happened, e.g. `status 503` or `connection refused`; never a part of a response's body.
    pub message: String,
    /// How often.
    pub count: u64,
    /// When first.
    pub first_seen: u64,
    /// When last.
    pub last_seen: u64,
}

/// What a generator says of itself, since the begin of its load.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct GeneratorRecord {
    /// Threads that send load.
    pub threads: u32,
    /// CPU time used by the whole process.
    pub cpu: u64,
    /// CPU time that the process could have used: elapsed time x CPUs allowed, or x threads if that is less.
    pub cpu_available: u64,
    /// Time for which the container was throttled; 0 outside of a container.
    pub throttled: u64,
    /// Time since the begin of the load, to set the others against; stands still after the end.
    pub elapsed: u64,
    /// Resident memory at its highest, in bytes.
    pub memory: u64,
    /// Actual minus intended send time of every request.
    pub lateness: EncodedTimes,
    /// The latest window; nothing before there is one, and after the end.
    pub recent: Pressure,
    /// Of all whole windows the worst, each resource by itself.
    pub worst: Pressure,
    /// Connections that failed since the process may open no more files.
    pub without_file: u64,
    /// Connections that failed since no local port was left for the target's address.
    pub without_port: u64,
    /// How many local ports there are for connections to one address; 0 where the kernel does not say.
    pub ports: u32,
}

/// Bytes that are not a snapshot that this version can read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSnapshot {
    /// Not a snapshot at all.
    #[error("expected a snapshot (beginning with PLSN), got {0} bytes of something else")]
    NotASnapshot(usize),
    /// Of another version.
    #[error(
        "expected a snapshot of version {SNAPSHOT_VERSION}, got version {0}: runner and operator are of different releases"
    )]
    Version(u16),
    /// Cut off or damaged.
    #[error("expected a whole snapshot, got a damaged one: {0}")]
    Damaged(String),
}

impl Snapshot {
    /// As bytes: a magic number, the version, and the fields in postcard's format.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(SNAPSHOT_VERSION.to_be_bytes());
        postcard::to_extend(self, bytes).expect("a vector takes any number of bytes")
    }

    /// From bytes; never panics, and allocates no more than a few times their number.
    pub fn decode(bytes: &[u8]) -> Result<Self, InvalidSnapshot> {
        let body = bytes.strip_prefix(&MAGIC).ok_or(InvalidSnapshot::NotASnapshot(bytes.len()))?;
        let (version, body) = body.split_first_chunk().ok_or(InvalidSnapshot::NotASnapshot(bytes.len()))?;
        match u16::from_be_bytes(*version) {
            SNAPSHOT_VERSION => postcard::from_bytes(body).map_err(|e| InvalidSnapshot::Damaged(e.to_string())),
            version => Err(InvalidSnapshot::Version(version)),
        }
    }

    /// Users at work now.
    pub fn users(&self) -> u32 {
        self.scenarios.iter().map(|scenario| scenario.users).fold(0, u32::saturating_add)
    }

    /// Whether this is the last snapshot of a runner that did all of its share.
    pub fn is_complete(&self) -> bool {
        self.state == RunnerState::Ended(EndCause::Completed)
    }
}

//! Adds up what the threads hand over, and makes snapshots of it.

use std::collections::BTreeMap;
use std::time::Instant;

use proofload_api::units::Micros;
use proofload_results::histogram::TIMELINE_DIGITS;
use proofload_results::snapshot::MAX_ERRORS;
use proofload_results::{Cell, EncodedBucket, EncodedCell, ErrorRecord, LevelRecord, ScenarioProgress, Times};
use tokio::sync::mpsc;

use crate::recorder::{Bucket, Delta, ErrorKey, Progress, Seen};
use crate::script::Script;

/// What a thread hands over.
pub(crate) struct Report {
    pub(crate) thread: usize,
    /// Of the command that asked for it.
    pub(crate) ticket: u64,
    pub(crate) has_ended: bool,
    pub(crate) is_complete: bool,
    /// What setup's user has extracted since the report before.
    pub(crate) extracted: Vec<(u32, String)>,
    pub(crate) delta: Delta,
}

/// Everything that the threads have handed over.
pub(crate) struct Collector {
    /// Reports wait here until they are added, so that who gives up waiting for a snapshot loses nothing.
    pub(crate) inbox: mpsc::UnboundedReceiver<Report>,
    pub(crate) sequence: u64,
    pub(crate) ticket: u64,
    /// What setup's user has extracted, if it is one of this engine.
    pub(crate) extracted: Vec<(u32, String)>,
    cells: Vec<Kept<Cell, EncodedCell>>,
    lateness: Times,
    buckets: Vec<Slot>,
    errors: BTreeMap<ErrorKey, Seen>,
    threads: Vec<Thread>,
}

/// A sum, and its compact form, which is made again only after a change. A sum that did not change from one snapshot to
/// the next is packed away: only its compact form is kept, which is a hundredth of it. So what is held depends on what is
/// under way and not on how much there was: neither the timeline of a day nor stages that are over take memory.
struct Kept<T, E> {
    sum: Option<T>,
    encoded: Option<E>,
}

/// A bucket over all threads.
struct Slot {
    bucket: Kept<Bucket, EncodedBucket>,
    /// The most users of each thread.
    users: Vec<u32>,
}

/// What is known of a thread.
#[derive(Clone, Default)]
struct Thread {
    ticket: u64,
    has_ended: bool,
    is_complete: bool,
    progress: Vec<Progress>,
}

impl<T, E: Clone + Default> Kept<T, E> {
    const NOTHING: Self = Self { sum: None, encoded: None };

    /// The sum, to be added to; unpacked if it was packed away.
    fn open(&mut self, unpack: impl FnOnce(E) -> T) -> &mut Option<T> {
        if let (Some(encoded), None) = (self.encoded.take(), &self.sum) {
            self.sum = Some(unpack(encoded));
        }
        &mut self.sum
    }

    fn encoded(&mut self, encode: impl FnOnce(&T) -> E) -> E {
        match (&self.encoded, &self.sum) {
            (Some(encoded), _) => {
                self.sum = None;
                encoded.clone()
            }
            (None, Some(sum)) => self.encoded.insert(encode(sum)).clone(),
            (None, None) => E::default(),
        }
    }
}

impl Collector {
    pub(crate) fn new(script: &Script, threads: usize, inbox: mpsc::UnboundedReceiver<Report>) -> Self {
        let thread = Thread { progress: vec![Progress::default(); script.tracks.len()], ..Thread::default() };
        Self {
            inbox,
            sequence: 0,
            ticket: 0,
            extracted: Vec::new(),
            cells: (0..script.layout.len()).map(|_| Kept::NOTHING).collect(),
            lateness: Times::new(),
            buckets: Vec::new(),
            errors: BTreeMap::new(),
            threads: vec![thread; threads],
        }
    }

    /// Adds a report; each is added once, since each has what was measured since the one before.
    pub(crate) fn add(&mut self, report: Report) {
        let Report { thread, ticket, has_ended, is_complete, extracted, delta } = report;
        if !extracted.is_empty() {
            self.extracted = extracted;
        }
        self.threads[thread] = Thread { ticket, has_ended, is_complete, progress: delta.progress };
        for (index, cell) in delta.cells {
            let own = "it was encoded here";
            match self.cells[index].open(|encoded| encoded.decode().expect(own)) {
                Some(sum) => sum.add(&cell),
                none => *none = Some(cell),
            }
        }
        self.lateness.add(&delta.lateness);
        for (index, bucket) in delta.buckets {
            self.add_bucket(index, thread, &bucket);
        }
        for (key, seen) in delta.errors {
            self.add_error(key, seen);
        }
    }

    fn add_bucket(&mut self, index: usize, thread: usize, bucket: &Bucket) {
        if self.buckets.len() <= index {
            let threads = self.threads.len();
            self.buckets.resize_with(index + 1, || Slot { bucket: Kept::NOTHING, users: vec![0; threads] });
        }
        let slot = &mut self.buckets[index];
        slot.users[thread] = slot.users[thread].max(bucket.users);
        let unpack = |encoded: EncodedBucket| Bucket {
            requests: encoded.requests,
            errors: encoded.errors,
            users: 0,
            latency: encoded.latency.decode(TIMELINE_DIGITS).expect("it was encoded here"),
        };
        let sum = slot.bucket.open(unpack).get_or_insert_with(|| Bucket::new(0));
        sum.requests += bucket.requests;
        sum.errors += bucket.errors;
        sum.latency.add(&bucket.latency);
    }

    fn add_error(&mut self, key: ErrorKey, seen: Seen) {
        if let Some(known) = self.errors.get_mut(&key) {
            known.count += seen.count;
            known.first = known.first.min(seen.first);
            known.last = known.last.max(seen.last);
        } else if self.errors.len() < MAX_ERRORS {
            self.errors.insert(key, seen);
        }
    }

    /// Whether a thread has answered to a ticket.
    pub(crate) fn has_answered(&self, thread: usize, ticket: u64) -> bool {
        self.threads[thread].ticket >= ticket
    }

    /// Whether all threads have ended, and if so whether their shares are done.
    pub(crate) fn ended(&self) -> Option<bool> {
        let all_ended = self.threads.iter().all(|thread| thread.has_ended);
        all_ended.then(|| self.threads.iter().all(|thread| thread.is_complete))
    }

    pub(crate) fn cells(&mut self) -> Vec<EncodedCell> {
        self.cells.iter_mut().map(|kept| kept.encoded(Cell::encode)).collect()
    }

    pub(crate) fn timeline(&mut self) -> Vec<EncodedBucket> {
        let encoded = |slot: &mut Slot| {
            let users = slot.users.iter().sum();
            slot.bucket.encoded(|bucket| EncodedBucket {
                requests: bucket.requests,
                errors: bucket.errors,
                users,
                latency: bucket.latency.encode(),
            })
        };
        self.buckets.iter_mut().map(encoded).collect()
    }

    pub(crate) fn lateness(&self) -> &Times {
        &self.lateness
    }

    pub(crate) fn errors(&self, timeout: Micros) -> Vec<ErrorRecord> {
        let timeout = timeout.to_string();
        let record = |(key, seen): (&ErrorKey, &Seen)| ErrorRecord {
            scenario: key.scenario,
            step: key.step,
            outcome: key.outcome,
            message: key.detail.message(key.outcome, &timeout),
            count: seen.count,
            first_seen: seen.first.0,
            last_seen: seen.last.0,
        };
        self.errors.iter().map(record).collect()
    }

    /// A scenario over all threads, given when it and the run began, and what was chosen of its load.
    pub(crate) fn progress(
        &self,
        scenario: usize,
        began: Option<Instant>,
        run: Option<Instant>,
        levels: Vec<LevelRecord>,
    ) -> ScenarioProgress {
        let from_begin = |at: Instant| run.map_or(0, |run| Micros::from(at.saturating_duration_since(run)).0);
        let each = || self.threads.iter().map(|thread| &thread.progress[scenario]);
        let all_ended = each().all(|progress| progress.ended.is_some());
        let last = each().filter_map(|progress| progress.ended).max();
        ScenarioProgress {
            began: began.map(from_begin),
            ended: last.filter(|_| all_ended).map(from_begin),
            users: each().map(|progress| progress.users).sum(),
            iterations: each().map(|progress| progress.iterations).sum(),
            cut_iterations: each().map(|progress| progress.cut_iterations).sum(),
            broken_iterations: each().map(|progress| progress.broken_iterations).sum(),
            dropped: each().map(|progress| progress.dropped).sum(),
            starved: each().map(|progress| progress.starved).sum(),
            levels,
        }
    }
}

#[cfg(test)]
mod tests;

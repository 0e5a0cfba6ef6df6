//! What is remembered of a run between passes. A cache, never the truth: an operator that lost it decides the same, and
//! knows less of runners that died meanwhile.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use proofload_api::{Micros, Problem};
use proofload_plan::Compiled;
use proofload_results::SnapshotSet;
use proofload_results::live::Mark;
use tokio::sync::OwnedMutexGuard;

/// A run that nobody looked at for so long is deleted, and forgotten.
const FORGET_AFTER: Duration = Duration::from_mins(15);

type Shared = Arc<tokio::sync::Mutex<Option<RunMemory>>>;

/// What is remembered, by the test's uid.
#[derive(Default)]
pub(crate) struct Runs(Mutex<HashMap<String, (Instant, Shared)>>);

/// What is remembered of one run.
pub(crate) struct RunMemory {
    /// What its spec, which never changes, compiles to.
    pub(crate) compiled: Arc<Result<Compiled, Vec<Problem>>>,
    /// The latest snapshot of each runner; none for a spec that does not compile.
    pub(crate) snapshots: Option<SnapshotSet>,
    /// What is known of each runner.
    pub(crate) contacts: Vec<Contact>,
    /// What the last progress report left for the next one, and when it was written.
    pub(crate) last_live: Option<(Instant, Mark)>,
}

/// What is known of a runner's whereabouts.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Contact {
    /// When it answered last, or was first asked for.
    pub(crate) last: Option<Instant>,
    /// Whether it ever answered this operator.
    pub(crate) answered: bool,
    /// The shortest round trip so far, and how far its clock was ahead of ours in that one.
    pub(crate) clock: Option<(Duration, i64)>,
}

impl RunMemory {
    pub(crate) fn new(compiled: Result<Compiled, Vec<Problem>>) -> Self {
        let snapshots = compiled.as_ref().ok().map(|c| SnapshotSet::new(&c.plan, c.sizing.runners));
        let count = compiled.as_ref().map_or(0, |c| c.sizing.runners as usize);
        let contacts = vec![Contact::default(); count];
        Self { compiled: Arc::new(compiled), snapshots, contacts, last_live: None }
    }

    /// When each runner began, by our clock, as far as known.
    pub(crate) fn began_at(&self, index: u32) -> Option<Micros> {
        let (_, ahead) = self.contacts.get(index as usize)?.clock?;
        let began = self.snapshots.as_ref()?.get(index)?.began?;
        // Both come from the runner, which may say anything.
        u64::try_from(i64::try_from(began).ok()?.checked_sub(ahead)?).ok().map(Micros)
    }

    /// How far apart the runners began.
    pub(crate) fn skew(&self) -> Micros {
        let begins: Vec<u64> =
            (0..self.contacts.len() as u32).filter_map(|i| self.began_at(i)).map(|at| at.0).collect();
        Micros(begins.iter().max().copied().unwrap_or(0) - begins.iter().min().copied().unwrap_or(0))
    }
}

impl Runs {
    /// The memory of a run, for as long as a pass lasts.
    pub(crate) async fn enter(&self, uid: &str) -> OwnedMutexGuard<Option<RunMemory>> {
        let shared = {
            let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            runs.retain(|_, (used, shared)| now.duration_since(*used) < FORGET_AFTER || Arc::strong_count(shared) > 1);
            let (used, shared) = runs.entry(uid.to_owned()).or_insert_with(|| (now, Shared::default()));
            *used = now;
            Arc::clone(shared)
        };
        shared.lock_owned().await
    }

    /// Forgets a run.
    pub(crate) fn forget(&self, uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proofload_plan::Segment;
    use proofload_results::{GeneratorRecord, RunnerState, Snapshot};
    use serde_json::json;

    use super::*;

    /// Of a run of two runners with one cell.
    pub(crate) fn memory() -> RunMemory {
        let spec = json!({
            "target": {"baseUrl": "http://t"},
            "scenarios": [{"name": "main", "users": {"stages": [{"to": 2, "hold": "10s"}]},
                           "steps": [{"name": "get", "request": {"path": "/"}}]}],
            "runners": {"count": 2},
        });
        RunMemory::new(proofload_plan::compile(&serde_json::from_value(spec).unwrap(), "shop/tale"))
    }

    fn begun(index: u32, began: u64) -> Snapshot {
        Snapshot {
            run: "shop/tale".to_owned(),
            segment: Segment::new(index, 2),
            sequence: 1,
            state: RunnerState::Running,
            clock: began,
            began: Some(began),
            scenarios: vec![proofload_results::ScenarioProgress::default()],
            cells: vec![proofload_results::Cell::default().encode()],
            timeline: Vec::new(),
            errors: Vec::new(),
            generator: GeneratorRecord::default(),
        }
    }

    #[test]
    fn skew_is_between_begins_on_one_clock_whatever_the_runners_clocks_show() {
        let mut memory = memory();
        for (index, began, ahead) in [(0, 5_000_000, 4_000_000), (1, 1_000_700, 400)] {
            memory.snapshots.as_mut().unwrap().insert(begun(index, began)).unwrap();
            memory.contacts[index as usize].clock = Some((Duration::from_millis(1), ahead));
        }
        assert_eq!(memory.skew(), Micros(300));
    }

    #[test]
    fn a_clock_that_makes_no_sense_is_no_begin() {
        let mut memory = memory();
        for (began, ahead) in [(u64::MAX, 0), (i64::MAX as u64, -1), (0, 1), (0, i64::MAX)] {
            memory.snapshots = Some(SnapshotSet::new(&memory.compiled.as_ref().as_ref().unwrap().plan, 2));
            memory.snapshots.as_mut().unwrap().insert(begun(0, began)).unwrap();
            memory.contacts[0].clock = Some((Duration::ZERO, ahead));
            assert_eq!(memory.began_at(0), None);
        }
    }
}

//! The latest snapshot of each runner of one run, and how two such sets become one.
//!
//! A snapshot is cumulative, so merging two of the same runner is choosing the later one, and merging two sets is that
//! for each runner: commutative, associative and idempotent, so that a lost, repeated or late answer of a runner does no
//! harm. Sums over the runners are made anew from the set each time ([`SnapshotSet::totals`]); nothing is ever added
//! to a sum that may hold it already. Histograms stay in their compact form until then.

use std::collections::BTreeMap;

use proofload_plan::{Plan, Scope};

use crate::cell::EncodedCell;
use crate::snapshot::{MAX_BUCKETS, Snapshot};
use crate::totals::Totals;

/// The latest snapshot of each runner of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct SnapshotSet {
    run: String,
    runners: u32,
    scenarios: usize,
    cells: usize,
    /// Scenarios and cells that are load: those of setup and teardown come after them.
    load: (usize, usize),
    latest: BTreeMap<u32, Snapshot>,
}

/// A snapshot that does not belong into a set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForeignSnapshot {
    /// Of another run.
    #[error("expected a snapshot of run {expected:?}, got one of {came:?}")]
    Run {
        /// The set's run.
        expected: String,
        /// The snapshot's run.
        came: String,
    },
    /// Of a runner that the run does not have.
    #[error("expected a snapshot of one of {expected} runners, got one of share {index} of {count}")]
    Segment {
        /// How many runners the run has.
        expected: u32,
        /// The share that came.
        index: u32,
        /// Of so many.
        count: u32,
    },
    /// With a timeline that no runner has.
    #[error("expected a timeline of at most {MAX_BUCKETS} buckets, got {0}")]
    Timeline(usize),
    /// Of another plan.
    #[error("expected a snapshot with {expected} {what}, got {came}: runner and conductor have different plans")]
    Shape {
        /// Cells or scenarios.
        what: &'static str,
        /// So many by the plan.
        expected: usize,
        /// So many in the snapshot.
        came: usize,
    },
}

impl SnapshotSet {
    /// An empty set for a plan that so many runners execute.
    pub fn new(plan: &Plan, runners: u32) -> Self {
        Self {
            run: plan.run.clone(),
            runners,
            scenarios: plan.scenarios.len(),
            cells: plan.layout().len(),
            load: (plan.main().len(), plan.layout().cells_of(Scope::Run).len()),
            latest: BTreeMap::new(),
        }
    }

    /// Takes a snapshot in. Returns whether it is news: of two snapshots of one runner the one with the higher number
    /// is kept, and two with the same number are the same.
    pub fn insert(&mut self, snapshot: Snapshot) -> Result<bool, ForeignSnapshot> {
        self.check(&snapshot)?;
        let index = snapshot.segment.index;
        let is_news = self.latest.get(&index).is_none_or(|known| known.sequence < snapshot.sequence);
        if is_news {
            self.latest.insert(index, snapshot);
        }
        Ok(is_news)
    }

    /// Takes every snapshot of another set in; none if one of them does not belong here.
    pub fn merge(&mut self, other: &Self) -> Result<(), ForeignSnapshot> {
        other.latest.values().try_for_each(|snapshot| self.check(snapshot))?;
        for (index, snapshot) in &other.latest {
            if self.latest.get(index).is_none_or(|known| known.sequence < snapshot.sequence) {
                self.latest.insert(*index, snapshot.clone());
            }
        }
        Ok(())
    }

    fn check(&self, snapshot: &Snapshot) -> Result<(), ForeignSnapshot> {
        let segment = snapshot.segment;
        if snapshot.run != self.run {
            return Err(ForeignSnapshot::Run { expected: self.run.clone(), came: snapshot.run.clone() });
        }
        if segment.count != self.runners || segment.index >= self.runners {
            let (index, count) = (segment.index, segment.count);
            return Err(ForeignSnapshot::Segment { expected: self.runners, index, count });
        }
        // Before the begin there is nothing to tell, after it there is one for each.
        let shape = |what, expected: usize, came: usize| match came {
            0 if snapshot.began.is_none() => Ok(()),
            came if came == expected => Ok(()),
            came => Err(ForeignSnapshot::Shape { what, expected, came }),
        };
        if snapshot.timeline.len() > MAX_BUCKETS {
            return Err(ForeignSnapshot::Timeline(snapshot.timeline.len()));
        }
        shape("scenarios", self.scenarios, snapshot.scenarios.len())?;
        shape("cells", self.cells, snapshot.cells.len())
    }

    /// How many runners the run has.
    pub const fn runners(&self) -> u32 {
        self.runners
    }

    /// The latest snapshot of a runner.
    pub fn get(&self, index: u32) -> Option<&Snapshot> {
        self.latest.get(&index)
    }

    /// The latest snapshots there are, by runner.
    pub fn iter(&self) -> impl Iterator<Item = &Snapshot> {
        self.latest.values()
    }

    /// The cells of a snapshot of this set that are load: neither setup nor teardown.
    pub(crate) fn cells_of_load<'a>(&self, snapshot: &'a Snapshot) -> &'a [EncodedCell] {
        &snapshot.cells[..self.load.1.min(snapshot.cells.len())]
    }

    /// Users of a snapshot of this set that put on load now.
    pub(crate) fn users_of_load(&self, snapshot: &Snapshot) -> u32 {
        let load = snapshot.scenarios.iter().take(self.load.0);
        load.map(|scenario| scenario.users).fold(0, u32::saturating_add)
    }

    /// Whether the final snapshot of every runner is here, and each did all of its share.
    pub fn is_complete(&self) -> bool {
        self.latest.len() == self.runners as usize && self.latest.values().all(Snapshot::is_complete)
    }

    /// Everything summed over the runners. Always succeeds: a snapshot whose histograms cannot be read is left out and
    /// named in [`Totals::unreadable`], so that one damaged answer does not cost the whole report.
    ///
    /// `plan` must be the one that the set was made for.
    pub fn totals(&self, plan: &Plan) -> Totals {
        debug_assert_eq!(plan.run, self.run, "a set belongs to one plan");
        Totals::of(self.latest.values(), plan)
    }
}

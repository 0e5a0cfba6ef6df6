//! Which row of each data set a user has: chosen so that no runner needs to ask another.

use fastrand::Rng;
use proofload_api::data::{Per, Pick};
use proofload_plan::{Plan, Scenario};

use crate::materials::Table;

/// How a scenario's users choose their rows.
pub(crate) struct Picking {
    sets: Vec<Set>,
    /// Whether the first iteration of a user has its number: not where iterations begin at a rate.
    is_closed: bool,
}

struct Set {
    index: usize,
    pick: Pick,
    per: Per,
}

/// A `Unique` data set has no row left.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoneLeft;

impl Picking {
    pub(crate) fn new(scenario: &Scenario, plan: &Plan) -> Self {
        let set = |index: &usize| {
            let set = plan.data.get(*index)?;
            Some(Set { index: *index, pick: set.pick, per: set.per })
        };
        Self { sets: scenario.data.iter().filter_map(set).collect(), is_closed: !scenario.load.is_open() }
    }

    /// The rows of a user that comes: those that it keeps, and those that its first iteration will have, where that is
    /// known. What a `Unique` set cannot give stays without a row.
    pub(crate) fn begin(&self, rows: &mut [Option<usize>], user: u32, tables: &[Table], choices: &mut Rng) {
        for set in &self.sets {
            if set.per == Per::User || self.is_closed || set.pick != Pick::Unique {
                rows[set.index] = set.row(u64::from(user), &tables[set.index], choices);
            }
        }
    }

    /// The rows of an iteration, given its number over all users of all runners.
    pub(crate) fn next(
        &self,
        rows: &mut [Option<usize>],
        serial: u64,
        tables: &[Table],
        choices: &mut Rng,
    ) -> Result<(), NoneLeft> {
        for set in &self.sets {
            if set.per == Per::Iteration {
                rows[set.index] = set.row(serial, &tables[set.index], choices);
            }
            if rows[set.index].is_none() {
                return Err(NoneLeft);
            }
        }
        Ok(())
    }
}

impl Set {
    fn row(&self, number: u64, table: &Table, choices: &mut Rng) -> Option<usize> {
        let rows = table.rows();
        match self.pick {
            Pick::Sequential => Some((number % rows as u64) as usize),
            Pick::Random => Some(choices.usize(..rows)),
            Pick::Unique => usize::try_from(number).ok().filter(|row| *row < rows),
        }
    }
}

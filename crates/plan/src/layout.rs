//! Where each figure is kept: one cell for each scenario, step and stage, in a flat list that all runners share.

use crate::model::{Plan, Scope};

/// One cell's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CellAddress {
    /// Index of the scenario.
    pub scenario: usize,
    /// Index of the step in the scenario.
    pub step: usize,
    /// Index of the stage in the scenario's load model.
    pub stage: usize,
}

/// The order of cells: by scenario, then step, then stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// For each scenario: its first cell, its steps, its stages.
    scenarios: Vec<(usize, usize, usize)>,
    /// Cells of load: those of setup and teardown come after them.
    main: usize,
    cells: usize,
}

impl Layout {
    pub(crate) fn new(plan: &Plan) -> Self {
        let mut cells = 0;
        let place = |scenario: &crate::model::Scenario| {
            let first = cells;
            let (steps, stages) = (scenario.steps.len(), scenario.load.stage_names().len());
            cells += steps * stages;
            (first, steps, stages)
        };
        let scenarios: Vec<_> = plan.scenarios.iter().map(place).collect();
        let main = scenarios.get(plan.main().len()).map_or(cells, |(first, ..)| *first);
        Self { scenarios, main, cells }
    }

    /// How many cells there are.
    pub fn len(&self) -> usize {
        self.cells
    }

    /// Whether there is no cell, which no compiled plan has.
    pub fn is_empty(&self) -> bool {
        self.cells == 0
    }

    /// The index of a cell.
    pub fn index(&self, address: CellAddress) -> usize {
        let (first, steps, stages) = self.scenarios[address.scenario];
        debug_assert!(address.step < steps && address.stage < stages, "{address:?} is not in the plan");
        first + address.step * stages + address.stage
    }

    /// Every cell in the order of its index.
    pub fn addresses(&self) -> impl Iterator<Item = CellAddress> + '_ {
        self.scenarios.iter().enumerate().flat_map(|(scenario, (_, steps, stages))| {
            (0..*steps).flat_map(move |step| (0..*stages).map(move |stage| CellAddress { scenario, step, stage }))
        })
    }

    /// The indices of the cells of a part of the run.
    pub fn cells_of(&self, scope: Scope) -> std::ops::Range<usize> {
        match scope {
            Scope::Run => 0..self.main,
            Scope::Scenario(scenario) => {
                let (first, steps, stages) = self.scenarios[scenario];
                first..first + steps * stages
            }
            Scope::Steps(scenario, step, steps) => {
                let (first, _, stages) = self.scenarios[scenario];
                first + step * stages..first + (step + steps) * stages
            }
        }
    }
}

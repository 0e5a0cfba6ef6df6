//! A part of a run: the cells that a criterion is judged on, and everything that was seen in them.

use proofload_api::Micros;
use proofload_api::Outcome;
use proofload_api::criterion::{Aggregate, Expr, Metric, Unit};
use proofload_plan::{Load, Plan, Scenario, Scope};

use crate::cell::{Cell, CheckCount, EncodedCell};
use crate::histogram::{DIGITS, Times};
use crate::search;
use crate::snapshot::Snapshot;
use crate::totals::{ScenarioTotals, Totals};

/// What was seen in a part of a run: all that a criterion can be held against.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Part {
    /// The sum of its cells.
    pub cell: Cell,
    /// The check that is asked for, if one is: over all steps that have it.
    pub check: CheckCount,
    /// Iterations of its scenarios that were begun and are over, as far as they fall into it.
    pub iterations: u64,
    /// Arrivals of it that found no free user.
    pub dropped: u64,
    /// Actual minus intended send time of every request of the whole run: it is the runners', not a scenario's.
    pub lateness: Times,
    /// How long it was under load.
    pub elapsed: Micros,
}

/// Which part of a run, and which check of it.
#[derive(Debug, Clone, Copy)]
pub struct Region<'a> {
    /// The part.
    pub scope: Scope,
    /// Pairs of a scenario and a stage that it is restricted to; none for all of the time.
    pub during: Option<&'a [(usize, usize)]>,
    /// The check to count.
    pub check: Option<&'a str>,
    /// Whether distributions of times are asked for; to count is much less work.
    pub times: bool,
}

impl<'a> Region<'a> {
    /// What an expression asks for, in a part of the run.
    pub fn of(expr: &'a Expr, scope: Scope, during: Option<&'a [(usize, usize)]>) -> Self {
        let check = match &expr.metric {
            Metric::Check(name) => Some(name.as_str()),
            _ => None,
        };
        Self { scope, during, check, times: expr.metric.is_distribution() }
    }

    /// Its cells, by index, each with the place of the check in it.
    fn cells(&self, plan: &Plan) -> Vec<(usize, Option<usize>)> {
        let layout = plan.layout();
        let range = layout.cells_of(self.scope);
        let is_inside = |scenario, stage| self.during.is_none_or(|during| during.contains(&(scenario, stage)));
        let addresses = layout.addresses().enumerate().skip(range.start).take(range.len());
        let inside = addresses.filter(|(_, address)| is_inside(address.scenario, address.stage));
        inside.map(|(index, at)| (index, self.place_of_check(plan, at.scenario, at.step))).collect()
    }

    fn place_of_check(&self, plan: &Plan, scenario: usize, step: usize) -> Option<usize> {
        let wanted = self.check?;
        plan.scenarios[scenario].steps.get(step)?.check_names(&plan.variables).position(|name| name == wanted)
    }

    /// How many of all iterations of a scenario fall into it. They are not counted by stage: their share is that of the
    /// requests, of which `requests` tells how many a cell has.
    fn iterations(&self, plan: &Plan, scenario: usize, all: u64, requests: impl Fn(usize) -> u64) -> u64 {
        if self.during.is_none() {
            return all;
        }
        let here = Self { scope: Scope::Scenario(scenario), ..*self };
        let here: u64 = here.cells(plan).iter().map(|(index, _)| requests(*index)).fold(0, u64::saturating_add);
        let whole = plan.layout().cells_of(Scope::Scenario(scenario)).map(requests).fold(0, u64::saturating_add);
        u64::try_from(u128::from(all) * u128::from(here) / u128::from(whole.max(1))).unwrap_or(all)
    }

    /// Its scenarios, by index.
    pub(crate) fn scenarios(&self, plan: &Plan) -> Vec<usize> {
        let all = match self.scope {
            Scope::Run => (0..plan.main().len()).collect(),
            Scope::Scenario(scenario) | Scope::Steps(scenario, ..) => vec![scenario],
        };
        let is_inside = |i: &usize| self.during.is_none_or(|during| during.iter().any(|(scenario, _)| scenario == i));
        all.into_iter().filter(is_inside).collect()
    }
}

impl Part {
    /// Of everything that was measured.
    pub fn of(plan: &Plan, totals: &Totals, region: Region<'_>) -> Self {
        let mut part = Self { lateness: totals.lateness.clone(), ..Self::default() };
        for (index, check) in region.cells(plan) {
            part.add_cell(&totals.cells[index], check);
        }
        part.elapsed = elapsed(plan, &totals.scenarios, region);
        for scenario in region.scenarios(plan) {
            part.add_scenario(plan, region, scenario, &totals.scenarios[scenario], |cell| {
                totals.cells[cell].requests()
            });
        }
        part
    }

    /// Of what some runners have measured so far, without reading the cells of other parts; what cannot be read is left
    /// out, and so are distributions that the region does not ask for.
    pub fn so_far<'a>(plan: &Plan, snapshots: impl IntoIterator<Item = &'a Snapshot>, region: Region<'_>) -> Self {
        let (cells, scenarios) = (region.cells(plan), region.scenarios(plan));
        let snapshots: Vec<&Snapshot> = snapshots.into_iter().collect();
        let mut part = Self::default();
        let mut progress = vec![ScenarioTotals::default(); plan.scenarios.len()];
        for snapshot in &snapshots {
            for (index, check) in &cells {
                let decode = |cell: &EncodedCell| if region.times { cell.decode() } else { Ok(cell.counts()) };
                if let Some(Ok(cell)) = snapshot.cells.get(*index).map(decode) {
                    part.add_cell(&cell, *check);
                }
            }
            if let (true, Ok(lateness)) = (region.times, snapshot.generator.lateness.decode(DIGITS)) {
                part.lateness.add(&lateness);
            }
            for (sum, one) in progress.iter_mut().zip(&snapshot.scenarios) {
                sum.add(one, snapshot.generator.elapsed);
            }
        }
        let requests = |cell: usize| {
            let each = snapshots.iter().filter_map(|snapshot| snapshot.cells.get(cell));
            each.map(EncodedCell::requests).fold(0, u64::saturating_add)
        };
        for scenario in scenarios {
            part.add_scenario(plan, region, scenario, &progress[scenario], requests);
        }
        part.elapsed = elapsed(plan, &progress, region);
        part
    }

    /// Adds the iterations and dropped arrivals of a scenario; the cells of the part are in it already.
    fn add_scenario(
        &mut self,
        plan: &Plan,
        region: Region<'_>,
        scenario: usize,
        progress: &ScenarioTotals,
        requests: impl Fn(usize) -> u64,
    ) {
        let iterations = region.iterations(plan, scenario, progress.iterations_begun(), requests);
        self.iterations = self.iterations.saturating_add(iterations);
        // Of stages, those that are counted in their cells.
        let dropped =
            if region.during.is_some() { self.cell.dropped } else { self.dropped.saturating_add(progress.dropped) };
        self.dropped = dropped;
    }

    fn add_cell(&mut self, cell: &Cell, check: Option<usize>) {
        self.cell.add(cell);
        self.check.add(check.and_then(|place| cell.checks.get(place)).copied().unwrap_or_default());
    }

    /// Takes an earlier state of this part away: what was seen since. Exact; `None` if it is not an earlier state.
    pub fn since(&self, earlier: &Self) -> Option<Self> {
        Some(Self {
            cell: self.cell.since(&earlier.cell)?,
            check: self.check.since(earlier.check)?,
            // Of stages this is a share, which may be rounded to less than before.
            iterations: self.iterations.saturating_sub(earlier.iterations),
            dropped: self.dropped.checked_sub(earlier.dropped)?,
            lateness: self.lateness.since(&earlier.lateness)?,
            elapsed: self.elapsed.saturating_sub(earlier.elapsed),
        })
    }

    /// The value of an expression, in its unit; none without samples.
    pub fn observe(&self, expr: &Expr) -> Option<f64> {
        // An arrival that was dropped is seen even where no request was sent at all.
        if self.cell.requests() == 0 && expr.metric != Metric::Dropped {
            return None;
        }
        match &expr.metric {
            Metric::Latency(ended) => aggregate(expr.aggregate, &self.cell.latency(*ended)),
            Metric::ServiceTime => aggregate(expr.aggregate, &self.cell.service_time),
            Metric::Lateness => aggregate(expr.aggregate, &self.lateness),
            Metric::Dropped => part_of(expr.aggregate, self.dropped, self.dropped.saturating_add(self.iterations)),
            Metric::Check(_) => {
                let checked = self.check.passed.saturating_add(self.check.failed);
                part_of(expr.aggregate, self.check.passed, checked).filter(|_| checked > 0)
            }
            counted => self.count(expr, counted),
        }
    }

    fn count(&self, expr: &Expr, metric: &Metric) -> Option<f64> {
        let cell = &self.cell;
        let counted = match metric {
            Metric::Requests => cell.requests(),
            Metric::Errors(None) => cell.errors(),
            Metric::Errors(Some(without)) => cell.errors_without(*without),
            Metric::Success(None) => cell.count(Outcome::Ok),
            Metric::Success(Some(without)) => cell.ok_without(*without),
            Metric::BytesIn => cell.bytes_in,
            Metric::BytesOut => cell.bytes_out,
            Metric::Status(status) => cell.statuses.get(status).copied().unwrap_or(0),
            Metric::Outcome(outcome) => cell.count(*outcome),
            // What is no count was observed before; what the target says of itself is in no part.
            Metric::Latency(_)
            | Metric::ServiceTime
            | Metric::Lateness
            | Metric::Dropped
            | Metric::Check(_)
            | Metric::Server(_) => return None,
        };
        // What the end of the run interrupted was neither answered nor failed.
        let answered = cell.requests().saturating_sub(cell.count(Outcome::Interrupted));
        let whole = match (expr.aggregate, expr.unit(), metric) {
            (Aggregate::Count, ..) => return Some(counted as f64),
            (_, Unit::PerSecond | Unit::BytesPerSecond, _) => self.elapsed.as_secs_f64(),
            (.., Metric::Outcome(Outcome::Interrupted)) => cell.requests() as f64,
            (.., Metric::Errors(Some(without)) | Metric::Success(Some(without))) => {
                answered.saturating_sub(cell.statuses.get(without).copied().unwrap_or(0)) as f64
            }
            _ => answered as f64,
        };
        (whole > 0.0).then(|| counted as f64 / whole)
    }
}

/// A count, or its share of a whole.
fn part_of(aggregate: Aggregate, part: u64, whole: u64) -> Option<f64> {
    match aggregate {
        Aggregate::Count => (whole > 0).then_some(part as f64),
        _ => (whole > 0).then(|| part as f64 / whole as f64),
    }
}

fn aggregate(aggregate: Aggregate, times: &Times) -> Option<f64> {
    let (min, max, mean, stddev) = times.extremes();
    let percentile = |percentile| times.percentile(percentile).map(|micros| micros as f64);
    let value = match aggregate {
        Aggregate::Min => min as f64,
        Aggregate::Max => max as f64,
        Aggregate::Avg => mean,
        Aggregate::Stddev => stddev,
        Aggregate::Med => return percentile(50.0),
        Aggregate::Percentile(p) => return percentile(p),
        // The grammar admits none of these of a time.
        Aggregate::Count | Aggregate::Rate | Aggregate::Last | Aggregate::Slope => return None,
    };
    (!times.is_empty()).then_some(value)
}

/// How long a part was under load: of whole scenarios from the first begin to the last end; of stages the time that
/// they really had, counted once where several scenarios have them at the same time.
fn elapsed(plan: &Plan, progress: &[ScenarioTotals], region: Region<'_>) -> Micros {
    let Some(during) = region.during else {
        let scenarios = region.scenarios(plan);
        let began = scenarios.iter().filter_map(|i| progress[*i].began).min();
        let until = scenarios.iter().filter_map(|i| progress[*i].until).max();
        return Micros(until.unwrap_or(0).saturating_sub(began.unwrap_or(0)));
    };
    let inside = region.scenarios(plan);
    let stages = during.iter().filter(|(scenario, _)| inside.contains(scenario));
    let mut spans: Vec<(u64, u64)> = stages
        .flat_map(|(scenario, stage)| stage_times(&plan.scenarios[*scenario], &progress[*scenario], *stage))
        .collect();
    spans.sort_unstable();
    let (mut sum, mut done) = (0_u64, 0_u64);
    for (from, until) in spans {
        sum = sum.saturating_add(until.saturating_sub(from.max(done)));
        done = done.max(until);
    }
    Micros(sum)
}

/// When a stage of a scenario was under load so far, from the run's begin. What comes after the end of a curve belongs to
/// its last stage.
pub(crate) fn stage_times(scenario: &Scenario, progress: &ScenarioTotals, stage: usize) -> Vec<(u64, u64)> {
    let (Some(began), Some(until)) = (progress.began, progress.until) else { return Vec::new() };
    let durations: Vec<Micros> = match &scenario.load {
        Load::Users(curve) => curve.spans().iter().map(|span| span.duration).collect(),
        Load::Arrivals { curve, .. } => curve.spans().iter().map(|span| span.duration).collect(),
        Load::Iterations { .. } => return vec![(began, until)],
        Load::Search(plan) => return search::stage_times(plan, &progress.levels, began, until, stage),
    };
    let from = began.saturating_add(durations.iter().take(stage).map(|time| time.0).sum());
    let end = if stage + 1 >= durations.len() { until } else { from.saturating_add(durations[stage].0).min(until) };
    if from < end { vec![(from, end)] } else { Vec::new() }
}

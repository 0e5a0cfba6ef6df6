//! The plan, prepared for execution: requests as bytes, tables instead of searches.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use proofload_api::scenario::{Flow, StatusPattern};
use proofload_api::units::Micros;
use proofload_plan::{CellAddress, Layout, Load, Plan, Scenario, Segment};

use crate::engine::EngineError;
use crate::http1::{Prepared, prepare};

/// A plan, prepared. Shared by all threads; never changes.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) plan: Arc<Plan>,
    pub(crate) layout: Layout,
    pub(crate) tracks: Vec<Track>,
    pub(crate) timeout: Duration,
    pub(crate) peer: Peer,
}

/// Where to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Peer {
    Address(SocketAddr),
    Name(String, u16),
}

/// A scenario, prepared.
#[derive(Debug)]
pub(crate) struct Track {
    pub(crate) steps: Vec<PreparedStep>,
    pub(crate) load: Load,
    flow: Drawing,
    think: Option<(u64, u64)>,
    /// When each stage ends, from the scenario's begin.
    stage_ends: Vec<Micros>,
    seed: u64,
}

/// A step, prepared.
#[derive(Debug)]
pub(crate) struct PreparedStep {
    pub(crate) request: Prepared,
    expect: Vec<StatusPattern>,
    /// The cells of its stages.
    cells: Vec<usize>,
}

#[derive(Debug)]
enum Drawing {
    Sequence,
    /// The sum of the weights up to and with each step.
    Weighted(Vec<u64>),
}

impl Script {
    pub(crate) fn new(plan: Arc<Plan>) -> Result<Self, EngineError> {
        if plan.timeline_width == Micros::ZERO {
            return Err(EngineError::Plan("the timeline's buckets are of no width".to_owned()));
        }
        let layout = plan.layout();
        let track = |(i, scenario)| Track::new(i, scenario, &layout, plan.seed);
        let tracks = plan.scenarios.iter().enumerate().map(track).collect::<Result<_, _>>()?;
        let target = &plan.target;
        let peer = match target.host.parse::<IpAddr>() {
            Ok(address) => Peer::Address(SocketAddr::new(address, target.port)),
            Err(_) => Peer::Name(target.host.clone(), target.port),
        };
        Ok(Self { layout, tracks, timeout: target.timeout.into(), peer, plan })
    }
}

impl Track {
    fn new(index: usize, scenario: &Scenario, layout: &Layout, seed: u64) -> Result<Self, EngineError> {
        let stages = scenario.load.stage_names().len();
        let prepare_step = |(step, planned): (usize, &proofload_plan::Step)| {
            let request = prepare(&planned.request).map_err(|error| {
                EngineError::Plan(format!("scenario {}, step {}: {error}", scenario.name, planned.name))
            })?;
            let cells = (0..stages).map(|stage| layout.index(CellAddress { scenario: index, step, stage })).collect();
            Ok(PreparedStep { request, expect: planned.expect.clone(), cells })
        };
        let steps = scenario.steps.iter().enumerate().map(prepare_step).collect::<Result<Vec<_>, EngineError>>()?;
        let flow = match scenario.flow {
            Flow::Sequence => Drawing::Sequence,
            Flow::Weighted => Drawing::Weighted(running_sum(scenario.steps.iter().map(|step| u64::from(step.weight)))),
        };
        let draws = match &flow {
            Drawing::Sequence => !steps.is_empty(),
            Drawing::Weighted(sums) => sums.last().is_some_and(|sum| *sum > 0),
        };
        if !draws {
            return Err(EngineError::Plan(format!("scenario {} has no step to do", scenario.name)));
        }
        let stage_ends = match &scenario.load {
            Load::Users(curve) => running_sum(curve.spans().iter().map(|span| span.duration.0)),
            Load::Iterations { max_duration, .. } => vec![max_duration.0],
        };
        Ok(Self {
            steps,
            load: scenario.load.clone(),
            flow,
            think: scenario.think_time.map(|think| (think.min.0, think.max.0.max(think.min.0))),
            stage_ends: stage_ends.into_iter().map(Micros).collect(),
            seed: seed ^ (index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15),
        })
    }

    /// The random choices of one user; the same in every execution of the plan.
    pub(crate) fn choices_of(&self, user: u32) -> Rng {
        // Numbers that differ in a bit must not give sequences that are alike.
        Rng::with_seed(Rng::with_seed(self.seed ^ u64::from(user)).u64(..))
    }

    /// The steps of the next iteration.
    pub(crate) fn next_iteration(&self, choices: &mut Rng) -> std::ops::Range<usize> {
        match &self.flow {
            Drawing::Sequence => 0..self.steps.len(),
            Drawing::Weighted(sums) => {
                let all = sums.last().copied().unwrap_or(1);
                let drawn = choices.u64(..all);
                let step = sums.partition_point(|sum| *sum <= drawn);
                step..step + 1
            }
        }
    }

    /// The pause after a step.
    pub(crate) fn think(&self, choices: &mut Rng) -> Duration {
        self.think.map_or(Duration::ZERO, |(min, max)| Duration::from_micros(choices.u64(min..=max)))
    }

    /// The cell of a step's request that was intended at a time from the scenario's begin.
    pub(crate) fn cell(&self, step: usize, intended: Micros) -> usize {
        let stage = self.stage_ends.partition_point(|end| *end <= intended);
        let cells = &self.steps[step].cells;
        cells[stage.min(cells.len() - 1)]
    }

    /// When a user is at work, from the scenario's begin.
    pub(crate) fn shifts(&self, user: u32) -> Vec<(Micros, Micros)> {
        match &self.load {
            Load::Users(curve) => curve.shifts(user),
            Load::Iterations { max_duration, .. } => vec![(Micros::ZERO, *max_duration)],
        }
    }

    /// How many iterations each user makes, if there is a limit.
    pub(crate) fn limit(&self) -> Option<u32> {
        match self.load {
            Load::Users(_) => None,
            Load::Iterations { per_user, .. } => Some(per_user),
        }
    }

    /// The users of one thread of a segment, by when they are at work first.
    pub(crate) fn roster(&self, segment: Segment, thread: usize, threads: usize) -> Vec<(Micros, u32)> {
        let mine = segment.users(self.load.users()).skip(thread).step_by(threads);
        let first = |user: u32| self.shifts(user).first().map(|(begin, _)| (*begin, user));
        let mut roster: Vec<(Micros, u32)> = mine.filter_map(first).collect();
        roster.sort_unstable();
        roster
    }
}

impl PreparedStep {
    /// Whether a status is a good answer.
    pub(crate) fn expects(&self, status: u16) -> bool {
        self.expect.iter().any(|pattern| pattern.matches(status))
    }
}

fn running_sum(numbers: impl Iterator<Item = u64>) -> Vec<u64> {
    numbers
        .scan(0_u64, |sum, number| {
            *sum = sum.saturating_add(number);
            Some(*sum)
        })
        .collect()
}

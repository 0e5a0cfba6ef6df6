//! The plan, prepared for execution: requests as bytes, tables instead of searches.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use proofload_api::step::StatusPattern;
use proofload_api::units::Micros;
use proofload_plan::{Action, CellAddress, Layout, Load, Plan, Role, Scenario, ThinkTime};

use crate::checks::Checks;
use crate::engine::EngineError;
use crate::http1::{Prepared, Wants};
use crate::materials::Materials;
use crate::program::Program;
use crate::rows::Picking;
use crate::tls::Tls;
use crate::web_socket;

/// A plan, prepared. Shared by all threads; never changes.
pub(crate) struct Script {
    pub(crate) plan: Arc<Plan>,
    pub(crate) materials: Arc<Materials>,
    pub(crate) layout: Layout,
    pub(crate) tracks: Vec<Track>,
    pub(crate) timeout: Duration,
    pub(crate) peer: Peer,
    /// None for plain text.
    pub(crate) tls: Option<Arc<Tls>>,
}

/// Where to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Peer {
    Address(SocketAddr),
    Name(String, u16),
}

/// A scenario, prepared.
pub(crate) struct Track {
    pub(crate) steps: Vec<PreparedStep>,
    pub(crate) load: Load,
    pub(crate) role: Role,
    pub(crate) program: Program,
    /// How many steps, at the begin, a user does before its first iteration.
    pub(crate) on_start: usize,
    /// How many, at the end, it does after its last.
    pub(crate) on_stop: usize,
    /// Which rows of data sets its users have.
    pub(crate) picking: Picking,
    think: Option<ThinkTime>,
    /// An iteration's begin to the next one's, at least.
    pub(crate) pacing: Duration,
    /// How long iterations under way may go on once the load is over.
    pub(crate) graceful: Duration,
    /// How long after it was commanded the scenario begins.
    pub(crate) at: Duration,
    /// When each stage ends, from the scenario's begin.
    stage_ends: Vec<Micros>,
    seed: u64,
}

/// A step, prepared.
pub(crate) struct PreparedStep {
    pub(crate) action: PreparedAction,
    pub(crate) checks: Checks,
    /// What of its answers is to be kept until they have been looked at.
    pub(crate) wants: Wants,
    expect: Vec<StatusPattern>,
    /// The cells of its stages.
    cells: Vec<usize>,
}

/// What a step does, prepared.
pub(crate) enum PreparedAction {
    Request(Prepared),
    /// Boxed, as that is rarer.
    WebSocket(Box<web_socket::Action>),
}

impl Script {
    pub(crate) fn new(plan: Arc<Plan>, materials: Arc<Materials>) -> Result<Self, EngineError> {
        if plan.timeline_width == Micros::ZERO {
            return Err(EngineError::Plan("the timeline's buckets are of no width".to_owned()));
        }
        if !materials.are_of(&plan) {
            return Err(EngineError::Plan("the data sets, files or variables are not those of the plan".to_owned()));
        }
        let layout = plan.layout();
        let track = |(i, scenario): (usize, &Scenario)| {
            Track::new(i, &plan, &layout, &materials)
                .map_err(|error| EngineError::Plan(format!("scenario {}{error}", scenario.name)))
        };
        let tracks = plan.scenarios.iter().enumerate().map(track).collect::<Result<_, _>>()?;
        let target = &plan.target;
        let peer = match target.host.parse::<IpAddr>() {
            Ok(address) => Peer::Address(SocketAddr::new(address, target.port)),
            Err(_) => Peer::Name(target.host.clone(), target.port),
        };
        let tls = Tls::new(&plan, &materials.files).map_err(EngineError::Plan)?.map(Arc::new);
        Ok(Self { layout, tracks, timeout: target.timeout.into(), peer, tls, plan, materials })
    }
}

impl Track {
    /// A scenario of a plan. What is wrong with it goes on after its name.
    fn new(index: usize, plan: &Plan, layout: &Layout, materials: &Materials) -> Result<Self, String> {
        let scenario = &plan.scenarios[index];
        let stages = scenario.load.stage_names().len();
        let prepare = |(step, planned): (usize, &proofload_plan::Step)| {
            let cells = (0..stages).map(|stage| layout.index(CellAddress { scenario: index, step, stage })).collect();
            PreparedStep::new(planned, cells, plan, materials)
                .map_err(|error| format!(", step {}: {error}", planned.name))
        };
        let steps = scenario.steps.iter().enumerate().map(prepare).collect::<Result<Vec<_>, _>>()?;
        if scenario.on_start + scenario.on_stop > steps.len() {
            return Err(": more steps at the begin and the end than there are".to_owned());
        }
        let program = Program::new(&scenario.flow, steps.len(), plan, materials);
        let stage_ends = match &scenario.load {
            Load::Users(curve) => running_sum(curve.spans().iter().map(|span| span.duration.0)),
            Load::Iterations { max_duration, .. } => vec![max_duration.0],
            Load::Arrivals { curve, .. } => running_sum(curve.spans().iter().map(|span| span.duration.0)),
            Load::Search(_) => Vec::new(),
        };
        Ok(Self {
            steps,
            load: scenario.load.clone(),
            role: scenario.role,
            program: program.map_err(|error| format!(": {error}"))?,
            on_start: scenario.on_start,
            on_stop: scenario.on_stop,
            picking: Picking::new(scenario, plan),
            think: scenario.think_time,
            pacing: scenario.pacing.unwrap_or_default().into(),
            graceful: scenario.graceful_stop.into(),
            at: scenario.at.into(),
            stage_ends: stage_ends.into_iter().map(Micros).collect(),
            seed: plan.seed ^ (index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15),
        })
    }

    /// The random choices of one user; the same in every execution of the plan.
    pub(crate) fn choices_of(&self, user: u32) -> Rng {
        // Numbers that differ in a bit must not give sequences that are alike.
        Rng::with_seed(Rng::with_seed(self.seed ^ u64::from(user)).u64(..))
    }

    /// The pause after a step.
    pub(crate) fn think(&self, choices: &mut Rng) -> Duration {
        self.think.map_or(Duration::ZERO, |think| pause(think, choices))
    }

    /// The cell of a step's request that was intended at a time from the scenario's begin.
    pub(crate) fn cell(&self, step: usize, intended: Micros) -> usize {
        self.cell_of(step, self.stage_ends.partition_point(|end| *end <= intended))
    }

    /// The cell of a step in a stage; in the last one, where there are fewer.
    pub(crate) fn cell_of(&self, step: usize, stage: usize) -> usize {
        let cells = &self.steps[step].cells;
        cells[stage.min(cells.len() - 1)]
    }

    /// The number, over all users of all runners, of a user's iteration in a closed model, given how many it has begun
    /// before. No two are the same; without users beyond those planned, none is left out either.
    pub(crate) fn serial(&self, begun: u64, user: u32) -> u64 {
        /// Users beyond those planned come by a change of the load. Their numbers are beyond all others.
        const BEYOND: u64 = 1 << 63;
        let (planned, user) = (u64::from(self.load.users()), u64::from(user));
        if user < planned { begun * planned + user } else { BEYOND + (begun << 32) + user }
    }

    /// How many iterations each user makes, if there is a limit.
    pub(crate) fn limit(&self) -> Option<u32> {
        match self.load {
            Load::Users(_) | Load::Arrivals { .. } | Load::Search(_) => None,
            Load::Iterations { per_user, .. } => Some(per_user),
        }
    }
}

/// Draws a pause.
fn pause(think: ThinkTime, choices: &mut Rng) -> Duration {
    /// No pause is longer than so many means.
    const LONGEST: f64 = 10.0;
    Duration::from_micros(match think {
        ThinkTime::Constant(time) => time.0,
        ThinkTime::Uniform { min, max } => choices.u64(min.0..=max.0.max(min.0)),
        ThinkTime::Exponential { mean } => {
            // Drawn from [0, 1), so that the logarithm is that of a number above 0.
            let means = -(1.0 - choices.f64()).ln();
            (means.min(LONGEST) * mean.0 as f64) as u64
        }
    })
}

impl PreparedStep {
    fn new(step: &proofload_plan::Step, cells: Vec<usize>, plan: &Plan, materials: &Materials) -> Result<Self, String> {
        let action = match &step.action {
            Action::Request(request) => PreparedAction::Request(Prepared::new(request, plan, materials)?),
            Action::WebSocket(action) => {
                PreparedAction::WebSocket(Box::new(web_socket::Action::new(action, plan, materials)?))
            }
        };
        let checks = Checks::new(step, plan)?;
        let location = matches!(&action, PreparedAction::Request(request) if request.follows);
        let mut wants = Wants { cookies: plan.target.cookies, location, ..checks.wants };
        // The answer to a handshake is verified by its head.
        wants.head |= matches!(&action, PreparedAction::WebSocket(action) if action.is_handshake());
        Ok(Self { action, checks, wants, expect: step.expect.clone(), cells })
    }

    /// Whether a status is a good answer.
    pub(crate) fn expects(&self, status: u16) -> bool {
        self.expect.iter().any(|pattern| pattern.matches(status))
    }
}

pub(crate) fn running_sum(numbers: impl Iterator<Item = u64>) -> Vec<u64> {
    numbers
        .scan(0_u64, |sum, number| {
            *sum = sum.saturating_add(number);
            Some(*sum)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAWS: usize = 100_000;

    /// So many pauses of one user, in milliseconds.
    fn drawn(think: ThinkTime) -> Vec<f64> {
        let mut choices = Rng::with_seed(7);
        (0..DRAWS).map(|_| pause(think, &mut choices).as_secs_f64() * 1000.0).collect()
    }

    /// The mean, and those below which a half, nineteen of twenty, and all of the pauses are.
    fn figures(think: ThinkTime) -> [f64; 4] {
        let mut pauses = drawn(think);
        pauses.sort_unstable_by(f64::total_cmp);
        let mean = pauses.iter().sum::<f64>() / DRAWS as f64;
        [mean, pauses[DRAWS / 2], pauses[DRAWS / 20 * 19], pauses[DRAWS - 1]]
    }

    fn assert_near(think: ThinkTime, expected: [f64; 4]) {
        let figures = figures(think);
        let is_near = |(figure, expected): (&f64, &f64)| (figure - expected).abs() <= 0.02 * expected;
        assert!(figures.iter().zip(&expected).all(is_near), "{think:?}: {figures:?}, expected {expected:?}");
    }

    #[test]
    fn think_times_are_distributed_as_planned() {
        let millis = Micros::from_millis;
        assert_near(ThinkTime::Constant(millis(10)), [10.0; 4]);
        assert_near(ThinkTime::Uniform { min: millis(5), max: millis(25) }, [15.0, 15.0, 24.0, 25.0]);
        // The median is the mean times ln 2, the 95th percentile the mean times ln 20; nothing is beyond ten means.
        let exponential = ThinkTime::Exponential { mean: millis(100) };
        let [mean, median, most, longest] = figures(exponential);
        assert_near(exponential, [100.0, 69.3, 299.6, longest]);
        assert!((700.0..=1000.0).contains(&longest), "{mean} {median} {most} {longest}");
        assert_eq!(drawn(exponential), drawn(exponential));
    }
}

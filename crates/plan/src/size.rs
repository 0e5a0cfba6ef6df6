//! How many runners a load needs, and of what size: the cost model of docs/sizing.md.

use proofload_api::loadtest::{RunnerCount, Runners};
use proofload_api::units::Micros;
use serde::Serialize;

use crate::model::{Action, Connections, Level, Load, Node, Plan, Protocol, Scenario, Step, WebSocket};

/// What load costs a runner. Measured; docs/sizing.md says how, and what the margins are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CostModel {
    /// CPU time of a request, network stack included, with a margin for slower machines.
    pub cpu_per_request: Micros,
    /// The share of a CPU that a runner may use, so that it stays on time.
    pub utilisation_percent: u64,
    /// How fast a target is assumed to answer where nothing is known of it.
    pub response_time: Micros,
    /// Memory of a runner without users.
    pub base_memory: u64,
    /// Memory of a user: its task, its connection, its buffers while a request is under way.
    pub memory_per_user: u64,
    /// Memory of a cell of the plan: its histograms at their largest.
    pub memory_per_cell: u64,
    /// The most users of one runner: each has a socket, and a container's limit of open files may be 20,000.
    pub users_per_runner: u32,
}

impl CostModel {
    /// The published one.
    pub const PUBLISHED: Self = Self {
        cpu_per_request: Micros(50),
        utilisation_percent: 50,
        response_time: Micros::from_millis(10),
        base_memory: 48 << 20,
        memory_per_user: 24 << 10,
        memory_per_cell: 384 << 10,
        users_per_runner: 5_000,
    };

    /// The most requests per second of one runner with one CPU.
    pub const fn rate_per_runner(&self) -> u64 {
        10_000 * self.utilisation_percent / self.cpu_per_request.0
    }
}

/// How many runners of what size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sizing {
    /// Runner pods.
    pub runners: u32,
    /// CPU of each, in thousandths; request and limit.
    pub cpu_millis: u64,
    /// Memory of each, in bytes; request and limit.
    pub memory: u64,
    /// Why, in a sentence.
    pub reason: String,
}

/// Sizes a plan. What the user fixed stays fixed.
pub fn size(plan: &Plan, runners: &Runners, model: &CostModel) -> Sizing {
    let users = plan.peak_users();
    let rate = likely_rate(plan, model);
    let (count, reason) = match runners.count {
        RunnerCount::Fixed(count) => (count, format!("count is set to {count}")),
        RunnerCount::Auto => automatic(plan, users, rate, model),
    };
    let requests = rate.div_ceil(u64::from(count));
    let needed = requests.saturating_mul(model.cpu_per_request.0 * 100) / model.utilisation_percent / 1_000;
    let cells = plan.layout().len() as u64;
    let per_user = model.memory_per_user * u64::from(users.div_ceil(count));
    // Each cell is held by the thread that records and once more while a snapshot is made.
    let memory = model.base_memory + per_user + 2 * cells * model.memory_per_cell;
    Sizing {
        runners: count,
        cpu_millis: needed.next_multiple_of(100).clamp(250, 1_000),
        memory: memory.next_multiple_of(16 << 20),
        reason,
    }
}

fn automatic(plan: &Plan, users: u32, rate: u64, model: &CostModel) -> (u32, String) {
    let for_users = users.div_ceil(model.users_per_runner);
    let for_rate = u32::try_from(rate.div_ceil(model.rate_per_runner())).unwrap_or(u32::MAX);
    // Never more runners than users, or than connections to share: a runner with nothing to do is of no use. Nor than
    // users of any open model: a runner without one would drop each of its arrivals.
    let connections = match plan.target.connections {
        Connections::PerUser(_) => u32::MAX,
        Connections::Shared { count, .. } => count,
    };
    let open = plan.main().iter().map(|scenario| &scenario.load).filter(|load| load.is_open());
    let open = open.map(Load::users).min().unwrap_or(u32::MAX);
    let most = users.min(connections).min(open).clamp(1, RunnerCount::MAX);
    let count = for_users.max(for_rate).clamp(1, most);
    let reason = format!(
        "{users} users at {} users per runner, about {rate} requests/s at {}/s per runner",
        model.users_per_runner,
        model.rate_per_runner()
    );
    (count, reason)
}

/// Requests per second of all scenarios together.
fn likely_rate(plan: &Plan, model: &CostModel) -> u64 {
    let rate = |is_open: bool| {
        let scenarios = plan.main().iter().filter(|scenario| scenario.load.is_open() == is_open);
        scenarios.map(|scenario| rate_of(scenario, model)).fold(0, u64::saturating_add)
    };
    let most = at_once(plan).saturating_mul(1_000_000) / model.response_time.0;
    rate(true).saturating_add(rate(false).min(most))
}

/// How many requests can be under way over all shared connections. Web sockets are beside them.
fn at_once(plan: &Plan) -> u64 {
    let mut steps = plan.main().iter().flat_map(|scenario| &scenario.steps);
    match plan.target.connections {
        Connections::PerUser(_) => u64::MAX,
        Connections::Shared { .. } if steps.any(|step| matches!(step.action, Action::WebSocket(_))) => u64::MAX,
        Connections::Shared { count, .. } if plan.target.protocol == Protocol::Http1 => u64::from(count),
        Connections::Shared { count, streams } => u64::from(count) * u64::from(streams),
    }
}

/// Requests per second of a scenario: of a closed model, were the target to answer in the model's response time; of an
/// open one, at its highest rate.
fn rate_of(scenario: &Scenario, model: &CostModel) -> u64 {
    let pause = scenario.think_time.map_or(0, |think| think.mean().0);
    let open = |per_hour: u64| per_hour.saturating_mul(requests_per_iteration(scenario)).div_ceil(3600);
    let closed = |users: u32| {
        let Work { requests, holds, held } = mean_iteration(scenario);
        let requests = u128::from(requests);
        let time = requests * u128::from(pause + model.response_time.0)
            + u128::from(holds) * u128::from(pause)
            + u128::from(held);
        let likely = u128::from(users) * 1_000_000 * requests / time.max(1);
        let paced = scenario.pacing.map_or(u64::MAX, |pacing| {
            u64::from(users).saturating_mul(requests_per_iteration(scenario)).saturating_mul(1_000_000)
                / pacing.0.max(1)
        });
        u64::try_from(likely).unwrap_or(u64::MAX).min(paced)
    };
    match &scenario.load {
        Load::Users(curve) => closed(curve.peak()),
        Load::Iterations { users, .. } => closed(*users),
        Load::Arrivals { curve, .. } => open(curve.peak().per_hour),
        Load::Search(search) => match search.limit {
            Level::Users(users) => closed(users),
            Level::Rate(rate) => open(rate.per_hour),
        },
    }
}

/// What a part of a flow does.
#[derive(Clone, Copy, Default)]
struct Work {
    /// Requests that it sends.
    requests: u64,
    /// How often it holds a web socket open, which is no request.
    holds: u64,
    /// How long, in all, in microseconds.
    held: u64,
}

impl Work {
    fn times(self, times: u64) -> Self {
        let times = |number: u64| number.saturating_mul(times);
        Self { requests: times(self.requests), holds: times(self.holds), held: times(self.held) }
    }

    fn and(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_add(other.requests),
            holds: self.holds.saturating_add(other.holds),
            held: self.held.saturating_add(other.held),
        }
    }
}

/// How many requests an iteration sends: all of a sequence, or of the largest that it may be one of. A loop with a
/// condition counts once, since nobody knows how often it holds.
fn requests_per_iteration(scenario: &Scenario) -> u64 {
    let nodes = &scenario.flow.nodes;
    match &scenario.flow.weights {
        None => all(nodes, &scenario.steps).requests,
        Some(weights) => {
            let drawn = nodes.iter().zip(weights).filter(|(_, weight)| **weight > 0);
            drawn.map(|(node, _)| work(node, &scenario.steps).requests).max().unwrap_or(1)
        }
    }
}

/// What an iteration does; of a weighted flow, what many of them do.
fn mean_iteration(scenario: &Scenario) -> Work {
    let nodes = &scenario.flow.nodes;
    match &scenario.flow.weights {
        None => all(nodes, &scenario.steps),
        Some(weights) => {
            let drawn = nodes.iter().zip(weights).map(|(node, weight)| (work(node, &scenario.steps), *weight));
            drawn.fold(Work::default(), |sum, (work, weight)| sum.and(work.times(u64::from(weight))))
        }
    }
}

fn all(nodes: &[Node], steps: &[Step]) -> Work {
    nodes.iter().map(|node| work(node, steps)).fold(Work::default(), Work::and)
}

fn work(node: &Node, steps: &[Step]) -> Work {
    match node {
        Node::Step(step) => match steps.get(*step).map(|step| &step.action) {
            Some(Action::WebSocket(WebSocket::Hold(time))) => Work { requests: 0, holds: 1, held: time.0 },
            _ => Work { requests: 1, ..Work::default() },
        },
        Node::Group(group) => {
            let times = if group.condition.is_some() { 1 } else { u64::from(group.repeat) };
            all(&group.nodes, steps).times(times)
        }
    }
}

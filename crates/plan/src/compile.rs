//! From a specification to a plan, or to every problem in it at once.
//!
//! The checks here are those that the schema cannot make, and those that it makes too, since a file can come from
//! anywhere. Each function reads one part of the specification and adds what is wrong with it; what is wrong is
//! replaced by something harmless so that the checks go on.

mod answer;
mod baseline;
mod body;
mod criteria;
mod data;
mod expect;
mod flow;
mod load;
mod names;
mod pieces;
mod promql;
mod request;
mod scenario;
mod server;
mod store;
mod target;
mod web_socket;

use proofload_api::data::{Per, Pick};
use proofload_api::loadtest::{RunnerCount, Scale};
use proofload_api::problem::did_you_mean;
use proofload_api::units::Micros;
use proofload_api::{LoadTestSpec, Problem};

use crate::model::{Criterion, Level, Load, PLAN_VERSION, Plan, Search};
use crate::size::{CostModel, Sizing, size};
use names::Names;

/// The most cells (scenarios x steps x stages) of a plan: each holds histograms on every runner.
const MAX_CELLS: usize = 2_000;
/// The most bytes of a plan, as JSON: it has to fit a `ConfigMap`, with room for its metadata.
const MAX_PLAN_BYTES: usize = 900 << 10;
/// The longest that a run can last.
const MAX_DURATION: Micros = Micros::from_secs(30 * 86_400);
/// The most buckets of a timeline.
const MAX_BUCKETS: u64 = 600;
/// The longest that runners can be awaited, or go on without being asked for.
const MAX_WAIT: Micros = Micros::from_secs(3600);
/// A shorter heartbeat would end runs when the operator is merely restarted.
const MIN_HEARTBEAT: Micros = Micros::from_secs(10);

/// What a specification compiles to.
#[derive(Debug, Clone, PartialEq)]
pub struct Compiled {
    /// What runners execute.
    pub plan: Plan,
    /// What must hold.
    pub criteria: Vec<Criterion>,
    /// How many runners of what size.
    pub sizing: Sizing,
}

/// The problems found so far.
#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, path: impl Into<String>, expected: impl Into<String>, came: impl Into<String>) {
        self.push(Problem::new(path, expected, came));
    }

    fn add_hint(&mut self, path: &str, expected: &str, came: impl Into<String>, hint: impl Into<String>) {
        self.push(Problem::new(path, expected, came).hint(hint));
    }

    /// What is wrong with the target is found again with each step, and said once.
    fn push(&mut self, problem: Problem) {
        if !self.0.contains(&problem) {
            self.0.push(problem);
        }
    }

    fn count(&self) -> usize {
        self.0.len()
    }
}

/// Compiles a specification; `run` names the run, as `namespace/name` in a cluster. Every random choice of the run
/// follows from the seed, or from that name, so the same file under the same name sends the same requests.
pub fn compile(spec: &LoadTestSpec, run: &str) -> Result<Compiled, Vec<Problem>> {
    let mut problems = Problems::default();
    let seed = spec.seed.unwrap_or_else(|| seed(run));
    let (target, base) = target::target(spec, seed, &mut problems);
    let mut names = Names::new(spec);
    let scenarios = scenario::scenarios(spec, &base, &mut names, &mut problems);
    let (variables, columns) = names.finish();
    let mut plan = Plan {
        version: PLAN_VERSION,
        run: run.to_owned(),
        seed,
        target,
        data: data::sets(spec, columns, &scenarios, &mut problems),
        files: data::files(spec, &mut problems),
        env: data::env(spec, &mut problems),
        variables,
        scenarios,
        server: server::server(spec, &mut problems),
        heartbeat_timeout: spec.runners.heartbeat_timeout,
        timeline_width: Micros::from_secs(1),
    };
    let criteria = criteria::criteria(&spec.criteria, &plan, &mut problems);
    criteria::searches(&plan, &mut problems);
    baseline::baseline(spec, &mut problems);
    runners(spec, &plan, &mut problems);
    store::store(spec, &mut problems);
    if problems.0.is_empty() {
        plan.timeline_width = Micros::from_secs(plan.likely().0.div_ceil(MAX_BUCKETS * 1_000_000).max(1));
        limits(&plan, &mut problems);
    }
    if !problems.0.is_empty() {
        return Err(problems.0);
    }
    let sizing = size(&plan, &spec.runners, &CostModel::PUBLISHED);
    Ok(Compiled { plan, criteria, sizing })
}

/// What a live change asks for: the index of the scenario and the level; or what is wrong with it. `index` is its place
/// in `spec.scale`. Not part of [`compile`], since a change that is wrong must not end a run.
pub fn level_of(scale: &Scale, index: usize, plan: &Plan) -> Result<(usize, Level), Problem> {
    let path = format!("spec.scale[{index}]");
    let names = || plan.main().iter().map(|scenario| scenario.name.as_str());
    let Some(at) = names().position(|name| name == scale.scenario) else {
        let problem = Problem::new(format!("{path}.scenario"), "a scenario", format!("{:?}", scale.scenario));
        return Err(problem.hint(known(&scale.scenario, names())));
    };
    if let (Load::Users(curve), Some(set)) = (&plan.scenarios[at].load, unique_rows(plan, at)) {
        // The rows of a user beyond the plan's would be those of another.
        if let Some(users) = scale.users.filter(|users| *users > curve.peak()) {
            let expected = format!("at most {} users, as planned", curve.peak());
            let hint = format!("each row of the data set {set} is used once");
            return Err(Problem::new(format!("{path}.users"), expected, users.to_string()).hint(hint));
        }
    }
    match (&plan.scenarios[at].load, scale.users, scale.rate) {
        (Load::Users(_), Some(users), None) => Ok((at, Level::Users(users))),
        (Load::Arrivals { .. }, None, Some(rate)) => Ok((at, Level::Rate(rate))),
        (load, users, rate) => {
            let (expected, hint) = match load {
                Load::Users(_) => ("users", "the scenario is of a number of users"),
                Load::Arrivals { .. } => ("rate", "the scenario is of arrivals"),
                Load::Iterations { .. } => ("another scenario", "the work of this one is fixed"),
                Load::Search(Search { .. }) => ("another scenario", "this one searches its load itself"),
            };
            let given = [("users", users.is_some()), ("rate", rate.is_some())];
            let given: Vec<&str> = given.into_iter().filter(|(_, is)| *is).map(|(name, _)| name).collect();
            let came = if given.is_empty() { "neither users nor rate".to_owned() } else { given.join(" and ") };
            Err(Problem::new(path, expected, came).hint(hint))
        }
    }
}

/// A data set of a scenario of which each iteration takes a row for itself.
fn unique_rows(plan: &Plan, scenario: usize) -> Option<&str> {
    let mut sets = plan.scenarios[scenario].data.iter().map(|set| &plan.data[*set]);
    sets.find(|set| set.pick == Pick::Unique && set.per == Per::Iteration).map(|set| set.source.name.as_str())
}

/// FNV-1a: short, stable over releases, and good enough to spread names.
fn seed(run: &str) -> u64 {
    run.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

/// What was meant, or what there is.
fn known<'a>(unknown: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    /// More names than this help nobody.
    const MOST: usize = 20;
    if let Some(meant) = did_you_mean(unknown, known.clone()) {
        return format!("did you mean {meant}?");
    }
    let names: Vec<&str> = known.clone().take(MOST).collect();
    let more = if known.count() > MOST { ", ..." } else { "" };
    if names.is_empty() { "there are none".to_owned() } else { format!("there are: {}{more}", names.join(", ")) }
}

/// Says so if an earlier name is the same; the first one is left alone.
fn duplicate(names: &[&str], at: usize, kind: &str, path: &str, problems: &mut Problems) {
    if let Some(first) = names[..at].iter().position(|name| *name == names[at]) {
        let expected = format!("a name that no other {kind} has");
        problems.add(format!("{path}.name"), expected, format!("{:?}, the name of {kind} {first} too", names[at]));
    }
}

fn limits(plan: &Plan, problems: &mut Problems) {
    let cells = plan.layout().len();
    if cells > MAX_CELLS {
        let expected = format!("at most {MAX_CELLS} combinations of scenario, step and stage");
        problems.add("spec.scenarios", expected, cells.to_string());
    }
    if plan.longest() > MAX_DURATION {
        problems.add("spec.scenarios", format!("a run of at most {MAX_DURATION}"), plan.longest().to_string());
    }
    let bytes = serde_json::to_vec(plan).map_or(usize::MAX, |json| json.len());
    if bytes > MAX_PLAN_BYTES {
        problems.add("spec", format!("a plan of at most {MAX_PLAN_BYTES} bytes"), format!("{bytes} bytes"));
    }
}

fn runners(spec: &LoadTestSpec, plan: &Plan, problems: &mut Problems) {
    let runners = &spec.runners;
    if let RunnerCount::Fixed(count) = runners.count {
        if !(1..=RunnerCount::MAX).contains(&count) {
            let expected = format!("Auto, or 1 to {}", RunnerCount::MAX);
            problems.add("spec.runners.count", expected, count.to_string());
        }
        if let Some(shared) = spec.target.connections.shared.filter(|shared| *shared < count) {
            let came = format!("{shared} for {count} runners");
            problems.add("spec.target.connections.shared", "at least one connection for each runner", came);
        }
        for (i, scenario) in plan.main().iter().enumerate() {
            // A runner without a user would drop each of its arrivals.
            if scenario.load.is_open() && scenario.load.users() < count {
                let path = format!("spec.scenarios[{i}]");
                let hint = "raise maxUsers, or ask for fewer runners";
                let came = format!("maxUsers {} for {count} runners", scenario.load.users());
                problems.add_hint(&path, "at least one user for each runner", came, hint);
            }
        }
    }
    if runners.start_deadline == Micros::ZERO || runners.start_deadline > MAX_WAIT {
        let expected = format!("a time longer than 0s, at most {MAX_WAIT}");
        problems.add("spec.runners.startDeadline", expected, runners.start_deadline.to_string());
    }
    if !(MIN_HEARTBEAT..=MAX_WAIT).contains(&runners.heartbeat_timeout) {
        let expected = format!("{MIN_HEARTBEAT} to {MAX_WAIT}");
        problems.add("spec.runners.heartbeatTimeout", expected, runners.heartbeat_timeout.to_string());
    }
}

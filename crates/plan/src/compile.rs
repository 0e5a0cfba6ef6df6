//! From a specification to a plan, or to every problem in it at once.
//!
//! The checks here are those that the schema cannot make, and those that it makes too, since a file can come from
//! anywhere. Each function reads one part of the specification and adds what is wrong with it; what is wrong is
//! replaced by something harmless so that the checks go on.

use proofload_api::criterion::Expr;
use proofload_api::loadtest::{
    Connections as ApiConnections, Criterion as ApiCriterion, RunnerCount, Target as ApiTarget,
};
use proofload_api::problem::did_you_mean;
use proofload_api::scenario::{Scenario as ApiScenario, Stage};
use proofload_api::units::Micros;
use proofload_api::{LoadTestSpec, Problem};

use crate::curve::{Span, UserCurve};
use crate::model::{Connections, Criterion, Load, PLAN_VERSION, Plan, Scenario, Scope, Target, ThinkTime};
use crate::request::{self, Base};
use crate::size::{CostModel, Sizing, size};

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
pub(crate) struct Problems(Vec<Problem>);

impl Problems {
    pub(crate) fn add(&mut self, path: impl Into<String>, expected: impl Into<String>, came: impl Into<String>) {
        self.0.push(Problem::new(path, expected, came));
    }

    pub(crate) fn add_hint(&mut self, path: &str, expected: &str, came: impl Into<String>, hint: impl Into<String>) {
        self.0.push(Problem::new(path, expected, came).hint(hint));
    }
}

/// Compiles a specification; `run` names the run, as `namespace/name` in a cluster. Every random choice of the run
/// follows from that name, so the same file under the same name sends the same requests.
pub fn compile(spec: &LoadTestSpec, run: &str) -> Result<Compiled, Vec<Problem>> {
    let mut problems = Problems(Vec::new());
    let (target, base) = target(&spec.target, &mut problems);
    let scenarios = scenarios(&spec.scenarios, &base, &mut problems);
    let criteria = criteria(&spec.criteria, &scenarios, &mut problems);
    runners(spec, &mut problems);
    let mut plan = Plan {
        version: PLAN_VERSION,
        run: run.to_owned(),
        seed: seed(run),
        target,
        scenarios,
        heartbeat_timeout: spec.runners.heartbeat_timeout,
        timeline_width: Micros::from_secs(1),
    };
    if has_cycle(&plan.scenarios) {
        problems.add("spec.scenarios", "scenarios that can begin one after the other", "a cycle of `after`");
    }
    if problems.0.is_empty() {
        plan.timeline_width = Micros::from_secs(plan.longest().0.div_ceil(MAX_BUCKETS * 1_000_000).max(1));
        limits(&plan, &mut problems);
    }
    if !problems.0.is_empty() {
        return Err(problems.0);
    }
    let sizing = size(&plan, &spec.runners, &CostModel::PUBLISHED);
    Ok(Compiled { plan, criteria, sizing })
}

/// FNV-1a: short, stable over releases, and good enough to spread names.
fn seed(run: &str) -> u64 {
    run.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
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

fn target(target: &ApiTarget, problems: &mut Problems) -> (Target, Base) {
    let path = "spec.target";
    if target.timeout == Micros::ZERO || target.timeout > Micros::from_secs(3600) {
        problems.add(format!("{path}.timeout"), "a time longer than 0s, at most 1h", target.timeout.to_string());
    }
    let ApiConnections { per_user, shared } = target.connections;
    let connections = match (per_user, shared) {
        (Some(per_user), None) if per_user > 0 => Connections::PerUser(per_user),
        (None, Some(shared)) if shared > 0 => Connections::Shared(shared),
        (per_user, shared) => {
            let came = format!("perUser: {per_user:?}, shared: {shared:?}");
            problems.add(format!("{path}.connections"), "either perUser or shared, at least 1", came);
            Connections::PerUser(1)
        }
    };
    let address = request::base_url(&target.base_url, &format!("{path}.baseUrl"), problems);
    let headers = request::headers(&target.headers, &format!("{path}.headers"), problems);
    let base = Base { authority: address.authority.clone(), path: address.path, headers };
    let target = Target {
        host: address.host,
        port: address.port,
        authority: address.authority,
        timeout: target.timeout,
        connections,
    };
    (target, base)
}

fn scenarios(scenarios: &[ApiScenario], base: &Base, problems: &mut Problems) -> Vec<Scenario> {
    if scenarios.is_empty() {
        problems.add("spec.scenarios", "at least one scenario", "none");
    }
    let names: Vec<&str> = scenarios.iter().map(|scenario| scenario.name.as_str()).collect();
    let mut compiled = Vec::with_capacity(scenarios.len());
    for (i, scenario) in scenarios.iter().enumerate() {
        let path = format!("spec.scenarios[{i}]");
        unique(&names, i, "scenario", &path, problems);
        let after = scenario.after.as_deref().and_then(|after| predecessor(after, i, &names, &path, problems));
        compiled.push(Scenario {
            name: scenario.name.clone(),
            after,
            load: load(scenario, &path, problems),
            think_time: think_time(scenario, &path, problems),
            flow: scenario.flow,
            steps: request::steps(scenario, base, &path, problems),
        });
    }
    compiled
}

/// Says so if an earlier name is the same; the first one is left alone.
pub(crate) fn unique(names: &[&str], at: usize, kind: &str, path: &str, problems: &mut Problems) {
    if let Some(first) = names[..at].iter().position(|name| *name == names[at]) {
        let expected = format!("a name that no other {kind} has");
        problems.add(format!("{path}.name"), expected, format!("{:?}, the name of {kind} {first} too", names[at]));
    }
}

fn predecessor(after: &str, own: usize, names: &[&str], path: &str, problems: &mut Problems) -> Option<usize> {
    let found = names.iter().position(|name| *name == after);
    if found.is_none() || found == Some(own) {
        let others: Vec<&str> = names.iter().copied().filter(|name| *name != names[own]).collect();
        let hint = did_you_mean(after, others.iter().copied()).map(|name| format!("did you mean {name}?"));
        let hint = hint.unwrap_or_else(|| format!("there are: {}", others.join(", ")));
        problems.add_hint(&format!("{path}.after"), "the name of another scenario", format!("{after:?}"), hint);
        return None;
    }
    found
}

fn has_cycle(scenarios: &[Scenario]) -> bool {
    (0..scenarios.len()).any(|start| {
        let chain = std::iter::successors(scenarios[start].after, |i| scenarios[*i].after);
        chain.take(scenarios.len() + 1).count() > scenarios.len()
    })
}

fn load(scenario: &ApiScenario, path: &str, problems: &mut Problems) -> Load {
    match (&scenario.users, &scenario.iterations) {
        (Some(users), None) => Load::Users(curve(&users.stages, &format!("{path}.users"), problems)),
        (None, Some(iterations)) => {
            for (field, value) in [("users", iterations.users), ("perUser", iterations.per_user)] {
                if value == 0 {
                    problems.add(format!("{path}.iterations.{field}"), "at least 1", "0");
                }
            }
            if iterations.max_duration == Micros::ZERO {
                problems.add(format!("{path}.iterations.maxDuration"), "a time longer than 0s", "0s");
            }
            Load::Iterations {
                users: iterations.users,
                per_user: iterations.per_user,
                max_duration: iterations.max_duration,
            }
        }
        (users, _) => {
            let came = if users.is_some() { "both" } else { "neither" };
            problems.add(path, "exactly one load model: either users or iterations", came);
            Load::Users(UserCurve::new(Vec::new()))
        }
    }
}

fn curve(stages: &[Stage], path: &str, problems: &mut Problems) -> UserCurve {
    let before = problems.0.len();
    let names: Vec<&str> = stages.iter().filter_map(|stage| stage.name.as_deref()).collect();
    for (i, name) in names.iter().enumerate() {
        if names[..i].contains(name) {
            problems.add(
                format!("{path}.stages"),
                "stage names that differ from each other",
                format!("{name:?} twice"),
            );
        }
    }
    let mut spans: Vec<Span> = Vec::with_capacity(stages.len());
    for (i, stage) in stages.iter().enumerate() {
        let now = spans.last().map_or(0, |span| span.to);
        spans.extend(span(stage, now, i, &format!("{path}.stages[{i}]"), problems));
    }
    let curve = UserCurve::new(spans);
    if curve.peak() == 0 && problems.0.len() == before {
        problems.add_hint(&format!("{path}.stages"), "at least one user", "0 users", "begin with {to: 10, over: 10s}");
    }
    curve
}

fn span(stage: &Stage, now: u32, index: usize, path: &str, problems: &mut Problems) -> Option<Span> {
    let mut time = |field: &str, time: Micros| {
        if time == Micros::ZERO {
            problems.add(format!("{path}.{field}"), "a time longer than 0s", "0s");
        }
        (time > Micros::ZERO).then_some(time)
    };
    let number = index + 1;
    let (from, to, duration, name) = match (stage.to, stage.over, stage.hold) {
        (Some(to), Some(over), None) => (now, to, time("over", over)?, format!("{number}: ramp {now} to {to}")),
        (None, None, Some(hold)) => (now, now, time("hold", hold)?, format!("{number}: hold {now}")),
        (Some(to), None, Some(hold)) => (to, to, time("hold", hold)?, format!("{number}: hold {to}")),
        (to, over, hold) => {
            let some = |name: &str, set: bool| if set { format!("{name} ") } else { String::new() };
            let came = [some("to", to.is_some()), some("over", over.is_some()), some("hold", hold.is_some())].concat();
            let came = if came.is_empty() { "nothing" } else { came.trim_end() };
            let expected = "{to, over} for a ramp, {hold} to stay, or {to, hold} to jump and stay";
            problems.add(path, expected, format!("only {came}"));
            return None;
        }
    };
    Some(Span { name: stage.name.clone().unwrap_or(name), from, to, duration })
}

fn think_time(scenario: &ApiScenario, path: &str, problems: &mut Problems) -> Option<ThinkTime> {
    let think = scenario.think_time?;
    if think.min > think.max {
        let came = format!("min {} and max {}", think.min, think.max);
        problems.add(format!("{path}.thinkTime"), "a min that is not longer than max", came);
        return None;
    }
    Some(ThinkTime { min: think.min, max: think.max })
}

fn criteria(criteria: &[ApiCriterion], scenarios: &[Scenario], problems: &mut Problems) -> Vec<Criterion> {
    let mut compiled = Vec::with_capacity(criteria.len());
    for (i, criterion) in criteria.iter().enumerate() {
        let path = format!("spec.criteria[{i}]");
        let scope = criterion.of.as_deref().map_or(Some(Scope::Run), |of| scope(of, scenarios, &path, problems));
        let expr = criterion.expr.parse::<Expr>().map_err(|error| {
            let expected = format!("{} at column {}", error.expected, error.column);
            problems.add(format!("{path}.expr"), expected, format!("{} in {:?}", error.found, criterion.expr));
        });
        if let (Some(scope), Ok(expr)) = (scope, expr) {
            let (text, of) = (criterion.expr.clone(), criterion.of.clone());
            compiled.push(Criterion { text, expr, scope, of, severity: criterion.severity });
        }
    }
    compiled
}

fn scope(of: &str, scenarios: &[Scenario], path: &str, problems: &mut Problems) -> Option<Scope> {
    let (scenario_name, step_name) = of.split_once('/').map_or((of, None), |(scenario, step)| (scenario, Some(step)));
    let found = scenarios.iter().position(|scenario| scenario.name == scenario_name);
    let resolved = match (found, step_name) {
        (Some(scenario), None) => Some(Scope::Scenario(scenario)),
        (Some(scenario), Some(name)) => {
            let step = scenarios[scenario].steps.iter().position(|step| step.name == name);
            step.map(|step| Scope::Step(scenario, step))
        }
        (None, _) => None,
    };
    if resolved.is_none() {
        let steps = |s: &Scenario| s.steps.iter().map(|t| format!("{}/{}", s.name, t.name)).collect::<Vec<_>>();
        let known: Vec<String> =
            scenarios.iter().flat_map(|s| std::iter::once(s.name.clone()).chain(steps(s))).take(20).collect();
        let hint = did_you_mean(of, known.iter().map(String::as_str)).map(|name| format!("did you mean {name}?"));
        let hint = hint.unwrap_or_else(|| format!("there are: {}", known.join(", ")));
        problems.add_hint(&format!("{path}.of"), "a scenario or scenario/step of this test", format!("{of:?}"), hint);
    }
    resolved
}

fn runners(spec: &LoadTestSpec, problems: &mut Problems) {
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

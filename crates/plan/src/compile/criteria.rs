//! Criteria: what they say, and on which part of the run.

use proofload_api::criterion::{Expr, Metric};
use proofload_api::loadtest::Criterion as ApiCriterion;
use proofload_api::units::Micros;

use super::{MAX_DURATION, Problems, known};
use crate::model::{Criterion, Load, Node, Plan, Role, Scenario, Scope};

pub(super) fn criteria(criteria: &[ApiCriterion], plan: &Plan, problems: &mut Problems) -> Vec<Criterion> {
    let compiled = criteria
        .iter()
        .enumerate()
        .map(|(i, criterion)| one(criterion, plan, &format!("spec.criteria[{i}]"), problems));
    compiled.flatten().collect()
}

/// What searches hold is a criterion too.
pub(super) fn searches(plan: &Plan, problems: &mut Problems) {
    for (i, scenario) in plan.main().iter().enumerate() {
        if let Load::Search(search) = &scenario.load
            && let Ok(expr) = search.until.parse::<Expr>()
        {
            let path = format!("spec.scenarios[{i}].search.until");
            if matches!(expr.metric, Metric::Server(_)) {
                let hint = "Prometheus is asked once the load is over: make it one of spec.criteria";
                problems.add_hint(&path, "no server metric here", expr.metric.to_string(), hint);
            }
            metric(&expr.metric, Scope::Scenario(i), plan, &path, problems);
        }
    }
}

fn one(criterion: &ApiCriterion, plan: &Plan, path: &str, problems: &mut Problems) -> Option<Criterion> {
    let of = criterion.of.as_deref();
    let scope = of.map_or(Some(Scope::Run), |of| scope(of, &plan.scenarios, path, problems));
    let expr = criterion.expr.parse::<Expr>().map_err(|error| {
        let expected = format!("{} at column {}", error.expected, error.column);
        problems.add(format!("{path}.expr"), expected, format!("{} in {:?}", error.found, criterion.expr));
    });
    let abort = criterion.abort.inspect(|abort| {
        if abort.window == Micros::ZERO || abort.window > MAX_DURATION {
            let expected = format!("a time longer than 0s, at most {MAX_DURATION}");
            problems.add(format!("{path}.abort.window"), expected, abort.window.to_string());
        }
        if of.is_some_and(|of| of.split('/').next() == Some("teardown")) {
            let hint = "when teardown begins, there is no load left to end";
            problems.add_hint(&format!("{path}.abort"), "no abort of teardown", "one", hint);
        }
    });
    let (scope, expr) = (scope?, expr.ok()?);
    metric(&expr.metric, scope, plan, &format!("{path}.expr"), problems);
    if matches!(expr.metric, Metric::Server(_)) {
        of_target(criterion, path, problems);
    }
    let during_text = criterion.during.clone();
    let during = match &during_text {
        Some(name) => Some(during(name, scope, plan, path, problems)?),
        None => None,
    };
    Some(Criterion {
        text: criterion.expr.clone(),
        expr,
        scope,
        of: criterion.of.clone(),
        during,
        during_text,
        abort,
        severity: criterion.severity,
    })
}

fn scope(of: &str, scenarios: &[Scenario], path: &str, problems: &mut Problems) -> Option<Scope> {
    let (scenario_name, part) = of.split_once('/').map_or((of, None), |(scenario, part)| (scenario, Some(part)));
    let found = scenarios.iter().position(|scenario| scenario.name == scenario_name);
    let resolved = found.and_then(|at| match part {
        None if scenarios[at].role == Role::Main => Some(Scope::Scenario(at)),
        None => Some(Scope::Steps(at, 0, scenarios[at].steps.len())),
        Some(name) => {
            let step = scenarios[at].steps.iter().position(|step| step.name == name).map(|step| (step, 1));
            step.or_else(|| group(&scenarios[at].flow.nodes, name)).map(|(first, count)| Scope::Steps(at, first, count))
        }
    });
    if resolved.is_none() {
        let all: Vec<String> = scenarios.iter().flat_map(parts).collect();
        let hint = known(of, all.iter().map(String::as_str));
        let expected = "a scenario, scenario/step or scenario/group of this test, or its setup or teardown";
        problems.add_hint(&format!("{path}.of"), expected, format!("{of:?}"), hint);
    }
    resolved
}

/// Everything that `of` can name in a scenario.
fn parts(scenario: &Scenario) -> Vec<String> {
    let mut names = Vec::new();
    groups(&scenario.flow.nodes, &mut names);
    let of = |name: &str| format!("{}/{name}", scenario.name);
    let steps = scenario.steps.iter().map(|step| of(&step.name));
    std::iter::once(scenario.name.clone()).chain(steps).chain(names.into_iter().map(of)).collect()
}

fn groups<'a>(nodes: &'a [Node], names: &mut Vec<&'a str>) {
    for node in nodes {
        if let Node::Group(group) = node {
            names.push(&group.name);
            groups(&group.nodes, names);
        }
    }
}

/// The first step of a group, and how many it has.
fn group(nodes: &[Node], name: &str) -> Option<(usize, usize)> {
    nodes.iter().find_map(|node| match node {
        Node::Group(found) if found.name == name => steps(node),
        Node::Group(other) => group(&other.nodes, name),
        Node::Step(_) => None,
    })
}

fn steps(node: &Node) -> Option<(usize, usize)> {
    match node {
        Node::Step(step) => Some((*step, 1)),
        Node::Group(group) => group.nodes.iter().filter_map(steps).reduce(|all, next| (all.0, all.1 + next.1)),
    }
}

/// What the target says of itself is of no scenario, and known once the load is over.
fn of_target(criterion: &ApiCriterion, path: &str, problems: &mut Problems) {
    if let Some(of) = &criterion.of {
        let hint = "a metric of the target is of all load at once: leave it out, or name a stage by during";
        problems.add_hint(&format!("{path}.of"), "no of beside a server metric", format!("{of:?}"), hint);
    }
    if criterion.abort.is_some() {
        let hint = "Prometheus is asked once the load is over: the criterion is judged then";
        problems.add_hint(&format!("{path}.abort"), "no abort of a server metric", "one", hint);
    }
}

/// A figure that nothing can ever have would never be judged.
fn metric(metric: &Metric, scope: Scope, plan: &Plan, path: &str, problems: &mut Problems) {
    let (scenarios, steps) = match scope {
        Scope::Run => (plan.main(), None),
        Scope::Scenario(at) => (&plan.scenarios[at..=at], None),
        Scope::Steps(at, step, count) => (&plan.scenarios[at..=at], Some(step..step + count)),
    };
    match metric {
        Metric::Server(name) => {
            let all = || plan.server.iter().flat_map(|server| &server.queries).map(|query| query.name.as_str());
            if !all().any(|known| known == name) {
                let all: Vec<&str> = all().collect();
                let hint = known(name, all.into_iter());
                problems.add_hint(path, "a metric of spec.serverMetrics", format!("server.{name}"), hint);
            }
        }
        Metric::Dropped if steps.is_some() => {
            problems.add(path, "dropped of a whole scenario, since an arrival is of no step yet", "dropped of steps");
        }
        Metric::Dropped if !scenarios.iter().any(|scenario| scenario.load.is_open()) => {
            let expected = "dropped of a scenario with arrivals, or with a search for a rate";
            problems.add(path, expected, "none there");
        }
        Metric::Check(name) => {
            let steps = |scenario: &Scenario| match &steps {
                Some(range) => range.clone(),
                None => 0..scenario.steps.len(),
            };
            let all = scenarios.iter().flat_map(|scenario| &scenario.steps[steps(scenario)]);
            let all: Vec<String> = all.flat_map(|step| step.check_names(&plan.variables)).collect();
            if !all.contains(name) {
                let hint = known(name, all.iter().map(String::as_str));
                problems.add_hint(path, "the name of a check there", format!("check({name})"), hint);
            }
        }
        _ => {}
    }
}

fn during(name: &str, scope: Scope, plan: &Plan, path: &str, problems: &mut Problems) -> Option<Vec<(usize, usize)>> {
    let scenarios = match scope {
        Scope::Run => 0..plan.main().len(),
        Scope::Scenario(at) | Scope::Steps(at, ..) => at..at + 1,
    };
    let stages = scenarios.flat_map(|at| {
        let names = plan.scenarios[at].load.stage_names();
        names.into_iter().enumerate().map(move |(stage, name)| (at, stage, name))
    });
    let stages: Vec<(usize, usize, String)> = stages.collect();
    let found: Vec<_> = stages.iter().filter(|(.., stage)| stage == name).map(|(at, i, _)| (*at, *i)).collect();
    if found.is_empty() {
        let hint = known(name, stages.iter().map(|(.., stage)| stage.as_str()));
        problems.add_hint(&format!("{path}.during"), "the name of a stage there", format!("{name:?}"), hint);
        return None;
    }
    Some(found)
}

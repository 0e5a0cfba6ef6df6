//! Scenarios: what follows what, pauses, setup and teardown.

use proofload_api::LoadTestSpec;
use proofload_api::problem::did_you_mean;
use proofload_api::scenario::Scenario as ApiScenario;
use proofload_api::step::Step as ApiStep;
use proofload_api::units::Micros;

use super::flow::{self, Work};
use super::load::load;
use super::names::Names;
use super::request::Base;
use super::{MAX_DURATION, Problems, duplicate};
use crate::model::{Flow, Load, Node, Role, Scenario, ThinkTime};

/// Names that scenarios cannot have, since setup and teardown have them.
pub(super) const RESERVED: [&str; 2] = ["setup", "teardown"];
/// How long iterations of an open model may go on after its end, where the spec does not say.
const GRACEFUL_STOP: Micros = Micros::from_secs(30);
/// Setup and teardown may take this long beyond the timeouts of their requests.
const ONCE: Micros = Micros::from_secs(60);

/// Every scenario of a spec, then its setup and its teardown.
pub(super) fn scenarios(
    spec: &LoadTestSpec,
    base: &Base<'_>,
    names: &mut Names<'_>,
    problems: &mut Problems,
) -> Vec<Scenario> {
    if spec.scenarios.is_empty() {
        problems.add("spec.scenarios", "at least one scenario", "none");
    }
    let known: Vec<&str> = spec.scenarios.iter().map(|scenario| scenario.name.as_str()).collect();
    let setup = names.within(|names| once(&spec.setup, Role::Setup, base, names, problems));
    names.keep_setup(&spec.setup);
    let mut compiled = Vec::with_capacity(spec.scenarios.len() + 2);
    for (i, scenario) in spec.scenarios.iter().enumerate() {
        let path = format!("spec.scenarios[{i}]");
        duplicate(&known, i, "scenario", &path, problems);
        if RESERVED.contains(&scenario.name.as_str()) {
            let expected = "another name, since the test's setup and teardown have these";
            problems.add(format!("{path}.name"), expected, format!("{:?}", scenario.name));
        }
        let after = scenario.after.as_deref().and_then(|after| predecessor(after, i, &known, &path, problems));
        compiled.push(names.within(|names| one(scenario, after, base, names, &path, problems)));
    }
    let teardown = names.within(|names| once(&spec.teardown, Role::Teardown, base, names, problems));
    cycle(&compiled, problems);
    compiled.extend(setup);
    compiled.extend(teardown);
    compiled
}

fn one(
    scenario: &ApiScenario,
    after: Option<usize>,
    base: &Base<'_>,
    names: &mut Names<'_>,
    path: &str,
    problems: &mut Problems,
) -> Scenario {
    let load = load(scenario, path, problems);
    let is_open = load.is_open();
    if scenario.at.is_some() && scenario.after.is_some() {
        let hint = "at counts from the run's begin, after from the end of another scenario";
        problems.add_hint(&format!("{path}.at"), "at most one of after and at", "both", hint);
    }
    let pacing = scenario.pacing.inspect(|pacing| {
        let at = format!("{path}.pacing");
        if is_open {
            let hint = "remove it: the rate says when iterations begin";
            problems.add_hint(&at, "no pacing in a scenario of a rate", pacing.to_string(), hint);
        } else if scenario.think_time.is_some() {
            problems.add(&at, "at most one of thinkTime and pacing", "both");
        }
        bounded(*pacing, Micros(1), &at, problems);
    });
    for (field, time) in [("at", scenario.at), ("gracefulStop", scenario.graceful_stop)] {
        bounded(time.unwrap_or_default(), Micros::ZERO, &format!("{path}.{field}"), problems);
    }
    let Work { flow, steps, on_start, on_stop } = flow::flow(scenario, base, names, path, problems);
    Scenario {
        name: scenario.name.clone(),
        role: Role::Main,
        after,
        at: scenario.at.unwrap_or_default(),
        load,
        think_time: think_time(scenario, &format!("{path}.thinkTime"), problems),
        pacing,
        graceful_stop: scenario.graceful_stop.unwrap_or(if is_open { GRACEFUL_STOP } else { Micros::ZERO }),
        flow,
        steps,
        on_start,
        on_stop,
        data: names.used(),
    }
}

/// Setup or teardown: one user, one iteration.
fn once(
    steps: &[ApiStep],
    role: Role,
    base: &Base<'_>,
    names: &mut Names<'_>,
    problems: &mut Problems,
) -> Option<Scenario> {
    let name = if role == Role::Setup { "setup" } else { "teardown" };
    let steps = flow::once(steps, base, names, &format!("spec.{name}"), problems);
    let max_duration = steps.iter().map(|step| step.longest(base.timeout)).fold(ONCE, std::ops::Add::add);
    (!steps.is_empty()).then(|| Scenario {
        name: name.to_owned(),
        role,
        after: None,
        at: Micros::ZERO,
        load: Load::Iterations { users: 1, per_user: 1, max_duration },
        think_time: None,
        pacing: None,
        graceful_stop: Micros::ZERO,
        flow: Flow { nodes: (0..steps.len()).map(Node::Step).collect(), weights: None },
        steps,
        on_start: 0,
        on_stop: 0,
        data: names.used(),
    })
}

/// Longer times than a run may last are said at once, and so cannot overflow any sum later.
fn bounded(time: Micros, least: Micros, path: &str, problems: &mut Problems) {
    if time < least || time > MAX_DURATION {
        let longer = if least > Micros::ZERO { "longer than 0s and " } else { "" };
        problems.add(path, format!("a time {longer}at most {MAX_DURATION}"), time.to_string());
    }
}

fn predecessor(after: &str, own: usize, names: &[&str], path: &str, problems: &mut Problems) -> Option<usize> {
    let found = names.iter().position(|name| *name == after);
    if found.is_none() || found == Some(own) {
        let others: Vec<&str> = names.iter().copied().filter(|name| *name != names[own]).collect();
        let hint = did_you_mean(after, others.iter().copied()).map(|name| format!("did you mean {name}?"));
        let hint = hint.unwrap_or_else(|| match others.as_slice() {
            [] => "remove it: there is no other scenario".to_owned(),
            others => format!("there are: {}", others.join(", ")),
        });
        problems.add_hint(&format!("{path}.after"), "the name of another scenario", format!("{after:?}"), hint);
        return None;
    }
    found
}

/// Says where a circle of `after` is, once for each.
fn cycle(scenarios: &[Scenario], problems: &mut Problems) {
    let mut seen = vec![false; scenarios.len()];
    for start in 0..scenarios.len() {
        let mut chain: Vec<usize> = Vec::new();
        let mut at = Some(start);
        while let Some(i) = at.filter(|i| !seen[*i]) {
            seen[i] = true;
            chain.push(i);
            at = scenarios[i].after;
        }
        // The chain ends where one has been before: in this chain, or in an earlier one.
        if let Some(first) = at.and_then(|again| chain.iter().position(|i| *i == again)) {
            let circle: Vec<&str> =
                chain[first..].iter().chain([&chain[first]]).map(|i| scenarios[*i].name.as_str()).collect();
            let path = format!("spec.scenarios[{}].after", chain[first]);
            let hint = format!("remove one after of {}", circle[1..].join(", "));
            problems.add_hint(&path, "scenarios that can begin one after the other", circle.join(" -> "), hint);
        }
    }
}

fn think_time(scenario: &ApiScenario, path: &str, problems: &mut Problems) -> Option<ThinkTime> {
    let think = scenario.think_time?;
    for (field, time) in [("min", think.min), ("max", think.max), ("constant", think.constant), ("mean", think.mean)] {
        bounded(time.unwrap_or_default(), Micros::ZERO, &format!("{path}.{field}"), problems);
    }
    match (think.min, think.max, think.constant, think.mean) {
        (Some(min), Some(max), None, None) if min <= max => Some(ThinkTime::Uniform { min, max }),
        (Some(min), Some(max), None, None) => {
            problems.add(path, "a min that is not longer than max", format!("min {min} and max {max}"));
            None
        }
        (None, None, Some(constant), None) => Some(ThinkTime::Constant(constant)),
        (None, None, None, Some(mean)) => Some(ThinkTime::Exponential { mean }),
        (min, max, constant, mean) => {
            let given = [("min", min), ("max", max), ("constant", constant), ("mean", mean)];
            let given: Vec<&str> = given.into_iter().filter(|(_, time)| time.is_some()).map(|(name, _)| name).collect();
            let came = if given.is_empty() { "nothing".to_owned() } else { given.join(" and ") };
            problems.add(path, "exactly one of {min, max}, {constant} and {mean}", came);
            None
        }
    }
}

//! Flows: steps in their order, groups of them, loops and weights.

use std::collections::{BTreeMap, BTreeSet};

use proofload_api::criterion::Operator;
use proofload_api::scenario::{Flow as ApiFlow, Group as ApiGroup, Scenario as ApiScenario};
use proofload_api::step::Step as ApiStep;

use super::expect;
use super::names::{Names, Put};
use super::request::{self, Base};
use super::web_socket::web_socket;
use super::{Problems, duplicate};
use crate::model::{Action, Condition, Flow, Group, Node, Step};
use crate::template::Template;

/// A group is gone through so often at most, where it has a `while` and does not say.
const REPEAT_WHILE: u32 = 100;
/// How deep groups can be in each other.
const MAX_DEPTH: usize = 4;

/// A scenario's flow, and all of its steps.
pub(super) struct Work {
    pub(super) flow: Flow,
    pub(super) steps: Vec<Step>,
    pub(super) on_start: usize,
    pub(super) on_stop: usize,
}

/// Compiles what a scenario does.
pub(super) fn flow(
    scenario: &ApiScenario,
    base: &Base<'_>,
    names: &mut Names<'_>,
    path: &str,
    problems: &mut Problems,
) -> Work {
    if scenario.steps.is_empty() {
        problems.add(format!("{path}.steps"), "at least one step", "none");
    }
    let lists = [("onStart", &scenario.on_start), ("steps", &scenario.steps), ("onStop", &scenario.on_stop)];
    let paths = lists.iter().flat_map(|(list, steps)| (0..steps.len()).map(move |i| format!("{path}.{list}[{i}]")));
    let paths: Vec<String> = paths.collect();
    let all: Vec<&ApiStep> = lists.iter().flat_map(|(_, steps)| steps.iter()).collect();
    let step_names: Vec<&str> = all.iter().map(|step| step.name.as_str()).collect();
    let groups = groups(scenario, &step_names, path, problems);
    let first = scenario.on_start.len();
    let flow_steps = first..first + scenario.steps.len();
    let weighted = scenario.flow == ApiFlow::Weighted;
    let mut steps = Vec::with_capacity(all.len());
    names.open(&scenario.on_start);
    for (i, (step, path)) in all.iter().zip(&paths).enumerate() {
        if i == first {
            names.open(&[]);
        }
        duplicate(&step_names, i, "step", path, problems);
        if !flow_steps.contains(&i) {
            plain(step, path, "in onStart and onStop", problems);
        } else if weighted {
            scenario.steps.iter().for_each(|other| names.allow(other));
        } else if let Some(looped) = looping(step, &groups) {
            let inside = scenario.steps.iter().filter(|other| is_in(other.group.as_deref(), looped));
            inside.for_each(|other| names.allow(other));
        }
        steps.push(self::step(step, base, names, path, problems));
        names.allow(step);
    }
    let mut tree = Tree { scenario, first, groups: &groups, seen: BTreeSet::new(), path };
    let nodes = tree.nodes(0, scenario.steps.len(), 0, names, problems);
    let weights = weights(&tree, &nodes, problems);
    for (i, group) in scenario.groups.iter().enumerate() {
        if !tree.seen.contains(group.name.as_str()) {
            let expected = "steps that have this group";
            problems.add(format!("{path}.groups[{i}].name"), expected, format!("none with group: {}", group.name));
        }
    }
    Work { flow: Flow { nodes, weights }, steps, on_start: first, on_stop: scenario.on_stop.len() }
}

/// Compiles setup or teardown: steps in their order.
pub(super) fn once(
    steps: &[ApiStep],
    base: &Base<'_>,
    names: &mut Names<'_>,
    path: &str,
    problems: &mut Problems,
) -> Vec<Step> {
    let step_names: Vec<&str> = steps.iter().map(|step| step.name.as_str()).collect();
    let mut compiled = Vec::with_capacity(steps.len());
    names.open(steps);
    for (i, step) in steps.iter().enumerate() {
        let path = format!("{path}[{i}]");
        duplicate(&step_names, i, "step", &path, problems);
        plain(step, &path, "in setup and teardown", problems);
        compiled.push(self::step(step, base, names, &path, problems));
        names.allow(step);
    }
    compiled
}

fn step(step: &ApiStep, base: &Base<'_>, names: &mut Names<'_>, path: &str, problems: &mut Problems) -> Step {
    let (expect, checks) = expect::expect(step, path, problems);
    Step {
        name: step.name.clone(),
        group: step.group.clone(),
        action: action(step, base, names, path, problems),
        expect,
        checks,
        extract: expect::extract(step, names, path, problems),
    }
}

fn action(step: &ApiStep, base: &Base<'_>, names: &mut Names<'_>, path: &str, problems: &mut Problems) -> Action {
    match (&step.request, &step.web_socket) {
        (None, Some(given)) => {
            Action::WebSocket(web_socket(given, base, names, &format!("{path}.webSocket"), problems))
        }
        (given, other) => {
            if given.is_some() == other.is_some() {
                let came = if given.is_some() { "both" } else { "neither" };
                problems.add(path, "exactly one of request and webSocket", came);
            }
            let given = given.clone().unwrap_or_default();
            Action::Request(request::request(&given, base, names, &format!("{path}.request"), problems))
        }
    }
}

/// Steps outside of a flow have neither groups nor weights.
fn plain(step: &ApiStep, path: &str, place: &str, problems: &mut Problems) {
    for (field, given) in [("group", step.group.is_some()), ("weight", step.weight.is_some())] {
        if given {
            problems.add_hint(&format!("{path}.{field}"), &format!("no {field} {place}"), "one", "remove it");
        }
    }
}

type Groups<'a> = BTreeMap<&'a str, (usize, &'a ApiGroup)>;

fn groups<'a>(scenario: &'a ApiScenario, steps: &[&str], path: &str, problems: &mut Problems) -> Groups<'a> {
    let names: Vec<&str> = scenario.groups.iter().map(|group| group.name.as_str()).collect();
    let mut groups = Groups::new();
    for (i, group) in scenario.groups.iter().enumerate() {
        let path = format!("{path}.groups[{i}]");
        duplicate(&names, i, "group", &path, problems);
        if steps.contains(&group.name.as_str()) {
            let expected = "a name that no step of the scenario has, so that criteria can tell them apart";
            problems.add(format!("{path}.name"), expected, format!("{:?}", group.name));
        }
        if group.repeat == Some(0) {
            problems.add(format!("{path}.repeat"), "at least 1", "0");
        }
        if let Some(weight) = group.weight {
            let at = format!("{path}.weight");
            if scenario.flow != ApiFlow::Weighted {
                let hint = "remove it, or set flow: Weighted";
                problems.add_hint(&at, "no weight in a Sequence", weight.to_string(), hint);
            } else if group.name.contains('/') {
                let hint = "give the outermost group a weight";
                problems.add_hint(&at, "no weight of a group in another", weight.to_string(), hint);
            }
        }
        groups.entry(group.name.as_str()).or_insert((i, group));
    }
    groups
}

fn is_in(group: Option<&str>, outer: &str) -> bool {
    group.and_then(|group| group.strip_prefix(outer)).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The outermost group of a step that is gone through more than once.
fn looping<'a>(step: &'a ApiStep, groups: &Groups<'_>) -> Option<&'a str> {
    let group = step.group.as_deref()?;
    let ends = group.match_indices('/').map(|(at, _)| at).chain([group.len()]);
    ends.map(|end| &group[..end]).find(|name| {
        groups.get(name).is_some_and(|(_, group)| group.while_.is_some() || group.repeat.is_some_and(|times| times > 1))
    })
}

/// Groups as they are found in the order of the steps.
struct Tree<'a> {
    scenario: &'a ApiScenario,
    /// The index of the flow's first step in the scenario.
    first: usize,
    groups: &'a Groups<'a>,
    seen: BTreeSet<&'a str>,
    path: &'a str,
}

impl<'a> Tree<'a> {
    /// The nodes of some steps, which are in the same group of this depth.
    fn nodes(
        &mut self,
        from: usize,
        until: usize,
        depth: usize,
        names: &mut Names<'_>,
        problems: &mut Problems,
    ) -> Vec<Node> {
        let mut nodes = Vec::new();
        let mut at = from;
        while at < until {
            let Some(name) = self.group_at(at, depth, problems) else {
                nodes.push(Node::Step(self.first + at));
                at += 1;
                continue;
            };
            let steps = &self.scenario.steps[at..until];
            let count = steps.iter().take_while(|step| is_in(step.group.as_deref(), name)).count();
            if !self.seen.insert(name) {
                let expected = "steps of a group that follow each other";
                let came = format!("{name:?} again, after steps that are not in it");
                problems.add(format!("{}.steps[{at}].group", self.path), expected, came);
            }
            let inside = self.nodes(at, at + count, depth + 1, names, problems);
            nodes.push(Node::Group(self.group(name, inside, names, problems)));
            at += count;
        }
        nodes
    }

    /// The group at this depth of a step.
    fn group_at(&self, at: usize, depth: usize, problems: &mut Problems) -> Option<&'a str> {
        let step = &self.scenario.steps[at];
        let group = step.group.as_deref()?;
        let is_part = |part: &str| {
            let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
            !part.is_empty() && !part.starts_with('-') && !part.ends_with('-') && part.bytes().all(inner)
        };
        if !group.split('/').all(is_part) || group.split('/').count() > MAX_DEPTH {
            if depth == 0 {
                let expected = format!("a name such as shop or shop/pay, at most {MAX_DEPTH} deep");
                problems.add(format!("{}.steps[{at}].group", self.path), expected, format!("{group:?}"));
            }
            return None;
        }
        if depth == 0 && step.weight.is_some() && self.scenario.flow == ApiFlow::Weighted {
            let hint = "give the outermost group a weight, in groups";
            problems.add_hint(
                &format!("{}.steps[{at}].weight", self.path),
                "no weight of a step in a group",
                "one",
                hint,
            );
        }
        let ends = group.match_indices('/').map(|(at, _)| at).chain([group.len()]);
        ends.map(|end| &group[..end]).nth(depth)
    }

    fn group(&self, name: &str, nodes: Vec<Node>, names: &mut Names<'_>, problems: &mut Problems) -> Group {
        let Some((i, group)) = self.groups.get(name) else {
            return Group { name: name.to_owned(), nodes, repeat: 1, condition: None };
        };
        let path = format!("{}.groups[{i}].while", self.path);
        let condition = group.while_.as_deref().and_then(|text| condition(text, names, &path, problems));
        let default = if group.while_.is_some() { REPEAT_WHILE } else { 1 };
        Group { name: name.to_owned(), nodes, repeat: group.repeat.unwrap_or(default), condition }
    }
}

/// How often each node is drawn, in a weighted flow.
fn weights(tree: &Tree<'_>, nodes: &[Node], problems: &mut Problems) -> Option<Vec<u32>> {
    let scenario = tree.scenario;
    if scenario.flow != ApiFlow::Weighted {
        for (i, step) in scenario.steps.iter().enumerate().filter(|(_, step)| step.weight.is_some()) {
            let hint = "remove it, or set flow: Weighted";
            let came = step.weight.unwrap_or_default().to_string();
            problems.add_hint(&format!("{}.steps[{i}].weight", tree.path), "no weight in a Sequence", came, hint);
        }
        return None;
    }
    let weight = |node: &Node| match node {
        Node::Step(step) => scenario.steps[step - tree.first].weight,
        Node::Group(group) => tree.groups.get(group.name.as_str()).and_then(|(_, group)| group.weight),
    };
    let weights: Vec<u32> = nodes.iter().map(|node| weight(node).unwrap_or(1)).collect();
    if !weights.is_empty() && weights.iter().all(|weight| *weight == 0) {
        let expected = "at least one step or group with a weight above 0";
        problems.add(format!("{}.steps", tree.path), expected, "weights that are all 0");
    }
    Some(weights)
}

/// Two characters come before their first ones.
const OPERATORS: [(&str, Operator); 6] = [
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("<=", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
    ("<", Operator::Less),
    (">", Operator::Greater),
];

fn condition(text: &str, names: &mut Names<'_>, path: &str, problems: &mut Problems) -> Option<Condition> {
    let Some((at, sign, operator)) = operator(text) else {
        let expected = "a comparison such as {{state}} != done, with one of == != < <= > >=";
        problems.add(path, expected, format!("{text:?}"));
        return None;
    };
    let (left, right) = (unquoted(&text[..at]), unquoted(&text[at + sign.len()..]));
    let before = problems.count();
    let mut side = |text: &str| names.template(text, Put::Plain, path, problems);
    let (left, right): (Template, Template) = (side(left), side(right));
    if problems.count() == before && left.as_text().is_some() && right.as_text().is_some() {
        problems.add(path, "a comparison with a template in it, such as {{state}} != done", format!("{text:?}"));
    }
    Some(Condition { left, operator, right })
}

/// The first operator outside of templates.
fn operator(text: &str) -> Option<(usize, &'static str, Operator)> {
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with("{{") {
            at += rest.find("}}")? + 2;
            continue;
        }
        if let Some((sign, operator)) = OPERATORS.iter().find(|(sign, _)| rest.starts_with(sign)) {
            return Some((at, sign, *operator));
        }
        at += rest.chars().next().map_or(1, char::len_utf8);
    }
    None
}

fn unquoted(text: &str) -> &str {
    let text = text.trim();
    let inside = |quote: char| text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote));
    inside('"').or_else(|| inside('\'')).unwrap_or(text)
}

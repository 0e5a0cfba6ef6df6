//! How a user goes through the steps: the plan's tree of groups as a list of operations, so that going through it needs
//! neither recursion nor memory.

use proofload_api::criterion::Operator;
use proofload_plan::{Condition, Flow, Node, Plan};

use crate::materials::Materials;
use crate::render::{Known, Text};

/// A flow as operations. An iteration begins at the first and is done after the last.
pub(crate) struct Program {
    pub(crate) operations: Vec<Operation>,
    /// How deep loops are in each other: so many counters does a user need.
    pub(crate) depth: usize,
}

pub(crate) enum Operation {
    /// Do this step.
    Do(usize),
    /// Go on at one of these, drawn by weight: the sum of the weights up to and with each.
    Draw(Vec<u64>, Vec<usize>),
    /// Go on there.
    Jump(usize),
    /// A loop begins: its counter is zero.
    Enter(usize),
    /// A round of a loop begins, unless it was the last, or the condition does not hold: then go on at `exit`.
    Round { counter: usize, most: u32, condition: Option<Comparison>, exit: usize },
}

/// A comparison of two texts.
pub(crate) struct Comparison {
    left: Text,
    operator: Operator,
    right: Text,
}

/// Makes a program.
struct Maker<'a> {
    plan: &'a Plan,
    materials: &'a Materials,
    steps: usize,
    program: Program,
}

impl Program {
    /// The program of a flow over so many steps; says what is wrong with it.
    pub(crate) fn new(flow: &Flow, steps: usize, plan: &Plan, materials: &Materials) -> Result<Self, String> {
        let mut maker = Maker { plan, materials, steps, program: Self { operations: Vec::new(), depth: 0 } };
        match &flow.weights {
            None => maker.sequence(&flow.nodes, 0)?,
            Some(weights) => maker.draw(&flow.nodes, weights)?,
        }
        let does = |operation: &Operation| matches!(operation, Operation::Do(_));
        if !maker.program.operations.iter().any(does) {
            return Err("there is no step to do".to_owned());
        }
        Ok(maker.program)
    }
}

impl Maker<'_> {
    fn here(&self) -> usize {
        self.program.operations.len()
    }

    fn push(&mut self, operation: Operation) {
        self.program.operations.push(operation);
    }

    fn sequence(&mut self, nodes: &[Node], depth: usize) -> Result<(), String> {
        nodes.iter().try_for_each(|node| self.node(node, depth))
    }

    fn draw(&mut self, nodes: &[Node], weights: &[u32]) -> Result<(), String> {
        let sums = crate::script::running_sum(weights.iter().map(|weight| u64::from(*weight)));
        if nodes.len() != weights.len() || sums.last().is_none_or(|sum| *sum == 0) {
            return Err("there is no step to do".to_owned());
        }
        let draw = self.here();
        self.push(Operation::Draw(sums, Vec::new()));
        let (mut begins, mut ends) = (Vec::new(), Vec::new());
        for node in nodes {
            begins.push(self.here());
            self.node(node, 0)?;
            ends.push(self.here());
            self.push(Operation::Jump(0));
        }
        let after = self.here();
        for end in ends {
            self.program.operations[end] = Operation::Jump(after);
        }
        if let Operation::Draw(_, places) = &mut self.program.operations[draw] {
            *places = begins;
        }
        Ok(())
    }

    fn node(&mut self, node: &Node, depth: usize) -> Result<(), String> {
        let group = match node {
            Node::Step(step) if *step >= self.steps => return Err(format!("it has no step {step}")),
            Node::Step(step) => {
                self.push(Operation::Do(*step));
                return Ok(());
            }
            Node::Group(group) => group,
        };
        if group.repeat == 1 && group.condition.is_none() {
            return self.sequence(&group.nodes, depth);
        }
        let condition = group.condition.as_ref();
        let condition = condition.map(|condition| Comparison::new(condition, self.plan, self.materials)).transpose()?;
        self.program.depth = self.program.depth.max(depth + 1);
        self.push(Operation::Enter(depth));
        let round = self.here();
        self.push(Operation::Jump(0));
        self.sequence(&group.nodes, depth + 1)?;
        self.push(Operation::Jump(round));
        let exit = self.here();
        self.program.operations[round] = Operation::Round { counter: depth, most: group.repeat, condition, exit };
        Ok(())
    }
}

impl Comparison {
    fn new(condition: &Condition, plan: &Plan, materials: &Materials) -> Result<Self, String> {
        Ok(Self {
            left: Text::new(&condition.left, plan, materials)?,
            operator: condition.operator,
            right: Text::new(&condition.right, plan, materials)?,
        })
    }

    /// Whether it holds; `known` is lenient, and `scratch` is written to.
    pub(crate) fn holds(&self, known: &mut Known<'_>, scratch: &mut Vec<u8>) -> bool {
        scratch.clear();
        let rendered = self.left.render(known, scratch);
        let middle = scratch.len();
        if rendered.and_then(|()| self.right.render(known, scratch)).is_err() {
            return false;
        }
        let (left, right) = scratch.split_at(middle);
        let ordering = match (number(left), number(right)) {
            (Some(left), Some(right)) => left.total_cmp(&right),
            _ => left.cmp(right),
        };
        match self.operator {
            Operator::Less => ordering.is_lt(),
            Operator::LessOrEqual => ordering.is_le(),
            Operator::Greater => ordering.is_gt(),
            Operator::GreaterOrEqual => ordering.is_ge(),
            Operator::Equal => ordering.is_eq(),
            Operator::NotEqual => ordering.is_ne(),
        }
    }
}

/// What is written as a number of digits; adding zero makes minus zero one that is equal to zero.
fn number(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?.trim();
    text.parse::<f64>().ok().filter(|number| number.is_finite()).map(|number| number + 0.0)
}

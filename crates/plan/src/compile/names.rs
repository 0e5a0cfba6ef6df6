//! What templates can name, and at which step: data sets, variables, the environment, and what is always there.

use std::collections::{BTreeMap, BTreeSet};

use proofload_api::LoadTestSpec;
use proofload_api::problem::did_you_mean;
use proofload_api::step::Step as ApiStep;

use super::pieces::{Piece, pieces};
use super::{Problems, known};
use crate::template::{Escape, Part, Template, Value};

/// Values that are always there, as they are written.
const ALWAYS: [(&str, Value); 5] = [
    ("uuid", Value::Uuid),
    ("user.id", Value::UserId),
    ("iteration", Value::Iteration),
    ("run.id", Value::RunId),
    ("timestamp", Value::Timestamp),
];
/// First words that data sets cannot have as their names.
const TAKEN: [&str; 7] = ["uuid", "user", "iteration", "run", "timestamp", "random", "env"];

/// Where the text of a template is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Put {
    /// A path: what stands in it is encoded already.
    Path,
    /// A form: all of it is encoded here.
    Form,
    /// A header.
    Header,
    /// A body as it is, where `| json` may be of use.
    Body,
    /// Within a JSON string.
    Json,
    /// Where nothing has to be escaped.
    Plain,
}

impl Put {
    const fn escape(self) -> Escape {
        match self {
            Self::Path | Self::Form => Escape::Percent,
            Self::Header => Escape::Header,
            Self::Body | Self::Plain => Escape::None,
            Self::Json => Escape::Json,
        }
    }

    /// A fixed text as it is put there.
    fn fixed(self, text: &str) -> String {
        match self {
            Self::Form => percent(text),
            Self::Json => {
                let quoted = serde_json::Value::from(text).to_string();
                quoted[1..quoted.len() - 1].to_owned()
            }
            _ => text.to_owned(),
        }
    }
}

/// Percent-encoded but for letters, digits and `-._~`.
pub(super) fn percent(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

/// Everything that templates can name.
pub(super) struct Names<'a> {
    sets: Vec<&'a str>,
    columns: Vec<Vec<String>>,
    files: Vec<&'a str>,
    env: Vec<&'a str>,
    /// All variables, sorted, and the first step that extracts each.
    variables: Vec<String>,
    extracted_by: BTreeMap<&'a str, &'a str>,
    of_setup: BTreeSet<String>,
    /// What can have been extracted before the step that is compiled now.
    available: BTreeSet<String>,
    /// While setup or the `onStart` of a scenario is compiled: what it extracts.
    opening: BTreeSet<String>,
    /// Data sets that the scenario that is compiled now has used.
    used: BTreeSet<usize>,
    /// Whether a web socket can have been opened before the step that is compiled now.
    is_connected: bool,
}

impl<'a> Names<'a> {
    pub(super) fn new(spec: &'a LoadTestSpec) -> Self {
        let flows = spec.scenarios.iter().flat_map(|s| s.on_start.iter().chain(&s.steps).chain(&s.on_stop));
        let mut extracted_by = BTreeMap::new();
        for step in spec.setup.iter().chain(flows).chain(&spec.teardown) {
            for name in step.extract.keys() {
                extracted_by.entry(name.as_str()).or_insert(step.name.as_str());
            }
        }
        Self {
            sets: spec.data.keys().map(String::as_str).collect(),
            columns: vec![Vec::new(); spec.data.len()],
            files: spec.files.keys().map(String::as_str).collect(),
            env: spec.env.iter().map(|variable| variable.name.as_str()).collect(),
            variables: extracted_by.keys().map(|name| (*name).to_owned()).collect(),
            extracted_by,
            of_setup: BTreeSet::new(),
            available: BTreeSet::new(),
            opening: BTreeSet::new(),
            used: BTreeSet::new(),
            is_connected: false,
        }
    }

    /// All variables and, for each data set, the columns that were used.
    pub(super) fn finish(self) -> (Vec<String>, Vec<Vec<String>>) {
        (self.variables, self.columns)
    }

    /// Compiles one scenario: what it extracts is not known outside of it.
    pub(super) fn within<T>(&mut self, compile: impl FnOnce(&mut Self) -> T) -> T {
        self.available = self.of_setup.clone();
        self.opening.clear();
        self.used.clear();
        self.is_connected = false;
        compile(self)
    }

    /// From now on, steps of setup or of `onStart` are compiled; of none, they are over.
    pub(super) fn open(&mut self, steps: &[ApiStep]) {
        self.opening = steps.iter().flat_map(|step| step.extract.keys().cloned()).collect();
    }

    /// Whether a text needs what setup or `onStart` extracts, but has not yet.
    pub(super) fn is_early(&self, text: &str) -> bool {
        let is_early = |piece: &Piece<'_>| matches!(piece, Piece::Place(name, _) if self.opening.contains(*name) && !self.available.contains(*name));
        !self.opening.is_empty() && pieces(text).unwrap_or_default().iter().any(is_early)
    }

    /// From now on, every scenario knows what setup extracts.
    pub(super) fn keep_setup(&mut self, steps: &[ApiStep]) {
        self.of_setup = steps.iter().flat_map(|step| step.extract.keys().cloned()).collect();
    }

    /// From now on, steps of this scenario can use what this step extracts, and the web socket that it opens.
    pub(super) fn allow(&mut self, step: &ApiStep) {
        self.available.extend(step.extract.keys().cloned());
        self.is_connected |= step.web_socket.as_ref().is_some_and(|web_socket| web_socket.connect.is_some());
    }

    /// Whether a web socket can have been opened before.
    pub(super) fn is_connected(&self) -> bool {
        self.is_connected
    }

    /// Data sets that this scenario uses.
    pub(super) fn used(&self) -> Vec<usize> {
        self.used.iter().copied().collect()
    }

    pub(super) fn variable(&self, name: &str) -> Option<usize> {
        self.variables.binary_search_by(|known| known.as_str().cmp(name)).ok()
    }

    /// The index of a file that a request sends.
    pub(super) fn file(&self, name: &str, path: &str, problems: &mut Problems) -> Option<usize> {
        let found = self.files.iter().position(|file| *file == name);
        if found.is_none() {
            let hint = known(name, self.files.iter().copied());
            problems.add_hint(path, "the name of a file in spec.files", format!("{name:?}"), hint);
        }
        found
    }

    /// Compiles a text.
    pub(super) fn template(&mut self, text: &str, put: Put, path: &str, problems: &mut Problems) -> Template {
        let mut parts = Parts::default();
        self.append(text, put, path, problems, &mut parts);
        parts.finish()
    }

    /// Compiles a text to the end of others.
    pub(super) fn append(&mut self, text: &str, put: Put, path: &str, problems: &mut Problems, parts: &mut Parts) {
        let pieces = match pieces(text) {
            Ok(pieces) => pieces,
            Err((expected, came)) => return problems.add(path, expected, came),
        };
        let whole = pieces.len() == 1;
        for piece in pieces {
            match piece {
                Piece::Text(text) => parts.text(&put.fixed(text)),
                Piece::Place(expression, as_json) => {
                    let escape = match (as_json, put) {
                        (false, put) => put.escape(),
                        (true, Put::Body) => Escape::JsonValue,
                        (true, Put::Json) if whole => Escape::JsonValue,
                        (true, put) => {
                            let only = if put == Put::Json { "where it is all of a text" } else { "in bodies" };
                            problems.add(path, format!("| json only {only}"), format!("{{{{{expression} | json}}}}"));
                            put.escape()
                        }
                    };
                    if let Some(value) = self.value(expression, path, problems) {
                        parts.0.push(Part::Value(value, escape));
                    }
                }
            }
        }
    }

    /// Compiles a text of a JSON body: with its quotes, unless it is a value by itself.
    pub(super) fn append_json(&mut self, text: &str, path: &str, problems: &mut Problems, parts: &mut Parts) {
        let is_value = matches!(pieces(text).as_deref(), Ok([Piece::Place(_, true)]));
        if !is_value {
            parts.text("\"");
        }
        self.append(text, Put::Json, path, problems, parts);
        if !is_value {
            parts.text("\"");
        }
    }

    fn value(&mut self, expression: &str, path: &str, problems: &mut Problems) -> Option<Value> {
        if let Some((_, value)) = ALWAYS.iter().find(|(name, _)| *name == expression) {
            return Some(value.clone());
        }
        if let Some(call) = expression.strip_prefix("random.") {
            return random(call).map_err(|expected| problems.add(path, expected, shown(expression))).ok();
        }
        let (first, rest) = expression.split_once('.').map_or((expression, None), |(a, b)| (a.trim(), Some(b.trim())));
        match (first, rest) {
            ("env", Some(name)) => {
                let found = self.env.iter().position(|known| *known == name);
                if found.is_none() {
                    let hint = known(name, self.env.iter().copied());
                    problems.add_hint(path, "a variable of spec.env", shown(expression), hint);
                }
                found.map(Value::Env)
            }
            (set, Some(column)) if !column.is_empty() && self.sets.contains(&set) => {
                let set = self.sets.iter().position(|name| *name == set)?;
                self.used.insert(set);
                let columns = &mut self.columns[set];
                let at = columns.iter().position(|known| known == column).unwrap_or_else(|| {
                    columns.push(column.to_owned());
                    columns.len() - 1
                });
                Some(Value::Data(set, at))
            }
            (name, None) if self.available.contains(name) => self.variable(name).map(Value::Variable),
            _ => {
                self.unknown(expression, path, problems);
                None
            }
        }
    }

    fn unknown(&self, expression: &str, path: &str, problems: &mut Problems) {
        let mut names: Vec<String> = self.available.iter().cloned().collect();
        names.extend(self.sets.iter().map(|set| format!("{set}.COLUMN")));
        names.extend(self.env.iter().map(|name| format!("env.{name}")));
        names.extend(ALWAYS.map(|(name, _)| name.to_owned()));
        names.extend(["random.int(1,9)", "random.choice(a,b)"].map(str::to_owned));
        let list = || format!("there are: {}", names.join(", "));
        if let Some(step) = self.extracted_by.get(expression) {
            let expected = "a variable that an earlier step of this scenario, its onStart or setup extracts";
            let came = format!("{}, which is extracted by the step {step}", shown(expression));
            return problems.add_hint(path, expected, came, list());
        }
        // The nearest of the same shape: of a data set, its name is what can be meant.
        let near = match expression.split_once('.') {
            Some((set, column)) => did_you_mean(set, self.sets.iter().copied())
                .map(|set| format!("{set}.{column}"))
                .or_else(|| did_you_mean(expression, names.iter().map(String::as_str)).map(str::to_owned)),
            None => did_you_mean(expression, names.iter().map(String::as_str)).map(str::to_owned),
        };
        let hint = near.map_or_else(list, |near| format!("did you mean {{{{{near}}}}}? {}", list()));
        problems.add_hint(path, "something that templates know here", shown(expression), hint);
    }
}

fn shown(expression: &str) -> String {
    let short: String = expression.chars().take(60).collect();
    format!("{{{{{short}}}}}")
}

/// `int(1,9)` or `choice(a,b)`; or what would have been right.
fn random(call: &str) -> Result<Value, &'static str> {
    const CALLS: &str = "random.int(1,9) or random.choice(a,b)";
    let (name, arguments) = call.split_once('(').ok_or(CALLS)?;
    let arguments: Vec<&str> = arguments.strip_suffix(')').ok_or(CALLS)?.split(',').map(str::trim).collect();
    match (name.trim(), arguments.as_slice()) {
        ("int", [from, to]) => match (from.parse(), to.parse()) {
            (Ok(from), Ok(to)) if from <= to => Ok(Value::RandomInt(from, to)),
            _ => Err("random.int of two whole numbers, the smaller one first"),
        },
        ("int", _) => Err("random.int of two whole numbers, the smaller one first"),
        ("choice", choices) if choices.iter().all(|choice| !choice.is_empty()) => {
            Ok(Value::RandomChoice(choices.iter().map(|choice| (*choice).to_owned()).collect()))
        }
        ("choice", _) => Err("random.choice of texts with commas between them"),
        _ => Err(CALLS),
    }
}

/// Whether a variable can have this name.
pub(super) fn is_variable(name: &str) -> bool {
    is_name(name) && !TAKEN.contains(&name)
}

/// Whether a data set or a file can have this name: it is part of a path and of templates.
pub(super) fn is_source(name: &str) -> bool {
    is_name(name) && !TAKEN.contains(&name) && name.len() <= 63
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// Parts of a template under construction: texts that follow each other become one.
#[derive(Default)]
pub(super) struct Parts(pub(super) Vec<Part>);

impl Parts {
    pub(super) fn text(&mut self, text: &str) {
        match self.0.last_mut() {
            _ if text.is_empty() => {}
            Some(Part::Text(last)) => last.push_str(text),
            _ => self.0.push(Part::Text(text.to_owned())),
        }
    }

    pub(super) fn finish(self) -> Template {
        Template(self.0)
    }
}

//! What a plan's requests are made of that is not in the plan: rows of data sets, files, variables of the environment.
//! Read once for each process, before the run, and shared by all of its users.

mod table;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use proofload_api::Problem;
use proofload_plan::{Place, Plan, Template, Variable};

pub(crate) use table::Table;

use crate::render::Text;
use crate::tls;

/// Where materials are found.
pub trait Shelf {
    /// The bytes of a data set or file; an error in words that end the sentence "cannot read NAME: ...".
    fn read(&self, name: &str, place: &Place) -> Result<Vec<u8>, String>;

    /// The bytes of a file, where files are found otherwise than data sets.
    fn read_file(&self, name: &str, place: &Place) -> Result<Vec<u8>, String> {
        self.read(name, place)
    }

    /// A variable of the environment that has no value in the plan.
    fn variable(&self, name: &str, place: Option<&Place>) -> Option<String>;
}

/// The shelf of a runner pod: a directory that the kubelet mounts, with a file `data/NAME` or `files/NAME` for each
/// source, and its own environment.
#[derive(Debug, Clone)]
pub struct Mounted<'a>(pub &'a Path);

impl Mounted<'_> {
    fn file(&self, folder: &str, name: &str) -> Result<Vec<u8>, String> {
        let path = self.0.join(folder).join(name);
        std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))
    }
}

impl Shelf for Mounted<'_> {
    fn read(&self, name: &str, _: &Place) -> Result<Vec<u8>, String> {
        self.file("data", name)
    }

    fn read_file(&self, name: &str, _: &Place) -> Result<Vec<u8>, String> {
        self.file("files", name)
    }

    fn variable(&self, name: &str, _: Option<&Place>) -> Option<String> {
        std::env::var(name).ok()
    }
}

/// What a plan's requests are made of that is not in the plan.
#[derive(Default)]
pub struct Materials {
    /// By index of the plan's data sets.
    pub(crate) tables: Vec<Table>,
    /// By index of the plan's files.
    pub(crate) files: Vec<Arc<[u8]>>,
    /// By index of the plan's variables of the environment.
    pub(crate) env: Vec<String>,
}

impl fmt::Debug for Materials {
    /// How much there is of each. What there is may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Materials")
            .field("tables", &self.tables.len())
            .field("files", &self.files.len())
            .field("env", &self.env.len())
            .finish()
    }
}

impl Materials {
    /// Reads all that a plan needs, or says everything that is wrong with it: a source that cannot be read, a row that is
    /// ragged (with its line), a column that is missing, too few rows.
    pub fn load(plan: &Plan, shelf: &impl Shelf) -> Result<Self, Vec<Problem>> {
        let mut materials = Self::default();
        let mut problems = Vec::new();
        for set in &plan.data {
            let (name, path) = (&set.source.name, format!("spec.data.{}", set.source.name));
            let read = shelf.read(name, &set.source.place).map_err(|error| vec![unreadable(&path, name, &error)]);
            match read.and_then(|bytes| Table::read(&bytes, set, &path)) {
                Ok(table) => materials.tables.push(table),
                Err(wrong) => problems.extend(wrong),
            }
        }
        for file in &plan.files {
            match shelf.read_file(&file.name, &file.place) {
                Ok(bytes) => materials.files.push(bytes.into()),
                Err(error) => problems.push(unreadable(&format!("spec.files.{}", file.name), &file.name, &error)),
            }
        }
        if materials.files.len() == plan.files.len() {
            problems.extend(tls::problems(plan, &materials.files));
        }
        for variable in &plan.env {
            match variable.value.clone().or_else(|| shelf.variable(&variable.name, variable.place.as_ref())) {
                Some(value) => materials.env.push(value),
                None => problems.push(no_value(variable)),
            }
        }
        if problems.is_empty() { Ok(materials) } else { Err(problems) }
    }

    /// A template with nothing to fill in but the environment, filled in; none if there is anything else in it.
    pub fn fill(&self, plan: &Plan, template: &Template) -> Option<String> {
        if template.0.is_empty() {
            return Some(String::new());
        }
        let text = Text::new(template, plan, self).ok()?;
        String::from_utf8(text.as_literal()?.to_vec()).ok()
    }

    /// The bytes of a file, by its index in the plan.
    pub fn file(&self, index: usize) -> Option<&[u8]> {
        self.files.get(index).map(|file| &**file)
    }

    /// The values of the environment, for whoever must keep them out of what it says.
    pub fn secrets(&self) -> Vec<String> {
        self.env.clone()
    }

    /// Whether these are of this plan, as far as can be told.
    pub(crate) fn are_of(&self, plan: &Plan) -> bool {
        self.tables.len() == plan.data.len()
            && self.tables.iter().zip(&plan.data).all(|(table, set)| table.columns() == set.columns.len())
            && self.files.len() == plan.files.len()
            && self.env.len() == plan.env.len()
    }
}

fn unreadable(path: &str, name: &str, error: &str) -> Problem {
    Problem::new(path, "a source that can be read", format!("cannot read {name}: {error}"))
}

fn no_value(variable: &Variable) -> Problem {
    let name = &variable.name;
    let hint = match &variable.place {
        Some(Place::ConfigMap(key)) => format!("put the key {} into the ConfigMap {}", key.key, key.name),
        Some(Place::Secret(key)) => format!("put the key {} into the Secret {}", key.key, key.name),
        _ => "give spec.env a value or a valueFrom for it".to_owned(),
    };
    let hint = format!("{hint}; for proofload run, set {name} in its environment");
    Problem::new(format!("spec.env[{name}]"), format!("a value of the variable {name}"), "none").hint(hint)
}

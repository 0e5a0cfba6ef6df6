//! What a test reads beside its own text: data sets, files, the environment.

use proofload_api::LoadTestSpec;
use proofload_api::data::{DataSet as ApiDataSet, EnvVar, KeyRef, Per, Pick};

use super::names::is_source;
use super::{Problems, duplicate};
use crate::model::{DataSet, Format, Load, Place, Scenario, Source, Variable};

const NAME: &str = "a name of letters, digits, _ and - that templates have no other meaning for";

/// Every data set, with the columns of it that templates use.
pub(super) fn sets(
    spec: &LoadTestSpec,
    columns: Vec<Vec<String>>,
    scenarios: &[Scenario],
    problems: &mut Problems,
) -> Vec<DataSet> {
    let mut sets = Vec::with_capacity(spec.data.len());
    for (i, ((name, set), columns)) in spec.data.iter().zip(columns).enumerate() {
        let path = format!("spec.data.{name}");
        if !is_source(name) {
            problems.add(&path, NAME, format!("{name:?}"));
        }
        let place = place(set.config_map.as_ref(), set.secret.as_ref(), set.file.as_deref(), &path, problems);
        let format = place.as_ref().and_then(|place| format(place, &path, problems));
        let users: Vec<&Scenario> = scenarios.iter().filter(|scenario| scenario.data.contains(&i)).collect();
        if let (Pick::Unique, [first, second, ..]) = (set.pick, users.as_slice()) {
            let hint = "give each scenario a data set of its own";
            let came = format!("{} and {}", first.name, second.name);
            problems.add_hint(&format!("{path}.pick"), "one scenario that uses a Unique data set", came, hint);
        }
        let needs = users.first().and_then(|scenario| needs(set, scenario));
        if let (Some(place), Some(format)) = (place, format) {
            let source = Source { name: name.clone(), place };
            sets.push(DataSet { source, format, pick: set.pick, per: set.per, columns, needs });
        }
    }
    sets
}

/// Rows of a unique set that a scenario needs, where that is known before.
fn needs(set: &ApiDataSet, scenario: &Scenario) -> Option<u64> {
    if set.pick != Pick::Unique {
        return None;
    }
    match (&scenario.load, set.per) {
        (Load::Iterations { users, .. }, Per::User) => Some(u64::from(*users)),
        (Load::Iterations { users, per_user, .. }, Per::Iteration) => Some(u64::from(*users) * u64::from(*per_user)),
        (Load::Arrivals { curve, .. }, Per::Iteration) => Some(curve.total()),
        (Load::Users(curve), Per::User) => Some(u64::from(curve.peak())),
        (Load::Users(_), Per::Iteration) | (Load::Arrivals { .. }, Per::User) | (Load::Search(_), _) => None,
    }
}

fn format(place: &Place, path: &str, problems: &mut Problems) -> Option<Format> {
    let (field, name) = match place {
        Place::ConfigMap(key) => ("configMap.key", &key.key),
        Place::Secret(key) => ("secret.key", &key.key),
        Place::File(file) => ("file", file),
    };
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    match ending.as_deref() {
        Some("csv") => Some(Format::Csv),
        Some("jsonl") => Some(Format::Jsonl),
        _ => {
            problems.add(format!("{path}.{field}"), "a name that ends in .csv or .jsonl", format!("{name:?}"));
            None
        }
    }
}

/// Every file that requests send.
pub(super) fn files(spec: &LoadTestSpec, problems: &mut Problems) -> Vec<Source> {
    let mut files = Vec::with_capacity(spec.files.len());
    for (name, file) in &spec.files {
        let path = format!("spec.files.{name}");
        if !is_source(name) {
            problems.add(&path, NAME, format!("{name:?}"));
        }
        let place = place(file.config_map.as_ref(), file.secret.as_ref(), file.file.as_deref(), &path, problems);
        files.extend(place.map(|place| Source { name: name.clone(), place }));
    }
    files
}

fn place(
    config_map: Option<&KeyRef>,
    secret: Option<&KeyRef>,
    file: Option<&str>,
    path: &str,
    problems: &mut Problems,
) -> Option<Place> {
    match (config_map, secret, file) {
        (Some(key), None, None) => Some(Place::ConfigMap(key.clone())),
        (None, Some(key), None) => Some(Place::Secret(key.clone())),
        (None, None, Some(file)) => Some(Place::File(file.to_owned())),
        (config_map, secret, file) => {
            let given = [("configMap", config_map.is_some()), ("secret", secret.is_some()), ("file", file.is_some())];
            let given: Vec<&str> = given.into_iter().filter(|(_, is)| *is).map(|(name, _)| name).collect();
            let came = if given.is_empty() { "none".to_owned() } else { given.join(" and ") };
            problems.add(path, "exactly one of configMap, secret and file", came);
            None
        }
    }
}

/// Every variable of the environment.
pub(super) fn env(spec: &LoadTestSpec, problems: &mut Problems) -> Vec<Variable> {
    let names: Vec<&str> = spec.env.iter().map(|variable| variable.name.as_str()).collect();
    let mut env = Vec::with_capacity(spec.env.len());
    for (i, variable) in spec.env.iter().enumerate() {
        let path = format!("spec.env[{i}]");
        duplicate(&names, i, "variable", &path, problems);
        if variable.name.starts_with("PROOFLOAD_") || variable.name == "JOB_COMPLETION_INDEX" {
            let expected = "another name, since the runner uses this one itself";
            problems.add(format!("{path}.name"), expected, format!("{:?}", variable.name));
        }
        let place = value_from(variable, &path, problems);
        env.push(Variable { name: variable.name.clone(), value: variable.value.clone(), place });
    }
    env
}

fn value_from(variable: &EnvVar, path: &str, problems: &mut Problems) -> Option<Place> {
    let from = match (&variable.value, &variable.value_from) {
        (Some(_), None) => return None,
        (None, Some(from)) => from,
        (value, _) => {
            let came = if value.is_some() { "both" } else { "neither" };
            problems.add(path, "exactly one of value and valueFrom", came);
            return None;
        }
    };
    match (&from.secret_key_ref, &from.config_map_key_ref) {
        (Some(key), None) => Some(Place::Secret(key.clone())),
        (None, Some(key)) => Some(Place::ConfigMap(key.clone())),
        (secret, _) => {
            let came = if secret.is_some() { "both" } else { "neither" };
            let path = format!("{path}.valueFrom");
            problems.add(path, "exactly one of secretKeyRef and configMapKeyRef", came);
            None
        }
    }
}

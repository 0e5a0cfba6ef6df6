//! Proofload's custom resources as Rust types: schema, CEL rules, defaults, units, the criterion grammar.
//!
//! This crate is what a user can say, and nothing else: it does no I/O, reads no clock and knows no cluster.
//! `proofload-plan` turns a [`LoadTestSpec`] into something that can be executed.

pub mod admission;
pub mod criterion;
pub mod data;
pub mod history;
pub mod load;
pub mod loadtest;
mod measured;
pub mod outcome;
pub mod problem;
pub mod scenario;
pub mod schedule;
pub mod server;
pub mod status;
pub mod step;
pub mod target;
pub mod units;
pub mod websocket;

pub use criterion::Expr;
pub use loadtest::{LoadTest, LoadTestSpec};
pub use outcome::Outcome;
pub use problem::Problem;
pub use schedule::{LoadTestSchedule, LoadTestScheduleSpec, LoadTestScheduleStatus};
pub use status::{LoadTestStatus, Phase, Verdict};
pub use units::{ByteSize, Micros, Rate, Share, Size};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool, ValidationRule,
};
use kube::CustomResourceExt;

/// The API group of every resource.
pub const GROUP: &str = "proofload.dev";
/// The API version of every resource.
pub const VERSION: &str = "v1alpha1";

/// Every custom resource definition, as it is committed under `crds/`.
pub fn crds() -> Vec<CustomResourceDefinition> {
    vec![complete(LoadTest::crd(), MAX_NAME), schedule_crd()]
}

fn schedule_crd() -> CustomResourceDefinition {
    let mut schedule = complete(LoadTestSchedule::crd(), MAX_SCHEDULE_NAME);
    // What a schedule holds is a pattern of tests: it may change, and what it makes may not.
    schemas(&mut schedule).for_each(without_transitions);
    schedule
}

/// The longest name of a `LoadTest`: its pods' host names, `NAME-runner-499`, must be DNS labels.
pub const MAX_NAME: usize = 50;
/// The longest name of a `LoadTestSchedule`: its tests are named `NAME-TICK`, with a tick of eight digits and a letter at
/// most.
pub const MAX_SCHEDULE_NAME: usize = MAX_NAME - 10;

fn schemas(crd: &mut CustomResourceDefinition) -> impl Iterator<Item = &mut JSONSchemaProps> {
    let schemas = crd.spec.versions.iter_mut().filter_map(|version| version.schema.as_mut());
    schemas.filter_map(|schema| schema.open_api_v3_schema.as_mut())
}

/// Adds what the derived definition cannot say: rules on the object's own name.
fn complete(mut crd: CustomResourceDefinition, longest: usize) -> CustomResourceDefinition {
    let rule = ValidationRule {
        rule: format!("self.metadata.name.size() <= {longest} && !self.metadata.name.contains('.')"),
        message: Some(format!("expected a name of at most {longest} characters without a dot")),
        ..ValidationRule::default()
    };
    for schema in schemas(&mut crd) {
        schema.x_kubernetes_validations = Some(vec![rule.clone()]);
    }
    crd
}

/// Takes away the rules on changes, here and in everything below.
fn without_transitions(schema: &mut JSONSchemaProps) {
    if let Some(rules) = &mut schema.x_kubernetes_validations {
        rules.retain(|rule| !rule.rule.contains("oldSelf"));
    }
    schema.properties.iter_mut().flat_map(|properties| properties.values_mut()).for_each(without_transitions);
    match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(item)) => without_transitions(item),
        Some(JSONSchemaPropsOrArray::Schemas(items)) => items.iter_mut().for_each(without_transitions),
        None => {}
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        without_transitions(values);
    }
}

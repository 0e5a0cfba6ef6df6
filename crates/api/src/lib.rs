//! Proofload's custom resources as Rust types: schema, CEL rules, defaults, units, the criterion grammar.
//!
//! This crate is what a user can say, and nothing else: it does no I/O, reads no clock and knows no cluster.
//! `proofload-plan` turns a [`LoadTestSpec`] into something that can be executed.

pub mod admission;
pub mod criterion;
pub mod data;
pub mod load;
pub mod loadtest;
pub mod outcome;
pub mod problem;
pub mod scenario;
pub mod status;
pub mod step;
pub mod target;
pub mod units;
pub mod websocket;

pub use criterion::Expr;
pub use loadtest::{LoadTest, LoadTestSpec};
pub use outcome::Outcome;
pub use problem::Problem;
pub use status::{LoadTestStatus, Phase, Verdict};
pub use units::{ByteSize, Micros, Rate, Share, Size};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{CustomResourceDefinition, ValidationRule};
use kube::CustomResourceExt;

/// The API group of every resource.
pub const GROUP: &str = "proofload.dev";
/// The API version of every resource.
pub const VERSION: &str = "v1alpha1";

/// Every custom resource definition, as it is committed under `crds/`.
pub fn crds() -> Vec<CustomResourceDefinition> {
    vec![complete(LoadTest::crd())]
}

/// The longest name of a `LoadTest`: its pods' host names, `NAME-runner-499`, must be DNS labels.
pub const MAX_NAME: usize = 50;

/// Adds what the derived definition cannot say: rules on the object's own name.
fn complete(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    let rule = ValidationRule {
        rule: format!("self.metadata.name.size() <= {MAX_NAME} && !self.metadata.name.contains('.')"),
        message: Some(format!("expected a name of at most {MAX_NAME} characters without a dot")),
        ..ValidationRule::default()
    };
    let schemas = crd.spec.versions.iter_mut().filter_map(|version| version.schema.as_mut());
    for schema in schemas.filter_map(|schema| schema.open_api_v3_schema.as_mut()) {
        schema.x_kubernetes_validations = Some(vec![rule.clone()]);
    }
    crd
}

//! Builds Kubernetes objects from a plan. Pure.

pub(crate) mod config_map;
pub(crate) mod job;
pub(crate) mod materials;
pub(crate) mod store;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::{Resource, ResourceExt};
use proofload_api::LoadTest;

/// Marks every object of a run, with the run's uid.
pub(crate) const RUN_LABEL: &str = "proofload.dev/run";
/// Names the test that an object belongs to.
pub(crate) const TEST_LABEL: &str = "proofload.dev/loadtest";
/// The field manager of everything that the operator writes.
pub(crate) const MANAGER: &str = "proofload-operator";

/// The name of a run's objects: the test's name and the begin of its uid, so that a test that is deleted and created
/// again never meets the objects of its predecessor.
pub(crate) fn run_name(test: &LoadTest) -> String {
    let uid: String = test.uid().unwrap_or_default().chars().filter(char::is_ascii_alphanumeric).take(5).collect();
    format!("{}-{uid}", test.name_any())
}

/// The name of the `ConfigMap` that holds the report.
pub(crate) fn report_name(test: &LoadTest) -> String {
    format!("{}-report", run_name(test))
}

fn metadata(test: &LoadTest, name: String) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: test.namespace(),
        labels: Some(labels(test)),
        owner_references: Some(vec![owner(test)]),
        ..ObjectMeta::default()
    }
}

fn labels(test: &LoadTest) -> BTreeMap<String, String> {
    let labels = [
        ("app.kubernetes.io/name", "proofload-runner".to_owned()),
        ("app.kubernetes.io/instance", run_name(test)),
        ("app.kubernetes.io/managed-by", "proofload".to_owned()),
        (TEST_LABEL, test.name_any()),
        (RUN_LABEL, test.uid().unwrap_or_default()),
    ];
    labels.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// The test owns all of it: deleting the test ends its load, with the operator gone too; and who deletes it in the foreground
/// (`kubectl delete --cascade=foreground`, a schedule that replaces a run) finds it there until the last runner is gone.
fn owner(test: &LoadTest) -> OwnerReference {
    OwnerReference { block_owner_deletion: Some(true), ..test.controller_owner_ref(&()).unwrap_or_default() }
}

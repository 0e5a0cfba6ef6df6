//! The `ConfigMap`s of a run: the plan that runners mount, and the report.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::ConfigMap;
use proofload_api::LoadTest;
use proofload_plan::Plan;

use super::{metadata, report_name, run_name};

/// The plan's key.
pub(crate) const PLAN_KEY: &str = "plan.json";
/// The report's key.
pub(crate) const REPORT_KEY: &str = "report.json.gz";

/// The plan, for the runners to mount.
pub(crate) fn plan(test: &LoadTest, plan: &Plan) -> ConfigMap {
    // Every field of a plan is a string, a number or a list of such: it always has a JSON form.
    let json = serde_json::to_string(plan).unwrap_or_default();
    ConfigMap {
        metadata: metadata(test, run_name(test)),
        data: Some(BTreeMap::from([(PLAN_KEY.to_owned(), json)])),
        immutable: Some(true),
        ..ConfigMap::default()
    }
}

/// The report, as gzip.
pub(crate) fn report(test: &LoadTest, gzip: Vec<u8>) -> ConfigMap {
    ConfigMap {
        metadata: metadata(test, report_name(test)),
        binary_data: Some(BTreeMap::from([(REPORT_KEY.to_owned(), ByteString(gzip))])),
        immutable: Some(true),
        ..ConfigMap::default()
    }
}

//! Apply: the only writer of objects other than status.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, PropagationPolicy};
use kube::{Api, Resource, ResourceExt};
use proofload_api::LoadTest;
use proofload_api::history::Store;
use proofload_plan::Compiled;
use proofload_results::Report;
use proofload_results::report::{Input, InvalidReport};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::build::config_map::{self, REPORT_KEY};
use crate::build::job::{Site, job};
use crate::build::{MANAGER, report_name, run_name, store};
use crate::context::Context;

/// The most bytes of a stored report: a `ConfigMap` holds 1 MiB, with its metadata.
const MAX_REPORT: usize = 900 << 10;
/// The most bytes that a stored report can unpack to.
const MAX_UNPACKED: u64 = 64 << 20;

/// A write that failed; the pass is tried again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApplyError {
    /// The API server refused, or could not be reached.
    #[error("cannot write {what}: {source}")]
    Api {
        /// What was to be written.
        what: &'static str,
        /// Why it was not.
        source: kube::Error,
    },
    /// The stored report is not one.
    #[error("ConfigMap {name} is in the way of the report: {source}; delete it")]
    NotAReport {
        /// The `ConfigMap`.
        name: String,
        /// What is wrong with it.
        source: InvalidReport,
    },
}

impl ApplyError {
    /// Why nothing was written, where the API server itself says so: a quota, an admission rule, a webhook that is down,
    /// a field that it does not take, an object that is in the way. Some of it passes, some never does: whoever hears of
    /// it asks again, and not for ever.
    fn refusal(&self) -> Option<String> {
        match self {
            Self::Api { what, source: kube::Error::Api(refusal) } => {
                Some(format!("the API server refused {what}: {}", refusal.message))
            }
            Self::Api { .. } => None,
            Self::NotAReport { .. } => Some(self.to_string()),
        }
    }

    /// What a refusal makes of a step; any other error stays one.
    fn or_refused(self) -> Result<Applied, Self> {
        self.refusal().map(Applied::Refused).ok_or(self)
    }
}

/// What became of a step.
#[derive(Debug)]
pub(crate) enum Applied {
    /// It was done, or there was nothing to do.
    Done,
    /// The report is stored.
    Stored(Box<Report>),
    /// The API server does not admit the run's objects, or its report; and why, in words.
    Refused(String),
    /// The same of a report that is not waited for any more.
    Unstored {
        /// What could not be stored.
        report: Box<Report>,
        /// Why not.
        why: String,
    },
}

/// Makes the objects of a run: the plan first, since the pods mount it. Again makes no difference.
pub(crate) async fn create(context: &Context, test: &LoadTest, compiled: &Compiled) -> Result<Applied, ApplyError> {
    match write(context, test, compiled).await {
        Ok(()) => Ok(Applied::Done),
        Err(error) => error.or_refused(),
    }
}

async fn write(context: &Context, test: &LoadTest, compiled: &Compiled) -> Result<(), ApplyError> {
    let site = Site { image: &context.settings.runner_image, public_key: context.signer.public_key() };
    let plan = config_map::plan(test, &compiled.plan);
    server_side(context, test, &plan).await.map_err(|source| ApplyError::Api { what: "the plan", source })?;
    let job = job(test, compiled, &site);
    server_side(context, test, &job).await.map_err(|source| ApplyError::Api { what: "the Job", source })
}

async fn server_side<K>(context: &Context, test: &LoadTest, object: &K) -> Result<(), kube::Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Serialize
        + DeserializeOwned
        + Clone
        + std::fmt::Debug,
{
    let api: Api<K> = Api::namespaced(context.client.clone(), &test.namespace().unwrap_or_default());
    let parameters = PatchParams::apply(MANAGER).force();
    api.patch(&object.name_any(), &parameters, &Patch::Apply(object)).await.map(drop)
}

/// Stores the report, or finds that it is stored already. The verdict follows from what is stored; from what could not be
/// stored only if the step says so.
pub(crate) async fn store_report(
    context: &Context,
    test: &LoadTest,
    input: &Input<'_>,
    without_report: bool,
) -> Result<Applied, ApplyError> {
    let report = Report::build_to_fit(input, |report| pack(report).len() <= MAX_REPORT);
    let why = match write_report(context, test, &report).await {
        Ok(None) => return Ok(Applied::Stored(Box::new(report))),
        Ok(Some(earlier)) => return Ok(Applied::Stored(Box::new(earlier))),
        Err(error) => error.refusal().ok_or(error)?,
    };
    Ok(if without_report { Applied::Unstored { report: Box::new(report), why } } else { Applied::Refused(why) })
}

/// Returns the report that was there before, if one was.
async fn write_report(context: &Context, test: &LoadTest, report: &Report) -> Result<Option<Report>, ApplyError> {
    let failed = |source| ApplyError::Api { what: "the report", source };
    let api: Api<ConfigMap> = Api::namespaced(context.client.clone(), &test.namespace().unwrap_or_default());
    let made = api.create(&PostParams::default(), &config_map::report(test, pack(report))).await;
    let Err(refusal) = made else { return Ok(None) };
    // An earlier pass stored it and was cut off before the verdict was in status.
    let name = report_name(test);
    let stored = if is_there(&refusal) { api.get_opt(&name).await.map_err(failed)? } else { None };
    let stored = stored.ok_or_else(|| failed(refusal))?;
    unpack(&stored).map(Some).map_err(|source| ApplyError::NotAReport { name, source })
}

/// Whether an object of this name was there before. A quota that changes just now is a conflict too.
pub(crate) fn is_there(refusal: &kube::Error) -> bool {
    matches!(refusal, kube::Error::Api(refusal) if refusal.reason == "AlreadyExists")
}

fn pack(report: &Report) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    // A vector takes any number of bytes.
    let packed = encoder.write_all(report.to_json().as_bytes()).and_then(|()| encoder.finish());
    packed.unwrap_or_default()
}

fn unpack(stored: &ConfigMap) -> Result<Report, InvalidReport> {
    let bytes = stored.binary_data.as_ref().and_then(|data| data.get(REPORT_KEY));
    let bytes = bytes.ok_or_else(|| InvalidReport::NotAReport(format!("it has no {REPORT_KEY}")))?;
    let mut json = Vec::new();
    let read = GzDecoder::new(&bytes.0[..]).take(MAX_UNPACKED).read_to_end(&mut json);
    read.map_err(|error| InvalidReport::NotAReport(error.to_string()))?;
    Report::from_json(&json)
}

/// Makes the Job that copies a report. Again makes no difference.
pub(crate) async fn create_store(context: &Context, test: &LoadTest, store: &Store) -> Result<Applied, ApplyError> {
    let job = store::job(test, store, &context.settings.runner_image);
    match server_side(context, test, &job).await {
        Ok(()) => Ok(Applied::Done),
        Err(source) => ApplyError::Api { what: "the Job", source }.or_refused(),
    }
}

/// Deletes a run's Job and its pods.
pub(crate) async fn delete_job(context: &Context, test: &LoadTest) -> Result<(), ApplyError> {
    delete_named(context, test, &run_name(test)).await
}

/// Deletes the Job that copied a report, and its pod.
pub(crate) async fn delete_store(context: &Context, test: &LoadTest) -> Result<(), ApplyError> {
    delete_named(context, test, &store::store_name(test)).await
}

async fn delete_named(context: &Context, test: &LoadTest, name: &str) -> Result<(), ApplyError> {
    let api: Api<Job> = Api::namespaced(context.client.clone(), &test.namespace().unwrap_or_default());
    let parameters =
        DeleteParams { propagation_policy: Some(PropagationPolicy::Background), ..DeleteParams::default() };
    gone(api.delete(name, &parameters).await, "the Job")
}

/// Deletes a test whose time to live is over; its objects follow it.
pub(crate) async fn delete_test(context: &Context, test: &LoadTest) -> Result<(), ApplyError> {
    let api: Api<LoadTest> = Api::namespaced(context.client.clone(), &test.namespace().unwrap_or_default());
    // Not another test of the same name, made meanwhile.
    let preconditions = kube::api::Preconditions { uid: test.uid(), resource_version: None };
    let parameters = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::background() };
    gone(api.delete(&test.name_any(), &parameters).await, "the LoadTest")
}

fn gone<T>(result: Result<T, kube::Error>, what: &'static str) -> Result<(), ApplyError> {
    match result {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(refusal)) if refusal.code == 404 || refusal.code == 409 => Ok(()),
        Err(source) => Err(ApplyError::Api { what, source }),
    }
}

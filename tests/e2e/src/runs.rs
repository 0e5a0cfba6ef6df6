//! Runs: tests to create, and waiting for what becomes of them.

use std::io::Read;

use anyhow::{Context, Result};
use flate2::read::GzDecoder;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use proofload_api::{LoadTest, LoadTestStatus, Phase, Verdict};
use proofload_results::Report;
use serde_json::{Value, json};

use crate::{Site, until};

/// A test of so many users for so many seconds, executed by so many runners, each of which sends about 50 requests per
/// second and user.
pub fn load_test(site: &Site, name: &str, runners: u32, users: u32, seconds: u64) -> Value {
    json!({
        "apiVersion": "proofload.dev/v1alpha1",
        "kind": "LoadTest",
        "metadata": {"name": name},
        "spec": {
            "target": {"baseUrl": site.target_url(), "timeout": "5s"},
            "scenarios": [{
                "name": "main",
                "users": {"stages": [{"to": users, "hold": format!("{seconds}s")}]},
                "thinkTime": {"min": "15ms", "max": "25ms"},
                "steps": [{"name": "get", "request": {"path": "/fast"}}],
            }],
            "criteria": [{"expr": "rate(errors) < 1%"}, {"expr": "count(requests) > 0"}],
            "runners": {"count": runners, "resources": {"cpu": "200m", "memory": "64Mi"}},
        },
    })
}

/// A run that was created.
pub struct Run<'a> {
    site: &'a Site,
    /// The test's name.
    pub name: String,
}

impl<'a> Run<'a> {
    /// Creates a test.
    pub async fn create(site: &'a Site, test: &Value) -> Result<Self> {
        let created = site.create(test).await?;
        Ok(Self { site, name: created.metadata.name.context("an object has a name")? })
    }

    /// The test as it is.
    pub async fn get(&self) -> Result<LoadTest> {
        Ok(self.site.api::<LoadTest>().get(&self.name).await?)
    }

    /// Its status as it is.
    pub async fn status(&self) -> Result<LoadTestStatus> {
        Ok(self.get().await?.status.unwrap_or_default())
    }

    /// The whole object as JSON: what any client of the API server sees.
    pub async fn json(&self) -> Result<Value> {
        Ok(serde_json::to_value(self.get().await?)?)
    }

    /// Waits until the run is in this phase or a later one.
    pub async fn reaches(&self, phase: Phase, seconds: u64) -> Result<LoadTestStatus> {
        until(&format!("{} to be {phase}", self.name), seconds, || async {
            let status = self.status().await?;
            Ok(if status.phase >= Some(phase) { Ok(status) } else { Err(format!("it is {status:?}")) })
        })
        .await
    }

    /// Waits until so many requests have reached the target.
    pub async fn sends(&self, requests: u64, seconds: u64) -> Result<()> {
        until(&format!("{requests} requests at the target"), seconds, || async {
            let counts = self.site.counts().await?;
            Ok(if counts.requests >= requests { Ok(()) } else { Err(format!("there are {}", counts.requests)) })
        })
        .await
    }

    /// Waits for the verdict.
    pub async fn finishes(&self, seconds: u64) -> Result<LoadTestStatus> {
        let status = self.reaches(Phase::Finished, seconds).await?;
        let verdict = status.verdict;
        assert!(verdict.is_some(), "a finished run has a verdict: {status:?}");
        Ok(status)
    }

    /// Waits for the verdict, which must be this one.
    pub async fn ends_as(&self, verdict: Verdict, seconds: u64) -> Result<LoadTestStatus> {
        let status = self.finishes(seconds).await?;
        assert_eq!(status.verdict, Some(verdict), "{}: {}\n{status:#?}", self.name, status.message);
        Ok(status)
    }

    /// The stored report.
    pub async fn report(&self) -> Result<Report> {
        Ok(Report::from_json(&self.report_json().await?)?)
    }

    /// The stored report as it is stored.
    pub async fn report_json(&self) -> Result<Vec<u8>> {
        let status = self.status().await?;
        let name = status.report.context("status names the report")?.config_map;
        let maps: Api<ConfigMap> = self.site.api();
        let map = maps.get(&name).await?;
        let packed = map.binary_data.context("the report is binary data")?;
        let mut json = Vec::new();
        GzDecoder::new(&packed["report.json.gz"].0[..]).read_to_end(&mut json)?;
        Ok(json)
    }

    /// Waits until no pod of the run is left at work.
    pub async fn leaves_no_pod(&self, seconds: u64) -> Result<()> {
        until("the runners to be gone", seconds, || async {
            let pods = self.site.runners(&self.name).await?;
            let at_work: Vec<_> = pods
                .iter()
                .filter(|pod| {
                    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
                    phase == Some("Running") || phase == Some("Pending")
                })
                .filter_map(|pod| pod.metadata.name.clone())
                .collect();
            Ok(if at_work.is_empty() { Ok(()) } else { Err(format!("{at_work:?} are there")) })
        })
        .await
    }
}

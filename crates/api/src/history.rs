//! What a run is held against, and where its report is kept.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::data::KeyRef;
use crate::units::Share;

/// An earlier run that this one is held against: exactly one of `loadTest`, `schedule`, `configMap` and `file`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "[has(self.loadTest), has(self.schedule), has(self.configMap), has(self.file)].filter(x, x).size() == 1",
     "message": "expected exactly one of loadTest, schedule, configMap and file"},
]))]
pub struct Baseline {
    /// A `LoadTest` of the same namespace that has finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 50))]
    pub load_test: Option<String>,
    /// The last run of this `LoadTestSchedule` of the same namespace that passed. While there is none, nothing is held
    /// against it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 50))]
    pub schedule: Option<String>,
    /// A report that somebody stored, as JSON or as `report.json.gz`: a key of a `ConfigMap` of the same namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map: Option<KeyRef>,
    /// A report beside the test's own file, for `proofload run`; a cluster knows none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub file: Option<String>,
    /// What may get worse by how much before it is a regression. A change that chance explains is none, however large.
    #[serde(default = "Baseline::default_tolerance")]
    pub tolerance: Share,
}

impl Baseline {
    /// As of `proofload compare`: two runs of the same test on the same machines differ by some percent by themselves.
    pub const fn default_tolerance() -> Share {
        Share::from_percent(10)
    }
}

/// Where a report is kept beside its `ConfigMap`: exactly one of `s3` and `volume`. A pod of a few seconds in the test's
/// own namespace writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.s3) != has(self.volume)", "message": "expected exactly one of s3 and volume"},
]))]
pub struct Store {
    /// A bucket of anything that speaks S3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3: Option<S3>,
    /// A volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<Volume>,
}

/// A bucket. The report is `PREFIX/NAMESPACE/NAME-xxxxx/report.json.gz`, with `report.html` beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "!has(self.prefix) || !self.prefix.matches('(^|/)[.][.]?(/|$)')",
     "message": "expected a prefix without . and .. in it"},
]))]
pub struct S3 {
    /// Its name.
    #[schemars(length(min = 3, max = 63), regex(pattern = "^[a-z0-9][-.a-z0-9]*[a-z0-9]$"))]
    pub bucket: String,
    /// What all names in it begin with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512), regex(pattern = "^[-_.a-zA-Z0-9/]+$"))]
    pub prefix: Option<String>,
    /// Where it is, if not at AWS, e.g. `http://minio.storage.svc:9000`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048), regex(pattern = "^https?://[-.:_a-zA-Z0-9\\[\\]]+(/[-._~/a-zA-Z0-9]*)?$"))]
    pub endpoint: Option<String>,
    /// Its region. Default: `us-east-1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[-a-z0-9]+$"))]
    pub region: Option<String>,
    /// A Secret of the test's namespace with the keys `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, with
    /// `AWS_SESSION_TOKEN` where there is one, and with `ca.crt` (PEM) where the endpoint's authority is no public one.
    /// The pod mounts it; the operator never reads it.
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub secret: String,
}

/// A volume. The report is `PATH/NAMESPACE/NAME-xxxxx/report.json.gz`, with `report.html` beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "!has(self.path) || !self.path.matches('(^|/)[.][.]?(/|$)')",
     "message": "expected a path without . and .. in it"},
]))]
pub struct Volume {
    /// A `PersistentVolumeClaim` of the test's namespace.
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub claim: String,
    /// The directory in it. Default: its root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512), regex(pattern = "^[-_.a-zA-Z0-9/]+$"))]
    pub path: Option<String>,
}

//! What a test reads beside its own text: data sets, files, environment variables. Secrets are never in the spec: they
//! are named, and the kubelet gives them to the runners.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A table of rows, used in templates as `{{NAME.COLUMN}}`. The format follows from the key's or file's ending: `.csv`
/// (a header line names the columns) or `.jsonl` (an object on each line; its fields are the columns).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "[has(self.configMap), has(self.secret), has(self.file)].filter(x, x).size() == 1",
     "message": "expected exactly one of configMap, secret and file"},
]))]
pub struct DataSet {
    /// A key of a `ConfigMap` in the test's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map: Option<KeyRef>,
    /// A key of a Secret in the test's namespace. The kubelet mounts it into the runners; the operator never reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<KeyRef>,
    /// A file beside the test's own, for `proofload run`; a cluster knows none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub file: Option<String>,
    /// Which row is used. `Sequential`: one after the other, from the first again after the last. `Random`: any.
    /// `Unique`: each row once, over all runners; who finds none left begins no further iteration, and too few rows for
    /// what is planned are an error before the run begins.
    #[serde(default)]
    pub pick: Pick,
    /// How long a row is kept.
    #[serde(default)]
    pub per: Per,
}

/// Which row of a data set is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Pick {
    /// One after the other, from the first again after the last.
    #[default]
    Sequential,
    /// Any.
    Random,
    /// Each once.
    Unique,
}

/// How long a row of a data set is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Per {
    /// For one iteration.
    #[default]
    Iteration,
    /// By one user, for all of its iterations.
    User,
}

/// A file, sent as a request's body or as a part of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "[has(self.configMap), has(self.secret), has(self.file)].filter(x, x).size() == 1",
     "message": "expected exactly one of configMap, secret and file"},
]))]
pub struct File {
    /// A key of a `ConfigMap` in the test's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map: Option<KeyRef>,
    /// A key of a Secret in the test's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<KeyRef>,
    /// A file beside the test's own, for `proofload run`; a cluster knows none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub file: Option<String>,
}

/// A key of a `ConfigMap` or `Secret`. `proofload run` reads the file NAME/KEY beside the test's own, or else KEY.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyRef {
    /// The object's name.
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub name: String,
    /// The key in it.
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[-._a-zA-Z0-9]+$"))]
    pub key: String,
}

/// A variable of the runners' environment, used in templates as `{{env.NAME}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.value) != has(self.valueFrom)", "message": "expected exactly one of value and valueFrom"},
    {"rule": "!self.name.startsWith('PROOFLOAD_') && self.name != 'JOB_COMPLETION_INDEX'",
     "message": "expected another name, since the runner uses this one itself"},
]))]
pub struct EnvVar {
    /// Its name.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[A-Za-z_][A-Za-z0-9_]*$"))]
    pub name: String,
    /// Its value, as it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub value: Option<String>,
    /// Where its value is: the kubelet gives it to the runners. `proofload run` takes it from its own environment, or
    /// from the file NAME/KEY beside the test's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_from: Option<ValueFrom>,
}

/// Where a variable's value is: exactly one of both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.secretKeyRef) != has(self.configMapKeyRef)",
     "message": "expected exactly one of secretKeyRef and configMapKeyRef"},
]))]
pub struct ValueFrom {
    /// A key of a Secret in the test's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<KeyRef>,
    /// A key of a `ConfigMap` in the test's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_key_ref: Option<KeyRef>,
}

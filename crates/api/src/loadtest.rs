//! `LoadTest`: one run of a load test, as a Job is one run of a program.

use std::borrow::Cow;
use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Toleration;
use kube::CustomResource;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::data::{DataSet, EnvVar, File};
use crate::history::{Baseline, Store};
use crate::scenario::Scenario;
use crate::server::{Prometheus, ServerMetric};
use crate::status::LoadTestStatus;
use crate::step::Step;
use crate::target::Target;
use crate::units::{Micros, Rate};

/// One run of a load test: what load to put on which service, and what must hold. It runs once, as a Job does,
/// and then holds the figures and the verdict. To run it again, create another one (kubectl create with
/// generateName, or delete and apply). The spec is immutable, apart from `suspend` and `scale`.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "proofload.dev",
    version = "v1alpha1",
    kind = "LoadTest",
    plural = "loadtests",
    shortname = "lt",
    namespaced,
    status = "LoadTestStatus",
    derive = "PartialEq",
    printcolumn = r#"{"name":"Verdict","type":"string","jsonPath":".status.verdict","description":"Passed, Failed, Inconclusive, Unjudged or Error"}"#,
    printcolumn = r#"{"name":"Phase","type":"string","jsonPath":".status.phase"}"#,
    printcolumn = r#"{"name":"Progress","type":"string","jsonPath":".status.progress"}"#,
    printcolumn = r#"{"name":"Users","type":"integer","jsonPath":".status.live.users","description":"Users at work now"}"#,
    printcolumn = r#"{"name":"RPS","type":"integer","jsonPath":".status.live.rps","description":"Requests per second: of the last seconds, or of the whole run once it has finished"}"#,
    printcolumn = r#"{"name":"P99","type":"string","jsonPath":".status.live.p99","description":"99th percentile of latency so far"}"#,
    printcolumn = r#"{"name":"Errors","type":"string","jsonPath":".status.live.errors","description":"Share of requests that failed so far"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Message","type":"string","jsonPath":".status.message","priority":1}"#
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "self.target == oldSelf.target && self.scenarios == oldSelf.scenarios && self.criteria == oldSelf.criteria \
              && self.runners == oldSelf.runners && self.results == oldSelf.results && self.data == oldSelf.data \
              && self.files == oldSelf.files && self.env == oldSelf.env && self.setup == oldSelf.setup \
              && self.teardown == oldSelf.teardown && has(self.description) == has(oldSelf.description) \
              && (!has(self.description) || self.description == oldSelf.description) && has(self.seed) == has(oldSelf.seed) \
              && (!has(self.seed) || self.seed == oldSelf.seed) && self.serverMetrics == oldSelf.serverMetrics \
              && has(self.prometheus) == has(oldSelf.prometheus) \
              && (!has(self.prometheus) || self.prometheus == oldSelf.prometheus) \
              && has(self.baseline) == has(oldSelf.baseline) && (!has(self.baseline) || self.baseline == oldSelf.baseline)",
     "message": "a LoadTest is one run: its spec cannot be changed, apart from suspend and scale. Delete it and create it \
                 again, or create another one under another name"},
    {"rule": "self.scenarios.all(s, self.scenarios.exists_one(t, t.name == s.name))",
     "message": "expected scenario names that differ from each other"},
    {"rule": "self.scenarios.all(s, !has(s.after) || self.scenarios.exists(t, t.name == s.after))",
     "message": "expected after to name a scenario of this test"},
    {"rule": "self.scale.all(s, self.scenarios.exists(t, t.name == s.scenario))",
     "message": "expected scale to name a scenario of this test"},
]))]
pub struct LoadTestSpec {
    /// What the test is about, for people: it stands at the head of its reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2000))]
    pub description: Option<String>,
    /// The service under test.
    pub target: Target,
    /// Tables whose rows templates use, by name: `{{accounts.user}}` is the column `user` of the data set `accounts`.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 16))]
    pub data: BTreeMap<String, DataSet>,
    /// Files that requests send, by name.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 16))]
    pub files: BTreeMap<String, File>,
    /// Variables of the runners' environment, for templates: `{{env.TOKEN}}`. The place for secrets.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub env: Vec<EnvVar>,
    /// Done once before all load, by one runner. What its steps extract every user of every runner has. If a step fails,
    /// no load begins and the verdict is `Error`.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub setup: Vec<Step>,
    /// What traffic to send. All scenarios begin together unless one says otherwise in `after` or `at`.
    #[schemars(length(min = 1, max = 32))]
    pub scenarios: Vec<Scenario>,
    /// Done once after all load, by one runner, also when the run was stopped or aborted.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub teardown: Vec<Step>,
    /// What must hold. Without criteria the verdict is `Unjudged`.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub criteria: Vec<Criterion>,
    /// The target's own metrics, by name: what Prometheus says of it while the load is on. A criterion asks for one as
    /// `server.NAME`, e.g. `max(server.cpu) < 80%` or `slope(server.memory) < 1%/h`.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 16))]
    pub server_metrics: BTreeMap<String, ServerMetric>,
    /// The Prometheus that is asked for them. Default: the one that the operator was installed with; without a cluster the
    /// one of `--prometheus`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<Prometheus>,
    /// An earlier run that this one is held against: a regression beyond the tolerance fails it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Baseline>,
    /// How many pods send the load, and how they run. Without a cluster: ignored but for `count`.
    #[serde(default)]
    pub runners: Runners,
    /// What becomes of the results.
    #[serde(default)]
    pub results: Results,
    /// From what every random choice follows: the same seed, the same requests. Default: follows from the test's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 9_007_199_254_740_991_u64))]
    pub seed: Option<u64>,
    /// Another load than planned, from when it is set to the end of the scenario (`proofload scale`). The last word on
    /// each scenario counts, and every change is in the report.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub scale: Vec<Scale>,
    /// Before the run: it does not start until this is false. During the run: the load is stopped at once and the
    /// verdict is `Inconclusive`, since a load test cannot be continued.
    #[serde(default)]
    pub suspend: bool,
}

/// Another load for a scenario: exactly one of `users` and `rate`, as its load model has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.users) != has(self.rate)", "message": "expected exactly one of users and rate"},
]))]
pub struct Scale {
    /// The scenario.
    #[schemars(length(min = 1, max = 63))]
    pub scenario: String,
    /// So many users from now on, over all runners.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1_000_000))]
    pub users: Option<u32>,
    /// So many iterations that begin from now on, over all runners.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
}

/// One line that must hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Criterion {
    /// `aggregate(metric) operator value`, e.g. `p95(latency) < 500ms`, `rate(errors) < 1%`,
    /// `rate(requests) >= 1000/s`, `count(status(503)) == 0`, `rate(dropped) < 0.1%`, `rate(check(json $.state)) > 99%`.
    /// `latency` is of requests that were answered and of timeouts, `latency[any]` of those that were reset or closed, too.
    /// `success[!429]` and `errors[!429]` are judged as if requests that were answered with status 429 had not been sent.
    #[schemars(length(min = 1, max = 256))]
    pub expr: String,
    /// The scenario, `scenario/step` or `scenario/group`, or `setup` or `teardown`, that is judged. Default: the whole
    /// run, without setup and teardown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 127))]
    // Not `on`: to kubectl, which reads YAML 1.1, a bare `on` is `true`.
    pub of: Option<String>,
    /// The stage that is judged, by its name: of the scenario in `of`, or of every scenario that has one of that name.
    /// Default: all of the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub during: Option<String>,
    /// Ends the run as `Failed` as soon as the criterion does not hold in a window of time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abort: Option<Abort>,
    /// `Fail`: the run fails when this does not hold. `Warn`: it is said, and changes no verdict.
    #[serde(default)]
    pub severity: Severity,
}

/// When a criterion ends the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Abort {
    /// How much time, up to now, is judged; over all runners.
    pub window: Micros,
    /// How long after the begin of what is judged the first window begins. Default: at once.
    #[serde(default)]
    pub after: Micros,
}

/// What a criterion that does not hold means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Severity {
    /// The run fails.
    #[default]
    Fail,
    /// It is said, and changes no verdict.
    Warn,
}

/// The pods that send the load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Runners {
    /// A number, or `Auto`: as many as the load needs by the published cost model (`status.plan` has the answer).
    pub count: RunnerCount,
    /// CPU and memory of each runner, as request and as limit. Default: by the cost model.
    pub resources: RunnerResources,
    /// The runner's image. Default: the one that came with the operator.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 512))]
    pub image: String,
    /// What happens when a runner is lost (evicted, killed, its node gone). It is never replaced, and the verdict is
    /// never `Passed`. `Inconclusive`: the others go on to the end. `Abort`: the run is stopped at once.
    pub on_lost: OnLost,
    /// How long the runners may take to be ready, all of them, before the test ends as `Error`.
    pub start_deadline: Micros,
    /// A runner that has not heard from the operator for so long stops its load by itself.
    pub heartbeat_timeout: Micros,
    /// Where the pods may run.
    pub template: RunnerTemplate,
}

impl Default for Runners {
    fn default() -> Self {
        Self {
            count: RunnerCount::Auto,
            resources: RunnerResources::default(),
            image: String::new(),
            on_lost: OnLost::Inconclusive,
            start_deadline: Micros::from_secs(120),
            heartbeat_timeout: Micros::from_secs(120),
            template: RunnerTemplate::default(),
        }
    }
}

/// How many runners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunnerCount {
    /// As many as the load needs.
    Auto,
    /// So many.
    Fixed(u32),
}

impl RunnerCount {
    /// The most runners that one test can have.
    pub const MAX: u32 = 500;
}

impl Serialize for RunnerCount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("Auto"),
            Self::Fixed(count) => serializer.serialize_u32(*count),
        }
    }
}

impl<'de> Deserialize<'de> for RunnerCount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Count(u32),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Count(count) => Ok(Self::Fixed(count)),
            Written::Text(text) if text == "Auto" => Ok(Self::Auto),
            Written::Text(text) => {
                Err(serde::de::Error::custom(format!("expected Auto or a number of runners, got {text:?}")))
            }
        }
    }
}

impl JsonSchema for RunnerCount {
    fn schema_name() -> Cow<'static, str> {
        "RunnerCount".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"x-kubernetes-int-or-string": true, "minimum": 1, "maximum": Self::MAX, "pattern": "^Auto$"})
    }
}

/// CPU and memory of a runner: each is its request and its limit, so that no neighbour changes the figures.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunnerResources {
    /// CPU, e.g. `500m` or `2`. A runner uses one thread for each whole CPU, and at least one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), regex(pattern = "^([1-9][0-9]{0,3}|[1-9][0-9]{0,5}m)$"))]
    pub cpu: Option<String>,
    /// Memory, e.g. `256Mi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), regex(pattern = "^[1-9][0-9]{0,6}(Ki|Mi|Gi)$"))]
    pub memory: Option<String>,
}

/// What happens when a runner is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum OnLost {
    /// The others go on to the end.
    #[default]
    Inconclusive,
    /// The run is stopped at once.
    Abort,
}

/// Where the pods may run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RunnerTemplate {
    /// Labels that a node must have.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32, "additionalProperties" = {"type": "string", "maxLength": 63}))]
    pub node_selector: BTreeMap<String, String>,
    /// Taints of nodes that do not matter.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub tolerations: Vec<Toleration>,
}

/// What becomes of the results.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Results {
    /// How long after its end the test is deleted, with its report. Default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Micros>,
    /// Where the report is kept beside its `ConfigMap`, and stays when the test is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<Store>,
}

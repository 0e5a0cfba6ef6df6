//! The target's own metrics, as Prometheus has them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::loadtest::LoadTestSpec;
use crate::step::Auth;
use crate::units::Micros;

/// A metric of the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServerMetric {
    /// What to ask, in `PromQL`. It must come to one series: sum or average over those that there are.
    #[schemars(length(min = 1, max = 4096))]
    pub query: String,
}

/// A server that answers `PromQL`: Prometheus, Thanos, Mimir, `VictoriaMetrics`. The first runner asks it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Prometheus {
    /// Scheme, host, port and the path that comes before `/api/v1`, e.g. `http://prometheus.monitoring.svc:9090`.
    #[schemars(length(min = 1, max = 2048), regex(pattern = "^https?://[!-~]+$"))]
    pub url: String,
    /// Headers of each question, e.g. `{X-Scope-OrgID: shop}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16, "additionalProperties" = {"type": "string", "maxLength": 8192}))]
    pub headers: BTreeMap<String, String>,
    /// Who asks, e.g. `{bearer: "{{env.PROMETHEUS_TOKEN}}"}`: secrets come in by `spec.env`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// The file of `spec.files` with the authorities (PEM) that sign its certificate. Default: those that the system trusts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub ca: Option<String>,
    /// For how long after the load its last values are awaited: at least as long as the interval at which the target is
    /// scraped.
    #[serde(default = "Prometheus::default_wait")]
    pub wait: Micros,
}

impl Prometheus {
    const fn default_wait() -> Micros {
        Micros::from_secs(30)
    }

    /// The one at an address, which asks for no credentials.
    pub fn at(url: &str) -> Self {
        Self { url: url.to_owned(), headers: BTreeMap::new(), auth: None, ca: None, wait: Self::default_wait() }
    }
}

impl LoadTestSpec {
    /// The spec with another Prometheus where it needs one and names none.
    pub fn or_prometheus(&self, url: Option<&str>) -> Cow<'_, Self> {
        match url {
            Some(url) if self.prometheus.is_none() && !self.server_metrics.is_empty() => {
                Cow::Owned(Self { prometheus: Some(Prometheus::at(url)), ..self.clone() })
            }
            _ => Cow::Borrowed(self),
        }
    }
}

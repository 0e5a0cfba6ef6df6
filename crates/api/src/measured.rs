//! Figures of a finished run for machines: what the operator's metrics are made from.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Figures of a finished run as decimal numbers in base units, e.g. `0.0123`; what cannot be told is absent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct MeasuredStatus {
    /// Requests per second.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub requests_per_second: String,
    /// Share of requests that failed, 0 to 1.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub error_ratio: String,
    /// 95th percentile of latency, in seconds.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub p95: String,
    /// 99th percentile of latency, in seconds.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub p99: String,
    /// How far apart the runners began, in seconds.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub start_skew: String,
    /// How much the figures of the whole run are above those of its baseline: `rate`, `p50`, `p95`, `p99` as shares of
    /// what they were, `errors` as the difference of both shares.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub baseline_change: BTreeMap<String, String>,
}

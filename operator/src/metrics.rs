//! What Prometheus sees of the operator.

use std::time::Duration;

use kube::ResourceExt;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use proofload_api::{LoadTest, LoadTestStatus};

/// What [`Metrics::render`] gives.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels = Vec<(&'static str, String)>;

/// Counters of the operator's work.
pub(crate) struct Metrics {
    registry: Registry,
    passes: Family<Labels, Counter>,
    seconds: Histogram,
    status_writes: Counter,
    verdicts: Family<Labels, Counter>,
    last_verdict: Gauge,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let metrics = Self {
            registry: Registry::with_prefix("proofload_operator"),
            passes: Family::default(),
            seconds: Histogram::new(exponential_buckets(0.001, 2.0, 13)),
            status_writes: Counter::default(),
            verdicts: Family::default(),
            last_verdict: Gauge::default(),
        };
        metrics.registered()
    }

    fn registered(mut self) -> Self {
        let registry = &mut self.registry;
        registry.register("reconciles", "Passes over a test, by result", self.passes.clone());
        registry.register("reconcile_seconds", "How long a pass took", self.seconds.clone());
        registry.register("status_writes", "Writes of a test's status", self.status_writes.clone());
        registry.register("verdicts", "Verdicts reached, by namespace and verdict", self.verdicts.clone());
        let help = "When the last verdict was reached, in seconds since 1970";
        registry.register("last_verdict_timestamp_seconds", help, self.last_verdict.clone());
        self
    }

    /// A pass is over.
    pub(crate) fn pass(&self, took: Duration, succeeded: bool) {
        let result = if succeeded { "success" } else { "error" };
        self.passes.get_or_create(&vec![("result", result.to_owned())]).inc();
        self.seconds.observe(took.as_secs_f64());
    }

    /// A status was written.
    pub(crate) fn observe(&self, test: &LoadTest, status: &LoadTestStatus) {
        self.status_writes.inc();
        if let Some(verdict) = status.verdict {
            let labels = vec![("namespace", test.namespace().unwrap_or_default()), ("verdict", verdict.to_string())];
            self.verdicts.get_or_create(&labels).inc();
            self.last_verdict.set(status.completion_time.as_ref().map_or(0, |time| time.0.as_second()));
        }
    }

    /// As `OpenMetrics` text.
    pub(crate) fn render(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

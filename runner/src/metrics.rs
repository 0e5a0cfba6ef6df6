//! What Prometheus sees of a runner. Cardinality is bounded by the plan: scenarios x steps x outcomes.

use anyhow::Context;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use proofload_api::Outcome;
use proofload_plan::Plan;
use proofload_results::Snapshot;

/// What [`render`] gives.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels = Vec<(&'static str, String)>;

/// A snapshot as `OpenMetrics` text.
pub(crate) fn render(plan: &Plan, snapshot: &Snapshot) -> anyhow::Result<String> {
    let mut registry = Registry::with_prefix("proofload_runner");
    let requests = Family::<Labels, Counter>::default();
    let sent = Family::<Labels, Counter>::default();
    let received = Family::<Labels, Counter>::default();
    let users = Family::<Labels, Gauge>::default();
    registry.register("requests", "Requests sent, by what became of them", requests.clone());
    registry.register("sent_bytes", "Bytes sent", sent.clone());
    registry.register("received_bytes", "Bytes received", received.clone());
    registry.register("users", "Users at work", users.clone());
    for (address, cell) in plan.layout().addresses().zip(&snapshot.cells) {
        let scenario = &plan.scenarios[address.scenario];
        let step = &scenario.steps[address.step].name;
        let labels = || vec![("scenario", scenario.name.clone()), ("step", step.clone())];
        for outcome in Outcome::ALL {
            let count = cell.outcomes[outcome.index()];
            if count > 0 {
                let labels = [labels(), vec![("outcome", outcome.name().to_owned())]].concat();
                requests.get_or_create(&labels).inc_by(count);
            }
        }
        sent.get_or_create(&labels()).inc_by(cell.bytes_out);
        received.get_or_create(&labels()).inc_by(cell.bytes_in);
    }
    for (scenario, progress) in plan.scenarios.iter().zip(&snapshot.scenarios) {
        users.get_or_create(&vec![("scenario", scenario.name.clone())]).set(i64::from(progress.users));
    }
    let mut text = String::new();
    encode(&mut text, &registry).context("cannot write the metrics")?;
    Ok(text)
}

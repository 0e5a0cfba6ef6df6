//! What Prometheus gets of a real runner: the same in every form, and what was counted.

use std::collections::BTreeMap;

use proofload_metrics::protobuf::{Metric, MetricFamily};
use proofload_plan::{Plan, compile};
use proofload_results::Snapshot;
use proofload_results::histogram::DIGITS;
use proofload_target::TestTarget;
use prost::Message;
use serde_json::json;

use crate::common::{RUN, Runner, requests};

const PROTOBUF: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
const OPEN_METRICS: &str = "application/openmetrics-text;version=1.0.0";

/// Series with their values, as text.
type Series = BTreeMap<String, f64>;

/// Two scenarios: one with a step that is checked, one whose answers are not what they should be, and one that gets none; and
/// arrivals.
fn plan(target: &str) -> Plan {
    let spec = json!({
        "target": {"baseUrl": target},
        "scenarios": [
            {
                "name": "browse", "iterations": {"users": 2, "perUser": 30},
                "steps": [
                    {"name": "get", "request": {"path": "/fast"}, "expect": {"body": {"contains": "ok"}}},
                    {"name": "fail", "request": {"path": "/status/503"}},
                    {"name": "cut", "request": {"path": "/reset"}},
                ],
            },
            {
                "name": "orders", "arrivals": {"stages": [{"name": "steady", "to": "50/s", "hold": "1s"}]},
                "steps": [{"name": "post", "request": {"path": "/fast"}}],
            },
        ],
    });
    compile(&serde_json::from_value(spec).unwrap(), RUN).unwrap().plan
}

fn of_text(text: &[u8]) -> Series {
    let text = std::str::from_utf8(text).unwrap();
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let series = samples.map(|line| line.rsplit_once(' ').unwrap()).map(|(name, value)| {
        // The forms write the bounds of buckets each in its own way: `1` and `1.0`.
        (name.replace(".0\"}", "\"}"), value.parse().unwrap())
    });
    series.collect()
}

fn families(mut bytes: &[u8]) -> Vec<MetricFamily> {
    let mut families = Vec::new();
    while !bytes.is_empty() {
        families.push(MetricFamily::decode_length_delimited(&mut bytes).unwrap());
    }
    families
}

/// Families of protobuf as text would have them.
fn of_families(families: &[MetricFamily]) -> Series {
    let mut series = Series::new();
    for (family, metric) in families.iter().flat_map(|family| family.metric.iter().map(move |metric| (family, metric)))
    {
        let labels = |more: Option<String>| {
            let escaped = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"");
            let pairs = metric.label.iter().map(|pair| format!("{}=\"{}\"", pair.name, escaped(&pair.value)));
            pairs.chain(more).collect::<Vec<_>>().join(",")
        };
        let name = &family.name;
        for number in metric.counter.iter().chain(&metric.gauge) {
            series.insert(format!("{name}{{{}}}", labels(None)), number.value);
        }
        let Some(histogram) = &metric.histogram else { continue };
        let bounds = histogram.bucket.iter().map(|bucket| (bucket.upper_bound.to_string(), bucket.cumulative_count));
        for (bound, count) in bounds.chain([("+Inf".to_owned(), histogram.sample_count)]) {
            series.insert(format!("{name}_bucket{{{}}}", labels(Some(format!("le=\"{bound}\"")))), count as f64);
        }
        series.insert(format!("{name}_count{{{}}}", labels(None)), histogram.sample_count as f64);
        series.insert(format!("{name}_sum{{{}}}", labels(None)), histogram.sample_sum);
    }
    series
}

/// The sum of the series of a metric of whole numbers that have all of these words among their labels.
fn sum(series: &Series, metric: &str, words: &[&str]) -> u64 {
    let is_of = |name: &str| name.starts_with(&format!("{metric}{{")) && words.iter().all(|word| name.contains(word));
    series.iter().filter(|(name, _)| is_of(name)).map(|(_, value)| *value as u64).sum()
}

/// What native buckets have, as spans and deltas say it.
fn native(metric: &Metric) -> u64 {
    let histogram = metric.histogram.as_ref().unwrap();
    let buckets: u32 = histogram.positive_span.iter().map(|span| span.length).sum();
    assert_eq!(buckets as usize, histogram.positive_delta.len());
    let (mut count, mut all) = (0, 0);
    for delta in &histogram.positive_delta {
        count += delta;
        all += count;
    }
    u64::try_from(all).unwrap() + histogram.zero_count
}

async fn finished(runner: &Runner) -> Snapshot {
    runner.begin(&[0, 1], 0).await;
    runner.ended().await
}

#[tokio::test]
async fn every_form_says_what_was_counted() {
    let target = TestTarget::start().unwrap();
    let runner = Runner::start(&plan(&target.url()));
    let before = of_text(&runner.scrape("").await.1);
    let last = finished(&runner).await;
    let (called, text) = runner.scrape("*/*").await;
    assert_eq!(called, "text/plain; version=0.0.4; charset=utf-8");
    let (called, open) = runner.scrape(OPEN_METRICS).await;
    assert_eq!(called, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(open.ends_with(b"\n# EOF\n"));
    let (called, protobuf) = runner.scrape(&format!("{PROTOBUF},{OPEN_METRICS};q=0.8,*/*;q=0.1")).await;
    assert!(called.starts_with("application/vnd.google.protobuf; "), "{called}");
    let (series, families) = (of_text(&text), families(&protobuf));
    assert_eq!(series, of_text(&open));
    assert_eq!(series, of_families(&families));

    let total = requests(&last);
    assert_eq!((total, target.counts().requests), (230, 230));
    assert_eq!(sum(&series, "proofload_requests_total", &["namespace=\"shop\",loadtest=\"checkout\""]), total);
    assert_eq!(sum(&series, "proofload_requests_total", &["step=\"fail\"", "status=\"5xx\""]), 60);
    assert_eq!(sum(&series, "proofload_request_errors_total", &["outcome=\"unexpected-status\""]), 60);
    assert_eq!(sum(&series, "proofload_requests_total", &["step=\"cut\"", "status=\"none\""]), 60);
    assert_eq!(sum(&series, "proofload_request_errors_total", &["outcome=\"reset\""]), 60);
    assert_eq!(sum(&series, "proofload_request_errors_total", &[]), 120);
    assert_eq!(sum(&series, "proofload_checks_total", &["check=\"body contains\"", "result=\"pass\""]), 60);
    let bytes: u64 = last.cells.iter().map(|cell| cell.bytes_in).sum();
    assert_eq!(sum(&series, "proofload_received_bytes_total", &[]), bytes);
    assert_eq!(sum(&series, "proofload_iterations_total", &["scenario=\"orders\""]), 50);
    assert_eq!(sum(&series, "proofload_runner_info", &["segment=\"0\",runners=\"1\""]), 1);

    let counted = |name: &str| {
        let family = families.iter().find(|family| family.name == name).unwrap();
        for metric in &family.metric {
            assert_eq!(native(metric), metric.histogram.as_ref().unwrap().sample_count, "{metric:?}");
        }
        family.metric.iter().map(native).sum::<u64>()
    };
    // As criteria see it: a connection that was reset is no answer, however quick.
    assert_eq!(counted("proofload_request_duration_seconds"), 170);
    assert_eq!(counted("proofload_service_time_seconds"), 170);
    assert_eq!(counted("proofload_lateness_seconds"), last.generator.lateness.decode(DIGITS).unwrap().count());

    // All that rates are taken of was there before, at 0.
    for name in series.keys().filter(|name| name.contains("_total{") || name.contains("_bucket{")) {
        assert_eq!(before.get(name), Some(&0.0), "{name}");
    }
}

#[tokio::test]
async fn what_the_plan_wants_now_is_told_beside_what_is() {
    let target = TestTarget::start().unwrap();
    let stages = json!({"stages": [{"name": "steady", "to": 4, "hold": "5m"}]});
    let runner = Runner::start(&crate::common::plan(&target.url(), &("users", stages)));
    let wanted = async || {
        let series = of_text(&runner.scrape("").await.1);
        let users = sum(&series, "proofload_target_users", &["scenario=\"main\""]);
        (users, sum(&series, "proofload_stage", &["stage=\"steady\""]), sum(&series, "proofload_users", &[]))
    };
    assert_eq!(wanted().await, (0, 0, 0));
    runner.begin(&[0], 0).await;
    crate::common::until("the users that are wanted", async || {
        let seen = wanted().await;
        if seen == (4, 1, 4) { Ok(()) } else { Err(format!("{seen:?}")) }
    })
    .await;
    runner.stop("enough").await;
    runner.ended().await;
    assert_eq!(wanted().await, (0, 0, 0));
}

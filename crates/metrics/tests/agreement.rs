//! The three forms say the same, and what they say of a distribution is what was measured.
#![allow(clippy::unwrap_used)] // in helpers of tests too

use std::collections::BTreeMap;

use proofload_metrics::catalogue::runner::{CPU, DURATION, LATENESS, REQUESTS};
use proofload_metrics::protobuf::{Histogram as Message, MetricFamily, MetricType, Number};
use proofload_metrics::{BOUNDS, Exposition, Format, Histogram};
use proofload_results::Times;
use proptest::prelude::*;
use prost::Message as _;

fn times(samples: &[u64]) -> Times {
    let mut times = Times::new();
    for micros in samples {
        times.record(*micros);
    }
    times
}

/// The families of a protobuf answer.
fn families(bytes: &[u8]) -> Vec<MetricFamily> {
    let (mut rest, mut families) = (bytes, Vec::new());
    while !rest.is_empty() {
        families.push(MetricFamily::decode_length_delimited(&mut rest).unwrap());
    }
    families
}

fn message(times: &Times) -> Message {
    let mut seen = Exposition::new();
    seen.distribute(&LATENESS, ["shop", "checkout"], Histogram::of(times));
    families(&Format::Protobuf.write(&seen)).swap_remove(0).metric.swap_remove(0).histogram.unwrap()
}

/// The native buckets of a message, as Prometheus reads spans and deltas: the index, and how many.
fn native(histogram: &Message) -> Vec<(i32, u64)> {
    let (mut index, mut count, mut deltas) = (0, 0, histogram.positive_delta.iter());
    let mut buckets = Vec::new();
    for span in &histogram.positive_span {
        index += span.offset;
        for _ in 0..span.length {
            count += deltas.next().unwrap();
            buckets.push((index, u64::try_from(count).unwrap()));
            index += 1;
        }
    }
    assert_eq!(deltas.next(), None);
    buckets
}

/// The end of the native bucket that a percentile is in, in seconds.
fn percentile(histogram: &Message, percentile: f64) -> f64 {
    let rank = (histogram.sample_count as f64 * percentile / 100.0).ceil().max(1.0) as u64;
    let mut below = histogram.zero_count;
    if below >= rank {
        return 0.0;
    }
    for (index, count) in native(histogram) {
        below += count;
        if below >= rank {
            return (f64::from(index) / 8.0).exp2();
        }
    }
    panic!("{histogram:?} has fewer samples than it says");
}

proptest! {
    #[test]
    fn native_buckets_have_each_sample_and_percentiles_within_their_width(
        samples in proptest::collection::vec(prop_oneof![0_u64..2_000, 0_u64..200_000, 0_u64..90_000_000], 1..300),
    ) {
        let times = times(&samples);
        let histogram = message(&times);
        let counted: u64 = native(&histogram).iter().map(|(_, count)| count).sum();
        prop_assert_eq!(counted + histogram.zero_count, samples.len() as u64);
        prop_assert_eq!(histogram.sample_count, samples.len() as u64);
        for p in [50.0, 90.0, 99.0, 100.0] {
            let (seen, truth) = (percentile(&histogram, p), times.percentile(p).unwrap() as f64 / 1e6);
            // A bucket's end is at most 9.1% above what is in it; HDR itself is exact to a thousandth.
            prop_assert!(seen >= truth * 0.998 && seen <= truth * 1.093, "p{} is {} for {}", p, seen, truth);
        }
        let sum = samples.iter().sum::<u64>() as f64 / 1e6;
        prop_assert!((histogram.sample_sum - sum).abs() <= sum * 0.001 + 1e-9, "{} for {}", histogram.sample_sum, sum);
    }

    #[test]
    fn classic_buckets_hold_what_is_no_longer(
        samples in proptest::collection::vec(0_u64..90_000_000, 0..300),
        more in proptest::collection::vec(0_u64..90_000_000, 0..20),
    ) {
        let histogram = Histogram::of(&times(&samples));
        for (bound, count) in BOUNDS.iter().zip(histogram.classic) {
            let within = |slack: f64| samples.iter().filter(|micros| **micros as f64 <= bound * slack * 1e6).count() as u64;
            prop_assert!((within(0.999)..=within(1.001)).contains(&count), "{} up to {}s", count, bound);
        }
        // What was counted stays counted.
        let later = Histogram::of(&times(&[samples, more].concat()));
        prop_assert!(histogram.classic.iter().zip(later.classic).all(|(before, after)| *before <= after));
        prop_assert!(histogram.count <= later.count && histogram.sum <= later.sum * (1.0 + 1e-12));
    }
}

#[test]
fn bounds_of_native_buckets_are_those_of_prometheus() {
    // Bucket 0 ends at 1 s, and a bound belongs to the bucket that it ends.
    for (micros, index) in [(1_000_000, 0), (500_000, -8), (250_000, -16), (1_050_000, 1), (2_000_000, 8), (1, -159)] {
        let native = native(&message(&times(&[micros])));
        // HDR's own bucket of a bound may have its middle just behind it.
        assert!(native == [(index, 1)] || native == [(index + 1, 1)], "{micros}us is in {native:?}");
    }
    let histogram = message(&times(&[0, 0, 1_100_000, 1_100_000, 1_100_000, 1_200_000, 9_000_000]));
    assert_eq!((histogram.schema, histogram.zero_count), (3, 2));
    assert_eq!(native(&histogram), [(2, 3), (3, 1), (26, 1)]);
    let spans: Vec<(i32, u32)> = histogram.positive_span.iter().map(|span| (span.offset, span.length)).collect();
    assert_eq!((spans, histogram.positive_delta), (vec![(2, 2), (22, 1)], vec![3, -2, 0]));
    // Without samples it still says that it is a native one.
    assert!(message(&Times::new()).zero_threshold > 0.0);
}

/// Names as bad as they can be, in every form.
fn everything() -> Exposition {
    let mut seen = Exposition::new();
    let hostile = "a\"b\\c\nd} 1\nevil 1 # EOF";
    seen.count(&REQUESTS, ["shop", "checkout", "main", hostile, "2xx"], 3);
    seen.count(&REQUESTS, ["shop", "checkout", "main", hostile, "2xx"], 4);
    seen.set(&CPU, ["shop", "checkout"], 0.25);
    seen.distribute(
        &DURATION,
        ["shop", "checkout", "main", hostile],
        Histogram::of(&times(&[900, 2_000_000, 70_000_000])),
    );
    seen
}

#[test]
fn text_is_what_prometheus_reads() {
    let text = String::from_utf8(Format::Text.write(&everything())).unwrap();
    let step = r#"scenario="main",step="a\"b\\c\nd} 1\nevil 1 # EOF""#;
    let head = "# HELP proofload_requests_total Requests that have ended";
    assert!(text.starts_with(head), "{text}");
    for line in [
        "# TYPE proofload_requests_total counter".to_owned(),
        format!(r#"proofload_requests_total{{namespace="shop",loadtest="checkout",{step},status="2xx"}} 7"#),
        r#"proofload_generator_cpu_ratio{namespace="shop",loadtest="checkout"} 0.25"#.to_owned(),
        format!(r#"proofload_request_duration_seconds_bucket{{namespace="shop",loadtest="checkout",{step},le="1"}} 1"#),
        format!(
            r#"proofload_request_duration_seconds_bucket{{namespace="shop",loadtest="checkout",{step},le="+Inf"}} 3"#
        ),
        format!(r#"proofload_request_duration_seconds_count{{namespace="shop",loadtest="checkout",{step}}} 3"#),
    ] {
        assert!(text.lines().any(|each| each == line), "{line} is not in\n{text}");
    }
    assert_eq!(text.lines().count(), 3 + 3 + 2 + BOUNDS.len() + 3);
}

#[test]
fn open_metrics_says_the_same_in_its_own_words() {
    let text = String::from_utf8(Format::Text.write(&everything())).unwrap();
    let open = String::from_utf8(Format::OpenMetrics.write(&everything())).unwrap();
    assert!(open.ends_with("\n# EOF\n"), "{open}");
    for line in [
        "# TYPE proofload_requests counter",
        "# UNIT proofload_request_duration_seconds seconds",
        "# UNIT proofload_generator_cpu_ratio ratio",
    ] {
        assert!(open.lines().any(|each| each == line), "{line} is not in\n{open}");
    }
    let samples = |text: &str| -> Vec<String> {
        let canonical = |line: &str| line.replace(".0\"}", "\"}");
        text.lines().filter(|line| !line.starts_with('#')).map(canonical).collect()
    };
    assert_eq!(samples(&open), samples(&text));
}

#[test]
fn protobuf_says_the_same() {
    let families: BTreeMap<String, MetricFamily> = families(&Format::Protobuf.write(&everything()))
        .into_iter()
        .map(|family| (family.name.clone(), family))
        .collect();
    let requests = &families["proofload_requests_total"];
    assert_eq!((requests.r#type(), requests.unit.as_str()), (MetricType::Counter, ""));
    assert_eq!(requests.metric[0].counter, Some(Number { value: 7.0 }));
    let step = requests.metric[0].label.iter().find(|label| label.name == "step").unwrap();
    assert_eq!(step.value, "a\"b\\c\nd} 1\nevil 1 # EOF");
    let duration = &families["proofload_request_duration_seconds"];
    assert_eq!((duration.r#type(), duration.unit.as_str()), (MetricType::Histogram, "seconds"));
    let histogram = duration.metric[0].histogram.as_ref().unwrap();
    assert_eq!((histogram.sample_count, histogram.bucket.len()), (3, BOUNDS.len()));
    assert_eq!(histogram.bucket.iter().map(|bucket| bucket.cumulative_count).max(), Some(2));
    assert_eq!(families["proofload_generator_cpu_ratio"].metric[0].gauge, Some(Number { value: 0.25 }));
}

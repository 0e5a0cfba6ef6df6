//! The operator's own work: passes, what failed, what waits, and what was asked of the API server.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::{Resource, ResourceExt};
use proofload_api::LoadTest;
use proofload_api::schedule::LoadTestSchedule;
use proofload_metrics::catalogue::operator::{API_REQUESTS, ERRORS, QUEUE, RECONCILE_DURATION, RECONCILES};
use proofload_metrics::{Exposition, Histogram};
use proofload_results::Times;

use super::Kind;

/// Counters since the process began.
#[derive(Default)]
pub(super) struct Work {
    passes: BTreeMap<(Kind, &'static str), u64>,
    durations: BTreeMap<Kind, Times>,
    errors: BTreeMap<&'static str, u64>,
    requests: BTreeMap<(&'static str, String), u64>,
    /// Objects of which a pass is under way, or will be.
    wanted: BTreeMap<(Kind, String), Wanted>,
}

/// When a pass over an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    UnderWay,
    At(Instant),
}

impl Work {
    pub(super) fn begins(&mut self, kind: Kind, object: &str) {
        self.wanted.insert((kind, object.to_owned()), Wanted::UnderWay);
    }

    pub(super) fn ends(
        &mut self,
        kind: Kind,
        object: &str,
        began: Instant,
        now: Instant,
        result: Result<Option<Duration>, &'static str>,
    ) {
        let took = now.duration_since(began).as_micros();
        self.durations.entry(kind).or_default().record(u64::try_from(took).unwrap_or(u64::MAX));
        let said = if result.is_ok() { "success" } else { "error" };
        *self.passes.entry((kind, said)).or_default() += 1;
        if let Err(place) = result {
            *self.errors.entry(place).or_default() += 1;
        }
        let key = (kind, object.to_owned());
        match result {
            Ok(Some(next)) => self.wanted.insert(key, Wanted::At(now + next)),
            // What failed is tried again in a moment, which is no queue.
            Ok(None) | Err(_) => self.wanted.remove(&key),
        };
    }

    pub(super) fn asked(&mut self, verb: &'static str, code: String) {
        *self.requests.entry((verb, code)).or_default() += 1;
    }

    /// What is wanted of objects that are gone is forgotten.
    pub(super) fn describe(
        &mut self,
        seen: &mut Exposition,
        tests: &[Arc<LoadTest>],
        schedules: &[Arc<LoadTestSchedule>],
        now: Instant,
    ) {
        let known: [BTreeSet<String>; 2] = [names(tests), names(schedules)];
        self.wanted.retain(|(kind, name), wanted| *wanted == Wanted::UnderWay || known[*kind as usize].contains(name));
        let is_due = |wanted: &&Wanted| match wanted {
            Wanted::UnderWay => true,
            Wanted::At(due) => *due <= now,
        };
        seen.set(&QUEUE, [], self.wanted.values().filter(is_due).count() as f64);
        // What can be counted is there from the begin on, at 0, so that the first of each can be seen to be one.
        for kind in [Kind::Test, Kind::Schedule] {
            for result in ["success", "error"] {
                seen.count(&RECONCILES, [kind.name(), result], self.passes.get(&(kind, result)).copied().unwrap_or(0));
            }
        }
        for (kind, times) in &self.durations {
            seen.distribute(&RECONCILE_DURATION, [kind.name()], Histogram::of(times));
        }
        for place in ["observe", "apply", "report", "token", "conflict", "overdue"] {
            seen.count(&ERRORS, [place], self.errors.get(place).copied().unwrap_or(0));
        }
        for ((verb, code), count) in &self.requests {
            seen.count(&API_REQUESTS, [verb, code], *count);
        }
    }
}

fn names<K: Resource>(objects: &[Arc<K>]) -> BTreeSet<String> {
    objects.iter().map(|object| format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any())).collect()
}

#[cfg(test)]
mod tests {
    use proofload_metrics::Format;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_queue_is_what_is_under_way_and_what_waits_for_a_place() {
        let test = |name: &str| {
            let spec = json!({"target": {"baseUrl": "http://t"}, "scenarios": []});
            let mut test = LoadTest::new(name, serde_json::from_value(spec).unwrap());
            test.metadata.namespace = Some("shop".to_owned());
            Arc::new(test)
        };
        let now = Instant::now();
        let mut work = Work::default();
        work.begins(Kind::Test, "shop/running");
        let second = Duration::from_secs(1);
        for (name, result) in [
            ("shop/due", Ok(Some(Duration::ZERO))),
            ("shop/later", Ok(Some(second))),
            ("shop/gone", Ok(Some(Duration::ZERO))),
            ("shop/done", Ok(None)),
            ("shop/failed", Err("apply")),
        ] {
            work.ends(Kind::Test, name, now, now, result);
        }
        work.ends(Kind::Schedule, "shop/nightly", now, now + second, Ok(None));
        let mut seen = Exposition::new();
        work.describe(&mut seen, &["due", "later", "done", "failed"].map(test), &[], now);
        let shown = String::from_utf8(Format::Text.write(&seen)).unwrap();
        for line in [
            "proofload_operator_queue_length 2",
            "proofload_operator_reconciles_total{kind=\"LoadTest\",result=\"success\"} 4",
            "proofload_operator_reconciles_total{kind=\"LoadTestSchedule\",result=\"success\"} 1",
            "proofload_operator_reconciles_total{kind=\"LoadTestSchedule\",result=\"error\"} 0",
            "proofload_operator_errors_total{kind=\"apply\"} 1",
            "proofload_operator_errors_total{kind=\"conflict\"} 0",
            "proofload_operator_reconcile_duration_seconds_bucket{kind=\"LoadTestSchedule\",le=\"0.5\"} 0",
            "proofload_operator_reconcile_duration_seconds_count{kind=\"LoadTestSchedule\"} 1",
        ] {
            assert!(shown.lines().any(|each| each == line), "{line} is not in\n{shown}");
        }
    }
}

//! Schedules: what their status says, and ticks since this operator began.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::ResourceExt;
use proofload_api::Verdict;
use proofload_api::schedule::{LoadTestSchedule, LoadTestScheduleStatus};
use proofload_metrics::Exposition;
use proofload_metrics::catalogue::operator::{
    DUE, FAILURES, INCONCLUSIVE, LAST_VERDICT, MISSED, NEXT, PAUSED, SKIPPED, STARTED,
};

/// By namespace and name: ticks that were due, and runs that were made.
#[derive(Default)]
pub(super) struct Ticks(BTreeMap<(String, String), (u64, u64)>);

impl Ticks {
    pub(super) fn dealt_with(&mut self, namespace: &str, name: &str, due: u64, made: u64) {
        let ticks = self.0.entry((namespace.to_owned(), name.to_owned())).or_default();
        *ticks = (ticks.0 + due, ticks.1 + made);
    }

    /// Ticks of schedules that are gone are forgotten.
    pub(super) fn describe(&mut self, seen: &mut Exposition, schedules: &[Arc<LoadTestSchedule>]) {
        let key = |schedule: &LoadTestSchedule| (schedule.namespace().unwrap_or_default(), schedule.name_any());
        let mut before = std::mem::take(&mut self.0);
        for schedule in schedules {
            let key = key(schedule);
            let ticks = before.remove(&key).unwrap_or_default();
            let labels = [key.0.as_str(), key.1.as_str()];
            let nothing = LoadTestScheduleStatus::default();
            let status = schedule.status.as_ref().unwrap_or(&nothing);
            seen.count(&DUE, labels, ticks.0);
            seen.count(&STARTED, labels, ticks.1);
            seen.count(&SKIPPED, labels, status.skipped);
            seen.count(&MISSED, labels, status.missed);
            if let Some(last) = status.history.first() {
                seen.set(&LAST_VERDICT, [labels[0], labels[1], &last.name, &last.verdict.to_string()], 1.0);
            }
            let in_doubt = status.history.iter().take_while(|run| run.verdict == Verdict::Inconclusive).count();
            seen.set(&INCONCLUSIVE, labels, in_doubt as f64);
            seen.set(&FAILURES, labels, f64::from(status.failures_in_a_row));
            seen.set(&PAUSED, labels, f64::from(u8::from(status.paused.is_some())));
            if let Some(next) = &status.next_schedule_time {
                seen.set(&NEXT, labels, next.0.as_second() as f64);
            }
            self.0.insert(key, ticks);
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::runtime::reflector::store;
    use kube::runtime::watcher;
    use proofload_metrics::Format;
    use serde_json::json;

    use super::super::Metrics;
    use super::*;

    #[test]
    fn a_schedule_is_told_of_until_it_is_deleted() {
        let schedule: LoadTestSchedule = serde_json::from_value(json!({
            "apiVersion": "proofload.dev/v1alpha1", "kind": "LoadTestSchedule",
            "metadata": {"name": "nightly", "namespace": "shop"},
            "spec": {"schedule": "0 3 * * *", "template": {"spec": {"target": {"baseUrl": "http://t"}, "scenarios": []}}},
            "status": {
                "skipped": 3, "missed": 1, "failuresInARow": 2, "nextScheduleTime": "1970-01-02T00:00:00Z",
                "paused": {"since": "1970-01-01T00:00:00Z", "reason": "2 runs", "generation": 1},
                "history": [
                    {"name": "nightly-2", "verdict": "Inconclusive", "cause": "Schedule", "due": "1970-01-01T00:02:00Z"},
                    {"name": "nightly-1", "verdict": "Failed", "cause": "Schedule", "due": "1970-01-01T00:01:00Z"},
                    {"name": "nightly-0", "verdict": "Inconclusive", "cause": "Schedule", "due": "1970-01-01T00:00:00Z"},
                ],
            },
        }))
        .unwrap();
        let (reader, mut writer) = store();
        let metrics = Metrics::default();
        metrics.schedules_from(reader);
        metrics.schedule_dealt_with("shop", "nightly", 2, 1);
        let text = || String::from_utf8(Format::Text.write(&metrics.exposition())).unwrap();
        writer.apply_watcher_event(&watcher::Event::Apply(schedule.clone()));
        // Told before the cache has it, ticks would be forgotten: the controller learns of schedules from that cache.
        let told = text();
        for (name, value) in [
            ("due_total", 2),
            ("started_total", 1),
            ("skipped_total", 3),
            ("missed_total", 1),
            ("inconclusive_in_a_row", 1),
            ("failures_in_a_row", 2),
            ("paused", 1),
            ("next_timestamp_seconds", 86_400),
        ] {
            let line = format!("proofload_schedule_{name}{{namespace=\"shop\",schedule=\"nightly\"}} {value}");
            assert!(told.lines().any(|each| each == line), "{line} is not in\n{told}");
        }
        let last = r#"proofload_schedule_last_verdict{namespace="shop",schedule="nightly",loadtest="nightly-2",verdict="Inconclusive"} 1"#;
        assert!(told.contains(last) && told.matches("last_verdict{").count() == 1, "{told}");
        assert_eq!(told, text());
        writer.apply_watcher_event(&watcher::Event::Delete(schedule));
        assert!(!text().contains("nightly"));
    }
}

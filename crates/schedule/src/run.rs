//! The test that a schedule runs: its name, its labels, and whose it is.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, ResourceExt};
use proofload_api::schedule::{PendingRun, RunCause, marks};
use proofload_api::{LoadTest, LoadTestSchedule, Problem};

/// What is wrong with the spec of a template, by paths of the schedule.
pub type InvalidTemplate = Vec<Problem>;

/// The name of the run of a tick: it follows from the tick, so that whoever makes it makes the same.
pub fn name_at(schedule: &str, tick: Timestamp) -> String {
    format!("{schedule}-{}", minutes(tick))
}

/// The names that a run on demand can have; the first that is free is taken.
pub fn names_on_demand(schedule: &str, moment: Timestamp, cause: RunCause) -> impl Iterator<Item = String> {
    let letters = if cause == RunCause::Rollout { "rsqpnm" } else { "tuvwxyz" };
    letters.chars().map(move |letter| format!("{schedule}-{}{letter}", minutes(moment)))
}

fn minutes(moment: Timestamp) -> i64 {
    moment.as_second().div_euclid(60)
}

/// The test of a run. The schedule owns it, so that it goes with it.
pub fn run(schedule: &LoadTestSchedule, pending: &PendingRun) -> LoadTest {
    let template = &schedule.spec.template;
    let (mut labels, mut annotations) = (template.metadata.labels.clone(), template.metadata.annotations.clone());
    labels.insert(marks::SCHEDULE_LABEL.to_owned(), schedule.name_any());
    annotations.insert(marks::DUE.to_owned(), pending.due.0.to_string());
    annotations.insert(marks::CAUSE.to_owned(), pending.cause.to_string());
    LoadTest {
        metadata: ObjectMeta {
            name: Some(pending.name.clone()),
            namespace: schedule.namespace(),
            labels: Some(labels),
            annotations: Some(annotations),
            owner_references: schedule.controller_owner_ref(&()).map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        spec: template.spec.clone(),
        status: None,
    }
}

/// Problems of a test as those of the schedule that has it as its template.
pub fn within_template(problems: Vec<Problem>) -> InvalidTemplate {
    problems.into_iter().map(|problem| Problem { path: format!("spec.template.{}", problem.path), ..problem }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_run_follows_from_its_schedule_and_its_tick() {
        let schedule: LoadTestSchedule = serde_json::from_value(json!({
            "apiVersion": "proofload.dev/v1alpha1", "kind": "LoadTestSchedule",
            "metadata": {"name": "nightly", "namespace": "shop", "uid": "u"},
            "spec": {"schedule": "0 3 * * *", "template": {
                "metadata": {"labels": {"team": "shop", "proofload.dev/schedule": "another"}},
                "spec": {"target": {"baseUrl": "http://t"}, "scenarios": []}}},
        }))
        .unwrap();
        let tick: Timestamp = "2026-03-29T01:00:00Z".parse().unwrap();
        let name = name_at("nightly", tick);
        assert_eq!(name, "nightly-29579100");
        assert!(name.len() - "nightly".len() <= 10);
        let on_demand: Vec<_> = names_on_demand("nightly", tick, RunCause::Trigger).take(2).collect();
        assert_eq!(on_demand, ["nightly-29579100t", "nightly-29579100u"]);
        let made = run(&schedule, &PendingRun { name, due: k8s_time(tick), cause: RunCause::Schedule });
        assert_eq!(made.labels()["proofload.dev/schedule"], "nightly");
        assert_eq!(made.labels()["team"], "shop");
        assert_eq!(made.annotations()["proofload.dev/due"], "2026-03-29T01:00:00Z");
        assert_eq!(made.annotations()["proofload.dev/cause"], "Schedule");
        assert_eq!(made.owner_references()[0].uid, "u");
        assert_eq!(made.spec, schedule.spec.template.spec);
    }

    fn k8s_time(moment: Timestamp) -> k8s_openapi::apimachinery::pkg::apis::meta::v1::Time {
        k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(moment)
    }
}

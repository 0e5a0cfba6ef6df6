//! What is seen of the Job that copies a report, and of its pod.

use std::sync::Arc;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use proofload_api::LoadTest;

use super::pods::{container, ending, is_made_by, unscheduled, waiting};
use crate::build::store::{CONTAINER, store_name};
use crate::context::Context;

/// The copy of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StoreSight {
    /// There is no Job: not made yet, or deleted. A cache that is behind may say so, too: the Job is then applied again,
    /// which makes no difference.
    Absent,
    /// Its pod is at work, or awaited.
    UnderWay {
        /// What the last try said that failed.
        failure: Option<String>,
        /// What the pod is waiting for.
        waiting: Option<String>,
        /// When the Job was made.
        made: Option<Timestamp>,
    },
    /// The report is there.
    Done,
    /// It was given up.
    GivenUp {
        /// What the last try said, if its pod is still there.
        failure: Option<String>,
    },
}

/// Observes the copy.
pub(super) fn observe(context: &Context, test: &LoadTest) -> StoreSight {
    let namespace = test.namespace().unwrap_or_default();
    let name = store_name(test);
    let job = context.jobs.get(&ObjectRef::new(&name).within(&namespace));
    sight(job.as_deref(), &context.pods.state(), test)
}

fn sight(job: Option<&Job>, pods: &[Arc<Pod>], test: &LoadTest) -> StoreSight {
    let Some(job) = job else { return StoreSight::Absent };
    let name = store_name(test);
    let pods = pods.iter().filter(|pod| is_made_by(pod, test, &name, Some(job)));
    // Another one is made where the first went with its node.
    let pod = pods.max_by_key(|pod| pod.metadata.creation_timestamp.as_ref().map(|time| time.0));
    let failure = pod.and_then(|pod| failure(pod));
    if has(job, "Complete") {
        return StoreSight::Done;
    }
    if has(job, "Failed") {
        return StoreSight::GivenUp { failure };
    }
    let waiting = match pod {
        Some(pod) => unscheduled(pod).or_else(|| container(pod, CONTAINER).and_then(waiting)),
        None => Some(format!("no pod yet (kubectl describe job {name} says why)")),
    };
    let made = job.metadata.creation_timestamp.as_ref().map(|time| time.0);
    StoreSight::UnderWay { failure, waiting, made }
}

fn has(job: &Job, kind: &str) -> bool {
    let mut conditions = job.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.any(|condition| condition.type_ == kind && condition.status == "True")
}

/// What the last try said that failed: the one that has just ended, or the one before it.
fn failure(pod: &Pod) -> Option<String> {
    let container = container(pod, CONTAINER)?;
    let states = [container.state.as_ref(), container.last_state.as_ref()];
    let ended = states.into_iter().flatten().find_map(|state| state.terminated.as_ref())?;
    (ended.exit_code != 0).then(|| ending(ended))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::build::RUN_LABEL;

    const UID: &str = "1f0c9e52-6b1d-4c7e-9a3f-5d2c8e7b4a10";

    fn seen(job: &Value, pods: &[Value]) -> StoreSight {
        let mut test = LoadTest::new(
            "tale",
            serde_json::from_value(json!({"target": {"baseUrl": "http://t"}, "scenarios": []})).unwrap(),
        );
        (test.metadata.namespace, test.metadata.uid) = (Some("shop".to_owned()), Some(UID.to_owned()));
        let pods: Vec<Arc<Pod>> =
            pods.iter().map(|pod| Arc::new(serde_json::from_value(pod.clone()).unwrap())).collect();
        let job: Option<Job> = serde_json::from_value(job.clone()).unwrap();
        sight(job.as_ref(), &pods, &test)
    }

    fn job(condition: Option<&str>) -> Value {
        let conditions: Vec<Value> = condition.iter().map(|kind| json!({"type": kind, "status": "True"})).collect();
        json!({"metadata": {"name": "tale-1f0c9-store", "uid": "s"}, "status": {"conditions": conditions}})
    }

    fn pod(owner: &str, created: &str, status: &Value) -> Value {
        json!({
            "metadata": {
                "name": "tale-1f0c9-store-abcde", "namespace": "shop", "creationTimestamp": created,
                "labels": {RUN_LABEL: UID},
                "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": owner, "uid": "s", "controller": true}],
            },
            "status": status,
        })
    }

    fn waits(last: &str) -> Value {
        json!({"phase": "Running", "containerStatuses": [{
            "name": "store", "image": "", "imageID": "", "ready": false, "restartCount": 1,
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": {"exitCode": 1, "reason": "Error", "message": last}},
        }]})
    }

    #[test]
    fn what_the_last_try_said_is_seen_while_the_next_one_is_awaited() {
        let pods = [
            pod("tale-1f0c9-store", "2026-03-01T09:00:00Z", &waits("the one whose node is gone\n")),
            pod("tale-1f0c9-store", "2026-03-01T09:10:00Z", &waits("bucket reports does not exist\n")),
        ];
        let failure = Some("bucket reports does not exist".to_owned());
        let waiting = Some("CrashLoopBackOff".to_owned());
        assert_eq!(seen(&job(None), &pods), StoreSight::UnderWay { failure: failure.clone(), waiting, made: None });
        assert_eq!(seen(&job(Some("Failed")), &pods), StoreSight::GivenUp { failure });
        assert_eq!(seen(&job(Some("Complete")), &pods), StoreSight::Done);
        assert_eq!(seen(&Value::Null, &pods), StoreSight::Absent);
    }

    #[test]
    fn a_try_that_went_well_is_no_failure_and_a_pod_of_another_job_is_not_looked_at() {
        let mut done = waits("");
        done["containerStatuses"][0]["state"] = json!({"terminated": {"exitCode": 0, "reason": "Completed"}});
        let under_way = StoreSight::UnderWay { failure: None, waiting: None, made: None };
        assert_eq!(seen(&job(None), &[pod("tale-1f0c9-store", "2026-03-01T09:00:00Z", &done)]), under_way);
        let foreign = [pod("tale-1f0c9", "2026-03-01T09:00:00Z", &waits("no copy"))];
        let waiting = Some("no pod yet (kubectl describe job tale-1f0c9-store says why)".to_owned());
        assert_eq!(seen(&job(None), &foreign), StoreSight::UnderWay { failure: None, waiting, made: None });
    }

    #[test]
    fn a_pod_that_no_node_takes_says_why() {
        let why = "persistentvolumeclaim \"reports\" not found";
        let status = json!({"phase": "Pending",
            "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": why}]});
        let waiting = Some(format!("not scheduled: {why}"));
        let sight = seen(&job(None), &[pod("tale-1f0c9-store", "2026-03-01T09:00:00Z", &status)]);
        assert_eq!(sight, StoreSight::UnderWay { failure: None, waiting, made: None });
    }
}

//! Pods, as far as a run is concerned: which of them are its own, and where each of them is.

use std::sync::Arc;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod};
use kube::ResourceExt;
use proofload_api::LoadTest;

use super::PodSight;
use crate::build::job::CONTROL_PORT;
use crate::build::{RUN_LABEL, run_name};

/// Where each runner's pod is, in the order of their segments.
pub(super) fn sights(pods: &[Arc<Pod>], test: &LoadTest, job: Option<&Job>, count: usize) -> Vec<PodSight> {
    let mut sights = vec![PodSight::default(); count];
    for pod in pods.iter().filter(|pod| is_of(pod, test, job)) {
        if let Some(sight) = index_of(pod).and_then(|index| sights.get_mut(index)) {
            *sight = pod_sight(pod);
        }
    }
    let failed = job.and_then(|job| job.status.as_ref()).and_then(|status| status.failed_indexes.as_deref());
    for index in indexes(failed.unwrap_or_default()) {
        if let Some(sight) = sights.get_mut(index).filter(|sight| **sight == PodSight::default()) {
            sight.ended = Some("its pod was deleted".to_owned());
        }
    }
    for sight in sights.iter_mut().filter(|sight| **sight == PodSight::default() && job.is_some()) {
        // A quota or an admission rule keeps the Job's controller from making it, which only events of the Job tell.
        sight.waiting = Some(format!("no pod yet (kubectl describe job {} says why)", run_name(test)));
    }
    if job.is_none() {
        for sight in sights.iter_mut().filter(|sight| **sight == PodSight::default()) {
            sight.ended = Some("its Job was deleted".to_owned());
        }
    }
    sights
}

/// Whether a pod was made by the Job of this run. Labels alone are not believed: anyone who may make a pod, in any
/// namespace, could have it sent the run's token and believed as a runner.
fn is_of(pod: &Pod, test: &LoadTest, job: Option<&Job>) -> bool {
    is_made_by(pod, test, &run_name(test), job)
}

/// Whether a pod was made by this Job of a test.
pub(super) fn is_made_by(pod: &Pod, test: &LoadTest, name: &str, job: Option<&Job>) -> bool {
    let uid = test.metadata.uid.as_ref();
    let is_ours = pod.labels().get(RUN_LABEL) == uid && pod.metadata.namespace == test.metadata.namespace;
    is_ours
        && pod.owner_references().iter().any(|owner| {
            let is_job = owner.controller == Some(true) && owner.kind == "Job" && owner.name == name;
            is_job && job.and_then(|job| job.metadata.uid.as_ref()).is_none_or(|uid| *uid == owner.uid)
        })
}

fn index_of(pod: &Pod) -> Option<usize> {
    pod.labels().get("batch.kubernetes.io/job-completion-index")?.parse().ok()
}

/// A Job's list of indexes, such as `0,3-5`.
fn indexes(text: &str) -> impl Iterator<Item = usize> {
    text.split(',')
        .filter_map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            Some(first.parse::<usize>().ok()?..=last.parse::<usize>().ok()?)
        })
        .flatten()
}

fn pod_sight(pod: &Pod) -> PodSight {
    let Some(status) = &pod.status else { return PodSight::default() };
    let container = container(pod, "runner");
    let phase = status.phase.as_deref().unwrap_or_default();
    if phase == "Failed" || phase == "Succeeded" {
        let said = [status.reason.clone(), status.message.clone()].into_iter().flatten().collect::<Vec<_>>().join(": ");
        let ended = container
            .and_then(termination)
            .unwrap_or_else(|| if said.is_empty() { format!("its pod is {phase}") } else { said.clone() });
        return PodSight { ended: Some(ended), ..PodSight::default() };
    }
    let waiting = unscheduled(pod).or_else(|| Some(format!("{}{}", container.and_then(waiting)?, awaited(pod))));
    let address = status
        .pod_ip
        .as_ref()
        .map(|ip| if ip.contains(':') { format!("[{ip}]:{CONTROL_PORT}") } else { format!("{ip}:{CONTROL_PORT}") });
    PodSight { address, waiting, ended: None }
}

/// What is known of a pod's container.
pub(super) fn container<'a>(pod: &'a Pod, name: &str) -> Option<&'a ContainerStatus> {
    pod.status.as_ref()?.container_statuses.iter().flatten().find(|container| container.name == name)
}

/// Why no node takes a pod, if so.
pub(super) fn unscheduled(pod: &Pod) -> Option<String> {
    let mut conditions = pod.status.as_ref()?.conditions.iter().flatten();
    let found = conditions.find(|c| c.type_ == "PodScheduled" && c.status == "False")?;
    Some(format!("not scheduled: {}", found.message.clone().unwrap_or_default()))
}

/// The `ConfigMap`s and `Secret`s without which a pod's container is not made, beside the plan. That one of them is
/// missing only events of the pod tell.
fn awaited(pod: &Pod) -> String {
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    let sources = volumes.filter_map(|volume| volume.projected.as_ref()?.sources.as_ref()).flatten().skip(1);
    let named = sources.filter_map(|source| {
        let map = source.config_map.as_ref().map(|map| format!("ConfigMap {}", map.name));
        map.or_else(|| source.secret.as_ref().map(|secret| format!("Secret {}", secret.name)))
    });
    let mut named: Vec<String> = named.collect();
    named.sort();
    named.dedup();
    if named.is_empty() { String::new() } else { format!(" (it needs {})", named.join(", ")) }
}

pub(super) fn waiting(container: &ContainerStatus) -> Option<String> {
    let waiting = container.state.as_ref()?.waiting.as_ref()?;
    let reason = waiting.reason.clone().unwrap_or_default();
    Some(match &waiting.message {
        Some(message) => format!("{reason}: {}", message.chars().take(300).collect::<String>()),
        None => reason,
    })
}

fn termination(container: &ContainerStatus) -> Option<String> {
    Some(ending(container.state.as_ref()?.terminated.as_ref()?))
}

/// Why a container ended, by its own words if it could say them.
pub(super) fn ending(ended: &ContainerStateTerminated) -> String {
    let reason = ended.reason.clone().unwrap_or_else(|| "ended".to_owned());
    match ended.message.as_deref().map(last_words).filter(|words| !words.is_empty()) {
        // A runner that could say what is wrong ended by itself.
        Some(words) if reason == "Error" => words,
        Some(words) => format!("{reason}, exit code {}: {words}", ended.exit_code),
        None => format!("{reason}, exit code {}", ended.exit_code),
    }
}

/// What a runner said last, in one line: a problem was on each.
fn last_words(message: &str) -> String {
    /// The longest that is of use in a status, in characters.
    const MOST: usize = 600;
    let lines: Vec<&str> = message.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let words = lines.join("; ");
    if words.chars().count() <= MOST {
        return words;
    }
    words.chars().take(MOST).chain("...".chars()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const UID: &str = "1f0c9e52-6b1d-4c7e-9a3f-5d2c8e7b4a10";

    fn test() -> LoadTest {
        let mut test = LoadTest::new(
            "tale",
            serde_json::from_value(json!({"target": {"baseUrl": "http://t"}, "scenarios": []})).unwrap(),
        );
        (test.metadata.namespace, test.metadata.uid) = (Some("shop".to_owned()), Some(UID.to_owned()));
        test
    }

    fn pod(index: u32) -> Value {
        json!({
            "metadata": {
                "name": format!("tale-1f0c9-{index}-abcde"), "namespace": "shop",
                "labels": {RUN_LABEL: UID, "batch.kubernetes.io/job-completion-index": index.to_string()},
                "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": "tale-1f0c9", "uid": "j", "controller": true}],
            },
            "status": {"phase": "Running", "podIP": format!("10.0.0.{index}")},
        })
    }

    fn seen(pods: &[Value], job: &Value) -> Vec<PodSight> {
        let pods: Vec<Arc<Pod>> =
            pods.iter().map(|pod| Arc::new(serde_json::from_value(pod.clone()).unwrap())).collect();
        let job: Option<Job> = serde_json::from_value(job.clone()).unwrap();
        sights(&pods, &test(), job.as_ref(), 2)
    }

    fn a_job() -> Value {
        json!({"metadata": {"name": "tale-1f0c9", "uid": "j"}})
    }

    #[test]
    fn a_pod_is_seen_where_its_index_says() {
        let mut v6 = pod(0);
        v6["status"]["podIP"] = json!("fd00::7");
        let addresses =
            |pods: &[Value]| seen(pods, &a_job()).into_iter().map(|sight| sight.address).collect::<Vec<_>>();
        assert_eq!(addresses(&[pod(1), v6]), [Some("[fd00::7]:9180".to_owned()), Some("10.0.0.1:9180".to_owned())]);
        assert_eq!(addresses(&[pod(7)]), [None, None]);
    }

    #[test]
    fn a_pod_that_only_claims_to_be_a_runner_is_sent_no_token() {
        let with = |pointer: &str, value: Value| {
            let mut pod = pod(0);
            *pod.pointer_mut(pointer).unwrap() = value;
            pod
        };
        let impostors = [
            with("/metadata/namespace", json!("elsewhere")),
            with("/metadata/ownerReferences", json!([])),
            with("/metadata/ownerReferences/0/uid", json!("another Job")),
            with("/metadata/ownerReferences/0/name", json!("another")),
            with("/metadata/ownerReferences/0/controller", json!(false)),
            with("/metadata/labels", json!({RUN_LABEL: "another", "batch.kubernetes.io/job-completion-index": "0"})),
        ];
        for impostor in impostors {
            let sight = &seen(std::slice::from_ref(&impostor), &a_job())[0];
            assert_eq!((&sight.address, &sight.ended), (&None, &None), "{impostor}");
            assert_eq!(sight.waiting.as_deref(), Some("no pod yet (kubectl describe job tale-1f0c9 says why)"));
        }
    }

    #[test]
    fn a_runner_that_is_gone_says_why() {
        let mut killed = pod(0);
        killed["status"] = json!({"phase": "Failed", "containerStatuses": [{
            "name": "runner", "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
        }]});
        let mut wrong = pod(1);
        wrong["status"] = json!({"phase": "Failed", "containerStatuses": [{
            "name": "runner", "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"terminated": {"exitCode": 1, "reason": "Error", "message": "spec.data.a: no\nspec.data.b: no\n"}},
        }]});
        let said = seen(std::slice::from_ref(&wrong), &a_job())[1].ended.clone().unwrap();
        assert_eq!(said, "spec.data.a: no; spec.data.b: no");
        wrong["status"]["containerStatuses"][0]["state"]["terminated"]["message"] = json!("ß".repeat(4_000));
        let said = seen(&[wrong], &a_job())[1].ended.clone().unwrap();
        assert!(said.len() < 2_000 && said.ends_with("..."), "{said}");
        let mut job = a_job();
        job["status"] = json!({"failedIndexes": "0-1"});
        let why = |pods: &[Value], job: &Value| {
            seen(pods, job).into_iter().map(|sight| sight.ended.unwrap_or_default()).collect::<Vec<_>>()
        };
        assert_eq!(why(&[killed], &job), ["OOMKilled, exit code 137", "its pod was deleted"]);
        let mut evicted = pod(1);
        evicted["status"] = json!({"phase": "Failed", "reason": "Evicted", "message": "The node was low on memory."});
        assert_eq!(why(&[evicted], &Value::Null), ["its Job was deleted", "Evicted: The node was low on memory."]);
    }

    #[test]
    fn a_runner_that_is_awaited_says_what_for() {
        let mut homeless = pod(0);
        homeless["status"] = json!({"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available"}]});
        let mut imageless = pod(1);
        imageless["status"] = json!({"phase": "Pending", "containerStatuses": [{
            "name": "runner", "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}},
        }]});
        let waiting = |pods: &[Value]| -> Vec<String> {
            seen(pods, &a_job()).into_iter().map(|sight| sight.waiting.unwrap()).collect()
        };
        let told = waiting(&[homeless.clone(), imageless.clone()]);
        assert_eq!(told, ["not scheduled: 0/3 nodes are available", "ImagePullBackOff: no such image"]);
        imageless["status"]["containerStatuses"][0]["state"]["waiting"] = json!({"reason": "ContainerCreating"});
        imageless["spec"] = json!({"containers": [], "volumes": [{"name": "plan", "projected": {"sources": [
            {"configMap": {"name": "tale-1f0c9"}}, {"secret": {"name": "logins"}}, {"configMap": {"name": "shop"}}]}}]});
        let told = waiting(&[homeless, imageless]);
        assert_eq!(told[1], "ContainerCreating (it needs ConfigMap shop, Secret logins)");
    }

    #[test]
    fn a_list_of_indexes_is_read_as_the_job_controller_writes_it() {
        assert_eq!(indexes("").collect::<Vec<_>>(), Vec::<usize>::new());
        assert_eq!(indexes("0,3-5,9").collect::<Vec<_>>(), [0, 3, 4, 5, 9]);
    }
}

//! The Job that copies a report to where `results.store` says: one small pod, which alone mounts the credentials.

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::{
    Capabilities, ConfigMapProjection, Container, KeyToPath, PersistentVolumeClaimVolumeSource, PodSecurityContext,
    PodSpec, PodTemplateSpec, ProjectedVolumeSource, ResourceRequirements, SeccompProfile, SecretProjection,
    SecurityContext, Volume, VolumeMount, VolumeProjection,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use proofload_api::history::{S3, Store};
use proofload_api::{LoadTest, Micros};

use super::config_map::REPORT_KEY;
use super::{labels, metadata, report_name, run_name};

/// The pod's only container.
pub(crate) const CONTAINER: &str = "store";
/// How long a copy is tried, from the Job's begin.
pub(crate) const DEADLINE: Micros = Micros::from_secs(3600);
/// More restarts than the kubelet, which waits 5 min between two of them in the end, comes to before the deadline.
const RESTARTS: i32 = 100;
/// Where the report and the credentials are mounted.
const MOUNT: &str = "/etc/proofload";
/// Where a volume is mounted.
const ROOT: &str = "/store";
/// What a Secret may hold for a bucket; the pod says which one is missing.
const KEYS: [&str; 4] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "ca.crt"];

/// The name of the Job.
pub(crate) fn store_name(test: &LoadTest) -> String {
    format!("{}-store", run_name(test))
}

/// Where the report is put, in words: a URL of S3, or `pvc://CLAIM/...`.
pub(crate) fn location(test: &LoadTest, store: &Store) -> String {
    match (&store.s3, &store.volume) {
        (Some(s3), _) => format!("s3://{}/{}", s3.bucket, directory(test, s3.prefix.as_deref())),
        (None, Some(volume)) => format!("pvc://{}/{}", volume.claim, directory(test, volume.path.as_deref())),
        (None, None) => String::new(),
    }
}

/// `PREFIX/NAMESPACE/NAME-xxxxx`: no two runs of a bucket share one.
fn directory(test: &LoadTest, prefix: Option<&str>) -> String {
    let namespace = test.namespace().unwrap_or_default();
    let parts = prefix.unwrap_or_default().split('/').filter(|part| !part.is_empty());
    parts.chain([namespace.as_str(), &run_name(test)]).collect::<Vec<_>>().join("/")
}

/// The Job. It restarts its container again and again, so that what went wrong is in the pod's status meanwhile.
pub(crate) fn job(test: &LoadTest, store: &Store, image: &str) -> Job {
    let mut labels = labels(test);
    // Neither a runner's Service nor its scraping is for it.
    labels.insert("app.kubernetes.io/name".to_owned(), "proofload-store".to_owned());
    let template = ObjectMeta { labels: Some(labels.clone()), ..ObjectMeta::default() };
    Job {
        metadata: ObjectMeta { labels: Some(labels), ..metadata(test, store_name(test)) },
        spec: Some(JobSpec {
            completions: Some(1),
            parallelism: Some(1),
            backoff_limit: Some(RESTARTS),
            // Never two that write at once.
            pod_replacement_policy: Some("Failed".to_owned()),
            active_deadline_seconds: i64::try_from(DEADLINE.0 / 1_000_000).ok(),
            template: PodTemplateSpec { metadata: Some(template), spec: Some(pod(test, store, image)) },
            ..JobSpec::default()
        }),
        status: None,
    }
}

fn pod(test: &LoadTest, store: &Store, image: &str) -> PodSpec {
    let template = &test.spec.runners.template;
    let mut volumes = vec![inputs(test, store.s3.as_ref())];
    volumes.extend(store.volume.as_ref().map(|volume| Volume {
        name: "store".to_owned(),
        persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
            claim_name: volume.claim.clone(),
            read_only: None,
        }),
        ..Volume::default()
    }));
    PodSpec {
        restart_policy: Some("OnFailure".to_owned()),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        termination_grace_period_seconds: Some(5),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(65_532),
            run_as_group: Some(65_532),
            // Whose the files of the volumes are; a volume with many reports is not gone through each time.
            fs_group: Some(65_532),
            fs_group_change_policy: Some("OnRootMismatch".to_owned()),
            seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), ..SeccompProfile::default() }),
            ..PodSecurityContext::default()
        }),
        node_selector: (!template.node_selector.is_empty()).then(|| template.node_selector.clone()),
        tolerations: (!template.tolerations.is_empty()).then(|| template.tolerations.clone()),
        containers: vec![container(test, store, image)],
        volumes: Some(volumes),
        ..PodSpec::default()
    }
}

/// The report, and the Secret's keys. That one of these is missing the pod itself tells: a pod that waits for a Secret
/// tells nobody but its events.
fn inputs(test: &LoadTest, s3: Option<&S3>) -> Volume {
    let key = |key: &str| KeyToPath { key: key.to_owned(), path: key.to_owned(), mode: None };
    let report =
        ConfigMapProjection { name: report_name(test), items: Some(vec![key(REPORT_KEY)]), optional: Some(false) };
    let mut sources = vec![VolumeProjection { config_map: Some(report), ..VolumeProjection::default() }];
    sources.extend(s3.map(|s3| {
        let items = KEYS.map(|name| KeyToPath { path: format!("secret/{name}"), ..key(name) });
        let secret = SecretProjection { name: s3.secret.clone(), items: Some(items.to_vec()), optional: Some(true) };
        VolumeProjection { secret: Some(secret), ..VolumeProjection::default() }
    }));
    Volume {
        name: "inputs".to_owned(),
        projected: Some(ProjectedVolumeSource { default_mode: Some(0o440), sources: Some(sources) }),
        ..Volume::default()
    }
}

fn container(test: &LoadTest, store: &Store, image: &str) -> Container {
    let quantities = [("cpu", "100m"), ("memory", "256Mi")];
    let quantities: BTreeMap<_, _> =
        quantities.into_iter().map(|(key, value)| (key.to_owned(), Quantity(value.to_owned()))).collect();
    let mount = |name: &str, path: &str, read_only| VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only,
        ..VolumeMount::default()
    };
    let mut mounts = vec![mount("inputs", MOUNT, Some(true))];
    mounts.extend(store.volume.as_ref().map(|_| mount("store", ROOT, None)));
    Container {
        name: CONTAINER.to_owned(),
        image: Some(image.to_owned()),
        args: Some(arguments(test, store)),
        resources: Some(ResourceRequirements {
            requests: Some(quantities.clone()),
            limits: Some(quantities),
            ..ResourceRequirements::default()
        }),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), ..Capabilities::default() }),
            ..SecurityContext::default()
        }),
        volume_mounts: Some(mounts),
        ..Container::default()
    }
}

/// Names and values in one argument each, so that no value is taken for a name.
fn arguments(test: &LoadTest, store: &Store) -> Vec<String> {
    // The kubelet would put variables' values in where it finds $(NAME).
    let argument = |name: &str, value: &str| format!("--{name}={}", value.replace('$', "$$"));
    let to = |prefix: &Option<String>| argument("to", &directory(test, prefix.as_deref()));
    let mut all = vec!["store".to_owned(), argument("report", &format!("{MOUNT}/{REPORT_KEY}"))];
    if let Some(s3) = &store.s3 {
        all.extend([to(&s3.prefix), "s3".to_owned(), argument("bucket", &s3.bucket)]);
        all.extend(s3.endpoint.as_deref().map(|endpoint| argument("endpoint", endpoint)));
        all.extend(s3.region.as_deref().map(|region| argument("region", region)));
        all.extend([argument("secret", &s3.secret), argument("credentials", &format!("{MOUNT}/secret"))]);
    } else if let Some(volume) = &store.volume {
        all.extend([to(&volume.path), "volume".to_owned(), argument("root", ROOT)]);
    }
    all
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::build::tests::{assert_golden, made, small};

    const IMAGE: &str = "registry.test/runner:1";

    fn with(store: &Value) -> (LoadTest, Store) {
        let mut value = small();
        value["spec"]["results"] = json!({"store": store});
        let (test, _) = made(&value);
        let store = test.spec.results.store.clone().unwrap();
        (test, store)
    }

    fn to_bucket() -> (LoadTest, Store) {
        with(&json!({"s3": {"bucket": "reports", "prefix": "/soak//nightly/", "secret": "reports-s3",
                           "endpoint": "http://minio.storage.svc:9000", "region": "eu-central-1"}}))
    }

    fn to_volume() -> (LoadTest, Store) {
        with(&json!({"volume": {"claim": "reports"}}))
    }

    #[test]
    fn golden_store_jobs() {
        for (name, (test, store)) in [("store-s3.json", to_bucket()), ("store-volume.json", to_volume())] {
            assert_golden(name, &serde_json::to_value(job(&test, &store, IMAGE)).unwrap());
        }
    }

    #[test]
    fn a_report_is_below_the_prefix_and_no_two_runs_share_a_place() {
        let (test, store) = to_bucket();
        assert_eq!(location(&test, &store), "s3://reports/soak/nightly/shop/checkout-1f0c9");
        let (test, store) = to_volume();
        assert_eq!(location(&test, &store), "pvc://reports/shop/checkout-1f0c9");
    }

    #[test]
    fn the_pod_that_copies_meets_the_restricted_standard_and_has_no_token() {
        for (test, store) in [to_bucket(), to_volume()] {
            let job = job(&test, &store, IMAGE);
            assert_eq!(job.metadata.owner_references.unwrap()[0].uid, test.metadata.uid.unwrap());
            let pod = job.spec.unwrap().template.spec.unwrap();
            assert_eq!((pod.automount_service_account_token, pod.service_account_name), (Some(false), None));
            let context = pod.security_context.unwrap();
            assert_eq!(
                (context.run_as_non_root, context.seccomp_profile.unwrap().type_.as_str()),
                (Some(true), "RuntimeDefault")
            );
            let context = pod.containers[0].security_context.clone().unwrap();
            assert_eq!(context.allow_privilege_escalation, Some(false));
            assert_eq!(context.capabilities.unwrap().drop.unwrap(), ["ALL"]);
            let resources = pod.containers[0].resources.clone().unwrap();
            assert!(resources.requests.is_some() && resources.requests == resources.limits);
        }
    }

    #[test]
    fn names_of_the_job_that_copies_fit_where_kubernetes_puts_them() {
        let mut value = small();
        value["metadata"]["name"] = json!("a".repeat(proofload_api::MAX_NAME));
        // A pod's name is its Job's and five characters; beyond 63 its host name is cut.
        assert!(store_name(&made(&value).0).len() <= 63);
    }
}

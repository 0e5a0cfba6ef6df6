//! The Indexed Job of a run: one pod for each segment, none of which ever comes back.

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, EnvVar, HTTPGetAction, PodSecurityContext, PodSpec, PodTemplateSpec, Probe,
    ResourceRequirements, SeccompProfile, SecurityContext, TopologySpreadConstraint, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use proofload_api::LoadTest;
use proofload_api::loadtest::Runners;
use proofload_plan::{Compiled, Sizing};

use super::{RUN_LABEL, labels, materials, metadata, run_name};

/// The port of a runner's control API, and of its metrics.
pub(crate) const CONTROL_PORT: u16 = 9180;
/// How long a runner that was told to end keeps its final snapshot. Longer than any outage of the operator that a
/// node's drain would wait for.
const TERMINATION_GRACE: i64 = 30;
/// After everything else has ended it, how much longer a run's pods may exist.
const MARGIN: i64 = 60;

/// What a Job needs to know of the operator.
pub(crate) struct Site<'a> {
    /// The runners' image, for tests that name none.
    pub(crate) image: &'a str,
    /// The key that runners believe.
    pub(crate) public_key: &'a str,
}

/// CPU and memory of a runner, as they stand in its pod: the user's where set, else by the cost model.
pub(crate) fn resources(sizing: &Sizing, runners: &Runners) -> (String, String) {
    let cpu = runners.resources.cpu.clone().unwrap_or_else(|| format!("{}m", sizing.cpu_millis));
    let memory = runners.resources.memory.clone().unwrap_or_else(|| format!("{}Mi", sizing.memory >> 20));
    (cpu, memory)
}

/// The Job.
pub(crate) fn job(test: &LoadTest, compiled: &Compiled, site: &Site<'_>) -> Job {
    let runners = &test.spec.runners;
    let count = compiled.sizing.runners.cast_signed();
    let seconds = |time: proofload_api::Micros| i64::try_from(time.0.div_ceil(1_000_000)).unwrap_or(i64::MAX);
    let asking = compiled.plan.server.as_ref().map(proofload_plan::ServerMetrics::longest).unwrap_or_default();
    let deadline = seconds(runners.start_deadline) + seconds(compiled.plan.longest()) + seconds(asking) + MARGIN;
    Job {
        metadata: metadata(test, run_name(test)),
        spec: Some(JobSpec {
            completions: Some(count),
            parallelism: Some(count),
            completion_mode: Some("Indexed".to_owned()),
            // A lost runner neither comes back nor takes the others with it.
            backoff_limit_per_index: Some(0),
            pod_replacement_policy: Some("Failed".to_owned()),
            active_deadline_seconds: Some(deadline),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(labels(test)),
                    annotations: Some(annotations()),
                    ..ObjectMeta::default()
                }),
                spec: Some(pod(test, compiled, site)),
            },
            ..JobSpec::default()
        }),
        status: None,
    }
}

fn annotations() -> BTreeMap<String, String> {
    let port = CONTROL_PORT.to_string();
    let annotations = [
        ("prometheus.io/scrape", "true"),
        ("prometheus.io/port", &port),
        ("prometheus.io/path", "/metrics"),
        // An eviction for the sake of packing would end the run.
        ("cluster-autoscaler.kubernetes.io/safe-to-evict", "false"),
    ];
    annotations.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn pod(test: &LoadTest, compiled: &Compiled, site: &Site<'_>) -> PodSpec {
    let template = &test.spec.runners.template;
    let own_labels = BTreeMap::from([(RUN_LABEL.to_owned(), labels(test)[RUN_LABEL].clone())]);
    PodSpec {
        restart_policy: Some("Never".to_owned()),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        termination_grace_period_seconds: Some(TERMINATION_GRACE),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(65_532),
            run_as_group: Some(65_532),
            // Whose the files of the volume are.
            fs_group: Some(65_532),
            seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), ..SeccompProfile::default() }),
            ..PodSecurityContext::default()
        }),
        node_selector: (!template.node_selector.is_empty()).then(|| template.node_selector.clone()),
        tolerations: (!template.tolerations.is_empty()).then(|| template.tolerations.clone()),
        // Runners on one node would share its network card.
        topology_spread_constraints: Some(vec![TopologySpreadConstraint {
            max_skew: 1,
            topology_key: "kubernetes.io/hostname".to_owned(),
            when_unsatisfiable: "ScheduleAnyway".to_owned(),
            label_selector: Some(LabelSelector { match_labels: Some(own_labels), ..LabelSelector::default() }),
            ..TopologySpreadConstraint::default()
        }]),
        containers: vec![container(test, compiled, site)],
        volumes: Some(vec![materials::volume(test, &compiled.plan)]),
        ..PodSpec::default()
    }
}

fn container(test: &LoadTest, compiled: &Compiled, site: &Site<'_>) -> Container {
    let runners = &test.spec.runners;
    let (cpu, memory) = resources(&compiled.sizing, runners);
    let quantities = BTreeMap::from([("cpu".to_owned(), Quantity(cpu)), ("memory".to_owned(), Quantity(memory))]);
    let variable = |name: &str, value: String| EnvVar { name: name.to_owned(), value: Some(value), value_from: None };
    let mut env = vec![
        variable("PROOFLOAD_RUNNERS", compiled.sizing.runners.to_string()),
        variable("PROOFLOAD_PUBLIC_KEY", site.public_key.to_owned()),
        variable("PROOFLOAD_LISTEN", format!("0.0.0.0:{CONTROL_PORT}")),
        variable("PROOFLOAD_GRACE", (TERMINATION_GRACE - 5).to_string()),
    ];
    // Where a name stands twice the last one counts, and none of these is one of ours.
    env.extend(compiled.plan.env.iter().map(materials::variable));
    let image = if runners.image.is_empty() { site.image } else { &runners.image };
    Container {
        name: "runner".to_owned(),
        image: Some(image.to_owned()),
        env: Some(env),
        ports: Some(vec![ContainerPort {
            name: Some("control".to_owned()),
            container_port: i32::from(CONTROL_PORT),
            ..ContainerPort::default()
        }]),
        resources: Some(ResourceRequirements {
            requests: Some(quantities.clone()),
            limits: Some(quantities),
            ..ResourceRequirements::default()
        }),
        readiness_probe: Some(Probe {
            http_get: Some(HTTPGetAction {
                path: Some("/readyz".to_owned()),
                port: IntOrString::String("control".to_owned()),
                ..HTTPGetAction::default()
            }),
            period_seconds: Some(1),
            ..Probe::default()
        }),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), ..Capabilities::default() }),
            ..SecurityContext::default()
        }),
        volume_mounts: Some(vec![VolumeMount {
            name: materials::VOLUME.to_owned(),
            mount_path: "/etc/proofload".to_owned(),
            read_only: Some(true),
            ..VolumeMount::default()
        }]),
        ..Container::default()
    }
}

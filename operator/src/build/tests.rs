//! The objects of a small test, compared with files that show how they look, and what must hold of their names.
//!
//! A change that is meant is taken over with `UPDATE_GOLDEN=1 cargo test -p proofload-operator golden`.

use proofload_api::LoadTest;
use proofload_api::admission::admit;
use proofload_plan::{Compiled, Plan, compile};
use serde_json::{Value, json};

use super::config_map::{PLAN_KEY, plan, report};
use super::job::{Site, job};
use super::{labels, report_name, run_name};
use crate::decide::run_of;

const SITE: Site<'_> =
    Site { image: "registry.test/runner:1", public_key: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" };

pub(super) fn small() -> Value {
    json!({
        "apiVersion": "proofload.dev/v1alpha1",
        "kind": "LoadTest",
        "metadata": {"name": "checkout", "namespace": "shop", "uid": "1f0c9e52-6b1d-4c7e-9a3f-5d2c8e7b4a10"},
        "spec": {
            "target": {
                "baseUrl": "http://checkout.shop.svc:8080/v1", "timeout": "5s", "headers": {"User-Agent": "golden"},
            },
            "scenarios": [{
                "name": "main",
                "users": {"stages": [{"to": 10, "over": "5s"}, {"hold": "60s"}]},
                "steps": [{"name": "list", "request": {"path": "/carts"}}],
            }],
            "runners": {
                "count": 3,
                "startDeadline": "60s",
                "template": {
                    "nodeSelector": {"pool": "load"},
                    "tolerations": [{"key": "load", "operator": "Exists"}],
                },
            },
        },
    })
}

pub(super) fn made(value: &Value) -> (LoadTest, Compiled) {
    let test = admit(value).unwrap();
    let compiled = compile(&test.spec, &run_of(&test)).unwrap();
    (test, compiled)
}

#[track_caller]
pub(super) fn assert_golden(name: &str, object: &Value) {
    let path = format!("{}/src/build/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    let came = format!("{object:#}\n");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &came).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    assert_eq!(came, expected, "{path} shows another object; UPDATE_GOLDEN=1 takes this one over");
}

#[test]
fn golden_job() {
    let (test, compiled) = made(&small());
    assert_golden("job.json", &serde_json::to_value(job(&test, &compiled, &SITE)).unwrap());
}

#[test]
fn golden_plan() {
    let (test, compiled) = made(&small());
    let map = plan(&test, &compiled.plan);
    let json = &map.data.as_ref().unwrap()[PLAN_KEY];
    // What the runner reads is what the compiler made.
    assert_eq!(serde_json::from_str::<Plan>(json).unwrap(), compiled.plan);
    let mut shown = serde_json::to_value(&map).unwrap();
    shown["data"][PLAN_KEY] = serde_json::from_str(json).unwrap();
    assert_golden("plan.json", &shown);
}

#[test]
fn golden_report() {
    let (test, _) = made(&small());
    assert_golden("report.json", &serde_json::to_value(report(&test, b"gzip".to_vec())).unwrap());
}

#[test]
fn a_pod_meets_the_restricted_standard_and_has_no_token() {
    let (test, compiled) = made(&small());
    let job = job(&test, &compiled, &SITE).spec.unwrap();
    let pod = job.template.spec.unwrap();
    assert_eq!((pod.automount_service_account_token, pod.service_account_name), (Some(false), None));
    assert_eq!((pod.host_network, pod.host_pid, pod.host_ipc), (None, None, None));
    let context = pod.security_context.unwrap();
    assert_eq!(
        (context.run_as_non_root, context.seccomp_profile.unwrap().type_.as_str()),
        (Some(true), "RuntimeDefault")
    );
    for container in pod.containers.iter().chain(pod.init_containers.iter().flatten()) {
        let context = container.security_context.clone().unwrap();
        assert_eq!(context.allow_privilege_escalation, Some(false));
        assert_eq!(context.capabilities.unwrap().drop.unwrap(), ["ALL"]);
        let resources = container.resources.clone().unwrap();
        assert!(resources.requests.is_some() && resources.requests == resources.limits);
    }
    let sources = pod.volumes.iter().flatten().flat_map(|volume| &volume.projected.as_ref().unwrap().sources);
    for source in sources.flatten() {
        assert!(source.service_account_token.is_none(), "no token: {source:?}");
        assert!(source.config_map.is_some() || source.secret.is_some(), "no source of another kind: {source:?}");
    }
}

#[test]
fn a_lost_runner_does_not_come_back_and_the_job_ends_by_itself() {
    let (test, compiled) = made(&small());
    let spec = job(&test, &compiled, &SITE).spec.unwrap();
    assert_eq!((spec.backoff_limit_per_index, spec.backoff_limit, spec.completions), (Some(0), None, Some(3)));
    assert_eq!(spec.template.spec.unwrap().restart_policy.as_deref(), Some("Never"));
    let longest = (test.spec.runners.start_deadline + compiled.plan.longest()).0 / 1_000_000;
    let deadline = spec.active_deadline_seconds.unwrap().cast_unsigned();
    assert!(deadline > longest && deadline <= longest + 120, "{deadline} s for a run of {longest} s");
}

#[test]
fn the_deadline_of_a_soak_is_its_length_and_some_minutes() {
    for (hold, seconds) in [("72h", 72 * 3600), ("29d", 29 * 86_400)] {
        let mut value = small();
        value["spec"]["scenarios"][0]["users"] = json!({"stages": [{"to": 10, "hold": hold}]});
        let (test, compiled) = made(&value);
        let deadline = job(&test, &compiled, &SITE).spec.unwrap().active_deadline_seconds.unwrap();
        assert!((seconds + 60..seconds + 600).contains(&deadline), "{deadline} s for {hold}");
    }
}

#[test]
fn what_the_user_sets_wins_over_what_is_sized() {
    let mut value = small();
    value["spec"]["runners"] = json!({"count": 1, "image": "mine:2", "resources": {"cpu": "2", "memory": "1Gi"}});
    let (test, compiled) = made(&value);
    let pod = job(&test, &compiled, &SITE).spec.unwrap().template.spec.unwrap();
    assert_eq!((pod.node_selector, pod.tolerations), (None, None));
    let container = &pod.containers[0];
    assert_eq!(container.image.as_deref(), Some("mine:2"));
    let limits = container.resources.clone().unwrap().limits.unwrap();
    assert_eq!((limits["cpu"].0.as_str(), limits["memory"].0.as_str()), ("2", "1Gi"));
}

#[test]
fn a_test_that_is_made_again_never_meets_the_objects_of_its_predecessor() {
    let (first, compiled) = made(&small());
    let mut value = small();
    value["metadata"]["uid"] = json!("b7d1e0aa-2f7c-4d5b-8c11-90e3a4f6c2d8");
    let (second, _) = made(&value);
    assert_eq!((run_name(&first), run_name(&second)), ("checkout-1f0c9".to_owned(), "checkout-b7d1e".to_owned()));
    assert_eq!(report_name(&second), "checkout-b7d1e-report");
    assert_ne!(labels(&first)[super::RUN_LABEL], labels(&second)[super::RUN_LABEL]);
    let owners = [&first, &second].map(|test| plan(test, &compiled.plan).metadata.owner_references.unwrap());
    assert!(owners.iter().all(|owners| owners.len() == 1 && owners[0].controller == Some(true)));
    assert_ne!(owners[0][0].uid, owners[1][0].uid);
}

#[test]
fn names_and_labels_fit_where_kubernetes_puts_them() {
    let mut value = small();
    value["metadata"]["name"] = json!("a".repeat(proofload_api::MAX_NAME));
    let (test, _) = made(&value);
    // A pod's host name is its Job's and its index.
    assert!(format!("{}-499", run_name(&test)).len() <= 63);
    for (key, label) in labels(&test) {
        assert!(label.len() <= 63, "{key}: {label}");
    }
}

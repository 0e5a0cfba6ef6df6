//! What requests are made of beside the plan, as the kubelet gives it to the runners: files in the plan's volume, and
//! variables of the environment. The operator names `ConfigMap`s and `Secret`s, and reads none.

use k8s_openapi::api::core::v1::{
    ConfigMapKeySelector, ConfigMapProjection, EnvVar, EnvVarSource, KeyToPath, ProjectedVolumeSource,
    SecretKeySelector, SecretProjection, Volume, VolumeProjection,
};
use kube::ResourceExt;
use proofload_api::data::KeyRef;
use proofload_api::{LoadTest, Problem};
use proofload_plan::{Place, Plan, Source, Variable};

use super::config_map::PLAN_KEY;
use super::run_name;

/// The name of the volume.
pub(crate) const VOLUME: &str = "plan";
/// For the pod's user, by its group (`fsGroup`), and for nobody else: it may hold secrets.
const MODE: i32 = 0o440;

/// What a cluster cannot give to the runners.
pub(crate) fn problems(plan: &Plan) -> Vec<Problem> {
    let all = sources(plan);
    let local = all.filter_map(|(directory, source)| match &source.place {
        Place::File(path) => Some((directory, &source.name, path)),
        Place::ConfigMap(_) | Place::Secret(_) => None,
    });
    let problem = |(directory, name, path): (&str, &String, &String)| {
        Problem::new(format!("spec.{directory}.{name}.file"), "configMap or secret in a cluster", format!("{path:?}"))
            .hint("a cluster knows no file of yours: put it into a ConfigMap or a Secret of the test's namespace")
    };
    local.map(problem).collect()
}

/// What a cluster cannot hold a test against: a file, and itself.
pub(crate) fn baseline_problem(test: &LoadTest) -> Option<Problem> {
    let baseline = test.spec.baseline.as_ref()?;
    if let Some(path) = &baseline.file {
        let problem = Problem::new("spec.baseline.file", "another baseline in a cluster", format!("{path:?}"));
        return Some(problem.hint("a cluster knows no file of yours: put it into a ConfigMap of the test's namespace"));
    }
    let name = baseline.load_test.as_ref().filter(|name| **name == test.name_any())?;
    Some(Problem::new("spec.baseline.loadTest", "another LoadTest than this one", format!("{name:?}")))
}

/// Data sets and files, each with the directory that it is in.
fn sources(plan: &Plan) -> impl Iterator<Item = (&'static str, &Source)> {
    let data = plan.data.iter().map(|set| ("data", &set.source));
    data.chain(plan.files.iter().map(|source| ("files", source)))
}

/// One volume of the plan, all data sets (`data/NAME`) and all files (`files/NAME`). A runner does not start until
/// everything that it names exists.
pub(super) fn volume(test: &LoadTest, plan: &Plan) -> Volume {
    let of_plan = KeyRef { name: run_name(test), key: PLAN_KEY.to_owned() };
    let mut projections = vec![projection(&Place::ConfigMap(of_plan), PLAN_KEY.to_owned())];
    let named =
        |(directory, source): (&str, &Source)| projection(&source.place, format!("{directory}/{}", source.name));
    projections.extend(sources(plan).map(named));
    Volume {
        name: VOLUME.to_owned(),
        projected: Some(ProjectedVolumeSource {
            default_mode: Some(MODE),
            sources: Some(projections.into_iter().flatten().collect()),
        }),
        ..Volume::default()
    }
}

/// A key of an object as a file; none for what no cluster knows, which is a problem of its own.
fn projection(place: &Place, path: String) -> Option<VolumeProjection> {
    let items = |key: &KeyRef| Some(vec![KeyToPath { key: key.key.clone(), path, mode: None }]);
    match place {
        Place::ConfigMap(key) => Some(VolumeProjection {
            config_map: Some(ConfigMapProjection { name: key.name.clone(), items: items(key), optional: Some(false) }),
            ..VolumeProjection::default()
        }),
        Place::Secret(key) => Some(VolumeProjection {
            secret: Some(SecretProjection { name: key.name.clone(), items: items(key), optional: Some(false) }),
            ..VolumeProjection::default()
        }),
        Place::File(_) => None,
    }
}

/// A variable of the environment.
pub(super) fn variable(variable: &Variable) -> EnvVar {
    // The kubelet would put other variables' values in where it finds $(NAME); values are meant as they stand.
    let value = variable.value.as_ref().map(|value| value.replace('$', "$$"));
    let value_from = variable.place.as_ref().and_then(|place| match place {
        Place::ConfigMap(key) => Some(EnvVarSource {
            config_map_key_ref: Some(ConfigMapKeySelector {
                name: key.name.clone(),
                key: key.key.clone(),
                optional: Some(false),
            }),
            ..EnvVarSource::default()
        }),
        Place::Secret(key) => Some(EnvVarSource {
            secret_key_ref: Some(SecretKeySelector {
                name: key.name.clone(),
                key: key.key.clone(),
                optional: Some(false),
            }),
            ..EnvVarSource::default()
        }),
        Place::File(_) => None,
    });
    EnvVar { name: variable.name.clone(), value, value_from }
}

#[cfg(test)]
mod tests {
    use proofload_api::data::{Per, Pick};
    use proofload_plan::{DataSet, Format};
    use serde_json::json;

    use super::*;
    use crate::build::tests::{made, small};

    fn source(name: &str, place: Place) -> Source {
        Source { name: name.to_owned(), place }
    }

    fn key(name: &str, key: &str) -> KeyRef {
        KeyRef { name: name.to_owned(), key: key.to_owned() }
    }

    fn plan() -> (LoadTest, Plan) {
        let (test, mut compiled) = made(&small());
        let set = |source| DataSet {
            source,
            format: Format::Csv,
            pick: Pick::Sequential,
            per: Per::Iteration,
            columns: Vec::new(),
            needs: None,
        };
        compiled.plan.data = vec![
            set(source("accounts", Place::Secret(key("logins", "users.csv")))),
            set(source("items", Place::ConfigMap(key("shop", "items.csv")))),
        ];
        compiled.plan.files = vec![source("invoice", Place::ConfigMap(key("shop", "invoice.pdf")))];
        (test, compiled.plan)
    }

    #[test]
    fn every_source_is_a_file_in_the_plans_volume_and_none_may_be_missing() {
        let (test, plan) = plan();
        let volume = serde_json::to_value(volume(&test, &plan)).unwrap();
        let source = |kind: &str, name: &str, key: &str, path: &str| json!({kind: {"name": name, "items": [{"key": key, "path": path}], "optional": false}});
        let expected = json!({
            "name": "plan",
            "projected": {
                "defaultMode": 0o440,
                "sources": [
                    source("configMap", "checkout-1f0c9", "plan.json", "plan.json"),
                    source("secret", "logins", "users.csv", "data/accounts"),
                    source("configMap", "shop", "items.csv", "data/items"),
                    source("configMap", "shop", "invoice.pdf", "files/invoice"),
                ],
            },
        });
        assert_eq!(volume, expected);
    }

    #[test]
    fn a_variable_is_what_stands_in_the_spec_or_a_reference_that_the_kubelet_follows() {
        let shown = |value: Option<&str>, place| {
            let value = value.map(str::to_owned);
            serde_json::to_value(variable(&Variable { name: "A".to_owned(), value, place })).unwrap()
        };
        assert_eq!(shown(Some("$(PATH) 5$"), None), json!({"name": "A", "value": "$$(PATH) 5$$"}));
        let secret = shown(None, Some(Place::Secret(key("logins", "token"))));
        let reference = json!({"key": "token", "name": "logins", "optional": false});
        assert_eq!(secret, json!({"name": "A", "valueFrom": {"secretKeyRef": reference.clone()}}));
        let open = shown(None, Some(Place::ConfigMap(key("logins", "token"))));
        assert_eq!(open, json!({"name": "A", "valueFrom": {"configMapKeyRef": reference}}));
    }

    #[test]
    fn a_test_is_held_neither_against_a_file_of_a_laptop_nor_against_itself() {
        let (mut test, _) = plan();
        let mut said = |baseline: serde_json::Value| {
            test.spec.baseline = serde_json::from_value(baseline).unwrap();
            baseline_problem(&test).map(|problem| problem.to_string()).unwrap_or_default()
        };
        assert_eq!(said(json!({"loadTest": "checkout-1"})), "");
        assert_eq!(
            said(json!({"loadTest": "checkout"})),
            "spec.baseline.loadTest: expected another LoadTest than this one, got \"checkout\""
        );
        assert!(
            said(json!({"file": "main.json"}))
                .starts_with("spec.baseline.file: expected another baseline in a cluster")
        );
        assert_eq!(said(json!(null)), "");
    }

    #[test]
    fn a_file_of_a_laptop_is_a_problem_with_what_to_do() {
        let (_, mut plan) = plan();
        assert_eq!(problems(&plan), []);
        plan.data[1].source.place = Place::File("items.csv".to_owned());
        plan.files[0].place = Place::File("a/invoice.pdf".to_owned());
        let told: Vec<String> = problems(&plan).iter().map(ToString::to_string).collect();
        let hint = "(a cluster knows no file of yours: put it into a ConfigMap or a Secret of the test's namespace)";
        let expected = [
            format!("spec.data.items.file: expected configMap or secret in a cluster, got \"items.csv\" {hint}"),
            format!("spec.files.invoice.file: expected configMap or secret in a cluster, got \"a/invoice.pdf\" {hint}"),
        ];
        assert_eq!(told, expected);
    }
}

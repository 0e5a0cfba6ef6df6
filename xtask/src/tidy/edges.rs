//! Which crate may depend on what. Data flows one way: `api -> plan -> engine -> results`, and binaries are thin.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::Finding;

/// Each crate of the workspace and the crates of the workspace that it may use.
const EDGES: &[(&str, &[&str])] = &[
    ("proofload-api", &[]),
    ("proofload-plan", &["proofload-api"]),
    ("proofload-results", &["proofload-api", "proofload-plan"]),
    ("proofload-schedule", &["proofload-api"]),
    ("proofload-engine", &["proofload-api", "proofload-plan", "proofload-results"]),
    ("proofload-metrics", &["proofload-results"]),
    ("proofload-conductor", &["proofload-api", "proofload-plan", "proofload-results"]),
    ("proofload-server-metrics", &["proofload-engine", "proofload-results", "proofload-plan", "proofload-api"]),
    (
        "proofload-runner",
        &[
            "proofload-engine",
            "proofload-conductor",
            "proofload-metrics",
            "proofload-server-metrics",
            "proofload-results",
            "proofload-plan",
            "proofload-api",
        ],
    ),
    (
        "proofload-operator",
        &[
            "proofload-conductor",
            "proofload-metrics",
            "proofload-results",
            "proofload-plan",
            "proofload-schedule",
            "proofload-api",
        ],
    ),
    (
        "proofload",
        &[
            "proofload-server-metrics",
            "proofload-engine",
            "proofload-conductor",
            "proofload-results",
            "proofload-plan",
            "proofload-schedule",
            "proofload-api",
            "proofload-target",
        ],
    ),
    ("proofload-target", &[]),
    ("proofload-e2e", &["proofload-api", "proofload-results", "proofload-target"]),
    ("xtask", &[]),
];

/// What tests of any crate may use besides.
const FOR_TESTS: &[&str] = &["proofload-target"];

/// Clients and servers: libraries of `crates/` know no network but the engine's own.
const NEVER_IN_LIBRARIES: &[&str] = &["axum", "reqwest", "hyper-util", "kube-client", "kube-runtime"];

/// Libraries that are there to be a client, for more than one binary, and which.
const CLIENTS: &[(&str, &str)] = &[("proofload-server-metrics", "hyper-util")];

/// Features of `kube` that bring its client along.
const CLIENT_FEATURES: &[&str] = &[
    "client",
    "config",
    "runtime",
    "ws",
    "oauth",
    "oidc",
    "rustls-tls",
    "openssl-tls",
    "aws-lc-rs",
    "ring",
    "unstable-runtime",
];

pub(super) fn check(root: &Path, metadata: &Value) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let packages = metadata["packages"].as_array().context("`cargo metadata` lists packages")?;
    for package in packages {
        findings.extend(Crate::read(root, package)?.check(EDGES));
    }
    Ok(findings)
}

struct Crate<'a> {
    name: &'a str,
    manifest: PathBuf,
    dependencies: Vec<Dependency<'a>>,
}

struct Dependency<'a> {
    name: &'a str,
    for_tests: bool,
    /// A path: a crate of this workspace.
    own: bool,
    default_features: bool,
    features: Vec<&'a str>,
}

impl<'a> Crate<'a> {
    fn read(root: &Path, package: &'a Value) -> Result<Self> {
        let manifest = Path::new(package["manifest_path"].as_str().context("a package has a manifest")?);
        let dependencies = package["dependencies"].as_array().context("a package has dependencies")?;
        Ok(Self {
            name: package["name"].as_str().context("a package has a name")?,
            manifest: manifest.strip_prefix(root).unwrap_or(manifest).to_owned(),
            dependencies: dependencies.iter().map(Dependency::read).collect(),
        })
    }

    fn check(&self, edges: &[(&str, &[&str])]) -> Vec<Finding> {
        let finding = |message| Finding { path: self.manifest.clone(), line: 1, rule: "dependencies", message };
        let Some((_, allowed)) = edges.iter().find(|(name, _)| *name == self.name) else {
            return vec![finding(format!(
                "{} is not in the table of xtask/src/tidy/edges.rs: add what it may use",
                self.name
            ))];
        };
        let library = self.manifest.starts_with("crates");
        let mut messages = Vec::new();
        for dependency in &self.dependencies {
            let name = dependency.name;
            let for_tests = dependency.for_tests && FOR_TESTS.contains(&name);
            if dependency.own && !allowed.contains(&name) && !for_tests {
                messages.push(format!(
                    "{} must not depend on {name}; it may use: {}. Move what is shared to a crate that both may use",
                    self.name,
                    if allowed.is_empty() { "none of our crates".to_owned() } else { allowed.join(", ") }
                ));
            }
            let is_client = CLIENTS.contains(&(self.name, name));
            if library && !dependency.for_tests && !is_client && NEVER_IN_LIBRARIES.contains(&name) {
                messages.push(format!("{name} in a library: clients and servers belong to the binaries"));
            }
            if library && !dependency.for_tests && name == "kube" {
                messages.extend(dependency.client_of_kube());
            }
        }
        messages.into_iter().map(finding).collect()
    }
}

impl<'a> Dependency<'a> {
    fn read(value: &'a Value) -> Self {
        let features = value["features"].as_array().map(Vec::as_slice).unwrap_or_default();
        Self {
            name: value["name"].as_str().unwrap_or_default(),
            for_tests: value["kind"] == "dev",
            own: value["path"].is_string(),
            default_features: value["uses_default_features"] == true,
            features: features.iter().filter_map(Value::as_str).collect(),
        }
    }

    fn client_of_kube(&self) -> Option<String> {
        let client = self.features.iter().find(|feature| CLIENT_FEATURES.contains(feature));
        match (client, self.default_features) {
            (Some(feature), _) => {
                Some(format!("kube's feature `{feature}` in a library: only the operator has a client"))
            }
            (None, true) => Some("kube's default features have its client: set `default-features = false`".to_owned()),
            (None, false) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn messages(name: &str, manifest: &str, dependency: Value) -> Vec<String> {
        let manifest = format!("/repo/{manifest}");
        let dependencies = Value::Array(vec![dependency]);
        let package = json!({"name": name, "manifest_path": manifest, "dependencies": dependencies});
        let metadata = json!({"packages": [package]});
        let findings = check(Path::new("/repo"), &metadata).expect("well-formed");
        findings.into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn a_crate_uses_only_what_the_table_allows() {
        let on = |name: &str, kind: Value| json!({"name": name, "path": "/repo/x", "kind": kind, "features": []});
        let plan = |dependency| messages("proofload-plan", "crates/plan/Cargo.toml", dependency);
        assert_eq!(plan(on("proofload-api", Value::Null)), [] as [&str; 0]);
        assert!(plan(on("proofload-engine", Value::Null))[0].contains("must not depend on proofload-engine"));
        assert_eq!(plan(on("proofload-target", "dev".into())), [] as [&str; 0]);
        assert_eq!(plan(on("proofload-target", Value::Null)).len(), 1);
    }

    #[test]
    fn a_crate_that_the_table_does_not_know_is_refused() {
        let found = messages("newcomer", "newcomer/Cargo.toml", json!({"name": "anyhow"}));
        assert!(found[0].contains("not in the table"));
    }

    #[test]
    fn libraries_have_no_client() {
        let api = |dependency| messages("proofload-api", "crates/api/Cargo.toml", dependency);
        let kube = |default: bool, features: &[&str]| json!({"name": "kube", "uses_default_features": default, "features": features});
        assert_eq!(api(kube(false, &["derive"])), [] as [&str; 0]);
        assert_eq!(api(kube(true, &[])).len(), 1);
        assert!(api(kube(false, &["client"]))[0].contains("`client`"));
        assert_eq!(api(json!({"name": "reqwest", "kind": null})).len(), 1);
        let operator = messages("proofload-operator", "operator/Cargo.toml", kube(true, &["client"]));
        assert_eq!(operator, [] as [&str; 0]);
    }
}

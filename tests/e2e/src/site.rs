//! A namespace of a test's own, with a target that counts what reaches it.

use anyhow::{Context, Result};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Namespace, Pod, Secret, Service};
use kube::api::{DeleteParams, ListParams, LogParams, ObjectList, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use proofload_api::LoadTest;
use proofload_target::{Certificates, Counts};
use serde_json::{Value, json};

use crate::until;

/// A namespace of a test's own.
pub struct Site {
    /// The cluster.
    pub client: Client,
    /// The namespace.
    pub namespace: String,
    target: Option<String>,
    http: reqwest::Client,
}

impl Site {
    /// A new namespace that enforces the restricted standard, with a target in it. What an earlier test of that name
    /// left is removed first.
    pub async fn new(name: &str) -> Result<Self> {
        let mut site = Self::without_target(name).await?;
        site.target = Some(site.start_target("target").await?);
        Ok(site)
    }

    /// A new namespace with nothing in it.
    pub async fn without_target(name: &str) -> Result<Self> {
        let client = Client::try_default().await.context("KUBECONFIG must name the test cluster")?;
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let namespace = format!("e2e-{name}");
        if namespaces.get_opt(&namespace).await?.is_some() {
            namespaces.delete(&namespace, &DeleteParams::background()).await?;
            until("the old namespace to be gone", 90, || async {
                Ok(if namespaces.get_opt(&namespace).await?.is_none() { Ok(()) } else { Err("it is there".to_owned()) })
            })
            .await?;
        }
        let labels = json!({"pod-security.kubernetes.io/enforce": "restricted"});
        let object = serde_json::from_value(json!({"metadata": {"name": namespace, "labels": labels}}))?;
        namespaces.create(&PostParams::default(), &object).await?;
        Ok(Self { client, namespace, target: None, http: reqwest::Client::new() })
    }

    /// Objects of a kind in this namespace.
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// A new namespace with a target that also serves TLS, at port 8443 under [`Site::TLS_NAME`], and wants a certificate
    /// of its clients. Secret `tls` has what they need: `ca.pem`, `client.pem` and `client.key`.
    pub async fn secure(name: &str) -> Result<Self> {
        let mut site = Self::without_target(name).await?;
        let Certificates { ca, certificate, key, client, .. } = Certificates::make(&[Self::TLS_NAME.to_owned()])?;
        let (client, client_key) = client.context("certificates that are made have one for a client")?;
        let texts = json!({"ca.pem": ca, "tls.crt": certificate, "tls.key": key, "client.pem": client,
                           "client.key": client_key});
        let object = json!({"metadata": {"name": "tls"}, "stringData": texts});
        site.api::<Secret>().create(&PostParams::default(), &serde_json::from_value(object)?).await?;
        let tls = [
            "--tls-port=8443",
            "--tls-cert=/tls/tls.crt",
            "--tls-key=/tls/tls.key",
            "--tls-ca=/tls/ca.pem",
            "--tls-require-client",
        ];
        site.target = Some(site.start("target", &tls).await?);
        Ok(site)
    }

    /// The name of a target that serves TLS.
    pub const TLS_NAME: &str = "target.test";

    /// The base URL of a target that serves TLS.
    pub fn secure_url(&self) -> String {
        format!("https://{}:8443", self.target.as_deref().unwrap_or("0.0.0.0"))
    }

    /// Starts a target as a pod of this name, beside others; its address. All of them have the label `app: target`.
    pub async fn start_target(&self, name: &str) -> Result<String> {
        self.start(name, &[]).await
    }

    /// The same with arguments, for which Secret `tls` is there if they are about TLS.
    async fn start(&self, name: &str, arguments: &[&str]) -> Result<String> {
        let image =
            std::env::var("PROOFLOAD_TARGET_IMAGE").context("PROOFLOAD_TARGET_IMAGE names the target's image")?;
        let mut args = vec!["--listen=0.0.0.0:8080", "--admin=0.0.0.0:8081"];
        args.extend(arguments);
        let tls = json!({"name": "tls", "secret": {"secretName": "tls", "optional": true}});
        let pod = json!({
            "metadata": {"name": name, "labels": {"app": "target"}},
            "spec": {
                "restartPolicy": "Never",
                "automountServiceAccountToken": false,
                "terminationGracePeriodSeconds": 1,
                "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [{
                    "name": "target", "image": image,
                    "args": args,
                    "volumeMounts": [{"name": "tls", "mountPath": "/tls", "readOnly": true}],
                    "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8081}, "periodSeconds": 1},
                    "securityContext": {"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                                        "capabilities": {"drop": ["ALL"]}},
                }],
                "volumes": [tls],
            },
        });
        let pods: Api<Pod> = self.api();
        // The service account comes a moment after its namespace.
        let object: Pod = serde_json::from_value(pod)?;
        until("the target's pod to be admitted", 30, || async {
            Ok(pods.create(&PostParams::default(), &object).await.map_err(|error| error.to_string()))
        })
        .await?;
        until("the target to be ready", 60, || async {
            let status = pods.get(name).await?.status.unwrap_or_default();
            let ready = status.conditions.iter().flatten().any(|c| c.type_ == "Ready" && c.status == "True");
            Ok(status.pod_ip.clone().filter(|_| ready).ok_or(format!("it is {:?}", status.container_statuses)))
        })
        .await
    }

    /// The target's base URL, as runners reach it.
    pub fn target_url(&self) -> String {
        format!("http://{}:8080", self.target.as_deref().unwrap_or("0.0.0.0"))
    }

    /// The node that the target is on.
    pub async fn target_node(&self) -> Result<String> {
        let pod = self.api::<Pod>().get("target").await?;
        pod.spec.and_then(|spec| spec.node_name).context("the target is on no node")
    }

    /// What has reached the target so far.
    pub async fn counts(&self) -> Result<Counts> {
        self.counts_at(self.target.as_deref().context("this site has no target")?).await
    }

    /// What has reached the target at this address so far.
    pub async fn counts_at(&self, address: &str) -> Result<Counts> {
        let answer = self.http.get(format!("http://{address}:8081/stats")).send().await?.error_for_status()?;
        Ok(answer.json().await?)
    }

    /// From now on the target answers everything with this status; without one, as the paths ask.
    pub async fn target_answers(&self, status: Option<u16>) -> Result<()> {
        let address = self.target.as_deref().context("this site has no target")?;
        let query = status.map(|status| format!("?status={status}")).unwrap_or_default();
        self.http.post(format!("http://{address}:8081/behave{query}")).send().await?.error_for_status()?;
        Ok(())
    }

    /// A headless Service in front of all targets; its base URL.
    pub async fn headless_service(&self) -> Result<String> {
        let object = json!({"metadata": {"name": "target"},
                            "spec": {"clusterIP": "None", "selector": {"app": "target"}, "ports": [{"port": 8080}]}});
        self.api::<Service>().create(&PostParams::default(), &serde_json::from_value(object)?).await?;
        Ok(format!("http://target.{}.svc:8080", self.namespace))
    }

    /// Makes a `ConfigMap` with one key.
    pub async fn config_map(&self, name: &str, key: &str, text: &str) -> Result<()> {
        let object = json!({"metadata": {"name": name}, "data": {key: text}});
        self.api::<ConfigMap>().create(&PostParams::default(), &serde_json::from_value(object)?).await?;
        Ok(())
    }

    /// Makes a Secret with one key.
    pub async fn secret(&self, name: &str, key: &str, text: &str) -> Result<()> {
        let object = json!({"metadata": {"name": name}, "stringData": {key: text}});
        self.api::<Secret>().create(&PostParams::default(), &serde_json::from_value(object)?).await?;
        Ok(())
    }

    /// What the runners of a test have logged, one text for each that is still there.
    pub async fn logs(&self, test: &str) -> Result<Vec<String>> {
        let pods: Api<Pod> = self.api();
        let mut logs = Vec::new();
        for pod in self.runners(test).await? {
            let name = pod.metadata.name.context("a pod has a name")?;
            logs.push(pods.logs(&name, &LogParams::default()).await?);
        }
        Ok(logs)
    }

    /// Creates a test, or says why the API server refused it.
    pub async fn create(&self, test: &Value) -> Result<LoadTest, kube::Error> {
        let mut test: Value = test.clone();
        test["metadata"]["namespace"] = self.namespace.clone().into();
        let name = test["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let test: kube::core::DynamicObject = serde_json::from_value(test).map_err(kube::Error::SerdeError)?;
        let resource = kube::core::ApiResource::erase::<LoadTest>(&());
        let api: Api<kube::core::DynamicObject> = Api::namespaced_with(self.client.clone(), &self.namespace, &resource);
        // As kubectl does: unknown fields are errors.
        let mut strict = PatchParams::apply("e2e").force();
        strict.field_validation = Some(kube::api::ValidationDirective::Strict);
        api.patch(&name, &strict, &Patch::Apply(&test)).await?;
        self.api::<LoadTest>().get(&name).await
    }

    /// The Jobs of this namespace.
    pub async fn jobs(&self) -> Result<ObjectList<Job>> {
        Ok(self.api().list(&ListParams::default()).await?)
    }

    /// The runner pods of a test.
    pub async fn runners(&self, test: &str) -> Result<Vec<Pod>> {
        let labels = format!("proofload.dev/loadtest={test}");
        Ok(self.api().list(&ListParams::default().labels(&labels)).await?.items)
    }

    /// Everything that the operator could have made here: names of Jobs and `ConfigMap`s.
    pub async fn made(&self) -> Result<Vec<String>> {
        let jobs = self.jobs().await?.items.into_iter().filter_map(|job| job.metadata.name);
        let maps: ObjectList<ConfigMap> = self.api().list(&ListParams::default()).await?;
        let maps = maps.items.into_iter().filter_map(|map| map.metadata.name).filter(|name| name != "kube-root-ca.crt");
        Ok(jobs.chain(maps).collect())
    }

    /// Reasons of the events about an object.
    pub async fn events(&self, name: &str) -> Result<Vec<(String, String)>> {
        let events: ObjectList<Event> = self.api().list(&ListParams::default()).await?;
        let about = events.items.into_iter().filter(|event| event.involved_object.name.as_deref() == Some(name));
        Ok(about.map(|e| (e.reason.unwrap_or_default(), e.message.unwrap_or_default())).collect())
    }

    /// Deletes the namespace; nobody waits for it.
    pub async fn close(self) -> Result<()> {
        let namespaces: Api<Namespace> = Api::all(self.client);
        namespaces.delete(&self.namespace, &DeleteParams::background()).await?;
        Ok(())
    }
}

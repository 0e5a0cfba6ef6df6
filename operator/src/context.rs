//! What every pass shares: the client, the caches, the key, and what is remembered between passes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::reflector::Store;

use crate::memory::Runs;
use crate::metrics::Metrics;
use crate::token::Signer;

/// How the operator is set up.
pub(crate) struct Settings {
    /// The runners' image, for tests that name none.
    pub(crate) runner_image: String,
    /// The Prometheus that is asked for metrics of targets, for tests that name none.
    pub(crate) prometheus_url: Option<String>,
    /// This operator's own pod, for events.
    pub(crate) instance: Option<String>,
}

/// What every pass shares.
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) settings: Settings,
    pub(crate) signer: Signer,
    pub(crate) jobs: Store<Job>,
    pub(crate) pods: Store<Pod>,
    pub(crate) runs: Runs,
    pub(crate) events: Recorder,
    pub(crate) http: reqwest::Client,
    pub(crate) metrics: Arc<Metrics>,
    ready: AtomicBool,
}

impl Context {
    pub(crate) fn new(
        client: Client,
        settings: Settings,
        signer: Signer,
        jobs: Store<Job>,
        pods: Store<Pod>,
        metrics: Arc<Metrics>,
    ) -> anyhow::Result<Self> {
        let reporter = Reporter { controller: "proofload".to_owned(), instance: settings.instance.clone() };
        // Runners are asked every second or so: a connection is kept, and a dead one is not waited for.
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(1))
            .pool_idle_timeout(Duration::from_mins(1))
            .tcp_nodelay(true)
            .redirect(reqwest::redirect::Policy::none())
            // Runners are pods of this cluster: a proxy that the environment names is not on the way, nor may it see a
            // token.
            .no_proxy()
            .build()
            .context("cannot make an HTTP client")?;
        let events = Recorder::new(client.clone(), reporter);
        let runs = Runs::default();
        Ok(Self { client, settings, signer, jobs, pods, runs, events, http, metrics, ready: AtomicBool::new(false) })
    }

    /// The caches are filled.
    pub(crate) fn ready(&self) {
        self.ready.store(true, Ordering::Release);
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }
}

//! The life of a runner: its engine, and when it was last heard of.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use proofload_conductor::control::ServerResponse;
use proofload_engine::Engine;
use proofload_plan::Plan;
use proofload_results::health::strains;
use proofload_results::{EndCause, LevelRecord, Snapshot, StopNote};
use proofload_server_metrics::Asker;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::scrapes::Scrapes;
use crate::target::Target;

/// How often the generator's health is looked at for the log.
const LOOK: Duration = Duration::from_secs(1);

/// The engine and what steers it.
pub(crate) struct Life {
    plan: Arc<Plan>,
    engine: Engine,
    last_contact: Mutex<Instant>,
    acknowledged: watch::Sender<bool>,
    scrapes: Scrapes,
    target: Target,
}

impl Life {
    pub(crate) fn new(plan: Arc<Plan>, engine: Engine, asker: Option<Asker>) -> Self {
        let (last_contact, acknowledged) = (Mutex::new(Instant::now()), watch::Sender::new(false));
        let (scrapes, target) = (Scrapes::default(), Target::new(asker));
        Self { plan, engine, last_contact, acknowledged, scrapes, target }
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The conductor was heard of.
    pub(crate) fn touch(&self) {
        *self.last_contact.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn last_contact(&self) -> Instant {
        *self.last_contact.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) async fn snapshot(&self) -> Snapshot {
        self.engine.snapshot().await
    }

    /// `variables` are what setup extracted: they may be secrets, so of them only the number is logged.
    pub(crate) fn begin(&self, scenarios: &[usize], within: Duration, variables: &[(u32, String)]) {
        info!(?scenarios, within_us = within.as_micros() as u64, variables = variables.len(), "begin");
        self.engine.begin(scenarios, Instant::now() + within, variables);
    }

    pub(crate) fn take_levels(&self, scenario: usize, levels: &[LevelRecord]) {
        let latest = levels.last().map(|record| record.level.to_string());
        info!(scenario, levels = levels.len(), latest, "level");
        self.engine.take_levels(scenario, levels);
    }

    pub(crate) fn stop(&self, cause: EndCause, note: Option<StopNote>) {
        info!(?cause, reason = note.as_ref().map(|note| &note.reason), "stop");
        self.engine.stop(cause, note);
    }

    /// What Prometheus said of the target, as far as it is known; the first question makes it be asked. Refused before
    /// the begin: there is no time to ask about.
    pub(crate) async fn ask_server(&self, window: (u64, u64)) -> Result<ServerResponse, &'static str> {
        let snapshot = self.engine.snapshot().await;
        let began = snapshot.began.ok_or("expected a run that has begun")?;
        let passed = Duration::from_micros(snapshot.clock.saturating_sub(began));
        // The clock on the wall is Prometheus's too; ours of the run is not.
        let began = SystemTime::now().checked_sub(passed).ok_or("expected a clock that is set")?;
        Ok(self.target.ask(began, window))
    }

    /// The final snapshot is stored elsewhere. Refused while there is more to come.
    pub(crate) fn acknowledge(&self) -> bool {
        let ended = self.engine.has_ended();
        if ended {
            self.acknowledged.send_replace(true);
        }
        ended
    }

    /// Returns once the final snapshot was acknowledged.
    async fn acknowledged(&self) {
        // The sender lives as long as `self`, so this cannot fail.
        let _ = self.acknowledged.subscribe().wait_for(|acknowledged| *acknowledged).await;
    }

    /// Who scrapes this runner.
    pub(crate) fn scrapes(&self) -> &Scrapes {
        &self.scrapes
    }

    /// Whether the load has ended, so that no figure changes any more.
    pub(crate) fn has_ended(&self) -> bool {
        self.engine.has_ended()
    }

    /// Returns once nobody needs this runner any more: its final snapshot is stored, and those who scrape it have seen
    /// the final figures too.
    pub(crate) async fn fulfilled(&self) {
        self.acknowledged().await;
        info!("the final snapshot was acknowledged");
        self.scrapes.seen_by_all().await;
    }

    /// Ends the load if nobody is heard of for the heartbeat timeout. Returns once the load has ended, however it did.
    pub(crate) async fn watch_heartbeat(&self) {
        let timeout = Duration::from(self.plan.heartbeat_timeout);
        while !self.engine.has_ended() {
            let deadline = self.last_contact() + timeout;
            if Instant::now() >= deadline {
                warn!(?timeout, "nobody asks for results: ending the load");
                self.engine.stop(EndCause::Abandoned, None);
                self.engine.ended().await;
                return;
            }
            tokio::select! {
                () = self.engine.ended() => return,
                () = tokio::time::sleep_until(deadline.into()) => {}
            }
        }
    }

    /// Logs what the generator has too little of, once for each kind, until the load has ended.
    pub(crate) async fn watch_health(&self) {
        let mut known = BTreeSet::new();
        let mut ticks = tokio::time::interval(LOOK);
        while !self.engine.has_ended() {
            tokio::select! {
                () = self.engine.ended() => {}
                _ = ticks.tick() => {}
            }
            let segment = self.engine.segment();
            for strain in strains(segment.index, &self.engine.health(), segment.count) {
                if known.insert(strain.kind) {
                    warn!(kind = ?strain.kind, "{}", strain.text);
                }
            }
        }
    }

    /// Ends the load since the process must end, and keeps the final snapshot for whoever asks, for so long.
    pub(crate) async fn terminate(&self, grace: Duration) {
        self.stop(EndCause::Terminated, None);
        let _ = tokio::time::timeout(grace, async {
            self.engine.ended().await;
            self.fulfilled().await;
        })
        .await;
    }
}

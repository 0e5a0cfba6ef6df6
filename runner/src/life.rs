//! The life of a runner: its engine, and when it was last heard of.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use proofload_engine::Engine;
use proofload_plan::Plan;
use proofload_results::health::strains;
use proofload_results::{EndCause, LevelRecord, Snapshot, StopNote};
use tokio::sync::watch;
use tracing::{info, warn};

/// How often the generator's health is looked at for the log.
const LOOK: Duration = Duration::from_secs(1);

/// The engine and what steers it.
pub(crate) struct Life {
    plan: Arc<Plan>,
    engine: Engine,
    last_contact: Mutex<Instant>,
    acknowledged: watch::Sender<bool>,
}

impl Life {
    pub(crate) fn new(plan: Arc<Plan>, engine: Engine) -> Self {
        Self { plan, engine, last_contact: Mutex::new(Instant::now()), acknowledged: watch::Sender::new(false) }
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

    /// The final snapshot is stored elsewhere. Refused while there is more to come.
    pub(crate) fn acknowledge(&self) -> bool {
        let ended = self.engine.has_ended();
        if ended {
            self.acknowledged.send_replace(true);
        }
        ended
    }

    /// Returns once the final snapshot was acknowledged.
    pub(crate) async fn acknowledged(&self) {
        // The sender lives as long as `self`, so this cannot fail.
        let _ = self.acknowledged.subscribe().wait_for(|acknowledged| *acknowledged).await;
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
            self.acknowledged().await;
        })
        .await;
    }
}

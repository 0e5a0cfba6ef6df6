//! Runners in this process: one engine for each segment.

use std::sync::Arc;
use std::time::{Duration, Instant};

use proofload_api::Micros;
use proofload_conductor::{Begin, Fleet, RunnerView, Steer};
use proofload_engine::{Engine, EngineError, Materials, Options};
use proofload_plan::{Plan, Segment};
use proofload_results::{EndCause, Snapshot, StopNote};

/// How long after the command all begin together: more than it takes to tell every thread.
const TOGETHER_IN: Duration = Duration::from_millis(10);

/// Runners in this process. Dropping them ends all load at once.
pub(super) struct LocalFleet {
    engines: Vec<Engine>,
    /// The conductor's clock: when it began, and when each runner began its load.
    epoch: Instant,
    began: Vec<Option<Instant>>,
    cpus: usize,
}

impl LocalFleet {
    /// Starts so many runners, which share the CPUs there are and what their requests are made of.
    pub(super) fn launch(plan: &Plan, runners: u32, materials: Materials) -> Result<Self, EngineError> {
        let (plan, materials) = (Arc::new(plan.clone()), Arc::new(materials));
        let cpus = Options::default().threads;
        let options = Options { threads: (cpus / runners as usize).max(1) };
        let engines = Segment::all(runners)
            .map(|segment| Engine::launch(Arc::clone(&plan), segment, options, Arc::clone(&materials)));
        Ok(Self {
            engines: engines.collect::<Result<_, _>>()?,
            epoch: Instant::now(),
            began: vec![None; runners as usize],
            cpus,
        })
    }

    /// How many there are.
    pub(super) fn runners(&self) -> u32 {
        self.engines.len() as u32
    }

    /// Waits until the load of every runner has ended.
    pub(super) async fn ended(&self) {
        for engine in &self.engines {
            engine.ended().await;
        }
    }

    fn corrected(&self, mut snapshot: Snapshot) -> Snapshot {
        snapshot.generator.share_process(self.engines.len() as u64, self.cpus as u64);
        snapshot
    }
}

impl Fleet for LocalFleet {
    async fn observe(&mut self) -> Vec<RunnerView> {
        let mut views = Vec::with_capacity(self.engines.len());
        for (engine, began) in self.engines.iter().zip(&self.began) {
            let snapshot = Box::new(self.corrected(engine.snapshot().await));
            let began_at = began.map(|began| Micros::from(began.saturating_duration_since(self.epoch)));
            views.push(RunnerView::Present { snapshot, began_at });
        }
        views
    }

    async fn begin(&mut self, begin: &Begin) {
        let at = Instant::now() + if begin.together { TOGETHER_IN } else { Duration::ZERO };
        for index in begin.runners.iter().map(|index| *index as usize) {
            self.engines[index].begin(&begin.scenarios, at, &begin.variables);
            self.began[index].get_or_insert(at);
        }
    }

    async fn steer(&mut self, steer: &Steer) {
        for index in &steer.runners {
            self.engines[*index as usize].take_levels(steer.scenario, &steer.levels);
        }
    }

    async fn stop(&mut self, runners: &[u32], note: &StopNote) {
        for index in runners {
            self.engines[*index as usize].stop(EndCause::Stopped, Some(note.clone()));
        }
    }
}

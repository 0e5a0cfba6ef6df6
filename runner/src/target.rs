//! What the target says of itself: asked once, in the background, while the conductor looks again and again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use proofload_conductor::control::ServerResponse;
use proofload_server_metrics::Asker;
use tracing::info;

/// Asks Prometheus, where this runner is the one that does.
pub(crate) struct Target {
    asker: Option<Arc<Asker>>,
    state: Arc<Mutex<Option<ServerResponse>>>,
}

impl Target {
    pub(crate) fn new(asker: Option<Asker>) -> Self {
        Self { asker: asker.map(Arc::new), state: Arc::default() }
    }

    /// What is known so far. The first time it begins to ask about a window of the run, in microseconds from its begin.
    pub(crate) fn ask(&self, began: SystemTime, window: (u64, u64)) -> ServerResponse {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*state {
            return known.clone();
        }
        // Whoever asks a runner that has nobody to ask is told at once that there is nothing.
        let Some(asker) = self.asker.clone() else { return ServerResponse::Answers(Vec::new()) };
        *state = Some(ServerResponse::Waiting);
        let (from, to) = window;
        info!(from, to, "asking Prometheus");
        let answered = Arc::clone(&self.state);
        tokio::spawn(async move {
            let answers = asker.ask(began, window).await;
            let failed = answers.iter().filter(|answer| answer.error.is_some()).count();
            info!(answers = answers.len(), failed, "Prometheus was asked");
            *answered.lock().unwrap_or_else(PoisonError::into_inner) = Some(ServerResponse::Answers(answers));
        });
        ServerResponse::Waiting
    }
}

//! What a conductor drives, and one pass of it.

use std::future::Future;

use proofload_api::Micros;
use proofload_results::{Snapshot, StopNote};

use crate::decide::{Action, Begin, Conditions, Decision, Steer, decide};

/// What a conductor sees of one runner.
#[derive(Debug, Clone, PartialEq)]
pub enum RunnerView {
    /// Not there yet.
    Pending {
        /// What it is waiting for, in words, where that is known: the kubelet's reason, the scheduler's message.
        reason: Option<String>,
    },
    /// It answers.
    Present {
        /// What it says.
        snapshot: Box<Snapshot>,
        /// When it began, by the conductor's clock; none where that cannot be told (yet).
        began_at: Option<Micros>,
    },
    /// It answered once, and has not for some time; it may come back.
    Silent {
        /// For how long.
        lasting: Micros,
    },
    /// It will not come back.
    Gone {
        /// Why, in words.
        reason: String,
    },
}

/// Runners that execute the segments of one plan: threads of this process, or pods.
///
/// Commands are not acknowledged here: whether one had an effect is seen by observing, and one that had none is given
/// again by the next pass. So each of them must be idempotent.
pub trait Fleet {
    /// Looks at every runner, in the order of their segments.
    fn observe(&mut self) -> impl Future<Output = Vec<RunnerView>> + Send;

    /// Begins scenarios on some runners, as nearly at the same time as can be.
    fn begin(&mut self, begin: &Begin) -> impl Future<Output = ()> + Send;

    /// Has some runners take up levels of load.
    fn steer(&mut self, steer: &Steer) -> impl Future<Output = ()> + Send;

    /// Ends the load of some runners, but for a teardown; `note` says why, and is what they answer from then on.
    fn stop(&mut self, runners: &[u32], note: &StopNote) -> impl Future<Output = ()> + Send;
}

/// One pass: observe, decide, act. Returns what was seen and what was decided.
pub async fn pass<F: Fleet>(fleet: &mut F, conditions: &Conditions<'_>) -> (Vec<RunnerView>, Decision) {
    let runners = fleet.observe().await;
    let decision = decide(&runners, conditions);
    match &decision.action {
        Action::Begin(begins) => {
            for begin in begins {
                fleet.begin(begin).await;
            }
        }
        Action::Steer(steers) => {
            for steer in steers {
                fleet.steer(steer).await;
            }
        }
        Action::Stop { runners, note } => fleet.stop(runners, note).await,
        Action::Wait | Action::GiveUp { .. } | Action::Finish(_) => {}
    }
    (runners, decision)
}

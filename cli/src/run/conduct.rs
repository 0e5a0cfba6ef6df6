//! Drives the conductor over the local fleet until the run is over.

use std::time::{Duration, Instant, SystemTime};

use proofload_api::Micros;
use proofload_api::loadtest::Runners;
use proofload_conductor::{Action, Conditions, RunnerView, pass};
use proofload_plan::Plan;
use proofload_results::{Circumstances, SnapshotSet};
use tokio::sync::watch;
use tokio::time::sleep;

use super::fleet::LocalFleet;
use super::progress::Progress;

/// How often the conductor looks at the runners: the longest that a handover between scenarios takes.
const PASS: Duration = Duration::from_millis(200);
/// Between the moment a runner says that it has ended and the look that sees it.
const SETTLE: Duration = Duration::from_millis(5);

/// What is known of a run that is over.
pub(super) struct Conducted {
    /// What the runners measured.
    pub(super) snapshots: SnapshotSet,
    /// What happened to the run.
    pub(super) circumstances: Circumstances,
    /// When its load began; none if it never did.
    pub(super) began: Option<SystemTime>,
}

/// Executes a plan to its end. `stop` says why it is to end earlier.
pub(super) async fn conduct(
    fleet: &mut LocalFleet,
    plan: &Plan,
    runners: &Runners,
    stop: &mut watch::Receiver<Option<&'static str>>,
    progress: &mut Progress,
) -> Conducted {
    let start = Instant::now();
    let mut snapshots = SnapshotSet::new(plan, fleet.runners());
    let mut circumstances = Circumstances::default();
    let mut began = None;
    loop {
        let conditions = Conditions {
            plan,
            // An engine of this process always tells.
            begun: false,
            waited: start.elapsed().into(),
            start_deadline: runners.start_deadline,
            // An engine of this process always answers.
            lost_after: Micros(u64::MAX),
            on_lost: runners.on_lost,
            stop: stop.borrow_and_update().map(str::to_owned),
        };
        let (views, decision) = pass(fleet, &conditions).await;
        circumstances.skew = skew(&views);
        take_in(views, &mut snapshots, &mut began);
        match decision.action {
            Action::Finish(ending) => {
                circumstances.stopped = ending.stopped;
                circumstances.lost = ending.lost;
                break;
            }
            Action::GiveUp { reason, wanted: true } => {
                circumstances.stopped = Some(reason);
                break;
            }
            Action::GiveUp { reason, wanted: false } => {
                circumstances.error = Some(reason);
                break;
            }
            // What began or stopped just now is seen by the next look.
            Action::Wait | Action::Begin(_) | Action::Stop { .. } => {}
        }
        progress.show(&snapshots);
        tokio::select! {
            () = sleep(PASS) => {}
            () = async { fleet.ended().await; sleep(SETTLE).await } => {}
            // Once somebody wants the run to end, only the passes count.
            Ok(()) = stop.changed() => {}
        }
    }
    progress.show(&snapshots);
    Conducted { snapshots, circumstances, began }
}

fn take_in(views: Vec<RunnerView>, snapshots: &mut SnapshotSet, began: &mut Option<SystemTime>) {
    for view in views {
        let RunnerView::Present { snapshot, .. } = view else { continue };
        if let (None, Some(at)) = (&began, snapshot.began) {
            let passed = Duration::from_micros(snapshot.clock.saturating_sub(at));
            *began = SystemTime::now().checked_sub(passed);
        }
        let taken = snapshots.insert(*snapshot);
        debug_assert!(taken.is_ok(), "the fleet was launched with this plan: {taken:?}");
    }
}

/// How far apart the runners began.
fn skew(views: &[RunnerView]) -> Micros {
    let began = || {
        views.iter().filter_map(|view| match view {
            RunnerView::Present { began_at, .. } => *began_at,
            _ => None,
        })
    };
    began().max().unwrap_or_default().saturating_sub(began().min().unwrap_or_default())
}

//! Drives the conductor over the local fleet until the run is over.

use std::pin::pin;
use std::time::{Duration, Instant, SystemTime};

use anyhow::ensure;
use proofload_api::Micros;
use proofload_api::loadtest::Scale;
use proofload_conductor::{Action, Conditions, RunnerView, pass};
use proofload_plan::{Compiled, Level, Plan, level_of};
use proofload_results::{Circumstances, SnapshotSet, StopNote, Windows};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use crate::file::Loaded;
use crate::scale::Wanted;
use crate::scale::local::{Request, Socket};

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

/// What people want of a run while it is under way.
pub(super) struct Wishes<'a> {
    /// Why it is to end before its plan does.
    pub(super) stop: &'a mut watch::Receiver<Option<&'static str>>,
    /// Other loads than planned.
    pub(super) scale: Vec<Scale>,
}

/// Executes a plan to its end. `socket` is where other loads are asked for.
pub(super) async fn conduct(
    fleet: &mut LocalFleet,
    loaded: &Loaded,
    mut wishes: Wishes<'_>,
    socket: Option<&Socket>,
    progress: &mut Progress,
) -> Conducted {
    let (plan, runners) = (&loaded.compiled.plan, &loaded.test.spec.runners);
    let start = Instant::now();
    let mut snapshots = SnapshotSet::new(plan, fleet.runners());
    let mut circumstances = Circumstances::default();
    let mut began = None;
    let mut abort = Abort::new(&loaded.compiled);
    let (sender, mut requests) = mpsc::channel(1);
    let mut serving = pin!(serve(socket, sender));
    loop {
        let scale = levels(plan, &wishes.scale);
        let conditions = Conditions {
            plan,
            // An engine of this process always tells.
            begun: false,
            waited: start.elapsed().into(),
            start_deadline: runners.start_deadline,
            // An engine of this process always answers.
            lost_after: Micros(u64::MAX),
            on_lost: runners.on_lost,
            stop: abort.note.clone().or_else(|| wishes.stop()),
            scale: &scale,
            figures: &snapshots,
        };
        let (views, decision) = pass(fleet, &conditions).await;
        circumstances.skew = skew(&views);
        take_in(views, &mut snapshots, &mut began);
        abort.look(&snapshots);
        match decision.action {
            Action::Finish(ending) => {
                circumstances.aborted = ending.stopped.as_ref().and_then(|note| note.aborted);
                circumstances.stopped = ending.stopped.map(|note| note.reason);
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
            Action::Wait | Action::Begin(_) | Action::Steer(_) | Action::Stop { .. } => {}
        }
        progress.show(&snapshots);
        tokio::select! {
            () = sleep(PASS) => {}
            () = async { fleet.ended().await; sleep(SETTLE).await } => {}
            // Once somebody wants the run to end, only the passes count.
            Ok(()) = wishes.stop.changed() => {}
            Some((wanted, reply)) = requests.recv() => {
                // Whoever asked may have gone.
                let _ = reply.send(wishes.take_up(plan, &wanted, &snapshots));
            }
            () = &mut serving => {}
        }
    }
    progress.show(&snapshots);
    Conducted { snapshots, circumstances, began }
}

/// Passes on what arrives at the socket. Never returns: without a socket nothing arrives.
async fn serve(socket: Option<&Socket>, requests: mpsc::Sender<Request>) {
    if let Some(socket) = socket {
        socket.serve(requests).await;
    }
    std::future::pending::<()>().await;
}

impl Wishes<'_> {
    fn stop(&mut self) -> Option<StopNote> {
        self.stop.borrow_and_update().map(|reason| StopNote { reason: reason.to_owned(), aborted: None })
    }

    /// Takes up another load, and says from what to what.
    fn take_up(&mut self, plan: &Plan, wanted: &Wanted, snapshots: &SnapshotSet) -> anyhow::Result<String> {
        let change = wanted.apply(plan, &self.scale)?;
        let progress = || snapshots.iter().filter_map(|snapshot| snapshot.scenarios.get(change.scenario));
        let name = &plan.scenarios[change.scenario].name;
        ensure!(progress().next().is_none() || progress().any(|one| one.ended.is_none()), "scenario {name} has ended");
        self.scale = change.scale;
        Ok(change.said)
    }
}

/// The changes as levels. What is not valid was said to be so before.
fn levels(plan: &Plan, scale: &[Scale]) -> Vec<(usize, Level)> {
    scale.iter().enumerate().filter_map(|(index, scale)| level_of(scale, index, plan).ok()).collect()
}

/// The windows of criteria that end the run.
struct Abort<'a> {
    compiled: &'a Compiled,
    windows: Windows,
    /// Between two looks, and when the next one is.
    every: Duration,
    next: Instant,
    /// Why the run is to end, once it is.
    note: Option<StopNote>,
}

impl<'a> Abort<'a> {
    fn new(compiled: &'a Compiled) -> Self {
        let windows = compiled.criteria.iter().filter_map(|criterion| criterion.abort);
        let shortest = windows.map(|abort| Duration::from(abort.window)).min().unwrap_or_default();
        let every = (shortest / 8).min(Duration::from_secs(1));
        Self { compiled, windows: Windows::new(&compiled.criteria), every, next: Instant::now(), note: None }
    }

    fn look(&mut self, snapshots: &SnapshotSet) {
        let now = Instant::now();
        if self.note.is_none() && !self.windows.is_empty() && now >= self.next {
            self.next = now + self.every;
            self.note = self.windows.look(&self.compiled.plan, &self.compiled.criteria, snapshots);
        }
    }
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

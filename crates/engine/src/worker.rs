//! One thread: its users, and the commands that it obeys.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use proofload_api::units::Micros;
use proofload_plan::{Connections, Load, Segment};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::spawn_local;

use crate::collector::Report;
use crate::connections::Pool;
use crate::dial::Dialer;
use crate::exchange::Scratch;
use crate::health::Health;
use crate::pacer::Pacer;
use crate::recorder::Recorder;
use crate::script::Script;
use crate::user;

/// After so many users that begin at once, those are let to work before more begin.
const BATCH: usize = 64;

/// What a thread is told.
#[derive(Debug, Clone)]
pub(crate) enum Command {
    /// Begin these scenarios at `at`; the run began or begins at `run`.
    Begin { scenarios: Vec<usize>, at: Instant, run: Instant },
    /// End all load.
    Stop,
    /// Hand over what was measured; the report carries the ticket.
    Report { ticket: u64 },
}

/// Which thread of which segment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Share {
    pub(crate) segment: Segment,
    pub(crate) thread: usize,
    pub(crate) threads: usize,
}

/// What all threads of an engine share.
pub(crate) struct Common {
    pub(crate) script: Arc<Script>,
    pub(crate) health: Health,
    /// Threads that have not ended.
    pub(crate) at_work: AtomicUsize,
    pub(crate) ended: watch::Sender<bool>,
    pub(crate) reports: mpsc::UnboundedSender<Report>,
}

/// What the tasks of one thread share.
pub(crate) struct Worker {
    pub(crate) script: Arc<Script>,
    pub(crate) pacer: Pacer,
    pub(crate) recorder: RefCell<Recorder>,
    pub(crate) scratch: Scratch,
    pub(crate) dialer: Dialer,
    /// Connections that all users of this thread share, if they do.
    pub(crate) pool: Option<Pool>,
    /// Else: how many each user has of its own.
    pub(crate) own_connections: u32,
    common: Arc<Common>,
    share: Share,
    /// Scenarios that have not ended.
    scenarios_left: Cell<usize>,
    /// Those of them that have begun.
    playing: Cell<usize>,
    has_ended: Cell<bool>,
    /// Whether it ended because its share was done.
    is_complete: Cell<bool>,
}

/// Obeys commands until nobody can give any more. Says once whether the thread has what it needs.
pub(crate) fn run(
    common: Arc<Common>,
    share: Share,
    mut commands: mpsc::UnboundedReceiver<Command>,
    ready: &std::sync::mpsc::Sender<io::Result<()>>,
) {
    let built = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        // Only for looking names up, of which one at a time is under way.
        .max_blocking_threads(2)
        .thread_name("lookup")
        .build_local(tokio::runtime::LocalOptions::default());
    let runtime = match built {
        Ok(runtime) => runtime,
        Err(error) => return drop(ready.send(Err(error))),
    };
    runtime.block_on(async {
        let worker = match Worker::new(common, share) {
            Ok(worker) => Rc::new(worker),
            Err(error) => return drop(ready.send(Err(error))),
        };
        let mut rosters: Vec<_> = worker.rosters();
        let _ = ready.send(Ok(()));
        let pacing = Rc::clone(&worker);
        spawn_local(async move { pacing.pacer.run().await });
        while let Some(command) = commands.recv().await {
            match command {
                Command::Begin { scenarios, at, run } => {
                    worker.recorder.borrow_mut().begin(run);
                    for scenario in scenarios {
                        worker.playing.set(worker.playing.get() + 1);
                        let roster = std::mem::take(&mut rosters[scenario]);
                        spawn_local(play(Rc::clone(&worker), scenario, at, roster));
                    }
                }
                Command::Stop => worker.stop(),
                Command::Report { ticket } => worker.report(ticket),
            }
        }
    });
    // Dropping the runtime drops every user and closes every connection.
}

impl Worker {
    fn new(common: Arc<Common>, share: Share) -> io::Result<Self> {
        let script = Arc::clone(&common.script);
        let (pool, own_connections) = match script.plan.target.connections {
            Connections::PerUser(each) => (None, each),
            Connections::Shared(all) => {
                let mine = Segment::new(share.thread as u32, share.threads as u32).share(share.segment.share(all));
                (Some(Pool::new(mine)), 0)
            }
        };
        Ok(Self {
            pacer: Pacer::new(script.timeout)?,
            recorder: RefCell::new(Recorder::new(Arc::clone(&script))),
            scratch: Scratch::new(),
            dialer: Dialer::new(script.peer.clone()),
            pool,
            own_connections,
            share,
            scenarios_left: Cell::new(script.tracks.len()),
            playing: Cell::new(0),
            has_ended: Cell::new(false),
            is_complete: Cell::new(false),
            script,
            common,
        })
    }

    fn rosters(&self) -> Vec<Vec<(Micros, u32)>> {
        let Share { segment, thread, threads } = self.share;
        self.script.tracks.iter().map(|track| track.roster(segment, thread, threads)).collect()
    }

    fn stop(self: &Rc<Self>) {
        if self.has_ended.get() || self.pacer.is_stopped() {
            return;
        }
        self.pacer.stop(Instant::now());
        if self.playing.get() == 0 {
            self.end();
        }
    }

    /// A scenario's last user on this thread is done.
    fn scenario_ended(&self, scenario: usize) {
        self.recorder.borrow_mut().progress[scenario].ended = Some(Instant::now());
        self.playing.set(self.playing.get() - 1);
        self.scenarios_left.set(self.scenarios_left.get() - 1);
        if self.pacer.is_stopped() {
            if self.playing.get() == 0 {
                self.end();
            }
        } else if self.scenarios_left.get() == 0 {
            self.is_complete.set(true);
            self.end();
        }
    }

    fn end(&self) {
        self.has_ended.set(true);
        if let Some(pool) = &self.pool {
            pool.close();
        }
        if self.common.at_work.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.common.health.freeze();
            self.common.ended.send_replace(true);
        }
    }

    fn report(&self, ticket: u64) {
        let report = Report {
            thread: self.share.thread,
            ticket,
            has_ended: self.has_ended.get(),
            is_complete: self.is_complete.get(),
            delta: self.recorder.borrow_mut().take(Instant::now()),
        };
        // With the engine gone there is nobody left to tell.
        let _ = self.common.reports.send(report);
    }
}

/// Plays a scenario: its users come when they are first at work, and it ends when the last has left.
async fn play(worker: Rc<Worker>, scenario: usize, begin: Instant, roster: Vec<(Micros, u32)>) {
    let crowd = Rc::new(Crowd::default());
    let place = worker.pacer.place();
    for (i, (from, number)) in roster.into_iter().enumerate() {
        if i % BATCH == BATCH - 1 {
            tokio::task::yield_now().await;
        }
        if !place.sleep_until(begin + Duration::from(from)).await {
            break;
        }
        let member = Member::join(&crowd);
        let life = user::live(Rc::clone(&worker), scenario, begin, number);
        spawn_local(async move {
            life.await;
            drop(member);
        });
    }
    // The curve may go on with nobody of this thread in it.
    if let Load::Users(curve) = &worker.script.tracks[scenario].load {
        place.sleep_until(begin + Duration::from(curve.duration())).await;
    }
    while crowd.members.get() > 0 {
        crowd.changed.notified().await;
    }
    worker.scenario_ended(scenario);
}

/// Users of a scenario whose lives are not over.
#[derive(Default)]
struct Crowd {
    members: Cell<usize>,
    changed: Notify,
}

/// One of a crowd; leaves it when dropped, however its life ended.
struct Member(Rc<Crowd>);

impl Member {
    fn join(crowd: &Rc<Crowd>) -> Self {
        crowd.members.set(crowd.members.get() + 1);
        Self(Rc::clone(crowd))
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.0.members.set(self.0.members.get() - 1);
        if self.0.members.get() == 0 {
            self.0.changed.notify_one();
        }
    }
}

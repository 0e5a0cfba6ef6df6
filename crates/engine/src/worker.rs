//! One thread: its users, and the commands that it obeys.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use proofload_plan::{Connections, Load, Segment};
use tokio::sync::{mpsc, watch};
use tokio::task::spawn_local;

use crate::collector::Report;
use crate::connections::Pool;
use crate::crowd;
use crate::dial::{Dialer, Manner, Whereabouts};
use crate::exchange::Scratch;
use crate::health::Health;
use crate::pacer::Pacer;
use crate::recorder::Recorder;
use crate::scene::{Change, Scene};
use crate::script::Script;

/// What a thread is told. It may hold secrets, so that it cannot be printed.
#[derive(Clone)]
pub(crate) enum Command {
    /// Begin scenarios.
    Begin {
        /// Which, and when each of them begins.
        scenarios: Vec<(usize, Instant)>,
        /// The run's begin.
        run: Instant,
        /// What setup extracted, by index of the plan's variables.
        variables: Arc<[(u32, String)]>,
    },
    /// The load of a scenario changes.
    Change { scenario: usize, changes: Vec<Change> },
    /// End all load; with `waits`, only until the begin of the teardown.
    Stop { waits: bool },
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

impl Share {
    /// This share's user `place`, by its number in the whole plan.
    pub(crate) fn user(self, place: u32) -> u32 {
        let of_segment = u64::from(place) * self.threads as u64 + self.thread as u64;
        let number = of_segment * u64::from(self.segment.count) + u64::from(self.segment.index);
        u32::try_from(number).unwrap_or(u32::MAX)
    }

    /// Its place among all threads of all runners.
    fn place(self) -> usize {
        self.segment.index as usize + self.segment.count as usize * self.thread
    }

    /// How many of a plan's users are of this share.
    pub(crate) fn users(self, total: u32) -> u32 {
        Segment::new(self.thread as u32, self.threads as u32).share(self.segment.share(total))
    }

    /// The first arrival of this share, and how many further its next one always is.
    pub(crate) fn arrivals(self) -> (u64, u64) {
        let count = u64::from(self.segment.count);
        (self.place() as u64, count * self.threads as u64)
    }
}

/// What all threads of an engine share.
pub(crate) struct Common {
    pub(crate) script: Arc<Script>,
    pub(crate) whereabouts: Whereabouts,
    pub(crate) health: Arc<Health>,
    /// Threads that have not ended.
    pub(crate) at_work: AtomicUsize,
    pub(crate) ended: watch::Sender<bool>,
    pub(crate) reports: mpsc::UnboundedSender<Report>,
}

/// What the tasks of one thread share.
pub(crate) struct Worker {
    pub(crate) script: Arc<Script>,
    /// What setup extracted, by index of the plan's variables: known to every user from its begin on.
    pub(crate) variables: RefCell<Arc<[(u32, String)]>>,
    /// What setup's user, if it is one of this thread, has extracted at the end of its iteration.
    pub(crate) extracted: RefCell<Vec<(u32, String)>>,
    pub(crate) pacer: Pacer,
    pub(crate) recorder: RefCell<Recorder>,
    pub(crate) scratch: Scratch,
    pub(crate) dialer: Dialer,
    /// Connections that all users of this thread share, if they do.
    pub(crate) pool: Option<Pool>,
    /// Else: how many each user has of its own.
    pub(crate) own_connections: u32,
    /// What is known of each scenario.
    pub(crate) scenes: Vec<Scene>,
    pub(crate) share: Share,
    common: Arc<Common>,
    /// Scenarios that have not ended.
    scenarios_left: Cell<usize>,
    /// Those of them that have begun.
    playing: Cell<usize>,
    /// The load was stopped, but for a teardown that is to come.
    waits: Cell<bool>,
    was_stopped: Cell<bool>,
    /// Scenarios that begin once all load has ended that was stopped.
    queue: RefCell<Vec<usize>>,
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
    let built =
        tokio::runtime::Builder::new_current_thread().enable_io().build_local(tokio::runtime::LocalOptions::default());
    let runtime = match built {
        Ok(runtime) => runtime,
        Err(error) => return drop(ready.send(Err(error))),
    };
    runtime.block_on(async {
        let worker = match Worker::new(common, share) {
            Ok(worker) => Rc::new(worker),
            Err(error) => return drop(ready.send(Err(error))),
        };
        let _ = ready.send(Ok(()));
        let pacing = Rc::clone(&worker);
        spawn_local(async move { pacing.pacer.run().await });
        while let Some(command) = commands.recv().await {
            match command {
                Command::Begin { scenarios, run, variables } => worker.begin(&scenarios, run, variables),
                Command::Change { scenario, changes } => {
                    worker.scenes[scenario].change(changes);
                    worker.pacer.nudge();
                }
                Command::Stop { waits } => worker.stop(waits),
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
            Connections::Shared { count, streams } => (Some(Pool::new(share.users(count), streams)), 0),
        };
        let target = &script.plan.target;
        let manner =
            Manner { tls: script.tls.clone(), protocol: target.protocol, keep: target.keep, timeout: script.timeout };
        let tally = common.health.tally(share.thread);
        tally.belongs_to_this_thread();
        Ok(Self {
            variables: RefCell::new(Arc::new([])),
            extracted: RefCell::default(),
            pacer: Pacer::new(script.timeout)?,
            recorder: RefCell::new(Recorder::new(Arc::clone(&script), tally)),
            scratch: Scratch::new(),
            dialer: Dialer::new(common.whereabouts.clone(), manner, share.place()),
            pool,
            own_connections,
            scenes: script.tracks.iter().map(|_| Scene::default()).collect(),
            share,
            waits: Cell::new(false),
            was_stopped: Cell::new(false),
            queue: RefCell::default(),
            scenarios_left: Cell::new(script.tracks.len()),
            playing: Cell::new(0),
            has_ended: Cell::new(false),
            is_complete: Cell::new(false),
            script,
            common,
        })
    }

    /// The cell of a step's request that was intended at a time, of a scenario that began at `begin`.
    pub(crate) fn cell(&self, scenario: usize, step: usize, begin: Instant, intended: Instant) -> usize {
        let track = &self.script.tracks[scenario];
        match &track.load {
            Load::Search(search) => track.cell_of(step, self.scenes[scenario].step_at(search, intended)),
            _ => track.cell(step, intended.saturating_duration_since(begin).into()),
        }
    }

    /// Counts an arrival that was due at a time and found no free user.
    pub(crate) fn drop_arrival(&self, scenario: usize, due: Instant) {
        let cell = self.cell(scenario, 0, self.scenes[scenario].begun(), due);
        self.recorder.borrow_mut().drop_arrival(scenario, cell);
    }

    fn begin(self: &Rc<Self>, scenarios: &[(usize, Instant)], run: Instant, variables: Arc<[(u32, String)]>) {
        self.variables.replace(variables);
        self.recorder.borrow_mut().begin(run);
        for (scenario, at) in scenarios {
            self.scenes[*scenario].begin(*at);
            if self.pacer.is_stopped() {
                self.queue.borrow_mut().push(*scenario);
            } else {
                self.play(*scenario);
            }
        }
    }

    fn play(self: &Rc<Self>, scenario: usize) {
        self.playing.set(self.playing.get() + 1);
        spawn_local(crowd::play(Rc::clone(self), scenario));
    }

    fn stop(self: &Rc<Self>, waits: bool) {
        if self.has_ended.get() {
            return;
        }
        self.waits.set(waits);
        self.was_stopped.set(true);
        self.pacer.stop(Instant::now());
        if self.playing.get() == 0 {
            self.all_stopped();
        }
    }

    /// Nothing is left of the load that was stopped.
    fn all_stopped(self: &Rc<Self>) {
        if !self.waits.get() {
            return self.end();
        }
        self.pacer.resume();
        for scenario in self.queue.take() {
            self.play(scenario);
        }
    }

    /// A scenario's last user on this thread is done.
    pub(crate) fn scenario_ended(self: &Rc<Self>, scenario: usize) {
        self.recorder.borrow_mut().progress[scenario].ended = Some(Instant::now());
        self.playing.set(self.playing.get() - 1);
        self.scenarios_left.set(self.scenarios_left.get() - 1);
        if self.pacer.is_stopped() {
            if self.playing.get() == 0 {
                self.all_stopped();
            }
        } else if self.was_stopped.get() {
            // Of all that had not begun, only teardown does.
            self.end();
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
            extracted: self.extracted.borrow_mut().drain(..).collect(),
            delta: self.recorder.borrow_mut().take(Instant::now(), self.has_ended.get()),
        };
        // With the engine gone there is nobody left to tell.
        let _ = self.common.reports.send(report);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shares(runners: u32, threads: usize) -> impl Iterator<Item = Share> {
        let of = move |segment| (0..threads).map(move |thread| Share { segment, thread, threads });
        Segment::all(runners).flat_map(of)
    }

    proptest! {
        #[test]
        fn shares_of_threads_add_up_to_the_plan(total in 0_u32..2000, runners in 1_u32..9, threads in 1_usize..6) {
            let all = || shares(runners, threads);
            let mut users: Vec<u32> =
                all().flat_map(|share| (0..share.users(total)).map(move |place| share.user(place))).collect();
            users.sort_unstable();
            prop_assert_eq!(users, (0..total).collect::<Vec<_>>());
            let arrivals = |share: Share| {
                let (first, step) = share.arrivals();
                (first..u64::from(total)).step_by(step as usize)
            };
            let mut numbers: Vec<u64> = all().flat_map(arrivals).collect();
            numbers.sort_unstable();
            prop_assert_eq!(numbers, (0..u64::from(total)).collect::<Vec<_>>());
            // A runner's arrivals are its segment's, whatever its threads.
            for share in all() {
                prop_assert!(arrivals(share).all(|k| k % u64::from(runners) == u64::from(share.segment.index)));
            }
        }
    }
}

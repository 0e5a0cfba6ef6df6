//! The engine's handle: launches the threads, tells them when to begin and to stop, asks them what they measured.

use std::io;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use proofload_api::units::Micros;
use proofload_plan::{Connections, PLAN_VERSION, Plan, Segment};
use proofload_results::{EndCause, RunnerState, Snapshot};
use tokio::sync::{mpsc, watch};

use crate::collector::Collector;
use crate::health::Health;
use crate::script::Script;
use crate::worker::{self, Command, Common, Share};

/// How to execute a plan, where the plan leaves it open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Threads that send load, at least 1. Fewer are used where there are fewer users or shared connections.
    pub threads: usize,
}

impl Default for Options {
    /// A thread for each CPU that the process may use.
    fn default() -> Self {
        Self { threads: std::thread::available_parallelism().map_or(1, std::num::NonZero::get) }
    }
}

/// Why a plan cannot be executed.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The plan is of another release.
    #[error(
        "expected a plan of version {PLAN_VERSION}, got version {0}: runner and operator are of different releases"
    )]
    Version(u32),
    /// The plan says something that cannot be done; the compiler admits no such plan.
    #[error("the plan cannot be executed: {0}")]
    Plan(String),
    /// More runners than connections.
    #[error(
        "share {} of {} of {connections} shared connections is none: run at most {connections} runners",
        segment.index, segment.count
    )]
    NoConnection {
        /// Connections that all runners share.
        connections: u32,
        /// Whose share is none.
        segment: Segment,
    },
    /// The operating system refused what a thread needs.
    #[error("starting a thread that sends load: {0}")]
    Thread(#[source] io::Error),
}

/// A segment of a plan under execution. Dropping it ends all load at once.
pub struct Engine {
    script: Arc<Script>,
    segment: Segment,
    common: Arc<Common>,
    workers: Vec<mpsc::UnboundedSender<Command>>,
    control: Mutex<Control>,
    collector: tokio::sync::Mutex<Collector>,
    ended: watch::Receiver<bool>,
    /// The zero of the snapshots' clock.
    epoch: Instant,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let control = self.control();
        f.debug_struct("Engine")
            .field("run", &self.script.plan.run)
            .field("segment", &self.segment)
            .field("threads", &self.workers.len())
            .field("control", &*control)
            .field("has_ended", &self.has_ended())
            .finish_non_exhaustive()
    }
}

/// What was commanded.
#[derive(Debug, Clone, Default)]
struct Control {
    /// The run's begin.
    run: Option<Instant>,
    scenarios: Vec<Option<Instant>>,
    stop: Option<EndCause>,
}

impl Engine {
    /// Starts the threads for one segment of a plan; they wait for [`Engine::begin`].
    pub fn launch(plan: Arc<Plan>, segment: Segment, options: Options) -> Result<Self, EngineError> {
        if plan.version != PLAN_VERSION {
            return Err(EngineError::Version(plan.version));
        }
        let threads = threads(&plan, segment, options)?;
        let scenarios = vec![None; plan.scenarios.len()];
        let script = Arc::new(Script::new(plan)?);
        let (reports, inbox) = mpsc::unbounded_channel();
        let (ended_sender, ended) = watch::channel(false);
        let common = Arc::new(Common {
            script: Arc::clone(&script),
            health: Health::new(threads),
            at_work: AtomicUsize::new(threads),
            ended: ended_sender,
            reports,
        });
        let shares = (0..threads).map(|thread| Share { segment, thread, threads });
        let workers = shares.map(|share| spawn(&common, share)).collect::<io::Result<_>>();
        Ok(Self {
            collector: tokio::sync::Mutex::new(Collector::new(&script, threads, inbox)),
            script,
            segment,
            common,
            workers: workers.map_err(EngineError::Thread)?,
            control: Mutex::new(Control { scenarios, ..Control::default() }),
            ended,
            epoch: Instant::now(),
        })
    }

    /// Begins scenarios, by their index, at a time. The first call fixes the run's begin; later ones begin scenarios
    /// that come `after` others. A scenario that has begun is not begun again, and none is after a stop.
    ///
    /// # Panics
    /// If the plan has no such scenario.
    pub fn begin(&self, scenarios: &[usize], at: Instant) {
        let mut control = self.control();
        if control.stop.is_some() {
            return;
        }
        let mut fresh: Vec<usize> = scenarios.iter().copied().filter(|i| control.scenarios[*i].is_none()).collect();
        fresh.sort_unstable();
        fresh.dedup();
        let run = *control.run.get_or_insert(at);
        for scenario in &fresh {
            control.scenarios[*scenario] = Some(at);
        }
        self.common.health.begin(run);
        self.tell(&Command::Begin { scenarios: fresh, at, run });
    }

    /// Ends the load: no new request begins from now on, those not sent yet are cut off, those under way half a second
    /// later ([`proofload_api::Outcome::Interrupted`]). All has ended within a second. The first cause counts.
    pub fn stop(&self, cause: EndCause) {
        let mut control = self.control();
        if control.stop.is_none() {
            control.stop = Some(cause);
            self.tell(&Command::Stop);
        }
    }

    /// Whether all load has ended, and none will begin.
    pub fn has_ended(&self) -> bool {
        *self.ended.borrow()
    }

    /// Waits until all load has ended, and none will begin.
    pub async fn ended(&self) {
        // The sender lives for as long as this engine does.
        let _ = self.ended.clone().wait_for(|ended| *ended).await;
    }

    /// Everything measured so far. Each snapshot has a higher sequence number than the one before, and holds all of it.
    pub async fn snapshot(&self) -> Snapshot {
        let mut collector = self.collector.lock().await;
        collector.ticket += 1;
        let ticket = collector.ticket;
        for (thread, worker) in self.workers.iter().enumerate() {
            if worker.send(Command::Report { ticket }).is_err() {
                // A thread ends before its engine only by a panic, which has its own message.
                continue;
            }
            while !collector.has_answered(thread, ticket) {
                tokio::select! {
                    report = collector.inbox.recv() => match report {
                        Some(report) => collector.add(report),
                        None => break,
                    },
                    () = worker.closed() => break,
                }
            }
        }
        collector.sequence += 1;
        self.describe(&mut collector)
    }

    fn describe(&self, collector: &mut Collector) -> Snapshot {
        let control = self.control().clone();
        let state = match collector.ended() {
            Some(true) => RunnerState::Ended(EndCause::Completed),
            Some(false) => RunnerState::Ended(control.stop.unwrap_or(EndCause::Stopped)),
            None if control.run.is_none() => RunnerState::Waiting,
            None => RunnerState::Running,
        };
        let scenarios = control.scenarios.iter().enumerate();
        let mut generator = self.common.health.record();
        generator.lateness = collector.lateness().encode();
        let clock = |at: Instant| Micros::from(at.saturating_duration_since(self.epoch)).0;
        Snapshot {
            run: self.script.plan.run.clone(),
            segment: self.segment,
            sequence: collector.sequence,
            state,
            clock: clock(Instant::now()),
            began: control.run.map(clock),
            scenarios: scenarios.map(|(i, began)| collector.progress(i, *began, control.run)).collect(),
            cells: if control.run.is_some() { collector.cells() } else { Vec::new() },
            timeline: collector.timeline(),
            errors: collector.errors(self.script.plan.target.timeout),
            generator,
        }
    }

    fn control(&self) -> MutexGuard<'_, Control> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, command: &Command) {
        for worker in &self.workers {
            // A thread that is gone has no load.
            let _ = worker.send(command.clone());
        }
    }
}

/// How many threads to use: none without a user or without a connection, but one at least.
fn threads(plan: &Plan, segment: Segment, options: Options) -> Result<usize, EngineError> {
    let users = plan.scenarios.iter().map(|scenario| segment.share(scenario.load.users())).max().unwrap_or(0);
    let mut threads = options.threads.min(users as usize).max(1);
    if let Connections::Shared(connections) = plan.target.connections {
        let share = segment.share(connections) as usize;
        if share == 0 && users > 0 {
            return Err(EngineError::NoConnection { connections, segment });
        }
        threads = threads.min(share).max(1);
    }
    Ok(threads)
}

/// Starts a thread, and waits until it is ready.
fn spawn(common: &Arc<Common>, share: Share) -> io::Result<mpsc::UnboundedSender<Command>> {
    let (commands, received) = mpsc::unbounded_channel();
    let (ready, is_ready) = std::sync::mpsc::channel();
    let common = Arc::clone(common);
    std::thread::Builder::new()
        .name(format!("load-{}", share.thread))
        .spawn(move || worker::run(common, share, received, &ready))?;
    is_ready.recv().map_err(io::Error::other)??;
    Ok(commands)
}

//! The engine's handle: launches the threads, tells them when to begin and to stop, asks them what they measured.

use std::io;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use proofload_api::units::Micros;
use proofload_plan::{Connections, Load, PLAN_VERSION, Plan, Role, Segment};
use proofload_results::{EndCause, GeneratorRecord, LevelRecord, RunnerState, Snapshot, StopNote};
use tokio::sync::{mpsc, watch};

use crate::collector::Collector;
use crate::dial::Whereabouts;
use crate::health::{self, Health};
use crate::materials::Materials;
use crate::names::{Names, Servers};
use crate::scene::Change;
use crate::script::{Peer, Script};
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
    /// The generator's health is watched for as long as this is there.
    _watched: std::sync::mpsc::Sender<()>,
}

impl std::fmt::Debug for Engine {
    /// What setup extracted may be secret: only how much of it there is.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let control = self.control();
        f.debug_struct("Engine")
            .field("run", &self.script.plan.run)
            .field("segment", &self.segment)
            .field("threads", &self.workers.len())
            .field("run_begin", &control.run)
            .field("begun", &control.scenarios)
            .field("levels", &control.levels)
            .field("stop", &control.stop)
            .field("variables", &control.variables.len())
            .field("has_ended", &self.has_ended())
            .finish_non_exhaustive()
    }
}

/// What was commanded.
#[derive(Clone, Default)]
struct Control {
    /// The run's begin.
    run: Option<Instant>,
    scenarios: Vec<Option<Instant>>,
    /// Of each scenario, the levels that were chosen.
    levels: Vec<Vec<LevelRecord>>,
    /// There was a stop, but a teardown is to come.
    awaits_teardown: bool,
    stop: Option<EndCause>,
    note: Option<StopNote>,
    variables: Vec<(u32, String)>,
}

impl Engine {
    /// Starts the threads for one segment of a plan; they wait for [`Engine::begin`].
    /// `materials` are those of this plan.
    pub fn launch(
        plan: Arc<Plan>,
        segment: Segment,
        options: Options,
        materials: Arc<Materials>,
    ) -> Result<Self, EngineError> {
        if plan.version != PLAN_VERSION {
            return Err(EngineError::Version(plan.version));
        }
        let threads = threads(&plan, segment, options)?;
        let (scenarios, levels) = (vec![None; plan.scenarios.len()], vec![Vec::new(); plan.scenarios.len()]);
        let script = Arc::new(Script::new(plan, materials)?);
        let (reports, inbox) = mpsc::unbounded_channel();
        let (ended_sender, ended) = watch::channel(false);
        let common = Arc::new(Common {
            script: Arc::clone(&script),
            whereabouts: match &script.peer {
                Peer::Address(address) => Whereabouts::At(*address),
                Peer::Name(name, port) => {
                    let names = Names::start(name.clone(), *port, Servers::of_system(script.timeout));
                    Whereabouts::Named(names.map_err(EngineError::Thread)?)
                }
            },
            health: Arc::new(Health::new(threads)),
            at_work: AtomicUsize::new(threads),
            ended: ended_sender,
            reports,
        });
        let shares = (0..threads).map(|thread| Share { segment, thread, threads });
        let workers = shares.map(|share| spawn(&common, share)).collect::<io::Result<_>>();
        let watched = health::watch(Arc::clone(&common.health)).map_err(EngineError::Thread)?;
        Ok(Self {
            collector: tokio::sync::Mutex::new(Collector::new(&script, threads, inbox)),
            script,
            segment,
            common,
            workers: workers.map_err(EngineError::Thread)?,
            control: Mutex::new(Control { scenarios, levels, ..Control::default() }),
            ended,
            epoch: Instant::now(),
            _watched: watched,
        })
    }

    /// Begins scenarios, by their index, at a time. The first call fixes the run's begin; later ones begin scenarios
    /// that come `after` others. A scenario that has begun is not begun again, and none is after a stop but teardown.
    /// `variables` are what setup extracted, where there was one: by index of the plan's variables.
    ///
    /// # Panics
    /// If the plan has no such scenario.
    pub fn begin(&self, scenarios: &[usize], at: Instant, variables: &[(u32, String)]) {
        let mut control = self.control();
        if !variables.is_empty() {
            control.variables = variables.to_vec();
        }
        let teardown = self.script.plan.index_of(Role::Teardown).filter(|_| control.awaits_teardown);
        let may_begin = |scenario: usize| control.stop.is_none() || Some(scenario) == teardown;
        let is_fresh = |scenario: &usize| control.scenarios[*scenario].is_none() && may_begin(*scenario);
        let mut fresh: Vec<usize> = scenarios.iter().copied().filter(is_fresh).collect();
        fresh.sort_unstable();
        fresh.dedup();
        if fresh.is_empty() {
            return;
        }
        let run = *control.run.get_or_insert(at);
        let fresh: Vec<_> = fresh.into_iter().map(|i| (i, at + self.script.tracks[i].at)).collect();
        for (scenario, at) in &fresh {
            control.scenarios[*scenario] = Some(*at);
        }
        self.common.health.begin(run);
        let variables = control.variables.clone().into();
        self.tell(&Command::Begin { scenarios: fresh, run, variables });
    }

    /// Takes up levels of load of a scenario: all of them so far, the new ones at the end. One that has been taken up is
    /// not taken up again, and none is before the run's begin, after a stop, or of a fixed amount of work.
    ///
    /// # Panics
    /// If the plan has no such scenario.
    pub fn take_levels(&self, scenario: usize, levels: &[LevelRecord]) {
        let known = Instant::now();
        let mut control = self.control();
        let Some(run) = control.run.filter(|_| control.stop.is_none()) else { return };
        if matches!(self.script.tracks[scenario].load, Load::Iterations { .. }) {
            return;
        }
        let taken = control.levels[scenario].len();
        let news = levels.get(taken..).unwrap_or_default();
        if news.is_empty() {
            return;
        }
        control.levels[scenario].extend(news);
        let change = |record: &LevelRecord| Change {
            level: record.level,
            from: run + Duration::from_micros(record.from),
            known,
        };
        self.tell(&Command::Change { scenario, changes: news.iter().map(change).collect() });
    }

    /// Ends the load: no new request begins from now on, those not sent yet are cut off, those under way half a second
    /// later ([`proofload_api::Outcome::Interrupted`]). All has ended within a second, and the engine with it; but after a
    /// stop by the conductor ([`EndCause::Stopped`]) of a run with a teardown that had begun, it waits for the begin of
    /// that. The first cause counts, but for one that leaves no time for a teardown; of the notes, which say why, the
    /// first.
    pub fn stop(&self, cause: EndCause, note: Option<StopNote>) {
        let mut control = self.control();
        let is_news = control.stop.is_none() || (control.awaits_teardown && cause != EndCause::Stopped);
        if !is_news || self.has_ended() {
            return;
        }
        let teardown = self.script.plan.index_of(Role::Teardown).map(|teardown| control.scenarios[teardown].is_some());
        let leaves_time = cause == EndCause::Stopped && control.run.is_some();
        control.stop = Some(cause);
        control.note = control.note.take().or(note);
        control.awaits_teardown = leaves_time && teardown.is_some();
        // A teardown under way has no load beside it, and is let to end.
        if !(leaves_time && teardown == Some(true)) {
            self.tell(&Command::Stop { waits: control.awaits_teardown });
        }
    }

    /// Which share of the plan this is.
    pub const fn segment(&self) -> Segment {
        self.segment
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

    /// The generator's health so far, but for its lateness: cheap, and no thread that sends load is asked.
    pub fn health(&self) -> GeneratorRecord {
        self.common.health.record()
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
        let scenarios = control.scenarios.iter().zip(control.levels).enumerate();
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
            scenarios: scenarios
                .map(|(i, (began, levels))| collector.progress(i, *began, control.run, levels))
                .collect(),
            cells: if control.run.is_some() { collector.cells() } else { Vec::new() },
            timeline: collector.timeline(),
            errors: collector.errors(self.script.plan.target.timeout),
            generator,
            variables: if control.variables.is_empty() { collector.extracted.clone() } else { control.variables },
            stop: control.note,
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
    // An arrival is a thread's before there is a user for it, so that each thread needs one.
    for scenario in plan.scenarios.iter().filter(|scenario| scenario.load.is_open()) {
        let share = segment.share(scenario.load.users()) as usize;
        threads = threads.min(share).max(1);
    }
    if let Connections::Shared { count: connections, .. } = plan.target.connections {
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

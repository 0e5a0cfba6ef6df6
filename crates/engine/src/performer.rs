//! What a virtual user does: iterations, in them steps. When it does them is up to its shifts (`user`).

mod request;
mod web_socket;

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;
use proofload_plan::Role;

use crate::connections::Own;
use crate::cookies::Jar;
use crate::pacer::{Fate, Place};
use crate::program::{Comparison, Operation};
use crate::render::{Known, Unset, Variables};
use crate::script::{PreparedAction, Track};
use crate::web_socket::Session;
use crate::worker::Worker;

/// The load was stopped: the user does nothing more.
pub(crate) struct Halted;

/// What comes after an iteration.
pub(crate) enum Next {
    /// The next one, which is intended at this time: the end of this one and the think time of its last step.
    At(Instant),
    /// None: a `Unique` data set has no row left. Who called counts it.
    Starved,
    /// None: its load ended within the iteration, which was cut, or even before its first request.
    Over { has_begun: bool },
}

/// When the load ends for a user, as far as is known now: no request may begin then. None if it does not matter.
pub(crate) type End<'a> = dyn Fn() -> Option<Instant> + 'a;

/// An iteration cannot go on: a value is not there, or no web socket.
struct Broken;

impl From<Unset> for Broken {
    fn from(_: Unset) -> Self {
        Self
    }
}

/// One user, and what it carries from one request to the next.
pub(crate) struct Performer<'a> {
    worker: &'a Worker,
    place: &'a Place<'a>,
    scenario: usize,
    track: &'a Track,
    /// The scenario's begin.
    begin: Instant,
    number: u32,
    choices: Rng,
    own: Own,
    /// Its web socket, while that is open.
    socket: Option<Box<Session>>,
    /// The clock when it was read last.
    now: Instant,
    /// Iterations begun so far.
    iterations: u64,
    variables: Variables,
    /// The row that it has of each of the plan's data sets.
    rows: Box<[Option<usize>]>,
    /// Rounds of each loop that it is in.
    rounds: Box<[u32]>,
    /// Where in the program it is.
    at: usize,
    /// Made when the first cookie comes.
    jar: Option<Box<Jar>>,
}

/// How going through steps ended.
enum Run {
    /// All were done: the next request is intended at this time.
    Done(Instant),
    /// A value was not there, or no web socket.
    Broken(Instant),
    /// The load ended.
    Over,
}

/// What the program says next.
enum Turn {
    Step(usize),
    /// Nothing for long: others want to work too.
    Breath,
    Done,
}

impl<'a> Performer<'a> {
    /// User `number` of a scenario that began or begins at `begin`.
    pub(crate) fn new(worker: &'a Worker, place: &'a Place<'a>, scenario: usize, begin: Instant, number: u32) -> Self {
        let track = &worker.script.tracks[scenario];
        let plan = &worker.script.plan;
        let mut choices = track.choices_of(number);
        let mut rows = vec![None; plan.data.len()].into_boxed_slice();
        track.picking.begin(&mut rows, number, &worker.script.materials.tables, &mut choices);
        Self {
            worker,
            place,
            scenario,
            track,
            begin,
            number,
            choices,
            own: Own::new(worker.own_connections),
            socket: None,
            now: begin,
            iterations: 0,
            variables: Variables::new(plan.variables.len(), Arc::clone(&worker.variables.borrow())),
            rows,
            rounds: vec![0; track.program.depth].into(),
            at: 0,
            jar: None,
        }
    }

    /// What it does once, before its first iteration, intended at a time; when that was done, or ended with the load:
    /// `end` is as for an iteration.
    pub(crate) async fn start(&mut self, intended: Instant, end: &End<'_>) -> Result<Instant, Halted> {
        self.sequence(0..self.track.on_start, intended, end).await
    }

    /// One iteration, whose first request is intended at a time at which it may begin. `end` says when the
    /// load ends, which changes with the load. `serial` is the iteration's number over
    /// all users of all runners.
    pub(crate) async fn iterate(&mut self, serial: u64, intended: Instant, end: &End<'_>) -> Result<Next, Halted> {
        /// An iteration that sends nothing would be followed by the next one at once, and that without end.
        const IDLE: Duration = Duration::from_millis(100);
        let tables = &self.worker.script.materials.tables;
        if self.track.picking.next(&mut self.rows, serial, tables, &mut self.choices).is_err() {
            return Ok(Next::Starved);
        }
        self.iterations += 1;
        self.at = 0;
        let mut sent = 0;
        let run = self.run(intended, end, &mut sent).await;
        self.keep_for_all();
        let next = {
            let progress = &mut self.worker.recorder.borrow_mut().progress[self.scenario];
            match run? {
                Run::Done(next) => {
                    progress.iterations += 1;
                    next
                }
                Run::Broken(next) => {
                    progress.broken_iterations += 1;
                    next
                }
                Run::Over => return Ok(Next::Over { has_begun: sent > 0 }),
            }
        };
        Ok(Next::At(if sent == 0 { next.max(Instant::now()) + IDLE } else { next }))
    }

    /// What it does once, after its last iteration, intended at a time.
    pub(crate) async fn finish(&mut self, intended: Instant) -> Result<(), Halted> {
        let all = self.track.steps.len();
        self.sequence(all - self.track.on_stop..all, intended, &|| None).await.map(|_| ())
    }

    /// Between shifts a user keeps no connection.
    pub(crate) fn rest(&mut self) {
        self.own.close();
        self.socket = None;
    }

    /// Waits until a request is due; whether it is to be sent. Reads no clock if it was due before the last reading.
    /// A change of the load ends the wait early, so that what goes on is looked at again.
    async fn comes(&self, intended: Instant, end: &End<'_>) -> bool {
        while end().is_none_or(|end| intended < end) && !self.worker.pacer.is_stopped() {
            if intended <= self.now || self.place.sleep_until(intended).await {
                return true;
            }
        }
        false
    }

    /// One step. If it was ended from outside, how. The clock is read at its end.
    async fn step(&mut self, step: usize, intended: Instant, end: &End<'_>) -> Result<Option<Fate>, Broken> {
        match &self.track.steps[step].action {
            PreparedAction::Request(request) => Ok(self.request(step, request, intended).await?),
            // Boxed, as all that is rare: else it would have its place in the memory of every user all the time.
            PreparedAction::WebSocket(action) => Box::pin(self.web_socket(step, action, intended, end)).await,
        }
    }

    /// Does an iteration's steps; `sent` counts them.
    async fn run(&mut self, mut intended: Instant, end: &End<'_>, sent: &mut u32) -> Result<Run, Halted> {
        loop {
            match self.turn() {
                Turn::Done => return Ok(Run::Done(intended)),
                Turn::Breath => {
                    tokio::task::yield_now().await;
                    // Time has passed, and with it perhaps the load.
                    intended = intended.max(Instant::now());
                    if !self.comes(intended, end).await {
                        return self.over(*sent);
                    }
                }
                Turn::Step(step) => {
                    if !self.comes(intended, end).await {
                        return self.over(*sent);
                    }
                    match self.step(step, intended, end).await {
                        Err(Broken) => return Ok(Run::Broken(intended)),
                        Ok(Some(Fate::Cut)) => {
                            *sent += 1;
                            return self.over(*sent);
                        }
                        Ok(_) => *sent += 1,
                    }
                    intended = self.now + self.track.think(&mut self.choices);
                }
            }
        }
    }

    /// The load has ended, for all or for this user. An iteration that has sent nothing is not cut off.
    fn over(&self, sent: u32) -> Result<Run, Halted> {
        self.worker.recorder.borrow_mut().progress[self.scenario].cut_iterations += u64::from(sent > 0);
        if self.worker.pacer.is_stopped() { Err(Halted) } else { Ok(Run::Over) }
    }

    /// Does steps that are no part of an iteration, the first intended at a time; when the next request may be.
    async fn sequence(&mut self, steps: Range<usize>, mut intended: Instant, end: &End<'_>) -> Result<Instant, Halted> {
        for step in steps {
            if !self.comes(intended, end).await {
                return if self.worker.pacer.is_stopped() { Err(Halted) } else { Ok(intended) };
            }
            match self.step(step, intended, end).await {
                Err(Broken) => {
                    self.worker.recorder.borrow_mut().progress[self.scenario].broken_iterations += 1;
                    return Ok(intended);
                }
                Ok(Some(Fate::Cut)) if self.worker.pacer.is_stopped() => return Err(Halted),
                Ok(Some(Fate::Cut)) => return Ok(self.now),
                Ok(_) => intended = self.now + self.track.think(&mut self.choices),
            }
        }
        Ok(intended)
    }

    /// Goes on in the program, up to the next step.
    fn turn(&mut self) -> Turn {
        /// A loop around a loop whose condition does not hold has nothing to do, many times.
        const BREATH: u32 = 1000;
        let program = &self.track.program;
        for _ in 0..BREATH {
            let Some(operation) = program.operations.get(self.at) else { return Turn::Done };
            match operation {
                Operation::Do(step) => {
                    self.at += 1;
                    return Turn::Step(*step);
                }
                Operation::Draw(sums, places) => {
                    let drawn = self.choices.u64(..sums.last().copied().unwrap_or(1));
                    self.at = places[sums.partition_point(|sum| *sum <= drawn)];
                }
                Operation::Jump(to) => self.at = *to,
                Operation::Enter(counter) => {
                    self.rounds[*counter] = 0;
                    self.at += 1;
                }
                Operation::Round { counter, most, condition, exit } => {
                    let goes_on = self.rounds[*counter] < *most
                        && condition.as_ref().is_none_or(|condition| self.holds(condition));
                    if goes_on {
                        self.rounds[*counter] += 1;
                    }
                    self.at = if goes_on { self.at + 1 } else { *exit };
                }
            }
        }
        Turn::Breath
    }

    fn holds(&mut self, condition: &Comparison) -> bool {
        let mut scratch = self.worker.scratch.buffers.lend();
        condition.holds(&mut self.known(true), &mut scratch)
    }

    fn known(&mut self, is_lenient: bool) -> Known<'_> {
        Known {
            materials: &self.worker.script.materials,
            rows: &self.rows,
            variables: &self.variables,
            choices: &mut self.choices,
            user: u64::from(self.number) + 1,
            iteration: self.iterations,
            is_lenient,
        }
    }

    /// What setup's user extracts, all users have.
    fn keep_for_all(&self) {
        if self.track.role == Role::Setup {
            self.worker.extracted.replace(self.variables.own());
        }
    }
}

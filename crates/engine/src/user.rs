//! When a virtual user of a closed model is at work: its shifts, and the iterations in them. What it does is up to its
//! `performer`.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::pacer::Place;
use crate::performer::{Halted, Next, Performer};
use crate::scene::{Scene, Shift};
use crate::script::Track;
use crate::worker::Worker;

/// A user, and the iterations that it has begun and may still begin.
struct User<'a> {
    worker: &'a Worker,
    scenario: usize,
    scene: &'a Scene,
    track: &'a Track,
    number: u32,
    place: &'a Place<'a>,
    performer: Performer<'a>,
    begun: u64,
    left: Option<u32>,
    /// Whether it has done what it does before its first iteration, and not what it does after its last one.
    has_started: bool,
}

/// Until when iterations may begin, as far as is known.
pub(crate) struct Term<'a> {
    scene: &'a Scene,
    place: &'a Place<'a>,
    graceful: Duration,
    version: Cell<u32>,
    until: Cell<Instant>,
    look: &'a dyn Fn() -> Instant,
}

/// Does all of a user's shifts, from the scenario's begin on.
pub(crate) async fn live(worker: Rc<Worker>, scenario: usize, number: u32) {
    let place = worker.pacer.place();
    let track = &worker.script.tracks[scenario];
    let scene = &worker.scenes[scenario];
    let begin = scene.begun();
    let mut user = User {
        worker: &worker,
        scenario,
        scene,
        track,
        number,
        place: &place,
        performer: Performer::new(&worker, &place, scenario, begin, number),
        begun: 0,
        left: track.limit(),
        has_started: false,
    };
    let mut after = begin;
    while let Some(shift) = user.next_shift(after).await {
        worker.recorder.borrow_mut().user_begins(scenario, Instant::now());
        let result = user.work(shift).await;
        user.performer.rest();
        worker.recorder.borrow_mut().user_ends(scenario, Instant::now());
        match result {
            Ok(until) if user.left != Some(0) => after = until,
            _ => return,
        }
    }
}

impl User<'_> {
    /// Waits for the next shift that is not over at `after`; none if there is none, or the run was stopped.
    async fn next_shift(&self, after: Instant) -> Option<Shift> {
        loop {
            let shift = self.scene.shift(&self.track.load, self.number, after);
            // Where there is none now, a change may bring one, for as long as there is load.
            let at = shift.map_or_else(|| self.scene.last(&self.track.load), |shift| shift.from);
            if self.place.sleep_until(at).await {
                // One that is the last one, put off after it was over: what was not known then is not due since then.
                let goes_on = |shift: &Shift| shift.from < after;
                return shift.map(|shift| Shift { from: if goes_on(&shift) { Instant::now() } else { at }, ..shift });
            }
            if self.worker.pacer.is_stopped() {
                return None;
            }
        }
    }

    /// One shift; when it was over.
    async fn work(&mut self, shift: Shift) -> Result<Instant, Halted> {
        let (scene, track, number) = (self.scene, self.track, self.number);
        let look = || scene.until(&track.load, number, shift.from);
        let term = Term::new(scene, self.place, track.graceful, &look);
        let mut intended = shift.from;
        if !self.has_started {
            self.has_started = true;
            // Boxed, as all that is rare: else it would have its place in the memory of every user all the time.
            intended = Box::pin(self.performer.start(intended, &|| Some(term.end()))).await?;
        }
        loop {
            intended = self.iterate(&term, intended).await?;
            if self.left == Some(0) || self.is_over(&term).await? {
                break;
            }
            intended = intended.max(Instant::now());
        }
        let until = term.until();
        if self.left == Some(0) || self.scene.shift(&track.load, number, until).is_none() {
            self.place.end_at(None);
            self.has_started = false;
            Box::pin(self.performer.finish(Instant::now())).await?;
        }
        Ok(until)
    }

    /// One iteration after the other, the first one intended at a time, for as long as they may begin; when the next one
    /// is intended.
    async fn iterate(&mut self, term: &Term<'_>, mut intended: Instant) -> Result<Instant, Halted> {
        let track = self.track;
        while self.left != Some(0) && intended < term.until() {
            // Begun or not: a number is used once.
            let serial = track.serial(self.begun, self.number);
            self.begun += 1;
            let end = || Some(term.end());
            let mut iteration = pin!(self.performer.iterate(serial, intended, &end));
            let next = poll_fn(|cx| term.poll(cx, iteration.as_mut())).await?;
            self.left = self.left.map(|left| left - 1);
            match next {
                Next::At(at) => intended = at.max(intended + track.pacing),
                Next::Over { .. } => break,
                Next::Starved => {
                    self.worker.recorder.borrow_mut().progress[self.scenario].starved += 1;
                    self.left = Some(0);
                }
            }
        }
        Ok(intended)
    }

    /// Waits for the end of the shift; false if a change of the load puts it off, so that there is more to do.
    async fn is_over(&self, term: &Term<'_>) -> Result<bool, Halted> {
        loop {
            let until = term.until();
            let has_come = self.place.sleep_until(until).await;
            if self.worker.pacer.is_stopped() {
                return Err(Halted);
            }
            if term.until() > until {
                return Ok(false);
            }
            if has_come {
                return Ok(true);
            }
        }
    }
}

impl<'a> Term<'a> {
    /// A term that `look` finds, anew after each change of the load.
    pub(crate) fn new(
        scene: &'a Scene,
        place: &'a Place<'a>,
        graceful: Duration,
        look: &'a dyn Fn() -> Instant,
    ) -> Self {
        let until = look();
        let term = Self { scene, place, graceful, version: Cell::new(scene.version()), until: Cell::new(until), look };
        term.cut_at(until);
        term
    }

    /// When the last iteration may begin.
    pub(crate) fn until(&self) -> Instant {
        if self.version.replace(self.scene.version()) != self.scene.version() {
            let until = (self.look)();
            self.until.set(until);
            self.cut_at(until);
        }
        self.until.get()
    }

    /// From when on no request of an iteration that has begun may begin.
    pub(crate) fn end(&self) -> Instant {
        self.until() + self.graceful
    }

    /// Does something; a change of the load that comes meanwhile moves the time at which it is cut off.
    pub(crate) fn poll<F: Future>(&self, cx: &mut Context<'_>, doing: Pin<&mut F>) -> Poll<F::Output> {
        self.until();
        doing.poll(cx)
    }

    /// Without a graceful stop, requests under way may finish.
    fn cut_at(&self, until: Instant) {
        if self.graceful > Duration::ZERO {
            self.place.end_at(Some(until + self.graceful));
        }
    }
}

//! Plays a scenario on one thread: its users come when they are needed, and it ends when the last has left.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use proofload_plan::{Arrivals, Load};
use tokio::sync::Notify;
use tokio::task::spawn_local;

use crate::pacer::Place;
use crate::performer::{Next, Performer};
use crate::user::{self, Term};
use crate::worker::Worker;

/// After so many users that begin at once, those are let to work before more begin.
const BATCH: usize = 64;

/// Plays a scenario that has a begin.
pub(crate) async fn play(worker: Rc<Worker>, scenario: usize) {
    let crowd = Rc::new(Crowd::default());
    if worker.script.tracks[scenario].load.is_open() {
        arrive(&worker, scenario, &crowd).await;
    } else {
        gather(&worker, scenario, &crowd).await;
    }
    while crowd.members.get() > 0 {
        crowd.changed.notified().await;
    }
    worker.scenario_ended(scenario);
}

/// Lets users of a closed model come, each when it is at work first. A lower one is at work whenever a higher one is,
/// so that they come in the order of their numbers, also where the load changes.
async fn gather(worker: &Rc<Worker>, scenario: usize, crowd: &Rc<Crowd>) {
    let (place, scene) = (worker.pacer.place(), &worker.scenes[scenario]);
    let load = &worker.script.tracks[scenario].load;
    let mut come = 0;
    loop {
        let number = worker.share.user(come);
        let is_planned = !matches!(load, Load::Iterations { users, .. } if number >= *users);
        let shift = scene.shift(load, number, scene.begun()).filter(|_| is_planned);
        if shift.is_none() && matches!(load, Load::Iterations { .. }) {
            return;
        }
        // The load may go on with nobody of this thread in it, or with more of them after a change.
        let at = shift.map_or_else(|| scene.last(load), |shift| shift.from);
        if !place.sleep_until(at).await {
            if worker.pacer.is_stopped() {
                return;
            }
            continue;
        }
        if shift.is_none() {
            return;
        }
        crowd.join(user::live(Rc::clone(worker), scenario, number));
        come += 1;
        if (come as usize).is_multiple_of(BATCH) {
            tokio::task::yield_now().await;
        }
    }
}

/// Lets iterations of an open model begin, each when it is due, by a user that is free.
async fn arrive(worker: &Rc<Worker>, scenario: usize, crowd: &Rc<Crowd>) {
    let (place, scene) = (worker.pacer.place(), &worker.scenes[scenario]);
    let track = &worker.script.tracks[scenario];
    let pool = Rc::new(Pool { limit: worker.share.users(track.load.users()), ..Pool::default() });
    let (first, step) = worker.share.arrivals();
    let due_from =
        |first: u64| -> (u32, Arrivals) { (scene.version(), scene.curve(&track.load).arrivals(first, step)) };
    let (mut version, mut arrivals) = due_from(first);
    let mut next = arrivals.next();
    // The number of the next one, also where the curve has none any more: a change may bring it.
    let mut number = first;
    let mut come = 0_usize;
    loop {
        if version != scene.version() {
            (version, arrivals) = due_from(number);
            next = arrivals.next();
        }
        let end = scene.last(&track.load);
        let at = next.map(|(_, due)| scene.begun() + Duration::from(due)).filter(|at| *at < end);
        if !place.sleep_until(at.unwrap_or(end)).await {
            if worker.pacer.is_stopped() {
                break;
            }
            continue;
        }
        let Some(at) = at else { break };
        pool.hand_out(worker, scenario, crowd, (number, at));
        number += step;
        next = arrivals.next();
        come += 1;
        // Who is due has begun, however many are due: but those that have begun must get to work too.
        if come.is_multiple_of(BATCH) {
            tokio::task::yield_now().await;
        }
    }
    pool.close();
}

/// Users of an open model on one thread.
#[derive(Default)]
struct Pool {
    /// The most of them.
    limit: u32,
    made: Cell<u32>,
    /// Those that wait for an arrival. The one that became free last is the next to get one, so that no more connections
    /// are used than needed.
    idle: RefCell<Vec<Rc<Desk>>>,
    is_closed: Cell<bool>,
}

/// Where a user gets its next arrival: its number, and when it was due.
#[derive(Default)]
struct Desk {
    arrival: Cell<Option<(u64, Instant)>>,
    waker: RefCell<Option<Waker>>,
}

impl Pool {
    /// Gives an arrival to a free user; without one it is dropped.
    fn hand_out(self: &Rc<Self>, worker: &Rc<Worker>, scenario: usize, crowd: &Rc<Crowd>, arrival: (u64, Instant)) {
        let free = self.idle.borrow_mut().pop();
        if let Some(desk) = free {
            desk.arrival.set(Some(arrival));
            desk.wake();
        } else if self.made.get() < self.limit {
            let number = worker.share.user(self.made.get());
            self.made.set(self.made.get() + 1);
            let desk = Rc::new(Desk { arrival: Cell::new(Some(arrival)), ..Desk::default() });
            crowd.join(serve(Rc::clone(worker), scenario, number, Rc::clone(self), desk));
        } else {
            worker.drop_arrival(scenario, arrival.1);
        }
    }

    /// No arrival will come any more.
    fn close(&self) {
        self.is_closed.set(true);
        self.idle.borrow_mut().drain(..).for_each(|desk| desk.wake());
    }
}

impl Desk {
    fn wake(&self) {
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// The next arrival; none if no more will come.
    async fn next(self: &Rc<Self>, pool: &Pool) -> Option<(u64, Instant)> {
        if let Some(arrival) = self.arrival.take() {
            return Some(arrival);
        }
        if !pool.is_closed.get() {
            pool.idle.borrow_mut().push(Rc::clone(self));
        }
        poll_fn(|cx| match self.arrival.take() {
            None if !pool.is_closed.get() => {
                self.waker.borrow_mut().replace(cx.waker().clone());
                Poll::Pending
            }
            arrival => Poll::Ready(arrival),
        })
        .await
    }
}

/// A user of an open model: an iteration for each arrival that it gets.
async fn serve(worker: Rc<Worker>, scenario: usize, number: u32, pool: Rc<Pool>, desk: Rc<Desk>) {
    let place = worker.pacer.place();
    let (track, scene) = (&worker.script.tracks[scenario], &worker.scenes[scenario]);
    let mut performer = Performer::new(&worker, &place, scenario, scene.begun(), number);
    let look = || scene.last(&track.load);
    let term = Term::new(scene, &place, track.graceful, &look);
    let mut has_started = false;
    while let Some(arrival) = desk.next(&pool).await {
        worker.recorder.borrow_mut().user_begins(scenario, Instant::now());
        let first = !std::mem::replace(&mut has_started, true);
        let goes_on = attend(&worker, scenario, &mut performer, &term, arrival, first).await;
        worker.recorder.borrow_mut().user_ends(scenario, Instant::now());
        if !goes_on {
            break;
        }
    }
    if has_started && !worker.pacer.is_stopped() {
        leave(&mut performer, &place).await;
    }
}

/// One arrival; whether the user can take another.
async fn attend(
    worker: &Worker,
    scenario: usize,
    performer: &mut Performer<'_>,
    term: &Term<'_>,
    (serial, due): (u64, Instant),
    first: bool,
) -> bool {
    let mut intended = due;
    let end = || Some(term.end());
    if first {
        match Box::pin(performer.start(intended, &end)).await {
            Ok(at) => intended = at,
            Err(_) => return false,
        }
    }
    let mut iteration = pin!(performer.iterate(serial, intended, &end));
    match poll_fn(|cx| term.poll(cx, iteration.as_mut())).await {
        Ok(Next::At(_) | Next::Over { has_begun: true }) => true,
        Ok(Next::Over { has_begun: false }) => {
            // The load was over before what the user does first: no arrival goes uncounted.
            worker.drop_arrival(scenario, due);
            true
        }
        Ok(Next::Starved) => {
            worker.recorder.borrow_mut().progress[scenario].starved += 1;
            worker.drop_arrival(scenario, due);
            false
        }
        Err(_) => false,
    }
}

async fn leave(performer: &mut Performer<'_>, place: &Place<'_>) {
    place.end_at(None);
    let _ = Box::pin(performer.finish(Instant::now())).await;
    performer.rest();
}

/// Users of a scenario whose lives are not over.
#[derive(Default)]
struct Crowd {
    members: Cell<usize>,
    changed: Notify,
}

/// One of a crowd; leaves it when dropped, however its life ended.
struct Member(Rc<Crowd>);

impl Crowd {
    /// Begins a life.
    fn join(self: &Rc<Self>, life: impl Future<Output = ()> + 'static) {
        self.members.set(self.members.get() + 1);
        let member = Member(Rc::clone(self));
        spawn_local(async move {
            life.await;
            drop(member);
        });
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

#[cfg(test)]
mod tests {
    use super::*;

    fn size<A, B, C, F: Future>(_: impl FnOnce(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    fn size_of_five<A, B, C, D, E, F: Future>(_: impl FnOnce(A, B, C, D, E) -> F) -> usize {
        size_of::<F>()
    }

    /// Whatever a user may ever wait for has its place in each user's memory, all the time: what is rare belongs into a
    /// box, and a future that is given away by value has its place twice.
    #[test]
    fn a_user_at_rest_is_small() {
        const MOST: usize = 2048;
        let sizes = (size(user::live), size_of_five(serve));
        assert!(sizes.0 <= MOST && sizes.1 <= MOST, "{sizes:?}");
    }
}

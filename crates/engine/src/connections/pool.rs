//! Connections that all users of one thread share. Never are more of them open than the plan says, also while one is
//! being opened or waits for its last requests; who waits for one is served in the order of coming.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::{Link, Open};

/// Connections that all users of one thread share.
pub(crate) struct Pool {
    /// Connections that may be used by one alone: those that are idle, and those that are not open.
    free: Cell<usize>,
    /// Open connections that nobody uses; the one that was used longest ago is next.
    idle: RefCell<VecDeque<Open>>,
    /// Those that take many requests at once.
    shared: RefCell<Vec<Rc<Shared>>>,
    /// Which of those is looked at first, so that all of them get as much.
    turn: Cell<usize>,
    /// The most requests at once over each of those.
    streams: usize,
    queue: Rc<Queue>,
}

/// A connection that takes many requests at once.
struct Shared {
    open: RefCell<Open>,
    /// Requests that are under way.
    under_way: Cell<usize>,
    /// Whether it takes no more of them, and is closed after the last.
    is_retired: Cell<bool>,
}

/// Who waits for the use of a connection.
#[derive(Default)]
pub(crate) struct Queue {
    /// By their numbers, which ascend.
    waiting: RefCell<VecDeque<Waiting>>,
    last: Cell<u64>,
}

struct Waiting {
    number: u64,
    waker: Waker,
    /// Whether it was told to look, and has not yet.
    is_told: bool,
}

/// The use of one connection of a pool, alone or for one of many requests at once.
pub(crate) struct Lent<'a> {
    pool: &'a Pool,
    shared: Option<Rc<Shared>>,
}

impl Pool {
    /// So many connections, and requests at once over each that takes more than one.
    pub(crate) fn new(connections: u32, streams: u32) -> Self {
        Self {
            free: Cell::new(connections as usize),
            idle: RefCell::default(),
            shared: RefCell::default(),
            turn: Cell::new(0),
            streams: streams.max(1) as usize,
            queue: Rc::default(),
        }
    }

    /// The use of a connection if one is free, and nobody waits for it.
    pub(crate) fn try_borrow(&self) -> Option<Lent<'_>> {
        if self.queue.waiting.borrow().is_empty() { self.lend() } else { None }
    }

    /// The use of a connection, once one is free.
    pub(crate) fn borrow(&self) -> Turn<'_> {
        Turn { pool: self, number: None }
    }

    /// Closes the connections that nobody uses, and the others after their last request.
    pub(crate) fn close(&self) {
        self.idle.borrow_mut().clear();
        let shared: Vec<_> = self.shared.borrow().iter().map(Rc::clone).collect();
        for shared in shared {
            self.retire(&shared);
        }
    }

    /// A connection with nothing under way, else a new one, else the one with the least under way.
    fn lend(&self) -> Option<Lent<'_>> {
        let least = self.least_used();
        let is_idle = least.as_ref().is_some_and(|shared| shared.under_way.get() == 0);
        if let Some(shared) = least.filter(|_| is_idle || self.free.get() == 0) {
            Self::use_shared(&shared);
            return Some(Lent { pool: self, shared: Some(shared) });
        }
        let free = self.free.get().checked_sub(1)?;
        self.free.set(free);
        Some(Lent { pool: self, shared: None })
    }

    /// One more request over a connection.
    fn use_shared(shared: &Shared) {
        shared.under_way.set(shared.under_way.get() + 1);
        let again = shared.open.borrow().again();
        match again.and_then(Open::used) {
            Some(open) => drop(shared.open.replace(open)),
            None => shared.is_retired.set(true),
        }
    }

    /// Tells the next that waits, if there is something for it.
    fn wake_if_room(&self) {
        let is_awaited = !self.queue.waiting.borrow().is_empty();
        let has_room = || self.shared.borrow().iter().any(|shared| shared.has_room(self.streams));
        if is_awaited && (self.free.get() > 0 || has_room()) {
            self.queue.wake(1);
        }
    }

    /// Of the connections that take another request, the one with the least under way.
    fn least_used(&self) -> Option<Rc<Shared>> {
        loop {
            let (shared, at) = {
                let all = self.shared.borrow();
                let turn = self.turn.get().min(all.len());
                let (before, after) = all.split_at(turn);
                let in_turn = after.iter().zip(turn..).chain(before.iter().zip(0..));
                let with_room = in_turn.filter(|(shared, _)| shared.has_room(self.streams));
                let (shared, at) = with_room.min_by_key(|(shared, _)| shared.under_way.get())?;
                (Rc::clone(shared), at)
            };
            if shared.open.borrow_mut().is_usable() {
                self.turn.set(at + 1);
                return Some(shared);
            }
            self.retire(&shared);
        }
    }

    /// Gives a connection no more requests; closes it if none is under way.
    fn retire(&self, retired: &Rc<Shared>) {
        retired.is_retired.set(true);
        if retired.under_way.get() > 0 {
            return;
        }
        let mut all = self.shared.borrow_mut();
        if let Some(at) = all.iter().position(|shared| Rc::ptr_eq(shared, retired)) {
            all.swap_remove(at);
            self.free.set(self.free.get() + 1);
        }
    }
}

impl Shared {
    fn has_room(&self, streams: usize) -> bool {
        let Link::Http2(session) = &self.open.borrow().link else { return false };
        !self.is_retired.get() && self.under_way.get() < streams.min(session.most_streams())
    }
}

impl Lent<'_> {
    /// An open connection, if there is one.
    pub(crate) fn take(&self) -> Option<Open> {
        if let Some(shared) = &self.shared {
            return shared.open.borrow().again();
        }
        let mut idle = self.pool.idle.borrow_mut();
        std::iter::from_fn(|| idle.pop_front()).find_map(|mut open| open.is_usable().then_some(open))
    }

    /// A connection was opened: one that takes many requests at once is everybody's from now on.
    pub(crate) fn hold(&mut self, open: &Open) {
        let (Some(again), Link::Http2(session)) = (open.again(), &open.link) else { return };
        session.inform(&self.pool.queue);
        let shared =
            Rc::new(Shared { open: RefCell::new(again), under_way: Cell::new(0), is_retired: Cell::new(false) });
        self.pool.shared.borrow_mut().push(Rc::clone(&shared));
        Pool::use_shared(&shared);
        // From now on its place is not ours to give back, but the connection's.
        self.shared = Some(shared);
        self.pool.queue.wake(self.pool.streams.min(session.most_streams()).saturating_sub(1));
    }

    /// Gives an open connection back; without this one that was used alone counts as closed.
    pub(crate) fn give_back(self, open: Open) {
        if let Link::Http1(_) = open.link {
            self.pool.idle.borrow_mut().extend(open.used());
        }
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        match &self.shared {
            Some(shared) => {
                shared.under_way.set(shared.under_way.get() - 1);
                if shared.is_retired.get() {
                    self.pool.retire(shared);
                }
            }
            None => self.pool.free.set(self.pool.free.get() + 1),
        }
        self.pool.queue.wake(1);
    }
}

impl Queue {
    /// There is room for so many more. They are told at once, so that what they send leaves in one write.
    pub(crate) fn wake(&self, most: usize) {
        let mut waiting = self.waiting.borrow_mut();
        for waiting in waiting.iter_mut().filter(|waiting| !waiting.is_told).take(most) {
            waiting.is_told = true;
            waiting.waker.wake_by_ref();
        }
    }

    fn find(waiting: &VecDeque<Waiting>, number: u64) -> Option<usize> {
        waiting.binary_search_by_key(&number, |waiting| waiting.number).ok()
    }
}

/// A wait for the use of a connection.
pub(crate) struct Turn<'a> {
    pool: &'a Pool,
    /// Its place in the queue, once it has one.
    number: Option<u64>,
}

impl<'a> Future for Turn<'a> {
    type Output = Lent<'a>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Lent<'a>> {
        let pool = self.pool;
        let mut waiting = pool.queue.waiting.borrow_mut();
        let is_first = match self.number {
            None => waiting.is_empty(),
            Some(number) => waiting.front().is_some_and(|first| first.number == number),
        };
        if is_first && let Some(lent) = pool.lend() {
            if self.number.take().is_some() {
                waiting.pop_front();
            }
            drop(waiting);
            pool.wake_if_room();
            return Poll::Ready(lent);
        }
        if let Some(number) = self.number {
            if let Some(at) = Queue::find(&waiting, number) {
                waiting[at].waker.clone_from(cx.waker());
                waiting[at].is_told = false;
            }
        } else {
            let number = pool.queue.last.get() + 1;
            pool.queue.last.set(number);
            waiting.push_back(Waiting { number, waker: cx.waker().clone(), is_told: false });
            self.number = Some(number);
        }
        Poll::Pending
    }
}

impl Drop for Turn<'_> {
    /// Who gives up must not keep those that wait behind.
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        let mut waiting = self.pool.queue.waiting.borrow_mut();
        if let Some(at) = Queue::find(&waiting, number) {
            waiting.remove(at);
        }
        drop(waiting);
        self.pool.wake_if_room();
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    fn is_served(turn: Pin<&mut Turn<'_>>) -> bool {
        turn.poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn who_waits_is_served_in_the_order_of_coming() {
        let pool = Pool::new(2, 1);
        let (first, second) = (pool.try_borrow(), pool.try_borrow());
        assert!(first.is_some() && second.is_some() && pool.try_borrow().is_none());
        let (mut third, mut fourth) = (pin!(pool.borrow()), pin!(pool.borrow()));
        assert!(!is_served(third.as_mut()) && !is_served(fourth.as_mut()));
        drop(first);
        assert!(pool.try_borrow().is_none(), "who comes now is behind those that wait");
        assert!(!is_served(fourth.as_mut()), "nor does the second of them go first");
        assert!(is_served(third.as_mut()), "its use ends at once");
        assert!(is_served(fourth.as_mut()));
        assert!(pool.try_borrow().is_some());
    }

    #[test]
    fn who_gives_up_is_waited_for_by_nobody() {
        let pool = Pool::new(1, 1);
        let used = pool.try_borrow();
        let mut first = Box::pin(pool.borrow());
        let mut second = pin!(pool.borrow());
        assert!(!is_served(first.as_mut()) && !is_served(second.as_mut()));
        drop(first);
        assert!(!is_served(second.as_mut()));
        drop(used);
        assert!(is_served(second.as_mut()));
    }

    #[test]
    fn the_next_is_woken_by_who_ends_and_by_who_gives_up() {
        tokio::runtime::Builder::new_current_thread()
            .build_local(tokio::runtime::LocalOptions::default())
            .unwrap()
            .block_on(async {
                let pool = Rc::new(Pool::new(1, 1));
                let used = pool.try_borrow();
                let wait = |pool: &Rc<Pool>| {
                    let pool = Rc::clone(pool);
                    tokio::task::spawn_local(async move { drop(pool.borrow().await) })
                };
                let waits = [wait(&pool), wait(&pool), wait(&pool)];
                tokio::task::yield_now().await;
                waits[0].abort();
                drop(used);
                let [first, second, third] = waits;
                assert!(first.await.is_err());
                second.await.unwrap();
                third.await.unwrap();
            });
    }
}

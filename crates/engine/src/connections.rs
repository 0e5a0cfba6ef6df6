//! Which connection a user's next request goes over.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use proofload_plan::Keep;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, SemaphorePermit};

/// An open connection, and how long it may be kept.
pub(crate) struct Open {
    pub(crate) stream: TcpStream,
    /// Requests that it may still take.
    uses_left: u32,
    expires: Option<Instant>,
}

impl Open {
    pub(crate) fn new(stream: TcpStream, keep: Keep) -> Self {
        let expires = keep.max_age.map(|age| Instant::now() + Duration::from(age));
        Self { stream, uses_left: keep.max_requests.unwrap_or(u32::MAX), expires }
    }

    /// The connection after a request, if it may take another.
    fn used(mut self) -> Option<Self> {
        // Without a limit nothing is counted down.
        self.uses_left -= u32::from(self.uses_left != u32::MAX && self.uses_left > 0);
        (self.uses_left > 0).then_some(self)
    }
}

/// Connections that all users of one thread share.
pub(crate) struct Pool {
    /// One permit for each connection; who waits for one gets it in the order of coming.
    permits: Semaphore,
    /// Open connections that nobody uses; the one that was used longest ago is next.
    idle: RefCell<VecDeque<Open>>,
}

/// The use of one connection of a pool.
pub(crate) struct Lent<'a> {
    pool: &'a Pool,
    _permit: SemaphorePermit<'a>,
}

impl Pool {
    pub(crate) fn new(connections: u32) -> Self {
        Self { permits: Semaphore::new(connections as usize), idle: RefCell::default() }
    }

    /// The use of a connection if one is free.
    pub(crate) fn try_borrow(&self) -> Option<Lent<'_>> {
        self.permits.try_acquire().ok().map(|permit| Lent { pool: self, _permit: permit })
    }

    /// The use of a connection, once one is free.
    pub(crate) async fn borrow(&self) -> Lent<'_> {
        let permit = self.permits.acquire().await.expect("the semaphore is never closed");
        Lent { pool: self, _permit: permit }
    }

    /// Closes the connections that nobody uses.
    pub(crate) fn close(&self) {
        self.idle.borrow_mut().clear();
    }
}

impl Lent<'_> {
    /// An open connection, if there is one.
    pub(crate) fn take(&self) -> Option<Open> {
        let usable = || self.pool.idle.borrow_mut().pop_front();
        std::iter::from_fn(usable).find(is_usable)
    }

    /// Gives an open connection back; without this it counts as closed.
    pub(crate) fn give_back(self, open: Open) {
        self.pool.idle.borrow_mut().extend(open.used());
    }
}

/// Connections of one user's own, used in turn.
pub(crate) struct Own {
    connections: Box<[Option<Open>]>,
    next: usize,
}

impl Own {
    /// So many connections, none of them open yet.
    pub(crate) fn new(connections: u32) -> Self {
        Self { connections: (0..connections.max(1)).map(|_| None).collect(), next: 0 }
    }

    /// The next connection's place, if it is open, and usable.
    pub(crate) fn take(&mut self) -> Option<Open> {
        self.connections[self.next].take().filter(is_usable)
    }

    /// Puts the connection back into the place from which it was taken, and turns to the next. None if it is closed.
    pub(crate) fn put(&mut self, open: Option<Open>) {
        self.connections[self.next] = open.and_then(Open::used);
        self.next = (self.next + 1) % self.connections.len();
    }

    /// Closes all.
    pub(crate) fn close(&mut self) {
        self.connections.fill_with(|| None);
    }
}

/// Whether a connection that was kept alive can take another request. The target may have closed it meanwhile, which
/// every client notices before it sends: the connection is opened again, and nothing is counted as an error. A target
/// that closes it while the request is on its way is another matter: that one is `closed` or `reset`, never retried.
///
/// Costs no system call unless the runtime knows of something to read, which between responses nothing should be.
fn is_usable(open: &Open) -> bool {
    open.expires.is_none_or(|expires| Instant::now() < expires)
        && matches!(open.stream.try_read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

//! Which connection a user's next request goes over: one of its own, or one that all users of the thread share.

mod pool;

use std::rc::Rc;
use std::time::{Duration, Instant};

use proofload_plan::Keep;

use crate::exchange::{Protocol, Scratch, Traffic};
use crate::failure::Failure;
use crate::http1::{Kept, Message};
use crate::http2::Session;
use crate::stream::Stream;

pub(crate) use pool::{Lent, Pool, Queue};

/// A connection, and the protocol that is spoken over it.
pub(crate) enum Link {
    /// HTTP/1.1: one request at a time.
    Http1(Stream),
    /// HTTP/2, which others may hold too.
    Http2(Rc<Session>),
}

impl Protocol for Link {
    async fn exchange(
        &mut self,
        request: &Message<'_>,
        scratch: &Scratch,
        traffic: &mut Traffic,
        kept: &mut Kept<'_>,
    ) -> Result<bool, Failure> {
        match self {
            Self::Http1(link) => link.exchange(request, scratch, traffic, kept).await,
            Self::Http2(link) => link.exchange(request, scratch, traffic, kept).await,
        }
    }

    fn is_usable(&mut self) -> bool {
        match self {
            Self::Http1(link) => link.is_usable(),
            Self::Http2(link) => Protocol::is_usable(link),
        }
    }
}

/// An open connection, and how long it may be kept.
pub(crate) struct Open {
    pub(crate) link: Link,
    /// Requests that it may still take.
    uses_left: u32,
    expires: Option<Instant>,
}

impl Open {
    pub(crate) fn new(link: Link, keep: Keep) -> Self {
        let expires = keep.max_age.map(|age| Instant::now() + Duration::from(age));
        Self { link, uses_left: keep.max_requests.unwrap_or(u32::MAX), expires }
    }

    /// The connection after a request, if it may take another.
    fn used(mut self) -> Option<Self> {
        // Without a limit nothing is counted down.
        self.uses_left -= u32::from(self.uses_left != u32::MAX && self.uses_left > 0);
        (self.uses_left > 0).then_some(self)
    }

    /// Another hold of a connection that takes more than one request at once.
    fn again(&self) -> Option<Self> {
        match &self.link {
            Link::Http1(_) => None,
            Link::Http2(session) => {
                Some(Self { link: Link::Http2(Rc::clone(session)), uses_left: self.uses_left, expires: self.expires })
            }
        }
    }

    /// Whether a connection that was kept alive can take another request. The target may have closed it meanwhile, which
    /// every client notices before it sends: the connection is opened again, and nothing is counted as an error. A target
    /// that closes it while the request is on its way is another matter: that one is `closed` or `reset`, never retried.
    fn is_usable(&mut self) -> bool {
        self.expires.is_none_or(|expires| Instant::now() < expires) && self.link.is_usable()
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

    /// The next connection, if it is open, and usable.
    pub(crate) fn take(&mut self) -> Option<Open> {
        let mut open = self.connections[self.next].take()?;
        open.is_usable().then_some(open)
    }

    /// Before a request over a connection: one that outlives a request that is given up stays in its place.
    pub(crate) fn hold(&mut self, open: &Open) {
        if let Some(again) = open.again() {
            self.connections[self.next] = again.used();
        }
    }

    /// Puts the connection back into its place, and turns to the next. None if it is closed.
    pub(crate) fn put(&mut self, open: Option<Open>) {
        if let Some(open @ Open { link: Link::Http1(_), .. }) = open {
            self.connections[self.next] = open.used();
        }
        self.next = (self.next + 1) % self.connections.len();
    }

    /// Closes all.
    pub(crate) fn close(&mut self) {
        self.connections.fill_with(|| None);
    }
}

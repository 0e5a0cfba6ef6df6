//! HTTP/2 over one connection: many requests at once, each a stream of its own. Frames, header compression and flow
//! control are the `h2` crate's; what a request and its end are to a load generator is ours.
//!
//! A task of its own drives each connection. Requests that are made between two of its turns leave in one write.

mod exchange;
mod head;
mod wire;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use h2::client::{Builder, Connection, ResponseFuture, SendRequest};
use h2::{Reason, SendStream};
use tokio::task::spawn_local;

use crate::connections::Queue;
use crate::failure::Failure;
use crate::stream::Stream;

pub(crate) use head::Head;
use wire::Wire;

/// What the target may send of one response that nobody has looked at. Responses are looked at as they come, so that
/// little is ever held; and updates of the window, which cost a frame each, are rare.
const STREAM_WINDOW: u32 = 1 << 20;
/// The same of all responses of a connection.
const CONNECTION_WINDOW: u32 = 4 << 20;
/// The most bytes of a response's head.
const MAX_HEAD: u32 = 64 << 10;
/// Until the target has said how many requests at once it takes, there is one: no target can refuse that.
const FIRST: usize = 1;
/// How many requests that were given up are remembered, so that what still comes of them is passed over.
const REMEMBERED: usize = 1024;
/// How many violations of single requests, each counted as such, do not yet end the connection for all others.
const VIOLATIONS: usize = 1 << 16;

/// A connection that speaks HTTP/2. It is closed once nobody holds it.
pub(crate) struct Session {
    handle: RefCell<SendRequest<Bytes>>,
    /// How many requests at once the target takes, as far as is known.
    most_streams: Cell<usize>,
    /// With which error the target has closed it, if it said so.
    farewell: Cell<Option<u32>>,
    /// Who waits until it takes more.
    queue: RefCell<Option<Rc<Queue>>>,
}

impl Session {
    /// Begins to speak over a connection. The target is not waited for: its settings come with its first response.
    pub(crate) async fn open(stream: Stream) -> Result<Rc<Self>, Failure> {
        let handshake = Builder::new()
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(MAX_HEAD)
            .initial_max_send_streams(FIRST)
            .max_concurrent_reset_streams(REMEMBERED)
            .max_local_error_reset_streams(Some(VIOLATIONS))
            .enable_push(false)
            .handshake(Wire::new(stream));
        let (handle, connection) = handshake.await.map_err(|error| Failure::http2(&error, false))?;
        let session = Rc::new(Self {
            handle: RefCell::new(handle),
            most_streams: Cell::new(FIRST),
            farewell: Cell::new(None),
            queue: RefCell::default(),
        });
        spawn_local(drive(connection, Rc::downgrade(&session)));
        Ok(session)
    }

    /// Whether it takes another request: the target has neither closed it nor said that it will.
    pub(crate) fn is_usable(&self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        !matches!(self.handle.borrow_mut().poll_ready(&mut cx), Poll::Ready(Err(_)))
    }

    /// How many requests at once the target takes, as far as is known.
    pub(crate) fn most_streams(&self) -> usize {
        self.most_streams.get()
    }

    /// Tells a queue when the target takes more requests, and when the connection has ended.
    pub(crate) fn inform(&self, queue: &Rc<Queue>) {
        self.queue.replace(Some(Rc::clone(queue)));
    }

    /// Begins a request.
    fn send(&self, head: http::Request<()>, is_whole: bool) -> Result<(ResponseFuture, SendStream<Bytes>), h2::Error> {
        // By a handle of its own: one that has a request waiting to be opened would take away that request's waker when
        // it is asked whether it is ready, and keep the request from being reset.
        let mut handle = self.handle.borrow().clone();
        handle.send_request(head, is_whole)
    }

    fn learn(&self, most_streams: usize) {
        let before = self.most_streams.replace(most_streams);
        if before < most_streams {
            self.wake(most_streams - before);
        }
    }

    fn wake(&self, most: usize) {
        if let Some(queue) = &*self.queue.borrow() {
            queue.wake(most);
        }
    }
}

/// Drives a connection for as long as somebody holds its session.
async fn drive(mut connection: Connection<Wire, Bytes>, session: Weak<Session>) {
    poll_fn(|cx| {
        let polled = Pin::new(&mut connection).poll(cx);
        // With nobody to hold it, the target has been told so, if it took that: it is not waited for.
        let Some(session) = session.upgrade() else { return Poll::Ready(()) };
        if let Poll::Ready(result) = polled {
            let said = result.err().filter(|error| error.is_remote() && error.is_go_away());
            session.farewell.set(said.and_then(|error| error.reason()).map(u32::from));
            // Whoever looks at it next finds that it has ended, however little the target took at last.
            session.most_streams.set(usize::MAX);
            session.wake(1);
            return Poll::Ready(());
        }
        session.learn(connection.max_concurrent_send_streams());
        Poll::Pending
    })
    .await;
}

/// An error code by its name in RFC 9113.
pub(crate) fn code_name(code: u32) -> String {
    format!("{:?}", Reason::from(code))
}

//! What hyper's client makes of a response, with the limits that are ours, and no runtime: everything is polled by hand,
//! so that a piece comes exactly when all that came before has been read.

use std::cell::RefCell;
use std::error::Error as _;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use http_body_util::Empty;
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::rt::{Read, ReadBufCursor, Write};

use super::{End, Seen};

/// What the target has sent of its answer.
#[derive(Default)]
struct Sent {
    bytes: Vec<u8>,
    read: usize,
    ended: bool,
}

/// A connection that takes every request, and answers as it is told.
struct Connection(Rc<RefCell<Sent>>);

impl Read for Connection {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, mut buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let mut sent = self.0.borrow_mut();
        let rest = &sent.bytes[sent.read..];
        if rest.is_empty() {
            return if sent.ended { Poll::Ready(Ok(())) } else { Poll::Pending };
        }
        let here = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..here]);
        sent.read += here;
        Poll::Ready(Ok(()))
    }
}

impl Write for Connection {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Whether somebody wants to be polled again.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What hyper makes of these pieces, one after the other, and then the end of the connection.
pub(super) fn hyper(pieces: &[&[u8]], to_head: bool) -> Seen {
    let sent = Rc::new(RefCell::new(Sent::default()));
    let woken = Arc::new(Woken(AtomicBool::new(false)));
    let waker = Waker::from(Arc::clone(&woken));
    let mut client = Client::new(Connection(Rc::clone(&sent)), to_head, &mut Context::from_waker(&waker));
    let settle = |client: &mut Client| {
        loop {
            woken.0.store(false, Ordering::Relaxed);
            client.poll(&mut Context::from_waker(&waker));
            if !woken.0.load(Ordering::Relaxed) {
                return;
            }
        }
    };
    settle(&mut client);
    for piece in pieces {
        sent.borrow_mut().bytes.extend_from_slice(piece);
        settle(&mut client);
    }
    let reusable = client.end == Some(Ok(())) && client.sender.is_ready();
    sent.borrow_mut().ended = true;
    settle(&mut client);
    let end = match client.end.expect("the connection has ended, and so all that waits for it") {
        Ok(()) => End::Complete { reusable },
        Err(failed) => failed,
    };
    Seen { status: client.status, body: client.body, end }
}

type Pinned<T> = Pin<Box<dyn Future<Output = Result<T, hyper::Error>>>>;

/// One request, and what has come of it.
struct Client {
    sender: SendRequest<Empty<Bytes>>,
    connection: Option<Pinned<()>>,
    response: Option<Pinned<http::Response<Incoming>>>,
    incoming: Option<Incoming>,
    status: Option<u16>,
    body: Vec<u8>,
    /// How it ended, once it has.
    end: Option<Result<(), End>>,
}

impl Client {
    fn new(connection: Connection, to_head: bool, cx: &mut Context<'_>) -> Self {
        let mut builder = Builder::new();
        builder.max_headers(256).max_buf_size(64 << 10);
        let mut handshake = Box::pin(builder.handshake(connection));
        let Poll::Ready(Ok((mut sender, connection))) = handshake.as_mut().poll(cx) else {
            panic!("nothing is sent before the first request");
        };
        let request = http::Request::builder().method(super::method(to_head)).uri("/").header("host", "target");
        let response = sender.send_request(request.body(Empty::new()).expect("a request"));
        Self {
            sender,
            connection: Some(Box::pin(connection)),
            response: Some(Box::pin(response)),
            incoming: None,
            status: None,
            body: Vec::new(),
            end: None,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) {
        if let Some(Poll::Ready(_)) = self.connection.as_mut().map(|connection| connection.as_mut().poll(cx)) {
            // What went wrong, the response says too.
            self.connection = None;
        }
        if let Some(Poll::Ready(result)) = self.response.as_mut().map(|response| response.as_mut().poll(cx)) {
            self.response = None;
            match result {
                Ok(response) => {
                    self.status = Some(response.status().as_u16());
                    self.incoming = Some(response.into_body());
                }
                Err(error) => self.finish(Err(failed(&error))),
            }
        }
        while let Some(Poll::Ready(frame)) = self.incoming.as_mut().map(|body| Pin::new(body).poll_frame(cx)) {
            match frame {
                Some(Ok(frame)) => self.body.extend(frame.data_ref().into_iter().flatten()),
                Some(Err(error)) => self.finish(Err(failed(&error))),
                None => self.finish(Ok(())),
            }
        }
    }

    fn finish(&mut self, end: Result<(), End>) {
        self.incoming = None;
        self.end = Some(end);
    }
}

fn failed(error: &hyper::Error) -> End {
    let cause = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    let cut_off = cause.is_some_and(|error| error.kind() == io::ErrorKind::UnexpectedEof);
    if error.is_incomplete_message() || cut_off { End::Closed } else { End::Protocol }
}

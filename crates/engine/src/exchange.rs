//! One request and its response over one connection.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use proofload_api::Outcome;
use proofload_api::step::Method;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::buffers::Buffers;
use crate::failure::Failure;
use crate::http1::{Kept, Message, Response};
use crate::stream::Stream;

/// How much is read at once.
const READ: usize = 64 << 10;

/// What the users of one thread use in turn.
pub(crate) struct Scratch {
    /// Where responses are read to. One for each thread is enough, since what is wanted of a response is taken from it
    /// between two reads: a user that waits for its response has no buffer.
    pub(crate) read: RefCell<Box<[u8]>>,
    /// What is needed for as long as a request is under way.
    pub(crate) buffers: Buffers,
    /// Which checks of an answer held.
    pub(crate) held: RefCell<Vec<bool>>,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        Self { read: RefCell::new(vec![0; READ].into()), buffers: Buffers::default(), held: RefCell::default() }
    }
}

/// What has come and gone so far; kept up to date also for who gives up in the middle.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Traffic {
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) status: Option<u16>,
}

/// A protocol of requests, spoken over one connection.
pub(crate) trait Protocol {
    /// Sends a request and follows its response to the end; whether the connection can be used again.
    async fn exchange(
        &mut self,
        request: &Message<'_>,
        scratch: &Scratch,
        traffic: &mut Traffic,
        kept: &mut Kept<'_>,
    ) -> Result<bool, Failure>;

    /// Whether a connection that was kept alive can take another request.
    fn is_usable(&mut self) -> bool;
}

/// HTTP/1.1, which needs nothing beside the connection.
impl Protocol for Stream {
    async fn exchange(
        &mut self,
        request: &Message<'_>,
        scratch: &Scratch,
        traffic: &mut Traffic,
        kept: &mut Kept<'_>,
    ) -> Result<bool, Failure> {
        let response = Response::new(request.method() == Method::Head);
        let mut under_way = UnderWay { request, response, written: 0, is_sent: false, broken: None, traffic, kept };
        poll_fn(|cx| {
            if !under_way.is_sent {
                under_way.write(self, cx);
            }
            under_way.read(self, cx, &mut scratch.read.borrow_mut())
        })
        .await
    }

    fn is_usable(&mut self) -> bool {
        self.is_quiet()
    }
}

struct UnderWay<'a, 'b, 'c> {
    request: &'a Message<'b>,
    response: Response,
    written: usize,
    /// Whether all of it has left the process.
    is_sent: bool,
    /// Why no more can be written.
    broken: Option<Failure>,
    traffic: &'a mut Traffic,
    kept: &'a mut Kept<'c>,
}

impl UnderWay<'_, '_, '_> {
    /// Writes what the connection takes. An error does not end the exchange: a target that refuses a large body answers,
    /// and closes.
    fn write(&mut self, stream: &mut Stream, cx: &mut Context<'_>) {
        while self.broken.is_none() && self.written < self.request.length() {
            match Pin::new(&mut *stream).poll_write(cx, self.request.rest(self.written)) {
                Poll::Ready(Ok(written)) => {
                    self.written += written;
                    self.traffic.bytes_out += written as u64;
                }
                Poll::Ready(Err(error)) => self.broken = Some(Failure::broken(&error)),
                Poll::Pending => return,
            }
        }
        // TLS takes more than the connection does. For plain text this does nothing.
        if self.broken.is_none() {
            match Pin::new(&mut *stream).poll_flush(cx) {
                Poll::Ready(Ok(())) => self.is_sent = true,
                Poll::Ready(Err(error)) => self.broken = Some(Failure::broken(&error)),
                Poll::Pending => {}
            }
        }
    }

    fn read(&mut self, stream: &mut Stream, cx: &mut Context<'_>, scratch: &mut [u8]) -> Poll<Result<bool, Failure>> {
        loop {
            let mut buffer = ReadBuf::new(scratch);
            // A read that does not fill the buffer tells the runtime that there is no more, which saves a second one.
            let read = ready!(Pin::new(&mut *stream).poll_read(cx, &mut buffer));
            let result = match read {
                Ok(()) if buffer.filled().is_empty() => self.at_end(),
                Ok(()) => self.follow(buffer.filled()),
                // TLS that ends without saying so: whoever is between may have cut it off.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => self.cut(),
                Err(error) => {
                    // What TLS has to say explains why no more could be written.
                    let failure = Failure::broken(&error);
                    let is_tls = failure.outcome == Outcome::Tls;
                    Err(self.broken.take().filter(|_| !is_tls).unwrap_or(failure))
                }
            };
            match result {
                Ok(None) => {}
                Ok(Some(reusable)) => return Poll::Ready(Ok(reusable)),
                Err(failure) => return Poll::Ready(Err(failure)),
            }
        }
    }

    /// Whether the connection can be used again; none if the response goes on.
    fn follow(&mut self, bytes: &[u8]) -> Result<Option<bool>, Failure> {
        let followed = self.response.follow(bytes, self.kept);
        self.traffic.status = self.response.status();
        self.traffic.bytes_in += *followed.as_ref().unwrap_or(&bytes.len()) as u64;
        let used = followed?;
        if !self.response.is_complete() {
            return Ok(None);
        }
        // Bytes beyond the response answer nothing that was asked. The request has its own response; the connection is
        // given up, since the next one's could not be told from them.
        let is_exact = used == bytes.len() && self.written == self.request.length();
        Ok(Some(is_exact && self.response.keeps_alive() && !self.request.closes()))
    }

    fn at_end(&mut self) -> Result<Option<bool>, Failure> {
        if self.response.end()? {
            return Ok(Some(false));
        }
        self.cut()
    }

    fn cut(&mut self) -> Result<Option<bool>, Failure> {
        Err(self.broken.take().unwrap_or_else(|| Failure::closed(self.traffic.bytes_in > 0)))
    }
}

//! An open web socket, and what can be done with it.
//!
//! Nobody reads it between two actions: what the target sends meanwhile waits in the kernel, its pings are answered by
//! the next action, and a close is found by it. A user that is to stay responsive holds its web socket (`hold`).
//! Messages come in their order, and none is lost between actions that wait for one; a ping, a hold and a close pass over
//! those that come meanwhile.

use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use memchr::memmem;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig, WebSocketContext};
use tokio_tungstenite::tungstenite::{Bytes, Error, Message, Utf8Bytes};

use crate::exchange::Traffic;
use crate::failure::Failure;
use crate::http1::MAX_BODY;
use crate::stream::Stream;

/// How much is read at once: what each open web socket holds, all the time.
const READ: usize = 4 << 10;

/// What may wait to be written beside the user's own message: answers to pings, which a target can send without end,
/// and without reading ours.
const SLACK: usize = 16 << 10;

/// An open web socket. Boxed, since a user without one is to pay no more than a pointer.
///
/// Its buffers are as large as the longest message that it has sent and received.
pub(crate) struct Session {
    stream: Stream,
    context: WebSocketContext,
    /// A message that came when nobody waited for one: who only sends must read, to find out whether it still can.
    inbox: Option<Message>,
    /// Pings sent so far; each has its number as its payload.
    pings: u64,
}

/// What an action waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted<'a> {
    /// Nothing: it is over when what it sends is written.
    Nothing,
    /// The next message that contains this.
    Message(&'a [u8]),
    /// The answer to a ping.
    Pong(Bytes),
    /// The target's close, after the own one.
    Close,
    /// What never comes: it is over when the web socket is.
    End,
}

/// An action under way.
struct Talk<'a> {
    outgoing: Option<Message>,
    is_written: bool,
    wanted: Wanted<'a>,
    found: Option<Message>,
}

/// The stream, as tungstenite wants it: what would have to wait is an error. Counts what goes over it.
struct Pipe<'a, 'b> {
    stream: &'a mut Stream,
    cx: &'a mut Context<'b>,
    traffic: &'a mut Traffic,
}

impl Session {
    /// The session that begins with these bytes, which came with the answer to the handshake.
    pub(super) fn new(stream: Stream, first: Vec<u8>) -> Box<Self> {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ)
            .write_buffer_size(0)
            .max_write_buffer_size(SLACK)
            .max_message_size(Some(MAX_BODY))
            .max_frame_size(Some(MAX_BODY));
        let context = WebSocketContext::from_partially_read(first, Role::Client, Some(config));
        Box::new(Self { stream, context, inbox: None, pings: 0 })
    }

    /// Sends a text, if there is one, and waits for what is wanted.
    pub(crate) async fn message(
        &mut self,
        text: Option<&[u8]>,
        wanted: Wanted<'_>,
        traffic: &mut Traffic,
    ) -> Result<Option<Message>, Failure> {
        let outgoing = text.map(|text| {
            let most = text.len() + 2 * SLACK;
            // Something of an earlier message may not have been written yet.
            self.context.set_config(|config| config.max_write_buffer_size = config.max_write_buffer_size.max(most));
            // Rendered of texts, so that it is one.
            Message::text(&*String::from_utf8_lossy(text))
        });
        self.talk(outgoing, wanted, traffic).await
    }

    /// Sends a ping and waits for its pong.
    pub(crate) async fn ping(&mut self, traffic: &mut Traffic) -> Result<Option<Message>, Failure> {
        self.pings += 1;
        let payload = Bytes::copy_from_slice(&self.pings.to_be_bytes());
        self.talk(Some(Message::Ping(payload.clone())), Wanted::Pong(payload), traffic).await
    }

    /// Sends a close and waits for the target's.
    pub(crate) async fn close(&mut self, code: u16, traffic: &mut Traffic) -> Result<Option<Message>, Failure> {
        let frame = CloseFrame { code: CloseCode::from(code), reason: Utf8Bytes::default() };
        self.talk(Some(Message::Close(Some(frame))), Wanted::Close, traffic).await
    }

    /// Answers pings and passes over messages until the web socket is closed: why.
    pub(crate) async fn hold(&mut self, traffic: &mut Traffic) -> Result<Option<Message>, Failure> {
        self.talk(None, Wanted::End, traffic).await
    }

    /// Waits for the end of the connection, which is for the target to close (RFC 6455, 7.1.1): who closes first keeps
    /// the port for a minute, and the generator needs its ports.
    pub(crate) async fn end(&mut self) {
        let mut traffic = Traffic::default();
        poll_fn(|cx| {
            loop {
                match self.read(cx, &mut traffic) {
                    Poll::Ready(Ok(_)) => {}
                    Poll::Ready(Err(_)) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await;
    }

    async fn talk(
        &mut self,
        outgoing: Option<Message>,
        wanted: Wanted<'_>,
        traffic: &mut Traffic,
    ) -> Result<Option<Message>, Failure> {
        let mut talk = Talk { is_written: outgoing.is_none(), outgoing, wanted, found: None };
        poll_fn(|cx| talk.poll(self, cx, traffic)).await
    }

    fn read(&mut self, cx: &mut Context<'_>, traffic: &mut Traffic) -> Poll<Result<Message, Failure>> {
        match self.context.read(&mut Pipe { stream: &mut self.stream, cx, traffic }) {
            Ok(message) => Poll::Ready(Ok(message)),
            Err(error) if would_block(&error) => Poll::Pending,
            Err(error) => Poll::Ready(Err(failure(&error))),
        }
    }

    /// Writes a message, if there is one, and all that is not written yet.
    fn write(
        &mut self,
        message: Option<Message>,
        cx: &mut Context<'_>,
        traffic: &mut Traffic,
    ) -> Poll<Result<(), Failure>> {
        let mut pipe = Pipe { stream: &mut self.stream, cx, traffic };
        let written = message.map_or(Ok(()), |message| self.context.write(&mut pipe, message));
        match written.and_then(|()| self.context.flush(&mut pipe)) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(error) if would_block(&error) => Poll::Pending,
            Err(error) => Poll::Ready(Err(self.last_words(cx, traffic).unwrap_or_else(|| failure(&error)))),
        }
    }

    /// What the target has said before a connection that takes no more: its close, if it is among that.
    fn last_words(&mut self, cx: &mut Context<'_>, traffic: &mut Traffic) -> Option<Failure> {
        loop {
            match self.read(cx, traffic) {
                Poll::Ready(Ok(Message::Close(frame))) => return Some(farewell(frame.as_ref())),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(_)) | Poll::Pending => return None,
            }
        }
    }
}

impl Drop for Session {
    /// However the session ends, the target is told, if the connection takes that at once: nobody waits for it, nor for
    /// the answer. One that is closed already sends the answer to the target's close, which is due.
    fn drop(&mut self) {
        let (mut traffic, mut cx) = (Traffic::default(), Context::from_waker(Waker::noop()));
        let mut pipe = Pipe { stream: &mut self.stream, cx: &mut cx, traffic: &mut traffic };
        let away = CloseFrame { code: CloseCode::Away, reason: Utf8Bytes::default() };
        let _ = self.context.close(&mut pipe, Some(away));
    }
}

impl Talk<'_> {
    fn poll(
        &mut self,
        session: &mut Session,
        cx: &mut Context<'_>,
        traffic: &mut Traffic,
    ) -> Poll<Result<Option<Message>, Failure>> {
        // What has come is looked at first: nothing is to be sent to a target that has closed before. A target that does
        // not read until it has written is listened to meanwhile.
        while self.listens(session) {
            match session.read(cx, traffic) {
                Poll::Ready(Ok(message)) => self.take(message, session)?,
                Poll::Ready(Err(failure)) => return Poll::Ready(Err(failure)),
                Poll::Pending => break,
            }
        }
        if !self.is_written && session.write(self.outgoing.take(), cx, traffic)?.is_ready() {
            self.is_written = true;
        }
        let is_done = self.is_written && (self.wanted == Wanted::Nothing || self.found.is_some());
        if is_done { Poll::Ready(Ok(self.found.take())) } else { Poll::Pending }
    }

    /// Whether it takes another message; the one that waits is the first.
    fn listens(&mut self, session: &mut Session) -> bool {
        match (&self.wanted, session.inbox.take()) {
            (Wanted::Nothing, inbox) => session.inbox = inbox,
            (Wanted::Message(part), Some(message)) if contains(&message, part) => {
                self.found.get_or_insert(message);
            }
            _ => {}
        }
        if self.wanted == Wanted::Nothing { session.inbox.is_none() } else { self.found.is_none() }
    }

    fn take(&mut self, message: Message, session: &mut Session) -> Result<(), Failure> {
        let is_wanted = match (&message, &self.wanted) {
            (Message::Close(_), Wanted::Close) if self.outgoing.is_none() => true,
            (Message::Close(frame), _) => return Err(farewell(frame.as_ref())),
            (Message::Pong(payload), Wanted::Pong(own)) => payload == own,
            (Message::Text(_) | Message::Binary(_), Wanted::Nothing) => {
                session.inbox = Some(message);
                return Ok(());
            }
            (Message::Text(_) | Message::Binary(_), Wanted::Message(part)) => contains(&message, part),
            _ => false,
        };
        if is_wanted {
            self.found = Some(message);
        }
        Ok(())
    }
}

impl Read for Pipe<'_, '_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(bytes);
        now(Pin::new(&mut *self.stream).poll_read(self.cx, &mut buffer))?;
        let read = buffer.filled().len();
        self.traffic.bytes_in += read as u64;
        Ok(read)
    }
}

impl Write for Pipe<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = now(Pin::new(&mut *self.stream).poll_write(self.cx, bytes))?;
        self.traffic.bytes_out += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        now(Pin::new(&mut *self.stream).poll_flush(self.cx))
    }
}

fn now<T>(poll: Poll<io::Result<T>>) -> io::Result<T> {
    match poll {
        Poll::Ready(result) => result,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

fn would_block(error: &Error) -> bool {
    matches!(error, Error::Io(error) if error.kind() == io::ErrorKind::WouldBlock)
}

fn contains(message: &Message, part: &[u8]) -> bool {
    let bytes = match message {
        Message::Text(text) => text.as_bytes(),
        Message::Binary(bytes) => bytes,
        _ => return false,
    };
    memmem::find(bytes, part).is_some()
}

fn farewell(frame: Option<&CloseFrame>) -> Failure {
    Failure::farewell(frame.map(|frame| (frame.code.into(), frame.reason.as_str())))
}

fn failure(error: &Error) -> Failure {
    match error {
        // How TLS says that the connection has ended without its own farewell.
        Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => Failure::unannounced(),
        Error::Io(error) => Failure::broken(error),
        Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Failure::unannounced(),
        Error::Capacity(_) => Failure::frame("over 1 MiB"),
        Error::Utf8(_) => Failure::frame("a text that is not UTF-8"),
        Error::Protocol(broken) => Failure::frame(match broken {
            ProtocolError::NonZeroReservedBits => "a frame with reserved bits",
            ProtocolError::MaskedFrameFromServer => "a frame that is masked",
            ProtocolError::FragmentedControlFrame => "a control frame in pieces",
            ProtocolError::ControlFrameTooBig => "a control frame over 125 bytes",
            ProtocolError::UnexpectedContinueFrame => "the next piece of no message",
            ProtocolError::ExpectedFragment(_) => "a message within another one",
            ProtocolError::InvalidCloseSequence => "a close frame of one byte",
            _ => "a frame of no known kind",
        }),
        _ => Failure::frame("no web socket frame"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an open web socket holds beside its user, while nothing is under way: this, its buffer, and a few bytes for
    /// the last message that it has sent.
    #[test]
    fn a_web_socket_at_rest_is_small() {
        const MOST: usize = 6 << 10;
        assert!(size_of::<Session>() + READ <= MOST, "{}", size_of::<Session>());
    }
}

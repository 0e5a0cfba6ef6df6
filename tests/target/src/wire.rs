//! The bytes of a connection, plain or within TLS, and the ways in which it ends.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// What an HTTP/2 connection begins with (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How long a connection that was closed is read from, so that the peer sees its end and not a reset.
const DRAIN: Duration = Duration::from_secs(5);

/// A connection, and what was read from it but not used.
pub(crate) struct Wire {
    inner: Inner,
    unread: Vec<u8>,
}

enum Inner {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// How a connection ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    /// After all that was written.
    Close,
    /// By TCP reset.
    Reset,
    /// After these bytes, which are not what the protocol wants here.
    Say(Vec<u8>),
}

impl Wire {
    pub(crate) fn plain(stream: TcpStream) -> Self {
        Self { inner: Inner::Plain(stream), unread: Vec::new() }
    }

    pub(crate) fn tls(stream: TlsStream<TcpStream>) -> Self {
        Self { inner: Inner::Tls(Box::new(stream)), unread: Vec::new() }
    }

    /// Gives back bytes that were read: they come first.
    pub(crate) fn give_back(&mut self, bytes: Vec<u8>) {
        debug_assert!(self.unread.is_empty(), "bytes are given back once");
        self.unread = bytes;
    }

    /// Whether the peer speaks HTTP/2, which its first bytes say. Takes nothing of them away.
    pub(crate) async fn speaks_http2(&mut self) -> io::Result<bool> {
        let mut seen = Vec::new();
        while seen.len() < PREFACE.len() && PREFACE.starts_with(&seen) {
            if self.read_buf(&mut seen).await? == 0 {
                break;
            }
        }
        let speaks = seen.starts_with(PREFACE);
        self.give_back(seen);
        Ok(speaks)
    }

    /// Ends the connection.
    pub(crate) async fn end(mut self, ending: Ending) {
        match ending {
            Ending::Reset => return reset(self.tcp()),
            // Who is gone hears nothing.
            Ending::Say(bytes) => drop(self.write_all(&bytes).await),
            Ending::Close => {}
        }
        if self.shutdown().await.is_err() {
            return;
        }
        // Closing with bytes unread would send a reset.
        let _ = tokio::time::timeout(DRAIN, self.until_closed()).await;
    }

    /// Reads until the peer has closed the connection.
    pub(crate) async fn until_closed(&mut self) {
        let mut bytes = [0; 4096];
        while self.read(&mut bytes).await.is_ok_and(|read| read > 0) {}
    }

    fn tcp(&self) -> &TcpStream {
        match &self.inner {
            Inner::Plain(stream) => stream,
            Inner::Tls(stream) => stream.get_ref().0,
        }
    }
}

/// Lets the end of this connection be a reset: with no time to linger, closing sends RST.
pub(crate) fn reset(stream: &TcpStream) {
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.unread.is_empty() {
            let here = self.unread.len().min(buffer.remaining());
            buffer.put_slice(&self.unread[..here]);
            self.unread.drain(..here);
            return Poll::Ready(Ok(()));
        }
        match &mut self.inner {
            Inner::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Inner::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.inner {
            Inner::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Inner::Tls(stream) => {
                let written = ready!(Pin::new(&mut **stream).poll_write(cx, bytes))?;
                // What the session holds back is sent by the next flush; only an error matters here.
                if let Poll::Ready(Err(error)) = Pin::new(stream).poll_flush(cx) {
                    return Poll::Ready(Err(error));
                }
                Poll::Ready(Ok(written))
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.inner {
            Inner::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Inner::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.inner {
            Inner::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Inner::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// A wire that is lent to a library and is still there when the library has let it go.
#[derive(Clone)]
pub(crate) struct Lent(Arc<Mutex<Wire>>);

impl Lent {
    pub(crate) fn new(wire: Wire) -> Self {
        Self(Arc::new(Mutex::new(wire)))
    }

    /// The wire, if nobody else has it.
    pub(crate) fn take_back(self) -> Option<Wire> {
        Arc::into_inner(self.0).map(|wire| wire.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    fn with<T>(&self, use_it: impl FnOnce(Pin<&mut Wire>) -> T) -> T {
        use_it(Pin::new(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl AsyncRead for Lent {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.with(|wire| wire.poll_read(cx, buffer))
    }
}

impl AsyncWrite for Lent {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.with(|wire| wire.poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|wire| wire.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|wire| wire.poll_shutdown(cx))
    }
}

//! One request and its response, over one stream of a connection.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use h2::client::ResponseFuture;
use h2::{RecvStream, SendStream};
use http::header::SET_COOKIE;
use proofload_api::Outcome;

use super::Session;
use super::head::{self, FRAME, Head};
use crate::exchange::{Protocol, Scratch, Traffic};
use crate::failure::Failure;
use crate::http1::{Kept, Message};

/// A body up to this is handed over at once, and waits for the target's window inside of the connection.
const SMALL: usize = 16 << 10;
/// Of a longer one, so much at a time.
const CHUNK: usize = 64 << 10;

impl Protocol for Rc<Session> {
    /// A request that is given up is reset, and the connection goes on.
    async fn exchange(
        &mut self,
        request: &Message<'_>,
        _: &Scratch,
        traffic: &mut Traffic,
        kept: &mut Kept<'_>,
    ) -> Result<bool, Failure> {
        // Boxed, so that users of HTTP/1.1, most of which are at rest, have no place for it.
        Box::pin(async {
            let Head { request: head, size } = Head::of(request)?;
            let body = request.length() - request.head_length();
            let session: &Session = self;
            let (response, sending) = session.send(head, body == 0).map_err(|error| Failure::http2(&error, false))?;
            traffic.bytes_out += size;
            let sending = (body > 0).then_some(sending);
            let mut under_way = UnderWay {
                session,
                request,
                sending,
                body,
                written: 0,
                response: Coming::Head(response),
                traffic,
                kept,
            };
            poll_fn(|cx| {
                under_way.write(cx);
                under_way.read(cx)
            })
            .await
        })
        .await
    }

    fn is_usable(&mut self) -> bool {
        Session::is_usable(self)
    }
}

struct UnderWay<'a, 'b, 'c> {
    session: &'a Session,
    request: &'a Message<'b>,
    /// None once all of the body is handed over, or the target takes no more.
    sending: Option<SendStream<Bytes>>,
    /// How long the body is.
    body: usize,
    written: usize,
    response: Coming,
    traffic: &'a mut Traffic,
    kept: &'a mut Kept<'c>,
}

enum Coming {
    Head(ResponseFuture),
    Body(RecvStream),
}

impl UnderWay<'_, '_, '_> {
    /// Hands over what the target's window takes of the body. An error does not end the exchange: a target that refuses
    /// a large body answers, and resets.
    fn write(&mut self, cx: &mut Context<'_>) {
        let Some(mut stream) = self.sending.take() else { return };
        while self.written < self.body {
            let room = if self.body <= SMALL {
                self.body
            } else {
                match Self::room(&mut stream, (self.body - self.written).min(CHUNK), cx) {
                    Poll::Ready(Some(room)) => room,
                    Poll::Ready(None) => return,
                    Poll::Pending => {
                        self.sending = Some(stream);
                        return;
                    }
                }
            };
            let piece = self.piece(room);
            let length = piece.len();
            if stream.send_data(piece, self.written + length == self.body).is_err() {
                return;
            }
            self.written += length;
            self.traffic.bytes_out += FRAME + length as u64;
        }
    }

    /// How many bytes the target's window takes; none if it takes no more at all.
    fn room(stream: &mut SendStream<Bytes>, wanted: usize, cx: &mut Context<'_>) -> Poll<Option<usize>> {
        stream.reserve_capacity(wanted);
        match stream.capacity() {
            0 => Poll::Ready(ready!(stream.poll_capacity(cx)).and_then(Result::ok).map(|room| room.min(wanted))),
            room => Poll::Ready(Some(room.min(wanted))),
        }
    }

    /// The next bytes of the body, at most so many.
    fn piece(&self, most: usize) -> Bytes {
        let mut piece = BytesMut::with_capacity(most);
        while piece.len() < most {
            let rest = self.request.rest(self.request.head_length() + self.written + piece.len());
            piece.extend_from_slice(&rest[..rest.len().min(most - piece.len())]);
        }
        piece.freeze()
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Failure>> {
        if let Coming::Head(response) = &mut self.response {
            let response = match ready!(Pin::new(response).poll(cx)) {
                Ok(response) => response,
                Err(error) => return Poll::Ready(Err(self.failure(&error))),
            };
            let (status, headers) = (response.status().as_u16(), response.headers());
            self.traffic.bytes_in += head::size(headers)?;
            self.traffic.status = Some(status);
            self.kept.head_by(status, headers.contains_key(SET_COOKIE), |out| head::write(status, headers, out));
            self.response = Coming::Body(response.into_body());
        }
        let Coming::Body(body) = &mut self.response else { return Poll::Pending };
        loop {
            match ready!(body.poll_data(cx)) {
                None => return Poll::Ready(Ok(true)),
                Some(Ok(bytes)) => {
                    self.traffic.bytes_in += FRAME + bytes.len() as u64;
                    self.kept.body(&bytes);
                    // Only a stream that has ended meanwhile has no window.
                    let _ = body.flow_control().release_capacity(bytes.len());
                }
                // Not so where the response was whole, and a target stops the request's body (RFC 9113, 8.1): then the end
                // comes first.
                Some(Err(error)) => return Poll::Ready(Err(self.failure(&error))),
            }
        }
    }

    fn failure(&self, error: &h2::Error) -> Failure {
        let failure = Failure::http2(error, self.traffic.bytes_in > 0);
        match self.session.farewell.get() {
            Some(code) if failure.outcome == Outcome::Closed => Failure::gone_away(code),
            _ => failure,
        }
    }
}

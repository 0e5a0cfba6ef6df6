//! One step of a user over its web socket.

use std::pin::pin;
use std::time::{Duration, Instant};

use tokio_tungstenite::tungstenite::Message;

use super::request::{Came, Trip};
use super::{Broken, End, Performer};
use crate::dial::Offer;
use crate::failure::Failure;
use crate::http1::{Kept, Message as Request};
use crate::pacer::Fate;
use crate::render::{Text, Unset};
use crate::web_socket::{Action, Handshake, Session, Wanted};

/// How long a user waits for the target to end the connection of a web socket that both have closed. Not counted.
const LINGER: Duration = Duration::from_secs(1);

impl<'a> Performer<'a> {
    /// One step over the web socket. If it was ended from outside, how. The clock is read at its end.
    pub(super) async fn web_socket(
        &mut self,
        step: usize,
        action: &'a Action,
        intended: Instant,
        end: &End<'_>,
    ) -> Result<Option<Fate>, Broken> {
        let fate = match action {
            Action::Connect(handshake) => self.connect(step, handshake, intended).await?,
            Action::Hold(time) => self.hold(step, intended, intended + *time, end).await?,
            action => self.talk(step, action, intended).await?,
        };
        // A target that closes at once, or a hold of no time, would keep this thread from everything else.
        tokio::task::yield_now().await;
        Ok(fate)
    }

    /// Opens the web socket; the one before is closed.
    async fn connect(
        &mut self,
        step: usize,
        handshake: &'a Handshake,
        intended: Instant,
    ) -> Result<Option<Fate>, Broken> {
        let (worker, place, prepared) = (self.worker, self.place, &self.track.steps[step]);
        let message = self.render(&handshake.request, intended)?;
        self.socket = None;
        let mut trip = Trip::default();
        let mut kept = Kept::new(prepared.wants, &worker.scratch.buffers);
        let deadline = intended + worker.script.timeout;
        let opened = place.within(deadline, pin!(self.open(handshake, &message, &mut trip, &mut kept))).await;
        let mut socket = None;
        let result = opened.map(|opened| opened.map(|session| socket = session));
        self.now = Instant::now();
        let came = Came { step, intended, end: self.now, trip: &trip, kept: &kept };
        if matches!(result, Ok(Ok(()))) {
            self.take_cookies(&kept, &message, self.now);
        }
        // One that was not expected is of no use to the steps that follow.
        self.socket = socket.filter(|_| prepared.expects(101));
        self.judge(&came, &result);
        Ok(result.err())
    }

    async fn open(
        &self,
        handshake: &Handshake,
        message: &Request<'_>,
        trip: &mut Trip,
        kept: &mut Kept<'_>,
    ) -> Result<Option<Box<Session>>, Failure> {
        trip.ran = Some(Instant::now());
        trip.sent = trip.ran;
        let stream = self.worker.dialer.reach(Offer::WebSocket).await?;
        self.place.sent();
        handshake.shake(stream, message, &self.worker.scratch, &mut trip.traffic, kept).await
    }

    /// A message, a ping or a close. After any failure the web socket is closed. What was cut off at the end of the load
    /// leaves it open, as the user may have something to do over it before it leaves.
    async fn talk(&mut self, step: usize, action: &Action, intended: Instant) -> Result<Option<Fate>, Broken> {
        if self.socket.is_none() {
            return Err(Broken);
        }
        let (worker, place) = (self.worker, self.place);
        let buffers = &worker.scratch.buffers;
        let (mut text, mut part) = (buffers.lend(), buffers.lend());
        let mut has_text = false;
        if let Action::Message { send, until, .. } = action {
            has_text = self.fill_in(send.as_ref(), &mut text)?;
            self.fill_in(until.as_ref(), &mut part)?;
        }
        let mut session = self.socket.take().ok_or(Broken)?;
        let ran = Instant::now();
        let mut trip = Trip { ran: Some(ran), sent: Some(ran), ..Trip::default() };
        let mut kept = Kept::new(self.track.steps[step].wants, buffers);
        let talking = async {
            place.sent();
            let traffic = &mut trip.traffic;
            match action {
                Action::Message { receive, .. } => {
                    let wanted = if *receive { Wanted::Message(&part) } else { Wanted::Nothing };
                    session.message(has_text.then_some(&text[..]), wanted, traffic).await
                }
                Action::Close(code) => session.close(*code, traffic).await,
                Action::Ping | Action::Connect(_) | Action::Hold(_) => session.ping(traffic).await,
            }
        };
        let result = place.within(intended + worker.script.timeout, pin!(talking)).await;
        self.now = Instant::now();
        let result = result.map(|result| result.map(|message| keep(message.as_ref(), &mut kept)));
        self.judge(&Came { step, intended, end: self.now, trip: &trip, kept: &kept }, &result);
        match (&result, action) {
            (Ok(Ok(())), Action::Close(_)) => {
                let _ = place.within(self.now + LINGER, pin!(session.end())).await;
                self.now = Instant::now();
            }
            (Ok(Ok(())) | Err(Fate::Cut), _) => self.socket = Some(session),
            _ => {}
        }
        Ok(result.err())
    }

    /// Holds the web socket open until a time. Counted only if it is closed meanwhile.
    async fn hold(
        &mut self,
        step: usize,
        intended: Instant,
        until: Instant,
        end: &End<'_>,
    ) -> Result<Option<Fate>, Broken> {
        let place = self.place;
        let mut session = self.socket.take().ok_or(Broken)?;
        let ran = Instant::now();
        let mut trip = Trip { ran: Some(ran), sent: Some(ran), ..Trip::default() };
        let closed = loop {
            // A pause to the microsecond, which a stop and a change of the load end as any other.
            let now = end().map_or(until, |end| end.min(until));
            tokio::select! {
                biased;
                closed = session.hold(&mut trip.traffic) => break closed.map(|_| ()),
                _ = place.sleep_until(now) => {}
            }
            self.now = Instant::now();
            let has_held = self.now >= until;
            if has_held || self.worker.pacer.is_stopped() || end().is_some_and(|end| end <= self.now) {
                self.socket = Some(session);
                return Ok((!has_held).then_some(Fate::Cut));
            }
        };
        self.now = Instant::now();
        let kept = Kept::new(self.track.steps[step].wants, &self.worker.scratch.buffers);
        self.judge(&Came { step, intended, end: self.now, trip: &trip, kept: &kept }, &Ok(closed));
        Ok(None)
    }

    /// Fills in a text, if there is one; whether there is.
    fn fill_in(&mut self, text: Option<&Text>, out: &mut Vec<u8>) -> Result<bool, Unset> {
        text.map_or(Ok(()), |text| text.render(&mut self.known(false), out))?;
        Ok(text.is_some())
    }
}

/// Keeps a message as what it is to checks: a body.
fn keep(message: Option<&Message>, kept: &mut Kept<'_>) {
    match message {
        Some(Message::Text(text)) => kept.body(text.as_bytes()),
        Some(Message::Binary(bytes)) => kept.body(bytes),
        _ => {}
    }
}

//! One step of a user: its request, what comes of it, and what follows from that.

use std::pin::pin;
use std::time::{Duration, Instant, SystemTime};

use proofload_api::Outcome;
use proofload_api::units::Micros;
use proofload_plan::MAX_REDIRECTS;
use proofload_results::Sample;

use super::Performer;
use crate::checks::Answer;
use crate::connections::{Lent, Open};
use crate::exchange::{Protocol, Traffic};
use crate::failure::{Detail, Failure};
use crate::http1::{Kept, Message, Prepared, values};
use crate::pacer::Fate;
use crate::recorder::Finished;
use crate::redirect;
use crate::render::Unset;

/// How a request went, as far as it got.
#[derive(Default)]
pub(super) struct Trip {
    /// When the user came to it.
    pub(super) ran: Option<Instant>,
    /// When it was sent; for a request that needs a new connection, when connecting began.
    pub(super) sent: Option<Instant>,
    pub(super) traffic: Traffic,
}

/// What came of a request.
pub(super) struct Came<'a> {
    pub(super) step: usize,
    pub(super) intended: Instant,
    pub(super) end: Instant,
    pub(super) trip: &'a Trip,
    pub(super) kept: &'a Kept<'a>,
}

impl<'a> Performer<'a> {
    /// One step: its request, and those that follow from answers that point elsewhere. If one was ended from outside, how.
    /// The clock is read after the last.
    pub(super) async fn request(
        &mut self,
        step: usize,
        request: &'a Prepared,
        mut intended: Instant,
    ) -> Result<Option<Fate>, Unset> {
        let (worker, place, prepared) = (self.worker, self.place, &self.track.steps[step]);
        let buffers = &worker.scratch.buffers;
        let mut message = self.render(request, intended)?;
        for hop in 0.. {
            let mut trip = Trip::default();
            let mut kept = Kept::new(prepared.wants, buffers);
            let deadline = intended + worker.script.timeout;
            let result = place.within(deadline, pin!(self.attempt(&message, &mut trip, &mut kept))).await;
            let end = Instant::now();
            self.now = end;
            let came = Came { step, intended, end, trip: &trip, kept: &kept };
            let is_complete = matches!(result, Ok(Ok(())));
            if is_complete {
                self.take_cookies(&kept, &message, end);
                let next = if hop < MAX_REDIRECTS { self.follow(request, &came, &message) } else { None };
                if let Some(next) = next {
                    self.count(&came, Outcome::Ok, None, &[]);
                    if worker.pacer.is_stopped() {
                        return Ok(Some(Fate::Cut));
                    }
                    (message, intended) = (next, end);
                    continue;
                }
            }
            self.judge(&came, &result);
            return Ok(match result {
                Err(fate) => Some(fate),
                Ok(Ok(())) => None,
                Ok(Err(_)) => {
                    // A target that refuses at once would keep this thread from everything else.
                    tokio::task::yield_now().await;
                    None
                }
            });
        }
        Ok(None)
    }

    /// A request as the user sends it at a time.
    pub(super) fn render(&mut self, request: &'a Prepared, at: Instant) -> Result<Message<'a>, Unset> {
        let (worker, jar) = (self.worker, self.jar.take());
        let cookies = jar.as_deref().map(|jar| (jar, at));
        let message = request.message(&mut self.known(false), cookies, &worker.scratch.buffers);
        self.jar = jar;
        message
    }

    /// The request that follows from an answer, if one does.
    fn follow(&self, request: &Prepared, came: &Came<'_>, message: &Message<'a>) -> Option<Message<'a>> {
        if !request.follows {
            return None;
        }
        let method = redirect::method(came.trip.traffic.status?, message.method())?;
        let location = values(came.kept.whole_head(), "location");
        let authority = &self.worker.script.plan.target.authority;
        let path = redirect::path(message.scheme(), authority, message.path(), location.first()?)?;
        let cookies = self.jar.as_deref().map(|jar| (jar, came.end));
        Some(message.again(method, &path, cookies, &self.worker.scratch.buffers))
    }

    pub(super) fn take_cookies(&mut self, kept: &Kept<'_>, message: &Message<'_>, now: Instant) {
        if !self.worker.script.plan.target.cookies || kept.whole_head().is_empty() {
            return;
        }
        for header in values(kept.whole_head(), "set-cookie") {
            self.jar.get_or_insert_default().take(header, message.path(), now, SystemTime::now());
        }
    }

    /// Finds or opens a connection, and does the exchange over it.
    async fn attempt(&mut self, message: &Message<'_>, trip: &mut Trip, kept: &mut Kept<'_>) -> Result<(), Failure> {
        trip.ran = Some(Instant::now());
        let Some(pool) = &self.worker.pool else {
            trip.sent = trip.ran;
            // On any way out but a success the connection is closed, and its place empty, but for one of HTTP/2.
            let mut open = self.own.take();
            let result = self.go(&mut open, None, message, trip, kept).await;
            self.own.put(open.filter(|_| matches!(result, Ok(true))));
            return result.map(drop);
        };
        // Who waits for a connection waits for the target: only then is the send later than the user.
        let (mut lent, sent) = if let Some(lent) = pool.try_borrow() {
            (lent, trip.ran)
        } else {
            (pool.borrow().await, Some(Instant::now()))
        };
        trip.sent = sent;
        let mut open = lent.take();
        let is_reusable = self.go(&mut open, Some(&mut lent), message, trip, kept).await?;
        if let Some(open) = open.filter(|_| is_reusable) {
            lent.give_back(open);
        }
        Ok(())
    }

    /// The exchange, over a connection that is open or over a new one, of its own or lent; whether that can be used again.
    async fn go(
        &mut self,
        open: &mut Option<Open>,
        lent: Option<&mut Lent<'_>>,
        message: &Message<'_>,
        trip: &mut Trip,
        kept: &mut Kept<'_>,
    ) -> Result<bool, Failure> {
        let is_new = open.is_none();
        if is_new {
            // Boxed, since connecting is rare, and its state would be in the memory of every user all the time.
            *open = Some(Box::pin(self.worker.dialer.dial()).await?);
        }
        let Some(open) = open else { return Ok(false) };
        match lent {
            Some(lent) if is_new => lent.hold(open),
            Some(_) => {}
            None => self.own.hold(open),
        }
        self.place.sent();
        open.link.exchange(message, &self.worker.scratch, &mut trip.traffic, kept).await
    }

    /// Judges what came, keeps what is to be kept of it, and counts it.
    pub(super) fn judge(&mut self, came: &Came<'_>, result: &Result<Result<(), Failure>, Fate>) {
        let step = &self.track.steps[came.step];
        let status = came.trip.traffic.status;
        let status_detail = Detail::Status(status.unwrap_or_default());
        let (outcome, detail) = match result {
            // A message of a web socket has no status.
            Ok(Ok(())) if status.is_none_or(|status| step.expects(status)) => {
                if step.checks.is_empty() {
                    return self.count(came, Outcome::Ok, None, &[]);
                }
                let latency = came.end.saturating_duration_since(came.intended).into();
                let mut held = self.worker.scratch.held.borrow_mut();
                let failed = step.checks.judge(&Answer::new(came.kept, latency), &mut self.variables, &mut held);
                let outcome = if failed.is_some() { Outcome::FailedCheck } else { Outcome::Ok };
                self.count(came, outcome, failed.as_ref(), &held);
                // What looking at an answer takes is not the target's, nor is the next request due before.
                self.now = Instant::now();
                return;
            }
            Ok(Ok(())) => (Outcome::UnexpectedStatus, Some(&status_detail)),
            Ok(Err(failure)) => (failure.outcome, Some(&failure.detail)),
            Err(Fate::Timeout) => (Outcome::Timeout, Some(&Detail::Timeout)),
            Err(Fate::Cut) => (Outcome::Interrupted, None),
        };
        step.checks.forget(&mut self.variables);
        self.count(came, outcome, detail, &[]);
    }

    pub(super) fn count(&self, came: &Came<'_>, outcome: Outcome, detail: Option<&Detail>, checks: &[bool]) {
        let Came { step, intended, end, trip, .. } = *came;
        let micros = |duration: Duration| Micros::from(duration).0;
        let timeout = self.worker.script.timeout;
        let sent = trip.sent.unwrap_or(intended);
        let (latency, service_time) = if outcome == Outcome::Timeout {
            // However late the generator noticed: the response did not come in this time.
            (timeout, (intended + timeout).saturating_duration_since(sent))
        } else {
            (end.saturating_duration_since(intended), end.saturating_duration_since(sent))
        };
        let lateness = trip.ran.unwrap_or(end).saturating_duration_since(intended);
        let Traffic { bytes_in, bytes_out, status } = trip.traffic;
        self.worker.recorder.borrow_mut().record(&Finished {
            scenario: self.scenario,
            step,
            cell: self.worker.cell(self.scenario, step, self.begin, intended),
            sample: Sample {
                outcome,
                status,
                latency: micros(latency),
                service_time: micros(service_time),
                bytes_out,
                bytes_in,
            },
            lateness: lateness.into(),
            end,
            detail,
            checks,
        });
    }
}

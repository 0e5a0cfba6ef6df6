//! What a virtual user does: shifts, in them iterations, in them steps.

use std::rc::Rc;
use std::time::{Duration, Instant};

use fastrand::Rng;
use proofload_api::Outcome;
use proofload_api::units::Micros;
use proofload_results::Sample;
use tokio::net::TcpStream;

use crate::connections::Own;
use crate::exchange::{Traffic, exchange};
use crate::failure::{Detail, Failure};
use crate::pacer::{Fate, Place};
use crate::recorder::Finished;
use crate::script::{PreparedStep, Track};
use crate::worker::Worker;

/// The user's load ends before its plan does.
struct Halted;

/// A user at work.
struct User<'a> {
    worker: &'a Worker,
    place: &'a Place<'a>,
    scenario: usize,
    track: &'a Track,
    /// The scenario's begin.
    begin: Instant,
    choices: Rng,
    own: Own,
    /// Iterations that may still begin.
    left: Option<u32>,
    /// The clock when it was read last.
    now: Instant,
}

/// How a request went, as far as it got.
#[derive(Default)]
struct Trip {
    /// When the user came to it.
    ran: Option<Instant>,
    /// When it was sent; for a request that needs a new connection, when connecting began.
    sent: Option<Instant>,
    traffic: Traffic,
}

/// Does all of a user's shifts, from the scenario's begin on.
pub(crate) async fn live(worker: Rc<Worker>, scenario: usize, begin: Instant, number: u32) {
    let place = worker.pacer.place();
    let track = &worker.script.tracks[scenario];
    let mut user = User {
        worker: &worker,
        place: &place,
        scenario,
        track,
        begin,
        choices: track.choices_of(number),
        own: Own::new(worker.own_connections),
        left: track.limit(),
        now: begin,
    };
    for (from, until) in track.shifts(number) {
        if !place.sleep_until(begin + Duration::from(from)).await {
            return;
        }
        worker.recorder.borrow_mut().user_begins(scenario, Instant::now());
        let result = user.work(from, until).await;
        // Between shifts a user keeps nothing.
        user.own.close();
        worker.recorder.borrow_mut().user_ends(scenario, Instant::now());
        if result.is_err() || user.left == Some(0) {
            return;
        }
    }
}

impl User<'_> {
    /// Iterates until the end of the shift, or of the work.
    async fn work(&mut self, from: Micros, until: Micros) -> Result<(), Halted> {
        let until = self.begin + Duration::from(until);
        let mut intended = self.begin + Duration::from(from);
        while self.left != Some(0) && intended < until {
            intended = self.iterate(intended, until).await?;
        }
        if self.left != Some(0) && !self.place.sleep_until(until).await {
            return Err(Halted);
        }
        Ok(())
    }

    /// One iteration, whose first request is intended at a time; when the next one's is.
    async fn iterate(&mut self, mut intended: Instant, until: Instant) -> Result<Instant, Halted> {
        let steps = self.track.next_iteration(&mut self.choices);
        let last = steps.end - 1;
        let first = steps.start;
        for step in steps {
            let comes = intended < until && self.wait_until(intended).await;
            if !comes {
                // An iteration that has not begun is not cut off.
                self.worker.recorder.borrow_mut().progress[self.scenario].cut_iterations += u64::from(step > first);
                return if intended < until { Err(Halted) } else { Ok(until) };
            }
            let (end, fate) = self.request(step, intended).await;
            self.now = end;
            if fate == Some(Fate::Cut) {
                self.worker.recorder.borrow_mut().progress[self.scenario].cut_iterations += 1;
                return Err(Halted);
            }
            if step == last {
                self.left = self.left.map(|left| left - 1);
                self.worker.recorder.borrow_mut().progress[self.scenario].iterations += 1;
            }
            intended = end + self.track.think(&mut self.choices);
        }
        Ok(intended)
    }

    /// Waits until a request is due; whether it is to be sent. Reads no clock if it was due before the last reading.
    async fn wait_until(&self, intended: Instant) -> bool {
        if intended <= self.now { !self.worker.pacer.is_stopped() } else { self.place.sleep_until(intended).await }
    }

    /// One request, sent and recorded; when it ended, and whether it was ended from outside.
    async fn request(&mut self, step: usize, intended: Instant) -> (Instant, Option<Fate>) {
        let deadline = intended + self.worker.script.timeout;
        let place = self.place;
        let prepared = &self.track.steps[step];
        let mut trip = Trip::default();
        let result = place.within(deadline, self.attempt(prepared, &mut trip)).await;
        let end = Instant::now();
        self.record(step, intended, end, &trip, &result);
        match result {
            Err(fate) => (end, Some(fate)),
            Ok(Ok(())) => (end, None),
            Ok(Err(_)) => {
                // A target that refuses at once would keep this thread from everything else.
                tokio::task::yield_now().await;
                (end, None)
            }
        }
    }

    /// Finds or opens a connection, and does the exchange over it.
    async fn attempt(&mut self, step: &PreparedStep, trip: &mut Trip) -> Result<(), Failure> {
        trip.ran = Some(Instant::now());
        let Some(pool) = &self.worker.pool else {
            trip.sent = trip.ran;
            let open = self.own.take();
            // On any way out but a success the connection is closed, and its place empty.
            let kept = self.go(open, step, trip).await;
            let (result, stream) = split(kept);
            self.own.put(stream);
            return result;
        };
        // Who waits for a connection waits for the target: only then is the send later than the user.
        let (lent, sent) = if let Some(lent) = pool.try_borrow() {
            (lent, trip.ran)
        } else {
            (pool.borrow().await, Some(Instant::now()))
        };
        trip.sent = sent;
        let kept = self.go(lent.take(), step, trip).await;
        let (result, stream) = split(kept);
        if let Some(stream) = stream {
            lent.give_back(stream);
        }
        result
    }

    /// The exchange, over a connection that is open or over a new one; the connection, if it can be used again.
    async fn go(
        &self,
        open: Option<TcpStream>,
        step: &PreparedStep,
        trip: &mut Trip,
    ) -> Result<Option<TcpStream>, Failure> {
        let mut stream = match open {
            Some(stream) => stream,
            // Boxed, since connecting is rare, and its state would be in the memory of every user all the time.
            None => Box::pin(self.worker.dialer.dial()).await?,
        };
        self.place.sent();
        let reusable = exchange(&mut stream, &step.request, &self.worker.scratch, &mut trip.traffic).await?;
        Ok(reusable.then_some(stream))
    }

    fn record(
        &self,
        step: usize,
        intended: Instant,
        end: Instant,
        trip: &Trip,
        result: &Result<Result<(), Failure>, Fate>,
    ) {
        let status = trip.traffic.status;
        let status_detail = Detail::Status(status.unwrap_or_default());
        let (outcome, detail) = match result {
            Ok(Ok(())) if status.is_some_and(|status| self.track.steps[step].expects(status)) => (Outcome::Ok, None),
            Ok(Ok(())) => (Outcome::UnexpectedStatus, Some(&status_detail)),
            Ok(Err(failure)) => (failure.outcome, Some(&failure.detail)),
            Err(Fate::Timeout) => (Outcome::Timeout, Some(&Detail::Timeout)),
            Err(Fate::Cut) => (Outcome::Interrupted, None),
        };
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
        let Traffic { bytes_in, bytes_out, .. } = trip.traffic;
        let since_begin = intended.saturating_duration_since(self.begin).into();
        self.worker.recorder.borrow_mut().record(&Finished {
            scenario: self.scenario,
            step,
            cell: self.track.cell(step, since_begin),
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
        });
    }
}

/// The result and the connection that survived it.
fn split(kept: Result<Option<TcpStream>, Failure>) -> (Result<(), Failure>, Option<TcpStream>) {
    match kept {
        Ok(stream) => (Ok(()), stream),
        Err(failure) => (Err(failure), None),
    }
}

//! The fleet of a cluster: runner pods, steered over HTTP.
//!
//! Every call has a deadline; a runner that does not answer delays nothing but itself.

use std::time::{Duration, Instant};

use futures::future::join_all;
use proofload_api::Micros;
use proofload_conductor::control::{self, BeginRequest, ClockResponse};
use proofload_conductor::{Begin, Fleet, RunnerView};
use proofload_results::snapshot::MAX_SNAPSHOT_BYTES;
use proofload_results::{RunnerState, Snapshot};
use tracing::{debug, warn};

use crate::memory::{Contact, RunMemory};
use crate::observe::PodSight;

/// How long a runner may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between the decision to begin and the begin, beside twice the slowest round trip: time to send every message.
const BARRIER: Duration = Duration::from_millis(100);

/// The runner pods of one run.
pub(crate) struct RemoteFleet<'a> {
    pub(crate) http: &'a reqwest::Client,
    pub(crate) token: String,
    pub(crate) memory: &'a mut RunMemory,
    pub(crate) pods: &'a [PodSight],
    /// Whether load was seen before: a runner that is not there then is missing, not late.
    pub(crate) begun: bool,
    /// Zero of our clock.
    pub(crate) epoch: Instant,
}

/// A call to a runner that failed.
#[derive(Debug, thiserror::Error)]
enum CallError {
    #[error("{0}")]
    Transport(#[from] reqwest::Error),
    #[error("expected success, got {status}: {body}")]
    Refused { status: u16, body: String },
    #[error("expected at most {MAX_SNAPSHOT_BYTES} bytes of snapshot, got more")]
    TooLarge,
    #[error(transparent)]
    Snapshot(#[from] proofload_results::snapshot::InvalidSnapshot),
    #[error("its pod has no address")]
    NoAddress,
}

impl RemoteFleet<'_> {
    fn url(&self, index: u32, path: &str) -> Result<String, CallError> {
        let address = self.pods.get(index as usize).and_then(|pod| pod.address.as_deref());
        Ok(format!("http://{}{path}", address.ok_or(CallError::NoAddress)?))
    }

    async fn post(&self, index: u32, path: &str, body: impl FnOnce() -> Option<Vec<u8>>) -> Result<Vec<u8>, CallError> {
        let request = self.http.post(self.url(index, path)?).bearer_auth(&self.token).timeout(PATIENCE);
        let request = match body() {
            Some(json) => request.header("content-type", "application/json").body(json),
            None => request,
        };
        bounded(request.send().await?).await
    }

    async fn fetch(&self, index: u32) -> Result<(Snapshot, Instant, Duration), CallError> {
        let url = self.url(index, control::SNAPSHOT)?;
        let sent = Instant::now();
        let response = self.http.get(url).bearer_auth(&self.token).timeout(PATIENCE).send().await?;
        // The head arrives when the snapshot is made: the body's length must not count as distance.
        let round_trip = sent.elapsed();
        Ok((Snapshot::decode(&bounded(response).await?)?, sent, round_trip))
    }

    /// What is known of a runner's clock gets better with each shorter round trip.
    fn note_clock(&mut self, index: u32, clock: u64, sent: Instant, round_trip: Duration) {
        let middle = (sent - self.epoch) + round_trip / 2;
        let ours = i64::try_from(middle.as_micros()).unwrap_or(i64::MAX);
        let ahead = i64::try_from(clock).unwrap_or(i64::MAX) - ours;
        let contact = &mut self.memory.contacts[index as usize];
        if contact.clock.is_none_or(|(shortest, _)| round_trip < shortest) {
            contact.clock = Some((round_trip, ahead));
        }
    }

    fn note_snapshot(&mut self, index: u32, snapshot: Snapshot) -> bool {
        if snapshot.segment.index != index {
            warn!(index, came = snapshot.segment.index, "a runner answered for another one");
            return false;
        }
        let Some(snapshots) = &mut self.memory.snapshots else { return false };
        match snapshots.insert(snapshot) {
            Ok(_) => true,
            Err(error) => {
                warn!(index, "a runner's snapshot does not belong to this run: {error}");
                false
            }
        }
    }

    fn latest(&self, index: u32) -> Option<&Snapshot> {
        self.memory.snapshots.as_ref()?.get(index)
    }

    fn present(&self, index: u32) -> Option<RunnerView> {
        let snapshot = Box::new(self.latest(index)?.clone());
        Some(RunnerView::Present { snapshot, began_at: self.memory.began_at(index) })
    }

    /// What is known without asking; none if asking is worth it.
    fn known(&self, index: u32) -> Option<RunnerView> {
        if self.latest(index).is_some_and(|snapshot| matches!(snapshot.state, RunnerState::Ended(_))) {
            return self.present(index);
        }
        let pod = &self.pods[index as usize];
        if let Some(reason) = &pod.ended {
            return Some(RunnerView::Gone { reason: reason.clone() });
        }
        (pod.address.is_none() && !self.begun).then(|| RunnerView::Pending { reason: pod.waiting.clone() })
    }

    /// A runner that did not answer: late before the begin, missing after it.
    fn unanswered(&mut self, index: u32, error: &CallError) -> RunnerView {
        debug!(index, "no answer: {error}");
        let now = Instant::now();
        let contact: &mut Contact = &mut self.memory.contacts[index as usize];
        let last = *contact.last.get_or_insert(now);
        if self.begun || contact.answered {
            return RunnerView::Silent { lasting: now.duration_since(last).into() };
        }
        let waiting = self.pods[index as usize].waiting.clone();
        RunnerView::Pending { reason: waiting.or_else(|| Some("its control API does not answer yet".to_owned())) }
    }

    /// Lets runners whose final snapshots are stored go. Best effort: whoever is left is deleted with the Job.
    pub(crate) async fn acknowledge(&mut self) {
        let fleet = &*self;
        let calls = (0..fleet.pods.len() as u32).filter(|index| {
            let pod = &fleet.pods[*index as usize];
            pod.ended.is_none() && pod.address.is_some()
        });
        let answers = join_all(calls.map(|index| fleet.post(index, control::ACKNOWLEDGE, || None))).await;
        for error in answers.into_iter().filter_map(Result::err) {
            debug!("a runner was not acknowledged: {error}");
        }
    }
}

impl Fleet for RemoteFleet<'_> {
    async fn observe(&mut self) -> Vec<RunnerView> {
        let mut views: Vec<Option<RunnerView>> = (0..self.pods.len() as u32).map(|i| self.known(i)).collect();
        let unknown: Vec<u32> = (0..).zip(&views).filter(|(_, view)| view.is_none()).map(|(index, _)| index).collect();
        let fleet = &*self;
        let answers = join_all(unknown.iter().map(|index| fleet.fetch(*index))).await;
        for (index, answer) in unknown.into_iter().zip(answers) {
            let view = match answer {
                Ok((snapshot, sent, round_trip)) => {
                    let clock = snapshot.clock;
                    if self.note_snapshot(index, snapshot) {
                        self.note_clock(index, clock, sent, round_trip);
                        let contact = &mut self.memory.contacts[index as usize];
                        (contact.last, contact.answered) = (Some(Instant::now()), true);
                    }
                    self.present(index)
                }
                Err(error) => Some(self.unanswered(index, &error)),
            };
            views[index as usize] = view;
        }
        views.into_iter().map(|view| view.unwrap_or(RunnerView::Pending { reason: None })).collect()
    }

    async fn begin(&mut self, begin: &Begin) {
        let clocks = self.memory.contacts.iter().filter_map(|contact| contact.clock);
        let slowest = clocks.map(|(round_trip, _)| round_trip).max().unwrap_or_default();
        let ahead = if begin.together { BARRIER + 2 * slowest.min(PATIENCE) } else { Duration::ZERO };
        let at = Instant::now() + ahead;
        let fleet = &*self;
        let calls = begin.runners.iter().map(async |index| {
            let sent = Instant::now();
            let way = fleet.memory.contacts[*index as usize].clock.map_or(Duration::ZERO, |(trip, _)| trip / 2);
            let body = || {
                let within = at.saturating_duration_since(Instant::now()).saturating_sub(way);
                let request = BeginRequest { scenarios: begin.scenarios.clone(), in_micros: Micros::from(within).0 };
                serde_json::to_vec(&request).ok()
            };
            (*index, sent, fleet.post(*index, control::BEGIN, body).await, sent.elapsed())
        });
        for (index, sent, answer, round_trip) in join_all(calls).await {
            match answer.map(|body| serde_json::from_slice::<ClockResponse>(&body)) {
                Ok(Ok(ClockResponse { clock })) => self.note_clock(index, clock, sent, round_trip),
                Ok(Err(error)) => warn!(index, "a runner's answer cannot be read: {error}"),
                Err(error) => warn!(index, "a runner was not reached to begin: {error}"),
            }
        }
    }

    async fn stop(&mut self, runners: &[u32]) {
        let fleet = &*self;
        let answers = join_all(runners.iter().map(|index| fleet.post(*index, control::STOP, || None))).await;
        for (index, error) in runners.iter().zip(answers).filter_map(|(index, answer)| Some((index, answer.err()?))) {
            warn!(index, "a runner was not reached to stop: {error}");
        }
    }
}

/// The body of a successful answer, if it is not larger than a snapshot may be.
async fn bounded(mut response: reqwest::Response) -> Result<Vec<u8>, CallError> {
    let status = response.status();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_SNAPSHOT_BYTES {
            return Err(CallError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    if status.is_success() {
        return Ok(body);
    }
    let body = String::from_utf8_lossy(&body).chars().take(200).collect();
    Err(CallError::Refused { status: status.as_u16(), body })
}

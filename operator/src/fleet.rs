//! The fleet of a cluster: runner pods, steered over HTTP.
//!
//! Every call has a deadline; a runner that does not answer delays nothing but itself.

use std::time::{Duration, Instant};

use futures::future::join_all;
use proofload_api::Micros;
use proofload_conductor::control::{self, BeginRequest, ClockResponse, LevelRequest, ServerRequest, ServerResponse};
use proofload_conductor::{Begin, Fleet, RunnerView, Steer};
use proofload_plan::Compiled;
use proofload_results::snapshot::{MAX_ERRORS, MAX_SNAPSHOT_BYTES};
use proofload_results::{ForeignSnapshot, RunnerState, Snapshot, StopNote};
use tracing::{debug, warn};

use crate::memory::{Contact, RunMemory};
use crate::observe::PodSight;

/// How long a runner may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// The most buckets of a timeline: plans have 600 at most, and an end that is overdue a few more.
const MAX_BUCKETS: usize = 1_000;
/// The most bytes of one error's message.
const MAX_ERROR_BYTES: usize = 4 << 10;
/// The most of a refusal's text that is read.
const MAX_REFUSAL: usize = 200;
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
    /// Whether runners are asked for their figures, too, which may be megabytes.
    pub(crate) figures: bool,
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
    #[error("expected a snapshot of runner {expected}, got one of runner {came}")]
    AnotherRunner { expected: u32, came: u32 },
    #[error(transparent)]
    Foreign(#[from] ForeignSnapshot),
    #[error("expected at most {expected} {what}, got {came}")]
    Excessive { what: &'static str, expected: usize, came: usize },
    #[error("its pod has no address")]
    NoAddress,
}

/// A snapshot, when it was asked for, and how long the way there and back took.
type Answer = Result<(Snapshot, Instant, Duration), CallError>;

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

    async fn fetch(&self, index: u32, figures: bool) -> Answer {
        let url = self.url(index, if figures { control::SNAPSHOT } else { control::SNAPSHOT_WITHOUT_FIGURES })?;
        let sent = Instant::now();
        let response = self.http.get(url).bearer_auth(&self.token).timeout(PATIENCE).send().await?;
        // The head arrives when the snapshot is made: the body's length must not count as distance.
        let round_trip = sent.elapsed();
        Ok((Snapshot::decode(&bounded(response).await?)?, sent, round_trip))
    }

    fn note_clock(&mut self, index: u32, clock: u64, sent: Instant, round_trip: Duration) {
        let middle = (sent - self.epoch) + round_trip / 2;
        let ours = i64::try_from(middle.as_micros()).unwrap_or(i64::MAX);
        let ahead = i64::try_from(clock).unwrap_or(i64::MAX) - ours;
        let began = self.latest(index).and_then(|latest| latest.began);
        let elapsed = Micros(began.map_or(0, |began| clock.saturating_sub(began)));
        self.memory.contacts[index as usize].compare(elapsed, round_trip, ahead);
    }

    fn note_snapshot(&mut self, index: u32, snapshot: Snapshot, figures: bool) -> Result<(), CallError> {
        if snapshot.segment.index != index {
            return Err(CallError::AnotherRunner { expected: index, came: snapshot.segment.index });
        }
        check_bounds(&snapshot)?;
        if let (Ok(compiled), false) = (self.memory.compiled.as_ref(), figures) {
            check_shape(&snapshot, compiled)?;
        }
        Ok(self.memory.note(index, snapshot, figures)?)
    }

    /// An answer that is of no use counts as none: a runner that gives no other is lost in the end.
    fn note_answer(&mut self, index: u32, answer: Answer, figures: bool) -> Result<(), CallError> {
        let (snapshot, sent, round_trip) = answer?;
        let clock = snapshot.clock;
        // Of a runner that has ended its last figures are awaited: one that never gives them is lost in the end.
        let is_whole = figures || !matches!(snapshot.state, RunnerState::Ended(_));
        self.note_snapshot(index, snapshot, figures)
            .inspect_err(|error| warn!(index, "a runner's answer is no use: {error}"))?;
        self.note_clock(index, clock, sent, round_trip);
        let contact = &mut self.memory.contacts[index as usize];
        if is_whole {
            contact.last = Some(Instant::now());
        }
        contact.answered = true;
        Ok(())
    }

    fn latest(&self, index: u32) -> Option<&Snapshot> {
        self.memory.latest.get(index as usize)?.as_ref()
    }

    /// What a decision needs of a runner's latest snapshot: the figures stay where they are.
    fn present(&self, index: u32) -> Option<RunnerView> {
        let snapshot = Box::new(self.latest(index)?.clone());
        Some(RunnerView::Present { snapshot, began_at: self.memory.began_at(index) })
    }

    /// Asks some runners, each answer by itself.
    async fn ask(&mut self, runners: &[u32], figures: bool) -> Vec<Result<(), CallError>> {
        let fleet = &*self;
        let answers = join_all(runners.iter().map(|index| fleet.fetch(*index, figures))).await;
        runners.iter().zip(answers).map(|(index, answer)| self.note_answer(*index, answer, figures)).collect()
    }

    /// What is known without asking; none if asking is worth it.
    fn known(&self, index: u32) -> Option<RunnerView> {
        if self.memory.has_last_figures(index) {
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

    /// Asks the first runner what Prometheus says of a time of the run. It answers at once, mostly that it is not known
    /// yet: whoever wants to know looks again.
    pub(crate) async fn ask_server(&mut self, (from, to): (u64, u64)) {
        self.memory.server_asked.get_or_insert_with(Instant::now);
        let body = || serde_json::to_vec(&ServerRequest { from, to }).ok();
        match self.post(0, control::SERVER, body).await.map(|body| serde_json::from_slice::<ServerResponse>(&body)) {
            Ok(Ok(ServerResponse::Answers(answers))) => self.memory.server = Some(answers),
            Ok(Ok(ServerResponse::Waiting)) => {}
            Ok(Err(error)) => warn!("what the first runner says of the target cannot be read: {error}"),
            Err(error) => warn!("the first runner was not reached to ask Prometheus: {error}"),
        }
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
        let answers = self.ask(&unknown, self.figures).await;
        for (index, answer) in unknown.iter().zip(answers) {
            views[*index as usize] = match answer {
                Ok(()) => self.present(*index),
                Err(error) => Some(self.unanswered(*index, &error)),
            };
        }
        // The figures of a runner that has ended are fetched before anyone hears that it has.
        let has_ended = |index: &u32| {
            let state = self.latest(*index).map(|snapshot| snapshot.state);
            matches!(state, Some(RunnerState::Ended(_))) && !self.memory.has_last_figures(*index)
        };
        let ended: Vec<u32> = unknown.into_iter().filter(has_ended).collect();
        let answers = self.ask(&ended, true).await;
        for (index, error) in ended.iter().zip(answers).filter_map(|(index, answer)| Some((index, answer.err()?))) {
            views[*index as usize] = Some(self.unanswered(*index, &error));
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
                let request = BeginRequest {
                    scenarios: begin.scenarios.clone(),
                    in_micros: Micros::from(within).0,
                    variables: begin.variables.clone(),
                };
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

    async fn steer(&mut self, steer: &Steer) {
        let fleet = &*self;
        let request = LevelRequest { scenario: steer.scenario, levels: steer.levels.clone() };
        let body = || serde_json::to_vec(&request).ok();
        let answers = join_all(steer.runners.iter().map(|index| fleet.post(*index, control::LEVEL, body))).await;
        for (index, error) in
            steer.runners.iter().zip(answers).filter_map(|(index, answer)| Some((index, answer.err()?)))
        {
            warn!(index, "a runner was not reached to change its load: {error}");
        }
    }

    async fn stop(&mut self, runners: &[u32], note: &StopNote) {
        let fleet = &*self;
        let body = || serde_json::to_vec(note).ok();
        let answers = join_all(runners.iter().map(|index| fleet.post(*index, control::STOP, body))).await;
        for (index, error) in runners.iter().zip(answers).filter_map(|(index, answer)| Some((index, answer.err()?))) {
            warn!(index, "a runner was not reached to stop: {error}");
        }
    }
}

/// What no plan bounds, an image of the user's own might send without end: it would fill this process's memory, and no
/// report that holds it could be stored.
fn check_bounds(snapshot: &Snapshot) -> Result<(), CallError> {
    let longest = snapshot.errors.iter().map(|error| error.message.len()).max().unwrap_or(0);
    let bounds = [
        ("buckets of the timeline", MAX_BUCKETS, snapshot.timeline.len()),
        ("errors", MAX_ERRORS, snapshot.errors.len()),
        ("bytes of an error", MAX_ERROR_BYTES, longest),
    ];
    match bounds.into_iter().find(|(_, most, came)| came > most) {
        Some((what, expected, came)) => Err(CallError::Excessive { what, expected, came }),
        None => Ok(()),
    }
}

/// What a set of snapshots checks of those that come with figures.
fn check_shape(snapshot: &Snapshot, compiled: &Compiled) -> Result<(), CallError> {
    let (plan, runners, segment) = (&compiled.plan, compiled.sizing.runners, snapshot.segment);
    if snapshot.run != plan.run {
        return Err(ForeignSnapshot::Run { expected: plan.run.clone(), came: snapshot.run.clone() }.into());
    }
    if segment.count != runners {
        let (index, count) = (segment.index, segment.count);
        return Err(ForeignSnapshot::Segment { expected: runners, index, count }.into());
    }
    let (expected, came) = (plan.scenarios.len(), snapshot.scenarios.len());
    if came != expected && (came != 0 || snapshot.began.is_some()) {
        return Err(ForeignSnapshot::Shape { what: "scenarios", expected, came }.into());
    }
    Ok(())
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
        if !status.is_success() && body.len() > MAX_REFUSAL {
            break;
        }
    }
    if status.is_success() {
        return Ok(body);
    }
    let body = String::from_utf8_lossy(&body).chars().take(MAX_REFUSAL).collect();
    Err(CallError::Refused { status: status.as_u16(), body })
}

#[cfg(test)]
mod tests {
    use proofload_plan::Segment;
    use proofload_results::{GeneratorRecord, ScenarioProgress};

    use super::*;
    use crate::memory::tests::memory;

    fn snapshot(run: &str, index: u32, count: u32, cells: usize) -> Snapshot {
        Snapshot {
            run: run.to_owned(),
            segment: Segment::new(index, count),
            sequence: 1,
            state: RunnerState::Running,
            clock: 9,
            began: Some(1),
            scenarios: vec![ScenarioProgress::default()],
            cells: vec![proofload_results::Cell::default().encode(); cells],
            timeline: Vec::new(),
            errors: Vec::new(),
            generator: GeneratorRecord { threads: 7, ..GeneratorRecord::default() },
            variables: Vec::new(),
            stop: None,
        }
    }

    #[test]
    fn a_runner_that_has_ended_and_gives_no_last_figures_is_silent_for_longer_and_longer() {
        let (http, mut memory) = (reqwest::Client::new(), memory());
        let pods = vec![PodSight::default(); 2];
        let long_ago = Instant::now().checked_sub(Duration::from_secs(30)).unwrap();
        let epoch = crate::observe::epoch();
        let (token, memory) = (String::new(), &mut memory);
        let mut fleet = RemoteFleet { http: &http, token, memory, pods: &pods, begun: true, figures: false, epoch };
        let ended = RunnerState::Ended(proofload_results::EndCause::Completed);
        let lasting = |fleet: &mut RemoteFleet<'_>, state| {
            fleet.memory.contacts[0].last = Some(long_ago);
            answer(fleet, Snapshot { state, ..snapshot("shop/tale", 0, 2, 0) }, false).unwrap();
            match fleet.unanswered(0, &CallError::TooLarge) {
                RunnerView::Silent { lasting } => lasting.0 / 1_000_000,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(lasting(&mut fleet, RunnerState::Running), 0);
        assert!(lasting(&mut fleet, ended) >= 30);
    }

    fn answer(fleet: &mut RemoteFleet<'_>, snapshot: Snapshot, figures: bool) -> Result<(), String> {
        let answer = Ok((snapshot, Instant::now(), Duration::from_millis(1)));
        fleet.note_answer(0, answer, figures).map_err(|error| error.to_string())
    }

    #[test]
    fn an_answer_that_is_of_no_use_counts_as_none() {
        let (http, mut memory) = (reqwest::Client::new(), memory());
        let pods = vec![PodSight::default(); 2];
        let epoch = crate::observe::epoch();
        let mut fleet = RemoteFleet {
            http: &http,
            token: String::new(),
            memory: &mut memory,
            pods: &pods,
            begun: true,
            figures: true,
            epoch,
        };
        let mut endless = snapshot("shop/tale", 0, 2, 1);
        endless.timeline = vec![proofload_results::EncodedBucket::default(); MAX_BUCKETS + 1];
        let foreign = [
            (endless, "at most 1000 buckets of the timeline, got 1001"),
            (snapshot("shop/tale", 1, 2, 1), "runner 0, got one of runner 1"),
            (snapshot("shop/another", 0, 2, 1), "of run \"shop/tale\""),
            (snapshot("shop/tale", 0, 3, 1), "one of 2 runners"),
            (snapshot("shop/tale", 0, 2, 5), "with 1 cells, got 5"),
        ];
        let with_figures = foreign.map(|(snapshot, why)| (snapshot, why, true));
        let without = [
            (snapshot("shop/tale", 1, 2, 0), "runner 0, got one of runner 1", false),
            (snapshot("shop/another", 0, 2, 0), "of run \"shop/tale\"", false),
            (snapshot("shop/tale", 0, 3, 0), "one of 2 runners", false),
            (Snapshot { scenarios: Vec::new(), ..snapshot("shop/tale", 0, 2, 0) }, "with 1 scenarios, got 0", false),
        ];
        for (snapshot, why, figures) in with_figures.into_iter().chain(without) {
            let error = answer(&mut fleet, snapshot, figures).unwrap_err();
            assert!(error.contains(why), "{error}");
            assert!(matches!(fleet.unanswered(0, &CallError::NoAddress), RunnerView::Silent { .. }));
            assert_eq!((fleet.present(0), fleet.memory.contacts[0].answered), (None, false));
        }
        answer(&mut fleet, snapshot("shop/tale", 0, 2, 1), true).unwrap();
        assert!(fleet.memory.contacts[0].answered);
        // The figures stay in memory: a decision needs none of them.
        let Some(RunnerView::Present { snapshot: seen, .. }) = fleet.present(0) else { panic!("it answered") };
        assert_eq!((seen.state, seen.began, seen.cells.len()), (RunnerState::Running, Some(1), 0));
        let figures = |fleet: &RemoteFleet<'_>| fleet.memory.snapshots.as_ref().unwrap().get(0).cloned().unwrap();
        assert_eq!(figures(&fleet).cells.len(), 1);
        // And an answer without any takes none away.
        answer(&mut fleet, Snapshot { sequence: 2, ..snapshot("shop/tale", 0, 2, 0) }, false).unwrap();
        assert_eq!((fleet.latest(0).unwrap().sequence, figures(&fleet).cells.len()), (2, 1));
    }
}

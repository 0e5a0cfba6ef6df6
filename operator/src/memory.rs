//! What is remembered of a run between passes. A cache, never the truth: an operator that lost it decides the same, and
//! knows less of runners that died meanwhile.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use proofload_api::{Micros, Problem};
use proofload_plan::{Compiled, Load, Role};
use proofload_results::live::Mark;
use proofload_results::{
    EncodedTimes, ForeignSnapshot, GeneratorRecord, RunnerState, ScenarioProgress, ServerAnswer, Snapshot, SnapshotSet,
    StopNote, Windows,
};
use tokio::sync::OwnedMutexGuard;

/// A run that nobody looked at for so long is deleted, and forgotten.
const FORGET_AFTER: Duration = Duration::from_mins(15);

/// Between two writes of progress, and between two looks that bring figures where nothing else wants them. A runner that
/// is killed takes what it measured since with it.
const LIVE_EVERY: Duration = Duration::from_secs(10);

type Shared = Arc<tokio::sync::Mutex<Option<RunMemory>>>;

/// What is remembered, by the test's uid.
#[derive(Default)]
pub(crate) struct Runs(Mutex<HashMap<String, (Instant, Shared)>>);

/// What is remembered of one run.
pub(crate) struct RunMemory {
    /// What its spec, which never changes, compiles to.
    pub(crate) compiled: Arc<Result<Compiled, Vec<Problem>>>,
    /// The latest snapshot of each runner that came with its figures; none for a spec that does not compile.
    pub(crate) snapshots: Option<Arc<SnapshotSet>>,
    /// The latest that each runner said, without its figures.
    pub(crate) latest: Vec<Option<Snapshot>>,
    /// The windows of criteria that end the run. An operator that was restarted fills them anew.
    pub(crate) windows: Windows,
    /// What one of them said: from then on the run is to end.
    pub(crate) aborted: Option<StopNote>,
    /// What the first runner says that Prometheus says, once it does; and since when it is asked.
    pub(crate) server: Option<Vec<ServerAnswer>>,
    pub(crate) server_asked: Option<Instant>,
    /// What is known of each runner.
    pub(crate) contacts: Vec<Contact>,
    /// What the last progress report left for the next one, and when it was written.
    pub(crate) last_live: Option<(Instant, Mark)>,
}

/// How far asking Prometheus is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum ServerSight {
    /// Nobody asked, as far as this operator knows.
    #[default]
    Unasked,
    /// The first runner was asked.
    Asked {
        /// For how long it has been.
        lasting: Micros,
    },
    /// It has answered.
    Answered,
}

/// What is known of a runner's whereabouts.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Contact {
    /// When it answered last, or was first asked for.
    pub(crate) last: Option<Instant>,
    /// Whether it ever answered this operator.
    pub(crate) answered: bool,
    /// The shortest round trip of the first minute of its load, and how far its clock was ahead of ours in that one.
    pub(crate) clock: Option<(Duration, i64)>,
    /// How long its load had been on when the clocks were compared first; nothing, unless this operator came later.
    pub(crate) compared: Micros,
}

impl Contact {
    /// The clocks were compared, when its load had been on for so long. What is known of them gets better with each
    /// shorter round trip; but not after a minute, since clocks of two machines drift apart by a second in a day.
    pub(crate) fn compare(&mut self, elapsed: Micros, round_trip: Duration, ahead: i64) {
        const MINUTE: Micros = Micros::from_secs(60);
        match self.clock {
            None => self.compared = elapsed,
            Some((shortest, _)) if round_trip < shortest && elapsed <= self.compared + MINUTE => {}
            Some(_) => return,
        }
        self.clock = Some((round_trip, ahead));
    }

    /// By how much two clocks may have drifted apart between the begin and when they were compared: by 100 millionths,
    /// which is more than those of machines that nobody sets.
    fn drift(&self) -> Micros {
        Micros(self.compared.0 / 10_000)
    }
}

impl RunMemory {
    /// What is remembered of a run that nothing is known of yet.
    pub(crate) fn new(compiled: Result<Compiled, Vec<Problem>>) -> Self {
        let known = compiled.as_ref().ok();
        let count = known.map_or(0, |c| c.sizing.runners as usize);
        Self {
            snapshots: known.map(|c| Arc::new(SnapshotSet::new(&c.plan, c.sizing.runners))),
            latest: vec![None; count],
            windows: known.map(|c| Windows::new(&c.criteria)).unwrap_or_default(),
            aborted: None,
            server: None,
            server_asked: None,
            contacts: vec![Contact::default(); count],
            last_live: None,
            compiled: Arc::new(compiled),
        }
    }

    /// Takes in what a runner said; its figures, where it came with them.
    pub(crate) fn note(&mut self, index: u32, snapshot: Snapshot, has_figures: bool) -> Result<(), ForeignSnapshot> {
        let Some(known) = self.latest.get_mut(index as usize) else { return Ok(()) };
        let light = without_figures(&snapshot);
        if let Some(snapshots) = self.snapshots.as_mut().filter(|_| has_figures) {
            Arc::make_mut(snapshots).insert(snapshot)?;
        }
        if known.as_ref().is_none_or(|known| known.sequence < light.sequence) {
            *known = Some(light);
        }
        Ok(())
    }

    /// Whether the last figures of a runner that has ended are here.
    pub(crate) fn has_last_figures(&self, index: u32) -> bool {
        let ended = |snapshot: &Snapshot| matches!(snapshot.state, RunnerState::Ended(_));
        self.snapshots.as_ref().and_then(|snapshots| snapshots.get(index)).is_some_and(ended)
    }

    /// Whether it is time to write progress into status.
    pub(crate) fn live_is_due(&self) -> bool {
        self.last_live.as_ref().is_none_or(|(at, _)| at.elapsed() >= LIVE_EVERY)
    }

    /// Whether this look at the runners is to bring their figures: now and then for the status, and at each look where
    /// what happens next depends on them.
    pub(crate) fn wants_figures(&self) -> bool {
        let judges = !self.windows.is_empty() && self.aborted.is_none();
        self.live_is_due() || judges || self.depends_on_figures()
    }

    /// Whether a setup is to be judged, or a step of a search is under way on some runner.
    fn depends_on_figures(&self) -> bool {
        let Ok(compiled) = self.compiled.as_ref() else { return false };
        let plan = &compiled.plan;
        let under_way = |snapshot: &Snapshot| {
            let both = || plan.main().iter().zip(&snapshot.scenarios);
            let is_at_work = |progress: &ScenarioProgress| progress.began.is_some() && progress.ended.is_none();
            let searches = both().any(|(main, progress)| matches!(main.load, Load::Search(_)) && is_at_work(progress));
            let is_before_main = both().all(|(_, progress)| progress.began.is_none());
            searches || (is_before_main && plan.index_of(Role::Setup).is_some())
        };
        self.latest.iter().flatten().any(under_way)
    }

    /// How far asking Prometheus is.
    pub(crate) fn server_sight(&self) -> ServerSight {
        match (&self.server, self.server_asked) {
            (Some(_), _) => ServerSight::Answered,
            (None, Some(since)) => ServerSight::Asked { lasting: since.elapsed().into() },
            (None, None) => ServerSight::Unasked,
        }
    }

    /// What Prometheus said of the target; of metrics that nothing came of, why.
    pub(crate) fn server_answers(&self) -> Vec<ServerAnswer> {
        let Ok(compiled) = self.compiled.as_ref() else { return Vec::new() };
        let queries = compiled.plan.server.iter().flat_map(|server| &server.queries);
        let none = |name: &str| ServerAnswer {
            name: name.to_owned(),
            error: Some("the first runner, which asks Prometheus, is gone or does not answer".to_owned()),
            ..ServerAnswer::default()
        };
        let known = |name: &str| self.server.iter().flatten().find(|answer| answer.name == name).cloned();
        queries.map(|query| known(&query.name).unwrap_or_else(|| none(&query.name))).collect()
    }

    /// Judges the windows of criteria that end the run, by the figures that there are.
    pub(crate) fn look(&mut self) {
        let (Ok(compiled), Some(snapshots)) = (self.compiled.as_ref(), &self.snapshots) else { return };
        let note = self.windows.look(&compiled.plan, &compiled.criteria, snapshots);
        if self.aborted.is_none() {
            self.aborted = note;
        }
    }

    /// When each runner began, by our clock, as far as known.
    pub(crate) fn began_at(&self, index: u32) -> Option<Micros> {
        let (_, ahead) = self.contacts.get(index as usize)?.clock?;
        let began = self.latest.get(index as usize)?.as_ref()?.began?;
        // Both come from the runner, which may say anything.
        u64::try_from(i64::try_from(began).ok()?.checked_sub(ahead)?).ok().map(Micros)
    }

    /// How far apart the runners began; at least, where that was found out long after it.
    pub(crate) fn skew(&self) -> Micros {
        let begins: Vec<u64> =
            (0..self.contacts.len() as u32).filter_map(|i| self.began_at(i)).map(|at| at.0).collect();
        let apart = begins.iter().max().copied().unwrap_or(0) - begins.iter().min().copied().unwrap_or(0);
        Micros(apart).saturating_sub(self.contacts.iter().map(Contact::drift).max().unwrap_or_default())
    }
}

/// All but the figures, which may be megabytes; the generator's health stays, but for its distribution of lateness.
fn without_figures(snapshot: &Snapshot) -> Snapshot {
    let Snapshot { run, segment, sequence, state, clock, began, scenarios, generator, variables, stop, .. } = snapshot;
    Snapshot {
        run: run.clone(),
        segment: *segment,
        sequence: *sequence,
        state: *state,
        clock: *clock,
        began: *began,
        scenarios: scenarios.clone(),
        cells: Vec::new(),
        timeline: Vec::new(),
        errors: Vec::new(),
        generator: GeneratorRecord { lateness: EncodedTimes::default(), ..generator.clone() },
        variables: variables.clone(),
        stop: stop.clone(),
    }
}

impl Runs {
    /// The memory of a run, for as long as a pass lasts.
    pub(crate) async fn enter(&self, uid: &str) -> OwnedMutexGuard<Option<RunMemory>> {
        let shared = {
            let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            runs.retain(|_, (used, shared)| now.duration_since(*used) < FORGET_AFTER || Arc::strong_count(shared) > 1);
            let (used, shared) = runs.entry(uid.to_owned()).or_insert_with(|| (now, Shared::default()));
            *used = now;
            Arc::clone(shared)
        };
        shared.lock_owned().await
    }

    /// Forgets a run.
    pub(crate) fn forget(&self, uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proofload_plan::Segment;
    use serde_json::json;

    use super::*;

    /// Of a run of two runners with one cell.
    pub(crate) fn memory() -> RunMemory {
        let spec = json!({
            "target": {"baseUrl": "http://t"},
            "scenarios": [{"name": "main", "users": {"stages": [{"to": 2, "hold": "10s"}]},
                           "steps": [{"name": "get", "request": {"path": "/"}}]}],
            "runners": {"count": 2},
        });
        RunMemory::new(proofload_plan::compile(&serde_json::from_value(spec).unwrap(), "shop/tale"))
    }

    pub(crate) fn begun(index: u32, began: u64) -> Snapshot {
        Snapshot {
            run: "shop/tale".to_owned(),
            segment: Segment::new(index, 2),
            sequence: 1,
            state: RunnerState::Running,
            clock: began,
            began: Some(began),
            scenarios: vec![ScenarioProgress::default()],
            cells: vec![proofload_results::Cell::default().encode()],
            timeline: Vec::new(),
            errors: Vec::new(),
            generator: GeneratorRecord::default(),
            variables: Vec::new(),
            stop: None,
        }
    }

    #[test]
    fn skew_is_between_begins_on_one_clock_whatever_the_runners_clocks_show() {
        let mut memory = memory();
        for (index, began, ahead) in [(0, 5_000_000, 4_000_000), (1, 1_000_700, 400)] {
            memory.note(index, begun(index, began), true).unwrap();
            memory.contacts[index as usize].clock = Some((Duration::from_millis(1), ahead));
        }
        assert_eq!(memory.skew(), Micros(300));
    }

    /// Runner 1, whose clock is fast by 20 millionths, began with runner 0; both are compared each so many seconds, by
    /// shorter and shorter round trips.
    fn drifting(from: u64, until: u64) -> RunMemory {
        let mut memory = memory();
        for (index, millionths) in [(0, 0), (1, 20)] {
            memory.note(index, begun(index, 50_000_000), true).unwrap();
            for second in (from..until).step_by(10) {
                let ahead = 5_000_000 + (second * millionths).cast_signed();
                let round_trip = Duration::from_secs(1_000_000 - second);
                memory.contacts[index as usize].compare(Micros::from_secs(second), round_trip, ahead);
            }
        }
        memory
    }

    #[test]
    fn clocks_that_drift_for_three_days_are_no_skew() {
        let three_days = 3 * 86_400;
        // Of a minute: 1.2 ms.
        assert_eq!(drifting(0, three_days).skew(), Micros(1_200));
        // Who comes late, as after a failover, knows less, and says so of no run.
        assert_eq!(drifting(three_days, three_days + 100).skew(), Micros::ZERO);
    }

    #[test]
    fn a_begin_that_was_late_is_told_by_an_operator_that_comes_minutes_later() {
        let mut memory = memory();
        for (index, began) in [(0, 5_000_000), (1, 8_000_000)] {
            memory.note(index, begun(index, began), true).unwrap();
            memory.contacts[index as usize].compare(Micros::from_secs(600), Duration::from_millis(1), 0);
        }
        assert_eq!(memory.skew(), Micros(2_940_000));
    }

    #[test]
    fn a_clock_that_makes_no_sense_is_no_begin() {
        let mut memory = memory();
        for (began, ahead) in [(u64::MAX, 0), (i64::MAX as u64, -1), (0, 1), (0, i64::MAX)] {
            memory.latest = vec![Some(begun(0, began)), None];
            memory.contacts[0].clock = Some((Duration::ZERO, ahead));
            assert_eq!(memory.began_at(0), None);
        }
    }
}

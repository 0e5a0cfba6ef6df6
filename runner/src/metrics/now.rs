//! What the plan wants of a runner at this moment: users, a rate, a stage.

use proofload_api::Micros;
use proofload_plan::{Level, Load, Scenario, Search};
use proofload_results::search::window;
use proofload_results::{LevelRecord, ScenarioProgress, Snapshot};

/// What the plan wants now, of a runner's own share.
#[derive(Debug, PartialEq, Default)]
pub(super) struct Now {
    /// Users at work; none where iterations begin at a rate.
    pub(super) users: Option<u32>,
    /// Iterations that begin each second; none where users loop.
    pub(super) rate: Option<f64>,
    /// The stage that is under way; none before the begin and after the end.
    pub(super) stage: Option<String>,
}

impl Now {
    pub(super) fn of(scenario: &Scenario, progress: &ScenarioProgress, snapshot: &Snapshot) -> Self {
        let (load, segment) = (&scenario.load, snapshot.segment);
        let idle = if load.is_open() {
            Self { rate: Some(0.0), ..Self::default() }
        } else {
            Self { users: Some(0), ..Self::default() }
        };
        // All of it on the run's clock, as the begin of a scenario and of its levels is.
        let now = snapshot.began.and_then(|began| snapshot.clock.checked_sub(began));
        let (Some(now), Some(began), None) = (now, progress.began, progress.ended) else { return idle };
        let Some(elapsed) = now.checked_sub(began).map(Micros) else { return idle };
        let share = |users: u32| Some(segment.share(users));
        let part = |rate: f64| Some(rate / f64::from(segment.count.max(1)));
        let level = progress.levels.iter().rev().find(|record| record.from <= now).map(|record| record.level);
        let stage = Some(stage(load, &progress.levels, now, elapsed));
        match (load, level) {
            // Another load than planned goes on until the plan's end.
            (Load::Users(curve), Some(Level::Users(users))) if elapsed < curve.duration() => {
                Self { users: share(users), stage, ..idle }
            }
            (Load::Users(curve), _) => Self { users: share(curve.users_at(elapsed)), stage, ..idle },
            (Load::Arrivals { curve, .. }, Some(Level::Rate(rate))) if elapsed < curve.duration() => {
                Self { rate: part(rate.as_per_second_f64()), stage, ..idle }
            }
            (Load::Arrivals { curve, .. }, _) => {
                Self { rate: part(curve.rate_at(elapsed).as_per_second_f64()), stage, ..idle }
            }
            (Load::Iterations { users, .. }, _) => Self { users: share(*users), stage, ..idle },
            (Load::Search(_), Some(Level::Users(users))) => Self { users: share(users), stage, ..idle },
            (Load::Search(_), Some(Level::Rate(rate))) => Self { rate: part(rate.as_per_second_f64()), stage, ..idle },
            (Load::Search(_), None) => Self { stage, ..idle },
        }
    }
}

/// The stage that requests are counted in that are due now: after a curve's end the last one.
fn stage(load: &Load, levels: &[LevelRecord], now: u64, elapsed: Micros) -> String {
    let in_curve = |durations: Vec<Micros>| {
        let mut end = Micros::ZERO;
        let ends = durations.into_iter().map(|duration| {
            end = end + duration;
            end
        });
        ends.take_while(|end| *end <= elapsed).count()
    };
    let place = match load {
        Load::Users(curve) => in_curve(curve.spans().iter().map(|span| span.duration).collect()),
        Load::Arrivals { curve, .. } => in_curve(curve.spans().iter().map(|span| span.duration).collect()),
        Load::Iterations { .. } => 0,
        Load::Search(search) => step(search, levels, now).map_or(0, |step| step + 1),
    };
    let mut names = load.stage_names();
    names.swap_remove(place.min(names.len() - 1))
}

/// Which step of a search is being judged.
fn step(search: &Search, levels: &[LevelRecord], now: u64) -> Option<usize> {
    let mut steps = levels.iter().filter(|record| !record.level.is_zero());
    steps.position(|record| window(search, record).contains(&now))
}

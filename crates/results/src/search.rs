//! The walk of a search: which level of load comes next, and what was found.
//!
//! Pure: everything follows from the records that every runner keeps, so that a conductor that was killed goes on in the
//! step where it was. A record holds its level, its begin, and what was seen of the level before it. The first of them
//! has the search's first level; one of zero ends the search.
//!
//! The walk rises by the search's factor until a level breaks, or up to its limit. Then it halves the distance between
//! the highest level that held (none, as long as none has) and the lowest that broke, until that is small enough.

use std::ops::Range;

use proofload_api::criterion::Expr;
use proofload_api::units::{Micros, Rate};
use proofload_plan::{Level, Search};

use crate::part::Part;
use crate::snapshot::{LevelRecord, StepResult};

/// After the end of a step's window, how much longer until it is judged: answers that were under way come in.
pub const JUDGING_DELAY: Micros = Micros::from_secs(1);

/// What a search does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Begins, with this level.
    Begin(Level),
    /// Waits for the end of a step, and judges it.
    Judge {
        /// The stage that has the step's figures: its number, from 1.
        stage: usize,
        /// When its window is over and its figures are complete, in microseconds from the run's begin.
        due: u64,
    },
    /// Nothing: it is over.
    Done,
}

/// A step of a search.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SearchStep {
    /// Its load.
    pub level: Level,
    /// From when on, in microseconds from the run's begin.
    pub from: u64,
    /// What was seen in its window; none where it was not judged.
    pub result: Option<StepResult>,
}

/// The bounds of the walk so far: the highest level that held and the lowest that broke, in the smallest units.
#[derive(Debug, Clone, Copy, Default)]
struct Bounds {
    held: u64,
    broken: Option<u64>,
}

/// What to do next, by the records so far.
pub fn next(search: &Search, records: &[LevelRecord]) -> Next {
    match records.last() {
        None => Next::Begin(search.from.min(search.limit)),
        Some(last) if last.level.is_zero() => Next::Done,
        Some(last) => {
            Next::Judge { stage: records.len(), due: window(search, last).end.saturating_add(JUDGING_DELAY.0) }
        }
    }
}

/// The level after the last one, of which this was seen; zero when the search is over.
pub fn level_after(search: &Search, records: &[LevelRecord], seen: StepResult) -> Level {
    let zero = of_units(search, 0);
    if records.len() >= search.most_steps as usize {
        return zero;
    }
    let mut bounds = bounds(records);
    if let Some(last) = records.last() {
        bounds.take(units(last.level), seen.held);
    }
    bounds.next(search).map_or(zero, |units| of_units(search, units))
}

/// Judges a step by what was seen in its window. A level of which nothing was seen, or at which an arrival found no free
/// user, was not held.
pub fn judge_step(search: &Search, seen: &Part) -> StepResult {
    let expr: Option<Expr> = search.until.parse().ok();
    let seen_for = Part { elapsed: search.window, ..seen.clone() };
    let observed = expr.as_ref().and_then(|expr| seen_for.observe(expr));
    let holds = expr.zip(observed).is_some_and(|(expr, observed)| expr.operator.holds(observed, expr.limit.amount));
    StepResult { held: holds && seen.cell.dropped == 0, observed, dropped: seen.cell.dropped }
}

/// Every step that was begun, with what was seen of it.
pub fn steps(records: &[LevelRecord]) -> Vec<SearchStep> {
    let begun = records.iter().enumerate().filter(|(_, record)| !record.level.is_zero());
    let step = |(place, record): (usize, &LevelRecord)| SearchStep {
        level: record.level,
        from: record.from,
        result: records.get(place + 1).and_then(|next| next.before),
    };
    begun.map(step).collect()
}

/// Whether the walk came to its end by itself, rather than that its time was over.
pub fn is_finished(search: &Search, records: &[LevelRecord]) -> bool {
    let Some((last, before)) = records.split_last().filter(|(last, _)| last.level.is_zero()) else { return false };
    last.before.is_some_and(|seen| level_after(search, before, seen).is_zero())
}

/// The highest level that held; none if none did (yet).
pub fn answer(search: &Search, records: &[LevelRecord]) -> Option<Level> {
    Some(bounds(records).held).filter(|held| *held > 0).map(|held| of_units(search, held))
}

/// The time of a step that is judged, in microseconds from the run's begin.
pub fn window(search: &Search, record: &LevelRecord) -> Range<u64> {
    let from = record.from.saturating_add(search.settle.0);
    from..from.saturating_add(search.window.0)
}

/// When a stage was under load, within the scenario's time. Stage 0 is everything outside of the windows.
pub(crate) fn stage_times(
    search: &Search,
    records: &[LevelRecord],
    began: u64,
    until: u64,
    stage: usize,
) -> Vec<(u64, u64)> {
    let clipped = |record: &LevelRecord| {
        let window = window(search, record);
        (window.start.clamp(began, until), window.end.clamp(began, until))
    };
    let windows = records.iter().filter(|record| !record.level.is_zero()).map(clipped);
    if let Some(place) = stage.checked_sub(1) {
        return windows.skip(place).take(1).filter(|(from, until)| from < until).collect();
    }
    let (mut outside, mut from) = (Vec::new(), began);
    for (begin, end) in windows {
        outside.push((from, begin));
        from = from.max(end);
    }
    outside.push((from, until));
    outside.retain(|(from, until)| from < until);
    outside
}

fn bounds(records: &[LevelRecord]) -> Bounds {
    let mut bounds = Bounds::default();
    for step in steps(records) {
        if let Some(result) = step.result {
            bounds.take(units(step.level), result.held);
        }
    }
    bounds
}

impl Bounds {
    fn take(&mut self, level: u64, held: bool) {
        if held {
            self.held = self.held.max(level);
        } else {
            self.broken = Some(self.broken.map_or(level, |broken| broken.min(level)));
        }
    }

    fn next(self, search: &Search) -> Option<u64> {
        let Some(broken) = self.broken else {
            let limit = units(search.limit);
            return (self.held < limit).then(|| self.held.saturating_mul(u64::from(search.factor.max(2))).min(limit));
        };
        let gap = broken.saturating_sub(self.held);
        // `gap <= precision * held`, exactly.
        let allowed = u128::from(search.precision.millionths) * u128::from(self.held);
        let is_close = u128::from(gap) * 1_000_000 <= allowed;
        (gap > 1 && !is_close).then(|| self.held + gap / 2)
    }
}

fn units(level: Level) -> u64 {
    match level {
        Level::Users(users) => u64::from(users),
        Level::Rate(rate) => rate.per_hour,
    }
}

/// A level of the kind that is searched.
fn of_units(search: &Search, units: u64) -> Level {
    match search.from {
        Level::Users(_) => Level::Users(u32::try_from(units).unwrap_or(u32::MAX)),
        Level::Rate(_) => Level::Rate(Rate { per_hour: units }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proofload_api::units::Share;
    use proptest::prelude::*;

    fn plan(from: Level, limit: Level, factor: u32, precision: u32) -> Search {
        let (first, last) = (units(from).min(units(limit)), units(limit));
        // Rising: as many as powers of the factor fit; after that each step halves.
        let mut rising = 1;
        let mut level = first;
        while level < last {
            level = level.saturating_mul(u64::from(factor));
            rising += 1;
        }
        Search {
            from,
            limit,
            factor,
            max_users: 1_000,
            settle: Micros::from_secs(2),
            window: Micros::from_secs(8),
            until: "rate(errors) < 1%".to_owned(),
            precision: Share { millionths: precision },
            most_steps: rising + 64 - last.leading_zeros(),
        }
    }

    /// The walk over a target that holds levels up to a capacity.
    fn walk(search: &Search, capacity: u64) -> Vec<LevelRecord> {
        let mut records: Vec<LevelRecord> = Vec::new();
        let mut before = None;
        loop {
            let from = records.len() as u64 * 20_000_000;
            let level = match (next(search, &records), before) {
                (Next::Begin(level), _) => level,
                (Next::Judge { stage, due }, _) => {
                    assert_eq!((stage, due), (records.len(), records.last().unwrap().from + 11_000_000));
                    let held = units(records.last().unwrap().level) <= capacity;
                    let seen = StepResult { held, observed: Some(0.0), dropped: 0 };
                    before = Some(seen);
                    level_after(search, &records, seen)
                }
                (Next::Done, _) => return records,
            };
            records.push(LevelRecord { level, from, before });
        }
    }

    fn searches() -> impl Strategy<Value = Search> {
        let users = (1_u32..2_000, 1_u32..1_000_000, 2_u32..=10, 0_u32..300_000)
            .prop_map(|(from, limit, factor, near)| plan(Level::Users(from), Level::Users(limit), factor, near));
        let rate = |per_hour| Level::Rate(Rate { per_hour });
        let rates = (1_u64..10_000_000, 1_u64..36_000_000_000, 2_u32..=10, 0_u32..300_000)
            .prop_map(move |(from, limit, factor, near)| plan(rate(from), rate(limit), factor, near));
        prop_oneof![users, rates]
    }

    proptest! {
        #[test]
        fn the_answer_is_the_capacity_within_precision(search in searches(), part in 0.0_f64..1.2, is_low in any::<bool>()) {
            let limit = units(search.limit);
            let scale = if is_low { units(search.from).min(limit) * 2 } else { limit };
            let capacity = (scale as f64 * part) as u64;
            let records = walk(&search, capacity);
            let steps = steps(&records).len();
            prop_assert!(steps <= search.most_steps as usize, "{} steps", steps);
            let found = answer(&search, &records).map_or(0, units);
            prop_assert!(found <= capacity && found <= limit);
            let is_near = (capacity as f64) < found as f64 * (1.0 + search.precision.as_f64()) + 1.0;
            prop_assert!(is_near || found == limit, "capacity {}, found {}, {} steps", capacity, found, steps);
        }

        #[test]
        fn a_walk_goes_on_from_any_of_its_steps(search in searches(), part in 0.0_f64..1.2) {
            let records = walk(&search, (units(search.limit) as f64 * part) as u64);
            for known in 1..records.len() {
                let seen = records[known].before.unwrap();
                prop_assert_eq!(level_after(&search, &records[..known], seen), records[known].level);
            }
        }
    }

    #[test]
    fn a_search_for_forty_users_is_told_step_by_step() {
        let search = plan(Level::Users(10), Level::Users(1_000), 2, 50_000);
        let records = walk(&search, 40);
        let levels: Vec<u64> = records.iter().map(|record| units(record.level)).collect();
        assert_eq!(levels, [10, 20, 40, 80, 60, 50, 45, 42, 0]);
        assert_eq!(answer(&search, &records), Some(Level::Users(40)));
        assert!(is_finished(&search, &records) && !is_finished(&search, &records[..8]));
        // Its time was over before 42 could be tried.
        let cut = [&records[..7], &[LevelRecord { level: Level::Users(0), ..records[7] }]].concat();
        assert!(!is_finished(&search, &cut));
    }

    #[test]
    fn nothing_that_holds_is_no_answer() {
        let search = plan(Level::Users(8), Level::Users(100), 2, 50_000);
        let levels: Vec<u64> = walk(&search, 0).iter().map(|record| units(record.level)).collect();
        assert_eq!(levels, [8, 4, 2, 1, 0]);
        assert_eq!(answer(&search, &walk(&search, 0)), None);
    }

    #[test]
    fn a_step_without_samples_or_with_an_arrival_dropped_has_not_held() {
        let search = plan(Level::Users(8), Level::Users(100), 2, 50_000);
        assert_eq!(judge_step(&search, &Part::default()), StepResult { held: false, observed: None, dropped: 0 });
        let mut seen = Part::default();
        seen.cell.outcomes[0] = 100;
        assert!(judge_step(&search, &seen).held);
        seen.cell.dropped = 1;
        assert_eq!(judge_step(&search, &seen), StepResult { held: false, observed: Some(0.0), dropped: 1 });
    }

    #[test]
    fn the_times_of_all_stages_are_the_scenarios_time() {
        let search = plan(Level::Users(10), Level::Users(1_000), 2, 50_000);
        let records = walk(&search, 40);
        let all = (0..=8).flat_map(|stage| stage_times(&search, &records, 0, 165_000_000, stage));
        assert_eq!(all.map(|(from, until)| until - from).sum::<u64>(), 165_000_000);
        assert_eq!(stage_times(&search, &records, 0, 165_000_000, 2), [(22_000_000, 30_000_000)]);
    }
}

//! What one thread knows of a scenario that is played: when it began, and how much load there is when. The plan says
//! so, until the conductor chooses a level.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use proofload_api::units::{Micros, Rate};
use proofload_plan::{Level, Load, RateCurve, RateSpan, Search};

/// Longer than any run. A time to be reached that never is.
const FOREVER: Duration = Duration::from_hours(10 * 366 * 24);

/// A scenario, as it is played.
#[derive(Default)]
pub(crate) struct Scene {
    begin: Cell<Option<Instant>>,
    levels: RefCell<Vec<Change>>,
    /// Counts changes, so that who reckoned with the load before one can tell.
    version: Cell<u32>,
}

/// A level that the conductor chose.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change {
    pub(crate) level: Level,
    pub(crate) from: Instant,
    /// When it was known here: users that it brings cannot have begun before.
    pub(crate) known: Instant,
}

/// A time at which a user is at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shift {
    pub(crate) from: Instant,
    pub(crate) until: Instant,
}

impl Scene {
    pub(crate) fn begin(&self, at: Instant) {
        self.begin.set(Some(at));
    }

    /// When the scenario began or begins.
    ///
    /// # Panics
    /// If that is not known yet.
    pub(crate) fn begun(&self) -> Instant {
        self.begin.get().expect("a scenario that is played has a begin")
    }

    /// Takes up levels that come after those before.
    pub(crate) fn change(&self, changes: impl IntoIterator<Item = Change>) {
        let mut levels = self.levels.borrow_mut();
        for mut change in changes {
            // Their order is that of their times.
            change.from = levels.last().map_or(change.from, |last| last.from.max(change.from));
            levels.push(change);
        }
        self.version.set(self.version.get() + 1);
    }

    pub(crate) fn version(&self) -> u32 {
        self.version.get()
    }

    /// When the load ends; none while that is up to the conductor.
    pub(crate) fn end(&self, load: &Load) -> Option<Instant> {
        match load {
            Load::Search(_) => {
                let levels = self.levels.borrow();
                levels.iter().find(|change| change.level.is_zero()).map(|change| change.from.max(self.begun()))
            }
            load => Some(self.begun() + Duration::from(load.duration())),
        }
    }

    /// The same, or a time that never comes.
    pub(crate) fn last(&self, load: &Load) -> Instant {
        self.end(load).unwrap_or_else(|| self.begun() + FOREVER)
    }

    /// When a user is at work next: the first shift that is not over at `after`.
    pub(crate) fn shift(&self, load: &Load, user: u32, after: Instant) -> Option<Shift> {
        self.shifts(load, user).into_iter().find(|shift| shift.until > after)
    }

    /// Until when a user is at work that began to be at `from`. A change may have ended that, even in the past.
    pub(crate) fn until(&self, load: &Load, user: u32, from: Instant) -> Instant {
        let shifts = self.shifts(load, user);
        shifts.iter().rev().find(|shift| shift.from <= from).map_or(from, |shift| shift.until)
    }

    /// All of a user's times at work that are known, in order, never touching.
    fn shifts(&self, load: &Load, user: u32) -> Vec<Shift> {
        let begin = self.begun();
        let end = self.last(load);
        let planned = match load {
            Load::Users(curve) => curve.shifts(user),
            Load::Iterations { max_duration, .. } => vec![(Micros::ZERO, *max_duration)],
            Load::Arrivals { .. } | Load::Search(_) => Vec::new(),
        };
        let at = |time: Micros| begin + Duration::from(time);
        let mut shifts: Vec<Shift> =
            planned.into_iter().map(|(from, until)| Shift { from: at(from), until: at(until) }).collect();
        let levels = self.levels.borrow();
        let users = |change: &Change| if let Level::Users(users) = change.level { Some(users) } else { None };
        let mut levels = levels.iter().filter_map(|change| Some((change, users(change)?))).peekable();
        if let Some((first, _)) = levels.peek() {
            shifts.retain(|shift| shift.from < first.from);
            for shift in &mut shifts {
                shift.until = shift.until.min(first.from);
            }
        }
        while let Some((change, users)) = levels.next() {
            let from = change.from.max(begin);
            let until = levels.peek().map_or(end, |(next, _)| next.from.min(end));
            if user >= users || from >= until {
                continue;
            }
            match shifts.last_mut() {
                Some(last) if last.until >= from => last.until = until,
                _ if change.known < until => shifts.push(Shift { from: from.max(change.known), until }),
                _ => {}
            }
        }
        shifts
    }

    /// The curve of arrivals, from the scenario's begin, with all changes that are known.
    pub(crate) fn curve(&self, load: &Load) -> RateCurve {
        let curve = match load {
            Load::Arrivals { curve, .. } => curve.clone(),
            _ => RateCurve::new(vec![RateSpan {
                name: String::new(),
                from: Rate::default(),
                to: Rate::default(),
                duration: FOREVER.into(),
            }]),
        };
        let levels = self.levels.borrow();
        let rates = levels.iter().filter_map(|change| match change.level {
            Level::Rate(rate) => Some((change.from.saturating_duration_since(self.begun()).into(), rate)),
            Level::Users(_) => None,
        });
        rates.fold(curve, |curve, (from, rate)| curve.with_change(from, rate))
    }

    /// The stage of a search at a time: 0 outside of the windows of its steps, `k + 1` in that of step `k`.
    pub(crate) fn step_at(&self, search: &Search, at: Instant) -> usize {
        let levels = self.levels.borrow();
        let Some(step) = levels.partition_point(|change| change.from <= at).checked_sub(1) else { return 0 };
        let passed = Micros::from(at - levels[step].from);
        let is_in_window = passed >= search.settle && passed < search.settle + search.window;
        if is_in_window && !levels[step].level.is_zero() { (step + 1).min(search.most_steps as usize) } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use proofload_plan::{Span, UserCurve};

    use super::*;

    fn scene(begin: Instant, levels: &[(u32, u64, u64)]) -> Scene {
        let scene = Scene::default();
        scene.begin(begin);
        scene.change(levels.iter().map(|(users, from, known)| Change {
            level: Level::Users(*users),
            from: begin + Duration::from_secs(*from),
            known: begin + Duration::from_secs(*known),
        }));
        scene
    }

    /// A user's shifts, in seconds from the begin.
    fn shifts(scene: &Scene, load: &Load, user: u32) -> Vec<(u64, u64)> {
        let seconds = |at: Instant| at.duration_since(scene.begun()).as_secs();
        scene.shifts(load, user).iter().map(|shift| (seconds(shift.from), seconds(shift.until))).collect()
    }

    fn users(count: u32, seconds: u64) -> Load {
        let span = Span { name: String::new(), from: count, to: count, duration: Micros::from_secs(seconds) };
        Load::Users(UserCurve::new(vec![span]))
    }

    #[test]
    fn a_level_takes_the_curves_place_until_the_end() {
        let begin = Instant::now();
        let load = users(3, 100);
        let scene = scene(begin, &[(5, 20, 19), (1, 40, 39), (2, 60, 59)]);
        assert_eq!(shifts(&scene, &load, 0), [(0, 100)]);
        assert_eq!(shifts(&scene, &load, 1), [(0, 40), (60, 100)]);
        assert_eq!(shifts(&scene, &load, 2), [(0, 40)]);
        assert_eq!(shifts(&scene, &load, 4), [(20, 40)]);
        assert_eq!(shifts(&scene, &load, 5), []);
        assert_eq!(scene.end(&load), Some(begin + Duration::from_secs(100)));
        // A user that was to be at work to the end, and is no more.
        assert_eq!(scene.until(&load, 2, begin), begin + Duration::from_secs(40));
    }

    #[test]
    fn a_level_that_comes_late_ends_the_past_and_begins_now() {
        let begin = Instant::now();
        let load = users(3, 100);
        let scene = scene(begin, &[(4, 20, 25)]);
        assert_eq!(shifts(&scene, &load, 0), [(0, 100)], "who was at work stays");
        assert_eq!(shifts(&scene, &load, 3), [(25, 100)]);
        assert_eq!(scene.shift(&load, 3, begin + Duration::from_secs(100)), None);
    }

    #[test]
    fn a_search_is_what_its_levels_are() {
        let begin = Instant::now();
        let load = Load::Search(Search {
            from: Level::Users(2),
            limit: Level::Users(8),
            factor: 2,
            max_users: 8,
            settle: Micros::from_secs(2),
            window: Micros::from_secs(5),
            until: String::new(),
            precision: proofload_api::units::Share::default(),
            most_steps: 3,
        });
        let Load::Search(search) = &load else { unreachable!("it was made so") };
        let searching = scene(begin, &[(2, 1, 0), (4, 11, 10)]);
        assert_eq!(searching.end(&load), None);
        assert!(searching.shift(&load, 3, begin).is_some_and(|shift| shift.until == searching.last(&load)));
        let steps: Vec<usize> = [0, 1, 2, 3, 7, 8, 10, 12, 13, 17, 18, 99]
            .map(|second| searching.step_at(search, begin + Duration::from_secs(second)))
            .to_vec();
        assert_eq!(steps, [0, 0, 0, 1, 1, 0, 0, 0, 2, 2, 0, 0]);
        searching.change([Change { level: Level::Users(0), from: begin + Duration::from_secs(20), known: begin }]);
        assert_eq!(searching.end(&load), Some(begin + Duration::from_secs(20)));
        assert_eq!(shifts(&searching, &load, 1), [(1, 20)]);
        assert_eq!(shifts(&searching, &load, 3), [(11, 20)]);
    }
}

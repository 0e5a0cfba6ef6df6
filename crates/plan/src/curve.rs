//! The curve of concurrent users, and when each single user is at work.

use proofload_api::units::Micros;
use serde::{Deserialize, Serialize};

/// A piecewise linear curve of concurrent users, beginning at 0. User `j` (from 0) is at work while the curve is at
/// `j + 1` or above, so that the users at work at any moment are the curve, rounded down on the way up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserCurve {
    spans: Vec<Span>,
}

/// A straight part of the curve: one stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The stage's name.
    pub name: String,
    /// Users at its begin, after the jump if there is one.
    pub from: u32,
    /// Users at its end.
    pub to: u32,
    /// How long it lasts; never zero.
    pub duration: Micros,
}

impl Span {
    /// When, from the span's begin, user `user` is at work; none if never.
    fn active(&self, user: u32) -> Option<(Micros, Micros)> {
        let level = u64::from(user) + 1;
        let (from, to, length) = (u64::from(self.from), u64::from(self.to), self.duration.0);
        // A part of the way, in microseconds; 128 bits, since users times microseconds may pass 64.
        let part = |done: u64, all: u64| Micros((u128::from(length) * u128::from(done) / u128::from(all)) as u64);
        match (from >= level, to >= level) {
            (true, true) => Some((Micros::ZERO, self.duration)),
            (false, true) => Some((part(level - from, to - from), self.duration)),
            (true, false) => Some((Micros::ZERO, part(from - level + 1, from - to))),
            (false, false) => None,
        }
    }
}

impl UserCurve {
    /// A curve of these spans, one after the other.
    pub fn new(spans: Vec<Span>) -> Self {
        debug_assert!(spans.iter().all(|span| span.duration > Micros::ZERO), "a stage takes time");
        Self { spans }
    }

    /// The parts, in order.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// How long the whole curve lasts.
    pub fn duration(&self) -> Micros {
        self.spans.iter().fold(Micros::ZERO, |sum, span| sum + span.duration)
    }

    /// The most users at once.
    pub fn peak(&self) -> u32 {
        self.spans.iter().map(|span| span.from.max(span.to)).max().unwrap_or(0)
    }

    /// When user `user` is at work, as `[begin, end)` from the curve's begin, in order, never touching.
    pub fn shifts(&self, user: u32) -> Vec<(Micros, Micros)> {
        let mut shifts: Vec<(Micros, Micros)> = Vec::new();
        let mut push = |begin: Micros, end: Micros| match shifts.last_mut() {
            _ if begin >= end => {}
            Some((_, last)) if *last == begin => *last = end,
            _ => shifts.push((begin, end)),
        };
        let mut begin = Micros::ZERO;
        for span in &self.spans {
            if let Some((from, until)) = span.active(user) {
                push(begin + from, begin + until);
            }
            begin = begin + span.duration;
        }
        shifts
    }

    /// Users at work at a time from the curve's begin.
    pub fn users_at(&self, at: Micros) -> u32 {
        let mut begin = Micros::ZERO;
        for span in &self.spans {
            let end = begin + span.duration;
            if at < end {
                let (from, to) = (u128::from(span.from), u128::from(span.to));
                let (passed, all) = (u128::from((at - begin).0), u128::from(span.duration.0));
                // The number of levels whose shift holds `at`: the counterpart of `Span::active`.
                let users = if to >= from {
                    from + (((to - from) * (passed + 1)).div_ceil(all)).saturating_sub(1)
                } else {
                    from - (from - to) * passed / all
                };
                return Self::settle(span, users as u32, at - begin);
            }
            begin = end;
        }
        0
    }

    /// Rounding of `active` and of `users_at` may differ by one user at the very microsecond of a change.
    fn settle(span: &Span, near: u32, at: Micros) -> u32 {
        let is_active = |user: u32| span.active(user).is_some_and(|(from, until)| (from..until).contains(&at));
        let peak = span.from.max(span.to);
        let mut users = near.min(peak);
        while users > 0 && !is_active(users - 1) {
            users -= 1;
        }
        while users < peak && is_active(users) {
            users += 1;
        }
        users
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::Segment;
    use proptest::prelude::*;

    fn span(from: u32, to: u32, seconds: u64) -> Span {
        Span { name: String::new(), from, to, duration: Micros::from_secs(seconds) }
    }

    #[test]
    fn users_begin_one_by_one_on_a_ramp_and_leave_in_reverse() {
        let curve = UserCurve::new(vec![span(0, 10, 10), span(10, 10, 5), span(10, 0, 10)]);
        assert_eq!(curve.shifts(0), [(Micros::from_secs(1), Micros::from_secs(25))]);
        assert_eq!(curve.shifts(9), [(Micros::from_secs(10), Micros::from_secs(16))]);
        assert_eq!(curve.shifts(10), []);
        assert_eq!((curve.peak(), curve.duration()), (10, Micros::from_secs(25)));
    }

    #[test]
    fn a_user_that_is_needed_twice_has_two_shifts() {
        let curve = UserCurve::new(vec![span(5, 5, 1), span(2, 2, 1), span(5, 5, 1)]);
        assert_eq!(curve.shifts(1), [(Micros::ZERO, Micros::from_secs(3))]);
        let seconds = Micros::from_secs;
        assert_eq!(curve.shifts(4), [(Micros::ZERO, seconds(1)), (seconds(2), seconds(3))]);
    }

    fn curves() -> impl Strategy<Value = UserCurve> {
        let spans = proptest::collection::vec((0_u32..40, 0_u32..40, 1_u64..1_000_000), 1..6);
        spans.prop_map(|spans| {
            let span = |(from, to, micros)| Span { name: String::new(), from, to, duration: Micros(micros) };
            UserCurve::new(spans.into_iter().map(span).collect())
        })
    }

    proptest! {
        #[test]
        fn segments_add_up_to_the_curve_at_every_moment(curve in curves(), runners in 1_u32..9, at in 0_u64..3_000_000) {
            let at = Micros(at);
            let at_work = |segment: Segment| segment
                .users(curve.peak())
                .filter(|user| curve.shifts(*user).iter().any(|(from, until)| (*from..*until).contains(&at)))
                .count();
            let total: usize = Segment::all(runners).map(at_work).sum();
            prop_assert_eq!(total as u32, curve.users_at(at));
        }

        #[test]
        fn a_lower_user_is_at_work_whenever_a_higher_one_is(curve in curves(), at in 0_u64..3_000_000) {
            let is_active = |user: u32| curve.shifts(user).iter().any(|(from, until)| (from.0..until.0).contains(&at));
            for user in 1..curve.peak() {
                prop_assert!(!is_active(user) || is_active(user - 1));
            }
        }
    }
}

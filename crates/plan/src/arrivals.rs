//! The curve of arrivals: when each single iteration begins, exactly.
//!
//! All of it is integer arithmetic, so that every runner of every release answers the same. Areas are counted twice
//! over, in arrivals per hour times microseconds: twice the area below a straight line is whole at its ends.

use proofload_api::units::{Micros, Rate};
use serde::{Deserialize, Serialize};

/// A piecewise linear curve of the rate at which iterations begin, beginning at 0. Arrival `k` (from 0) is at the first
/// microsecond at which the integral of the rate has reached `k + 1/2`, and before the curve's end; so the arrivals of a
/// whole curve are its integral, rounded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateCurve {
    spans: Vec<RateSpan>,
    /// Other rates than planned, each from a time on, in the order of these times.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    changes: Vec<(Micros, Rate)>,
}

/// A straight part of the curve: one stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateSpan {
    /// The stage's name.
    pub name: String,
    /// The rate at its begin, after the jump if there is one.
    pub from: Rate,
    /// The rate at its end.
    pub to: Rate,
    /// How long it lasts; never zero.
    pub duration: Micros,
}

/// One arrival, as area: an hour in microseconds.
const ARRIVAL: i128 = 3_600_000_000;

/// A straight part of the curve as it is after all changes.
#[derive(Debug, Clone, Copy)]
struct Piece {
    begin: u64,
    length: u64,
    /// Rates at the begin, and after `over`, which is longer than `length` where a change cuts a ramp short.
    from: i128,
    to: i128,
    over: u64,
    /// Twice the area before.
    before: i128,
}

impl Piece {
    /// Twice the area of the first `x` microseconds, rounded down.
    fn area(&self, x: u64) -> i128 {
        let x = i128::from(x);
        2 * self.from * x + ((self.to - self.from) * x * x).div_euclid(i128::from(self.over))
    }

    /// The first microsecond at which twice the area is `need`, which is more than 0 and no more than all of it.
    fn first(&self, need: i128) -> u64 {
        if self.from == self.to {
            return (need as u128).div_ceil(2 * self.from as u128) as u64;
        }
        // The solution of the quadratic equation is right to a microsecond or so; the rest is a search around it.
        let (from, slope) = (self.from as f64, (self.to - self.from) as f64 / self.over as f64);
        let root = (from * from + slope * need as f64).max(0.0).sqrt();
        let guess = ((need as f64 / (from + root)) as u64).min(self.length);
        let reached = |x: u64| self.area(x) >= need;
        // Not reached at `low`, reached at `high`.
        let (mut low, mut high, mut reach) = (0, self.length, 1);
        if reached(guess) {
            high = guess;
            while reach < guess && reached(guess - reach) {
                high = guess - reach;
                reach *= 2;
            }
            low = guess.saturating_sub(reach);
        } else {
            low = low.max(guess);
            while guess + reach < self.length && !reached(guess + reach) {
                low = guess + reach;
                reach *= 2;
            }
            high = high.min(guess + reach);
        }
        while high - low > 1 {
            let middle = low.midpoint(high);
            if reached(middle) { high = middle } else { low = middle }
        }
        high
    }
}

impl RateCurve {
    /// A curve of these spans, one after the other.
    pub fn new(spans: Vec<RateSpan>) -> Self {
        debug_assert!(spans.iter().all(|span| span.duration > Micros::ZERO), "a stage takes time");
        Self { spans, changes: Vec::new() }
    }

    /// The same curve, but for another, constant rate from a time on to the same end. Arrivals before that time keep
    /// theirs. Earlier changes from that time on are forgotten.
    #[must_use]
    pub fn with_change(&self, from: Micros, rate: Rate) -> Self {
        let mut changed = self.clone();
        changed.changes.retain(|(earlier, _)| *earlier < from);
        changed.changes.push((from, rate));
        changed
    }

    /// The parts as they were planned, in order.
    pub fn spans(&self) -> &[RateSpan] {
        &self.spans
    }

    /// How long the whole curve lasts.
    pub fn duration(&self) -> Micros {
        self.spans.iter().fold(Micros::ZERO, |sum, span| sum + span.duration)
    }

    /// The highest rate.
    pub fn peak(&self) -> Rate {
        let highest = |piece: Piece| {
            let end = Rate { per_hour: rate_of(&piece, piece.length) };
            end.max(Rate { per_hour: piece.from as u64 })
        };
        self.pieces().into_iter().map(highest).max().unwrap_or_default()
    }

    /// How many arrivals there are.
    pub fn total(&self) -> u64 {
        total(&self.pieces())
    }

    /// The rate at a time from the curve's begin, rounded down; none from the end on.
    pub fn rate_at(&self, time: Micros) -> Rate {
        if time >= self.duration() {
            return Rate::default();
        }
        let pieces = self.pieces();
        let piece = pieces.iter().rev().find(|piece| piece.begin <= time.0);
        piece.map_or(Rate::default(), |piece| Rate { per_hour: rate_of(piece, time.0 - piece.begin) })
    }

    /// Every `step`th arrival from `first` on: its number and when it is due. `step` is at least 1.
    pub fn arrivals(&self, first: u64, step: u64) -> Arrivals {
        let pieces = self.pieces();
        let (total, end) = (total(&pieces), self.duration().0);
        Arrivals { pieces, at: 0, next: first, step: step.max(1), total, last: end.saturating_sub(1) }
    }

    fn pieces(&self) -> Vec<Piece> {
        let end = self.duration().0;
        let cut = self.changes.first().map_or(end, |(from, _)| from.0.min(end));
        let mut pieces: Vec<Piece> = Vec::with_capacity(self.spans.len() + self.changes.len());
        let mut push = |begin: u64, until: u64, from: Rate, to: Rate, over: u64| {
            if begin < until {
                let before = pieces.last().map_or(0, |piece| piece.before + piece.area(piece.length));
                let (from, to) = (i128::from(from.per_hour), i128::from(to.per_hour));
                pieces.push(Piece { begin, length: until - begin, from, to, over, before });
            }
        };
        let mut begin = 0;
        for span in &self.spans {
            let until = (begin + span.duration.0).min(cut);
            push(begin, until, span.from, span.to, span.duration.0);
            begin += span.duration.0;
        }
        for (i, (from, rate)) in self.changes.iter().enumerate() {
            let until = self.changes.get(i + 1).map_or(end, |(next, _)| next.0.min(end));
            push(from.0, until, *rate, *rate, 1);
        }
        pieces
    }
}

fn rate_of(piece: &Piece, x: u64) -> u64 {
    (piece.from + ((piece.to - piece.from) * i128::from(x)).div_euclid(i128::from(piece.over))) as u64
}

fn total(pieces: &[Piece]) -> u64 {
    let area = pieces.last().map_or(0, |piece| piece.before + piece.area(piece.length));
    ((area + ARRIVAL) / (2 * ARRIVAL)) as u64
}

/// Arrivals in order, with what was found for one kept for the next: see [`RateCurve::arrivals`].
#[derive(Debug, Clone)]
pub struct Arrivals {
    pieces: Vec<Piece>,
    /// The piece of the arrival before.
    at: usize,
    next: u64,
    step: u64,
    total: u64,
    last: u64,
}

impl Iterator for Arrivals {
    type Item = (u64, Micros);

    fn next(&mut self) -> Option<(u64, Micros)> {
        let k = self.next;
        if k >= self.total {
            return None;
        }
        self.next = k.saturating_add(self.step);
        let need = (2 * i128::from(k) + 1) * ARRIVAL;
        loop {
            let piece = self.pieces.get(self.at)?;
            if piece.before + piece.area(piece.length) >= need {
                return Some((k, Micros((piece.begin + piece.first(need - piece.before)).min(self.last))));
            }
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::Segment;
    use proptest::prelude::*;

    impl RateCurve {
        /// When arrival `k` is due.
        fn time_of(&self, k: u64) -> Option<Micros> {
            self.arrivals(k, 1).next().map(|(_, time)| time)
        }

        /// How many arrivals are due before a time, by the area below the curve.
        fn count_before(&self, time: Micros) -> u64 {
            let pieces = self.pieces();
            if time >= self.duration() {
                return total(&pieces);
            }
            let Some(last) = time.0.checked_sub(1) else { return 0 };
            let Some(piece) = pieces.iter().rev().find(|piece| piece.begin <= last) else { return 0 };
            ((piece.before + piece.area(last - piece.begin) + ARRIVAL) / (2 * ARRIVAL)) as u64
        }

        /// The arrivals of one segment: what its runner's threads deal out among themselves.
        fn arrivals_of(&self, segment: Segment) -> Arrivals {
            self.arrivals(u64::from(segment.index), u64::from(segment.count))
        }
    }

    fn span(from: u64, to: u64, duration: Micros) -> RateSpan {
        let (from, to) = (Rate { per_hour: from }, Rate { per_hour: to });
        RateSpan { name: String::new(), from, to, duration }
    }

    #[test]
    fn a_constant_rate_has_its_arrivals_in_the_middle_of_their_shares_of_time() {
        let curve = RateCurve::new(vec![span(300 * 3600, 300 * 3600, Micros::from_secs(20))]);
        assert_eq!((curve.total(), curve.peak()), (6_000, Rate::per_second(300)));
        assert_eq!(curve.time_of(0), Some(Micros(1_667)));
        assert_eq!(curve.time_of(5_999), Some(Micros(19_998_334)));
        assert_eq!(curve.time_of(6_000), None);
        assert_eq!(curve.count_before(Micros::from_secs(1)), 300);
    }

    #[test]
    fn a_ramp_has_half_of_the_arrivals_of_its_peak() {
        let ten = 10 * 3600;
        let seconds = Micros::from_secs;
        let curve = RateCurve::new(vec![span(0, ten, seconds(10)), span(ten, 0, seconds(10))]);
        assert_eq!(curve.total(), 100);
        // The integral of t over t is t^2 / 2: the first arrival is at the second at which that is 1/2.
        assert_eq!(curve.time_of(0), Some(seconds(1)));
        assert_eq!(curve.time_of(99), Some(seconds(19)));
        assert_eq!(curve.rate_at(seconds(5)), Rate::per_second(5));
    }

    #[test]
    fn a_change_leaves_the_past_alone_and_ends_with_the_curve() {
        let seconds = Micros::from_secs;
        let curve = RateCurve::new(vec![span(36_000, 36_000, seconds(10))]);
        let changed = curve.with_change(seconds(4), Rate::per_second(100));
        assert_eq!(changed.total(), 40 + 600);
        assert_eq!(changed.with_change(seconds(6), Rate::default()).total(), 40 + 200);
        assert_eq!(changed.with_change(seconds(2), Rate::default()).total(), 20);
        assert_eq!(curve.with_change(seconds(10), Rate::per_second(100)), {
            let mut same = curve.clone();
            same.changes = vec![(seconds(10), Rate::per_second(100))];
            same
        });
        assert_eq!(curve.with_change(seconds(10), Rate::per_second(100)).total(), 100);
        assert_eq!((changed.peak(), changed.rate_at(seconds(5))), (Rate::per_second(100), Rate::per_second(100)));
    }

    #[test]
    fn the_largest_curve_that_can_be_written_is_exact() {
        let day = Micros::from_secs(86_400);
        let peak = Rate::MAX.per_hour;
        let curve = RateCurve::new(vec![span(0, peak, Micros(day.0 * 30)), span(peak, 0, Micros(day.0 * 30))]);
        assert_eq!(curve.total(), 10_000_000 * 86_400 * 30);
        let late = curve.total() - 1;
        assert!(curve.time_of(late) < Some(curve.duration()) && curve.time_of(late) > curve.time_of(late / 2));
    }

    fn curves() -> impl Strategy<Value = RateCurve> {
        let spans = proptest::collection::vec((0_u64..400_000, 0_u64..400_000, 1_u64..20_000_000), 1..6);
        let changes = proptest::collection::vec((0_u64..60_000_000, 0_u64..400_000), 0..4);
        (spans, changes).prop_map(|(spans, changes)| {
            let curve = RateCurve::new(spans.into_iter().map(|(a, b, d)| span(a, b, Micros(d))).collect());
            let change = |curve: RateCurve, (at, per_hour)| curve.with_change(Micros(at), Rate { per_hour });
            changes.into_iter().fold(curve, change)
        })
    }

    proptest! {
        #[test]
        fn segments_have_every_arrival_once_second_by_second(curve in curves(), runners in 1_u32..9) {
            let of = |segment: Segment| curve.arrivals_of(segment).collect::<Vec<_>>();
            let mut all: Vec<_> = Segment::all(runners).flat_map(of).collect();
            all.sort_unstable();
            let whole: Vec<_> = curve.arrivals_of(Segment::WHOLE).collect();
            prop_assert_eq!(&all, &whole);
            prop_assert_eq!(whole.len() as u64, curve.total());
            prop_assert!(whole.is_sorted_by_key(|(_, time)| *time));
            prop_assert!(whole.iter().all(|(_, time)| *time < curve.duration()));
            for second in 0..=curve.duration().0 / 1_000_000 + 1 {
                let time = Micros::from_secs(second);
                let count = whole.partition_point(|(_, due)| *due < time) as u64;
                prop_assert_eq!(curve.count_before(time), count);
            }
        }

        #[test]
        fn an_arrival_is_at_the_first_microsecond_that_reaches_it(curve in curves(), k in 0_u64..1000) {
            if let Some(time) = curve.time_of(k) {
                prop_assert!(curve.count_before(time) <= k);
                prop_assert!(curve.count_before(time + Micros(1)) > k);
            }
        }

        #[test]
        fn arrivals_before_a_change_keep_their_times(curve in curves(), from in 0_u64..30_000_000, per_hour in 0_u64..400_000) {
            let changed = curve.with_change(Micros(from), Rate { per_hour });
            let until = Micros(from.min(curve.duration().0.saturating_sub(1)));
            let before = |curve: &RateCurve| {
                curve.arrivals(0, 1).map(|(_, time)| time).take_while(|time| *time < until).collect::<Vec<_>>()
            };
            // Later changes are forgotten by the new one, as they would by the conductor.
            prop_assert_eq!(before(&changed), before(&curve));
        }
    }
}

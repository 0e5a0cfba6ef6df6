//! Workers and the line before them, as a calculation: what becomes of a request follows, when it comes, from those that
//! came before. Nothing waits here, so that a request's end is known and counted before it is waited for.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::model::{End, Pool};

/// What a pool is busy with. Times are since the profile's begin, and each is not before the one before.
#[derive(Debug, Default)]
pub(crate) struct Workers {
    /// When each worker that works is free.
    busy: Times,
    /// When the work on each request that is not done ends.
    under_way: Times,
    /// When each request leaves the line.
    waiting: Times,
    /// Requests that came.
    came: u64,
}

#[derive(Debug, Default)]
struct Times(BinaryHeap<Reverse<Duration>>);

impl Times {
    fn push(&mut self, time: Duration) {
        self.0.push(Reverse(time));
    }

    fn first(&self) -> Option<Duration> {
        self.0.peek().map(|first| first.0)
    }

    fn drop_until(&mut self, now: Duration) {
        while self.first().is_some_and(|first| first <= now) {
            self.0.pop();
        }
    }
}

impl Workers {
    /// A request comes: when the pool is done with it, and how it ends, if it does.
    pub(crate) fn take(&mut self, pool: &Pool, now: Duration) -> (Duration, Option<End>) {
        self.busy.drop_until(now);
        self.under_way.drop_until(now);
        self.waiting.drop_until(now);
        let drawn = pool.time.draw(self.came);
        self.came += 1;
        let is_free = self.busy.0.len() < pool.workers;
        let begin = if is_free { now } else { self.busy.first().unwrap_or(now) };
        if begin > now && self.waiting.0.len() >= pool.queue {
            return (now, Some(pool.full));
        }
        if let Some((patience, end)) = pool.patience
            && begin > now + patience
        {
            self.waiting.push(now + patience);
            return (now + patience, Some(end));
        }
        if begin > now {
            self.waiting.push(begin);
        }
        let done = begin + drawn.mul_f64(pool.contention.factor(self.under_way.0.len() + 1));
        if !is_free {
            self.busy.0.pop();
        }
        self.busy.push(done);
        self.under_way.push(done);
        match pool.proxy {
            Some((most, end)) if done > now + most => (now + most, Some(end)),
            _ => (done, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::{Contention, OK, Time};
    use super::*;

    const BAD: End = End::Answer(503, "");

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn requests_wait_for_a_worker_and_those_beyond_the_line_end_at_once() {
        let pool = Pool { queue: 3, full: BAD, ..Pool::new(2, Time::Always(ms(10))) };
        let mut workers = Workers::default();
        let ends: Vec<_> = (0..7).map(|_| workers.take(&pool, ms(1))).collect();
        let done = |at| (ms(at), None);
        assert_eq!(ends[..5], [done(11), done(11), done(21), done(21), done(31)]);
        assert_eq!(ends[5..], [(ms(1), Some(BAD)), (ms(1), Some(BAD))]);
        // At 11 two leave the line, at 21 the third one.
        assert_eq!((0..3).map(|_| workers.take(&pool, ms(11))).collect::<Vec<_>>()[..2], [done(31), done(41)]);
        assert_eq!(workers.take(&pool, ms(100)), done(110));
    }

    #[test]
    fn who_has_waited_too_long_leaves_and_is_not_worked_on() {
        let pool = Pool { patience: Some((ms(15), BAD)), ..Pool::new(1, Time::Always(ms(10))) };
        let mut workers = Workers::default();
        let ends: Vec<_> = (0..4).map(|_| workers.take(&pool, ms(0))).collect();
        assert_eq!(ends, [(ms(10), None), (ms(20), None), (ms(15), Some(BAD)), (ms(15), Some(BAD))]);
        assert_eq!(workers.take(&pool, ms(16)), (ms(30), None));
    }

    #[test]
    fn a_proxy_gives_up_while_the_work_goes_on() {
        let pool = Pool { proxy: Some((ms(15), BAD)), ..Pool::new(1, Time::Always(ms(10))) };
        let mut workers = Workers::default();
        let ends: Vec<_> = (0..2).map(|_| workers.take(&pool, ms(0))).collect();
        assert_eq!(ends, [(ms(10), None), (ms(15), Some(BAD))]);
        assert_eq!(workers.take(&pool, ms(16)), (ms(30), None));
    }

    #[test]
    fn work_takes_longer_the_more_of_it_there_is() {
        let contention = Contention { share: 1.0, crosstalk: 0.0 };
        let pool = Pool { contention, full: OK, ..Pool::new(usize::MAX, Time::Always(ms(10))) };
        let mut workers = Workers::default();
        let ends: Vec<_> = (0..3).map(|_| workers.take(&pool, ms(0)).0).collect();
        assert_eq!(ends, [ms(10), ms(20), ms(30)]);
        assert_eq!(workers.take(&pool, ms(30)).0, ms(40));
    }
}

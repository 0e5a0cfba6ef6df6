//! Who scrapes this runner, and so for how long it stays once its work is done.
//!
//! The last scrape before the end lacks the requests after it. So a runner that was scraped stays until everybody who
//! scrapes it has seen the final figures: a few intervals at most. One that nobody scrapes leaves at once.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use tokio::sync::Notify;

use crate::life::Life;

/// The most that a runner stays for scrapes: longer than the interval of 30 s that most clusters have.
const LONGEST: Duration = Duration::from_secs(35);
/// How late a scrape may be, whatever the interval: on a busy machine seconds are nothing.
const LATE: Duration = Duration::from_secs(5);
/// So many are waited for at most; a pair of Prometheus and somebody who looks by hand are three.
const MOST: usize = 16;

/// What is known of those who scrape.
#[derive(Default)]
pub(crate) struct Scrapes {
    seen: Mutex<BTreeMap<IpAddr, Scraper>>,
    changed: Notify,
    /// When waiting began: once, also where the process is told to end meanwhile.
    waiting: OnceLock<Instant>,
}

/// One of them.
#[derive(Debug, Clone, Copy)]
struct Scraper {
    /// When it last asked.
    last: Instant,
    /// The longest time between two of its scrapes; none while there was only one.
    interval: Option<Duration>,
    /// Whether it was given the final figures.
    has_all: bool,
}

impl Scrapes {
    /// An answer was given; `final_figures` says whether the load had ended before it was made.
    pub(crate) fn note(&self, from: IpAddr, now: Instant, final_figures: bool) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() < MOST || seen.contains_key(&from) {
            let before = seen.get(&from).copied();
            let between = before.map(|scraper| now.saturating_duration_since(scraper.last));
            let interval = between.max(before.and_then(|scraper| scraper.interval));
            let has_all = final_figures || before.is_some_and(|scraper| scraper.has_all);
            seen.insert(from, Scraper { last: now, interval, has_all });
        }
        drop(seen);
        self.changed.notify_waiters();
    }

    /// Until when it is worth to wait: none if everybody has seen the end. `ended` is when waiting began.
    fn wait_until(&self, ended: Instant) -> Option<Instant> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let due = |scraper: &Scraper| match scraper.interval {
            // Patience for one that is late; who does not come by then has been taken away.
            Some(interval) => scraper.last + 2 * interval + LATE,
            None => ended + LONGEST,
        };
        seen.values().filter(|scraper| !scraper.has_all).map(|scraper| due(scraper).min(ended + LONGEST)).max()
    }

    /// Returns once everybody who scrapes has seen the final figures, or does not come any more.
    pub(crate) async fn seen_by_all(&self) {
        let ended = *self.waiting.get_or_init(Instant::now);
        loop {
            let changed = self.changed.notified();
            let mut changed = std::pin::pin!(changed);
            // From here on no scrape is missed.
            changed.as_mut().enable();
            let Some(deadline) = self.wait_until(ended).filter(|deadline| *deadline > Instant::now()) else { return };
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep_until(deadline.into()) => return,
            }
        }
    }
}

/// Remembers who was given which figures, around whatever answers.
pub(crate) async fn remember(
    State(life): State<Arc<Life>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    // Before the figures are read: they are the final ones only if nothing more could come then.
    let ended = life.has_ended();
    let answer = next.run(request).await;
    if answer.status().is_success() {
        life.scrapes().note(from.ip(), Instant::now(), ended);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_runner_that_nobody_scrapes_leaves_at_once() {
        assert_eq!(Scrapes::default().wait_until(Instant::now()), None);
    }

    #[test]
    fn it_stays_for_the_next_scrape_and_no_longer() {
        let (scrapes, begin) = (Scrapes::default(), Instant::now());
        scrapes.note(ONE, begin, false);
        scrapes.note(ONE, begin + seconds(10), false);
        let ended = begin + seconds(12);
        assert_eq!(scrapes.wait_until(ended), Some(begin + seconds(35)));
        scrapes.note(ONE, begin + seconds(20), true);
        assert_eq!(scrapes.wait_until(ended), None);
    }

    #[test]
    fn each_of_a_pair_is_waited_for() {
        let (scrapes, begin) = (Scrapes::default(), Instant::now());
        for second in [0, 10] {
            scrapes.note(ONE, begin + seconds(second), false);
            scrapes.note(OTHER, begin + seconds(second + 5), false);
        }
        scrapes.note(ONE, begin + seconds(20), true);
        assert_eq!(scrapes.wait_until(begin + seconds(18)), Some(begin + seconds(40)));
        scrapes.note(OTHER, begin + seconds(25), true);
        assert_eq!(scrapes.wait_until(begin + seconds(18)), None);
    }

    #[test]
    fn a_long_interval_or_an_unknown_one_is_waited_for_no_longer_than_the_longest() {
        let (scrapes, begin) = (Scrapes::default(), Instant::now());
        scrapes.note(ONE, begin, false);
        assert_eq!(scrapes.wait_until(begin + seconds(3)), Some(begin + seconds(3) + LONGEST));
        scrapes.note(ONE, begin + seconds(300), false);
        assert_eq!(scrapes.wait_until(begin + seconds(301)), Some(begin + seconds(301) + LONGEST));
    }

    #[test]
    fn so_many_addresses_as_there_are_need_no_more_memory() {
        let (scrapes, begin) = (Scrapes::default(), Instant::now());
        for last in 0..=u8::MAX {
            scrapes.note(IpAddr::from([10, 0, 0, last]), begin, false);
        }
        assert_eq!(scrapes.seen.lock().unwrap().len(), MOST);
    }

    #[tokio::test]
    async fn waiting_ends_with_the_scrape_that_it_is_for() {
        let scrapes = Scrapes::default();
        scrapes.note(ONE, Instant::now(), false);
        let last = async { scrapes.note(ONE, Instant::now(), true) };
        let both = async { tokio::join!(scrapes.seen_by_all(), last) };
        tokio::time::timeout(seconds(20), both).await.expect("it does not wait for the longest time");
    }
}

//! The words in which profiles are written: routes, what is done with a request to each, and the resources that requests
//! share. All of them are plain tables.

use std::f64::consts::{FRAC_1_SQRT_2, GOLDEN_RATIO};
use std::time::Duration;

/// A service that behaves as one that was seen.
#[derive(Debug)]
pub(crate) struct Profile {
    /// What it is called in paths: `/profile/NAME/REST`.
    pub(crate) name: &'static str,
    /// Workers that requests share; rules name them by their index here.
    pub(crate) pools: &'static [Pool],
    /// Limits that requests share; rules name them by their index here.
    pub(crate) limits: &'static [Limit],
    /// What makes it crash, if anything does.
    pub(crate) crash: Option<Crash>,
    /// After so long without anything being asked or in flight, it begins anew.
    pub(crate) idle: Duration,
    /// The first one that fits is taken; where none does, the answer is 404.
    pub(crate) routes: &'static [Route],
}

/// What is done with requests of one method to paths of one shape.
#[derive(Debug)]
pub(crate) struct Route {
    /// The method, or [`ANY`].
    pub(crate) method: &'static str,
    /// The path below the profile's name. A word that is `*` stands for any one word; as the last word for one or more.
    pub(crate) path: &'static str,
    /// What is done, one after the other, until something ends the request. A request that nothing ends is answered
    /// with 200.
    pub(crate) rules: &'static [Rule],
}

/// How long a profile is idle, in general, before it begins anew.
pub(crate) const IDLE: Duration = Duration::from_secs(2);

/// Any method.
pub(crate) const ANY: &str = "*";

/// One thing that is done with a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rule {
    /// It takes so much longer.
    Delay(Time),
    /// It is worked on in this pool, or fails to be.
    Work(usize),
    /// It is worked on in this pool, or, where it fails to be, these are done with it.
    WorkOr(usize, &'static [Rule]),
    /// It counts against this limit, which may end it.
    Limited(usize),
    /// It leaves so many bytes behind, and takes so much longer for each MiB that all requests have left.
    Leak { bytes: u64, slower: Duration },
    /// The first so many requests of this route are done with so, and the others pass. Each request counts, whatever
    /// other rules do with it.
    First(u64, &'static [Rule]),
    /// Shares of the route's requests, by their weights, are done with so; after that, whoever was not ended passes.
    Shares(&'static [(u32, &'static [Rule])]),
    /// Requests whose query has this parameter are done with so, and the others pass.
    With(&'static str, &'static [Rule]),
    /// It ends so.
    End(End),
}

/// How a request ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// An answer with this status, and a body that is JSON.
    Answer(u16, &'static str),
    /// 200 with what is known of the profile: `requests`, `inFlight`, and the `memory` that requests have left, in bytes.
    Statistics,
    /// The answer of the target's own path, e.g. `/login`.
    AsPath(&'static str),
    /// TCP reset.
    Reset,
    /// The connection ends.
    Close,
    /// No answer, ever.
    Hang,
}

/// 200.
pub(crate) const OK: End = End::Answer(200, "{\"ok\":true}\n");

/// How long something takes. Different each time, and the same each time that the profile begins anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Time {
    /// Always so long.
    Always(Duration),
    /// Evenly between these.
    Between(Duration, Duration),
}

/// So many workers, each of which works on one request at a time, and a line before them.
#[derive(Debug)]
pub(crate) struct Pool {
    /// How many of them.
    pub(crate) workers: usize,
    /// How long they work on a request that is alone.
    pub(crate) time: Time,
    /// How much longer they work when there are others.
    pub(crate) contention: Contention,
    /// How many requests may wait.
    pub(crate) queue: usize,
    /// How those end that find it full, at once.
    pub(crate) full: End,
    /// How long a request waits at most; it then ends without having been worked on.
    pub(crate) patience: Option<(Duration, End)>,
    /// How long a request takes at most, waiting and work: what a proxy in front of it does. The work goes on all the same.
    pub(crate) proxy: Option<(Duration, End)>,
}

impl Pool {
    /// Workers that take any number of requests, in the order in which they come.
    pub(crate) const fn new(workers: usize, time: Time) -> Self {
        let none = Contention { share: 0.0, crosstalk: 0.0 };
        Self { workers, time, contention: none, queue: usize::MAX, full: OK, patience: None, proxy: None }
    }
}

/// What `n` requests at once make of the time that one takes alone, by the Universal Scalability Law: `1 + share (n - 1) +
/// crosstalk n (n - 1)` times as much.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Contention {
    /// The share of the work that cannot be done at the same time as other work.
    pub(crate) share: f64,
    /// What each pair of requests costs.
    pub(crate) crosstalk: f64,
}

impl Contention {
    /// The factor, when there are so many at once, of which this is one.
    pub(crate) fn factor(self, at_once: usize) -> f64 {
        let (n, others) = (at_once as f64, at_once.saturating_sub(1) as f64);
        1.0 + self.share * others + self.crosstalk * n * others
    }
}

/// At most so many requests in so much time.
#[derive(Debug)]
pub(crate) struct Limit {
    /// How many.
    pub(crate) most: u64,
    /// Within how much time.
    pub(crate) window: Window,
    /// Who has a limit of its own.
    pub(crate) each: Each,
    /// How those beyond it end.
    pub(crate) beyond: End,
}

/// How the time of a limit passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Window {
    /// All begin to be counted anew each so long.
    Fixed(Duration),
    /// Those of the latest so long are counted.
    Sliding(Duration),
}

/// Who has a limit of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Each {
    /// All requests have it together.
    Profile,
    /// Each route.
    Route,
    /// Each address that requests come from.
    Client,
}

/// The end of the service: all that is in flight ends as those do that come while it is down.
#[derive(Debug)]
pub(crate) struct Crash {
    /// When it happens.
    pub(crate) when: When,
    /// After how long it is back; not at all, if none is said.
    pub(crate) back: Option<Duration>,
    /// What is done with requests meanwhile.
    pub(crate) down: &'static [Rule],
}

/// When a service crashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// When more than so many requests are in flight.
    InFlight(u64),
    /// With the first request after so many, since the begin or the crash before.
    Requests(u64),
}

impl Time {
    /// How long it takes the k-th time.
    pub(crate) fn draw(self, k: u64) -> Duration {
        match self {
            Self::Always(time) => time,
            Self::Between(least, most) => least + most.saturating_sub(least).mul_f64(spread(k, GOLDEN_RATIO)),
        }
    }
}

/// Numbers from 0 up to 1 that, in the order of `k`, are spread as evenly as can be, so that few of them already have the
/// mean and the shares of many: multiples of an irrational number. By another number for shares than for times, so that
/// the times within a share are as many as all times.
fn spread(k: u64, number: f64) -> f64 {
    (k as f64 * number).fract()
}

/// What is done with the k-th request that has shares.
pub(crate) fn share(shares: &'static [(u32, &'static [Rule])], k: u64) -> &'static [Rule] {
    let total: u32 = shares.iter().map(|(weight, _)| weight).sum();
    let mut left = spread(k, FRAC_1_SQRT_2) * f64::from(total);
    for (weight, rules) in shares {
        left -= f64::from(*weight);
        if left < 0.0 {
            return rules;
        }
    }
    &[]
}

impl Route {
    /// Whether it is for this method and this path.
    pub(crate) fn fits(&self, method: &str, path: &str) -> bool {
        if self.method != ANY && self.method != method {
            return false;
        }
        let (mut wanted, mut given) = (words(self.path).peekable(), words(path));
        while let Some(word) = wanted.next() {
            match given.next() {
                Some(_) if word == "*" && wanted.peek().is_none() => return true,
                Some(known) if word == "*" || word == known => {}
                _ => return false,
            }
        }
        given.next().is_none()
    }
}

/// The words of a path; a slash at its end adds none.
fn words(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_for_its_method_and_the_paths_of_its_shape() {
        let fits = |method: &'static str, path: &'static str, given: (&str, &str)| {
            Route { method, path, rules: &[] }.fits(given.0, given.1)
        };
        assert!(fits("GET", "/", ("GET", "")));
        assert!(fits(ANY, "/api/*/tags", ("PUT", "/api/17/tags/")));
        assert!(fits("GET", "/api/threads/*", ("GET", "/api/threads/1/messages")));
        assert!(!fits("GET", "/api/threads/*", ("GET", "/api/threads")));
        assert!(!fits("GET", "/api/threads", ("GET", "/api/threads/1")));
        assert!(!fits("GET", "/api", ("POST", "/api")));
    }

    #[test]
    fn times_are_spread_evenly() {
        let (least, most) = (Duration::from_millis(10), Duration::from_millis(20));
        let drawn: Vec<_> = (0..1000).map(|k| Time::Between(least, most).draw(k)).collect();
        assert!(drawn.iter().all(|time| (least..most).contains(time)));
        let below = drawn.iter().filter(|time| **time < Duration::from_millis(14)).count();
        assert!((398..=402).contains(&below), "{below}");
        assert_eq!(Time::Always(most).draw(7), most);
    }

    #[test]
    fn contention_grows_with_all_that_is_at_once() {
        let law = Contention { share: 0.5, crosstalk: 0.1 };
        assert!((law.factor(1) - 1.0).abs() < 1e-9);
        assert!((law.factor(4) - (1.0 + 1.5 + 1.2)).abs() < 1e-9);
    }
}

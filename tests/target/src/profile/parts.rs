//! Each word of profiles on a route of its own, for whoever wants to see what it does, as the tests do.

use std::time::Duration;

use super::model::{
    ANY, Contention, Crash, Each, End, IDLE, Limit, OK, Pool, Profile, Route, Rule, Time, When, Window,
};

const BUSY: End = End::Answer(503, "{\"error\":\"busy\"}\n");
const TOO_MANY: End = End::Answer(429, "{\"error\":\"too many requests\"}\n");

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const fn limit(window: Window, each: Each) -> Limit {
    Limit { most: 2, window, each, beyond: TOO_MANY }
}

const fn any(path: &'static str, rules: &'static [Rule]) -> Route {
    Route { method: ANY, path, rules }
}

/// Everything but a crash.
pub(super) const PARTS: Profile = Profile {
    name: "parts",
    pools: &[
        Pool { queue: 2, full: BUSY, ..Pool::new(1, Time::Always(millis(400))) },
        Pool {
            contention: Contention { share: 1.0, crosstalk: 0.0 },
            patience: Some((millis(600), BUSY)),
            proxy: Some((millis(900), TOO_MANY)),
            ..Pool::new(2, Time::Always(millis(400)))
        },
    ],
    limits: &[
        limit(Window::Fixed(Duration::from_hours(1)), Each::Profile),
        limit(Window::Sliding(millis(200)), Each::Route),
        limit(Window::Sliding(Duration::from_hours(1)), Each::Client),
    ],
    crash: None,
    idle: IDLE,
    routes: &[
        any("/line", &[Rule::Work(0)]),
        any("/patience", &[Rule::Work(1)]),
        any("/limit/fixed", &[Rule::Limited(0)]),
        any("/limit/sliding", &[Rule::Limited(1)]),
        any("/limit/client", &[Rule::Limited(2)]),
        any("/leak", &[Rule::Leak { bytes: 1 << 20, slower: millis(10) }]),
        any("/statistics", &[Rule::End(End::Statistics)]),
        any("/first", &[Rule::First(2, &[Rule::End(OK)]), Rule::First(4, &[Rule::End(TOO_MANY)]), Rule::End(BUSY)]),
        any(
            "/shares",
            &[Rule::Shares(&[(3, &[]), (1, &[Rule::End(BUSY)])]), Rule::Delay(Time::Between(millis(1), millis(2)))],
        ),
        any("/with", &[Rule::With("wait", &[Rule::End(BUSY)])]),
        any("/login", &[Rule::End(End::AsPath("/login"))]),
        any("/private/*", &[Rule::End(End::AsPath("/private"))]),
        any("/reset", &[Rule::End(End::Reset)]),
        any("/close", &[Rule::End(End::Close)]),
        any("/hang", &[Rule::End(End::Hang)]),
    ],
};

/// A service that crashes with the fourth request, and is back half a second later.
pub(super) const CRASHES: Profile = Profile {
    name: "crashes",
    pools: &[],
    limits: &[],
    crash: Some(Crash { when: When::Requests(3), back: Some(millis(500)), down: &[Rule::End(End::Reset)] }),
    idle: IDLE,
    routes: &[any("/slow", &[Rule::Delay(Time::Always(Duration::from_secs(20)))]), any("/*", &[])],
};

//! An API for threads of messages, before and after it was mended.
//!
//! Before: each request waits for a connection of the database that never comes, and with more than 8 of them the server
//! crashes. From then on each connection is reset after a while, or gets no answer at all. Ten times as fast as the service
//! that was seen.
//!
//! After: users log in, and their requests take the longer the more of them there are at once: with 50 users that pause it
//! is hardly to be seen, with 100 they are in each other's way, and fewer are answered than before. As fast as it would be.

use std::time::Duration;

use super::model::{ANY, Contention, Crash, End, IDLE, Pool, Profile, Route, Rule, Time, When};

const STUCK: &[Rule] = &[Rule::Delay(Time::Always(Duration::from_secs(3)))];

/// The first service: 85% of requests are reset, and 15% hang.
pub(super) const PROFILE: Profile = Profile {
    name: "threads-api",
    pools: &[],
    limits: &[],
    crash: Some(Crash {
        when: When::InFlight(8),
        back: None,
        down: &[Rule::Shares(&[
            (
                85,
                &[
                    Rule::Delay(Time::Between(Duration::from_millis(777), Duration::from_millis(1670))),
                    Rule::End(End::Reset),
                ],
            ),
            (15, &[Rule::End(End::Hang)]),
        ])],
    }),
    idle: IDLE,
    routes: &[
        Route { method: ANY, path: "/", rules: STUCK },
        Route { method: ANY, path: "/health", rules: STUCK },
        Route { method: ANY, path: "/api/threads", rules: STUCK },
        Route { method: ANY, path: "/api/threads/*", rules: STUCK },
    ],
};

/// With who is logged in only.
const ACT: &[Rule] = &[Rule::Work(0), Rule::End(End::AsPath("/private"))];

/// The mended service.
pub(super) const FIXED: Profile = Profile {
    name: "threads-api-fixed",
    pools: &[Pool {
        contention: Contention { share: 0.0, crosstalk: 0.009 },
        ..Pool::new(usize::MAX, Time::Between(Duration::from_millis(15), Duration::from_millis(25)))
    }],
    limits: &[],
    crash: None,
    idle: IDLE,
    routes: &[
        Route { method: "POST", path: "/api/auth/login", rules: &[Rule::End(End::AsPath("/login"))] },
        Route { method: "POST", path: "/api/auth/logout", rules: &[Rule::End(End::AsPath("/logout"))] },
        Route { method: "GET", path: "/health", rules: &[] },
        Route { method: ANY, path: "/api/threads", rules: ACT },
        Route { method: ANY, path: "/api/threads/*", rules: ACT },
    ],
};

//! An API for deployments, change approvals and connectors. It answers 200 users within milliseconds. Who asks it to wait
//! until a deployment is applied holds a connection of its database for a second: when more than 400 of them do, no request
//! of anybody gets one any more, and all end as 503 after a wait.
//!
//! Ten times as fast as the service that was seen.

use std::time::Duration;

use super::model::{ANY, Crash, End, IDLE, Profile, Route, Rule, Time, When};

const NO_CONNECTION: End = End::Answer(503, "{\"error\":\"no connection to the database\"}\n");
const CREATED: Rule = Rule::End(End::Answer(201, "{\"id\":1,\"state\":\"created\"}\n"));

/// A delay evenly between so many milliseconds.
const fn wait(least: u64, most: u64) -> Rule {
    Rule::Delay(Time::Between(Duration::from_millis(least), Duration::from_millis(most)))
}

pub(super) const PROFILE: Profile = Profile {
    name: "deployments",
    pools: &[],
    limits: &[],
    crash: Some(Crash {
        when: When::InFlight(400),
        back: None,
        // Half of them wait 1.9 s, 95% 2.5 s, 99% 2.7 s at most.
        down: &[
            Rule::Shares(&[
                (28, &[wait(400, 1500)]),
                (23, &[wait(1500, 1900)]),
                (44, &[wait(1900, 2500)]),
                (4, &[wait(2500, 2700)]),
                (1, &[wait(2700, 3490)]),
            ]),
            Rule::End(NO_CONNECTION),
        ],
    }),
    idle: IDLE,
    routes: &[
        Route {
            method: "POST",
            path: "/api/v1/deployments",
            rules: &[Rule::With("wait", &[Rule::Delay(Time::Always(Duration::from_secs(1)))]), CREATED],
        },
        Route { method: ANY, path: "/api/v1/cab", rules: &[wait(1, 2)] },
        Route { method: ANY, path: "/api/v1/connectors/*", rules: &[wait(1, 2)] },
    ],
};

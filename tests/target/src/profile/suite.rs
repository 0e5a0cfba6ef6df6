//! A control center that limits its clients well and hangs under load, and small services that each do one thing which its
//! test did not look at: they leak, break, recover, or work on two requests at a time.
//!
//! `concurrency-suite` counts instead of measuring time: its limits let so many requests of a route through, refuse so
//! many, and what comes after that is never answered. So every figure of a test that sends a fixed number is exact.

use std::time::Duration;

use super::model::{ANY, Crash, End, IDLE, OK, Pool, Profile, Route, Rule, Time, When};

const LIMITED: End = End::Answer(429, "{\"error\":\"too many requests\"}\n");
const NOT_FOUND: End = End::Answer(404, "{\"error\":\"not found\"}\n");
const UNAVAILABLE: End = End::Answer(503, "{\"error\":\"unavailable\"}\n");

const FINE: &[Rule] = &[Rule::Delay(always(1)), Rule::End(OK)];
const REFUSED: &[Rule] = &[Rule::End(LIMITED)];
const MISSING: &[Rule] = &[Rule::End(NOT_FOUND)];
const HANG: Rule = Rule::End(End::Hang);

/// Lets 60 requests through, or 30, and refuses the rest of what one scenario sends.
pub(super) const SUITE: Profile = Profile {
    name: "concurrency-suite",
    pools: &[],
    limits: &[],
    crash: None,
    // In a cluster some seconds can pass between two scenarios, and the first of them must not be forgotten.
    idle: Duration::from_secs(8),
    routes: &[
        get("/api/system/stats", &[Rule::First(60, FINE), Rule::First(500, REFUSED), HANG]),
        get("/api/system/ports", &[Rule::First(30, FINE), Rule::First(500, REFUSED), HANG]),
        get("/api/services", &[Rule::First(60, FINE), Rule::First(500, REFUSED), HANG]),
        get("/api/agents", &[Rule::First(60, FINE), Rule::First(500, REFUSED), HANG]),
        get("/api/system/info", &[Rule::First(60, FINE), Rule::First(490, REFUSED), HANG]),
        get("/api/health", &[Rule::First(500, MISSING), HANG]),
        get("/api/system/processes", &[HANG]),
        get("/api/system/network", &[HANG]),
        get("/api/system/disk", &[HANG]),
        get("/api/agents/active", &[HANG]),
        get("/api/projects", &[HANG]),
        get("/api/auth/validate", &[HANG]),
    ],
};

/// Keeps 64 KiB of each request, and takes a tenth of a millisecond longer for each MiB that it has kept.
pub(super) const SOAK: Profile = Profile {
    name: "suite-soak",
    pools: &[],
    limits: &[],
    crash: None,
    idle: IDLE,
    routes: &[
        get("/work", &[Rule::Delay(always(10)), Rule::Leak { bytes: 64 << 10, slower: Duration::from_micros(100) }]),
        get("/memory", &[Rule::End(End::Statistics)]),
    ],
};

/// Does 200 requests a second, and lets 50 more wait.
pub(super) const RISE: Profile = Profile {
    name: "suite-rise",
    pools: &[Pool { queue: 50, full: UNAVAILABLE, ..Pool::new(8, always(40)) }],
    limits: &[],
    crash: None,
    idle: IDLE,
    routes: &[get("/work", &[Rule::Work(0)])],
};

/// Restarts when more than 100 requests are under way, which takes it four seconds.
pub(super) const RECOVERY: Profile = Profile {
    name: "suite-recovery",
    pools: &[Pool::new(10, always(20))],
    limits: &[],
    crash: Some(Crash {
        when: When::InFlight(100),
        back: Some(Duration::from_secs(4)),
        down: &[Rule::Delay(always(20)), Rule::End(UNAVAILABLE)],
    }),
    idle: IDLE,
    routes: &[Route { method: "POST", path: "/orders", rules: &[Rule::Work(0)] }],
};

/// Works on two requests at a time, whatever they are.
pub(super) const SEQUENTIAL: Profile = Profile {
    name: "suite-sequential",
    pools: &[Pool::new(2, always(10))],
    limits: &[],
    crash: None,
    idle: IDLE,
    routes: &[Route { method: ANY, path: "/api/*", rules: &[Rule::Work(0)] }],
};

const fn always(millis: u64) -> Time {
    Time::Always(Duration::from_millis(millis))
}

const fn get(path: &'static str, rules: &'static [Rule]) -> Route {
    Route { method: "GET", path, rules }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::{IpAddr, Ipv4Addr};

    use super::super::run::{Asking, Run};
    use super::*;

    /// How often each end came, of so many requests.
    fn ends(run: &mut Run, path: &str, requests: usize, now: Duration) -> BTreeMap<String, usize> {
        let asking = Asking { method: "GET", path, query: "", from: IpAddr::V4(Ipv4Addr::LOCALHOST) };
        let mut ends = BTreeMap::new();
        for _ in 0..requests {
            let admitted = run.admit(asking, now).unwrap();
            run.leave(admitted.generation, now);
            let name = match admitted.fate.end {
                End::Answer(status, _) => status.to_string(),
                end => format!("{end:?}"),
            };
            *ends.entry(name).or_default() += 1;
        }
        ends
    }

    #[test]
    fn the_suite_counts_per_route_and_remembers_over_a_pause_between_scenarios() {
        let mut run = Run::new(&SUITE, 0, Duration::ZERO);
        let count = |pairs: &[(&str, usize)]| -> BTreeMap<String, usize> {
            pairs.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
        };
        let begin = Duration::ZERO;
        assert_eq!(ends(&mut run, "/api/system/stats", 500, begin), count(&[("200", 60), ("429", 440)]));
        assert_eq!(ends(&mut run, "/api/system/ports", 500, begin), count(&[("200", 30), ("429", 470)]));
        let later = Duration::from_secs(7);
        assert_eq!(ends(&mut run, "/api/system/stats", 460, later), count(&[("Hang", 460)]));
        let info = ends(&mut run, "/api/system/info", 500, later);
        assert_eq!(info, count(&[("200", 60), ("429", 430), ("Hang", 10)]));
        // Another run.
        let much_later = Duration::from_secs(16);
        assert_eq!(ends(&mut run, "/api/system/stats", 1, much_later), count(&[("200", 1)]));
    }
}

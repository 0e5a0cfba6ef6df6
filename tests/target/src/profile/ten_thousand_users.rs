//! A market that serves 25 requests a second, here ten times as fast: 250. Fifty users with pauses of two seconds are what
//! it can bear. Whoever comes while a hundred requests wait is turned away: most of them at once, the others after up to a
//! minute of waiting, here six seconds.
//!
//! Some routes fail in a way of their own when many begin to ask for them. These failures are counted: they come after more
//! requests than a few users make, and there are always as many of them.

use std::time::Duration;

use super::model::{End, IDLE, OK, Pool, Profile, Route, Rule, Time};

const BROKEN: &[Rule] = &[Rule::End(End::Answer(500, "{\"error\":\"no connection to the database is left\"}\n"))];
const MISSING: &[Rule] = &[Rule::End(End::Answer(404, "{\"error\":\"not found\"}\n"))];
const WORK: Rule = Rule::WorkOr(0, TURNED_AWAY);
const WORKS: &[Rule] = &[WORK, Rule::End(OK)];

/// Of 1,000 that are turned away 624 are so within 3 ms, 375 after 0.2 to 5.4 s, and one later than that.
const TURNED_AWAY: &[Rule] = &[Rule::Shares(&[
    (437, &[Rule::Delay(between(0, 3)), Rule::End(End::Reset)]),
    (187, &[Rule::Delay(between(0, 3)), Rule::End(End::Close)]),
    (263, &[Rule::Delay(between(200, 5_400)), Rule::End(End::Reset)]),
    (112, &[Rule::Delay(between(200, 5_400)), Rule::End(End::Close)]),
    (1, &[Rule::Delay(between(5_400, 8_300)), Rule::End(End::Reset)]),
])];

pub(super) const PROFILE: Profile = Profile {
    name: "ten-thousand-users",
    pools: &[Pool { queue: 100, ..Pool::new(1, Time::Always(Duration::from_millis(4))) }],
    limits: &[],
    crash: None,
    idle: IDLE,
    routes: &[
        post("/market", WORKS),
        get("/accounts", WORKS),
        get("/nft/my", WORKS),
        get("/market/collections", WORKS),
        post("/market/floor", &[Rule::First(100, WORKS), Rule::First(100 + 281, BROKEN), WORK]),
        get("/offers/my", &[Rule::First(70, WORKS), Rule::First(70 + 192, BROKEN), WORK]),
        post("/auctions", &[Rule::First(45, WORKS), Rule::First(45 + 99, BROKEN), WORK]),
        post("/presale", &[Rule::First(45, WORKS), Rule::First(45 + 92, MISSING), WORK]),
        get("/users/balance-topups", &[Rule::First(45, WORKS), Rule::First(45 + 86, MISSING), WORK]),
    ],
};

const fn between(least: u64, most: u64) -> Time {
    Time::Between(Duration::from_millis(least), Duration::from_millis(most))
}

const fn get(path: &'static str, rules: &'static [Rule]) -> Route {
    Route { method: "GET", path, rules }
}

const fn post(path: &'static str, rules: &'static [Rule]) -> Route {
    Route { method: "POST", path, rules }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::super::run::{Asking, Run};
    use super::*;

    /// When requests end that come each so many microseconds, and how.
    fn fates(run: &mut Run, path: &str, every: u64, requests: u64) -> Vec<(Duration, End)> {
        let asking = Asking { method: "GET", path, query: "", from: IpAddr::V4(Ipv4Addr::LOCALHOST) };
        let ask = |k| {
            let now = Duration::from_micros(k * every);
            let fate = run.admit(asking, now).unwrap().fate;
            (fate.at.saturating_sub(now), fate.end)
        };
        (0..requests).map(ask).collect()
    }

    #[test]
    fn it_serves_what_it_can_and_turns_everybody_else_away() {
        let mut run = Run::new(&PROFILE, 0, Duration::ZERO);
        // 240 a second.
        let fates_of_few = fates(&mut run, "/accounts", 4167, 480);
        assert!(fates_of_few.iter().all(|fate| *fate == (Duration::from_millis(4), OK)), "{fates_of_few:?}");
        // 8,000 a second, for 10 s.
        let mut run = Run::new(&PROFILE, 0, Duration::ZERO);
        let fates_of_many = fates(&mut run, "/accounts", 125, 80_000);
        let (served, turned_away): (Vec<_>, Vec<_>) = fates_of_many.into_iter().partition(|(_, end)| *end == OK);
        assert!((2600..=2602).contains(&served.len()), "{}", served.len());
        let mut times: Vec<_> = turned_away.iter().map(|(time, _)| time.as_secs_f64()).collect();
        times.sort_by(f64::total_cmp);
        let share = |share: f64| times[(times.len() as f64 * share) as usize];
        assert!(share(0.62) < 0.003 && share(0.63) > 0.2, "{} {}", share(0.62), share(0.63));
        assert!((4.5..4.9).contains(&share(0.95)) && (5.1..5.4).contains(&share(0.99)), "{}", share(0.95));
        let mean = times.iter().sum::<f64>() / times.len() as f64;
        assert!((1.0..1.12).contains(&mean), "{mean}");
        let resets = turned_away.iter().filter(|(_, end)| *end == End::Reset).count() as f64;
        assert!((0.69..0.71).contains(&(resets / turned_away.len() as f64)), "{resets}");
    }

    #[test]
    fn failures_of_its_own_are_counted() {
        let mut run = Run::new(&PROFILE, 0, Duration::ZERO);
        let fates = fates(&mut run, "/offers/my", 200, 2000);
        let broken: Vec<_> = (0..fates.len()).filter(|k| matches!(fates[*k].1, End::Answer(500, _))).collect();
        assert_eq!(broken, (70..262).collect::<Vec<_>>());
    }
}

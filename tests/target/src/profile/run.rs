//! One profile under load: what it remembers, and what becomes of a request to it.

use std::net::IpAddr;
use std::time::Duration;

use tokio::sync::watch;

use super::limiter::Limiter;
use super::model::{End, OK, Profile, Rule, When, share};
use super::pool::Workers;

const MIB: f64 = 1_048_576.0;

/// When a request ends, since the profile's begin, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fate {
    pub(crate) at: Duration,
    pub(crate) end: End,
}

/// A profile's state. Times are since the begin of the server, and never go back.
#[derive(Debug)]
pub(crate) struct Run {
    profile: &'static Profile,
    /// Which begin this is: who was asked before it does not count any more.
    generation: u64,
    pools: Vec<Workers>,
    limiters: Vec<Limiter>,
    routes: Vec<Asked>,
    requests: u64,
    in_flight: u64,
    memory: u64,
    /// When something was asked last, or ended.
    last: Duration,
    /// Requests since the begin or the crash.
    since_crash: u64,
    /// When it is back, while it is down.
    down: Option<Duration>,
    /// How often it crashed. Who is in flight waits for that.
    crashes: watch::Sender<u64>,
}

/// What rules may look at of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asking<'a> {
    pub(crate) method: &'a str,
    /// Below the profile's name.
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) from: IpAddr,
}

/// What was asked of one route.
#[derive(Debug, Default, Clone)]
struct Asked {
    requests: u64,
    /// Delays, and shares, that were drawn.
    delays: u64,
    drawn: u64,
}

/// A request of which the fate is known, until it changes.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) fate: Fate,
    pub(crate) generation: u64,
    pub(crate) route: usize,
    pub(crate) crashes: watch::Receiver<u64>,
}

impl Run {
    pub(crate) fn new(profile: &'static Profile, generation: u64, now: Duration) -> Self {
        Self {
            profile,
            generation,
            pools: profile.pools.iter().map(|_| Workers::default()).collect(),
            limiters: profile.limits.iter().map(|_| Limiter::default()).collect(),
            routes: vec![Asked::default(); profile.routes.len()],
            requests: 0,
            in_flight: 0,
            memory: 0,
            last: now,
            since_crash: 0,
            down: None,
            crashes: watch::Sender::new(0),
        }
    }

    /// Forgets everything.
    pub(crate) fn reset(&mut self, now: Duration) {
        *self = Self::new(self.profile, self.generation + 1, now);
    }

    /// A request comes; none if no route is for it. It is in flight until [`Run::leave`].
    pub(crate) fn admit(&mut self, asking: Asking<'_>, now: Duration) -> Option<Admitted> {
        let route = self.profile.routes.iter().position(|route| route.fits(asking.method, asking.path))?;
        if self.in_flight == 0 && now > self.last + self.profile.idle {
            self.reset(now);
        }
        self.last = now;
        self.requests += 1;
        self.in_flight += 1;
        self.routes[route].requests += 1;
        let rules = if self.is_down(now) { self.down_rules() } else { self.profile.routes[route].rules };
        let fate = self.fate(rules, route, asking, now);
        Some(Admitted { fate, generation: self.generation, route, crashes: self.crashes.subscribe() })
    }

    /// What becomes of a request that was in flight when the profile crashed.
    pub(crate) fn crash_takes(&mut self, route: usize, asking: Asking<'_>, now: Duration) -> Fate {
        self.fate(self.down_rules(), route, asking, now)
    }

    /// A request is not in flight any more.
    pub(crate) fn leave(&mut self, generation: u64, now: Duration) {
        if generation == self.generation {
            self.in_flight -= 1;
            self.last = now;
        }
    }

    /// What is known of it, as JSON.
    pub(crate) fn statistics(&self) -> String {
        let Self { requests, in_flight, memory, .. } = self;
        format!("{{\"requests\":{requests},\"inFlight\":{in_flight},\"memory\":{memory}}}\n")
    }

    fn down_rules(&self) -> &'static [Rule] {
        self.profile.crash.as_ref().map_or(&[], |crash| crash.down)
    }

    /// Whether it is down: still, or by the request that has just come.
    fn is_down(&mut self, now: Duration) -> bool {
        let Some(crash) = &self.profile.crash else { return false };
        match self.down {
            Some(back) if now >= back => (self.down, self.since_crash) = (None, 0),
            Some(_) => return true,
            None => {}
        }
        self.since_crash += 1;
        let crashes = match crash.when {
            When::InFlight(most) => self.in_flight > most,
            When::Requests(most) => self.since_crash > most,
        };
        if crashes {
            self.down = Some(crash.back.map_or(Duration::MAX, |back| now + back));
            self.crashes.send_modify(|crashes| *crashes += 1);
        }
        crashes
    }

    fn fate(&mut self, rules: &'static [Rule], route: usize, asking: Asking<'_>, now: Duration) -> Fate {
        let mut later = Duration::ZERO;
        let end = self.follow(rules, &mut later, route, asking, now);
        Fate { at: now + later, end: end.unwrap_or(OK) }
    }

    /// How these rules end a request, if they do; they add to the time that it takes. All resources are asked as of now,
    /// whatever came before in the list: their calculation wants times in their order.
    fn follow(
        &mut self,
        rules: &'static [Rule],
        later: &mut Duration,
        route: usize,
        asking: Asking<'_>,
        now: Duration,
    ) -> Option<End> {
        for rule in rules {
            let end = match *rule {
                Rule::Delay(time) => {
                    let delays = &mut self.routes[route].delays;
                    *later += time.draw(*delays);
                    *delays += 1;
                    None
                }
                Rule::Work(pool) => {
                    let (done, end) = self.pools[pool].take(&self.profile.pools[pool], now);
                    *later += done.saturating_sub(now);
                    end
                }
                Rule::WorkOr(pool, rules) => match self.pools[pool].take(&self.profile.pools[pool], now) {
                    (_, Some(_)) => self.follow(rules, later, route, asking, now),
                    (done, None) => {
                        *later += done.saturating_sub(now);
                        None
                    }
                },
                Rule::Limited(limit) => {
                    let wanted = &self.profile.limits[limit];
                    let lets = self.limiters[limit].lets(wanted, now, route, asking.from);
                    (!lets).then_some(wanted.beyond)
                }
                Rule::Leak { bytes, slower } => {
                    self.memory = self.memory.saturating_add(bytes);
                    *later += slower.mul_f64(self.memory as f64 / MIB);
                    None
                }
                Rule::First(most, rules) if self.routes[route].requests <= most => {
                    self.follow(rules, later, route, asking, now)
                }
                Rule::Shares(shares) => {
                    let drawn = &mut self.routes[route].drawn;
                    let rules = share(shares, *drawn);
                    *drawn += 1;
                    self.follow(rules, later, route, asking, now)
                }
                Rule::With(name, rules) if has_parameter(asking.query, name) => {
                    self.follow(rules, later, route, asking, now)
                }
                Rule::First(..) | Rule::With(..) => None,
                Rule::End(end) => Some(end),
            };
            if end.is_some() {
                return end;
            }
        }
        None
    }
}

fn has_parameter(query: &str, name: &str) -> bool {
    form_urlencoded::parse(query.as_bytes()).any(|(known, _)| known == name)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::super::model::{ANY, IDLE, OK, Route};
    use super::*;

    const ONCE: Profile = Profile {
        name: "once",
        pools: &[],
        limits: &[],
        crash: None,
        idle: IDLE,
        routes: &[Route { method: ANY, path: "/", rules: &[Rule::First(1, &[Rule::End(OK)]), Rule::End(End::Close)] }],
    };
    static PROFILE: &Profile = &ONCE;

    #[test]
    fn it_begins_anew_when_nothing_was_asked_or_in_flight_for_two_seconds() {
        let mut run = Run::new(PROFILE, 0, Duration::ZERO);
        let ms = Duration::from_millis;
        let asking = Asking { method: "GET", path: "/", query: "", from: Ipv4Addr::LOCALHOST.into() };
        let ask = |run: &mut Run, at| run.admit(asking, ms(at)).unwrap();
        let first = ask(&mut run, 5000);
        assert_eq!(first.fate, Fate { at: ms(5000), end: OK });
        // It stays in flight for long.
        assert_eq!(ask(&mut run, 9000).fate.end, End::Close);
        run.leave(first.generation, ms(9000));
        run.leave(first.generation, ms(20_000));
        let third = ask(&mut run, 22_000);
        assert_eq!(third.fate.end, End::Close);
        run.leave(third.generation, ms(22_000));
        let fourth = ask(&mut run, 24_001);
        assert_eq!((fourth.fate.end, fourth.generation > third.generation), (OK, true));
        // One of before does not count any more.
        run.leave(third.generation, ms(24_002));
        assert_eq!(run.statistics(), "{\"requests\":1,\"inFlight\":1,\"memory\":0}\n");
    }
}

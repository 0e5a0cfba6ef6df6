//! Users who ask a profile again and again, by a clock of their own: what each profile comes to under its example's load.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::Ipv4Addr;
use std::time::Duration;

use super::model::{End, Profile};
use super::run::{Admitted, Asking, Fate, Run};
use super::{ambient_api, deployments, threads_api};

/// What happens to a user at some time.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// Its answer comes, unless its fate is another one by now.
    Answer(usize),
    /// It asks.
    Ask(usize),
}

/// A load of users that wait for their answers.
struct Load {
    profile: &'static Profile,
    asking: Asking<'static>,
    users: usize,
    /// When each of them begins.
    begin: fn(u32) -> Duration,
    /// How long each pauses.
    pause: Duration,
    /// When the last request is sent.
    until: Duration,
    /// How long a user waits for an answer.
    timeout: Duration,
}

/// A request that was sent.
struct Answered {
    asked: Duration,
    took: Duration,
    /// None for what was given up.
    end: Option<End>,
}

impl Load {
    fn new(profile: &'static Profile, method: &'static str, path: &'static str, users: usize) -> Self {
        let asking = Asking { method, path, query: "", from: Ipv4Addr::LOCALHOST.into() };
        let (pause, until, timeout) = (Duration::ZERO, Duration::from_secs(9), Duration::MAX);
        Self { profile, asking, users, begin: |_| Duration::ZERO, pause, until, timeout }
    }

    fn run(&self) -> Vec<Answered> {
        let mut run = Run::new(self.profile, 0, Duration::ZERO);
        let begin = |user: usize| ((self.begin)(user as u32), Event::Ask(user));
        let mut events: BinaryHeap<_> = (0..self.users).map(|user| Reverse(begin(user))).collect();
        let mut waiting: Vec<Option<(Duration, Admitted)>> = (0..self.users).map(|_| None).collect();
        let mut answered = Vec::new();
        while let Some(Reverse((now, event))) = events.pop() {
            match event {
                Event::Ask(_) if now >= self.until => {}
                Event::Ask(user) => {
                    let admitted = run.admit(self.asking, now).unwrap();
                    events.push(Reverse((self.told(now, admitted.fate), Event::Answer(user))));
                    waiting[user] = Some((now, admitted));
                    self.crash(&mut run, &mut waiting, &mut events, now);
                }
                Event::Answer(user) => {
                    let due = waiting[user].take_if(|(asked, admitted)| self.told(*asked, admitted.fate) <= now);
                    let Some((asked, admitted)) = due else { continue };
                    run.leave(admitted.generation, now);
                    let is_given_up = admitted.fate.end == End::Hang || now.saturating_sub(asked) >= self.timeout;
                    answered.push(Answered {
                        asked,
                        took: now.saturating_sub(asked),
                        end: (!is_given_up).then_some(admitted.fate.end),
                    });
                    events.push(Reverse((now + self.pause, Event::Ask(user))));
                }
            }
        }
        answered.sort_by_key(|one: &Answered| one.asked);
        answered
    }

    /// When a user is through with a request.
    fn told(&self, asked: Duration, fate: Fate) -> Duration {
        let patience = asked.saturating_add(self.timeout);
        if fate.end == End::Hang { patience } else { fate.at.min(patience) }
    }

    /// All who wait learn of a crash.
    fn crash(
        &self,
        run: &mut Run,
        waiting: &mut [Option<(Duration, Admitted)>],
        events: &mut BinaryHeap<Reverse<(Duration, Event)>>,
        now: Duration,
    ) {
        for (user, (asked, admitted)) in waiting.iter_mut().enumerate().filter_map(|(i, one)| Some((i, one.as_mut()?)))
        {
            if admitted.crashes.has_changed().unwrap() {
                admitted.crashes.mark_unchanged();
                admitted.fate = run.crash_takes(admitted.route, self.asking, now);
                events.push(Reverse((self.told(*asked, admitted.fate), Event::Answer(user))));
            }
        }
    }
}

/// Seconds at some share of all, in their order.
fn quantile(answered: &[Answered], share: f64) -> f64 {
    let mut times: Vec<_> = answered.iter().map(|one| one.took).collect();
    times.sort();
    times[((times.len() - 1) as f64 * share) as usize].as_secs_f64()
}

fn mean(answered: &[Answered]) -> f64 {
    answered.iter().map(|one| one.took.as_secs_f64()).sum::<f64>() / answered.len() as f64
}

/// The share that ended so.
fn share(answered: &[Answered], is_so: impl Fn(Option<End>) -> bool) -> f64 {
    answered.iter().filter(|one| is_so(one.end)).count() as f64 / answered.len() as f64
}

fn has_status(end: Option<End>, wanted: u16) -> bool {
    matches!(end, Some(End::Answer(status, _)) if status == wanted)
}

fn has_failed(end: Option<End>) -> bool {
    !matches!(end, Some(End::Answer(200..300, _) | End::AsPath(_)))
}

#[track_caller]
fn near(what: f64, expected: f64, share: f64) {
    assert!((what - expected).abs() <= share * expected, "{what} is {expected}, within {share} of it");
}

#[test]
fn the_ambient_api_breaks_between_30_and_40_users_as_it_did() {
    let load = |users| Load::new(&ambient_api::PROFILE, "POST", "/Ambient/generate_summary_htr", users);
    for users in [10, 15, 23, 34] {
        assert!(share(&load(users).run(), has_failed) < 1e-9, "{users} users");
    }
    // 20 users for 8.9 s, then 30, then 40.
    let begin = |user: u32| Duration::from_millis(8900) * (user / 10).saturating_sub(1);
    let rising = Load { begin, until: Duration::from_millis(26_700), ..load(40) };
    let mut first = rising.run();
    let mut second = first.split_off(first.partition_point(|one| one.asked < begin(20)));
    let third = second.split_off(second.partition_point(|one| one.asked < begin(30)));
    for (held, slow) in [(first, 0.7), (second, 1.5)] {
        assert!(share(&held, has_failed) < 1e-9 && mean(&held) > slow, "{}", mean(&held));
    }
    // In 89 s: 60% with status 500, 26.6 s in the mean and 30 s in the median.
    near(share(&third, |end| has_status(end, 500)), 0.6, 0.15);
    near(mean(&third), 2.66, 0.1);
    near(quantile(&third, 0.5), 3.0, 0.01);
    near(quantile(&third, 1.0), 3.0, 0.01);
    for users in [42, 51] {
        assert!(share(&load(users).run(), has_failed) > 0.3, "{users} users");
    }
}

#[test]
fn deployments_are_quick_until_a_burst_that_fails_altogether() {
    let deploy = Load {
        pause: Duration::from_millis(42),
        ..Load::new(&deployments::PROFILE, "POST", "/api/v1/deployments/", 200)
    };
    assert!(share(&deploy.run(), has_failed) < 1e-9);
    // 12,579 requests in 240 s, all failed; 19 s in the median, 95% within 25 s, 99% within 27 s.
    let mut burst = Load::new(&deployments::PROFILE, "POST", "/api/v1/deployments/", 1000);
    burst.asking.query = "wait=applied";
    (burst.begin, burst.until) = (|user: u32| Duration::from_millis(user.into()), Duration::from_secs(24));
    let answered = burst.run();
    near(share(&answered, |end| has_status(end, 503)), 1.0, 1e-9);
    let done = answered.iter().filter(|one| one.asked + one.took <= burst.until).count();
    near(done as f64, 12_579.0, 0.1);
    near(mean(&answered), 1.67, 0.1);
    near(quantile(&answered, 0.5), 1.9, 0.05);
    near(quantile(&answered, 0.95), 2.5, 0.03);
    near(quantile(&answered, 0.99), 2.7, 0.03);
    burst.users = 200;
    assert!(share(&burst.run(), has_failed) < 1e-9, "200 at once are no burst");
}

#[test]
fn the_threads_api_crashes_and_every_request_fails() {
    let crashed = Load {
        begin: |user| Duration::from_millis(60 * u64::from(user)),
        until: Duration::from_secs(12),
        timeout: Duration::from_secs(3),
        ..Load::new(&threads_api::PROFILE, "GET", "/health", 50)
    };
    // 400 requests in 146 s, none of them answered: 14.9 s in the mean, 95% within 30 s, which is the timeout.
    let answered = crashed.run();
    near(share(&answered, |end| matches!(end, None | Some(End::Reset))), 1.0, 1e-9);
    near(answered.len() as f64, 400.0, 0.1);
    near(mean(&answered), 1.49, 0.1);
    near(quantile(&answered, 0.95), 3.0, 0.01);
}

#[test]
fn the_mended_threads_api_bears_50_users_and_not_100() {
    let load = |users| {
        let pause = Duration::from_millis(200);
        Load { pause, ..Load::new(&threads_api::FIXED, "PUT", "/api/threads/1", users) }.run()
    };
    let (few, many) = (load(50), load(100));
    assert!(quantile(&few, 0.95) < 0.1, "{}", quantile(&few, 0.95));
    assert!(quantile(&many, 0.95) > 1.2, "{}", quantile(&many, 0.95));
    assert!(many.len() < few.len(), "fewer are answered than with half of the users");
}

//! Elections in simulated time, over an API server that loses requests and answers.

use proptest::prelude::*;

use super::*;

fn wall() -> Timestamp {
    Timestamp::UNIX_EPOCH
}

/// A Lease as it is stored: each write makes a version of it.
#[derive(Default)]
struct Server {
    stored: Option<Lease>,
    version: u64,
}

impl Server {
    fn found(&self) -> Option<Lease> {
        self.stored.clone()
    }

    /// Whether it was written.
    fn write(&mut self, turn: &Turn) -> bool {
        let known = self.stored.as_ref().and_then(|lease| lease.metadata.resource_version.clone());
        let lease = match turn {
            Turn::Create(lease) if self.stored.is_none() => lease,
            Turn::Replace(lease) if known.is_some() && lease.metadata.resource_version == known => lease,
            _ => return false,
        };
        self.put(lease)
    }

    fn put(&mut self, lease: &Lease) -> bool {
        self.version += 1;
        let mut lease = lease.clone();
        lease.metadata.resource_version = Some(self.version.to_string());
        self.stored = Some(lease);
        true
    }

    fn record(&self) -> LeaseSpec {
        self.stored.as_ref().and_then(|lease| lease.spec.clone()).unwrap()
    }
}

/// A turn that meets no trouble; whether this one leads then.
fn turn(server: &mut Server, election: &mut Election, at: Instant) -> bool {
    let turn = election.turn(server.found().as_ref(), at, wall());
    let has_written = server.write(&turn);
    if has_written {
        election.wrote(at);
    }
    has_written
}

fn two() -> (Server, Election, Election, Instant) {
    (Server::default(), Election::new("lease", "one"), Election::new("lease", "two"), Instant::now())
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn the_first_holds_the_lease_for_as_long_as_it_renews_it() {
    let (mut server, mut one, mut two, mut now) = two();
    assert!(turn(&mut server, &mut one, now));
    for _ in 0..100 {
        now += 2 * SECOND;
        // Its wall clock stands still, and each renewal is a change all the same.
        assert!(turn(&mut server, &mut one, now) && !turn(&mut server, &mut two, now + SECOND));
    }
    assert_eq!(two.turn(server.found().as_ref(), now, wall()), Turn::Wait { holder: "one".to_owned() });
    let record = server.record();
    assert_eq!((record.lease_transitions, record.acquire_time), (Some(0), Some(MicroTime(wall()))));
}

#[test]
fn a_lease_that_is_not_renewed_is_taken_15_s_after_it_was_first_seen_so_whatever_its_time_says() {
    let (mut server, mut one, mut two, now) = two();
    let far_ahead = wall() + SignedDuration::from_hours(1_000_000);
    let first = one.turn(None, now, far_ahead);
    assert!(server.write(&first));
    let seen = now + 60 * SECOND;
    for second in 0..15 {
        assert!(!turn(&mut server, &mut two, seen + second * SECOND), "after {second} s");
    }
    assert!(turn(&mut server, &mut two, seen + LASTS));
    assert_eq!(server.record().lease_transitions, Some(1));
    one.wrote(now);
    assert_eq!(one.turn(server.found().as_ref(), seen, wall()), Turn::Lost { holder: "two".to_owned() });
}

#[test]
fn a_lease_that_is_let_go_is_taken_at_once() {
    let (mut server, mut one, mut two, now) = two();
    assert!(turn(&mut server, &mut one, now) && !turn(&mut server, &mut two, now));
    assert_eq!(two.released(server.found().unwrap(), wall()), None, "it is not theirs");
    let released = one.released(server.found().unwrap(), wall()).unwrap();
    assert!(server.put(&released) && turn(&mut server, &mut two, now));
    let record = server.record();
    assert_eq!((record.holder_identity.as_deref(), record.lease_transitions), (Some("two"), Some(1)));
}

#[test]
fn a_container_that_is_started_again_in_its_pod_goes_on_with_its_lease() {
    let (mut server, mut one, _, now) = two();
    assert!(turn(&mut server, &mut one, now));
    let mut again = Election::new("lease", "one");
    assert!(turn(&mut server, &mut again, now + SECOND));
    assert_eq!(server.record().lease_transitions, Some(0));
}

#[test]
fn a_lease_that_is_deleted_is_made_anew_by_who_held_it() {
    let (mut server, mut one, mut two, now) = two();
    assert!(turn(&mut server, &mut one, now) && !turn(&mut server, &mut two, now));
    server.stored = None;
    assert!(!turn(&mut server, &mut two, now + SECOND) && turn(&mut server, &mut one, now + SECOND));
}

#[test]
fn a_record_by_others_with_anything_in_it_is_waited_for_and_then_taken() {
    let odd = [(None, None), (Some(-1), None), (Some(0), Some(-7)), (Some(3), Some(i32::MAX))];
    for (duration, transitions) in odd {
        let (mut server, mut one, _, now) = two();
        let record = LeaseSpec {
            holder_identity: Some("somebody".to_owned()),
            lease_duration_seconds: duration,
            lease_transitions: transitions,
            renew_time: Some(MicroTime(Timestamp::MAX)),
            ..LeaseSpec::default()
        };
        server.put(&Lease { spec: Some(record), ..Lease::default() });
        let _ = one.turn(server.found().as_ref(), now, wall());
        assert!(turn(&mut server, &mut one, now + LASTS), "{duration:?}, {transitions:?}");
        assert!(server.record().lease_transitions >= transitions);
    }
}

/// An operator of the simulation: looks every 2 s, gives up on an answer after 3 s, ends when it may not lead.
struct Operator {
    election: Election,
    ahead: SignedDuration,
    /// What is under way: asked when, done when, and what.
    under_way: Option<(u64, u64, Turn)>,
    next_look: u64,
    ended: bool,
}

impl Operator {
    fn new(name: &str, random: &mut fastrand::Rng) -> Self {
        let election = Election::new("lease", name);
        let ahead = SignedDuration::from_secs(random.i64(-100_000..100_000));
        Self { election, ahead, under_way: None, next_look: random.u64(0..20), ended: false }
    }

    /// A tenth of a second.
    fn tick(&mut self, tick: u64, start: Instant, server: &mut Server, trouble: f64, random: &mut fastrand::Rng) {
        let at = |tick: u64| start + Duration::from_millis(tick * 100);
        if let Some((asked, done, turn)) = self.under_way.take() {
            if tick < done {
                self.under_way = Some((asked, done, turn));
                return;
            }
            let is_heard = tick - asked < 30 && random.f64() >= trouble;
            // What is not heard of may be written all the same.
            let is_written = (is_heard || random.bool()) && server.write(&turn);
            if is_heard && is_written {
                self.election.wrote(at(asked));
            }
        } else if tick >= self.next_look && !self.ended {
            self.next_look = tick + 20;
            if random.f64() >= trouble {
                let (found, wall) = (server.found(), wall() + self.ahead);
                match self.election.turn(found.as_ref(), at(tick), wall) {
                    Turn::Wait { .. } => {}
                    Turn::Lost { .. } => self.ended = true,
                    write => {
                        let slowest = if trouble > 0.0 { 40 } else { 20 };
                        self.under_way = Some((tick, tick + random.u64(0..slowest), write));
                    }
                }
            }
        }
        // It looks at the clock at least every 2 s.
        let over = |until: Instant| at(tick) >= until + Duration::from_secs(random.u64(0..=2));
        self.ended |= self.election.leads_until().is_some_and(over);
    }

    fn acts(&self) -> bool {
        !self.ended && self.election.leads_until().is_some()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Ten minutes of an API server that is away for half a minute now and then, with operators that end and are
    /// replaced.
    #[test]
    fn there_are_never_two_that_act_and_soon_always_one(seed in any::<u64>(), worst in 0.0_f64..1.0) {
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut server, start) = (Server::default(), Instant::now());
        let mut operators: Vec<Operator> = (0..3).map(|i| Operator::new(&format!("o{i}"), &mut random)).collect();
        let (mut trouble, mut acted) = (0.0, 0_u64);
        for tick in 0..6000 {
            if tick % 300 == 0 {
                trouble = if random.bool() && tick < 5400 { worst } else { 0.0 };
            }
            for operator in &mut operators {
                operator.tick(tick, start, &mut server, trouble, &mut random);
            }
            let acting = operators.iter().filter(|operator| operator.acts()).count();
            prop_assert!(acting <= 1, "{acting} act at tick {tick}");
            acted += acting as u64;
            let next = |i| Operator::new(&format!("o{i}-{tick}"), &mut random);
            let mut next = next;
            for (index, operator) in operators.iter_mut().enumerate().filter(|(_, operator)| operator.ended) {
                *operator = next(index);
            }
        }
        let now = operators.iter().filter(|operator| operator.acts()).count();
        prop_assert!(now == 1 && acted > 300, "{now} act at the end, {acted} ticks in all");
    }
}

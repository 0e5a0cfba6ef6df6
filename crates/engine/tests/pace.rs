//! When a user's requests come: think times, pacing, a scenario's delay, and its graceful stop.

mod common;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::{execute, iterations, outcomes, plan, scenario, total, users};
use proofload_api::Outcome;
use proofload_api::criterion::Ended;
use proofload_api::units::Micros;
use proofload_plan::{CellAddress, Segment, ThinkTime};
use proofload_target::TestTarget;

/// A server that notes when each request came, and the pauses after its answers, per connection.
struct Clocked {
    address: SocketAddr,
    pauses: Arc<Mutex<Vec<Duration>>>,
}

impl Clocked {
    fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let clocked = Self { address: listener.local_addr().expect("an address"), pauses: Arc::default() };
        let pauses = Arc::clone(&clocked.pauses);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, pauses) = (stream.expect("a connection"), Arc::clone(&pauses));
                std::thread::spawn(move || {
                    let mut answered = None;
                    while matches!(stream.read(&mut [0; 2000]), Ok(1..)) {
                        pauses.lock().expect("no panic").extend(answered.map(|answered: Instant| answered.elapsed()));
                        stream
                            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                            .expect("an open connection");
                        answered = Some(Instant::now());
                    }
                });
            }
        });
        clocked
    }

    /// The pauses in milliseconds, in order of their length, that 20 users make in 2,000 iterations.
    fn pauses(&self, think: ThinkTime) -> Vec<f64> {
        let mut plan = plan(self.address, vec![scenario("one", iterations(20, 101), &["/"])]);
        plan.scenarios[0].think_time = Some(think);
        execute(&plan, Segment::WHOLE, 1);
        let mut pauses: Vec<f64> =
            self.pauses.lock().expect("no panic").drain(..).map(|pause| pause.as_secs_f64() * 1000.0).collect();
        assert_eq!(pauses.len(), 2000);
        pauses.sort_unstable_by(f64::total_cmp);
        pauses
    }
}

fn mean(pauses: &[f64]) -> f64 {
    pauses.iter().sum::<f64>() / pauses.len() as f64
}

#[test]
fn users_pause_as_planned() {
    let server = Clocked::start();
    let millis = Micros::from_millis;
    // How they are distributed is tested where they are drawn. Here it is whether a user keeps to that: on a busy
    // machine pauses are seen longer than they were, but not shorter, but for the way of the answer.
    let constant = server.pauses(ThinkTime::Constant(millis(10)));
    assert!(constant[20] > 9.5 && mean(&constant) < 30.0, "{} {}", constant[20], mean(&constant));
    let uniform = server.pauses(ThinkTime::Uniform { min: millis(5), max: millis(25) });
    assert!(uniform[20] > 4.5 && (14.0..35.0).contains(&mean(&uniform)), "{} {}", uniform[20], mean(&uniform));
    let exponential = server.pauses(ThinkTime::Exponential { mean: millis(20) });
    assert!((18.0..40.0).contains(&mean(&exponential)) && exponential[200] < 18.0, "{}", mean(&exponential));
}

#[test]
fn pacing_is_from_an_iterations_begin_to_the_next_ones() {
    let target = TestTarget::start().unwrap();
    let mut plan = plan(target.address(), vec![scenario("one", users(&[(3, 3, 950)]), &["/delay/30", "/"])]);
    plan.scenarios[0].pacing = Some(Micros::from_millis(100));
    plan.scenarios[0].graceful_stop = Micros::from_secs(5);
    let snapshot = execute(&plan, Segment::WHOLE, 2);
    // At 0, 100, .. 900 ms, whatever an iteration takes; fewer only where it takes longer than that.
    let iterations = snapshot.scenarios[0].iterations;
    assert!((21..=30).contains(&iterations), "{iterations}");
    let cell = plan.layout().index(CellAddress { scenario: 0, step: 0, stage: 0 });
    let (least, ..) = snapshot.cells[cell].decode().unwrap().latency(Ended::Answered).extremes();
    assert!((30_000..90_000).contains(&least), "latency counts from the paced time: {least}");
    // One that takes longer than its pace is followed by the next at once.
    plan.scenarios[0].pacing = Some(Micros::from_millis(10));
    let iterations = execute(&plan, Segment::WHOLE, 2).scenarios[0].iterations;
    assert!((31..=96).contains(&iterations), "{iterations}");
}

#[test]
fn a_scenario_begins_after_its_delay() {
    let target = TestTarget::start().unwrap();
    let mut delayed = scenario("late", iterations(2, 2), &["/late"]);
    delayed.at = Micros::from_millis(300);
    let plan = plan(target.address(), vec![scenario("one", iterations(2, 2), &["/a"]), delayed]);
    let snapshot = execute(&plan, Segment::WHOLE, 2);
    assert_eq!((snapshot.scenarios[0].began, snapshot.scenarios[1].began), (Some(0), Some(300_000)));
    assert!(snapshot.scenarios[0].ended < Some(250_000) && snapshot.scenarios[1].ended >= Some(300_000));
    let (_, most, ..) = total(&snapshot).latency(Ended::Answered).extremes();
    assert!(most < 200_000, "the delay is no latency: {most}");
}

#[test]
fn users_end_what_they_began_within_the_graceful_stop() {
    let target = TestTarget::start().unwrap();
    let mut plan = plan(target.address(), vec![scenario("one", users(&[(4, 4, 150)]), &["/delay/100", "/b", "/c"])]);
    plan.scenarios[0].think_time = Some(ThinkTime::Constant(Micros::from_millis(100)));
    let cut = execute(&plan, Segment::WHOLE, 2).scenarios[0].clone();
    assert_eq!((cut.iterations, cut.cut_iterations), (0, 4));
    plan.scenarios[0].graceful_stop = Micros::from_secs(5);
    target.clear();
    let snapshot = execute(&plan, Segment::WHOLE, 2);
    assert_eq!((snapshot.scenarios[0].iterations, snapshot.scenarios[0].cut_iterations), (4, 0));
    assert_eq!(outcomes(&total(&snapshot)), [(Outcome::Ok, 12)]);
    assert_eq!(target.counts().requests, 12);
    assert!(snapshot.scenarios[0].ended < Some(2_000_000), "no longer than it takes");
}

#[test]
fn users_start_and_finish_once_each() {
    let target = TestTarget::start().unwrap();
    for (load, iterations) in [(iterations(3, 4), 12), (common::arrivals(60, 500, 10), 30)] {
        target.clear();
        let mut plan = plan(target.address(), vec![scenario("one", load, &["/login", "/work", "/logout"])]);
        let scenario = &mut plan.scenarios[0];
        (scenario.on_start, scenario.on_stop) = (1, 1);
        scenario.flow.nodes = vec![proofload_plan::Node::Step(1)];
        let snapshot = execute(&plan, Segment::WHOLE, 2);
        let counts = target.counts().by_path;
        assert_eq!((snapshot.scenarios[0].iterations, counts["/work"]), (iterations, iterations));
        assert!((1..=10).contains(&counts["/login"]), "{counts:?}");
        assert_eq!(counts["/login"], counts["/logout"], "{counts:?}");
    }
}

#[test]
fn what_a_user_does_first_ends_with_the_load() {
    let target = TestTarget::start().unwrap();
    for load in [users(&[(2, 2, 150)]), common::arrivals(20, 100, 2)] {
        target.clear();
        let paths = ["/delay/100", "/delay/120", "/never", "/never/more", "/logout"];
        let mut plan = plan(target.address(), vec![scenario("one", load, &paths)]);
        let scenario = &mut plan.scenarios[0];
        (scenario.on_start, scenario.on_stop) = (3, 1);
        scenario.flow.nodes = vec![proofload_plan::Node::Step(3)];
        let snapshot = execute(&plan, Segment::WHOLE, 1);
        let counts = target.counts().by_path;
        assert_eq!((counts.get("/never"), counts.get("/never/more"), counts["/logout"]), (None, None, 2), "{counts:?}");
        assert!(snapshot.is_complete() && snapshot.scenarios[0].iterations == 0);
    }
}

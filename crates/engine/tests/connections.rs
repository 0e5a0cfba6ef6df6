//! Connections are kept for as long as the plan says, and no longer.

mod common;

use common::{arrivals, execute, iterations, outcomes, plan, scenario, total};
use proofload_api::Outcome;
use proofload_api::units::Micros;
use proofload_plan::{Connections, Keep, Plan, Segment};
use proofload_target::TestTarget;

/// Executes a plan of 24 requests that come to something; the connections that this took.
fn accepted(target: &TestTarget, plan: &Plan) -> u64 {
    target.clear();
    assert_eq!(outcomes(&total(&execute(plan, Segment::WHOLE, 1))), [(Outcome::Ok, 24)]);
    target.counts().connections.accepted
}

#[test]
fn a_connection_takes_no_more_requests_than_planned() {
    let target = TestTarget::start().unwrap();
    let mut plan = plan(target.address(), vec![scenario("one", iterations(2, 12), &["/"])]);
    assert_eq!(accepted(&target, &plan), 2);
    plan.target.keep.max_requests = Some(5);
    assert_eq!(accepted(&target, &plan), 6);
    plan.target.keep.max_requests = Some(1);
    assert_eq!(accepted(&target, &plan), 24);
    plan.target.keep.max_requests = Some(4);
    plan.target.connections = Connections::Shared { count: 1, streams: 1 };
    assert_eq!(accepted(&target, &plan), 6);
}

#[test]
fn a_connection_is_kept_no_longer_than_planned() {
    let target = TestTarget::start().unwrap();
    let mut plan = plan(target.address(), vec![scenario("one", iterations(1, 24), &["/delay/20"])]);
    plan.target.keep = Keep { max_requests: None, max_age: Some(Micros::from_millis(130)) };
    // No more than seven requests fit into its life: the seventh begins before its end.
    assert!((4..=24).contains(&accepted(&target, &plan)));
    plan.target.keep.max_age = Some(Micros::from_secs(60));
    assert_eq!(accepted(&target, &plan), 1);
}

#[test]
fn users_of_an_open_model_use_few_connections() {
    let target = TestTarget::start().unwrap();
    let plan = plan(target.address(), vec![scenario("one", arrivals(24, 1000, 24), &["/"])]);
    assert!(accepted(&target, &plan) <= 12);
}

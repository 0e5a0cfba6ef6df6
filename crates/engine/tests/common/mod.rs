//! What the engine's tests share: small plans against a target on loopback, and waiting with a deadline.

#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test file uses a part of this")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proofload_api::Outcome;
use proofload_api::scenario::{Flow, Method, StatusPattern};
use proofload_api::units::Micros;
use proofload_engine::{Engine, Options};
use proofload_plan::{
    Connections, Load, PLAN_VERSION, Plan, Request, Scenario, Segment, Span, Step, Target, UserCurve,
};
use proofload_results::{Cell, Snapshot};

/// No test takes longer; a wait that does has failed.
pub const DEADLINE: Duration = Duration::from_secs(20);

pub fn plan(address: SocketAddr, scenarios: Vec<Scenario>) -> Plan {
    Plan {
        version: PLAN_VERSION,
        run: "test".to_owned(),
        seed: 7,
        target: Target {
            host: address.ip().to_string(),
            port: address.port(),
            authority: address.to_string(),
            timeout: Micros::from_secs(10),
            connections: Connections::PerUser(1),
        },
        scenarios,
        heartbeat_timeout: Micros::from_secs(120),
        timeline_width: Micros::from_millis(100),
    }
}

/// A scenario that asks for these paths in order.
pub fn scenario(name: &str, load: Load, paths: &[&str]) -> Scenario {
    let step = |path: &&str| Step {
        name: format!("step{path}").replace('/', "-"),
        weight: 1,
        request: Request {
            method: Method::Get,
            path: (*path).to_owned(),
            headers: vec![("Host".to_owned(), "test".to_owned())],
            body: None,
        },
        expect: vec![StatusPattern::Class(2)],
    };
    Scenario {
        name: name.to_owned(),
        after: None,
        load,
        think_time: None,
        flow: Flow::Sequence,
        steps: paths.iter().map(step).collect(),
    }
}

pub fn iterations(users: u32, per_user: u32) -> Load {
    Load::Iterations { users, per_user, max_duration: Micros::from_secs(60) }
}

/// A curve of `(from, to, milliseconds)`.
pub fn users(spans: &[(u32, u32, u64)]) -> Load {
    let span = |(i, (from, to, millis)): (usize, &(u32, u32, u64))| Span {
        name: format!("stage-{i}"),
        from: *from,
        to: *to,
        duration: Micros::from_millis(*millis),
    };
    Load::Users(UserCurve::new(spans.iter().enumerate().map(span).collect()))
}

pub fn launch(plan: &Plan, segment: Segment, threads: usize) -> Engine {
    Engine::launch(Arc::new(plan.clone()), segment, Options { threads }).expect("a plan that can be executed")
}

/// Waits for the end, with a deadline.
pub async fn ended(engine: &Engine) {
    tokio::time::timeout(DEADLINE, engine.ended()).await.expect("the load ends");
}

/// Executes a segment with every scenario at once; the last snapshot.
pub fn execute(plan: &Plan, segment: Segment, threads: usize) -> Snapshot {
    block_on(async {
        let engine = launch(plan, segment, threads);
        let all: Vec<usize> = (0..plan.scenarios.len()).collect();
        engine.begin(&all, Instant::now());
        ended(&engine).await;
        engine.snapshot().await
    })
}

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

/// Waits for a condition, with a deadline.
pub async fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    let mut ticks = tokio::time::interval(Duration::from_millis(2));
    while !condition() {
        assert!(begin.elapsed() < DEADLINE, "waited too long for {what}");
        ticks.tick().await;
    }
}

/// All cells in one.
pub fn total(snapshot: &Snapshot) -> Cell {
    let mut total = Cell::default();
    snapshot.cells.iter().for_each(|cell| total.add(&cell.decode().expect("a cell")));
    total
}

/// Requests that came to something, by outcome.
pub fn outcomes(cell: &Cell) -> Vec<(Outcome, u64)> {
    let counted = |outcome: Outcome| (outcome, cell.count(outcome));
    Outcome::ALL.into_iter().map(counted).filter(|(_, count)| *count > 0).collect()
}

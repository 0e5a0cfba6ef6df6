//! What the engine's tests share: small plans against a target on loopback, and waiting with a deadline.

#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test file uses a part of this")]

pub mod recording;
pub mod secure;
pub mod web_sockets;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proofload_api::Outcome;
use proofload_api::data::{Per, Pick};
use proofload_api::step::{Method, Redirects, StatusPattern};
use proofload_api::units::{Micros, Rate};
use proofload_engine::{Engine, Materials, Options, Shelf};
use proofload_plan::{
    Action, Body, Connections, DataSet, Escape, Flow, Format, Keep, Load, Node, PLAN_VERSION, Part, Place, Plan,
    Protocol, RateCurve, RateSpan, Request, Role, Scenario, Segment, Source, Span, Step, Target, Template, UserCurve,
    Value,
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
            keep: Keep { max_requests: None, max_age: None },
            cookies: true,
            protocol: Protocol::Http1,
            tls: None,
        },
        data: Vec::new(),
        files: Vec::new(),
        env: Vec::new(),
        variables: Vec::new(),
        scenarios,
        server: None,
        heartbeat_timeout: Micros::from_secs(120),
        timeline_width: Micros::from_millis(100),
    }
}

/// A scenario that asks for these paths in order.
pub fn scenario(name: &str, load: Load, paths: &[&str]) -> Scenario {
    let step = |path: &&str| Step {
        name: format!("step{path}").replace('/', "-"),
        group: None,
        action: Action::Request(Request {
            method: Method::Get,
            path: Template::text(*path),
            headers: vec![("Host".to_owned(), Template::text("test"))],
            body: Body::None,
            redirects: Redirects::Never,
        }),
        expect: vec![StatusPattern::Class(2)],
        checks: Vec::new(),
        extract: Vec::new(),
    };
    Scenario {
        name: name.to_owned(),
        role: Role::Main,
        after: None,
        at: Micros::ZERO,
        load,
        think_time: None,
        pacing: None,
        graceful_stop: Micros::ZERO,
        flow: Flow { nodes: (0..paths.len()).map(Node::Step).collect(), weights: None },
        steps: paths.iter().map(step).collect(),
        on_start: 0,
        on_stop: 0,
        data: Vec::new(),
    }
}

/// The request of a step that has one.
pub fn request(step: &mut Step) -> &mut Request {
    let Action::Request(request) = &mut step.action else { panic!("{} has no request", step.name) };
    request
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

/// So many arrivals a second, for so many milliseconds, by at most so many users.
pub fn arrivals(per_second: u64, millis: u64, max_users: u32) -> Load {
    rates(&[(per_second, per_second, millis)], max_users)
}

/// A curve of arrivals `(from, to, milliseconds)`, the first two per second.
pub fn rates(spans: &[(u64, u64, u64)], max_users: u32) -> Load {
    let span = |(i, (from, to, millis)): (usize, &(u64, u64, u64))| RateSpan {
        name: format!("stage-{i}"),
        from: Rate::per_second(*from),
        to: Rate::per_second(*to),
        duration: Micros::from_millis(*millis),
    };
    Load::Arrivals { curve: RateCurve::new(spans.iter().enumerate().map(span).collect()), max_users }
}

pub fn launch(plan: &Plan, segment: Segment, threads: usize) -> Engine {
    Engine::launch(Arc::new(plan.clone()), segment, Options { threads }, Arc::new(Materials::default()))
        .expect("a plan that can be executed")
}

/// Executes a segment of a plan that is made of materials.
pub fn execute_with(plan: &Plan, segment: Segment, threads: usize, materials: Materials) -> Snapshot {
    block_on(async {
        let engine = Engine::launch(Arc::new(plan.clone()), segment, Options { threads }, Arc::new(materials))
            .expect("a plan that can be executed");
        let all: Vec<usize> = (0..plan.scenarios.len()).collect();
        engine.begin(&all, Instant::now(), &[]);
        ended(&engine).await;
        engine.snapshot().await
    })
}

/// Materials that are in memory.
#[derive(Debug, Default)]
pub struct InMemory(pub Vec<(&'static str, Vec<u8>)>);

impl Shelf for InMemory {
    fn read(&self, name: &str, _: &Place) -> Result<Vec<u8>, String> {
        let found = self.0.iter().find(|(own, _)| *own == name);
        found.map(|(_, bytes)| bytes.clone()).ok_or_else(|| "no such file".to_owned())
    }

    fn variable(&self, name: &str, _: Option<&Place>) -> Option<String> {
        self.read(name, &Place::File(String::new())).ok().map(|bytes| String::from_utf8(bytes).expect("UTF-8"))
    }
}

/// A data set of this name, of which these columns are used.
pub fn data_set(name: &str, pick: Pick, per: Per, columns: &[&str]) -> DataSet {
    DataSet {
        source: source(name),
        format: if name.ends_with("jsonl") { Format::Jsonl } else { Format::Csv },
        pick,
        per,
        columns: columns.iter().map(|column| (*column).to_owned()).collect(),
        needs: None,
    }
}

pub fn source(name: &str) -> Source {
    Source { name: name.to_owned(), place: Place::File(name.to_owned()) }
}

/// A template of texts and values by turns: `("user ", Value::UserId)` is `user {{user.id}}`.
pub fn template(parts: &[(&str, Value)], escape: Escape) -> Template {
    let part = |(text, value): &(&str, Value)| [Part::Text((*text).to_owned()), Part::Value(value.clone(), escape)];
    Template(parts.iter().flat_map(part).collect())
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
        engine.begin(&all, Instant::now(), &[]);
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

//! A small plan and runners that measured something.

use proofload_api::loadtest::Severity;
use proofload_api::scenario::{Method, Redirects};
use proofload_api::{Micros, Outcome};
use proofload_plan::{
    Action, Body, CellAddress, Connections, Criterion, Flow, Keep, Load, PLAN_VERSION, Plan, Protocol, Request, Role,
    Scenario, Scope, Segment, Span, Step, Target, Template, UserCurve,
};
use proofload_results::snapshot::MAX_ERRORS;
use proofload_results::{
    Cell, Circumstances, EncodedBucket, EndCause, ErrorRecord, GeneratorRecord, Input, Report, RunnerState, Sample,
    ScenarioProgress, Snapshot, SnapshotSet, Times,
};

pub(crate) const SECOND: u64 = 1_000_000;

/// `baseline`: a ramp to 10 users over 10 s, then 20 s of them, steps `create` and `list`; after it `burst`: 4 users
/// with 25 iterations each of the one step `get`.
pub(crate) fn plan() -> Plan {
    let span =
        |name: &str, from, seconds| Span { name: name.to_owned(), from, to: 10, duration: Micros::from_secs(seconds) };
    let curve = UserCurve::new(vec![span("ramp", 0, 10), span("steady", 10, 20)]);
    let burst = Load::Iterations { users: 4, per_user: 25, max_duration: Micros::from_secs(10) };
    Plan {
        version: PLAN_VERSION,
        run: "shop/checkout".to_owned(),
        seed: 1,
        target: Target {
            host: "api".to_owned(),
            port: 80,
            authority: "api".to_owned(),
            timeout: Micros::from_secs(30),
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
        scenarios: vec![
            scenario("baseline", None, Load::Users(curve), &["create", "list"]),
            scenario("burst", Some(0), burst, &["get"]),
        ],
        server: None,
        heartbeat_timeout: Micros::from_secs(120),
        timeline_width: Micros::from_secs(1),
    }
}

fn scenario(name: &str, after: Option<usize>, load: Load, steps: &[&str]) -> Scenario {
    let steps = steps.iter().map(|name| Step {
        name: (*name).to_owned(),
        group: None,
        action: Action::Request(Request {
            method: Method::Get,
            path: Template::text("/"),
            headers: Vec::new(),
            body: Body::None,
            redirects: Redirects::default(),
        }),
        expect: Vec::new(),
        checks: Vec::new(),
        extract: Vec::new(),
    });
    Scenario {
        name: name.to_owned(),
        role: Role::Main,
        after,
        at: Micros::ZERO,
        load,
        think_time: None,
        pacing: None,
        graceful_stop: Micros::ZERO,
        flow: Flow { nodes: Vec::new(), weights: None },
        steps: steps.collect(),
        on_start: 0,
        on_stop: 0,
        data: Vec::new(),
    }
}

pub(crate) fn ok(micros: u64) -> Sample {
    Sample {
        outcome: Outcome::Ok,
        status: Some(200),
        latency: micros,
        service_time: micros,
        bytes_out: 100,
        bytes_in: 200,
    }
}

pub(crate) fn failed(outcome: Outcome, status: Option<u16>) -> Sample {
    Sample { outcome, status, ..ok(5_000) }
}

/// A runner that can be told what it measured.
#[derive(Debug, Clone)]
pub(crate) struct Runner {
    cells: Vec<Cell>,
    timeline: Vec<(u64, u64, Times)>,
    pub(crate) snapshot: Snapshot,
}

impl Runner {
    /// One that did all of its share and has not measured anything yet.
    pub(crate) fn new(index: u32, count: u32) -> Self {
        let (plan, segment) = (plan(), Segment::new(index, count));
        let progress = |began, ended, iterations| ScenarioProgress {
            began: Some(began),
            ended: Some(ended),
            iterations,
            ..ScenarioProgress::default()
        };
        let iterations = u64::from(segment.share(4)) * 25;
        let snapshot = Snapshot {
            run: plan.run.clone(),
            segment,
            sequence: 1,
            state: RunnerState::Ended(EndCause::Completed),
            clock: 99 * SECOND,
            began: Some(7 * SECOND),
            scenarios: vec![progress(0, 30 * SECOND, 500), progress(31 * SECOND, 41 * SECOND, iterations)],
            cells: Vec::new(),
            timeline: Vec::new(),
            errors: Vec::new(),
            generator: GeneratorRecord {
                threads: 1,
                cpu: 5 * SECOND,
                cpu_available: 41 * SECOND,
                throttled: 0,
                elapsed: 41 * SECOND,
                memory: 24 << 20,
                lateness: lateness(&[100]),
                ..GeneratorRecord::default()
            },
            variables: Vec::new(),
            stop: None,
        };
        let cells = vec![Cell::default(); plan.layout().len()];
        Self { cells, timeline: vec![(0, 0, Times::coarse()); 41], snapshot }
    }

    /// Counts `count` samples in a step and a stage, at a second of the run.
    pub(crate) fn add(mut self, scenario: usize, step: usize, stage: usize, count: u64, sample: Sample) -> Self {
        let index = plan().layout().index(CellAddress { scenario, step, stage });
        let second = [[5, 20], [35, 35]][scenario][stage];
        for _ in 0..count {
            self.cells[index].record(&sample);
            let (requests, errors, latency) = &mut self.timeline[second];
            *requests += 1;
            *errors += u64::from(sample.outcome.is_error());
            if sample.outcome.has_latency() {
                latency.record(sample.latency);
            }
        }
        self
    }

    /// The load of a good run: 400 requests of `baseline`, its share of the 100 of `burst`.
    pub(crate) fn with_load(self) -> Self {
        let burst = u64::from(self.snapshot.segment.share(4)) * 25;
        self.add(0, 0, 0, 50, ok(10_000))
            .add(0, 0, 1, 150, ok(20_000))
            .add(0, 1, 0, 50, ok(30_000))
            .add(0, 1, 1, 150, ok(40_000))
            .add(1, 0, 0, burst, ok(50_000))
    }

    pub(crate) fn error(mut self, message: &str, count: u64) -> Self {
        assert!(self.snapshot.errors.len() < MAX_ERRORS);
        let (scenario, step, outcome) = (0, 0, Outcome::UnexpectedStatus);
        let message = message.to_owned();
        let record = ErrorRecord { scenario, step, outcome, message, count, first_seen: SECOND, last_seen: 9 * SECOND };
        self.snapshot.errors.push(record);
        self
    }

    pub(crate) fn state(mut self, state: RunnerState) -> Self {
        self.snapshot.state = state;
        self
    }

    pub(crate) fn generator(mut self, change: impl FnOnce(&mut GeneratorRecord)) -> Self {
        change(&mut self.snapshot.generator);
        self
    }

    pub(crate) fn snapshot(self) -> Snapshot {
        let users = self.snapshot.segment.share(10);
        let bucket = |(requests, errors, latency): &(u64, u64, Times)| EncodedBucket {
            requests: *requests,
            errors: *errors,
            users: if *requests > 0 { users } else { 0 },
            latency: latency.encode(),
        };
        Snapshot {
            cells: self.cells.iter().map(Cell::encode).collect(),
            timeline: self.timeline.iter().map(bucket).collect(),
            ..self.snapshot
        }
    }
}

pub(crate) fn lateness(micros: &[u64]) -> proofload_results::EncodedTimes {
    let mut times = Times::new();
    for micros in micros {
        times.record(*micros);
    }
    times.encode()
}

pub(crate) fn criterion(text: &str, scope: Scope) -> Criterion {
    let of = match scope {
        Scope::Run => None,
        Scope::Scenario(scenario) => Some(["baseline", "burst"][scenario].to_owned()),
        Scope::Steps(scenario, step, _) => {
            Some([["baseline/create", "baseline/list"], ["burst/get", ""]][scenario][step].to_owned())
        }
    };
    Criterion {
        text: text.to_owned(),
        expr: text.parse().unwrap(),
        scope,
        of,
        during: None,
        during_text: None,
        abort: None,
        severity: Severity::Fail,
    }
}

/// The report of a run of so many runners.
pub(crate) fn report(
    runners: u32,
    snapshots: impl IntoIterator<Item = Snapshot>,
    criteria: &[Criterion],
    circumstances: &Circumstances,
) -> Report {
    with_input(runners, snapshots, criteria, circumstances, Report::build)
}

pub(crate) fn with_input<T>(
    runners: u32,
    snapshots: impl IntoIterator<Item = Snapshot>,
    criteria: &[Criterion],
    circumstances: &Circumstances,
    with: impl FnOnce(&Input<'_>) -> T,
) -> T {
    let plan = plan();
    let mut set = SnapshotSet::new(&plan, runners);
    for snapshot in snapshots {
        set.insert(snapshot).unwrap();
    }
    with(&Input {
        plan: &plan,
        criteria,
        spec: &serde_json::json!({"target": {"baseUrl": "http://api"}}),
        name: "checkout",
        namespace: Some("shop"),
        start: Some("2026-01-02T03:04:05Z"),
        runners,
        totals: &set.totals(&plan),
        circumstances,
        baseline: None,
    })
}

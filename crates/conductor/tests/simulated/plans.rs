//! Plans of the simulated runs.

use proofload_api::Micros;
use proofload_api::scenario::Method;
use proofload_api::step::Redirects;
use proofload_api::units::Share;
use proofload_plan::{
    Action, Body, Connections, Flow, Keep, Level, Load, PLAN_VERSION, Plan, Protocol, Request, Role, Scenario, Search,
    Span, Step, Target, Template, UserCurve,
};

/// Scenarios of 10 s with 6 users, each after another one or not.
pub(crate) fn plan(afters: &[Option<usize>]) -> Plan {
    let scenarios = afters.iter().enumerate();
    let scenario = |(i, after): (usize, &Option<usize>)| {
        let span = Span { name: "1".into(), from: 6, to: 6, duration: Micros::from_secs(10) };
        Scenario { after: *after, ..scenario(&format!("s{i}"), Role::Main, Load::Users(UserCurve::new(vec![span]))) }
    };
    Plan {
        version: PLAN_VERSION,
        run: "simulated".into(),
        seed: 1,
        target: Target {
            host: "t".into(),
            port: 80,
            authority: "t".into(),
            timeout: Micros::from_secs(5),
            connections: Connections::PerUser(1),
            keep: Keep { max_requests: None, max_age: None },
            cookies: true,
            protocol: Protocol::Http1,
            tls: None,
        },
        data: Vec::new(),
        files: Vec::new(),
        env: Vec::new(),
        variables: vec!["token".into()],
        scenarios: scenarios.map(scenario).collect(),
        server: None,
        heartbeat_timeout: Micros::from_secs(120),
        timeline_width: Micros::from_secs(1),
    }
}

/// The same with a setup before it, and a teardown after it.
pub(crate) fn with_setup_and_teardown(mut plan: Plan) -> Plan {
    let once = || Load::Iterations { users: 1, per_user: 1, max_duration: Micros::from_secs(60) };
    plan.scenarios.push(scenario("setup", Role::Setup, once()));
    plan.scenarios.push(scenario("teardown", Role::Teardown, once()));
    plan
}

/// One scenario that searches from 4 users up to 500: steps of 2 s to settle and 4 s to be judged.
pub(crate) fn search() -> Plan {
    let mut plan = plan(&[None]);
    plan.scenarios[0].load = Load::Search(Search {
        from: Level::Users(4),
        limit: Level::Users(500),
        factor: 2,
        max_users: 500,
        settle: Micros::from_secs(2),
        window: Micros::from_secs(4),
        until: "rate(errors) < 1%".into(),
        precision: Share::from_percent(5),
        most_steps: 20,
    });
    plan
}

fn scenario(name: &str, role: Role, load: Load) -> Scenario {
    let request = Request {
        method: Method::Get,
        path: Template::text("/"),
        headers: Vec::new(),
        body: Body::None,
        redirects: Redirects::default(),
    };
    Scenario {
        name: name.into(),
        role,
        after: None,
        at: Micros::ZERO,
        load,
        think_time: None,
        pacing: None,
        graceful_stop: Micros::ZERO,
        flow: Flow { nodes: Vec::new(), weights: None },
        steps: vec![Step {
            name: "get".into(),
            group: None,
            action: Action::Request(request),
            expect: Vec::new(),
            checks: Vec::new(),
            extract: Vec::new(),
        }],
        on_start: 0,
        on_stop: 0,
        data: Vec::new(),
    }
}

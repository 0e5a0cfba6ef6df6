//! A specification as a user writes it, compiled, against a service that checks what it is sent.

mod common;

use common::{InMemory, ended, execute_with, outcomes, total};
use proofload_api::{LoadTestSpec, Outcome};
use proofload_engine::{Engine, Materials, Options};
use proofload_plan::{Plan, Role, Segment, compile};
use proofload_target::TestTarget;
use serde::Deserialize;
use serde_json::json;

fn compiled(spec: &serde_json::Value) -> Plan {
    let spec = LoadTestSpec::deserialize(spec).expect("a specification");
    compile(&spec, "team/service").expect("one that compiles").plan
}

#[test]
fn a_shopping_trip_is_executed_as_it_is_written() {
    let target = TestTarget::start().unwrap();
    let plan = compiled(&json!({
        "target": {"baseUrl": format!("http://{}", target.address()), "redirects": "SameOrigin"},
        "data": {"users": {"file": "users.csv", "pick": "Unique", "per": "User"}},
        "files": {"picture": {"file": "picture.png"}},
        "scenarios": [{
            "name": "shop",
            "iterations": {"users": 3, "perUser": 2, "maxDuration": "30s"},
            "onStart": [{
                "name": "login",
                "request": {"method": "POST", "path": "/login", "json": {"name": "{{users.name}}", "n": "{{user.id | json}}"}},
                "extract": {"token": {"json": "$.token"}},
            }],
            "steps": [
                {"name": "session", "request": {"path": "/session"}, "expect": {"status": [200]}},
                {"name": "private", "request": {"path": "/private", "auth": {"bearer": "{{token}}"}},
                    "expect": {"status": [200], "headers": {"content-type": "application/json"}, "latency": "5s"}},
                {"name": "basic", "request": {"path": "/basic/me/secret", "auth": {"basic": {"username": "me", "password": "secret"}}},
                    "expect": {"status": [200]}},
                {"name": "upload", "request": {"method": "POST", "path": "/upload", "multipart": [
                    {"name": "who", "value": "{{users.name}}"}, {"name": "what", "file": "picture"}]},
                    "expect": {"status": [200], "json": {"$..bytes": 70_000}}},
                {"name": "hops", "request": {"path": "/redirect/302/3"}, "expect": {"status": [200]}},
                {"name": "echo", "request": {"method": "POST", "path": "/echo/{{users.name}}", "form": {"a": "{{users.name}}"}},
                    "expect": {"status": [200]}},
            ],
        }],
    }));
    let picture: Vec<u8> = (0..70_000_u32).map(|i| (i * 31 % 256) as u8).collect();
    let rows = "name,other\n\"a, \"\"b\"\"\",1\n\u{e4}&=\u{df},2\nc/d?,3\n".as_bytes().to_vec();
    let materials = Materials::load(&plan, &InMemory(vec![("users", rows), ("picture", picture)])).unwrap();
    let snapshot = execute_with(&plan, Segment::WHOLE, 2, materials);
    let cell = total(&snapshot);
    assert_eq!(outcomes(&cell), [(Outcome::Ok, 3 + 6 * 6 + 6 * 3)], "{:?}", snapshot.errors);
    let counts = target.counts();
    assert_eq!((counts.requests, snapshot.scenarios[0].iterations), (cell.requests(), 6));
    // Each user opened one session, and all of its requests after that were of it; each picture is as the others.
    assert_eq!((counts.sessions.opened, counts.sessions.known, counts.sessions.unknown), (3, 57 - 3 - 3, 0));
    assert_eq!(counts.uploads.by_sha256.values().copied().collect::<Vec<_>>(), [6]);
    assert_eq!(counts.uploads.bytes, 6 * 70_000);
}

#[test]
fn polling_a_job_ends_when_it_is_done() {
    let target = TestTarget::start().unwrap();
    let plan = compiled(&json!({
        "target": {"baseUrl": format!("http://{}", target.address())},
        "scenarios": [{
            "name": "jobs",
            "iterations": {"users": 2, "perUser": 3, "maxDuration": "30s"},
            "steps": [
                {"name": "create", "request": {"method": "POST", "path": "/jobs?polls=4", "json": {}},
                    "expect": {"status": [201]},
                    "extract": {"id": {"json": "$.id"}, "state": {"json": "$.state"}}},
                {"name": "poll", "group": "wait", "request": {"path": "/jobs/{{id}}"},
                    "extract": {"state": {"json": "$.state"}}},
            ],
            "groups": [{"name": "wait", "repeat": 20, "while": "{{state}} != done"}],
        }],
    }));
    let snapshot = execute_with(&plan, Segment::WHOLE, 1, Materials::default());
    let cells: Vec<_> = snapshot.cells.iter().map(|cell| cell.decode().unwrap().count(Outcome::Ok)).collect();
    assert_eq!(cells, [6, 30], "four times queued, then done: {:?}", snapshot.errors);
}

#[test]
fn setup_gets_the_token_with_which_all_work() {
    let target = TestTarget::start().unwrap();
    let plan = compiled(&json!({
        "target": {"baseUrl": format!("http://{}", target.address())},
        "setup": [{"name": "login", "request": {"method": "POST", "path": "/login"},
            "extract": {"token": {"header": "X-Token"}}}],
        "scenarios": [{
            "name": "work",
            "iterations": {"users": 4, "perUser": 2, "maxDuration": "30s"},
            "steps": [{"name": "get", "request": {"path": "/private/x", "auth": {"bearer": "{{token}}"}}, "expect": {"status": [200]}}],
        }],
    }));
    let setup = plan.index_of(Role::Setup).unwrap();
    common::block_on(async {
        let engine =
            Engine::launch(plan.into(), Segment::WHOLE, Options { threads: 2 }, Materials::default().into()).unwrap();
        engine.begin(&[setup], std::time::Instant::now(), &[]);
        let variables = loop {
            let snapshot = engine.snapshot().await;
            if snapshot.scenarios[setup].ended.is_some() {
                break snapshot.variables;
            }
        };
        engine.begin(&[0], std::time::Instant::now(), &variables);
        ended(&engine).await;
        let snapshot = engine.snapshot().await;
        assert_eq!(outcomes(&total(&snapshot)), [(Outcome::Ok, 9)], "{:?}", snapshot.errors);
    });
}

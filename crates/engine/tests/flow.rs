//! What a user does: it sends what the plan says, to the byte, goes through its flow, keeps what it is given.

mod common;

use std::collections::BTreeMap;
use std::time::Instant;

use common::recording::{Recorded, Recording, ok};
use common::{InMemory, block_on, ended, execute, execute_with, iterations, launch, outcomes, plan, scenario};
use common::{source, template, total, users};
use proofload_api::Outcome;
use proofload_api::criterion::Operator;
use proofload_api::step::{Method, Redirects};
use proofload_engine::Materials;
use proofload_plan::{
    Body, Check, CheckKind, Condition, Escape, Extract, ExtractFrom, Flow, Group, Node, Part, Piece, Plan, Role,
    Segment, Template, Value,
};
use proptest::prelude::*;

fn lines(requests: &[Recorded]) -> Vec<&str> {
    requests.iter().map(Recorded::line).collect()
}

/// The requests of each user, in their order: a user is known by its header `User`.
fn by_user(requests: &[Recorded]) -> BTreeMap<String, Vec<Recorded>> {
    let mut users: BTreeMap<String, Vec<Recorded>> = BTreeMap::new();
    for request in requests {
        users.entry(request.header("user").unwrap_or_default().to_owned()).or_default().push(request.clone());
    }
    users
}

/// A plan whose every request says whose it is.
fn signed(recording: &Recording, users: u32, each: u32, paths: &[&str]) -> Plan {
    let mut plan = plan(recording.address, vec![scenario("one", iterations(users, each), paths)]);
    plan.target.authority = recording.address.to_string();
    for step in &mut plan.scenarios[0].steps {
        common::request(step).headers.push(("User".to_owned(), template(&[("", Value::UserId)], Escape::Header)));
    }
    plan
}

fn extract(variable: usize, from: ExtractFrom) -> Extract {
    Extract { variable, from }
}

fn variable(i: usize, text: &str, escape: Escape) -> Template {
    template(&[(text, Value::Variable(i))], escape)
}

#[test]
fn bodies_of_each_kind_arrive_to_the_byte() {
    let recording = Recording::start(ok);
    let mut plan = signed(&recording, 3, 2, &["/text", "/empty", "/file", "/pieces"]);
    let picture: Vec<u8> = (0..3_000_000_u32).map(|i| (i * 7 % 251) as u8).collect();
    plan.files = vec![source("picture")];
    let text = |text: &str| Piece::Text(template(&[(text, Value::UserId)], Escape::None));
    let bodies = [
        Body::Text(template(&[("{\"user\":", Value::UserId), (",\"run\":", Value::RunId)], Escape::JsonValue)),
        Body::Text(Template::default()),
        Body::File(0),
        Body::Pieces(vec![text("--b\r\n"), Piece::File(0), text("\r\n--b--")]),
    ];
    for (step, body) in plan.scenarios[0].steps.iter_mut().zip(bodies) {
        (common::request(step).method, common::request(step).body) = (Method::Post, body);
    }
    let materials = Materials::load(&plan, &InMemory(vec![("picture", picture.clone())])).unwrap();
    let snapshot = execute_with(&plan, Segment::WHOLE, 2, materials);
    assert_eq!(outcomes(&total(&snapshot)), [(Outcome::Ok, 24)], "{:?}", snapshot.errors);
    let requests = recording.take();
    assert_eq!(total(&snapshot).bytes_out, requests.iter().map(|r| (r.head.len() + r.body.len()) as u64).sum::<u64>());
    for (user, requests) in by_user(&requests) {
        for round in requests.chunks(4) {
            assert_eq!(lines(round), ["POST /text", "POST /empty", "POST /file", "POST /pieces"]);
            assert_eq!(round[0].text(), format!("{{\"user\":{user},\"run\":\"test\""));
            assert_eq!((round[1].body.len(), round[1].header("content-length")), (0, Some("0")));
            assert!(round[2].body == picture);
            let whole = [format!("--b\r\n{user}").as_bytes(), &picture, format!("\r\n--b--{user}").as_bytes()].concat();
            assert!(round[3].body == whole);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    /// Whatever the seed, the runners and the threads are: each user sends the same requests in the same order.
    #[test]
    fn the_seed_decides_every_byte_that_a_user_sends(seed in any::<u64>(), runners in 1_u32..4, threads in 1_usize..3) {
        let recording = Recording::start(ok);
        let mut plan = signed(&recording, 5, 6, &["/a", "/b", "/c"]);
        plan.seed = seed;
        plan.scenarios[0].flow.weights = Some(vec![1, 2, 3]);
        for step in &mut plan.scenarios[0].steps {
            let choices = vec!["x".to_owned(), "y z".to_owned()];
            common::request(step).method = Method::Post;
            common::request(step).path = template(&[("/", Value::RandomInt(0, 999)), ("/", Value::Iteration)], Escape::Percent);
            common::request(step).headers.push(("Id".to_owned(), template(&[("", Value::Uuid)], Escape::Header)));
            common::request(step).body = Body::Text(template(&[("", Value::RandomChoice(choices))], Escape::Json));
        }
        let mut of = |runners: u32, threads: usize, seed: u64| {
            plan.seed = seed;
            Segment::all(runners).for_each(|segment| drop(execute(&plan, segment, threads)));
            by_user(&recording.take())
        };
        let first = of(1, 1, seed);
        prop_assert_eq!(first.values().map(Vec::len).collect::<Vec<_>>(), [6; 5]);
        let ids: std::collections::BTreeSet<_> = first.values().flatten().map(|r| r.header("id").map(str::to_owned)).collect();
        prop_assert_eq!(ids.len(), 30);
        prop_assert_eq!(&first, &of(runners, threads, seed));
        prop_assert_ne!(&first, &of(1, 1, seed ^ 1));
    }
}

#[test]
fn checks_are_counted_each_by_its_place_and_the_first_that_fails_is_named() {
    // Each second answer is another one.
    let recording = Recording::start(|request| {
        let state = if request.line().ends_with("/2") { "secret" } else { "queued" };
        ("Type: json\r\n".to_owned(), format!("{{\"state\":\"{state}\"}}"))
    });
    let mut plan = signed(&recording, 1, 4, &["/"]);
    plan.variables = vec!["state".to_owned()];
    let step = &mut plan.scenarios[0].steps[0];
    common::request(step).path = template(&[("/", Value::Iteration)], Escape::Percent);
    let check = |name: &str, kind| Check { name: name.to_owned(), kind };
    step.checks = vec![
        check("header Type", CheckKind::Header("type".to_owned(), Some("json".to_owned()))),
        check("json $.state", CheckKind::JsonEquals("$.state".to_owned(), "queued".into())),
        check("body contains", CheckKind::Contains("queued".to_owned())),
    ];
    step.extract = vec![extract(0, ExtractFrom::Regex("\"(q[a-z]+)\"".to_owned(), 1))];
    let snapshot = execute(&plan, Segment::WHOLE, 1);
    let cell = total(&snapshot);
    assert_eq!(outcomes(&cell), [(Outcome::Ok, 3), (Outcome::FailedCheck, 1)]);
    let counts: Vec<_> = cell.checks.iter().map(|count| (count.passed, count.failed)).collect();
    assert_eq!(counts, [(4, 0), (3, 1), (3, 1), (3, 1)]);
    let messages: Vec<_> = snapshot.errors.iter().map(|error| error.message.as_str()).collect();
    assert_eq!(messages, ["check \"json $.state\" failed: expected \"queued\""]);
    plan.scenarios[0].steps[0].expect = vec![proofload_api::step::StatusPattern::Code(201)];
    let cell = total(&execute(&plan, Segment::WHOLE, 1));
    assert_eq!((outcomes(&cell), cell.checks.len()), (vec![(Outcome::UnexpectedStatus, 4)], 0));
}

#[test]
fn what_is_extracted_is_sent_and_what_is_not_breaks_the_iteration() {
    // Each third iteration's login fails.
    let recording = Recording::start(|request| match request.line() {
        "GET /login/3" => ("HTTP/1.1 500 No\r\n".to_owned(), String::new()),
        "GET /login/5" => (String::new(), "{}".to_owned()),
        line => ("X-Next: a b/c\r\n".to_owned(), format!("{{\"token\":\"t\\\"{}\"}}", line.len())),
    });
    let mut plan = signed(&recording, 1, 5, &["/login", "/use"]);
    plan.variables = vec!["token".to_owned(), "next".to_owned()];
    let steps = &mut plan.scenarios[0].steps;
    common::request(&mut steps[0]).path = template(&[("/login/", Value::Iteration)], Escape::Percent);
    steps[0].extract =
        vec![extract(0, ExtractFrom::Json("$.token".to_owned())), extract(1, ExtractFrom::Header("x-next".to_owned()))];
    common::request(&mut steps[1]).path = variable(1, "/use/", Escape::Percent);
    common::request(&mut steps[1]).headers.push(("Token".to_owned(), variable(0, "Bearer ", Escape::Header)));
    common::request(&mut steps[1]).method = Method::Post;
    common::request(&mut steps[1]).body = Body::Text(variable(0, "[", Escape::JsonValue));
    let snapshot = execute(&plan, Segment::WHOLE, 1);
    let requests = recording.take();
    let (login, sent) = (|i: u32| format!("GET /login/{i}"), "POST /use/a%20b%2Fc".to_owned());
    assert_eq!(lines(&requests), [login(1), sent.clone(), login(2), sent.clone(), login(3), login(4), sent, login(5)]);
    assert_eq!((requests[1].header("token"), requests[1].text()), (Some("Bearer t\"12"), "[\"t\\\"12\""));
    let progress = &snapshot.scenarios[0];
    assert_eq!((progress.iterations, progress.broken_iterations, progress.cut_iterations), (3, 2, 0));
    assert_eq!(
        outcomes(&total(&snapshot)),
        [(Outcome::Ok, 6), (Outcome::UnexpectedStatus, 1), (Outcome::FailedCheck, 1)]
    );
    let messages: Vec<_> = snapshot.errors.iter().map(|error| error.message.as_str()).collect();
    assert!(messages.contains(&"check \"extract token\" failed: expected a value at $.token"), "{messages:?}");
}

#[test]
fn cookies_are_each_users_own() {
    let recording = Recording::start(|request| match request.header("cookie") {
        None => (format!("Set-Cookie: sid=u{}; Path=/\r\n", request.header("user").unwrap()), String::new()),
        Some(_) => (String::new(), String::new()),
    });
    let mut plan = signed(&recording, 4, 3, &["/a", "/b"]);
    common::request(&mut plan.scenarios[0].steps[1]).method = Method::Post;
    common::request(&mut plan.scenarios[0].steps[1]).body = Body::Text(template(&[("x", Value::UserId)], Escape::None));
    execute(&plan, Segment::WHOLE, 2);
    let users = by_user(&recording.take());
    assert_eq!(users.len(), 4);
    for (user, requests) in users {
        let cookies: Vec<_> = requests.iter().map(|request| request.header("cookie").map(str::to_owned)).collect();
        assert_eq!(cookies[0], None);
        assert_eq!(cookies[1..], vec![Some(format!("sid=u{user}")); 5]);
        assert!(requests.iter().skip(1).step_by(2).all(|request| request.text() == format!("x{user}")));
    }
    plan.target.cookies = false;
    execute(&plan, Segment::WHOLE, 2);
    assert!(recording.take().iter().all(|request| request.header("cookie").is_none()));
}

#[test]
fn redirects_are_followed_on_the_target_and_counted_hop_by_hop() {
    let recording = Recording::start(|request| {
        let to = |status: &str, place: &str| (format!("HTTP/1.1 {status} X\r\nLocation: {place}\r\n"), String::new());
        let host = request.header("real").unwrap().to_owned();
        match request.line() {
            "POST /login" => {
                let (headers, body) = to("303", &format!("http://{host}/home?x=1"));
                (headers + "Set-Cookie: sid=1\r\n", body)
            }
            "GET /home?x=1" => to("307", "next"),
            "POST /keep" => to("308", "/kept"),
            "GET /away" => to("302", "http://elsewhere.invalid/"),
            "GET /loop" => to("302", "/loop"),
            _ => (String::new(), "done".to_owned()),
        }
    });
    let mut plan = signed(&recording, 1, 1, &["/login", "/keep", "/away", "/loop"]);
    for step in &mut plan.scenarios[0].steps {
        common::request(step).redirects = Redirects::SameOrigin;
        common::request(step).headers.push(("Real".to_owned(), Template::text(recording.address.to_string())));
        common::request(step).headers.push(("Content-Type".to_owned(), Template::text("text/plain")));
    }
    for step in &mut plan.scenarios[0].steps[..2] {
        common::request(step).method = Method::Post;
        common::request(step).body = Body::Text(template(&[("", Value::Uuid)], Escape::None));
    }
    plan.scenarios[0].steps[0].checks =
        vec![Check { name: "body".to_owned(), kind: CheckKind::Contains("done".to_owned()) }];
    let snapshot = execute(&plan, Segment::WHOLE, 1);
    let requests = recording.take();
    let mut expected = vec!["POST /login", "GET /home?x=1", "GET /next", "POST /keep", "POST /kept", "GET /away"];
    expected.extend(["GET /loop"; 11]);
    assert_eq!(lines(&requests), expected);
    assert_eq!((requests[1].header("cookie"), requests[1].header("content-type")), (Some("sid=1"), None));
    assert_eq!((requests[1].header("content-length"), requests[1].header("user")), (None, Some("1")));
    assert!(requests[3].body == requests[4].body && requests[4].header("content-type").is_some());
    let cells: Vec<_> = snapshot.cells.iter().map(|cell| cell.decode().unwrap()).collect();
    let of = |step: usize| (outcomes(&cells[step]), cells[step].statuses.clone().into_iter().collect::<Vec<_>>());
    assert_eq!(of(0), (vec![(Outcome::Ok, 3)], vec![(200, 1), (303, 1), (307, 1)]));
    assert_eq!((cells[0].checks.len(), cells[0].checks[0].passed), (1, 1));
    assert_eq!(of(1), (vec![(Outcome::Ok, 2)], vec![(200, 1), (308, 1)]));
    assert_eq!(of(2), (vec![(Outcome::UnexpectedStatus, 1)], vec![(302, 1)]));
    assert_eq!(of(3), (vec![(Outcome::Ok, 10), (Outcome::UnexpectedStatus, 1)], vec![(302, 11)]));
    assert_eq!(snapshot.scenarios[0].iterations, 1);
}

fn group(repeat: u32, condition: Option<Condition>, nodes: Vec<Node>) -> Node {
    Node::Group(Group { name: "group".to_owned(), nodes, repeat, condition })
}

#[test]
fn groups_repeat_and_go_on_while_they_should() {
    // The third poll is done, and says so.
    let polls = std::sync::atomic::AtomicU32::new(0);
    let recording = Recording::start(move |request| {
        let count =
            if request.line() == "GET /poll" { polls.fetch_add(1, std::sync::atomic::Ordering::SeqCst) } else { 0 };
        (String::new(), format!("{{\"left\":\"{}\"}}", 12 - count.min(12) * 5))
    });
    let mut plan = signed(&recording, 1, 2, &["/a", "/b", "/poll", "/end"]);
    plan.variables = vec!["left".to_owned()];
    plan.scenarios[0].steps[2].extract = vec![extract(0, ExtractFrom::Json("$.left".to_owned()))];
    // As texts, "12" would be less than "3", and nothing at all is less than both.
    let condition = |operator, right: &str| Condition {
        left: variable(0, "", Escape::None),
        operator,
        right: Template::text(right),
    };
    let more = condition(Operator::Greater, "3");
    let never = Condition { left: Template::text("1.0"), operator: Operator::NotEqual, right: Template::text("1") };
    plan.scenarios[0].flow = Flow {
        nodes: vec![
            group(2, None, vec![Node::Step(0), group(2, None, vec![Node::Step(1)])]),
            group(9, Some(condition(Operator::Equal, "")), vec![Node::Step(2)]),
            group(9, Some(more), vec![Node::Step(2)]),
            group(5, Some(never), vec![Node::Step(0)]),
            Node::Step(3),
        ],
        weights: None,
    };
    let snapshot = execute(&plan, Segment::WHOLE, 1);
    let requests = recording.take();
    let mut expected = vec!["GET /a", "GET /b", "GET /b", "GET /a", "GET /b", "GET /b"];
    expected.extend(["GET /poll", "GET /poll", "GET /poll", "GET /end"]);
    // The second iteration still has what the first one kept, so that there is nothing to poll for.
    expected.extend(["GET /a", "GET /b", "GET /b", "GET /a", "GET /b", "GET /b", "GET /end"]);
    assert_eq!((lines(&requests), snapshot.scenarios[0].iterations), (expected, 2));
}

#[test]
fn one_of_the_nodes_is_drawn_by_weight_with_all_of_its_group() {
    let recording = Recording::start(ok);
    let mut plan = signed(&recording, 4, 50, &["/a", "/b", "/never", "/c"]);
    plan.scenarios[0].flow = Flow {
        nodes: vec![
            group(1, None, vec![Node::Step(0), Node::Step(1)]),
            Node::Step(2),
            group(2, None, vec![Node::Step(3)]),
        ],
        weights: Some(vec![3, 0, 1]),
    };
    let snapshot = execute(&plan, Segment::WHOLE, 2);
    assert_eq!(snapshot.scenarios[0].iterations, 200);
    let (mut firsts, mut twice) = (0, 0);
    for requests in by_user(&recording.take()).values() {
        for pair in lines(requests).chunks(2) {
            match pair {
                ["GET /a", "GET /b"] => firsts += 1,
                ["GET /c", "GET /c"] => twice += 1,
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(firsts + twice == 200 && (125..175).contains(&firsts), "{firsts}");
}

#[test]
fn a_user_that_can_send_nothing_neither_ends_nor_hammers() {
    let recording = Recording::start(ok);
    let mut plan = signed(&recording, 1, 3, &["/a"]);
    plan.variables = vec!["nobody-sets-it".to_owned()];
    common::request(&mut plan.scenarios[0].steps[0]).path = variable(0, "/", Escape::Percent);
    let snapshot = execute(&plan, Segment::WHOLE, 1);
    let progress = &snapshot.scenarios[0];
    assert_eq!((progress.iterations, progress.broken_iterations), (0, 3));
    assert!(recording.take().is_empty() && progress.ended.unwrap() - progress.began.unwrap() >= 200_000);
}

#[test]
fn a_loop_that_finds_nothing_to_do_ends_with_the_load() {
    let recording = Recording::start(ok);
    let mut plan = signed(&recording, 2, 1, &["/never"]);
    plan.scenarios[0].load = users(&[(2, 2, 300)]);
    let never = Condition { left: Template::text("a"), operator: Operator::Equal, right: Template::text("b") };
    let inner = Group { name: "inner".to_owned(), nodes: vec![Node::Step(0)], repeat: 1, condition: Some(never) };
    let outer = Group { name: "outer".to_owned(), nodes: vec![Node::Group(inner)], repeat: u32::MAX, condition: None };
    plan.scenarios[0].flow.nodes = vec![Node::Group(outer)];
    let snapshot = execute(&plan, Segment::WHOLE, 1);
    assert_eq!((snapshot.scenarios[0].iterations, recording.take().len()), (0, 0));
    assert!(snapshot.is_complete());
}

#[test]
fn a_user_begins_and_ends_with_steps_of_its_own() {
    let recording = Recording::start(|_| (String::new(), "{\"token\":\"t\"}".to_owned()));
    let mut plan = signed(&recording, 3, 2, &["/login", "/work", "/logout"]);
    plan.variables = vec!["token".to_owned()];
    let scenario = &mut plan.scenarios[0];
    (scenario.on_start, scenario.on_stop) = (1, 1);
    scenario.flow.nodes = vec![Node::Step(1)];
    scenario.steps[0].extract = vec![extract(0, ExtractFrom::Json("$.token".to_owned()))];
    for step in &mut scenario.steps[1..] {
        let path = common::request(step).path.as_text().unwrap();
        common::request(step).path = variable(0, &format!("{path}/"), Escape::Percent);
    }
    let snapshot = execute(&plan, Segment::WHOLE, 2);
    assert_eq!(snapshot.scenarios[0].iterations, 6);
    for requests in by_user(&recording.take()).values() {
        assert_eq!(lines(requests), ["GET /login", "GET /work/t", "GET /work/t", "GET /logout/t"]);
    }
    let cells: Vec<_> = snapshot.cells.iter().map(|cell| cell.decode().unwrap().requests()).collect();
    assert_eq!(cells, [3, 6, 3]);
}

#[test]
fn what_setup_extracts_all_users_have() {
    let recording = Recording::start(|_| (String::new(), "{\"token\":\"a b\"}".to_owned()));
    let mut plan = signed(&recording, 3, 1, &["/work"]);
    plan.variables = vec!["other".to_owned(), "token".to_owned()];
    common::request(&mut plan.scenarios[0].steps[0]).path = variable(1, "/work/", Escape::Percent);
    let mut setup = scenario("setup", iterations(1, 1), &["/login"]);
    setup.role = Role::Setup;
    setup.steps[0].extract = vec![extract(1, ExtractFrom::Json("$.token".to_owned()))];
    plan.scenarios.push(setup);
    block_on(async {
        let engine = launch(&plan, Segment::WHOLE, 2);
        engine.begin(&[1], Instant::now(), &[]);
        let variables = loop {
            let snapshot = engine.snapshot().await;
            if snapshot.scenarios[1].ended.is_some() {
                break snapshot.variables;
            }
        };
        assert_eq!(variables, [(1, "a b".to_owned())]);
        engine.begin(&[0], Instant::now(), &variables);
        assert!(!format!("{engine:?}").contains("a b"), "it may be secret");
        ended(&engine).await;
    });
    assert_eq!(lines(&recording.take()), ["GET /login", "GET /work/a%20b", "GET /work/a%20b", "GET /work/a%20b"]);
}

#[test]
fn credentials_are_sent_and_never_said() {
    use proofload_plan::Variable;
    let recording = Recording::start(|_| (String::new(), "canary".to_owned()));
    let mut plan = signed(&recording, 1, 1, &["/"]);
    plan.env = vec![Variable { name: "PASSWORD".to_owned(), value: None, place: None }];
    let step = &mut plan.scenarios[0].steps[0];
    let basic = Template(vec![Part::Text("me:".to_owned()), Part::Value(Value::Env(0), Escape::None)]);
    let header = Template(vec![Part::Text("Basic ".to_owned()), Part::Base64(basic)]);
    common::request(step).headers.push(("Authorization".to_owned(), header));
    step.checks = vec![Check { name: "latency".to_owned(), kind: CheckKind::Contains("no such text".to_owned()) }];
    let materials = Materials::load(&plan, &InMemory(vec![("PASSWORD", b"canary".to_vec())])).unwrap();
    assert!(!format!("{materials:?}").contains("canary"));
    let snapshot = execute_with(&plan, Segment::WHOLE, 1, materials);
    assert_eq!(recording.take()[0].header("authorization"), Some("Basic bWU6Y2FuYXJ5"));
    let said = format!("{:?}", snapshot.errors);
    assert!(said.contains("no such text") && !said.contains("canary"), "{said}");
}

//! What the target does for tests of whole flows: capacity, sessions, tokens, redirects, jobs, uploads, the switch.
#![allow(clippy::unwrap_used)] // A test may panic.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use proofload_target::{Behaviour, TestTarget};
use serde_json::{Value, json};

/// Sends one request on a connection of its own; the answer's status, head and body.
fn fetch(target: &TestTarget, method: &str, path: &str, headers: &str, body: &[u8]) -> (u16, String, String) {
    read(send(target.address(), method, path, headers, body))
}

fn send(address: SocketAddr, method: &str, path: &str, headers: &str, body: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
    )
    .unwrap();
    stream.write_all(body).unwrap();
    stream
}

fn read(mut stream: TcpStream) -> (u16, String, String) {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), head.to_owned(), body.to_owned())
}

fn get(target: &TestTarget, path: &str) -> (u16, String, String) {
    fetch(target, "GET", path, "", b"")
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| panic!("{text:?} is no JSON"))
}

/// Waits for something that happens soon, or fails.
fn wait_until(what: &str, mut is_true: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_true() {
        assert!(Instant::now() < deadline, "waited for {what}");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

#[test]
fn no_more_than_the_capacity_are_served_at_once_and_a_place_is_free_when_its_answer_comes() {
    let target = TestTarget::start().unwrap();
    let path = "/capacity/3/400";
    let held: Vec<_> = (0..3).map(|_| send(target.address(), "GET", path, "", b"")).collect();
    wait_until("three in flight", || target.counts().in_flight.now == 3);
    assert_eq!(get(&target, path).0, 503);
    assert!(held.into_iter().all(|stream| read(stream).0 == 200));
    assert_eq!(get(&target, "/capacity/1/1").0, 200);
    assert_eq!((target.counts().action("ok"), target.counts().action("status-503")), (4, 1));
    assert_eq!(get(&target, "/capacity/0/1").0, 503);
    let begin = Instant::now();
    assert_eq!((get(&target, "/crowded/0/50").0, get(&target, "/crowded/1/50").0), (503, 200));
    assert!(begin.elapsed() >= Duration::from_millis(100), "a refusal takes as long: {:?}", begin.elapsed());
}

#[test]
fn a_queue_serves_all_of_them_no_more_than_so_many_at_once() {
    let target = TestTarget::start().unwrap();
    let begin = Instant::now();
    let held: Vec<_> = (0..6).map(|_| send(target.address(), "GET", "/queue/2/50", "", b"")).collect();
    assert!(held.into_iter().all(|stream| read(stream).0 == 200));
    assert!(begin.elapsed() >= Duration::from_millis(150), "three after each other: {:?}", begin.elapsed());
}

#[test]
fn requests_are_counted_by_second_and_by_the_values_of_their_parameters() {
    let target = TestTarget::start().unwrap();
    for row in ["1", "2", "a%20b", "2"] {
        get(&target, &format!("/fast?row={row}&x"));
    }
    let counts = target.counts();
    assert_eq!(json!(counts.values("row")), json!({"1": 1, "2": 2, "a b": 1}));
    assert_eq!(json!(counts.by_query["x"]), json!({"": 4}));
    assert_eq!(counts.by_second.iter().sum::<u64>(), 4);
}

#[test]
fn a_session_is_a_cookie_that_is_known_until_it_is_ended() {
    let target = TestTarget::start().unwrap();
    let (_, head, body) = get(&target, "/session");
    let session = json(&body)["session"].as_str().unwrap().to_owned();
    assert!(head.contains(&format!("\r\nSet-Cookie: session={session}; Path=/; HttpOnly")), "{head}");
    let with = |path: &str, value: &str| fetch(&target, "GET", path, &format!("Cookie: a=b; session={value}\r\n"), b"");
    assert_eq!(json(&with("/session", &session).2)["visits"], 2);
    assert_eq!(with("/fast", &session).0, 200);
    assert_eq!(json(&with("/session/end", &session).2)["ended"], true);
    assert_eq!(json(&with("/session/end", &session).2)["ended"], false);
    with("/fast", "session-1-0000");
    let sessions = target.counts().sessions;
    assert_eq!((sessions.opened, sessions.known, sessions.unknown), (1, 3, 2));
    let (_, head, _) = get(&target, "/set-cookie?cookie=a%3D1%3B%20Path%3D/x&cookie=b%3D2%0d%0aX-Bad%3A1");
    assert!(head.contains("\r\nSet-Cookie: a=1; Path=/x\r\nSet-Cookie: b=2  X-Bad:1\r\n"), "{head}");
}

#[test]
fn a_wrong_token_is_refused() {
    let target = TestTarget::start().unwrap();
    let (_, head, body) = fetch(&target, "POST", "/login", "", b"{\"u\":\"ci\"}");
    let token = json(&body)["token"].as_str().unwrap().to_owned();
    assert!(head.contains(&format!("\r\nX-Token: {token}\r\n")), "{head}");
    let with = |path: &str, value: &str| fetch(&target, "GET", path, &format!("Authorization: {value}\r\n"), b"").0;
    assert_eq!(with("/private/a/b", &format!("Bearer {token}")), 200);
    assert_eq!(with("/private", "Bearer token-1-ff"), 401);
    assert_eq!(get(&target, "/private").0, 401);
    assert_eq!(with("/logout", &format!("Bearer {token}")), 200);
    assert_eq!(with("/private", &format!("Bearer {token}")), 401);
    assert_eq!((with("/basic/u/p", "Basic dTpw"), with("/basic/u/q", "Basic dTpw")), (200, 401));
    assert_eq!(target.counts().action("status-401"), 4);
}

#[test]
fn a_redirect_points_where_it_is_told_to() {
    let target = TestTarget::start().unwrap();
    let location = |path: &str, status: u16, to: &str| {
        let (got, head, _) = get(&target, path);
        assert!(got == status && head.contains(&format!("\r\nLocation: {to}\r\n")), "{path}: {head}");
    };
    location("/redirect/301", 301, "/fast");
    location("/redirect/307?to=/echo%3Fa%3D1", 307, "/echo?a=1");
    location("/redirect/303?to=http://other.test:81/x", 303, "http://other.test:81/x");
    location("/redirect/302/2", 302, "/redirect/302/1");
    assert_eq!(get(&target, "/redirect/302/0").0, 200);
}

#[test]
fn an_echo_says_what_was_read() {
    let target = TestTarget::start().unwrap();
    let (_, _, body) = fetch(&target, "PUT", "/echo/x?a=1&b=c%2Fd", "X-One: 1\r\nx-one: 2\r\n", b"{\"n\":[1]}");
    let said = json(&body);
    assert_eq!(said["query"], json!({"a": "1", "b": "c/d"}));
    assert_eq!(
        (&said["method"], &said["path"], &said["headers"]["x-one"]),
        (&json!("PUT"), &json!("/echo/x"), &json!("1, 2"))
    );
    assert_eq!((&said["json"]["n"][0], &said["bytes"], &said["body"]), (&json!(1), &json!(9), &json!("{\"n\":[1]}")));
}

#[test]
fn a_form_wants_its_token_back_once() {
    let target = TestTarget::start().unwrap();
    let (_, _, page) = get(&target, "/form");
    let csrf = page.split("value=\"").nth(1).unwrap().split('"').next().unwrap();
    let body = format!("name=x&csrf={csrf}");
    assert_eq!(fetch(&target, "POST", "/form", "", body.as_bytes()).0, 200);
    assert_eq!(fetch(&target, "POST", "/form", "", body.as_bytes()).0, 403);
}

#[test]
fn a_job_is_queued_for_so_many_looks_and_then_done() {
    let target = TestTarget::start().unwrap();
    let (status, head, body) = fetch(&target, "POST", "/jobs?polls=2", "", b"");
    let path = format!("/jobs/{}", json(&body)["id"]);
    assert!(status == 201 && head.contains(&format!("\r\nLocation: {path}\r\n")), "{head}");
    let seen: Vec<_> = (0..4).map(|_| json(&get(&target, &path).2)["state"].clone()).collect();
    assert_eq!(seen, ["queued", "queued", "done", "done"]);
    assert_eq!(get(&target, "/jobs/999").0, 404);
}

#[test]
fn uploads_are_counted_and_hashed() {
    let target = TestTarget::start().unwrap();
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let (_, _, body) = fetch(&target, "POST", "/upload", "Content-Type: text/plain\r\n", b"abc");
    assert_eq!(json(&body), json!({"bytes": 3, "sha256": abc, "contentType": "text/plain"}));
    let multipart = "--B\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nhi\r\n--B\r\nContent-Disposition: form-data; \
                     name=\"f\"; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\nabc\r\n--B--\r\n";
    let kind = "Content-Type: multipart/form-data; boundary=B\r\n";
    let (_, _, body) = fetch(&target, "POST", "/upload", kind, multipart.as_bytes());
    assert_eq!(
        json(&body)["parts"],
        json!([{"name": "note", "contentType": null, "bytes": 2, "value": "hi"},
               {"name": "f", "contentType": "text/plain", "bytes": 3, "fileName": "a.txt", "sha256": abc}])
    );
    assert_eq!(fetch(&target, "POST", "/upload", kind, &multipart.as_bytes()[..90]).0, 400);
    let uploads = target.counts().uploads;
    assert_eq!((uploads.files, uploads.bytes, uploads.by_sha256[abc]), (2, 6, 2));
}

#[test]
fn the_switch_changes_how_everything_is_answered() {
    let target = TestTarget::start().unwrap();
    target.behave(Behaviour { status: Some(500), delay: Duration::from_millis(30), ..Behaviour::default() });
    let begin = Instant::now();
    assert_eq!((get(&target, "/fast").0, get(&target, "/login").0), (500, 500));
    assert!(begin.elapsed() >= Duration::from_millis(60));
    let admin = |path: &str| {
        let address: SocketAddr = target.admin_url().trim_start_matches("http://").parse().unwrap();
        read(send(address, "POST", path, "", b"")).0
    };
    assert_eq!((admin("/behave?status=429"), get(&target, "/fast").0), (204, 429));
    assert_eq!((admin("/behave"), get(&target, "/fast").0), (204, 200));
    assert_eq!((admin("/behave?status=4"), admin("/behave?speed=4"), admin("/behave?accept=never")), (400, 400, 400));
    assert_eq!(admin("/behave?accept=close"), 204);
    let mut stream = send(target.address(), "GET", "/fast", "", b"");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert_eq!((answer.len(), admin("/behave"), get(&target, "/fast").0), (0, 204, 200));
}

#[test]
fn a_server_is_good_for_so_long_and_then_not() {
    let target = TestTarget::start().unwrap();
    assert_eq!(get(&target, "/good-for/600000").0, 200);
    wait_until("500s", || get(&target, "/good-for/50").0 == 500);
    assert_eq!(get(&target, "/good-for/600000").0, 200);
}

//! Profiles over real sockets: what each of their words does, that every request is counted once with its end, and that
//! they begin anew.
#![allow(clippy::unwrap_used)] // A test may panic.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use proofload_target::TestTarget;
use serde_json::{Value, json};

const DEADLINE: Duration = Duration::from_secs(20);

fn send(target: &TestTarget, method: &str, path: &str, headers: &str) -> TcpStream {
    let mut stream = TcpStream::connect(target.address()).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    write!(stream, "{method} /profile/{path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n{headers}\r\n").unwrap();
    stream
}

/// Status and body; status 0 for a connection that ends without an answer.
fn read(mut stream: TcpStream) -> io::Result<(u16, String)> {
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let Some((head, body)) = answer.split_once("\r\n\r\n") else { return Ok((0, answer)) };
    Ok((head[9..12].parse().unwrap(), body.to_owned()))
}

fn get(target: &TestTarget, path: &str) -> io::Result<(u16, String)> {
    read(send(target, "GET", path, ""))
}

fn status(target: &TestTarget, path: &str) -> u16 {
    get(target, path).unwrap().0
}

fn wait_until(what: &str, mut is_true: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_true() {
        assert!(Instant::now() < deadline, "waited for {what}");
        thread::park_timeout(Duration::from_millis(2));
    }
}

/// The statuses of so many requests at once, in the order in which they came to the target, and how long each took.
fn at_once(target: &TestTarget, path: &str, count: u64) -> Vec<(u16, Duration)> {
    let sent = (1..=count).map(|before| {
        let begin = Instant::now();
        let stream = send(target, "GET", path, "");
        wait_until("a request", || target.counts().requests == before);
        thread::spawn(move || (read(stream).unwrap().0, begin.elapsed()))
    });
    sent.collect::<Vec<_>>().into_iter().map(|read| read.join().unwrap()).collect()
}

#[test]
fn a_line_is_served_one_by_one_and_refuses_at_once_whom_it_has_no_room_for() {
    let target = TestTarget::start().unwrap();
    let answers = at_once(&target, "parts/line", 5);
    assert_eq!(answers.iter().map(|answer| answer.0).collect::<Vec<_>>(), [200, 200, 200, 503, 503]);
    let took = |index: usize| answers[index].1;
    assert!(took(2) > Duration::from_secs(1) && took(3) < took(2), "{answers:?}");
    assert_eq!((target.counts().action("ok"), target.counts().action("status-503")), (3, 2));
}

#[test]
fn who_waits_too_long_is_told_so_and_so_is_whom_a_proxy_gives_up_on() {
    let target = TestTarget::start().unwrap();
    // Alone 400 ms, the second one twice as long; the third waits for 400 ms and then takes three times as long, which is
    // too much for the proxy; the fourth would wait for 800 ms, which is too much for itself.
    let answers = at_once(&target, "parts/patience", 4);
    assert_eq!(answers.iter().map(|answer| answer.0).collect::<Vec<_>>(), [200, 200, 429, 503]);
    assert!(answers[1].1 > Duration::from_millis(790), "{answers:?}");
    assert!(answers[2].1 > Duration::from_millis(890) && answers[3].1 > Duration::from_millis(590), "{answers:?}");
}

#[test]
fn limits_refuse_what_is_beyond_them() {
    let target = TestTarget::start().unwrap();
    for path in ["parts/limit/fixed", "parts/limit/sliding", "parts/limit/client"] {
        let statuses: Vec<_> = (0..4).map(|_| status(&target, path)).collect();
        assert_eq!(statuses[..2], [200, 200], "{path}");
        assert!(path == "parts/limit/sliding" || statuses[2..] == [429, 429], "{path}: {statuses:?}");
    }
    wait_until("the window to pass", || status(&target, "parts/limit/sliding") == 200);
    assert_eq!(status(&target, "parts/limit/fixed"), 429);
}

#[test]
fn memory_that_leaks_is_told_and_slows_down() {
    let target = TestTarget::start().unwrap();
    for _ in 0..5 {
        assert_eq!(status(&target, "parts/leak"), 200);
    }
    let begin = Instant::now();
    assert_eq!(status(&target, "parts/leak"), 200);
    assert!(begin.elapsed() > Duration::from_millis(55), "six times 10 ms: {:?}", begin.elapsed());
    let (_, body) = get(&target, "parts/statistics").unwrap();
    let told: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(told, json!({"requests": 7, "inFlight": 1, "memory": 6 << 20}));
}

#[test]
fn the_first_requests_of_a_route_and_shares_of_them_are_exact() {
    let target = TestTarget::start().unwrap();
    let statuses: Vec<_> = (0..6).map(|_| status(&target, "parts/first")).collect();
    assert_eq!(statuses, [200, 200, 429, 429, 503, 503]);
    let refused = (0..100).filter(|_| status(&target, "parts/shares") == 503).count();
    assert!((24..=26).contains(&refused), "a quarter of 100: {refused}");
    assert_eq!((status(&target, "parts/with?wait"), status(&target, "parts/with?waiting=1")), (503, 200));
}

#[test]
fn ends_are_what_they_say_and_are_counted_as_that() {
    let target = TestTarget::start().unwrap();
    assert_eq!(get(&target, "parts/reset").unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(get(&target, "parts/close").unwrap(), (0, String::new()));
    let mut hangs = send(&target, "GET", "parts/hang", "");
    hangs.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert_eq!(hangs.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    for nowhere in ["parts", "parts/nothing", "nobody/first"] {
        assert_eq!(status(&target, nowhere), 404, "{nowhere}");
    }
    let counts = target.counts();
    assert_eq!(json!(counts.by_action), json!({"reset": 1, "close": 1, "hang": 1, "status-404": 3}));
    assert_eq!((counts.requests, counts.by_path["/profile/parts/hang"]), (6, 1));
}

#[test]
fn a_service_behind_a_profile_knows_who_is_logged_in() {
    let target = TestTarget::start().unwrap();
    let (_, body) = read(send(&target, "POST", "parts/login", "Content-Length: 0\r\n")).unwrap();
    let token = serde_json::from_str::<Value>(&body).unwrap()["token"].as_str().unwrap().to_owned();
    let private = |headers: &str| read(send(&target, "GET", "parts/private/1", headers)).unwrap().0;
    assert_eq!((private(&format!("Authorization: Bearer {token}\r\n")), private("")), (200, 401));
    assert_eq!((target.counts().action("ok"), target.counts().action("status-401")), (2, 1));
}

#[test]
fn a_crash_takes_all_that_is_in_flight_and_those_that_come_until_it_is_back() {
    let target = TestTarget::start().unwrap();
    let held: Vec<_> = (0..3).map(|_| send(&target, "GET", "crashes/slow", "")).collect();
    wait_until("three in flight", || target.counts().in_flight.now == 3);
    assert_eq!(target.counts().action("ok"), 3);
    for _ in 0..2 {
        assert_eq!(get(&target, "crashes/now").unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }
    for stream in held {
        assert_eq!(read(stream).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }
    let counts = target.counts();
    assert_eq!((counts.action("ok"), counts.action("reset"), counts.requests), (0, 5, 5));
    wait_until("its return", || get(&target, "crashes/now").is_ok());
}

#[test]
fn a_profile_begins_anew_when_the_counts_are_cleared() {
    let target = TestTarget::start().unwrap();
    let hangs = send(&target, "GET", "parts/hang", "");
    wait_until("it to hang", || target.counts().in_flight.now == 1);
    let first = || status(&target, "parts/first");
    for _ in 0..2 {
        assert_eq!((0..3).map(|_| first()).collect::<Vec<_>>(), [200, 200, 429]);
        target.clear();
    }
    drop(hangs);
}

#[test]
fn http2_is_served_by_profiles_alike() {
    let target = TestTarget::start().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let statuses = runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(target.address()).await.unwrap();
        let (send, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let mut statuses = Vec::new();
        for _ in 0..5 {
            let mut send: h2::client::SendRequest<Bytes> = send.clone().ready().await.unwrap();
            let request = http::Request::post("http://t/profile/parts/first").body(()).unwrap();
            let (response, _) = send.send_request(request, true).unwrap();
            let response = tokio::time::timeout(DEADLINE, response).await.unwrap().unwrap();
            statuses.push(response.status().as_u16());
        }
        statuses
    });
    assert_eq!(statuses, [200, 200, 429, 429, 503]);
    assert_eq!(json!(target.counts().by_action), json!({"ok": 2, "status-429": 2, "status-503": 1}));
}

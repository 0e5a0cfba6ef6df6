//! What the target does wrong when it is asked to: at every point of an exchange, and in every part of an answer.
#![allow(clippy::unwrap_used)] // A test may panic.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use proofload_target::{Accept, Behaviour, TestTarget};

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// All that comes after these bytes, or how the connection broke.
fn say(target: &TestTarget, bytes: &str) -> io::Result<String> {
    let mut stream = connect(target.address());
    stream.write_all(bytes.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: t\r\n\r\n")
}

#[test]
fn an_exchange_is_cut_short_at_every_point_and_counted_once() {
    let target = TestTarget::start().unwrap();
    let body = "POST /PATH HTTP/1.1\r\nHost: t\r\nContent-Length: 100\r\n\r\n".to_owned() + &"x".repeat(50);
    let requests = [
        ("line", "GET /PATH HTTP/1.1\r\n".to_owned(), 0),
        ("headers", "POST /PATH HTTP/1.1\r\nContent-Length: 100\r\n\r\n".to_owned(), 0),
        ("body", body, 0),
        ("0", get("/PATH"), 0),
        ("10", get("/PATH"), 10),
        ("100", get("/PATH"), 100),
    ];
    for (how, is_reset) in [("close", false), ("reset", true)] {
        for (point, request, length) in &requests {
            target.clear();
            let answer = say(&target, &request.replace("PATH", &format!("{how}-at/{point}")));
            match answer {
                Ok(answer) => assert!(!is_reset && answer.len() == *length, "{how} {point}: {answer:?}"),
                Err(error) => assert!(is_reset && error.kind() == io::ErrorKind::ConnectionReset, "{point}: {error}"),
            }
            let name = if point.parse::<u32>().is_ok() { "answer" } else { point };
            let counts = target.counts();
            assert_eq!((counts.requests, counts.action(&format!("{how}-at-{name}"))), (1, 1), "{:?}", counts.by_action);
        }
    }
}

#[test]
fn who_still_sends_when_the_target_closes_sees_an_end_and_no_reset() {
    let target = TestTarget::start().unwrap();
    let body = "x".repeat(1_000_000);
    for point in ["line", "headers", "body"] {
        let head = format!("POST /close-at/{point} HTTP/1.1\r\nContent-Length: {}\r\n\r\n", body.len());
        assert_eq!(say(&target, &(head + &body)).unwrap(), "", "{point}");
    }
}

#[test]
fn an_answer_is_wrong_in_the_way_that_was_asked_for() {
    let target = TestTarget::start().unwrap();
    for path in ["status", "version", "header", "length", "lengths", "chunk", "chunk-end", "http2", "nothing"] {
        assert!(!say(&target, &get(&format!("/bad/{path}"))).unwrap().is_empty(), "{path}");
    }
    assert_eq!(target.counts().action("bad"), 9);
    let both = say(&target, &(get("/two") + "GET /fast HTTP/1.0\r\n\r\n")).unwrap();
    assert_eq!(both.matches("HTTP/1.1 200 OK").count(), 3);
    let many = say(&target, "GET /headers/10000 HTTP/1.1\r\nConnection: close\r\n\r\n").unwrap();
    assert_eq!(many.matches("\r\nX-Header-").count(), 10_000);
}

#[test]
fn an_endless_answer_goes_on_until_its_reader_is_gone() {
    let target = TestTarget::start().unwrap();
    for what in ["body", "chunks", "chunk-line", "trailers", "head", "header", "continue"] {
        let mut stream = connect(target.address());
        stream.write_all(get(&format!("/endless/{what}")).as_bytes()).unwrap();
        io::copy(&mut (&stream).take(10_000_000), &mut io::sink()).unwrap();
        assert_eq!(target.counts().in_flight.now, 1, "{what}");
        drop(stream);
        let deadline = Instant::now() + Duration::from_secs(20);
        while target.counts().in_flight.now > 0 {
            assert!(Instant::now() < deadline, "{what} goes on");
            std::thread::yield_now();
        }
    }
}

#[test]
fn an_answer_drips() {
    let target = TestTarget::start().unwrap();
    let begin = Instant::now();
    let answer = say(&target, "GET /drip/2/20 HTTP/1.1\r\nConnection: close\r\n\r\n").unwrap();
    assert!(answer.ends_with(&"x".repeat(20)), "{answer}");
    assert!(begin.elapsed() >= Duration::from_millis(2 * (answer.len() as u64 - 1)), "{:?}", begin.elapsed());
}

#[test]
fn connections_are_turned_away_before_anything_is_read() {
    let target = TestTarget::start().unwrap();
    target.behave(Behaviour { accept: Accept::Close, ..Behaviour::default() });
    assert_eq!(say(&target, &get("/fast")).unwrap(), "");
    target.behave(Behaviour { accept: Accept::Reset, ..Behaviour::default() });
    assert!(say(&target, &get("/fast")).is_err());
    target.behave(Behaviour::default());
    assert!(say(&target, "GET /fast HTTP/1.0\r\n\r\n").unwrap().starts_with("HTTP/1.1 200"));
    let counts = target.counts();
    assert_eq!((counts.connections.accepted, counts.connections.turned_away, counts.requests), (3, 2, 1));
    let refused = TcpStream::connect(target.refusing_address().unwrap()).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
}

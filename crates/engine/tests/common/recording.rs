//! A server that keeps every request to the byte, and answers as it is told.

#![allow(clippy::unwrap_used, reason = "a test's server that cannot go on ends the test")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// All before the body, with the empty line.
    pub head: String,
    pub body: Vec<u8>,
}

impl Recorded {
    /// Method and path.
    pub fn line(&self) -> &str {
        self.head.split(" HTTP/1.1").next().unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

#[derive(Clone)]
pub struct Recording {
    pub address: SocketAddr,
    requests: Arc<Mutex<Vec<Recorded>>>,
}

impl Recording {
    /// Answers with what `answer` gives for a request: header lines, each with its end, and a body. The status is 200
    /// unless the header lines begin with a status line.
    pub fn start(answer: impl Fn(&Recorded) -> (String, String) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let recording = Self { address: listener.local_addr().unwrap(), requests: Arc::default() };
        let (requests, answer) = (Arc::clone(&recording.requests), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (requests, answer) = (Arc::clone(&requests), Arc::clone(&answer));
                std::thread::spawn(move || serve(stream.unwrap(), &requests, &*answer));
            }
        });
        recording
    }

    /// What has come since the last time, in the order of coming.
    pub fn take(&self) -> Vec<Recorded> {
        std::mem::take(&mut *self.requests.lock().unwrap())
    }
}

fn serve(stream: TcpStream, requests: &Mutex<Vec<Recorded>>, answer: &dyn Fn(&Recorded) -> (String, String)) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                assert!(head.is_empty(), "the connection ended within a head: {head:?}");
                return;
            }
        }
        let mut request = Recorded { head, body: Vec::new() };
        let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
        request.body.resize(length, 0);
        reader.read_exact(&mut request.body).unwrap();
        let (headers, body) = answer(&request);
        requests.lock().unwrap().push(request);
        let status = if headers.starts_with("HTTP/") { "" } else { "HTTP/1.1 200 OK\r\n" };
        let response = format!("{status}{headers}Content-Length: {}\r\n\r\n{body}", body.len());
        if stream.write_all(response.as_bytes()).is_err() {
            return;
        }
    }
}

/// Nothing but a 200.
pub fn ok(_: &Recorded) -> (String, String) {
    (String::new(), "{}".to_owned())
}

//! An API server that says what a story wants, and keeps what it is sent.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};
use tempfile::TempDir;

/// Requests as they came: the line, and the body.
pub(crate) type Requests = Arc<Mutex<Vec<(String, Value)>>>;

/// In an answer: the wish for a run on demand that was last asked for.
pub(crate) const WISH: &str = "$WISH";

/// Serves answers, one after the other, each on a connection of its own.
pub(crate) fn serve(answers: Vec<(u16, Value)>) -> (String, Requests) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests = Requests::default();
    let kept = Arc::clone(&requests);
    thread::spawn(move || {
        for (status, body) in answers {
            let (stream, _) = listener.accept().unwrap();
            let wish = kept.lock().unwrap().iter().rev().find_map(|(_, body)| wish(body)).unwrap_or_default();
            let answered = answer(stream, status, &body.to_string().replace(WISH, &wish));
            kept.lock().unwrap().push(answered);
        }
    });
    (url, requests)
}

/// The wish for a run on demand that a request has.
fn wish(body: &Value) -> Option<String> {
    body.pointer("/metadata/annotations/proofload.dev~1trigger")?.as_str().map(str::to_owned)
}

fn answer(stream: TcpStream, status: u16, body: &str) -> (String, Value) {
    let mut input = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        input.read_line(&mut line).unwrap();
        if line.trim().is_empty() {
            break;
        }
        head.push(line.trim().to_lowercase());
    }
    let length = head.iter().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    let mut sent = vec![0; length];
    input.read_exact(&mut sent).unwrap();
    let answer = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    input.get_mut().write_all(answer.as_bytes()).unwrap();
    (head[0].clone(), serde_json::from_slice(&sent).unwrap_or_default())
}

pub(crate) fn kubeconfig(directory: &TempDir, url: &str) -> PathBuf {
    let path = directory.path().join("kubeconfig");
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "here",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "shop"}}],
    });
    std::fs::write(&path, config.to_string()).unwrap();
    path
}

pub(crate) fn refusal(status: u16) -> (u16, Value) {
    let reason = if status == 404 { "NotFound" } else { "Conflict" };
    (
        status,
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": status, "message": ""}),
    )
}

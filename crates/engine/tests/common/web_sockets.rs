//! A server of web sockets that does what it is told by the messages that come, and counts them.

#![allow(clippy::unwrap_used, reason = "a test's server that cannot go on ends the test")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use tokio_tungstenite::tungstenite::{Message, WebSocket};

/// What came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Heads of handshakes.
    pub heads: Vec<String>,
    /// Texts of messages.
    pub texts: Vec<String>,
    /// Payloads of pongs.
    pub pongs: Vec<String>,
    /// How many pings.
    pub pings: usize,
    /// Codes of closes; none for connections that ended without one.
    pub closes: Vec<Option<u16>>,
}

/// Each path is a web socket, but for those that are answered otherwise; `/greet` begins with a message.
#[derive(Clone)]
pub struct WebSockets {
    pub address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

impl WebSockets {
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let server = Self { address: listener.local_addr().unwrap(), seen: Arc::default() };
        let each = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let each = each.clone();
                std::thread::spawn(move || each.serve(stream.unwrap()));
            }
        });
        server
    }

    pub fn seen(&self) -> Seen {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }

    fn serve(&self, mut stream: TcpStream) {
        let mut head = String::new();
        let mut byte = [0];
        while !head.ends_with("\r\n\r\n") {
            if stream.read(&mut byte).unwrap_or(0) == 0 {
                return;
            }
            head.push(byte[0].into());
        }
        self.lock().heads.push(head.clone());
        let path = head.split(' ').nth(1).unwrap().to_owned();
        match answer(&path, &head) {
            Some(answer) => {
                stream.write_all(&answer).unwrap();
                if path == "/mute" {
                    // Until the client gives up.
                    let _ = stream.read(&mut byte);
                } else if answer.starts_with(b"HTTP/1.1 101 Switching") {
                    self.talk(stream);
                }
            }
            None => reset(&stream),
        }
    }

    fn talk(&self, stream: TcpStream) {
        let mut raw = stream.try_clone().unwrap();
        let mut socket = WebSocket::from_raw_socket(stream, Role::Server, None);
        let mut close = None;
        while let Ok(message) = socket.read() {
            match message {
                Message::Text(text) => {
                    self.lock().texts.push(text.to_string());
                    if !obey(text.as_str(), &mut raw, &mut socket) {
                        return;
                    }
                }
                Message::Ping(_) => self.lock().pings += 1,
                Message::Pong(payload) => {
                    self.lock().pongs.push(String::from_utf8_lossy(&payload).into_owned());
                    let _ = socket.send(Message::text("answered"));
                }
                Message::Close(frame) => close = frame.map(|frame| frame.code.into()),
                other => drop(socket.send(other)),
            }
        }
        self.lock().closes.push(close);
    }
}

/// What a path is answered with; nothing for one that is reset.
fn answer(path: &str, head: &str) -> Option<Vec<u8>> {
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let key = derive_accept_key(header("Sec-WebSocket-Key").unwrap_or_default().as_bytes());
    let upgrade = |more: &str, accept: &str| {
        let begin = "HTTP/1.1 101 Switching Protocols\r\nconnection: keep-alive, Upgrade\r\nUPGRADE: WebSocket\r\n";
        format!("{begin}{more}Sec-WebSocket-Accept: {accept}\r\n\r\n")
    };
    Some(match path {
        "/deny" => b"HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno!".to_vec(),
        "/garbage" => b"\x16\x03\x01 this is no HTTP\r\n\r\n".to_vec(),
        "/close" | "/mute" => Vec::new(),
        "/half" => b"HTTP/1.1 101 Switch".to_vec(),
        "/reset" => return None,
        "/other-key" => upgrade("", &derive_accept_key(b"another one")).into_bytes(),
        "/no-upgrade" => b"HTTP/1.1 101 Switching Protocols\r\n\r\n".to_vec(),
        "/extensions" => upgrade("Sec-WebSocket-Extensions: permessage-deflate\r\n", &key).into_bytes(),
        "/protocol" => upgrade("Sec-WebSocket-Protocol: soap\r\n", &key).into_bytes(),
        // A message that comes in one piece with the handshake's answer.
        "/greet" => [upgrade("Set-Cookie: seen=yes\r\n", &key).as_bytes(), b"\x81\x07welcome"].concat(),
        _ => upgrade("", &key).into_bytes(),
    })
}

/// Does what a message says, an echo if that is nothing; whether the web socket goes on.
fn obey(text: &str, raw: &mut TcpStream, socket: &mut WebSocket<TcpStream>) -> bool {
    let longest = 1_u32 << 20;
    let bytes: Vec<u8> = match text {
        "silent" => return true,
        "reset" => {
            reset(raw);
            return false;
        }
        "cut" => {
            raw.shutdown(Shutdown::Both).unwrap();
            return false;
        }
        "many" => b"\x81\x03one\x81\x03two\x82\x05three".to_vec(),
        "ping" => b"\x89\x05there".to_vec(),
        "utf8" => b"\x81\x02\xc3\x28".to_vec(),
        "masked" => b"\x81\x81\x00\x00\x00\x00a".to_vec(),
        "reserved" => b"\xf1\x00".to_vec(),
        "opcode" => b"\x83\x00".to_vec(),
        "nothing goes on" => b"\x80\x01a".to_vec(),
        "long ping" => [b"\x89\x7e\x00\x7e".to_vec(), vec![b'a'; 126]].concat(),
        "one byte" => b"\x88\x01a".to_vec(),
        "longest" => [b"\x82\x7f\x00\x00\x00\x00".to_vec(), longest.to_be_bytes().to_vec(), vec![7; 1 << 20]].concat(),
        "too long" => [b"\x82\x7f\x00\x00\x00\x00".to_vec(), (longest + 1).to_be_bytes().to_vec()].concat(),
        "pieces" => {
            let piece = [b"\x00\x7e\xff\xff".to_vec(), vec![b'a'; 0xffff]].concat();
            [b"\x01\x00".to_vec(), piece.repeat(17)].concat()
        }
        "last" => b"\x81\x04last\x88\x0c\x03\xf3restarting".to_vec(),
        _ => {
            if let Some((code, reason)) = text.strip_prefix("close ").and_then(|rest| rest.split_once(' ')) {
                let code: u16 = code.parse().unwrap();
                let frame = CloseFrame { code: code.into(), reason: reason.into() };
                let _ = socket.close((code > 0).then_some(frame));
            } else {
                let _ = socket.send(Message::text(text));
            }
            return true;
        }
    };
    // Who does not like it hangs up in the middle.
    let _ = raw.write_all(&bytes);
    true
}

fn reset(stream: &TcpStream) {
    rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO)).unwrap();
}

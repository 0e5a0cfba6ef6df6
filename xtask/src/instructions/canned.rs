//! A target whose answers are always the same bytes.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

use anyhow::Result;

const PLAIN: &str = "HTTP/1.1 200 OK\r\nServer: canned\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
                     Content-Type: text/plain\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nok\n";
const ORDER: &str = "HTTP/1.1 200 OK\r\nServer: canned\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
                     Content-Type: application/json\r\nContent-Length: 49\r\nConnection: keep-alive\r\n\r\n\
                     {\"id\":\"a1b2c3d4e5\",\"state\":\"queued\",\"total\":4200}";

/// Listens until the process ends.
pub(super) struct Canned(SocketAddr);

impl Canned {
    pub(super) fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A connection ends when its client goes away.
                std::thread::spawn(move || serve(stream));
            }
        });
        Ok(Self(address))
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/", self.0)
    }
}

/// Eight chunks of 32 bytes.
fn chunked() -> String {
    let chunk = format!("20\r\n{}\r\n", "c".repeat(32));
    format!("HTTP/1.1 200 OK\r\nServer: canned\r\nTransfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n", chunk.repeat(8))
}

fn serve(stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let chunked = chunked();
    let mut reader = BufReader::new(stream);
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first)? == 0 {
            return Ok(());
        }
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.split_once(':') else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse()?;
            }
        }
        reader.read_exact(&mut vec![0; length])?;
        let answer = match first.split(' ').nth(1) {
            Some("/order") => ORDER,
            Some("/chunked") => &chunked,
            _ => PLAIN,
        };
        reader.get_mut().write_all(answer.as_bytes())?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_the_body_is_what_the_head_says() {
        for answer in [PLAIN, ORDER] {
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{}", body.len());
        }
    }
}

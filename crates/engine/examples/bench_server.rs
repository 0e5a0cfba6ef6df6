//! The server of `cargo xtask bench` where nginx will not do: it notes when requests arrive, and can be slow or silent.
//!
//! `bench_server ADDRESS`, one thread:
//!
//! - `/sleep/MILLIS`: an answer after so long.
//! - `/stall`: an answer at once, but none from 2.5 s to 3.5 s of every 5 s since the first request to this path. What
//!   arrives then is answered at 3.5 s.
//! - `/counts`: how many requests there were since `/clear`, how many of them fell into a silence, and the most
//!   connections at once, in a line.
//! - `/arrivals`: when each of them was read, in nanoseconds since the start, a line each.
//! - `/clear`: forget all of that.
//! - Anything else: an answer at once. Bodies of requests are not understood.

use std::cell::RefCell;
use std::error::Error;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

/// The period of `/stall`, and the part of it that is silent.
const PERIOD: Duration = Duration::from_secs(5);
const SILENT: (Duration, Duration) = (Duration::from_millis(2500), Duration::from_millis(3500));
/// Connections that wait to be accepted: generators open thousands at once.
const BACKLOG: u32 = 4096;
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nok\n";

#[derive(Default)]
struct Seen {
    arrivals: Vec<Instant>,
    silenced: u64,
    open: u64,
    most_open: u64,
    /// The first request to `/stall`.
    stalls_from: Option<Instant>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let address: SocketAddr = std::env::args().nth(1).ok_or("expected ADDRESS")?.parse()?;
    let begin = Instant::now();
    let seen: Rc<RefCell<Seen>> = Rc::default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())?;
    runtime.block_on(async {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(BACKLOG)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let seen = Rc::clone(&seen);
            tokio::task::spawn_local(async move {
                // A generator that goes away in the middle is no concern of the server's.
                let _ = serve(stream, &seen, begin).await;
            });
        }
    })
}

async fn serve(mut stream: TcpStream, seen: &RefCell<Seen>, begin: Instant) -> std::io::Result<()> {
    let mut buffer: Vec<u8> = Vec::with_capacity(512);
    // Connections that only ask for counts are not counted.
    let mut is_load = false;
    let result = loop {
        match stream.read_buf(&mut buffer).await {
            Ok(0) => break Ok(()),
            Ok(_) => {}
            Err(error) => break Err(error),
        }
        let now = Instant::now();
        while let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            let path = String::from_utf8_lossy(buffer.split(|byte| *byte == b' ').nth(1).unwrap_or(b"/")).into_owned();
            buffer.drain(..end + 4);
            if let Some(answer) = administer(&path, seen, begin) {
                // Who asks reads to the end.
                return stream.write_all(answer.as_bytes()).await;
            }
            if !std::mem::replace(&mut is_load, true) {
                let mut seen = seen.borrow_mut();
                seen.open += 1;
                seen.most_open = seen.most_open.max(seen.open);
            }
            let until = arrive(&path, now, &mut seen.borrow_mut());
            if let Some(until) = until {
                tokio::time::sleep_until(until.into()).await;
            }
            stream.write_all(OK).await?;
        }
    };
    seen.borrow_mut().open -= u64::from(is_load);
    result
}

/// Notes an arrival. When it is to be answered, if not at once.
fn arrive(path: &str, now: Instant, seen: &mut Seen) -> Option<Instant> {
    seen.arrivals.push(now);
    if path == "/stall" {
        let from = *seen.stalls_from.get_or_insert(now);
        let into = Duration::from_nanos((now.duration_since(from).as_nanos() % PERIOD.as_nanos()) as u64);
        let is_silent = (SILENT.0..SILENT.1).contains(&into);
        seen.silenced += u64::from(is_silent);
        return is_silent.then(|| now + SILENT.1.saturating_sub(into));
    }
    let millis = path.strip_prefix("/sleep/")?.parse().ok()?;
    Some(now + Duration::from_millis(millis))
}

fn administer(path: &str, seen: &RefCell<Seen>, begin: Instant) -> Option<String> {
    let mut seen = seen.borrow_mut();
    let mut body = String::new();
    // A string takes everything that is written to it.
    let _ = match path {
        "/counts" => writeln!(body, "{} {} {}", seen.arrivals.len(), seen.silenced, seen.most_open),
        "/arrivals" => {
            seen.arrivals.iter().try_for_each(|at| writeln!(body, "{}", at.duration_since(begin).as_nanos()))
        }
        "/clear" => {
            *seen = Seen { open: seen.open, most_open: seen.open, ..Seen::default() };
            Ok(())
        }
        _ => return None,
    };
    Some(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()))
}

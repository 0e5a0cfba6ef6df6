//! A target on a thread of its own, on loopback ports that the kernel chooses: for tests, and for the demo.

use std::io;
use std::net::SocketAddr;
use std::thread::JoinHandle;

use socket2::{Domain, Socket, Type};
use tokio::sync::oneshot;

use crate::counts::Counts;
use crate::{Behaviour, Certificates, CountsHandle, Options, Target};

/// A running target; dropping it ends it.
#[derive(Debug)]
pub struct TestTarget {
    address: SocketAddr,
    admin: SocketAddr,
    tls: Option<(SocketAddr, Certificates)>,
    /// Bound, but not listening.
    refusing: Socket,
    handle: CountsHandle,
    shutdown: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl TestTarget {
    /// Starts a target on loopback.
    pub fn start() -> io::Result<Self> {
        Self::start_with(&Options::loopback())
    }

    /// Starts a target on loopback that also serves TLS, by certificates that are made now.
    pub fn start_tls() -> io::Result<Self> {
        Self::start_with(&Options::loopback().with_tls()?)
    }

    /// Starts a target whose data port is at this address, its admin port anywhere on loopback.
    pub fn start_at(listen: SocketAddr) -> io::Result<Self> {
        Self::start_with(&Options { listen, ..Options::loopback() })
    }

    /// Starts a target.
    pub fn start_with(options: &Options) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let target = {
            let _context = runtime.enter();
            Target::bind(options)?
        };
        let (address, admin, handle) = (target.address()?, target.admin_address()?, target.handle());
        let tls = target.tls_address()?.zip(options.tls.as_ref().map(|tls| tls.certificates.clone()));
        let refusing = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        refusing.bind(&SocketAddr::new(address.ip(), 0).into())?;
        let (shutdown, ended) = oneshot::channel::<()>();
        let serve = move || {
            runtime.block_on(target.serve(async {
                let _ = ended.await;
            }));
        };
        let thread = std::thread::Builder::new().name("target".to_owned()).spawn(serve)?;
        Ok(Self { address, admin, tls, refusing, handle, shutdown: Some(shutdown), thread: Some(thread) })
    }

    /// Where data is served, e.g. `http://127.0.0.1:41234`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where the admin is served.
    pub fn admin_url(&self) -> String {
        format!("http://{}", self.admin)
    }

    /// Where data is served.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where data is served by TLS. Panics where it is not.
    #[track_caller]
    pub fn tls_address(&self) -> SocketAddr {
        self.tls.as_ref().expect("a target that was started with TLS").0
    }

    /// By what TLS is served, and what its clients need. Panics where it is not.
    #[track_caller]
    pub fn certificates(&self) -> &Certificates {
        &self.tls.as_ref().expect("a target that was started with TLS").1
    }

    /// An address that refuses every connection, for as long as this target lives.
    pub fn refusing_address(&self) -> io::Result<SocketAddr> {
        self.refusing.local_addr()?.as_socket().ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
    }

    /// What has been counted so far.
    pub fn counts(&self) -> Counts {
        self.handle.counts()
    }

    /// Forgets all counts.
    pub fn clear(&self) {
        self.handle.clear();
    }

    /// From now on, so many bytes of memory are kept for each request, once somebody reads the metrics.
    pub fn leak(&self, bytes: u64) {
        self.handle.leak(bytes);
    }

    /// From now on, everything is answered so.
    pub fn behave(&self, behaviour: Behaviour) {
        self.handle.behave(behaviour);
    }
}

impl Drop for TestTarget {
    fn drop(&mut self) {
        drop(self.shutdown.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, TcpStream};

    use super::*;

    /// Sends one request on a connection of its own and reads all that comes.
    fn fetch(address: SocketAddr, method: &str, path: &str, rest: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(address)?;
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n{rest}")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    #[test]
    fn each_path_does_what_its_name_says() {
        let target = TestTarget::start().unwrap();
        let get = |path: &str| fetch(target.address(), "GET", path, "\r\n");
        let answers = |path: &str, begin: &str, end: &str| {
            let answer = get(path).unwrap();
            assert!(answer.starts_with(begin) && answer.ends_with(end), "{path}: {answer:?}");
        };
        answers("/fast?x=1", "HTTP/1.1 200 OK\r\n", "\r\n\r\nok\n");
        answers("/api/v1/deployments/", "HTTP/1.1 200 OK\r\n", "\r\n\r\n{\"ok\":true}\n");
        answers("/status/503", "HTTP/1.1 503 ", "\r\n\r\nok\n");
        answers("/status/204", "HTTP/1.1 204 ", "\r\n\r\n");
        answers("/chunked/20000", "HTTP/1.1 200 ", "\r\n0\r\nX-Sum: 0\r\n\r\n");
        answers("/http10", "HTTP/1.0 200 ", "ok\n");
        answers("/close-mid-body", "HTTP/1.1 200 ", "only a few");
        answers("/close", "", "");
        answers("/slow-body/20", "HTTP/1.1 200 ", "\r\n\r\nxxxxxxxxxx");
        answers("/delay/1", "HTTP/1.1 200 ", "\r\n\r\nok\n");
        answers("/bytes/20000", "HTTP/1.1 200 ", "xxx");
        assert!(!get("/garbage").unwrap().starts_with("HTTP"));
        assert_eq!(get("/reset").unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        let counts = target.counts();
        assert_eq!((counts.requests, counts.by_path["/fast"], counts.action("ok")), (13, 1, 7));
    }

    #[test]
    fn a_request_counts_once_its_body_has_come() {
        let target = TestTarget::start().unwrap();
        let mut stream = TcpStream::connect(target.address()).unwrap();
        write!(stream, "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\n").unwrap();
        assert_eq!(target.counts().requests, 0);
        write!(stream, "\r\nPOST /b HTTP/1.1\r\nContent-Length: 2\r\n\r\nab").unwrap();
        write!(stream, "HEAD /c HTTP/1.1\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(answer.matches("HTTP/1.1 200").count(), 3);
        assert_eq!(target.counts().by_path.into_values().collect::<Vec<_>>(), [1, 1, 1]);
    }

    #[test]
    fn the_admin_port_tells_and_clears() {
        let target = TestTarget::start().unwrap();
        fetch(target.address(), "GET", "/status/429", "\r\n").unwrap();
        let stats = fetch(target.admin, "GET", "/stats", "\r\n").unwrap();
        let (_, json) = stats.split_once("\r\n\r\n").unwrap();
        let counts: Counts = serde_json::from_str(json).unwrap();
        assert_eq!((counts.action("status-429"), counts.connections.accepted), (1, 1));
        assert_eq!(counts.peers[&Ipv4Addr::LOCALHOST.into()].requests, 1);
        fetch(target.admin, "POST", "/clear", "Content-Length: 0\r\n\r\n").unwrap();
        assert_eq!(target.counts().requests, 0);
        assert!(fetch(target.admin, "GET", "/healthz", "\r\n").unwrap().starts_with("HTTP/1.1 200"));
    }
}

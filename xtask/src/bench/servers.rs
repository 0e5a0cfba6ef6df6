//! What generators are pointed at: nginx, and where that will not do a server of our own. Each on a core of its own, and
//! each counts what it served.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use xshell::cmd;

use super::machine::{SERVER_CORE, busy_of, free_address};
use crate::context::Context;

/// How long a server may take to listen.
const UP_WITHIN: Duration = Duration::from_secs(5);

/// What a measurement needs to know of a server.
pub(super) trait Server {
    /// Requests of load that it served so far.
    fn served(&self) -> Result<u64>;
    /// Its process.
    fn process(&self) -> u32;

    /// Seconds of CPU that it used so far.
    fn busy(&self) -> Result<f64> {
        busy_of(self.process())
    }
}

/// A process on the server's core that ends with this.
struct Pinned(Child);

impl Pinned {
    fn start(context: &Context, command: &[&str]) -> Result<Self> {
        // The shell lifts the limit of open files as far as it may, and is then replaced.
        let script = "ulimit -S -n \"$(ulimit -H -n)\"; exec taskset --cpu-list \"$@\"";
        let process = Command::new("bash")
            .args(["-c", script, "bash", SERVER_CORE])
            .args(command)
            .env("PATH", context.sh.var_os("PATH").unwrap_or_default())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("starting {}", command[0]))?;
        Ok(Self(process))
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // It is one process, which nothing depends on: there is nothing to do about a failure.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn wait_until_up<T>(server: T, is_up: impl Fn(&T) -> Result<()>) -> Result<T> {
    let deadline = Instant::now() + UP_WITHIN;
    while let Err(error) = is_up(&server) {
        if Instant::now() > deadline {
            return Err(error.context("the server does not answer"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(server)
}

/// What a server says in the body of its answer to a plain request.
fn ask(address: SocketAddr, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (_, body) = answer.split_once("\r\n\r\n").with_context(|| format!("expected an answer, got {answer:?}"))?;
    Ok(body.to_owned())
}

/// One nginx process with tiny answers.
pub(super) struct Nginx {
    process: Pinned,
    /// HTTP/1.1 in plain text.
    plain: SocketAddr,
    /// HTTP/1.1 over TLS.
    tls: SocketAddr,
    /// HTTP/2 in plain text, by prior knowledge.
    h2: SocketAddr,
    /// HTTP/2 over TLS, by ALPN.
    h2_tls: SocketAddr,
    counts: SocketAddr,
}

impl Nginx {
    pub(super) fn start(context: &Context) -> Result<Self> {
        let directory = context.home.join("bench");
        context.sh.create_dir(&directory)?;
        let certificate = certificate(context, &directory)?;
        let [plain, tls, h2, h2_tls, counts] =
            [free_address()?, free_address()?, free_address()?, free_address()?, free_address()?];
        let configuration = directory.join("nginx.conf");
        let text = configuration_text(&directory, &certificate, [plain, tls, h2, h2_tls, counts]);
        context.sh.write_file(&configuration, text)?;
        let (prefix, file) = (directory.to_string_lossy(), configuration.to_string_lossy());
        let process = Pinned::start(context, &["nginx", "-e", "stderr", "-p", &prefix, "-c", &file])?;
        let server = Self { process, plain, tls, h2, h2_tls, counts };
        wait_until_up(server, |server| server.requests().map(drop))
    }

    pub(super) fn plain(&self) -> String {
        format!("http://{}/", self.plain)
    }

    pub(super) fn tls(&self) -> String {
        format!("https://{}/", self.tls)
    }

    pub(super) fn h2(&self) -> String {
        format!("http://{}/", self.h2)
    }

    pub(super) fn h2_tls(&self) -> String {
        format!("https://{}/", self.h2_tls)
    }

    /// Requests that were served so far, those to ask this included.
    fn requests(&self) -> Result<u64> {
        let said = ask(self.counts, "/")?;
        // The third of three numbers in a line of their own: accepted, handled, requests.
        let mut lines = said.lines().map(|line| line.split_whitespace().map(str::parse::<u64>).collect());
        let numbers: Option<Vec<u64>> = lines.find_map(|line: Result<Vec<_>, _>| line.ok().filter(|n| n.len() == 3));
        numbers.map(|numbers| numbers[2]).with_context(|| format!("expected nginx's counts, got {said}"))
    }
}

impl Server for Nginx {
    fn served(&self) -> Result<u64> {
        self.requests()
    }

    fn process(&self) -> u32 {
        self.process.0.id()
    }
}

/// A certificate for 127.0.0.1 that nobody trusts: its file and its key's.
fn certificate(context: &Context, directory: &Path) -> Result<(PathBuf, PathBuf)> {
    let (certificate, key) = (directory.join("server.pem"), directory.join("server.key"));
    let sh = &context.sh;
    if !certificate.exists() {
        let names = "subjectAltName=IP:127.0.0.1,DNS:localhost";
        cmd!(sh, "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj /CN=localhost -addext {names} -keyout {key} -out {certificate}")
            .quiet()
            .ignore_stderr()
            .run()
            .context("making a certificate")?;
    }
    Ok((certificate, key))
}

fn configuration_text(directory: &Path, certificate: &(PathBuf, PathBuf), addresses: [SocketAddr; 5]) -> String {
    let scratch = directory.display();
    let (certificate, key) = (certificate.0.display(), certificate.1.display());
    let [plain, tls, h2, h2_tls, counts] = addresses;
    let order = r#"{\"id\":\"a1b2c3d4e5\",\"state\":\"queued\",\"total\":42}"#;
    let answers = format!(
        "location / {{ return 200 \"ok\\n\"; }} \
         location /order {{ default_type application/json; return 200 \"{order}\"; }}"
    );
    format!(
        "daemon off; master_process off; worker_processes 1; worker_rlimit_nofile 20000; pid {scratch}/nginx.pid;\n\
         error_log stderr crit;\n\
         events {{ worker_connections 16000; }}\n\
         http {{\n\
         \x20 access_log off; keepalive_requests 1000000000; keepalive_time 24h;\n\
         \x20 ssl_certificate {certificate}; ssl_certificate_key {key}; http2_max_concurrent_streams 128;\n\
         \x20 client_body_temp_path {scratch}/body; proxy_temp_path {scratch}/proxy;\n\
         \x20 fastcgi_temp_path {scratch}/fastcgi; uwsgi_temp_path {scratch}/uwsgi; scgi_temp_path {scratch}/scgi;\n\
         \x20 server {{ listen {plain} backlog=4096; {answers} }}\n\
         \x20 server {{ listen {tls} ssl backlog=4096; {answers} }}\n\
         \x20 server {{ listen {h2} http2 backlog=4096; {answers} }}\n\
         \x20 server {{ listen {h2_tls} ssl http2 backlog=4096; {answers} }}\n\
         \x20 server {{ listen {counts}; location / {{ stub_status; }} }}\n\
         }}\n"
    )
}

/// The example `bench_server` of the engine.
pub(super) struct Watchful {
    process: Pinned,
    address: SocketAddr,
}

/// What such a server counted since it was cleared.
pub(super) struct Counts {
    pub(super) requests: u64,
    /// Requests that came into a silence.
    pub(super) silenced: u64,
    pub(super) most_connections: u64,
}

impl Watchful {
    pub(super) fn start(context: &Context, program: &Path) -> Result<Self> {
        let address = free_address()?;
        let process = Pinned::start(context, &[&program.to_string_lossy(), &address.to_string()])?;
        wait_until_up(Self { process, address }, Self::clear)
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(super) fn clear(&self) -> Result<()> {
        ask(self.address, "/clear").map(drop)
    }

    pub(super) fn counts(&self) -> Result<Counts> {
        let said = ask(self.address, "/counts")?;
        let mut numbers = said.split_whitespace().map(str::parse::<u64>);
        let mut next =
            || numbers.next().with_context(|| format!("expected three counts, got {said:?}"))?.context("counts");
        Ok(Counts { requests: next()?, silenced: next()?, most_connections: next()? })
    }

    /// When requests arrived, in microseconds, in order.
    pub(super) fn arrivals(&self) -> Result<Vec<f64>> {
        let said = ask(self.address, "/arrivals")?;
        said.lines().map(|nanos| Ok(nanos.parse::<f64>()? / 1e3)).collect()
    }
}

impl Server for Watchful {
    fn served(&self) -> Result<u64> {
        Ok(self.counts()?.requests)
    }

    fn process(&self) -> u32 {
        self.process.0.id()
    }
}

/// The target of the tests, for web sockets.
pub(super) struct Target {
    _process: Pinned,
    address: SocketAddr,
}

impl Target {
    pub(super) fn start(context: &Context, program: &Path) -> Result<Self> {
        let (address, admin) = (free_address()?, free_address()?);
        let (listen, admin) = (address.to_string(), admin.to_string());
        let command = [&program.to_string_lossy(), "--listen", &listen, "--admin", &admin];
        let process = Pinned::start(context, &command)?;
        wait_until_up(Self { _process: process, address }, |target| {
            TcpStream::connect(target.address).map(drop).context("no connection")
        })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

//! A server that misbehaves on request and counts, exactly, what reached it.
//!
//! What a load test reports is compared with what this server counted, to the request. It also plays the service under
//! test in `proofload run --demo-target`. A request is counted when its head and its body have been read completely.
//!
//! It speaks HTTP/1.1, HTTP/2 to who begins with it (prior knowledge), and both by TLS on a port of its own, where the name
//! that is asked for can make the handshake fail (see `tls.rs`: `alert.localhost`, `expired.localhost` and others).
//!
//! Data paths, any method:
//!
//! | path | what comes |
//! | --- | --- |
//! | `/`, `/fast` | 200 at once |
//! | `/delay/MS` | 200 after so many milliseconds |
//! | `/status/CODE` | that status |
//! | `/bytes/N`, `/chunked/N` | 200 with a body of N bytes, with `Content-Length` or chunked |
//! | `/slow-body/MS` | 200, its body in ten pieces over so many milliseconds |
//! | `/keepalive-off`, `/http10` | 200, then the connection ends; the second one as HTTP/1.0, with no length |
//! | `/close` | the connection ends without an answer |
//! | `/close-mid-body` | the connection ends after a tenth of the body |
//! | `/reset` | TCP reset |
//! | `/hang` | no answer, ever |
//! | `/close-at/POINT`, `/reset-at/POINT` | the connection ends within the exchange: after the request's first `line`, after its `headers`, within its `body`, or after so many bytes of the answer |
//! | `/garbage` | bytes that are not HTTP |
//! | `/bad/WHAT` | an answer whose `status`, `version`, `header`, `length`, `lengths`, `chunk` or `chunk-end` is wrong; `nothing` but empty lines; a frame of `http2` |
//! | `/two` | two answers to one request |
//! | `/endless/WHAT` | a `body`, `chunks`, a `chunk-line`, `trailers`, a `head`, a `header` or 100 `continue` without an end |
//! | `/headers/N` | 200 with N headers |
//! | `/drip/MS`, `/drip/MS/N` | 200, each byte of the answer after so many milliseconds; its body has 10 of them, or N |
//! | `/rst/CODE` | of HTTP/2: the stream is reset (`RST_STREAM`) with this code (a TCP reset in HTTP/1.1) |
//! | `/goaway/CODE`, `/goaway/CODE/LAST` | of HTTP/2: GOAWAY with this code, and the end; of the streams up to LAST, which is this one, it says that they were worked on |
//! | `/ws` | a web socket that echoes messages. `push=MS`: one comes each MS milliseconds. `close=CODE` (and `reason=TEXT`), `drop`, `reset`, `garbage`, `not-utf8`: so it ends, at the first message that comes, or with `after=MS` so long after it was opened. `greeting=N`: begins with a message of N bytes. `silent`: no echo |
//! | `/mix` | of each 20 requests: 12 x 200, 3 x 429, 2 x 500, 2 x reset, 1 x hang, in a fixed order |
//! | `/capacity/N/MS` | at most N at once are served, each in so many milliseconds; 503 at once for all others |
//! | `/crowded/N/MS` | the same, but a 503 takes as long, so that users without a pause do not hammer |
//! | `/queue/N/MS` | at most N at once are served, each in so many milliseconds; all others wait in a line |
//! | `/good-for/MS` | 200 for so many milliseconds, from the first such request on; then 500 |
//! | `/login` | JSON with a new `token`, also in the header `X-Token` |
//! | `/private` and below | 401 without `Authorization: Bearer TOKEN`; `/logout` ends the token |
//! | `/basic/USER/PASSWORD` | 401 without basic authentication by these |
//! | `/session` | opens a session by a cookie, or says how often that session was here; `/session/end` ends it |
//! | `/set-cookie?cookie=C` | 200 with `Set-Cookie: C`; several are possible |
//! | `/redirect/CODE?to=URL` | that status, and there; `/redirect/CODE/N` leads to an answer in N hops |
//! | `/form` | a page with a hidden token; POST with it: 200, without: 403, each is good for once |
//! | `/jobs?polls=N` | begins a job: 201 with its `id`, and its `Location`, which N times is `queued`, then `done` |
//! | `/upload` | JSON with size and SHA-256 of the body, or of each part of a multipart body |
//! | `/echo` and below | JSON with all that the request said |
//! | `/profile/NAME` and below | what the service of that name does under load, with state: see `profile.rs` |
//! | anything else | 200 with `{"ok":true}` |
//!
//! Any of them may have a query: its parameters are counted by value.
//!
//! On the admin port: `GET /stats` is [`Counts`] as JSON, `POST /clear` forgets them, `POST /behave?status=500&delay=20`
//! answers everything so from now on, and `accept=close`, `reset` or `hang` does that to every new connection before
//! anything is read (`POST /behave` as usual again), `GET /metrics` is for Prometheus, `POST /leak?bytes=65536` keeps so
//! many bytes for each request, `GET /healthz` answers 200.
//!
//! In HTTP/2, what is particular to HTTP/1.1 is answered by 200; `/garbage`, `/close` and `/reset` concern the connection,
//! `/keepalive-off` answers and says GOAWAY.

mod action;
mod admin;
mod body;
mod certificates;
mod counts;
mod cut;
mod decide;
mod exchange;
mod fault;
mod gate;
mod http2;
mod memory;
mod profile;
mod request;
mod service;
mod test_target;
mod tls;
mod upload;
mod web_socket;
mod wire;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

pub use certificates::Certificates;
pub use counts::{Connections, Counts, InFlight, Peer, Sessions, TlsHandshakes, Uploads, WebSockets};
pub use gate::{Accept, Behaviour};
pub use test_target::TestTarget;

use counts::Ledger;
use gate::Gate;
use profile::Profiles;
use service::Service;
use tls::Tls;
use wire::{Ending, Wire};

/// More than the 128 that is usual: a load test opens all of its connections at once.
const BACKLOG: u32 = 4096;

/// A server that listens but does not answer yet.
#[derive(Debug)]
pub struct Target {
    data: TcpListener,
    tls: Option<TcpListener>,
    admin: TcpListener,
    shared: Arc<Shared>,
}

/// What a target does, and where.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where data is served in plain text. Port 0 lets the kernel choose.
    pub listen: SocketAddr,
    /// Where the admin is served.
    pub admin: SocketAddr,
    /// Where data is served by TLS, and how.
    pub tls: Option<TlsOptions>,
    /// The most requests at once that a connection of HTTP/2 may have.
    pub max_streams: u32,
}

/// How TLS is served.
#[derive(Debug, Clone)]
pub struct TlsOptions {
    /// Where.
    pub listen: SocketAddr,
    /// By what.
    pub certificates: Certificates,
    /// Whether clients must have a certificate.
    pub requires_client: bool,
}

impl Options {
    /// The most requests at once of HTTP/2 that are usual.
    pub const MAX_STREAMS: u32 = 100;

    /// On loopback, where the kernel chooses, without TLS.
    pub fn loopback() -> Self {
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self { listen: anywhere, admin: anywhere, tls: None, max_streams: Self::MAX_STREAMS }
    }

    /// With TLS on loopback, by certificates that are made now. Fails as making them does.
    pub fn with_tls(self) -> io::Result<Self> {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let tls = TlsOptions { listen, certificates: Certificates::make(&[])?, requires_client: false };
        Ok(Self { tls: Some(tls), ..self })
    }
}

/// What all connections have in common.
#[derive(Debug)]
struct Shared {
    ledger: Ledger,
    leak: memory::Leak,
    gate: Gate,
    service: Service,
    profiles: Profiles,
    tls: Option<Tls>,
    max_streams: u32,
}

impl Shared {
    /// Forgets what has been counted, and how the profiles are.
    fn clear(&self) {
        self.ledger.clear();
        self.profiles.clear();
    }
}

/// Reads what a target has counted, and changes how it answers, from within its process.
#[derive(Debug, Clone)]
pub struct CountsHandle(Arc<Shared>);

impl CountsHandle {
    /// From now on, so many bytes of memory are kept for each request.
    pub fn leak(&self, bytes: u64) {
        self.0.leak.keep(bytes);
    }

    /// What has been counted so far.
    pub fn counts(&self) -> Counts {
        self.0.ledger.counts()
    }

    /// Forgets all counts; open connections and requests in flight stay counted as such. Profiles begin anew.
    pub fn clear(&self) {
        self.0.clear();
    }

    /// From now on, everything is answered so.
    pub fn behave(&self, behaviour: Behaviour) {
        self.0.gate.behave(behaviour);
    }
}

impl Target {
    /// Listens. Must be called within a tokio runtime. Fails as binding fails, e.g. when an address is in use, and where
    /// a certificate is none.
    pub fn bind(options: &Options) -> io::Result<Self> {
        let tls = options.tls.as_ref();
        let shared = Shared {
            ledger: Ledger::default(),
            leak: memory::Leak::default(),
            gate: Gate::default(),
            service: Service::default(),
            profiles: Profiles::default(),
            tls: tls.map(|tls| Tls::new(&tls.certificates, tls.requires_client)).transpose()?,
            max_streams: options.max_streams,
        };
        Ok(Self {
            data: listener(options.listen)?,
            tls: tls.map(|tls| listener(tls.listen)).transpose()?,
            admin: listener(options.admin)?,
            shared: Arc::new(shared),
        })
    }

    /// Where data is served.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.data.local_addr()
    }

    /// Where data is served by TLS, if it is.
    pub fn tls_address(&self) -> io::Result<Option<SocketAddr>> {
        self.tls.as_ref().map(TcpListener::local_addr).transpose()
    }

    /// Where the admin is served.
    pub fn admin_address(&self) -> io::Result<SocketAddr> {
        self.admin.local_addr()
    }

    /// For reading the counts, also after the end of [`Target::serve`].
    pub fn handle(&self) -> CountsHandle {
        CountsHandle(Arc::clone(&self.shared))
    }

    /// Serves until `shutdown` is done, then drops every connection.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) {
        // Dropping the set ends every connection.
        let mut connections = JoinSet::new();
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => return,
                accepted = self.data.accept() => if let Ok((stream, peer)) = accepted {
                    connections.spawn(serve(stream, peer, false, Arc::clone(&self.shared)));
                },
                accepted = accept(self.tls.as_ref()) => if let Ok((stream, peer)) = accepted {
                    connections.spawn(serve(stream, peer, true, Arc::clone(&self.shared)));
                },
                accepted = self.admin.accept() => if let Ok((stream, _)) = accepted {
                    connections.spawn(admin::serve(stream, Arc::clone(&self.shared)));
                },
                Some(_) = connections.join_next() => {}
            }
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<(TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

/// Serves a data connection until it ends.
async fn serve(stream: TcpStream, peer: SocketAddr, is_tls: bool, shared: Arc<Shared>) {
    let _open = shared.ledger.open();
    let _ = stream.set_nodelay(true);
    let accept = shared.gate.behaviour().accept;
    if accept != Accept::Serve {
        shared.ledger.connections(|connections| connections.turned_away += 1);
        return match accept {
            Accept::Reset => Wire::plain(stream).end(Ending::Reset).await,
            Accept::Hang => Wire::plain(stream).until_closed().await,
            Accept::Close | Accept::Serve => Wire::plain(stream).end(Ending::Close).await,
        };
    }
    let wire = match shared.tls.as_ref().filter(|_| is_tls) {
        Some(tls) => tls.accept(stream, &shared.ledger).await,
        None => Some(Wire::plain(stream)),
    };
    let Some(mut wire) = wire else { return };
    let from = peer.ip().to_canonical();
    match wire.speaks_http2().await {
        Ok(true) => http2::serve(wire, from, &shared).await,
        Ok(false) => exchange::serve(wire, from, &shared).await,
        // Gone before it said anything.
        Err(_) => {}
    }
}

fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

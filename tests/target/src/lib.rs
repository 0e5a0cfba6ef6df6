//! A server that misbehaves on request and counts, exactly, what reached it.
//!
//! What a load test reports is compared with what this server counted, to the request. It also plays the service under
//! test in `proofload run --demo-target`. A request is counted when its head and its body have been read completely.
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
//! | `/garbage` | bytes that are not HTTP |
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
//! | anything else | 200 with `{"ok":true}` |
//!
//! Any of them may have a query: its parameters are counted by value.
//!
//! On the admin port: `GET /stats` is [`Counts`] as JSON, `POST /clear` forgets them, `POST /behave?status=500&delay=20`
//! answers everything so from now on (`POST /behave` as usual again), `GET /healthz` answers 200.

mod action;
mod admin;
mod body;
mod counts;
mod exchange;
mod gate;
mod request;
mod service;
mod test_target;
mod upload;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;

pub use counts::{Connections, Counts, InFlight, Peer, Sessions, Uploads};
pub use gate::Behaviour;
pub use test_target::TestTarget;

use counts::Ledger;
use gate::Gate;
use service::Service;

/// More than the 128 that is usual: a load test opens all of its connections at once.
const BACKLOG: u32 = 4096;

/// A server that listens but does not answer yet.
#[derive(Debug)]
pub struct Target {
    data: TcpListener,
    admin: TcpListener,
    shared: Arc<Shared>,
}

/// What all connections have in common.
#[derive(Debug, Default)]
struct Shared {
    ledger: Ledger,
    gate: Gate,
    service: Service,
}

/// Reads what a target has counted, and changes how it answers, from within its process.
#[derive(Debug, Clone)]
pub struct CountsHandle(Arc<Shared>);

impl CountsHandle {
    /// What has been counted so far.
    pub fn counts(&self) -> Counts {
        self.0.ledger.counts()
    }

    /// Forgets all counts; open connections and requests in flight stay counted as such.
    pub fn clear(&self) {
        self.0.ledger.clear();
    }

    /// From now on, everything is answered so.
    pub fn behave(&self, behaviour: Behaviour) {
        self.0.gate.behave(behaviour);
    }
}

impl Target {
    /// Listens for data on one address and for the admin on another. Port 0 lets the kernel choose. Must be called
    /// within a tokio runtime. Fails as binding fails, e.g. when an address is in use.
    pub fn bind(listen: SocketAddr, admin: SocketAddr) -> io::Result<Self> {
        Ok(Self { data: listener(listen)?, admin: listener(admin)?, shared: Arc::default() })
    }

    /// Where data is served.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.data.local_addr()
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
                    connections.spawn(exchange::serve(stream, peer, Arc::clone(&self.shared)));
                },
                accepted = self.admin.accept() => if let Ok((stream, _)) = accepted {
                    connections.spawn(admin::serve(stream, Arc::clone(&self.shared)));
                },
                Some(_) = connections.join_next() => {}
            }
        }
    }
}

fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

//! What reached the server: the counts, and the ledger that keeps them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// The most different paths, and the most different peers, that are told apart. All are in the totals.
const MAX_KEYS: usize = 1000;
/// The most different values of one parameter that are told apart, and the most seconds.
const MAX_VALUES: usize = 20_000;
const MAX_SECONDS: usize = 3600;

/// Everything that was counted since the start or the last clear.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Counts {
    /// Requests read completely, head and body; or as far as their path wanted, where it cuts them short.
    pub requests: u64,
    /// Requests by path, without the query; at most 1000 different ones.
    pub by_path: BTreeMap<String, u64>,
    /// Requests by what was done with them: `ok`, `status-429`, `reset`, `hang`, `close` and so on.
    pub by_action: BTreeMap<String, u64>,
    /// Requests by second, the first of which begins with the first request; at most an hour of them.
    pub by_second: Vec<u64>,
    /// Requests by parameter of the query and its value: `/fast?row=17` is `row`, `17`; at most 1000 different
    /// parameters and 20,000 different values of each.
    pub by_query: BTreeMap<String, BTreeMap<String, u64>>,
    /// Sessions by cookie.
    pub sessions: Sessions,
    /// What was uploaded.
    pub uploads: Uploads,
    /// Web sockets.
    pub web_sockets: WebSockets,
    /// Handshakes on the TLS port.
    pub tls: TlsHandshakes,
    /// Connections to the data ports.
    pub connections: Connections,
    /// Requests read completely whose answer is not done.
    pub in_flight: InFlight,
    /// When the first request was read completely, in microseconds of Unix time.
    pub first_request_unix_micros: Option<u64>,
    /// When the last one was.
    pub last_request_unix_micros: Option<u64>,
    /// Who sent, by address; at most 1000 different ones.
    pub peers: BTreeMap<IpAddr, Peer>,
}

/// Sessions that `/session` has opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sessions {
    /// Opened.
    pub opened: u64,
    /// Requests, to any path, with the cookie of an open session.
    pub known: u64,
    /// Requests with a session's cookie that this server did not set, or has ended.
    pub unknown: u64,
}

/// Bodies sent to `/upload`; of a multipart body, its parts that are files.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Uploads {
    /// Bodies or files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many of them by SHA-256, in hexadecimal; at most 1000 different ones.
    pub by_sha256: BTreeMap<String, u64>,
}

/// Web sockets, of which `/ws` opens one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WebSockets {
    /// Open now.
    pub open: u64,
    /// Open at once, at most.
    pub max_open: u64,
    /// Ever opened.
    pub opened: u64,
    /// Ended, in any way.
    pub closed: u64,
    /// Close frames that came, by code; 1005 for one without a code.
    pub close_codes: BTreeMap<u16, u64>,
    /// Text and binary messages that came.
    pub messages_in: u64,
    /// Text and binary messages that were sent.
    pub messages_out: u64,
    /// Pings that came.
    pub pings: u64,
}

/// Handshakes on the TLS port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TlsHandshakes {
    /// Completed.
    pub handshakes: u64,
    /// Completed, and the session is one of before.
    pub resumed: u64,
    /// Completed with a client that has a certificate.
    pub client_certificates: u64,
    /// Begun or not even that, and not completed, whoever ended them.
    pub failed: u64,
}

/// Connections to the data ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Connections {
    /// Open now.
    pub open: u64,
    /// Ever accepted.
    pub accepted: u64,
    /// Open at once, at most.
    pub max_open: u64,
    /// Of those accepted, those that were ended before anything was read, as `/behave?accept=` asked for.
    pub turned_away: u64,
    /// Of those accepted, those that spoke HTTP/2.
    pub http2: u64,
    /// The most requests at once on one connection of HTTP/2.
    pub max_streams: u64,
}

/// Requests under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InFlight {
    /// Now.
    pub now: u64,
    /// At once, at most.
    pub max: u64,
}

/// One sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Peer {
    /// Requests read completely.
    pub requests: u64,
    /// When the first one was, in microseconds of Unix time.
    pub first_unix_micros: u64,
    /// When the last one was.
    pub last_unix_micros: u64,
}

impl Counts {
    /// How often each value of a parameter of the query came.
    pub fn values(&self, parameter: &str) -> BTreeMap<String, u64> {
        self.by_query.get(parameter).cloned().unwrap_or_default()
    }

    /// Requests with which this was done, e.g. `ok`.
    pub fn action(&self, name: &str) -> u64 {
        self.by_action.get(name).copied().unwrap_or_default()
    }
}

/// Counts that are being kept.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    counts: Counts,
    /// When the first request was read, which `by_second` begins with.
    first: Option<Instant>,
    /// Requests to `/mix`, which decide what the next one gets.
    mixed: usize,
    /// When `/good-for` was asked first.
    good_since: Option<Instant>,
}

/// Counts a connection as open for as long as it lives.
pub(crate) struct OpenConnection<'a>(&'a Ledger);

/// Counts a web socket as open for as long as it lives.
pub(crate) struct OpenWebSocket<'a>(&'a Ledger);

/// Counts a request as in flight for as long as it lives.
pub(crate) struct RequestInFlight<'a>(&'a Ledger);

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn counts(&self) -> Counts {
        self.lock().counts.clone()
    }

    pub(crate) fn clear(&self) {
        let mut inner = self.lock();
        let (open, now) = (inner.counts.connections.open, inner.counts.in_flight.now);
        let sockets = inner.counts.web_sockets.open;
        *inner = Inner::default();
        inner.counts.connections = Connections { open, max_open: open, ..Connections::default() };
        inner.counts.web_sockets = WebSockets { open: sockets, max_open: sockets, ..WebSockets::default() };
        inner.counts.in_flight = InFlight { now, max: now };
    }

    pub(crate) fn open(&self) -> OpenConnection<'_> {
        self.connections(|connections| {
            connections.open += 1;
            connections.accepted += 1;
            connections.max_open = connections.max_open.max(connections.open);
        });
        OpenConnection(self)
    }

    /// Counts what concerns connections.
    pub(crate) fn connections(&self, change: impl FnOnce(&mut Connections)) {
        change(&mut self.lock().counts.connections);
    }

    /// Counts what concerns TLS.
    pub(crate) fn tls(&self, change: impl FnOnce(&mut TlsHandshakes)) {
        change(&mut self.lock().counts.tls);
    }

    /// Counts what concerns web sockets.
    pub(crate) fn web_sockets(&self, change: impl FnOnce(&mut WebSockets)) {
        change(&mut self.lock().counts.web_sockets);
    }

    /// Counts a web socket.
    pub(crate) fn open_web_socket(&self) -> OpenWebSocket<'_> {
        self.web_sockets(|sockets| {
            sockets.open += 1;
            sockets.opened += 1;
            sockets.max_open = sockets.max_open.max(sockets.open);
        });
        OpenWebSocket(self)
    }

    /// How many requests to `/mix` came before this one.
    pub(crate) fn next_mixed(&self) -> usize {
        let mixed = &mut self.lock().mixed;
        *mixed += 1;
        *mixed - 1
    }

    /// When the first request to `/good-for` came: now, if this is it.
    pub(crate) fn good_since(&self) -> Instant {
        *self.lock().good_since.get_or_insert_with(Instant::now)
    }

    /// Counts what concerns sessions.
    pub(crate) fn sessions(&self, change: impl FnOnce(&mut Sessions)) {
        change(&mut self.lock().counts.sessions);
    }

    /// Counts a file.
    pub(crate) fn upload(&self, bytes: u64, sha256: &str) {
        let uploads = &mut self.lock().counts.uploads;
        uploads.files += 1;
        uploads.bytes += bytes;
        count(&mut uploads.by_sha256, sha256, MAX_KEYS);
    }

    /// Counts a request that has been read completely.
    pub(crate) fn request(&self, path: &str, query: &str, action: &str, from: IpAddr) -> RequestInFlight<'_> {
        let now = unix_micros();
        let mut inner = self.lock();
        let second = inner.first.get_or_insert_with(Instant::now).elapsed().as_secs() as usize;
        let counts = &mut inner.counts;
        counts.requests += 1;
        count(&mut counts.by_path, path, MAX_KEYS);
        count(&mut counts.by_action, action, MAX_KEYS);
        if second < MAX_SECONDS {
            counts.by_second.resize(counts.by_second.len().max(second + 1), 0);
            counts.by_second[second] += 1;
        }
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if counts.by_query.len() < MAX_KEYS || counts.by_query.contains_key(&*name) {
                count(counts.by_query.entry(name.into_owned()).or_default(), &value, MAX_VALUES);
            }
        }
        counts.first_request_unix_micros.get_or_insert(now);
        counts.last_request_unix_micros = Some(now);
        if counts.peers.len() < MAX_KEYS || counts.peers.contains_key(&from) {
            let peer = counts.peers.entry(from).or_insert(Peer { first_unix_micros: now, ..Peer::default() });
            peer.requests += 1;
            peer.last_unix_micros = now;
        }
        counts.in_flight.now += 1;
        counts.in_flight.max = counts.in_flight.max.max(counts.in_flight.now);
        RequestInFlight(self)
    }

    /// Something else was done with a request than it was counted for.
    pub(crate) fn instead(&self, before: &str, after: &str) {
        let by_action = &mut self.lock().counts.by_action;
        // None, if the counts were cleared meanwhile.
        if before != after
            && let Some(counted) = by_action.get_mut(before).filter(|counted| **counted > 0)
        {
            *counted -= 1;
            count(by_action, after, MAX_KEYS);
        }
    }
}

impl Drop for OpenConnection<'_> {
    fn drop(&mut self) {
        self.0.connections(|connections| connections.open -= 1);
    }
}

impl Drop for OpenWebSocket<'_> {
    fn drop(&mut self) {
        self.0.web_sockets(|sockets| {
            sockets.open -= 1;
            sockets.closed += 1;
        });
    }
}

impl Drop for RequestInFlight<'_> {
    fn drop(&mut self) {
        self.0.lock().counts.in_flight.now -= 1;
    }
}

fn count(map: &mut BTreeMap<String, u64>, key: &str, most: usize) {
    if let Some(count) = map.get_mut(key) {
        *count += 1;
    } else if map.len() < most {
        map.insert(key.to_owned(), 1);
    }
}

fn unix_micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

//! Opens connections to the target.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, Instant};

use proofload_plan::{Keep, Protocol};
use rustix::net::sockopt::set_tcp_user_timeout;
use tokio::net::TcpStream;
use tokio::sync::OnceCell;

use crate::connections::{Link, Open};
use crate::failure::Failure;
use crate::http2::Session;
use crate::names::{Answer, Names};
use crate::stream::Stream;
use crate::tls::Tls;

/// Where a target is.
#[derive(Clone)]
pub(crate) enum Whereabouts {
    At(SocketAddr),
    Named(Names),
}

/// What a connection is to be used for, which decides what TLS offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offer {
    /// Requests, over the plan's protocol.
    Requests,
    /// A web socket, which begins as HTTP/1.1.
    WebSocket,
}

/// How connections are made and kept.
#[derive(Clone)]
pub(crate) struct Manner {
    /// None for plain text.
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) protocol: Protocol,
    pub(crate) keep: Keep,
    /// Of requests.
    pub(crate) timeout: Duration,
}

/// Opens connections, for one thread.
pub(crate) struct Dialer {
    whereabouts: Whereabouts,
    manner: Manner,
    /// Of the target's addresses, whose turn it is: all of them get as many connections.
    turn: Cell<usize>,
    answer: RefCell<Option<Answer>>,
    /// The lookup under way, if there is one: who comes while it is shares its answer.
    lookup: RefCell<Weak<OnceCell<Answer>>>,
}

impl Dialer {
    /// `turn` is the place of the thread among all of the run's, so that not all of them begin with the same address.
    pub(crate) fn new(whereabouts: Whereabouts, manner: Manner, turn: usize) -> Self {
        let turn = Cell::new(turn);
        Self { whereabouts, manner, turn, answer: RefCell::default(), lookup: RefCell::default() }
    }

    /// A new connection for requests.
    pub(crate) async fn dial(&self) -> Result<Open, Failure> {
        let stream = self.reach(Offer::Requests).await?;
        let is_http2 = match self.manner.protocol {
            Protocol::Http1 => false,
            Protocol::Http2 => true,
            Protocol::Negotiated => stream.is_http2(),
        };
        let link = if is_http2 { Link::Http2(Session::open(stream).await?) } else { Link::Http1(stream) };
        Ok(Open::new(link, self.manner.keep))
    }

    /// A new connection, to the next of the target's addresses that takes it; with TLS, after its handshake.
    pub(crate) async fn reach(&self, offer: Offer) -> Result<Stream, Failure> {
        let stream = self.reach_plainly().await?;
        if offer == Offer::Requests && self.manner.protocol != Protocol::Http1 {
            // A connection of HTTP/2 outlives requests that time out: one that nobody acknowledges is to end.
            let millis = u32::try_from(self.manner.timeout.as_millis()).unwrap_or(u32::MAX).saturating_mul(2);
            // Where it cannot be set, TCP ends it later.
            let _ = set_tcp_user_timeout(&stream, millis);
        }
        match &self.manner.tls {
            Some(tls) => Ok(Stream::Tls(tls.handshake(stream, offer).await?)),
            None => Ok(Stream::Plain(stream)),
        }
    }

    async fn reach_plainly(&self) -> Result<TcpStream, Failure> {
        let names = match &self.whereabouts {
            Whereabouts::At(address) => return Self::connect(*address).await.map_err(|e| Failure::connect(&e)),
            Whereabouts::Named(names) => names,
        };
        let addresses = self.look_up(names).await?;
        let turn = self.turn.get();
        self.turn.set(turn.wrapping_add(1));
        let mut last = None;
        for i in 0..addresses.len() {
            match Self::connect(addresses[turn.wrapping_add(i) % addresses.len()]).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = Some(error),
            }
        }
        Err(last.map_or_else(|| Failure::dns(&"no address"), |error| Failure::connect(&error)))
    }

    /// The target's addresses, as long as they are valid; then anew.
    async fn look_up(&self, names: &Names) -> Result<Arc<[SocketAddr]>, Failure> {
        if let Some(known) = self.answer.borrow().as_ref().filter(|known| Instant::now() < known.until) {
            return known.addresses.clone();
        }
        let under_way = self.lookup.borrow().upgrade().filter(|lookup| !lookup.initialized());
        let lookup = under_way.unwrap_or_else(|| {
            let lookup = Rc::new(OnceCell::new());
            *self.lookup.borrow_mut() = Rc::downgrade(&lookup);
            lookup
        });
        let answer = lookup.get_or_init(|| names.ask()).await;
        self.answer.replace(Some(answer.clone()));
        answer.addresses.clone()
    }

    async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(address).await?;
        // Requests are written whole, so waiting for more to send with them would only delay them.
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket};
    use std::sync::Mutex;
    use std::time::Duration;

    use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};

    use super::*;
    use crate::names::Servers;

    const PLAIN: Manner = Manner {
        tls: None,
        protocol: Protocol::Http1,
        keep: Keep { max_requests: None, max_age: None },
        timeout: DEADLINE,
    };
    const DEADLINE: Duration = Duration::from_secs(20);

    /// A name server that answers every question for an address with these, valid for a second.
    struct NameServer {
        port: u16,
        state: Arc<Mutex<(Vec<Ipv4Addr>, usize)>>,
    }

    impl NameServer {
        fn start(addresses: &[u8]) -> Self {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let port = socket.local_addr().unwrap().port();
            let state = Arc::new(Mutex::new((loopbacks(addresses), 0)));
            let known = Arc::clone(&state);
            std::thread::spawn(move || {
                let mut buffer = [0; 512];
                while let Ok((length, asker)) = socket.recv_from(&mut buffer) {
                    let mut known = known.lock().unwrap();
                    known.1 += 1;
                    // The order of each answer differs.
                    let half = known.0.len() / 2;
                    known.0.rotate_left(half);
                    socket.send_to(&reply(&buffer[..length], &known.0), asker).unwrap();
                }
            });
            Self { port, state }
        }

        fn answer_with(&self, addresses: &[u8]) {
            self.state.lock().unwrap().0 = loopbacks(addresses);
        }

        fn asked(&self) -> usize {
            self.state.lock().unwrap().1
        }

        fn names(&self, port: u16) -> Names {
            Names::start("target.test.".to_owned(), port, servers(self.port)).unwrap()
        }
    }

    /// A name server at this port of loopback.
    fn servers(port: u16) -> Servers {
        let mut udp = ConnectionConfig::udp();
        udp.port = port;
        let server = NameServerConfig::new(IpAddr::V4(Ipv4Addr::LOCALHOST), true, vec![udp]);
        Servers::only(ResolverConfig::from_parts(None, Vec::new(), vec![server]))
    }

    fn loopbacks(last: &[u8]) -> Vec<Ipv4Addr> {
        last.iter().map(|last| Ipv4Addr::new(127, 0, 0, *last)).collect()
    }

    /// The answer to a question: its head and question, and then the addresses.
    fn reply(question: &[u8], addresses: &[Ipv4Addr]) -> Vec<u8> {
        let name = question[12..].iter().position(|byte| *byte == 0).unwrap();
        let end = 12 + name + 5;
        let is_for_v4 = question[end - 4..end - 2] == [0, 1];
        let addresses = if is_for_v4 { addresses } else { &[] };
        let mut reply = question[..2].to_vec();
        reply.extend([0x81, 0x80, 0, 1, 0, addresses.len() as u8, 0, 0, 0, 0]);
        reply.extend(&question[12..end]);
        for address in addresses {
            reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4]);
            reply.extend(address.octets());
        }
        reply
    }

    /// Listens on these loopback addresses, all on one port: that.
    fn listen(last: &[u8]) -> u16 {
        let listen_on = |port| -> io::Result<Vec<_>> {
            loopbacks(last).into_iter().map(|ip| TcpListener::bind((ip, port))).collect()
        };
        let free = || TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap().local_addr().unwrap().port();
        loop {
            let port = free();
            // Another test may have taken it meanwhile.
            if let Ok(listeners) = listen_on(port) {
                for listener in listeners {
                    std::thread::spawn(move || listener.incoming().for_each(drop));
                }
                return port;
            }
        }
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    /// Dials so many times; how often each address was reached, by its last number.
    async fn dialed(dialer: &Dialer, times: usize) -> BTreeMap<u8, usize> {
        let mut reached = BTreeMap::new();
        for _ in 0..times {
            let Stream::Plain(stream) = dialer.reach(Offer::Requests).await.unwrap() else {
                unreachable!("there is no TLS")
            };
            let IpAddr::V4(ip) = stream.peer_addr().unwrap().ip() else { unreachable!("only these are known") };
            *reached.entry(ip.octets()[3]).or_default() += 1;
        }
        reached
    }

    #[test]
    fn connections_are_spread_over_all_addresses_and_follow_the_name() {
        let port = listen(&[2, 3, 4]);
        let server = NameServer::start(&[2, 3]);
        let names = server.names(port);
        block_on(async {
            let dialer = |turn| Dialer::new(Whereabouts::Named(names.clone()), PLAIN, turn);
            let (first, second) = (dialer(0), dialer(1));
            let begin = Instant::now();
            let mut ticks = tokio::time::interval(Duration::from_millis(10));
            assert_eq!(dialed(&first, 1).await.into_iter().collect::<Vec<_>>(), [(2, 1)]);
            assert_eq!(dialed(&second, 1).await.into_iter().collect::<Vec<_>>(), [(3, 1)]);
            let reached: Vec<_> = dialed(&first, 10).await.into_iter().collect();
            // While the answer is valid nobody asks again.
            assert!(begin.elapsed() > Duration::from_secs(1) || (reached == [(2, 5), (3, 5)] && server.asked() == 1));
            server.answer_with(&[4]);
            while !dialed(&first, 1).await.contains_key(&4) {
                assert!(begin.elapsed() < DEADLINE, "the name is followed");
                ticks.tick().await;
            }
            assert_eq!(dialed(&first, 3).await.into_iter().collect::<Vec<_>>(), [(4, 3)]);
        });
    }

    #[test]
    fn an_address_that_refuses_is_passed_over() {
        let port = listen(&[3]);
        let names = NameServer::start(&[2, 3]).names(port);
        block_on(async {
            let dialer = Dialer::new(Whereabouts::Named(names), PLAIN, 0);
            assert_eq!(dialed(&dialer, 6).await.into_iter().collect::<Vec<_>>(), [(3, 6)]);
        });
    }

    #[test]
    fn a_name_server_that_is_silent_is_said_to_be() {
        let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut servers = servers(silent.local_addr().unwrap().port());
        servers.patience = Duration::from_millis(200);
        let names = Names::start("target.test.".to_owned(), 80, servers).unwrap();
        let failure = block_on(async {
            let dialer = Dialer::new(Whereabouts::Named(names), PLAIN, 0);
            tokio::time::timeout(Duration::from_secs(2), dialer.dial()).await.expect("it gives up").err().unwrap()
        });
        assert_eq!(failure, Failure::dns(&"no name server has answered in 200ms"));
    }

    #[test]
    fn a_name_without_an_address_is_no_target_until_it_has_one() {
        let port = listen(&[2]);
        let server = NameServer::start(&[]);
        let names = server.names(port);
        block_on(async {
            let dialer = Dialer::new(Whereabouts::Named(names), PLAIN, 0);
            let failure = dialer.dial().await.err().unwrap();
            assert_eq!(failure, Failure::dns(&"no such name"));
            server.answer_with(&[2]);
            let begin = Instant::now();
            let mut ticks = tokio::time::interval(Duration::from_millis(10));
            while dialer.dial().await.is_err() {
                assert!(begin.elapsed() < DEADLINE, "the name is found");
                ticks.tick().await;
            }
        });
    }
}

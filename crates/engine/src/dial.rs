//! Opens connections to the target.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::{Rc, Weak};

use tokio::net::TcpStream;
use tokio::sync::OnceCell;

use crate::failure::Failure;
use crate::script::Peer;

type Answer = Result<Vec<SocketAddr>, Failure>;

/// Opens connections, for one thread.
pub(crate) struct Dialer {
    peer: Peer,
    /// The lookup under way, if there is one: who comes while it is shares its answer, so that ten thousand users that
    /// begin at once do not ask ten thousand times.
    lookup: RefCell<Weak<OnceCell<Answer>>>,
}

impl Dialer {
    pub(crate) fn new(peer: Peer) -> Self {
        Self { peer, lookup: RefCell::default() }
    }

    /// A new connection, to the first of the target's addresses that takes it.
    pub(crate) async fn dial(&self) -> Result<TcpStream, Failure> {
        let (name, port) = match &self.peer {
            Peer::Address(address) => return connect(*address).await.map_err(|error| Failure::connect(&error)),
            Peer::Name(name, port) => (name, *port),
        };
        let mut last = None;
        for address in self.look_up(name, port).await? {
            match connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = Some(error),
            }
        }
        Err(match last {
            Some(error) => Failure::connect(&error),
            None => Failure::dns(&io::Error::other("no address")),
        })
    }

    async fn look_up(&self, name: &str, port: u16) -> Answer {
        let under_way = self.lookup.borrow().upgrade().filter(|lookup| !lookup.initialized());
        let lookup = under_way.unwrap_or_else(|| {
            let lookup = Rc::new(OnceCell::new());
            *self.lookup.borrow_mut() = Rc::downgrade(&lookup);
            lookup
        });
        let ask = async || match tokio::net::lookup_host((name, port)).await {
            Ok(addresses) => Ok(addresses.collect()),
            Err(error) => Err(Failure::dns(&error)),
        };
        lookup.get_or_init(ask).await.clone()
    }
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    // Requests are written whole, so waiting for more to send with them would only delay them.
    stream.set_nodelay(true)?;
    Ok(stream)
}

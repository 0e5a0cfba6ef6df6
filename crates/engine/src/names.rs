//! Looks the target's name up, for all threads of an engine, on a thread of its own: what the system knows
//! (`/etc/hosts`, `/etc/resolv.conf`), for as long as it is valid there. So a target whose addresses change is followed,
//! and ten thousand users that begin at once do not ask ten thousand times.

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, ResolverConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::system_conf::read_system_conf;
use proofload_api::units::Micros;
use tokio::sync::{mpsc, oneshot};

use crate::failure::Failure;

/// An answer is kept for so long at least, however short it is valid.
const SHORTEST: Duration = Duration::from_secs(1);

/// Servers are awaited for so long, at least and at most, over all the names and all the tries that their configuration
/// asks for.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));

/// The addresses of the target, sorted, or why there are none.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) addresses: Result<Arc<[SocketAddr]>, Failure>,
    pub(crate) until: Instant,
}

/// Where a thread asks. Who looks up ends when nobody is left to ask.
#[derive(Clone)]
pub(crate) struct Names(mpsc::UnboundedSender<oneshot::Sender<Answer>>);

/// Which servers to ask, and how.
pub(crate) struct Servers {
    pub(crate) config: ResolverConfig,
    pub(crate) options: ResolverOpts,
    /// Why there are none, if that is so.
    missing: Option<String>,
    /// How long they are awaited.
    pub(crate) patience: Duration,
}

impl Servers {
    /// Those of the system, for requests with this timeout. Without any, names of `/etc/hosts` are known all the same.
    pub(crate) fn of_system(timeout: Duration) -> Self {
        // Less than the timeout where that can be: a request that times out meanwhile would put it down to the target.
        let patience = (timeout * 3 / 4).clamp(PATIENCE.0, PATIENCE.1);
        match read_system_conf() {
            Ok((config, options)) => Self { config, options, missing: None, patience },
            Err(error) => Self {
                config: ResolverConfig::from_parts(None, Vec::new(), Vec::new()),
                options: ResolverOpts::default(),
                missing: Some(format!("no name server in /etc/resolv.conf: {error}")),
                patience,
            },
        }
    }

    #[cfg(test)]
    pub(crate) fn only(config: ResolverConfig) -> Self {
        Self { config, options: ResolverOpts::default(), missing: None, patience: PATIENCE.1 }
    }
}

impl Names {
    /// Starts to look a name up whenever it is asked for.
    pub(crate) fn start(name: String, port: u16, servers: Servers) -> io::Result<Self> {
        let (asks, asked) = mpsc::unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new()
            .name("lookup".to_owned())
            .spawn(move || runtime.block_on(answer(&name, port, servers, asked)))?;
        Ok(Self(asks))
    }

    /// What is known of the name now.
    pub(crate) async fn ask(&self) -> Answer {
        let (answer, answered) = oneshot::channel();
        // The thread goes on for as long as this does.
        let _ = self.0.send(answer);
        answered.await.unwrap_or_else(|_| failed(&"the lookup has ended"))
    }
}

/// Answers until nobody is left to ask.
async fn answer(
    name: &str,
    port: u16,
    mut servers: Servers,
    mut asked: mpsc::UnboundedReceiver<oneshot::Sender<Answer>>,
) {
    // Where a target has addresses of both kinds, those of one kind are all of it.
    servers.options.ip_strategy = LookupIpStrategy::Ipv4thenIpv6;
    servers.options.positive_min_ttl = Some(SHORTEST);
    // A name that is not there yet is found soon after it is.
    servers.options.negative_max_ttl = Some(SHORTEST);
    let (missing, patience) = (servers.missing.take(), servers.patience);
    let resolver = TokioResolver::builder_with_config(servers.config, TokioRuntimeProvider::default())
        .with_options(servers.options)
        .build();
    while let Some(first) = asked.recv().await {
        let answer = match &resolver {
            Ok(resolver) => {
                let found = tokio::time::timeout(patience, look_up(resolver, name, port, missing.as_deref())).await;
                found.unwrap_or_else(|_| failed(&format!("no name server has answered in {}", Micros::from(patience))))
            }
            Err(error) => failed(error),
        };
        let others = std::iter::from_fn(|| asked.try_recv().ok());
        for asker in std::iter::once(first).chain(others) {
            // Who has given up asking meanwhile gets no answer.
            let _ = asker.send(answer.clone());
        }
    }
}

async fn look_up(resolver: &TokioResolver, name: &str, port: u16, missing: Option<&str>) -> Answer {
    match resolver.lookup_ip(name).await {
        Ok(found) => {
            let mut addresses: Vec<SocketAddr> = found.iter().map(|ip| SocketAddr::new(ip, port)).collect();
            // Servers turn the order round with each answer, which would undo turns that are taken here.
            addresses.sort_unstable();
            addresses.dedup();
            let until = found.valid_until().max(Instant::now() + SHORTEST);
            Answer { addresses: Ok(addresses.into()), until }
        }
        Err(error) => missing.map_or_else(|| failed_lookup(&error), |missing| failed(&missing)),
    }
}

fn failed_lookup(error: &NetError) -> Answer {
    if error.is_no_records_found() { failed(&"no such name") } else { failed(error) }
}

fn failed(why: &dyn Display) -> Answer {
    Answer { addresses: Err(Failure::dns(why)), until: Instant::now() + SHORTEST }
}

//! The service under test, and how it is reached.

use proofload_api::units::Micros;
use serde::{Deserialize, Serialize};

/// The service under test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Name or address to connect to; an IPv6 address without brackets.
    pub host: String,
    /// Port to connect to.
    pub port: u16,
    /// The `Host` header.
    pub authority: String,
    /// From the intended time of a request to the last byte of its response.
    pub timeout: Micros,
    /// How users share connections.
    pub connections: Connections,
    /// How long they keep them.
    pub keep: Keep,
    /// Whether each user keeps cookies.
    pub cookies: bool,
    /// Which HTTP is spoken.
    pub protocol: Protocol,
    /// What TLS needs; none for plain text.
    pub tls: Option<Tls>,
}

/// How users share connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Connections {
    /// So many for each user, used in turn.
    PerUser(u32),
    /// So many for all users of all runners together.
    Shared {
        /// How many.
        count: u32,
        /// Of HTTP/2: the most requests at once of each.
        streams: u32,
    },
}

/// How long connections are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keep {
    /// The most requests over one; 1 without keep-alive, which the requests then say (`Connection: close`).
    pub max_requests: Option<u32>,
    /// The longest.
    pub max_age: Option<Micros>,
}

/// Which HTTP is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2: over TLS the target must choose it, else it is spoken from the first byte on.
    Http2,
    /// Over TLS only: the one that the target chooses.
    Negotiated,
}

/// What TLS needs. Files are indices of [`Plan::files`](super::Plan::files), in PEM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tls {
    /// The name that the target is asked for and that its certificate must have; or an IP address, which no target is
    /// asked for.
    pub server_name: String,
    /// Authorities, the only ones that are trusted; none for those of the system.
    pub ca: Option<usize>,
    /// The generator's own certificate and its key.
    pub identity: Option<(usize, usize)>,
    /// Whether sessions are resumed.
    pub resumption: bool,
    /// Whether the target's certificate is looked at.
    pub verify: bool,
}

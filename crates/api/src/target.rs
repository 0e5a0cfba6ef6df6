//! The service under test, and how it is reached.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::step::{Auth, Redirects};
use crate::units::Micros;

/// The service under test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// Scheme, host, port and a path that is put before the paths of all steps, e.g. `http://api.shop.svc:8080/v1` or
    /// `https://api.shop.svc`.
    #[schemars(length(min = 1, max = 2048), regex(pattern = "^https?://[!-~]+$"))]
    pub base_url: String,
    /// Headers of every request. One that needs what a step of `setup` or `onStart` extracts is left out of the steps
    /// there that come before.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64, "additionalProperties" = {"type": "string", "maxLength": 8192}))]
    pub headers: BTreeMap<String, String>,
    /// Who sends the requests, e.g. `{bearer: "{{token}}"}`; left out where a header would be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// Whether each user keeps the cookies that the target sets, and sends them back.
    #[serde(default = "Target::default_cookies")]
    pub cookies: bool,
    /// What to do about answers that point elsewhere.
    #[serde(default)]
    pub redirects: Redirects,
    /// How long a request may take, from its intended time to the last byte of the response, before it is counted as
    /// `timeout`.
    #[serde(default = "Target::default_timeout")]
    pub timeout: Micros,
    /// How users share connections.
    #[serde(default)]
    pub connections: Connections,
    /// Which HTTP is spoken.
    #[serde(default)]
    pub protocol: Protocol,
    /// What TLS needs, where `baseUrl` is `https`. Default: the authorities that the system trusts, no certificate of our
    /// own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
}

impl Target {
    const fn default_timeout() -> Micros {
        Micros::from_secs(30)
    }

    const fn default_cookies() -> bool {
        true
    }
}

/// How users share connections, and how long they keep them. At most one of `perUser` and `shared`; default
/// `{perUser: 1}`. A new connection goes to the next of all addresses that the target's name has at that moment (asked
/// for again when the name's time to live is over): with `maxAge`, the load follows a Service that scales.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "!(has(self.perUser) && has(self.shared))", "message": "expected at most one of perUser and shared"},
]))]
pub struct Connections {
    /// Each user has this many connections of its own, kept alive, and sends its requests over them in turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 16))]
    pub per_user: Option<u32>,
    /// All users of all runners together have this many connections. A request waits for a free one; its latency
    /// includes the wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub shared: Option<u32>,
    /// Whether a connection takes more than one request. `false`: each request has a connection of its own.
    #[serde(default = "Connections::default_keep_alive")]
    pub keep_alive: bool,
    /// Of HTTP/2: how many requests at once each of the `shared` connections carries, at most; fewer where the target
    /// allows fewer. Default 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub streams: Option<u32>,
    /// A connection that has taken so many requests is closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub max_requests: Option<u32>,
    /// A connection that has been open for so long is closed before the next request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Micros>,
}

impl Connections {
    const fn default_keep_alive() -> bool {
        true
    }
}

impl Default for Connections {
    fn default() -> Self {
        Self { per_user: None, shared: None, keep_alive: true, streams: None, max_requests: None, max_age: None }
    }
}

/// Which HTTP is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Protocol {
    /// HTTP/1.1; over TLS the one that the target chooses of HTTP/2 and HTTP/1.1 (ALPN).
    #[default]
    Auto,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, and nothing else: over TLS by ALPN, else from the first byte on (prior knowledge).
    Http2,
}

/// What TLS needs. Files are named as in `spec.files`, so that keys can be in a Secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.certificate) == has(self.key)", "message": "expected certificate and key together"},
]))]
pub struct Tls {
    /// The file of `spec.files` with the authorities (PEM) that sign the target's certificate. Only these are trusted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub ca: Option<String>,
    /// The file of `spec.files` with the generator's own certificate (PEM), for a target that asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub certificate: Option<String>,
    /// The file of `spec.files` with the key (PEM) of `certificate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub key: Option<String>,
    /// The name that the target is asked for (SNI) and that its certificate must have. Default: the host of `baseUrl`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub server_name: Option<String>,
    /// Whether a new connection resumes the session of an earlier one where the target allows it. `false`: each is a
    /// full handshake, as of a new client.
    #[serde(default = "Tls::default_resumption")]
    pub resumption: bool,
    /// Takes any certificate. The report says so.
    #[serde(default)]
    pub insecure_skip_verify: bool,
}

impl Tls {
    const fn default_resumption() -> bool {
        true
    }
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            ca: None,
            certificate: None,
            key: None,
            server_name: None,
            resumption: true,
            insecure_skip_verify: false,
        }
    }
}

//! The service under test: its address, how it is reached, how it is known for what it is.

use proofload_api::LoadTestSpec;
use proofload_api::target::{
    Connections as ApiConnections, Protocol as ApiProtocol, Target as ApiTarget, Tls as ApiTls,
};
use proofload_api::units::Micros;
use rustls_pki_types::ServerName;

use super::request::{Base, base_url, headers};
use super::{Problems, known};
use crate::model::{Connections, Keep, Protocol, Target, Tls};

const PATH: &str = "spec.target";
/// Requests at once over one connection of HTTP/2, unless the test says otherwise: as many as a target must allow, by
/// the recommendation of RFC 9113.
const STREAMS: u32 = 100;

pub(super) fn target<'a>(spec: &'a LoadTestSpec, seed: u64, problems: &mut Problems) -> (Target, Base<'a>) {
    let target = &spec.target;
    if target.timeout == Micros::ZERO || target.timeout > Micros::from_secs(3600) {
        problems.add(format!("{PATH}.timeout"), "a time longer than 0s, at most 1h", target.timeout.to_string());
    }
    let address = base_url(&target.base_url, &format!("{PATH}.baseUrl"), problems);
    let protocol = match (target.protocol, address.is_secure) {
        (ApiProtocol::Auto, true) => Protocol::Negotiated,
        (ApiProtocol::Http1 | ApiProtocol::Auto, _) => Protocol::Http1,
        (ApiProtocol::Http2, _) => Protocol::Http2,
    };
    let keep = Keep {
        max_requests: if target.connections.keep_alive { target.connections.max_requests } else { Some(1) },
        max_age: target.connections.max_age,
    };
    let base = Base {
        authority: address.authority.clone(),
        path: address.path,
        headers: headers(&target.headers, target.auth.as_ref(), PATH, problems),
        redirects: target.redirects,
        timeout: target.timeout,
        // HTTP/2 has no such header: its connections are closed all the same.
        close: keep.max_requests == Some(1) && protocol != Protocol::Http2,
        boundary: format!("proofload-{seed:016x}"),
    };
    if target.tls.is_some() && !address.is_secure && !address.host.is_empty() {
        let hint = "TLS is spoken where baseUrl begins with https://";
        problems.add_hint(&format!("{PATH}.tls"), "no tls beside http://", "one", hint);
    }
    let tls = address.is_secure.then(|| tls(spec, &address.host, problems));
    let connections = connections(target, protocol, problems);
    let target = Target {
        host: address.host,
        port: address.port,
        authority: address.authority,
        timeout: target.timeout,
        connections,
        keep,
        cookies: target.cookies,
        protocol,
        tls,
    };
    (target, base)
}

fn connections(target: &ApiTarget, protocol: Protocol, problems: &mut Problems) -> Connections {
    let path = format!("{PATH}.connections");
    let ApiConnections { per_user, shared, streams, max_requests, max_age, .. } = target.connections;
    if max_requests == Some(0) {
        problems.add(format!("{path}.maxRequests"), "at least 1", "0");
    }
    if max_age == Some(Micros::ZERO) {
        let hint = "keepAlive: false gives each request a connection of its own";
        problems.add_hint(&format!("{path}.maxAge"), "a time longer than 0s", "0s", hint);
    }
    if let Some(streams) = streams {
        let path = format!("{path}.streams");
        if streams == 0 {
            problems.add(&path, "at least 1", "0");
        } else if shared.is_none() {
            let hint = "a connection of a user's own carries one request at a time: give shared a number, too";
            problems.add_hint(&path, "streams beside shared", streams.to_string(), hint);
        } else if protocol == Protocol::Http1 {
            let hint = "HTTP/1.1 carries one request at a time: set protocol: Http2";
            problems.add_hint(&path, "no streams with HTTP/1.1", streams.to_string(), hint);
        }
    }
    match (per_user, shared) {
        (None, None) => Connections::PerUser(1),
        (Some(per_user), None) if per_user > 0 => Connections::PerUser(per_user),
        (None, Some(count)) if count > 0 => Connections::Shared { count, streams: streams.unwrap_or(STREAMS).max(1) },
        (per_user, shared) => {
            let came = format!("perUser: {per_user:?}, shared: {shared:?}");
            problems.add(path, "either perUser or shared, at least 1", came);
            Connections::PerUser(1)
        }
    }
}

fn tls(spec: &LoadTestSpec, host: &str, problems: &mut Problems) -> Tls {
    let default = ApiTls::default();
    let given = spec.target.tls.as_ref().unwrap_or(&default);
    let mut file = |field: &str, name: &Option<String>| {
        let name = name.as_ref()?;
        let at = spec.files.keys().position(|file| file == name);
        if at.is_none() {
            let hint = known(name, spec.files.keys().map(String::as_str));
            problems.add_hint(
                &format!("{PATH}.tls.{field}"),
                "the name of a file in spec.files",
                format!("{name:?}"),
                hint,
            );
        }
        at
    };
    let ca = file("ca", &given.ca);
    let identity = file("certificate", &given.certificate).zip(file("key", &given.key));
    if given.certificate.is_some() != given.key.is_some() {
        let came = if given.key.is_some() { "a key alone" } else { "a certificate alone" };
        problems.add(format!("{PATH}.tls"), "certificate and key together", came);
    }
    if given.ca.is_some() && given.insecure_skip_verify {
        let hint = "with insecureSkipVerify any certificate is taken, so that ca is of no use";
        problems.add_hint(&format!("{PATH}.tls"), "either ca or insecureSkipVerify", "both", hint);
    }
    let server_name = given.server_name.clone().unwrap_or_else(|| host.to_owned());
    if ServerName::try_from(server_name.as_str()).is_err() {
        let field = if given.server_name.is_some() { "tls.serverName" } else { "baseUrl" };
        let expected = "a name that a certificate can have: of a host, or an IP address";
        problems.add(format!("{PATH}.{field}"), expected, format!("{server_name:?}"));
    }
    Tls { server_name, ca, identity, resumption: given.resumption, verify: !given.insecure_skip_verify }
}

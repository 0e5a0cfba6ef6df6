//! How a target is reached: which HTTP, over which connections, with what TLS.

use proofload_plan::{Connections, Plan, Protocol, Tls};

use crate::problems::{STEPS, USERS, scenario};

/// A test with this target.
fn compiled(target: &str, rest: &str) -> Result<Plan, Vec<String>> {
    let text = format!("target: {{{target}}}\n{rest}\n{}", scenario(&format!("{USERS}, {STEPS}")));
    let compiled = proofload_plan::compile(&serde_saphyr::from_str(&text).unwrap(), "a/b");
    compiled.map(|compiled| compiled.plan).map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

fn plan(target: &str) -> Plan {
    compiled(target, "").unwrap()
}

const FILES: &str = "files: {ca: {configMap: {name: a, key: b}}, own: {secret: {name: a, key: c}}, own-key: {secret: {name: a, key: d}}}";

#[test]
fn the_address_and_the_protocol_say_which_http_is_spoken() {
    let spoken = |target: &str| {
        let target = plan(target).target;
        (target.protocol, target.port, target.tls.is_some())
    };
    assert_eq!(spoken("baseUrl: 'http://shop'"), (Protocol::Http1, 80, false));
    assert_eq!(spoken("baseUrl: 'http://shop', protocol: Http1"), (Protocol::Http1, 80, false));
    assert_eq!(spoken("baseUrl: 'http://shop', protocol: Http2"), (Protocol::Http2, 80, false));
    assert_eq!(spoken("baseUrl: 'https://shop'"), (Protocol::Negotiated, 443, true));
    assert_eq!(spoken("baseUrl: 'https://shop:8443', protocol: Http1"), (Protocol::Http1, 8443, true));
    assert_eq!(spoken("baseUrl: 'https://shop', protocol: Http2"), (Protocol::Http2, 443, true));
}

#[test]
fn connections_are_shared_with_as_many_streams_as_are_asked_for() {
    let connections =
        |rest: &str| plan(&format!("baseUrl: 'https://shop', connections: {{{rest}}}")).target.connections;
    assert_eq!(connections(""), Connections::PerUser(1));
    assert_eq!(connections("shared: 5"), Connections::Shared { count: 5, streams: 100 });
    assert_eq!(connections("shared: 5, streams: 10"), Connections::Shared { count: 5, streams: 10 });
    let closes = |protocol: &str| {
        let target = format!("baseUrl: 'http://shop', protocol: {protocol}, connections: {{keepAlive: false}}");
        let plan = plan(&target);
        let proofload_plan::Action::Request(request) = &plan.scenarios[0].steps[0].action else { panic!("{plan:?}") };
        request.headers.iter().any(|(name, _)| name == "Connection")
    };
    assert!(closes("Http1") && !closes("Http2"), "HTTP/2 has no header Connection");
}

#[test]
fn tls_is_of_the_files_that_it_names() {
    let tls = |rest: &str| compiled(&format!("baseUrl: 'https://shop:8443'{rest}"), FILES).unwrap().target.tls.unwrap();
    let default = Tls { server_name: "shop".to_owned(), ca: None, identity: None, resumption: true, verify: true };
    assert_eq!(tls(""), default);
    assert_eq!(tls(", tls: {ca: ca}"), Tls { ca: Some(0), ..default.clone() });
    assert_eq!(tls(", tls: {certificate: own, key: own-key}"), Tls { identity: Some((1, 2)), ..default.clone() });
    let rest = ", tls: {serverName: shop.example, resumption: false, insecureSkipVerify: true}";
    let expected = Tls { server_name: "shop.example".to_owned(), resumption: false, verify: false, ..default };
    assert_eq!(tls(rest), expected);
    assert_eq!(plan("baseUrl: 'https://[::1]:8443'").target.tls.unwrap().server_name, "::1");
}

#[test]
fn what_is_wrong_with_a_target() {
    let said = |target: &str| compiled(target, FILES).unwrap_err();
    let tls = |rest: &str| said(&format!("baseUrl: 'https://shop', tls: {{{rest}}}"));
    assert_eq!(
        tls("ca: caa, certificate: own"),
        [
            "spec.target.tls.ca: expected the name of a file in spec.files, got \"caa\" (did you mean ca?)",
            "spec.target.tls: expected certificate and key together, got a certificate alone",
        ]
    );
    assert_eq!(
        tls("ca: ca, insecureSkipVerify: true, key: own-key"),
        [
            "spec.target.tls: expected certificate and key together, got a key alone",
            "spec.target.tls: expected either ca or insecureSkipVerify, got both (with insecureSkipVerify any certificate \
             is taken, so that ca is of no use)",
        ]
    );
    let name = "expected a name that a certificate can have: of a host, or an IP address, got";
    assert_eq!(tls("serverName: 'a b'"), [format!("spec.target.tls.serverName: {name} \"a b\"")]);
    assert_eq!(said("baseUrl: 'https://a..b'"), [format!("spec.target.baseUrl: {name} \"a..b\"")]);
    assert_eq!(
        said("baseUrl: 'http://shop', tls: {ca: ca}"),
        ["spec.target.tls: expected no tls beside http://, got one (TLS is spoken where baseUrl begins with https://)"]
    );
    for url in ["ws://shop", "wss://shop"] {
        assert_eq!(
            said(&format!("baseUrl: '{url}', tls: {{ca: ca}}")),
            [format!(
                "spec.target.baseUrl: expected an address such as http://api.shop.svc:8080, got \"{url}\" (http:// \
                 instead of ws://, https:// instead of wss://: a web socket is opened by a step)"
            )]
        );
    }
}

#[test]
fn what_is_wrong_with_streams() {
    let said = |rest: &str| compiled(&format!("baseUrl: 'http://shop', {rest}"), "").unwrap_err();
    let at = "spec.target.connections.streams: expected";
    assert_eq!(said("protocol: Http2, connections: {shared: 1, streams: 0}"), [format!("{at} at least 1, got 0")]);
    assert_eq!(
        said("protocol: Http2, connections: {streams: 5}"),
        [format!(
            "{at} streams beside shared, got 5 (a connection of a user's own carries one request at a time: give shared a \
             number, too)"
        )]
    );
    assert_eq!(
        said("connections: {shared: 1, streams: 5}"),
        [format!("{at} no streams with HTTP/1.1, got 5 (HTTP/1.1 carries one request at a time: set protocol: Http2)")]
    );
}

#[test]
fn requests_at_once_over_shared_connections_are_sized() {
    let sized = |target: &str, users: u32, steps: &str| {
        let text = format!(
            "target: {{baseUrl: 'http://shop', {target}}}\n\
             scenarios: [{{name: a, users: {{stages: [{{to: {users}, hold: 1m}}]}}, {steps}}}]"
        );
        let sizing = proofload_plan::compile(&serde_saphyr::from_str(&text).unwrap(), "a/b").unwrap().sizing;
        assert!(sizing.reason.contains(&format!("{users} users")), "{}", sizing.reason);
        sizing.runners
    };
    assert_eq!(sized("cookies: true", 1000, STEPS), 10);
    assert_eq!(sized("connections: {shared: 50}", 1000, STEPS), 1, "50 at once");
    assert_eq!(sized("connections: {shared: 50, streams: 10}, protocol: Http2", 1000, STEPS), 5, "500 at once");
    assert_eq!(sized("connections: {shared: 2, streams: 500}, protocol: Http2", 1000, STEPS), 2, "a connection each");
    let open = "{name: o, webSocket: {connect: {path: /}}}";
    let talk = format!("onStart: [{open}], steps: [{{name: m, webSocket: {{send: a}}}}");
    assert_eq!(sized("connections: {shared: 50}", 1000, &format!("{talk}]")), 10, "a web socket is not shared");
    let hold = format!("{talk}, {{name: h, webSocket: {{hold: 990ms}}}}]");
    assert_eq!(sized("cookies: true", 10_000, &hold), 2, "each says something once in a second");
    assert_eq!(sized("cookies: true", 10_000, &format!("flow: Weighted, {hold}")), 2);
}

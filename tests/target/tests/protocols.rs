//! What the target speaks beside HTTP/1.1: HTTP/2, TLS, web sockets; all of it counted alike.
#![allow(clippy::unwrap_used)] // A test may panic.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use h2::Reason;
use h2::client::SendRequest;
use http::Request;
use proofload_target::{Certificates, Options, TestTarget, TlsOptions};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::{Error, Message};

const DEADLINE: Duration = Duration::from_secs(20);

fn block_on<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(DEADLINE, test).await.expect("done before the deadline") })
}

/// A client of HTTP/2 over a stream, and how its connection ends.
async fn connect(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> (SendRequest<Bytes>, JoinHandle<Result<(), h2::Error>>) {
    let (send, connection) = h2::client::handshake(stream).await.unwrap();
    (send, tokio::spawn(connection))
}

async fn http2(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> SendRequest<Bytes> {
    connect(stream).await.0
}

async fn plain_http2(target: &TestTarget) -> SendRequest<Bytes> {
    http2(TcpStream::connect(target.address()).await.unwrap()).await
}

/// The status and the body of an answer.
async fn fetch(send: &SendRequest<Bytes>, path: &str, body: &[u8]) -> Result<(u16, Vec<u8>), h2::Error> {
    let mut send = send.clone().ready().await?;
    let request = Request::post(format!("http://t{path}")).body(()).unwrap();
    let (response, mut stream) = send.send_request(request, body.is_empty())?;
    if !body.is_empty() {
        stream.send_data(Bytes::copy_from_slice(body), true)?;
    }
    let (head, mut body) = response.await?.into_parts();
    let mut all = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        all.extend(data);
    }
    Ok((head.status.as_u16(), all))
}

#[test]
fn http2_is_told_by_its_first_bytes_and_answers_as_http1_does() {
    let target = TestTarget::start().unwrap();
    block_on(async {
        let send = plain_http2(&target).await;
        for (path, status, length) in [
            ("/fast", 200, 3),
            ("/status/503", 503, 3),
            ("/status/204", 204, 0),
            ("/delay/1", 200, 3),
            ("/bytes/300000", 200, 300_000),
            ("/chunked/300000", 200, 300_000),
            ("/bytes/0", 200, 0),
            ("/slow-body/20", 200, 10),
            ("/drip/1/7", 200, 7),
            ("/two", 200, 3),
            ("/headers/50", 200, 0),
            ("/anything", 200, 12),
        ] {
            let (got, body) = fetch(&send, path, b"").await.unwrap();
            assert_eq!((got, body.len()), (status, length), "{path}");
        }
        let (_, echo) = fetch(&send, "/echo?a=1", b"hello").await.unwrap();
        let echo: serde_json::Value = serde_json::from_slice(&echo).unwrap();
        assert_eq!((&echo["body"], &echo["query"]["a"]), (&"hello".into(), &"1".into()));
        let token: serde_json::Value = serde_json::from_slice(&fetch(&send, "/login", b"").await.unwrap().1).unwrap();
        assert!(token["token"].is_string());
    });
    let counts = target.counts();
    assert_eq!((counts.requests, counts.by_path["/fast"], counts.action("status-503")), (14, 1, 1));
    assert_eq!((counts.connections.accepted, counts.connections.http2, counts.connections.max_streams), (1, 1, 1));
}

#[test]
fn streams_and_connections_of_http2_end_as_they_are_asked_to() {
    let target = TestTarget::start().unwrap();
    block_on(async {
        let (send, end) = connect(TcpStream::connect(target.address()).await.unwrap()).await;
        let error = fetch(&send, "/rst/7", b"x").await.unwrap_err();
        assert_eq!((error.reason(), error.is_reset()), (Some(Reason::REFUSED_STREAM), true));
        assert_eq!(fetch(&send, "/fast", b"").await.unwrap().0, 200);
        assert!(fetch(&send, "/goaway/11", b"").await.is_err());
        let error = end.await.unwrap().unwrap_err();
        assert_eq!((error.reason(), error.is_go_away()), (Some(Reason::ENHANCE_YOUR_CALM), true));
        let send = plain_http2(&target).await;
        let error = fetch(&send, "/goaway/0/0", b"").await.unwrap_err();
        assert!(error.is_go_away(), "{error}");
        for path in ["/close", "/close-mid-body", "/close-at/body", "/close-at/100", "/reset", "/garbage"] {
            let send = plain_http2(&target).await;
            assert!(fetch(&send, path, b"body").await.is_err(), "{path}");
        }
        let send = plain_http2(&target).await;
        assert_eq!(fetch(&send, "/keepalive-off", b"").await.unwrap().0, 200);
        while send.clone().ready().await.is_ok() {
            tokio::task::yield_now().await;
        }
    });
    let counts = target.counts();
    assert_eq!((counts.requests, counts.connections.http2), (11, 9));
    assert_eq!((counts.action("rst"), counts.action("goaway"), counts.action("close-at-answer")), (1, 2, 1));
}

#[test]
fn a_connection_of_http2_has_no_more_requests_at_once_than_it_may() {
    let target = TestTarget::start_with(&Options { max_streams: 3, ..Options::loopback() }).unwrap();
    block_on(async {
        let send = plain_http2(&target).await;
        assert_eq!(fetch(&send, "/fast", b"").await.unwrap().0, 200);
        let all = futures::future::join_all((0..12).map(|_| fetch(&send, "/delay/10", b""))).await;
        assert!(all.into_iter().all(|one| one.unwrap().0 == 200));
    });
    let counts = target.counts();
    assert_eq!((counts.requests, counts.connections.max_streams, counts.in_flight.max), (13, 3, 3));
}

/// A client that trusts the target's authority, and knows these protocols.
fn client(target: &TestTarget, protocols: &[&str], has_certificate: bool) -> TlsConnector {
    let certificates = target.certificates();
    let mut trusted = RootCertStore::empty();
    trusted.add(CertificateDer::from_pem_slice(certificates.ca.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_root_certificates(trusted);
    let (certificate, key) = certificates.client.clone().unwrap();
    let mut config = if has_certificate {
        let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
        builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap()).unwrap()
    } else {
        builder.with_no_client_auth()
    };
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    TlsConnector::from(Arc::new(config))
}

async fn shake(
    connector: &TlsConnector,
    address: SocketAddr,
    name: &'static str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    connector.connect(ServerName::try_from(name).unwrap(), stream).await
}

/// What comes to a request for `/fast` in HTTP/1.1.
async fn fast(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> std::io::Result<String> {
    stream.write_all(b"GET /fast HTTP/1.1\r\nConnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[test]
fn tls_is_for_the_names_of_loopback_and_offers_both_protocols() {
    let target = TestTarget::start_tls().unwrap();
    block_on(async {
        let both = client(&target, &["h2", "http/1.1"], false);
        for name in ["localhost", "127.0.0.1", "::1"] {
            let stream = shake(&both, target.tls_address(), name).await.unwrap();
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
            assert_eq!(fetch(&http2(stream).await, "/fast", b"").await.unwrap().0, 200);
        }
        let stream = shake(&both, target.tls_address(), "http1.localhost").await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        assert!(fast(stream).await.unwrap().ends_with("ok\n"));
        let neither = client(&target, &[], false);
        let stream = shake(&neither, target.tls_address(), "localhost").await.unwrap();
        assert!(fast(stream).await.unwrap().ends_with("ok\n"));
    });
    let counts = target.counts();
    assert_eq!((counts.requests, counts.connections.http2), (5, 3));
    assert_eq!((counts.tls.handshakes, counts.tls.failed), (5, 0));
}

#[test]
fn certificates_that_were_written_serve_another_target() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let made = Certificates::make(&["shop.test".to_owned(), "192.0.2.7".to_owned()]).unwrap();
    made.write(directory.path()).unwrap();
    let read = Certificates::read(&path("tls.crt"), &path("tls.key"), Some(&path("ca.pem"))).unwrap();
    assert_eq!((&read.ca, &read.certificate, &read.key), (&made.ca, &made.certificate, &made.key));
    let (certificate, key) = made.client.clone().unwrap();
    assert_eq!(std::fs::read_to_string(path("client.pem")).unwrap(), certificate);
    assert_eq!(std::fs::read_to_string(path("client.key")).unwrap(), key);
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let tls = |certificates| TlsOptions { listen, certificates, requires_client: true };
    let options = Options { tls: Some(tls(Certificates { client: made.client, ..read })), ..Options::loopback() };
    let target = TestTarget::start_with(&options).unwrap();
    block_on(async {
        let client = client(&target, &["http/1.1"], true);
        for name in ["shop.test", "192.0.2.7", "localhost"] {
            let stream = shake(&client, target.tls_address(), name).await.unwrap();
            assert!(fast(stream).await.unwrap().ends_with("ok\n"));
        }
    });
    assert_eq!(target.counts().tls.client_certificates, 3);
    let missing = Certificates::read(&path("no.crt"), &path("tls.key"), None).unwrap_err().to_string();
    assert!(missing.contains("no.crt"), "{missing}");
}

#[test]
fn a_session_is_resumed() {
    let target = TestTarget::start_tls().unwrap();
    block_on(async {
        let client = client(&target, &["http/1.1"], false);
        for _ in 0..3 {
            let stream = shake(&client, target.tls_address(), "localhost").await.unwrap();
            assert!(fast(stream).await.unwrap().ends_with("ok\n"));
        }
    });
    assert_eq!((target.counts().tls.handshakes, target.counts().tls.resumed), (3, 2));
}

#[test]
fn a_handshake_fails_as_its_name_asks_for_and_is_counted() {
    let target = TestTarget::start_tls().unwrap();
    block_on(async {
        let client = client(&target, &["http/1.1"], false);
        let names = ["expired", "alert", "garbage", "close", "reset"].map(|name| name.to_owned() + ".localhost");
        for name in names {
            let name: &'static str = name.leak();
            let error = shake(&client, target.tls_address(), name).await.unwrap_err().to_string();
            assert_eq!(error.contains("Expired") || error.contains("expired"), name.starts_with("expired"), "{error}");
        }
        assert!(shake(&client, target.tls_address(), "other.test").await.is_err());
        // A request in plain text.
        assert!(
            !fast(TcpStream::connect(target.tls_address()).await.unwrap()).await.unwrap_or_default().contains("200")
        );
        while target.counts().tls.failed < 7 {
            tokio::task::yield_now().await;
        }
    });
    let counts = target.counts();
    assert_eq!((counts.tls.failed, counts.tls.handshakes, counts.requests), (7, 0, 0));
    assert_eq!(counts.connections.accepted, 7);
}

#[test]
fn a_client_without_a_certificate_is_refused_where_it_must_have_one() {
    let target = TestTarget::start_tls().unwrap();
    let mut options = Options::loopback().with_tls().unwrap();
    options.tls.as_mut().unwrap().requires_client = true;
    let strict = TestTarget::start_with(&options).unwrap();
    for (target, name) in [(&target, "client.localhost"), (&strict, "localhost")] {
        block_on(async {
            let with = client(target, &["http/1.1"], true);
            let stream = shake(&with, target.tls_address(), name).await.unwrap();
            assert!(fast(stream).await.unwrap().ends_with("ok\n"));
            // A client may think that the handshake was done, and hear of its end only then.
            let without = client(target, &["http/1.1"], false);
            let answer = match shake(&without, target.tls_address(), name).await {
                Ok(stream) => fast(stream).await,
                Err(error) => Err(error),
            };
            assert!(answer.is_err(), "{answer:?}");
            while target.counts().tls.failed < 1 {
                tokio::task::yield_now().await;
            }
        });
        let tls = target.counts().tls;
        assert_eq!((tls.handshakes, tls.client_certificates, tls.failed), (1, 1, 1));
    }
}

#[test]
fn a_web_socket_echoes_and_everything_is_counted() {
    let target = TestTarget::start_tls().unwrap();
    block_on(async {
        let client = client(&target, &["http/1.1"], false);
        let stream = shake(&client, target.tls_address(), "localhost").await.unwrap();
        let (mut socket, answer) = client_async("wss://localhost/ws", stream).await.unwrap();
        assert_eq!(answer.status(), 101);
        for text in ["one", "two", "three"] {
            socket.send(Message::text(text)).await.unwrap();
            assert_eq!(socket.next().await.unwrap().unwrap(), Message::text(text));
        }
        socket.send(Message::Ping(Bytes::from_static(b"p"))).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::Pong(Bytes::from_static(b"p")));
        assert_eq!(target.counts().web_sockets.open, 1);
        socket.close(None).await.unwrap();
        while let Some(Ok(_)) = socket.next().await {}
        while target.counts().web_sockets.closed < 1 {
            tokio::task::yield_now().await;
        }
    });
    let counts = target.counts();
    let sockets = &counts.web_sockets;
    assert_eq!((counts.requests, counts.action("web-socket")), (1, 1));
    assert_eq!((sockets.opened, sockets.closed, sockets.messages_in, sockets.messages_out), (1, 1, 3, 3));
    assert_eq!((sockets.pings, sockets.close_codes.clone()), (1, [(1005, 1)].into()));
}

#[test]
fn a_web_socket_pushes_and_ends_as_its_query_says() {
    let target = TestTarget::start().unwrap();
    let open = async |query: &str| {
        let stream = TcpStream::connect(target.address()).await.unwrap();
        client_async(format!("ws://t/ws?{query}"), stream).await.unwrap().0
    };
    block_on(async {
        let mut socket = open("push=1&silent").await;
        socket.send(Message::text("not echoed")).await.unwrap();
        for number in 1..=3 {
            assert_eq!(socket.next().await.unwrap().unwrap(), Message::text(format!("{{\"push\":{number}}}")));
        }
        drop(socket);
        let mut socket = open("greeting=70000").await;
        assert_eq!(socket.next().await.unwrap().unwrap().len(), 70_000);
        drop(socket);
        let mut socket = open("close=1011&reason=too%20bad&after=5").await;
        let Message::Close(Some(frame)) = socket.next().await.unwrap().unwrap() else { panic!("no close frame") };
        assert_eq!((u16::from(frame.code), frame.reason.as_str()), (1011, "too bad"));
        while let Some(Ok(_)) = socket.next().await {}
        for how in ["drop", "reset", "garbage", "not-utf8"] {
            let mut socket = open(how).await;
            socket.send(Message::text("now")).await.unwrap();
            let error = socket.next().await.unwrap().unwrap_err();
            let is_right = match how {
                "drop" | "garbage" => matches!(error, Error::Protocol(_)),
                "reset" => matches!(error, Error::Io(_)),
                _ => matches!(error, Error::Utf8(_)),
            };
            assert!(is_right, "{how}: {error:?}");
        }
        let stream = TcpStream::connect(target.address()).await.unwrap();
        let refused = client_async("ws://t/status/403", stream).await.unwrap_err();
        assert!(matches!(refused, Error::Http(response) if response.status() == 403));
        while target.counts().web_sockets.open > 0 {
            tokio::task::yield_now().await;
        }
    });
    let sockets = target.counts().web_sockets;
    assert_eq!((sockets.opened, sockets.closed, sockets.messages_in), (7, 7, 5));
}

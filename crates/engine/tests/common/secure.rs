//! A server that speaks TLS, HTTP/1.1 and HTTP/2, does what paths say, and counts what it sees.

#![allow(clippy::unwrap_used, reason = "a test's server that cannot go on ends the test")]

use std::future::poll_fn;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{Request, Response};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{HandshakeKind, RootCertStore, ServerConfig};

/// An authority of a test's own.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
pub struct Identity {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        // Each has a name of its own.
        params.distinguished_name.push(DnType::CommonName, format!("authority {:?}", key.public_key_raw()));
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    pub fn issue(&self, name: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.0).unwrap().pem();
        Identity { certificate, key: key.serialize_pem() }
    }

    /// A server's side of TLS for a name; `clients` must be known to this authority, if it is asked for.
    pub fn config(&self, name: &str, protocols: &[&str], clients: bool) -> Arc<ServerConfig> {
        let identity = self.issue(name);
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem().as_bytes()).unwrap()).unwrap();
        let builder = if clients {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let chain = vec![CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
        let mut config = builder.with_single_cert(chain, key).unwrap();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}

/// What a server has seen.
#[derive(Debug, Default)]
pub struct Counts {
    accepted: AtomicU64,
    open: AtomicU64,
    most_open: AtomicU64,
    resumed: AtomicU64,
    most_at_once: AtomicU64,
    requests: AtomicU64,
    resets: AtomicU64,
    lines: Mutex<Vec<String>>,
}

impl Counts {
    /// Connections that came.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::SeqCst)
    }

    /// The most of them at once.
    pub fn most_open(&self) -> u64 {
        self.most_open.load(Ordering::SeqCst)
    }

    /// Handshakes that resumed a session.
    pub fn resumed(&self) -> u64 {
        self.resumed.load(Ordering::SeqCst)
    }

    /// The most requests of one connection at once.
    pub fn most_at_once(&self) -> u64 {
        self.most_at_once.load(Ordering::SeqCst)
    }

    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }

    /// Streams that the client reset.
    pub fn resets(&self) -> u64 {
        self.resets.load(Ordering::SeqCst)
    }

    /// What each request was, since the last time.
    pub fn lines(&self) -> Vec<String> {
        std::mem::take(&mut *self.lines.lock().unwrap())
    }
}

#[derive(Clone)]
pub struct Server {
    pub address: SocketAddr,
    pub counts: Arc<Counts>,
}

impl Server {
    /// HTTP/1.1 or HTTP/2 over TLS, as is negotiated.
    pub fn secure(config: Arc<ServerConfig>) -> Self {
        Self::start(Some(config), None)
    }

    /// HTTP/2 from the first byte on; so many requests at once, if it says so.
    pub fn plain(most_streams: Option<u32>) -> Self {
        Self::start(None, most_streams)
    }

    fn start(tls: Option<Arc<ServerConfig>>, most_streams: Option<u32>) -> Self {
        let counts = Arc::new(Counts::default());
        let (told, address) = std::sync::mpsc::channel();
        let seen = Arc::clone(&counts);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
                told.send(listener.local_addr().unwrap()).unwrap();
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(attend(stream, tls.clone(), most_streams, Arc::clone(&seen)));
                }
            });
        });
        Self { address: address.recv().unwrap(), counts }
    }
}

async fn attend(stream: TcpStream, tls: Option<Arc<ServerConfig>>, most_streams: Option<u32>, counts: Arc<Counts>) {
    stream.set_nodelay(true).unwrap();
    counts.accepted.fetch_add(1, Ordering::SeqCst);
    let open = counts.open.fetch_add(1, Ordering::SeqCst) + 1;
    counts.most_open.fetch_max(open, Ordering::SeqCst);
    if let Some(config) = tls {
        if let Ok(stream) = TlsAcceptor::from(config).accept(stream).await {
            let session = stream.get_ref().1;
            counts
                .resumed
                .fetch_add(u64::from(session.handshake_kind() == Some(HandshakeKind::Resumed)), Ordering::SeqCst);
            if session.alpn_protocol() == Some(b"h2") {
                serve2(stream, most_streams, Arc::clone(&counts)).await;
            } else {
                serve1(stream, &counts).await;
            }
        }
    } else {
        serve2(stream, most_streams, Arc::clone(&counts)).await;
    }
    counts.open.fetch_sub(1, Ordering::SeqCst);
}

async fn serve1(mut stream: impl AsyncRead + AsyncWrite + Unpin, counts: &Counts) {
    let mut head = Vec::new();
    while let Ok(byte) = stream.read_u8().await {
        head.push(byte);
        if head.ends_with(b"\r\n\r\n") {
            counts.requests.fetch_add(1, Ordering::SeqCst);
            counts.most_at_once.fetch_max(1, Ordering::SeqCst);
            let path = String::from_utf8_lossy(&head).split(' ').nth(1).unwrap().to_owned();
            let body = match path.split_once("/bytes/") {
                Some((_, count)) => "x".repeat(count.parse().unwrap()),
                None => "ok".to_owned(),
            };
            let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            if path == "/twice" && stream.write_all(response.as_bytes()).await.is_err() {
                return;
            }
            if stream.write_all(response.as_bytes()).await.is_err() || path == "/close-after" {
                let _ = stream.shutdown().await;
                return;
            }
            head.clear();
        }
    }
}

/// What a request does to its whole connection.
enum End {
    Gracefully,
    Abruptly,
}

async fn serve2(stream: impl AsyncRead + AsyncWrite + Unpin, most_streams: Option<u32>, counts: Arc<Counts>) {
    let mut builder = h2::server::Builder::new();
    if let Some(most) = most_streams {
        builder.max_concurrent_streams(most);
    }
    let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else { return };
    let (end, mut ends) = tokio::sync::mpsc::unbounded_channel();
    let at_once = Arc::new(AtomicU64::new(0));
    loop {
        tokio::select! {
            biased;
            Some(end) = ends.recv() => match end {
                End::Gracefully => connection.graceful_shutdown(),
                End::Abruptly => connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM),
            },
            accepted = connection.accept() => {
                let Some(Ok((request, respond))) = accepted else { return };
                counts.requests.fetch_add(1, Ordering::SeqCst);
                let now = at_once.fetch_add(1, Ordering::SeqCst) + 1;
                counts.most_at_once.fetch_max(now, Ordering::SeqCst);
                let (end, at_once, counts) = (end.clone(), Arc::clone(&at_once), Arc::clone(&counts));
                tokio::spawn(async move {
                    // Whoever resets a stream ends what is done for it.
                    let _ = answer(request, respond, &counts, &end).await;
                    at_once.fetch_sub(1, Ordering::SeqCst);
                });
            }
        }
    }
}

type Ends = tokio::sync::mpsc::UnboundedSender<End>;

async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    counts: &Counts,
    ends: &Ends,
) -> Result<(), h2::Error> {
    let (head, mut body) = request.into_parts();
    let path = head.uri.path_and_query().unwrap().as_str().to_owned();
    let mut length = 0;
    if path != "/early" {
        while let Some(piece) = body.data().await {
            length += piece.as_ref().map_or(0, Bytes::len);
            body.flow_control().release_capacity(piece?.len())?;
        }
    }
    let cookie = head.headers.get("cookie").map_or("", |value| value.to_str().unwrap());
    counts.lines.lock().unwrap().push(format!("{} {path} {length} {cookie}", head.method));
    let (name, argument) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
    let argument: usize = argument.parse().unwrap_or(0);
    if ["hang", "endless", "refuse", "refuse-late", "abort"].contains(&name) {
        return misbehave(name, respond, counts, ends).await;
    }
    let response = Response::builder();
    let (response, body) = match name {
        "bytes" => (response, Bytes::from(vec![b'x'; argument])),
        "status" => (response.status(argument as u16), Bytes::new()),
        "moved" => (response.status(302).header("location", "/found"), Bytes::new()),
        "login" => (response.header("set-cookie", "id=7"), Bytes::from_static(b"{\"token\":\"t-1\"}")),
        "no-content" => (response.status(204), Bytes::new()),
        _ => (response, Bytes::from_static(b"ok")),
    };
    if name == "delay" {
        let _ = tokio::time::timeout(Duration::from_millis(argument as u64), std::future::pending::<()>()).await;
    }
    if name == "interim" {
        respond.send_informational(Response::builder().status(103).header("link", "</a>").body(()).unwrap())?;
    }
    let is_over = head.method == "HEAD" || name == "no-content";
    let mut stream = respond.send_response(response.body(()).unwrap(), is_over)?;
    if !is_over {
        stream.send_data(body, true)?;
    }
    if name == "go-away" {
        let _ = ends.send(End::Gracefully);
    }
    Ok(())
}

/// Gives no whole answer.
async fn misbehave(how: &str, mut respond: SendResponse<Bytes>, counts: &Counts, ends: &Ends) -> Result<(), h2::Error> {
    match how {
        "refuse" => respond.send_reset(Reason::REFUSED_STREAM),
        "abort" => {
            let _ = ends.send(End::Abruptly);
            poll_fn(|cx| respond.poll_reset(cx)).await?;
        }
        _ => {
            let mut stream = respond.send_response(Response::new(()), false)?;
            match how {
                "hang" => drop(poll_fn(|cx| stream.poll_reset(cx)).await?),
                "endless" => while send_more(&mut stream).await? {},
                _ => {
                    stream.send_data(Bytes::from_static(b"part"), false)?;
                    stream.send_reset(Reason::INTERNAL_ERROR);
                    return Ok(());
                }
            }
            counts.resets.fetch_add(1, Ordering::SeqCst);
        }
    }
    Ok(())
}

/// Sends what the client's window takes; whether it takes any.
async fn send_more(stream: &mut SendStream<Bytes>) -> Result<bool, h2::Error> {
    stream.reserve_capacity(1 << 16);
    while stream.capacity() == 0 {
        if !matches!(poll_fn(|cx| stream.poll_capacity(cx)).await, Some(Ok(_))) {
            return Ok(false);
        }
    }
    let room = stream.capacity();
    stream.send_data(Bytes::from(vec![b'x'; room]), false)?;
    Ok(true)
}

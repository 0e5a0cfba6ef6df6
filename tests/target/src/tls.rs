//! TLS on a port of its own: the handshake, which the name that a client asks for can make fail.
//!
//! | name (SNI) | what comes |
//! | --- | --- |
//! | `expired.localhost` | a certificate that has expired |
//! | `client.localhost` | a client without a certificate is refused |
//! | `http1.localhost` | `h2` is not offered |
//! | `alert.localhost` | an alert |
//! | `garbage.localhost` | bytes that are not TLS |
//! | `close.localhost`, `reset.localhost` | the connection ends; by TCP reset |
//! | `hang.localhost` | nothing |
//! | any other, or none | the certificate, whether it has the name or not |

use std::io;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{
    Acceptor, ClientHello, ResolvesServerCert, ServerSessionMemoryCache, WebPkiClientVerifier,
};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{HandshakeKind, RootCertStore, ServerConfig};

use crate::certificates::Certificates;
use crate::counts::Ledger;
use crate::wire::{Ending, Wire};

/// Sessions that can be resumed.
const SESSIONS: usize = 10_000;

/// How TLS is answered.
#[derive(Debug)]
pub(crate) struct Tls {
    usual: Arc<ServerConfig>,
    client: Option<Arc<ServerConfig>>,
    expired: Option<Arc<ServerConfig>>,
    http1: Arc<ServerConfig>,
    alert: Arc<ServerConfig>,
}

/// Has no certificate for anybody, which ends every handshake with an alert.
#[derive(Debug)]
struct NoCertificate;

impl ResolvesServerCert for NoCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        None
    }
}

impl Tls {
    /// Fails where a certificate or a key is none. With `requires_client`, every client must have a certificate.
    pub(crate) fn new(certificates: &Certificates, requires_client: bool) -> io::Result<Self> {
        let has_clients = !certificates.ca.is_empty();
        if requires_client && !has_clients {
            return Err(io::Error::other("clients must have a certificate, but whose is not said"));
        }
        let client = || config(certificates, &certificates.certificate, true);
        let mut http1 = config(certificates, &certificates.certificate, false)?;
        http1.alpn_protocols = vec![b"http/1.1".to_vec()];
        let alert = builder()?.with_no_client_auth().with_cert_resolver(Arc::new(NoCertificate));
        Ok(Self {
            usual: Arc::new(config(certificates, &certificates.certificate, requires_client)?),
            client: has_clients.then(client).transpose()?.map(Arc::new),
            expired: match &certificates.expired {
                Some(expired) => Some(Arc::new(config(certificates, expired, false)?)),
                None => None,
            },
            http1: Arc::new(http1),
            alert: Arc::new(alert),
        })
    }

    /// Shakes hands; none if that failed, which is counted.
    pub(crate) async fn accept(&self, stream: TcpStream, ledger: &Ledger) -> Option<Wire> {
        let accepted = self.shake(stream).await;
        ledger.tls(|tls| match &accepted {
            Some((_, is_resumed, has_certificate)) => {
                tls.handshakes += 1;
                tls.resumed += u64::from(*is_resumed);
                tls.client_certificates += u64::from(*has_certificate);
            }
            None => tls.failed += 1,
        });
        accepted.map(|(wire, ..)| wire)
    }

    async fn shake(&self, stream: TcpStream) -> Option<(Wire, bool, bool)> {
        let begun = LazyConfigAcceptor::new(Acceptor::default(), stream).await.ok()?;
        let name = begun.client_hello().server_name().unwrap_or_default().to_owned();
        let config = match name.strip_suffix(".localhost").unwrap_or_default() {
            "expired" => self.expired.as_ref(),
            "client" => self.client.as_ref(),
            "http1" => Some(&self.http1),
            "alert" => Some(&self.alert),
            "garbage" => return refuse(begun.io, Ending::Say(b"this is not TLS\r\n\r\n".to_vec())).await,
            "close" => return refuse(begun.io, Ending::Close).await,
            "reset" => return refuse(begun.io, Ending::Reset).await,
            "hang" => {
                Wire::plain(begun.io).until_closed().await;
                return None;
            }
            _ => None,
        };
        let config = Arc::clone(config.unwrap_or(&self.usual));
        let stream = match begun.into_stream(config).into_fallible().await {
            Ok(stream) => stream,
            // An alert that is followed by a reset may never be read.
            Err((_, stream)) => return refuse(stream, Ending::Close).await,
        };
        let session = stream.get_ref().1;
        let is_resumed = session.handshake_kind() == Some(HandshakeKind::Resumed);
        let has_certificate = session.peer_certificates().is_some();
        Some((Wire::tls(stream), is_resumed, has_certificate))
    }
}

async fn refuse<T>(stream: TcpStream, ending: Ending) -> Option<T> {
    Wire::plain(stream).end(ending).await;
    None
}

type Builder = tokio_rustls::rustls::ConfigBuilder<ServerConfig, tokio_rustls::rustls::WantsVerifier>;

fn builder() -> io::Result<Builder> {
    let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()));
    builder.with_safe_default_protocol_versions().map_err(io::Error::other)
}

fn config(certificates: &Certificates, certificate: &str, requires_client: bool) -> io::Result<ServerConfig> {
    let chain = |pem: &str| CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
    let builder = builder()?;
    let builder = if requires_client {
        let mut trusted = RootCertStore::empty();
        for authority in chain(&certificates.ca).map_err(io::Error::other)? {
            trusted.add(authority).map_err(io::Error::other)?;
        }
        let provider = Arc::new(default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(trusted), provider);
        builder.with_client_cert_verifier(verifier.build().map_err(io::Error::other)?)
    } else {
        builder.with_no_client_auth()
    };
    let key = PrivateKeyDer::from_pem_slice(certificates.key.as_bytes()).map_err(io::Error::other)?;
    let chain = chain(certificate).map_err(io::Error::other)?;
    let mut config = builder.with_single_cert(chain, key).map_err(io::Error::other)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
    Ok(config)
}

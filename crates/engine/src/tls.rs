//! TLS to the target: what is trusted, who we are, which protocols are offered. Made once for each engine, of files that
//! were checked when they were read.

use std::sync::Arc;

use proofload_api::Problem;
use proofload_plan::{Plan, Protocol};
use tokio::net::TcpStream;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::client::{Resumption, WebPkiServerVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    AlertDescription, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::dial::Offer;
use crate::failure::Failure;

const HTTP1: &[u8] = b"http/1.1";
const HTTP2: &[u8] = b"h2";

/// How TLS is spoken to a plan's target.
pub(crate) struct Tls {
    name: ServerName<'static>,
    requests: TlsConnector,
    web_sockets: TlsConnector,
    /// Whether requests are for a target that must choose HTTP/2.
    must_be_http2: bool,
}

/// What is wrong with the files that TLS is made of, and with the name of the target.
pub(crate) fn problems(plan: &Plan, files: &[Arc<[u8]>]) -> Vec<Problem> {
    let Some(tls) = &plan.target.tls else { return Vec::new() };
    let mut problems = Vec::new();
    let mut add = |field: &str, expected: &str, got: String| {
        problems.push(Problem::new(format!("spec.target.tls.{field}"), expected, got));
    };
    if ServerName::try_from(tls.server_name.as_str()).is_err() {
        add("serverName", "a DNS name or an IP address", format!("{:?}", tls.server_name));
    }
    if let Some(Err(error)) = tls.ca.map(|ca| roots(file(files, ca))) {
        add("ca", "certificates of authorities, in PEM", error);
    }
    if let Some((certificate, key)) = tls.identity {
        let chain = certificates(file(files, certificate));
        let key = private_key(file(files, key));
        match (chain, key) {
            (Ok(chain), Ok(key)) => {
                let builder = builder().with_root_certificates(RootCertStore::empty());
                if let Err(error) = builder.with_client_auth_cert(chain, key) {
                    add("key", "the certificate's private key", error.to_string());
                }
            }
            (chain, key) => {
                if let Err(error) = chain {
                    add("certificate", "a certificate, in PEM", error);
                }
                if let Err(error) = key {
                    add("key", "a private key, in PEM", error);
                }
            }
        }
    }
    problems
}

fn file(files: &[Arc<[u8]>], index: usize) -> &[u8] {
    files.get(index).map_or(&[], |file| file)
}

/// At least one certificate. The words never hold a part of the file.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|_| "a file that is not valid PEM".to_owned())?;
    if certificates.is_empty() { Err("a file without a certificate".to_owned()) } else { Ok(certificates) }
}

fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|_| "a file without a valid private key".to_owned())
}

fn roots(pem: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for (i, certificate) in certificates(pem)?.into_iter().enumerate() {
        roots.add(certificate).map_err(|_| format!("a file whose certificate {} is not valid", i + 1))?;
    }
    Ok(roots)
}

/// The authorities of the system; where it has none, as in an image of nothing but a program, Mozilla's.
fn roots_of_system() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}

type Builder = tokio_rustls::rustls::ConfigBuilder<ClientConfig, tokio_rustls::rustls::WantsVerifier>;

/// Knows its cryptography by itself: that of the process may be any, or none.
fn builder() -> Builder {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has what these versions need")
}

/// How this process speaks TLS to a server that is no target: it trusts the authorities in `ca`, as PEM, or those of the
/// system. No protocol is offered yet. What is wrong with `ca` is told without a part of it.
pub fn client_config(ca: Option<&[u8]>) -> Result<ClientConfig, String> {
    let roots = ca.map_or_else(|| Ok(roots_of_system()), roots)?;
    Ok(builder().with_root_certificates(roots).with_no_client_auth())
}

impl Tls {
    /// TLS of a plan that has it, or what is wrong with it.
    pub(crate) fn new(plan: &Plan, files: &[Arc<[u8]>]) -> Result<Option<Self>, String> {
        let Some(tls) = &plan.target.tls else { return Ok(None) };
        if let Some(problem) = problems(plan, files).first() {
            return Err(problem.to_string());
        }
        let builder = if tls.verify {
            let roots = tls.ca.map_or_else(|| Ok(roots_of_system()), |ca| roots(file(files, ca)))?;
            let provider = Arc::new(ring::default_provider());
            let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder().with_webpki_verifier(verifier.map_err(|error| error.to_string())?)
        } else {
            builder().dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(ring::default_provider())))
        };
        let mut config = match tls.identity {
            Some((certificate, key)) => builder
                .with_client_auth_cert(certificates(file(files, certificate))?, private_key(file(files, key))?)
                .map_err(|error| error.to_string())?,
            None => builder.with_no_client_auth(),
        };
        if !tls.resumption {
            config.resumption = Resumption::disabled();
        }
        let connector = |protocols: &[&[u8]]| {
            let mut config = config.clone();
            config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
            TlsConnector::from(Arc::new(config))
        };
        let requests = match plan.target.protocol {
            Protocol::Http1 => connector(&[HTTP1]),
            Protocol::Http2 => connector(&[HTTP2]),
            Protocol::Negotiated => connector(&[HTTP2, HTTP1]),
        };
        let name = ServerName::try_from(tls.server_name.clone()).map_err(|error| error.to_string())?;
        let must_be_http2 = plan.target.protocol == Protocol::Http2;
        Ok(Some(Self { name, requests, web_sockets: connector(&[HTTP1]), must_be_http2 }))
    }

    /// Makes a connection a secure one.
    pub(crate) async fn handshake(
        &self,
        stream: TcpStream,
        offer: Offer,
    ) -> Result<Box<TlsStream<TcpStream>>, Failure> {
        let (connector, must_be_http2) = match offer {
            Offer::Requests => (&self.requests, self.must_be_http2),
            Offer::WebSocket => (&self.web_sockets, false),
        };
        match connector.connect(self.name.clone(), stream).await {
            Ok(stream) if must_be_http2 && !is_http2(&stream) => Err(Failure::no_http2()),
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => {
                let rustls = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
                let is_no_protocol =
                    matches!(rustls, Some(Error::AlertReceived(AlertDescription::NoApplicationProtocol)));
                Err(if must_be_http2 && is_no_protocol { Failure::no_http2() } else { Failure::handshake(&error) })
            }
        }
    }
}

/// Whether HTTP/2 was chosen.
pub(crate) fn is_http2(stream: &TlsStream<TcpStream>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(HTTP2)
}

/// Takes any certificate, as the plan says.
#[derive(Debug)]
struct AnyCertificate(CryptoProvider);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

//! Certificates for the TLS port: made at the start by an authority that is made at the start, or read from files.

use std::io;
use std::net::IpAddr;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};

/// The names that every certificate has that is made here. No authority may vouch for all of `*.localhost`.
const NAMES: [&str; 6] = ["localhost", "127.0.0.1", "::1", "expired.localhost", "client.localhost", "http1.localhost"];

/// What the TLS port needs, and what its clients do; all of it PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificates {
    /// Who signed them, which clients must trust; also whose certificates clients may have.
    pub ca: String,
    /// The server's certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
    /// The server's certificate for the name `expired.localhost`, with the same key; none where they were read.
    pub expired: Option<String>,
    /// A client's certificate and its key; none where they were read.
    pub client: Option<(String, String)>,
}

impl Certificates {
    /// Makes an authority, and by it the certificate of a server for `localhost`, the names below it that
    /// are asked for a certificate, the loopback addresses and these names or addresses, and that of a client. Fails where a name is none.
    pub fn make(names: &[String]) -> io::Result<Self> {
        Self::signed(names).map_err(io::Error::other)
    }

    fn signed(names: &[String]) -> Result<Self, rcgen::Error> {
        let mut ca = CertificateParams::new(Vec::new())?;
        ca.distinguished_name.push(DnType::CommonName, "proofload target's authority");
        ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate()?)?;
        let names: Vec<String> = NAMES.iter().map(ToString::to_string).chain(names.iter().cloned()).collect();
        let key = KeyPair::generate()?;
        let mut server = leaf(names, "proofload target", ExtendedKeyUsagePurpose::ServerAuth)?;
        let certificate = server.signed_by(&key, &ca)?.pem();
        server.not_before = rcgen::date_time_ymd(2000, 1, 1);
        server.not_after = rcgen::date_time_ymd(2001, 1, 1);
        let expired = server.signed_by(&key, &ca)?.pem();
        let client_key = KeyPair::generate()?;
        let client = leaf(Vec::new(), "proofload client", ExtendedKeyUsagePurpose::ClientAuth)?;
        let client = client.signed_by(&client_key, &ca)?.pem();
        Ok(Self {
            ca: ca.pem(),
            certificate,
            key: key.serialize_pem(),
            expired: Some(expired),
            client: Some((client, client_key.serialize_pem())),
        })
    }

    /// Reads a server's certificate, its key, and the authority of clients.
    pub fn read(certificate: &Path, key: &Path, ca: Option<&Path>) -> io::Result<Self> {
        let read = |path: &Path| {
            std::fs::read_to_string(path)
                .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
        };
        let ca = ca.map_or(Ok(String::new()), read)?;
        Ok(Self { ca, certificate: read(certificate)?, key: read(key)?, expired: None, client: None })
    }

    /// Writes what a client needs into a directory, which is made: `ca.pem`, `client.pem`, `client.key`; and what another
    /// server would: `tls.crt`, `tls.key`.
    pub fn write(&self, directory: &Path) -> io::Result<()> {
        std::fs::create_dir_all(directory)?;
        let write = |name: &str, pem: &str| std::fs::write(directory.join(name), pem);
        if let Some((certificate, key)) = &self.client {
            write("client.pem", certificate)?;
            write("client.key", key)?;
        }
        write("tls.crt", &self.certificate)?;
        write("tls.key", &self.key)?;
        // Last: who waits for it finds all of them.
        write("ca.pem", &self.ca)
    }
}

/// A certificate that is not an authority's. A wrong name is found when it is used.
fn leaf(names: Vec<String>, common: &str, usage: ExtendedKeyUsagePurpose) -> Result<CertificateParams, rcgen::Error> {
    let names = names.into_iter().map(|name| match name.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(address) => address.to_string(),
        Err(_) => name,
    });
    let mut params = CertificateParams::new(names.collect::<Vec<_>>())?;
    params.distinguished_name.push(DnType::CommonName, common);
    params.use_authority_key_identifier_extension = true;
    params.extended_key_usages.push(usage);
    Ok(params)
}

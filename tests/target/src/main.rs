//! The target as a process of its own: for a pod, or by hand.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;
use proofload_target::{Certificates, Options, Target, TlsOptions};
use tokio::signal::unix::{SignalKind, signal};

/// A server that misbehaves on request and counts, exactly, what reached it.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Where to serve data.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where to serve counts.
    #[arg(long, default_value = "127.0.0.1:8081")]
    admin: SocketAddr,
    /// The port, at the address of --listen, that serves data by TLS.
    #[arg(long)]
    tls_port: Option<u16>,
    /// A name or address that the certificate has, beside those of loopback; several are possible.
    #[arg(long, value_name = "NAME")]
    tls_name: Vec<String>,
    /// Where to write the certificates that are made: ca.pem, client.pem, client.key, tls.crt, tls.key.
    #[arg(long, value_name = "DIR")]
    tls_dir: Option<PathBuf>,
    /// Make certificates, write them, and serve nothing.
    #[arg(long, requires = "tls_dir")]
    certificates_only: bool,
    /// The certificate (PEM), which is made where it is not given.
    #[arg(long, value_name = "FILE", requires = "tls_key", conflicts_with_all = ["tls_name", "tls_dir"])]
    tls_cert: Option<PathBuf>,
    /// Its key (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Who signs the certificates of clients (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_ca: Option<PathBuf>,
    /// Refuse clients without a certificate.
    #[arg(long, requires = "tls_port")]
    tls_require_client: bool,
    /// The most requests at once of a connection that speaks HTTP/2.
    #[arg(long, default_value_t = Options::MAX_STREAMS)]
    max_streams: u32,
}

impl Args {
    fn certificates(&self) -> io::Result<Certificates> {
        if let (Some(certificate), Some(key)) = (&self.tls_cert, &self.tls_key) {
            return Certificates::read(certificate, key, self.tls_ca.as_deref());
        }
        let certificates = Certificates::make(&self.tls_name)?;
        if let Some(directory) = &self.tls_dir {
            certificates.write(directory)?;
        }
        Ok(certificates)
    }

    fn options(&self) -> io::Result<Options> {
        let tls = |port| {
            let listen = SocketAddr::new(self.listen.ip(), port);
            let requires_client = self.tls_require_client;
            Ok::<_, io::Error>(TlsOptions { listen, certificates: self.certificates()?, requires_client })
        };
        let tls = self.tls_port.map(tls).transpose()?;
        Ok(Options { listen: self.listen, admin: self.admin, tls, max_streams: self.max_streams })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let args = Args::parse();
    if args.certificates_only {
        return args.certificates().map(drop);
    }
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let target = Target::bind(&args.options()?)?;
    let tls = target.tls_address()?.map(|address| format!(" and https://{address}")).unwrap_or_default();
    println!("listening on http://{}{tls}, admin on http://{}", target.address()?, target.admin_address()?);
    target
        .serve(async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        })
        .await;
    Ok(())
}

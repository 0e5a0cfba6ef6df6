//! `proofload-runner store` against a real server of S3 and a directory: what is put where, and what is said of what goes
//! wrong.
#![allow(clippy::unwrap_used)] // in helpers of tests too

mod s3;

use std::fs::Permissions;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use proofload_results::report::Input;
use proofload_results::{Circumstances, Report, SnapshotSet};
use proofload_target::Certificates;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use s3::{KEY, SECRET};

/// Where the pod of the run `shop/checkout` puts its report.
const TO: &str = "nightly/shop/checkout-1f0c9";

/// What a pod has mounted, and the directory of a server.
struct Site {
    directory: TempDir,
}

impl Site {
    /// With a bucket `reports`, and a Secret that the server knows.
    fn new() -> Self {
        let site = Self { directory: TempDir::new().unwrap() };
        for directory in ["buckets/reports", "secret", "volume"] {
            std::fs::create_dir_all(site.path(directory)).unwrap();
        }
        std::fs::write(site.path("termination-log"), "").unwrap();
        std::fs::write(site.path("report.json.gz"), packed()).unwrap();
        site.secret("AWS_ACCESS_KEY_ID", KEY);
        // As `echo` writes it.
        site.secret("AWS_SECRET_ACCESS_KEY", &format!("{SECRET}\n"));
        site
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    fn secret(&self, key: &str, value: &str) {
        std::fs::write(self.path("secret").join(key), value).unwrap();
    }

    /// A server of S3 over this site's buckets.
    fn serve(&self, listener: TcpListener) -> SocketAddr {
        s3::serve(listener, &self.path("buckets"))
    }

    fn start(&self, patience: u32, to: &str, place: &[&str]) -> Child {
        Command::new(env!("CARGO_BIN_EXE_proofload-runner"))
            .args(["store", &format!("--to={to}"), &format!("--patience={patience}")])
            .arg(format!("--report={}", self.path("report.json.gz").display()))
            .args(place)
            .env("PROOFLOAD_TERMINATION_LOG", self.path("termination-log"))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    fn start_s3(&self, patience: u32, bucket: &str, address: SocketAddr) -> Child {
        self.start_at(patience, bucket, &format!("http://{address}/"))
    }

    fn start_at(&self, patience: u32, bucket: &str, endpoint: &str) -> Child {
        let bucket = format!("--bucket={bucket}");
        let endpoint = format!("--endpoint={endpoint}");
        let credentials = format!("--credentials={}", self.path("secret").display());
        self.start(patience, TO, &["s3", &bucket, &endpoint, "--secret=reports-s3", &credentials])
    }

    /// What it says last if it fails; also that nothing it says has a part of the credentials.
    fn end(&self, child: Child) -> Result<(), String> {
        let output = child.wait_with_output().unwrap();
        let said = std::fs::read_to_string(self.path("termination-log")).unwrap();
        std::fs::write(self.path("termination-log"), "").unwrap();
        let log = String::from_utf8(output.stderr).unwrap();
        assert!(!said.contains(SECRET) && !log.contains(SECRET), "{said}\n{log}");
        assert_eq!(output.status.success(), said.is_empty(), "{said}\n{log}");
        if output.status.success() { Ok(()) } else { Err(said) }
    }

    fn volume(&self) -> Result<(), String> {
        let root = format!("--root={}", self.path("volume").display());
        self.end(self.start(1, TO, &["volume", &root]))
    }
}

/// A report of a run without a runner, as the operator packs it.
fn packed() -> Vec<u8> {
    let spec = json!({
        "target": {"baseUrl": "http://shop.svc"},
        "scenarios": [{"name": "main", "users": {"stages": [{"to": 1, "hold": "1s"}]},
                       "steps": [{"name": "get", "request": {"path": "/"}}]}],
    });
    let compiled = proofload_plan::compile(&serde_json::from_value(spec).unwrap(), "shop/checkout").unwrap();
    let report = Report::build(&Input {
        plan: &compiled.plan,
        criteria: &compiled.criteria,
        spec: &Value::Null,
        name: "checkout",
        namespace: Some("shop"),
        start: None,
        runners: 1,
        totals: &SnapshotSet::new(&compiled.plan, 1).totals(&compiled.plan),
        circumstances: &Circumstances::default(),
        baseline: None,
    });
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(report.to_json().as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

#[track_caller]
fn assert_stored(directory: &Path) {
    let stored = std::fs::read(directory.join("report.json.gz")).unwrap();
    let mut json = Vec::new();
    GzDecoder::new(&stored[..]).read_to_end(&mut json).unwrap();
    assert_eq!(Report::from_json(&json).unwrap().name, "checkout");
    let page = std::fs::read_to_string(directory.join("report.html")).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("checkout"), "{page}");
}

#[test]
fn a_bucket_gets_the_report_and_its_page_and_again_makes_no_difference() {
    let site = Site::new();
    let address = site.serve(listener());
    for _ in 0..2 {
        site.end(site.start_s3(5, "reports", address)).unwrap();
        assert_stored(&site.path("buckets/reports").join(TO));
    }
}

/// Ends TLS in front of a server, as `localhost`; its port.
fn tls_before(address: SocketAddr, certificates: &Certificates) -> u16 {
    let chain = CertificateDer::pem_slice_iter(certificates.certificate.as_bytes()).collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(certificates.key.as_bytes()).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let acceptor = TlsAcceptor::from(Arc::new(builder.with_single_cert(chain, key).unwrap()));
    let listener = listener();
    let port = listener.local_addr().unwrap().port();
    let forward = async move {
        listener.set_nonblocking(true).unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        while let Ok((socket, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // Who does not trust us goes away.
                let Ok(mut secure) = acceptor.accept(socket).await else { return };
                let mut plain = tokio::net::TcpStream::connect(address).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut secure, &mut plain).await;
            });
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    std::thread::spawn(move || runtime.block_on(forward));
    port
}

#[test]
fn a_bucket_behind_tls_is_known_by_the_authority_in_the_secret_and_else_not_trusted() {
    let site = Site::new();
    let certificates = Certificates::make(&["localhost".to_owned()]).unwrap();
    let port = tls_before(site.serve(listener()), &certificates);
    let endpoint = format!("https://localhost:{port}");
    let said = site.end(site.start_at(1, "reports", &endpoint)).unwrap_err();
    assert!(said.starts_with(&format!("cannot reach {endpoint}: ")) && said.contains("certificate"), "{said}");
    site.secret("ca.crt", "no certificate");
    let said = site.end(site.start_at(1, "reports", &endpoint)).unwrap_err();
    assert_eq!(said, "key ca.crt of Secret reports-s3: a file without a certificate");
    site.secret("ca.crt", &certificates.ca);
    site.end(site.start_at(5, "reports", &endpoint)).unwrap();
    assert_stored(&site.path("buckets/reports").join(TO));
}

#[test]
fn a_bucket_that_does_not_exist_is_told_at_once() {
    let site = Site::new();
    let address = site.serve(listener());
    // It would be tried again for an hour if this were taken for something that passes.
    let said = site.end(site.start_s3(3_600, "nowhere", address)).unwrap_err();
    assert_eq!(said, format!("bucket nowhere does not exist at http://{address}/: make it"));
}

#[test]
fn credentials_that_are_missing_or_wrong_are_told_by_their_key() {
    let site = Site::new();
    let address = site.serve(listener());
    site.secret("AWS_SECRET_ACCESS_KEY", "another");
    let said = site.end(site.start_s3(3_600, "reports", address)).unwrap_err();
    assert!(said.starts_with("the AWS_SECRET_ACCESS_KEY of Secret reports-s3 is not the one of"), "{said}");
    site.secret("AWS_ACCESS_KEY_ID", "AKIANOBODY");
    let said = site.end(site.start_s3(3_600, "reports", address)).unwrap_err();
    // What this server says of a key that it does not know; AWS says InvalidAccessKeyId.
    assert!(said.starts_with("access denied (NotSignedUp): the credentials of Secret reports-s3 may not"), "{said}");
    std::fs::remove_file(site.path("secret/AWS_ACCESS_KEY_ID")).unwrap();
    let said = site.end(site.start_s3(3_600, "reports", address)).unwrap_err();
    let expected = "Secret reports-s3 has no key AWS_ACCESS_KEY_ID, or there is no such Secret in this namespace";
    assert_eq!(said, expected);
}

#[test]
fn a_store_that_is_down_gets_the_report_when_it_is_up_again() {
    let site = Site::new();
    let taken = listener();
    let address = taken.local_addr().unwrap();
    drop(taken);
    let mut child = site.start_s3(120, "reports", address);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let words = format!("cannot reach http://{address}/: connection refused");
    assert!(lines.any(|line| line.contains(&words)), "it does not say that it tries again");
    site.serve(TcpListener::bind(address).unwrap());
    assert!(lines.any(|line| line.contains("\"stored\"")), "it does not say that it is stored");
    site.end(child).unwrap();
    assert_stored(&site.path("buckets/reports").join(TO));
}

#[test]
fn a_store_that_stays_down_is_given_up_with_what_was_last_seen() {
    let site = Site::new();
    let taken = listener();
    let address = taken.local_addr().unwrap();
    drop(taken);
    let said = site.end(site.start_s3(1, "reports", address)).unwrap_err();
    assert_eq!(said, format!("cannot reach http://{address}/: connection refused"));
}

#[test]
fn a_volume_gets_whole_files_that_others_can_read_and_nothing_else() {
    let site = Site::new();
    for _ in 0..2 {
        site.volume().unwrap();
        let directory = site.path("volume").join(TO);
        assert_stored(&directory);
        let mut names: Vec<_> = std::fs::read_dir(&directory).unwrap().map(|file| file.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["report.html", "report.json.gz"]);
        let mode = std::fs::metadata(directory.join("report.json.gz")).unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, Permissions::from_mode(0o644).mode());
    }
}

#[test]
fn a_volume_that_cannot_be_written_is_told() {
    let site = Site::new();
    std::fs::write(site.path("volume/nightly"), "a file where a directory should be").unwrap();
    let said = site.volume().unwrap_err();
    assert!(said.starts_with("something is in the way on the volume at \"nightly/shop/checkout-1f0c9\""), "{said}");
    std::fs::remove_dir_all(site.path("volume")).unwrap();
    let said = site.volume().unwrap_err();
    assert!(said.starts_with("there is no volume at "), "{said}");
}

#[test]
fn nothing_is_written_outside_of_the_store() {
    let site = Site::new();
    let root = format!("--root={}", site.path("volume").display());
    for to in ["../elsewhere", "a/../../elsewhere", "/etc", "a//b", "."] {
        let said = site.end(site.start(1, to, &["volume", &root])).unwrap_err();
        assert!(said.starts_with("expected a directory such as a/b"), "{said}");
    }
    assert!(!site.path("elsewhere").exists());
}

#[test]
fn what_is_no_report_is_not_stored() {
    let site = Site::new();
    std::fs::write(site.path("report.json.gz"), "plain text").unwrap();
    let said = site.volume().unwrap_err();
    assert!(said.contains("is not a report"), "{said}");
}

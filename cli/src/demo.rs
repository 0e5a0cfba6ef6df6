//! The target of `run --demo-target`: the test target in a process of its own, so that what it uses of the CPU is not
//! counted as the generator's.
//!
//! The child ends with its parent, however that ends: its standard input is a pipe whose other end only the parent holds,
//! and the kernel closes that one with the parent.

use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;

use anyhow::Context;
use proofload_engine::Shelf;
use proofload_plan::{Place, Plan};
use proofload_target::{Certificates, Counts, Options, Target, TlsOptions};
use serde::{Deserialize, Serialize};

use crate::exit::Exit;
use crate::file::Instead;
use crate::screen;
use crate::shelf::Directory;

/// What the demo target is called in a cluster, where its certificate has these names too.
const NAMES: [&str; 4] =
    ["demo-target", "demo-target.default", "demo-target.default.svc", "demo-target.default.svc.cluster.local"];

/// A target that serves, in a child process.
#[derive(Debug)]
pub(crate) struct DemoTarget {
    child: Child,
    output: BufReader<ChildStdout>,
    /// Where it serves, as `http://127.0.0.1:PORT`.
    url: String,
    tls: Tls,
}

/// The TLS of the demo target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Tls {
    /// Where it serves, as `https://127.0.0.1:PORT`.
    url: String,
    /// Who signed its certificate.
    ca: String,
    /// The certificate of a client, and its key.
    client: (String, String),
}

/// Where files are, with the demo target's own in place of those that `spec.target.tls` names: a test of a target in the
/// cluster, by the authority of that cluster, runs here as it is.
#[derive(Debug)]
pub(crate) struct DemoShelf<'a> {
    directory: &'a Directory,
    /// By the names of files.
    own: Vec<(&'a str, &'a str)>,
}

impl<'a> DemoShelf<'a> {
    /// Without a demo target, all files are those of the directory.
    pub(crate) fn new(directory: &'a Directory, demo: Option<&'a DemoTarget>, plan: &'a Plan) -> Self {
        Self { directory, own: demo.map(|demo| demo.tls.files(plan)).unwrap_or_default() }
    }
}

impl Shelf for DemoShelf<'_> {
    fn read(&self, name: &str, place: &Place) -> Result<Vec<u8>, String> {
        self.directory.read(name, place)
    }

    fn read_file(&self, name: &str, place: &Place) -> Result<Vec<u8>, String> {
        match self.own.iter().find(|(own, _)| *own == name) {
            Some((_, pem)) => Ok(pem.as_bytes().to_vec()),
            None => self.directory.read_file(name, place),
        }
    }

    fn variable(&self, name: &str, place: Option<&Place>) -> Option<String> {
        self.directory.variable(name, place)
    }
}

impl Tls {
    fn new(url: String, certificates: &Certificates) -> anyhow::Result<Self> {
        let client = certificates.client.clone().context("there is no certificate for a client")?;
        Ok(Self { url, ca: certificates.ca.clone(), client })
    }

    /// Its files in place of those that a plan names for TLS.
    fn files<'a>(&'a self, plan: &'a Plan) -> Vec<(&'a str, &'a str)> {
        let Some(tls) = &plan.target.tls else { return Vec::new() };
        let (certificate, key) = tls.identity.unzip();
        let files = [(tls.ca, &self.ca), (certificate, &self.client.0), (key, &self.client.1)];
        let name = |index: usize| plan.files.get(index).map(|file| file.name.as_str());
        files.into_iter().filter_map(|(index, pem)| Some((name(index?)?, pem.as_str()))).collect()
    }
}

impl DemoTarget {
    /// Starts it, and waits until it listens.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("finding this program's own file")?;
        let mut child = Command::new(program)
            .arg("demo-target")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // A Ctrl-C at the terminal is for the run, which needs its target until its last request is done.
            .process_group(0)
            .spawn()
            .context("starting the demo target")?;
        let mut output = BufReader::new(child.stdout.take().context("the demo target has no output")?);
        let mut url = String::new();
        output.read_line(&mut url).context("waiting for the demo target")?;
        anyhow::ensure!(url.starts_with("http://"), "the demo target did not start");
        let mut tls = String::new();
        output.read_line(&mut tls).context("waiting for the demo target")?;
        let tls = serde_json::from_str(&tls).context("reading what TLS of the demo target needs")?;
        Ok(Self { child, output, url: url.trim().to_owned(), tls })
    }

    /// What takes the place of a test's own target.
    pub(crate) fn instead(&self) -> Instead<'_> {
        Instead::Server { http: &self.url, https: &self.tls.url }
    }

    /// Ends it, and says what it counted.
    pub(crate) fn finish(mut self) -> anyhow::Result<Counts> {
        drop(self.child.stdin.take());
        let mut counts = String::new();
        self.output.read_to_string(&mut counts)?;
        self.child.wait()?;
        serde_json::from_str(&counts).context("reading what the demo target counted")
    }
}

impl Drop for DemoTarget {
    fn drop(&mut self) {
        // Already gone where `finish` was called; nothing is left to do about either failing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The child: serves until the end of standard input, then prints what it counted.
pub(crate) fn serve() -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let counts = runtime.block_on(async {
        let certificates = Certificates::make(&NAMES.map(ToOwned::to_owned))?;
        let tls = TlsOptions { listen: ([127, 0, 0, 1], 0).into(), certificates, requires_client: false };
        let options = Options { tls: Some(tls.clone()), ..Options::loopback() };
        let target = Target::bind(&options)?;
        let handle = target.handle();
        let tls_address = target.tls_address()?.context("the demo target serves no TLS")?;
        let tls = Tls::new(format!("https://{tls_address}"), &tls.certificates)?;
        screen::print(&format!("http://{}\n{}\n", target.address()?, serde_json::to_string(&tls)?))?;
        let (end, ended) = tokio::sync::oneshot::channel();
        thread::spawn(move || {
            // Also ends where the input cannot be read: without it nobody could end this process.
            let _ = io::copy(&mut io::stdin(), &mut io::sink());
            let _ = end.send(());
        });
        target.serve(async { ended.await.unwrap_or_default() }).await;
        anyhow::Ok(handle.counts())
    })?;
    screen::print(&serde_json::to_string(&counts)?)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_files_of_tls_are_the_demo_targets_own_and_no_others() {
        let spec = serde_json::json!({
            "target": {"baseUrl": "https://shop", "tls": {"ca": "trust", "certificate": "mine", "key": "my-key"}},
            "files": {
                "trust": {"configMap": {"name": "shop", "key": "ca.crt"}}, "picture": {"file": "picture.png"},
                "mine": {"secret": {"name": "me", "key": "tls.crt"}}, "my-key": {"secret": {"name": "me", "key": "tls.key"}},
            },
            "scenarios": [{"name": "main", "iterations": {"users": 1, "perUser": 1, "maxDuration": "1s"},
                           "steps": [{"name": "put", "request": {"path": "/", "method": "PUT", "file": "picture"}}]}],
        });
        let spec = serde_json::from_value(spec).unwrap();
        let plan = proofload_plan::compile(&spec, "test").unwrap().plan;
        let pem = |text: &str| text.to_owned();
        let tls = Tls { url: String::new(), ca: pem("CA"), client: (pem("CERTIFICATE"), pem("KEY")) };
        let directory = Directory::of(Path::new("/nowhere/test.yaml"), None);
        let shelf = DemoShelf { directory: &directory, own: tls.files(&plan) };
        let read = |name: &str| shelf.read_file(name, &Place::File(name.to_owned()));
        assert_eq!(read("trust").unwrap(), b"CA");
        assert_eq!((read("mine").unwrap(), read("my-key").unwrap()), (b"CERTIFICATE".to_vec(), b"KEY".to_vec()));
        assert_eq!(read("picture").unwrap_err(), "there is no file /nowhere/picture");
        assert_eq!(DemoShelf::new(&directory, None, &plan).own, []);
    }
}

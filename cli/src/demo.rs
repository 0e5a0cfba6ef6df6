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
use proofload_target::{Counts, Target};

use crate::exit::Exit;
use crate::screen;

/// A target that serves, in a child process.
#[derive(Debug)]
pub(crate) struct DemoTarget {
    child: Child,
    output: BufReader<ChildStdout>,
    /// Where it serves, as `http://127.0.0.1:PORT`.
    pub(crate) url: String,
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
        Ok(Self { child, output, url: url.trim().to_owned() })
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
        let target = Target::bind(([127, 0, 0, 1], 0).into(), ([127, 0, 0, 1], 0).into())?;
        let handle = target.handle();
        screen::print(&format!("http://{}\n", target.address()?))?;
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

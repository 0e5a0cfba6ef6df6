//! A run on this machine is reached over a socket in the file system: `proofload/NAME.sock` in the user's runtime
//! directory, or, where there is none, in a directory of the user's own among the temporary files.

use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::Wanted;

/// How long either side waits for the other.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most bytes of a message.
const MOST: u64 = 64 << 10;

/// What a run answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Answer {
    /// It was done: from what to what.
    Done(String),
    /// It was not, and why.
    Refused(String),
}

/// A wish that arrived, and where to say what became of it.
pub(crate) type Request = (Wanted, oneshot::Sender<anyhow::Result<String>>);

/// The socket of a run, for as long as the run lasts.
#[derive(Debug)]
pub(crate) struct Socket {
    path: PathBuf,
    listener: UnixListener,
}

impl Socket {
    /// Opens the socket of a run of this name. A socket that nobody listens on was left by a run that was killed, and is
    /// replaced; one that is in use belongs to another run of this name, and stays.
    pub(crate) async fn open(name: &str) -> anyhow::Result<Self> {
        let directory = directory();
        own(&directory)?;
        let path = path_in(&directory, name)?;
        if UnixStream::connect(&path).await.is_ok() {
            bail!("another run of this name is under way");
        }
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let listener = UnixListener::bind(&path).with_context(|| path.display().to_string())?;
        let socket = Self { path, listener };
        std::fs::set_permissions(&socket.path, std::fs::Permissions::from_mode(0o600))?;
        Ok(socket)
    }

    /// Passes on what arrives, for as long as somebody takes it.
    pub(crate) async fn serve(&self, requests: mpsc::Sender<Request>) {
        while !requests.is_closed() {
            let Ok((stream, _)) = self.listener.accept().await else { return };
            // Whoever says nothing keeps the next one waiting for a moment only.
            let _ = timeout(PATIENCE, answer(stream, &requests)).await;
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Where that fails, the next run replaces it.
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn answer(stream: UnixStream, requests: &mpsc::Sender<Request>) -> anyhow::Result<()> {
    let (input, mut output) = stream.into_split();
    let mut line = String::new();
    BufReader::new(input.take(MOST)).read_line(&mut line).await?;
    let wanted: Wanted = serde_json::from_str(&line)?;
    let (reply, replied) = oneshot::channel();
    requests.send((wanted, reply)).await?;
    let answer = match replied.await {
        Ok(Ok(said)) => Answer::Done(said),
        Ok(Err(error)) => Answer::Refused(format!("{error:#}")),
        Err(_) => Answer::Refused("the run is over".to_owned()),
    };
    output.write_all((serde_json::to_string(&answer)? + "\n").as_bytes()).await?;
    Ok(())
}

/// Asks a run of this name on this machine; nothing if there is none.
pub(super) async fn ask(name: &str, wanted: &Wanted) -> anyhow::Result<Option<String>> {
    ask_in(&directory(), name, wanted).await
}

async fn ask_in(directory: &Path, name: &str, wanted: &Wanted) -> anyhow::Result<Option<String>> {
    let path = path_in(directory, name)?;
    // What somebody else put there is no run of this user's.
    if !is_ours(directory).unwrap_or(false) {
        return Ok(None);
    }
    let Ok(stream) = UnixStream::connect(&path).await else { return Ok(None) };
    let (input, mut output) = stream.into_split();
    let exchange = async {
        output.write_all((serde_json::to_string(wanted)? + "\n").as_bytes()).await?;
        let mut line = String::new();
        BufReader::new(input.take(MOST)).read_line(&mut line).await?;
        anyhow::Ok(serde_json::from_str::<Answer>(&line)?)
    };
    let answer = timeout(PATIENCE, exchange).await.context("the run does not answer")?;
    match answer.context("the run's answer cannot be read")? {
        Answer::Done(said) => Ok(Some(said)),
        Answer::Refused(why) => bail!(why),
    }
}

/// Where the sockets of this user's runs are.
fn directory() -> PathBuf {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").filter(|path| Path::new(path).is_absolute());
    match runtime {
        Some(path) => Path::new(&path).join("proofload"),
        // Among temporary files, where anyone may make a directory of any name.
        None => std::env::temp_dir().join(format!("proofload-{}", rustix::process::getuid().as_raw())),
    }
}

/// Makes the directory, for this user alone.
fn own(directory: &Path) -> anyhow::Result<()> {
    let shown = || directory.display().to_string();
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).with_context(shown)?;
    let is_ours = is_ours(directory).with_context(shown)?;
    ensure!(is_ours, "expected {} to be a directory that only its owner, this user, may write to", shown());
    Ok(())
}

/// Whether it is a directory, and no link to one, that only this user may write to.
fn is_ours(directory: &Path) -> io::Result<bool> {
    let found = std::fs::symlink_metadata(directory)?;
    Ok(found.is_dir() && found.uid() == rustix::process::getuid().as_raw() && found.mode() & 0o022 == 0)
}

fn path_in(directory: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    ensure!(is_name, "expected the name of a load test, got {name:?}");
    Ok(directory.join(format!("{name}.sock")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_directory_that_others_may_write_to_is_neither_used_nor_asked() {
        let base = tempfile::tempdir().unwrap();
        let (theirs, link, ours) = (base.path().join("theirs"), base.path().join("link"), base.path().join("ours"));
        std::fs::create_dir(&theirs).unwrap();
        std::fs::set_permissions(&theirs, std::fs::Permissions::from_mode(0o777)).unwrap();
        own(&ours).unwrap();
        std::os::unix::fs::symlink(&ours, &link).unwrap();
        let wanted = Wanted { scenario: None, users: Some(7), rate: None };
        let _theirs = UnixListener::bind(theirs.join("checkout.sock")).unwrap();
        let _ours = UnixListener::bind(ours.join("checkout.sock")).unwrap();
        for directory in [&theirs, &link] {
            assert!(own(directory).is_err());
            assert_eq!(ask_in(directory, "checkout", &wanted).await.unwrap(), None);
        }
    }
}

//! Where things lie: the repository, and the directory outside of it that keeps state and built tools.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use xshell::Shell;

/// What every task needs to know.
pub(crate) struct Context {
    /// The repository.
    pub(crate) root: PathBuf,
    /// State and tools, `PROOFLOAD_HOME`. Outside of the clone, so that a second clone finds them warm.
    pub(crate) home: PathBuf,
    /// Runs commands in the repository, with the tools of `home` first on the path.
    pub(crate) sh: Shell,
}

/// Where this crate lies, as cargo said when it ran this program.
const OWN_DIRECTORY: &str = "PROOFLOAD_XTASK";

/// Goes on as a process without what `cargo run` tells its program of its package: build scripts are told the same, so
/// that a cargo which is run from here takes them for changed (ring's says so), and builds anew all that depends on them.
pub(crate) fn leave_cargo() -> Result<()> {
    let Some(own) = std::env::var_os("CARGO_MANIFEST_DIR") else { return Ok(()) };
    let mut again = Command::new(std::env::current_exe()?);
    again.args(std::env::args_os().skip(1)).env(OWN_DIRECTORY, own);
    for (name, _) in std::env::vars_os() {
        if ["CARGO_MANIFEST_", "CARGO_PKG_"].iter().any(|told| name.to_string_lossy().starts_with(told)) {
            again.env_remove(name);
        }
    }
    Err(again.exec()).context("going on without cargo's variables")
}

impl Context {
    pub(crate) fn new() -> Result<Self> {
        // As cargo says now, not when this was built: clones that share a target directory share this binary too.
        let own = std::env::var_os(OWN_DIRECTORY).unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let root = Path::new(&own).parent().context("xtask lies in the repository")?.to_owned();
        let home = home()?;
        let sh = Shell::new()?;
        sh.change_dir(&root);
        let context = Self { root, home, sh };
        context.set_up_environment()?;
        Ok(context)
    }

    /// The directory for tools that xtask builds.
    pub(crate) fn bin(&self) -> PathBuf {
        self.home.join("bin")
    }

    /// Where Go is put if the machine's own is missing or too old.
    pub(crate) fn go_root(&self) -> PathBuf {
        self.home.join("go")
    }

    /// State of the cluster that `cargo xtask cluster up` starts.
    pub(crate) fn cluster_dir(&self) -> PathBuf {
        self.home.join("cluster")
    }

    fn set_up_environment(&self) -> Result<()> {
        let mut path = vec![self.bin()];
        // Only there if the machine's own Go would not do.
        if self.go_root().join("bin/go").exists() {
            path.push(self.go_root().join("bin"));
        }
        path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
        // Debian leaves these out of the path of a shell that did not log in, and iptables is there.
        path.extend(["/usr/sbin", "/sbin"].map(PathBuf::from));
        self.sh.set_var("PATH", std::env::join_paths(path)?);
        self.sh.set_var("CLUSTER_DIR", self.cluster_dir());
        self.sh.set_var("CLUSTER_CACHE", self.home.join("localcluster"));
        // The Go that `go::ensure` found is the one that is used: none is fetched behind our back.
        self.sh.set_var("GOTOOLCHAIN", "local");
        // A lost node is noticed after 20 s instead of 50: the fault tests wait for that.
        self.sh.set_var("CLUSTER_NODE_GRACE", "20");
        Ok(())
    }
}

fn home() -> Result<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(home) = variable("PROOFLOAD_HOME") {
        return std::path::absolute(home).context("PROOFLOAD_HOME");
    }
    let cache = variable("XDG_CACHE_HOME")
        .or_else(|| variable("HOME").map(|home| home.join(".cache")))
        .context("none of PROOFLOAD_HOME, XDG_CACHE_HOME and HOME is set: nowhere to keep state")?;
    Ok(cache.join("proofload"))
}

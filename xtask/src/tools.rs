//! Tools that are built from their own sources, at pinned versions, into the directory outside of the clone.

use anyhow::{Context as _, Result};
use xshell::cmd;

use crate::context::Context;
use crate::go;

/// A command of a Go module.
struct GoTool {
    name: &'static str,
    module: &'static str,
    /// Where in the module; empty if that is all of it.
    command: &'static str,
    version: &'static str,
}

const GO_TOOLS: &[GoTool] = &[
    // Of the same Kubernetes minor release as tests/cluster.
    GoTool { name: "helm", module: "helm.sh/helm/v3", command: "cmd/helm", version: "v3.19.5" },
    GoTool {
        name: "kubeconform",
        module: "github.com/yannh/kubeconform",
        command: "cmd/kubeconform",
        version: "v0.7.0",
    },
];

/// Load generators that ours is compared with.
const PEERS: &[GoTool] = &[
    GoTool { name: "hey", module: "github.com/rakyll/hey", command: "", version: "v0.1.5" },
    // Newer ones need a module that Go's proxy does not have.
    GoTool { name: "fortio", module: "fortio.org/fortio", command: "", version: "v1.63.0" },
    GoTool { name: "k6", module: "go.k6.io/k6", command: "", version: "v1.8.1" },
];

const CARGO_DENY: &str = "0.20.2";

/// Builds helm and kubeconform if they are missing or of another version.
pub(crate) fn ensure(context: &Context) -> Result<()> {
    go::ensure(context)?;
    for tool in GO_TOOLS {
        tool.ensure(context).with_context(|| format!("building {}", tool.name))?;
    }
    Ok(())
}

/// Builds the generators that ours is compared with, one after the other. What cannot be built, and why.
pub(crate) fn ensure_peers(context: &Context) -> Result<Vec<anyhow::Error>> {
    go::ensure(context)?;
    let build = |tool: &GoTool| tool.ensure(context).with_context(|| format!("building {}", tool.name)).err();
    Ok(PEERS.iter().filter_map(build).collect())
}

impl GoTool {
    fn ensure(&self, context: &Context) -> Result<()> {
        if self.is_current(context) {
            return Ok(());
        }
        let Self { module, command, version, .. } = self;
        eprintln!("building {} {version}, into {}", self.name, context.bin().display());
        let sh = &context.sh;
        let package = format!("{module}/{command}");
        let package = package.trim_end_matches('/');
        cmd!(sh, "nice go install -trimpath {package}@{version}")
            .env("GOBIN", context.bin())
            .env("CGO_ENABLED", "0")
            .quiet()
            .run()?;
        Ok(())
    }

    /// Go binaries carry the module and version that they were built from.
    fn is_current(&self, context: &Context) -> bool {
        let program = context.bin().join(self.name);
        let sh = &context.sh;
        program.exists()
            && cmd!(sh, "go version -m {program}").quiet().ignore_stderr().read().is_ok_and(|built| {
                built.lines().map(|line| line.split('\t').collect::<Vec<_>>()).any(
                    |fields| matches!(fields[..], ["", "mod", module, version, ..] if module == self.module && version == self.version),
                )
            })
    }
}

/// Holds the dependencies against deny.toml.
///
/// Not a part of `cargo xtask test`: building cargo-deny takes longer than all other checks together, and the list of
/// known vulnerabilities comes from a place that a closed network does not reach.
pub(crate) fn deny(context: &Context, advisories: bool) -> Result<()> {
    let sh = &context.sh;
    let installed = cmd!(sh, "cargo-deny --version").quiet().ignore_stderr().read().unwrap_or_default();
    if installed != format!("cargo-deny {CARGO_DENY}") {
        let root = &context.home;
        eprintln!("building cargo-deny {CARGO_DENY}, into {}", context.bin().display());
        cmd!(sh, "cargo install cargo-deny --quiet --locked --force --version {CARGO_DENY} --root {root}")
            .quiet()
            .run()?;
    }
    let checks: &[&str] = if advisories { &["advisories"] } else { &[] };
    cmd!(sh, "cargo-deny --workspace check --hide-inclusion-graph licenses bans sources {checks...}").quiet().run()?;
    Ok(())
}

//! Installs the generators that ours is compared with, at pinned versions, and what measuring needs.

use anyhow::Result;
use xshell::cmd;

use crate::context::Context;
use crate::{debian, tools};

/// A package of Debian and the command that shows that it is there.
const PACKAGES: [(&str, &str); 5] = [
    ("nginx", "nginx"),
    ("util-linux", "taskset"),
    ("openssl", "openssl"),
    ("wrk", "wrk"),
    ("nghttp2-client", "h2load"),
];

const OHA: &str = "1.16.0";

/// Installs what is missing. Tools that cannot be built here are named, and the others are installed all the same:
/// measurements go on without.
pub(super) fn all(context: &Context) -> Result<()> {
    let missing: Vec<_> = PACKAGES
        .iter()
        .filter(|(_, command)| !debian::present(context, command))
        .map(|(package, _)| *package)
        .collect();
    debian::install(context, &missing, "measurements")?;
    for error in tools::ensure_peers(context)?.into_iter().chain(oha(context).err()) {
        println!("not installed: {error:#}");
    }
    Ok(())
}

fn oha(context: &Context) -> Result<()> {
    let sh = &context.sh;
    let installed = cmd!(sh, "oha --version").quiet().ignore_stderr().read().unwrap_or_default();
    if installed != format!("oha {OHA}") {
        let root = &context.home;
        eprintln!("building oha {OHA}, into {}", context.bin().display());
        cmd!(sh, "nice cargo install oha --quiet --locked --force --version {OHA} --root {root}").quiet().run()?;
    }
    Ok(())
}

//! A Go toolchain that is new enough: the cluster's components and helm are written in Go.
//!
//! Debian 12 has Go 1.19. Any Go can fetch a newer one, because Go's own module proxy serves toolchains as modules:
//! checked against the public checksum database, but as plain files. This module does with them what newer versions of
//! the `go` command do by themselves.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use xshell::cmd;

use crate::context::Context;
use crate::debian;

/// What tests/cluster/go.mod asks for.
const OLDEST: (u32, u32) = (1, 25);
/// What is fetched if the machine has nothing that new.
const FETCHED: &str = "1.25.14";

/// Makes `go` on the context's path one that is new enough.
pub(crate) fn ensure(context: &Context) -> Result<()> {
    if version(context).is_some_and(|version| version >= OLDEST) {
        return Ok(());
    }
    if !context.go_root().join("bin/go").exists() {
        if version(context).is_none() {
            debian::install(context, &["golang-go"], "fetching a newer Go")?;
        }
        fetch(context)
            .with_context(|| format!("fetching Go {FETCHED}; any Go from 1.25 on the path will do instead"))?;
    }
    let path = context.sh.var_os("PATH").unwrap_or_default();
    let first = [context.go_root().join("bin")];
    context.sh.set_var("PATH", std::env::join_paths(first.into_iter().chain(std::env::split_paths(&path)))?);
    ensure!(version(context).is_some_and(|version| version >= OLDEST), "{} does not run", context.go_root().display());
    Ok(())
}

/// Builds a Go program of this repository into the directory for tools; where it is. Its go.sum pins what it is made of.
pub(crate) fn build(context: &Context, directory: &str, name: &str) -> Result<PathBuf> {
    ensure(context)?;
    let (sh, program) = (&context.sh, context.bin().join(name));
    sh.create_dir(context.bin())?;
    let guard = sh.push_dir(context.root.join(directory));
    let built = cmd!(sh, "nice go build -trimpath -mod=readonly -o {program} .").env("CGO_ENABLED", "0").quiet().run();
    drop(guard);
    built.with_context(|| format!("building {directory}"))?;
    Ok(program)
}

fn version(context: &Context) -> Option<(u32, u32)> {
    let sh = &context.sh;
    let output = cmd!(sh, "go env GOVERSION").quiet().ignore_stderr().read().ok()?;
    parse_version(&output)
}

/// `go1.25.3` is (1, 25); `go1.26rc1` is (1, 26).
fn parse_version(text: &str) -> Option<(u32, u32)> {
    let (major, rest) = text.trim().strip_prefix("go")?.split_once('.')?;
    let minor: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn fetch(context: &Context) -> Result<()> {
    let platform = match std::env::consts::ARCH {
        "x86_64" => "linux-amd64",
        "aarch64" => "linux-arm64",
        other => bail!("no Go is known for {other}"),
    };
    eprintln!("fetching Go {FETCHED} through the Go module proxy, into {}", context.go_root().display());
    let sh = &context.sh;
    let module = format!("golang.org/toolchain@v0.0.1-go{FETCHED}.{platform}");
    let work = context.home.join("go.new");
    sh.remove_path(&work)?;
    // An empty directory, so that no go.mod (which an old Go might not understand) is near.
    sh.create_dir(work.join("empty"))?;
    let guard = sh.push_dir(work.join("empty"));
    let description = cmd!(sh, "go mod download -json {module}")
        .env("GOMODCACHE", work.join("modules"))
        .env("GOFLAGS", "-modcacherw")
        .quiet()
        .ignore_status()
        .read()?;
    drop(guard);
    let description: serde_json::Value = serde_json::from_str(&description).context("`go mod download`")?;
    if let Some(error) = description["Error"].as_str() {
        bail!("{error}");
    }
    let unpacked = description["Dir"].as_str().context("`go mod download` names no directory")?;
    unpack(Path::new(unpacked)).with_context(|| format!("unpacking {unpacked}"))?;
    std::fs::rename(unpacked, context.go_root())?;
    sh.remove_path(&work)?;
    Ok(())
}

/// A module holds neither executable files nor other modules' `go.mod`: the toolchain's lost their mode and have an
/// underscore before their name.
fn unpack(directory: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;

    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            unpack(&path)?;
        } else if path.file_name().is_some_and(|name| name == "_go.mod") {
            std::fs::rename(&path, path.with_file_name("go.mod"))?;
        } else if is_program(&path) {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
        }
    }
    Ok(())
}

/// `bin/NAME` or `pkg/tool/PLATFORM/NAME`.
fn is_program(path: &Path) -> bool {
    let names: Vec<_> = path.iter().rev().skip(1).take(3).filter_map(|name| name.to_str()).collect();
    matches!(names[..], ["bin", ..] | [_, "tool", "pkg"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_go_writes_them() {
        assert_eq!(parse_version("go1.19.8\n"), Some((1, 19)));
        assert_eq!(parse_version("go1.26rc1"), Some((1, 26)));
        assert_eq!(parse_version("devel"), None);
    }

    #[test]
    fn only_programs_become_executable() {
        assert!(is_program(Path::new("/home/go/bin/go")));
        assert!(is_program(Path::new("/home/go/pkg/tool/linux_amd64/compile")));
        assert!(!is_program(Path::new("/home/go/src/fmt/print.go")));
        assert!(!is_program(Path::new("/home/go/pkg/include/asm.h")));
    }
}

//! The Debian packages that the cluster and the tests need, installed where they are missing.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use xshell::cmd;

use crate::context::Context;

/// A package and what shows that it is there: a command on the path, or the absolute path of a file.
struct Package {
    name: &'static str,
    shows: &'static str,
}

const fn package(name: &'static str, shows: &'static str) -> Package {
    Package { name, shows }
}

const PACKAGES: &[Package] = &[
    package("containerd", "containerd"),
    package("runc", "runc"),
    package("containernetworking-plugins", "/usr/lib/cni/ptp"),
    package("iptables", "iptables"),
    package("iproute2", "ip"),
    package("util-linux", "nsenter"),
    package("procps", "sysctl"),
    package("openssl", "openssl"),
    package("curl", "curl"),
    package("ca-certificates", "/etc/ssl/certs/ca-certificates.crt"),
    package("gcc", "cc"),
    package("libc6-dev", "/usr/include/stdio.h"),
    package("jq", "jq"),
    package("shellcheck", "shellcheck"),
];

/// Installs what is missing of the cluster's prerequisites.
pub(crate) fn ensure_prerequisites(context: &Context) -> Result<()> {
    let missing: Vec<_> = PACKAGES.iter().filter(|package| !present(context, package.shows)).map(|p| p.name).collect();
    install(context, &missing, "the cluster")
}

/// Installs the browser that the tests of reports as HTML open them in, unless `CHROMIUM` says where there is one.
pub(crate) fn ensure_browser(context: &Context) -> Result<()> {
    if context.sh.var_os("CHROMIUM").is_some() || present(context, "chromium") {
        return Ok(());
    }
    install(context, &["chromium", "fonts-dejavu-core"], "the tests of reports as HTML")
}

/// Makes `prometheus` and `promtool` available, for rules and for the tests that run a real Prometheus.
///
/// The package is unpacked into our own directory instead of installed: installed, it would start a service.
pub(crate) fn ensure_prometheus(context: &Context) -> Result<()> {
    const PROGRAMS: [&str; 2] = ["prometheus", "promtool"];
    let there = |name: &&str| present(context, name) || context.bin().join(name).exists();
    if PROGRAMS.iter().all(there) {
        return Ok(());
    }
    if !Path::new("/etc/debian_version").exists() {
        bail!("the tests of metrics need prometheus and promtool, 2.40 or later, on the path");
    }
    let sh = &context.sh;
    let work = context.home.join("prometheus.new");
    eprintln!("fetching Debian's prometheus, into {}", context.bin().display());
    sh.remove_path(&work)?;
    sh.create_dir(&work)?;
    let lock = context.home.join("apt.lock");
    if is_root(context)? {
        cmd!(sh, "flock {lock} apt-get update -qq").quiet().run()?;
    }
    let guard = sh.push_dir(&work);
    cmd!(sh, "apt-get download -qq prometheus").quiet().ignore_stdout().ignore_stderr().run()?;
    drop(guard);
    let packages = sh.read_dir(&work)?;
    let [package] = &packages[..] else { bail!("apt-get download left {packages:?}") };
    cmd!(sh, "dpkg-deb --extract {package} {work}").quiet().run()?;
    sh.create_dir(context.bin())?;
    for name in PROGRAMS {
        sh.copy_file(work.join("usr/bin").join(name), context.bin().join(name))?;
    }
    sh.remove_path(&work)?;
    Ok(())
}

/// Installs packages with apt-get, or says why that is not possible. `purpose` is for people to read.
pub(crate) fn install(context: &Context, packages: &[&str], purpose: &str) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let list = packages.join(" ");
    if !Path::new("/etc/debian_version").exists() {
        bail!("{purpose} needs these packages of Debian, or what your system calls them: {list}");
    }
    if !is_root(context)? {
        bail!("{purpose} needs packages that are missing; as root: apt-get install {list}");
    }
    eprintln!("installing for {purpose}: apt-get install {list}");
    let sh = &context.sh;
    // The cluster is prepared by another process meanwhile, and apt-get waits for nobody.
    let lock = context.home.join("apt.lock");
    sh.create_dir(&context.home)?;
    cmd!(sh, "flock {lock} apt-get update -qq").quiet().run()?;
    cmd!(sh, "flock {lock} apt-get install --yes -qq --no-install-recommends {packages...}")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .quiet()
        .ignore_stdout()
        .run()
        .context("apt-get install")
}

/// Whether a command or (by absolute path) a file is there.
pub(crate) fn present(context: &Context, shows: &str) -> bool {
    if shows.starts_with('/') {
        return Path::new(shows).exists();
    }
    let path = context.sh.var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(shows).is_file())
}

/// Whether this process may do what only root may.
pub(crate) fn is_root(context: &Context) -> Result<bool> {
    let sh = &context.sh;
    Ok(cmd!(sh, "id -u").quiet().read()? == "0")
}

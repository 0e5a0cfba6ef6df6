//! The images: static binaries, named by what is in them.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use xshell::cmd;

use crate::context::Context;

/// What images of our own cluster are called; there is no registry behind it.
pub(crate) const LOCAL_PREFIX: &str = "localhost/proofload";

/// The three images of one build.
pub(crate) struct Images {
    /// What comes before `/operator:TAG`.
    pub(crate) prefix: String,
    /// Of the operator and the runner, which are released together.
    pub(crate) tag: String,
    /// Of the target, which only tests need.
    pub(crate) target_tag: String,
}

impl Images {
    pub(crate) fn operator(&self) -> String {
        format!("{}/operator:{}", self.prefix, self.tag)
    }

    pub(crate) fn runner(&self) -> String {
        format!("{}/runner:{}", self.prefix, self.tag)
    }

    pub(crate) fn target(&self) -> String {
        format!("{}/target:{}", self.prefix, self.target_tag)
    }
}

/// The binaries that go into the images.
pub(crate) struct Binaries {
    operator: PathBuf,
    runner: PathBuf,
    target: PathBuf,
}

/// Builds static binaries for this machine's architecture.
pub(crate) fn build(context: &Context) -> Result<Binaries> {
    let sh = &context.sh;
    let host = cmd!(sh, "rustc -vV").quiet().read()?;
    let triple = host.lines().find_map(|line| line.strip_prefix("host: ")).context("`rustc -vV` names no host")?;
    // glibc links statically and still resolves names: since 2.34 it has the DNS code built in.
    let flags = format!("CARGO_TARGET_{}_RUSTFLAGS", triple.to_uppercase().replace('-', "_"));
    // Asking for the triple, even if it is the host's, keeps the flag away from procedural macros.
    cmd!(
        sh,
        "cargo build --quiet --release --target {triple} -p proofload-operator -p proofload-runner -p proofload-target"
    )
    .env(flags, "-C target-feature=+crt-static")
    .quiet()
    .run()?;
    let built = target_directory(context)?.join(triple).join("release");
    Ok(Binaries {
        operator: built.join("proofload-operator"),
        runner: built.join("proofload-runner"),
        target: built.join("proofload-target"),
    })
}

fn target_directory(context: &Context) -> Result<PathBuf> {
    let sh = &context.sh;
    let metadata = cmd!(sh, "cargo metadata --no-deps --format-version 1").quiet().read()?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let directory = metadata["target_directory"].as_str().context("`cargo metadata` names no target directory")?;
    Ok(PathBuf::from(directory))
}

/// Puts the binaries on every node of our cluster, unless they are there already.
pub(crate) fn load(context: &Context, binaries: &Binaries) -> Result<Images> {
    let images = Images {
        prefix: LOCAL_PREFIX.to_owned(),
        tag: content_tag(&[&binaries.operator, &binaries.runner])?,
        target_tag: content_tag(&[&binaries.target])?,
    };
    for (image, binary) in [
        (images.operator(), &binaries.operator),
        (images.runner(), &binaries.runner),
        (images.target(), &binaries.target),
    ] {
        load_one(context, &image, binary).with_context(|| format!("loading {image}"))?;
    }
    Ok(images)
}

fn load_one(context: &Context, image: &str, binary: &Path) -> Result<()> {
    let archive = Archive::of(context, image);
    if archive.loaded.exists() {
        return Ok(());
    }
    let (sh, script) = (&context.sh, context.cluster_script());
    cmd!(sh, "{script} load-image {image} {binary}").quiet().run()?;
    sh.write_file(&archive.loaded, "")?;
    archive.remove_older(context)
}

/// What the cluster keeps of an image, to give it to nodes that start later. It goes with the cluster.
struct Archive {
    name: String,
    /// Marks that the nodes have it, not just the directory.
    loaded: PathBuf,
}

impl Archive {
    fn of(context: &Context, image: &str) -> Self {
        let name = format!("{}.tar", file_name(image));
        let loaded = context.cluster_dir().join("image").join(format!("{name}.loaded"));
        Self { name, loaded }
    }

    /// Removes what earlier builds of the same image left, which every node would import when it starts.
    fn remove_older(&self, context: &Context) -> Result<()> {
        let (image, _) = self.name.rsplit_once('_').context("an image has a tag")?;
        for path in context.sh.read_dir(context.cluster_dir().join("image"))? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with(&format!("{image}_")) && !name.starts_with(&self.name) {
                context.sh.remove_path(&path)?;
            }
        }
        Ok(())
    }
}

/// As tests/cluster/cluster names an image's archive.
fn file_name(image: &str) -> String {
    let kept = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    image.chars().map(|c| if kept(c) { c } else { '_' }).collect()
}

/// A tag that changes with the content, so that a changed binary rolls a Deployment and an unchanged one does not.
fn content_tag(files: &[&Path]) -> Result<String> {
    let mut hash = Sha256::new();
    for file in files {
        hash.update(std::fs::read(file).with_context(|| format!("reading {}", file.display()))?);
    }
    let mut tag = format!("{:x}", hash.finalize());
    tag.truncate(12);
    Ok(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_named_as_the_cluster_names_it() {
        assert_eq!(file_name("localhost/proofload/runner:0a1b"), "localhost_proofload_runner_0a1b");
    }

    #[test]
    fn a_tag_follows_from_the_content_alone() {
        let this = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/images.rs");
        let other = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/main.rs");
        let tag = |files: &[&Path]| content_tag(files).expect("both files are there");
        assert_eq!(tag(&[&this]), tag(&[&this]));
        assert_ne!(tag(&[&this]), tag(&[&other]));
        assert_eq!(tag(&[&this, &other]).len(), 12);
    }
}

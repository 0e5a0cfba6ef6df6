//! How the cluster is reached.

use anyhow::Context;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use crate::args::ClusterArgs;

/// A client, and the namespace that is meant.
pub(crate) async fn connect(args: &ClusterArgs) -> anyhow::Result<(Client, String)> {
    let config = config(args).await?;
    let namespace = args.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    Ok((Client::try_from(config)?, namespace))
}

async fn config(args: &ClusterArgs) -> anyhow::Result<Config> {
    let options = KubeConfigOptions { context: args.context.clone(), ..KubeConfigOptions::default() };
    match &args.kubeconfig {
        Some(path) => {
            let file = Kubeconfig::read_from(path).with_context(|| format!("reading {}", path.display()))?;
            Ok(Config::from_custom_kubeconfig(file, &options).await?)
        }
        None if args.context.is_some() => Ok(Config::from_kubeconfig(&options).await?),
        None => Config::infer().await.context("cannot find a cluster: there is no kubeconfig that can be used"),
    }
}

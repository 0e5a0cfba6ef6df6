//! The target as a process of its own: for a pod, or by hand.

use std::io;
use std::net::SocketAddr;

use clap::Parser;
use proofload_target::Target;
use tokio::signal::unix::{SignalKind, signal};

/// A server that misbehaves on request and counts, exactly, what reached it.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Where to serve data.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where to serve counts.
    #[arg(long, default_value = "127.0.0.1:8081")]
    admin: SocketAddr,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let args = Args::parse();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let target = Target::bind(args.listen, args.admin)?;
    println!("listening on http://{}, admin on http://{}", target.address()?, target.admin_address()?);
    target
        .serve(async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        })
        .await;
    Ok(())
}

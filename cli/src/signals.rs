//! Ctrl-C and SIGTERM: once ends the load, twice quits.

use std::io;
use std::thread;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::exit::Exit;

/// Says why the run is to end, once somebody wants it to.
///
/// A thread of its own listens, so that the second signal quits whatever the rest of the process is doing.
pub(crate) fn listen() -> io::Result<watch::Receiver<Option<&'static str>>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (sender, receiver) = watch::channel(None);
    let (mut interrupt, mut terminate) = {
        let _within = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            for again in [false, true] {
                let why = tokio::select! {
                    _ = interrupt.recv() => "it was interrupted (Ctrl-C)",
                    _ = terminate.recv() => "it was told to end (SIGTERM)",
                };
                if again {
                    std::process::exit(Exit::Aborted as i32);
                }
                eprintln!("\nending; again to quit without a report");
                // Nobody listens once the run is over.
                let _ = sender.send(Some(why));
            }
        });
    })?;
    Ok(receiver)
}

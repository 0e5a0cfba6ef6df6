//! Executes a plan's segment: paces users, speaks HTTP, records what came. Knows nothing of Kubernetes.
//!
//! One thread per core, each with a single-threaded runtime. A user, its connection and its recorder never change
//! thread, so that nothing on the way of a request is locked. What threads measure leaves them as a delta when a
//! snapshot is asked for, and is added up where it was asked.
//!
//! Six parts that know little of each other:
//! - `pacer`: when things are due, to the microsecond, and what is cut off when;
//! - `names`, `dial`, `tls`, `stream`, `connections`, `exchange`, `http1`, `http2`: one request over one connection;
//! - `web_socket`: the same for web sockets, whose frames are tungstenite's;
//! - `script`, `program`, `render`, `rows`, `cookies`, `checks`, `redirect`: what is sent, and what is made of the answer;
//!   `materials`: what it is made of;
//! - `recorder`, `collector`: counters and distributions, per thread and in all;
//! - `health`, `watch`, `cgroup`, `limits`: whether the generator keeps up;
//! - `worker`, `crowd`, `scene`, `user`, `performer`: the users of a thread, when one is at work, and what it does then.

mod buffers;
mod cgroup;
mod checks;
mod collector;
mod connections;
mod cookies;
mod crowd;
mod dial;
mod engine;
mod exchange;
mod failure;
#[cfg(any(fuzzing, test))]
pub mod fuzzing;
mod health;
mod http1;
mod http2;
mod limits;
mod materials;
mod names;
mod pacer;
mod performer;
mod program;
mod recorder;
mod redirect;
mod render;
mod rows;
mod scene;
mod script;
mod stream;
mod tls;
mod user;
mod watch;
mod web_socket;
mod worker;

/// Counts what is allocated, for tests of what is held.
#[cfg(test)]
#[global_allocator]
static ALLOCATOR: cap::Cap<std::alloc::System> = cap::Cap::new(std::alloc::System, usize::MAX);

pub use engine::{Engine, EngineError, Options};
pub use limits::raise_file_limit;
pub use materials::{Materials, Mounted, Shelf};
pub use tls::client_config;

//! Executes a plan's segment: paces users, speaks HTTP/1.1, records what came. Knows nothing of Kubernetes.
//!
//! One thread per core, each with a single-threaded runtime. A user, its connection and its recorder never change
//! thread, so that nothing on the way of a request is locked. What threads measure leaves them as a delta when a
//! snapshot is asked for, and is added up where it was asked.
//!
//! Four parts that know little of each other:
//! - `pacer`: when things are due, to the microsecond, and what is cut off when;
//! - `exchange`, `connections`, `http1`: one request over one connection;
//! - `recorder`, `collector`: counters and distributions, per thread and in all;
//! - `worker`, `user`: the users of a thread, and what one does.

mod cgroup;
mod collector;
mod connections;
mod dial;
mod engine;
mod exchange;
mod failure;
mod health;
mod http1;
mod pacer;
mod recorder;
mod script;
mod user;
mod worker;

pub use engine::{Engine, EngineError, Options};

//! Asks Prometheus for what the target says of itself: by the first runner, or by `proofload run`, once the load is over.
//!
//! The one client in a library: both binaries need it, and the operator must not, since the questions carry secrets of
//! the test's namespace. Every question has a deadline, every answer a bound, and nothing secret is in any error.

mod answer;
mod asker;
mod wire;

pub use asker::Asker;

//! From snapshots to a verdict, a report and its text: what users of this crate rely on.

#![allow(clippy::unwrap_used)] // A test may panic.

mod baseline;
mod compare;
mod csv;
mod ends;
mod findings;
mod fixtures;
mod forms;
mod health;
mod invariants;
mod junit;
mod markdown;
mod report;
mod server;
mod shapes;
mod text;
mod verdicts;
mod windows;

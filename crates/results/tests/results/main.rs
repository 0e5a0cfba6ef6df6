//! From snapshots to a verdict, a report and its text: what users of this crate rely on.

#![allow(clippy::unwrap_used)] // A test may panic.

mod fixtures;
mod health;
mod invariants;
mod report;
mod shapes;
mod text;
mod verdicts;
mod windows;

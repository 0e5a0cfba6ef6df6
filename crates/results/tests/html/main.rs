//! Reports as pages of HTML, opened in a real browser: they render, whatever went wrong with the run; their numbers are
//! those of the report; nothing in them runs or asks the network for anything.
//!
//! Needs Chromium (`apt-get install chromium`), or the path of a browser like it in `CHROMIUM`.

#![allow(clippy::unwrap_used)] // A test may panic.

mod browser;
mod figures;
#[allow(dead_code)] // What other tests use of it.
#[path = "../results/fixtures.rs"]
mod fixtures;
mod hostile;
#[path = "../../examples/long_run/run.rs"]
mod long_run;
mod pages;

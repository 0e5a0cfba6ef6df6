//! The examples that follow the reports of a suite over twelve routes and of ten thousand users, and those of what that
//! suite had not looked at: run as they are, by the command line, and held against what the target counted.
//!
//! Counts are exact where the load is a fixed amount of work. Where it is not, bounds follow from what the target's profile
//! can do, however busy this machine is.
#![allow(clippy::unwrap_used)] // A test may panic.

mod common;
#[path = "five_more/example.rs"]
mod example;
#[path = "five_more/gaps.rs"]
mod gaps;
#[path = "five_more/suite.rs"]
mod suite;
#[path = "five_more/ten_thousand.rs"]
mod ten_thousand;

//! A simulated fleet in simulated time, with faults from a seed: every run ends, and its transcript is a story.
#![allow(clippy::unwrap_used)] // in helpers of tests too

mod fleet;
mod phases;
mod plans;
mod searches;
mod stories;
mod story;

//! What follows from a schedule: its ticks in its time zone, and the tests that it runs.
//!
//! Pure: the zones come with the program, and the time comes in through a parameter.

mod run;
mod ticks;

pub use run::{InvalidTemplate, name_at, names_on_demand, run, within_template};
pub use ticks::{Due, Ticks};

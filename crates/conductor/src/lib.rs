//! The conductor: the state machine of a run, over any [`Fleet`].
//!
//! It starts runners together, hands over from one scenario to the next, stops, and says when the run is over and what
//! was lost. It is pure: what to do follows from what is observed now, so that a conductor that was killed goes on where
//! it was. `proofload run` and the operator drive the same conductor over different fleets.

pub mod control;
mod decide;
mod fleet;

pub use decide::{Action, Begin, Conditions, Decision, Ending, decide};
pub use fleet::{Fleet, RunnerView, pass};

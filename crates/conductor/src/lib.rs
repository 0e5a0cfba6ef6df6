//! The conductor: the state machine of a run, over any [`Fleet`].
//!
//! It has the setup done, starts runners together, hands over from one scenario to the next, steers searches and changes
//! of load, stops, has the teardown done, and says when the run is over and what was lost. It is pure: what to do follows
//! from what is observed now, so that a conductor that was killed goes on where it was. `proofload run` and the operator
//! drive the same conductor over different fleets.

pub mod control;
mod decide;
mod fleet;
mod phases;
mod sight;
mod steer;

pub use decide::{Action, Begin, Conditions, Decision, Ending, Steer, decide};
pub use fleet::{Fleet, RunnerView, pass};

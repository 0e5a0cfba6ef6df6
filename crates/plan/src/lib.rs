//! Compiles a load test's specification into a [`Plan`], or into every problem found, each with its field path.
//!
//! Pure: the same specification always gives the same plan. The plan is what a runner executes; a [`Segment`] is the
//! exact share of it that one runner executes; the shares add up to the plan.

mod compile;
mod curve;
mod layout;
mod model;
mod request;
mod segment;
mod size;

pub use compile::{Compiled, compile};
pub use curve::{Span, UserCurve};
pub use layout::{CellAddress, Layout};
pub use model::{Connections, Criterion, Load, PLAN_VERSION, Plan, Request, Scenario, Scope, Step, Target, ThinkTime};
pub use segment::Segment;
pub use size::{CostModel, Sizing, size};

//! Compiles a load test's specification into a [`Plan`], or into every problem found, each with its field path.
//!
//! Pure: the same specification always gives the same plan. The plan is what a runner executes; a [`Segment`] is the
//! exact share of it that one runner executes; the shares add up to the plan.

mod arrivals;
mod compile;
mod curve;
pub mod json_path;
mod layout;
pub mod model;
mod segment;
mod size;
pub mod template;

pub use arrivals::{Arrivals, RateCurve, RateSpan};
pub use compile::{Compiled, compile, level_of};
pub use curve::{Span, UserCurve};
pub use layout::{CellAddress, Layout};
pub use model::{
    Action, Body, Check, CheckKind, Condition, Connections, Criterion, DataSet, Extract, ExtractFrom, Flow, Format,
    Group, Keep, Level, Load, MAX_REDIRECTS, Node, PLAN_VERSION, Piece, Place, Plan, Protocol, Request, Role, Scenario,
    Scope, Search, ServerMetrics, ServerQuery, Source, Step, Target, ThinkTime, Tls, Variable, WebSocket,
};
pub use segment::Segment;
pub use size::{CostModel, Sizing, size};
pub use template::{Escape, Part, Template, Value};

//! What was measured and what it means: snapshots, their exact merging, criteria, the verdict, the report.
//!
//! Pure: the same snapshots always give the same report, and the verdict follows from the report alone.
//!
//! Data flows one way: [`Snapshot`]s of the runners are collected in a [`SnapshotSet`], summed into [`Totals`], doubted
//! ([`doubts`]), judged ([`judge`](judge::judge), [`verdict`](judge::verdict)), and written down in a [`Report`].

pub mod baseline;
pub mod cell;
pub mod compare;
pub mod csv;
mod distribution;
pub mod doubt;
pub mod figures;
mod finding;
mod findings;
pub mod health;
pub mod histogram;
pub mod html;
pub mod judge;
pub mod junit;
pub mod live;
pub mod markdown;
pub mod merge;
mod moment;
pub mod part;
mod phase;
pub mod pressure;
mod reason;
pub mod report;
pub mod search;
pub mod server;
pub mod setup;
mod shortfall;
mod shown;
pub mod snapshot;
pub mod status;
mod style;
pub mod text;
pub mod totals;
pub mod window;
mod words;

pub use baseline::{Baseline, BaselineReport, Earlier};
pub use cell::{Cell, CheckCount, EncodedCell, Sample};
pub use compare::{Comparison, Tolerance};
pub use distribution::{Distribution, InvalidDistribution};
pub use doubt::{Circumstances, Doubt, DoubtKind, LostRunner, doubts};
pub use figures::{Figures, TimeFigures};
pub use finding::{Evidence, Finding, FindingKind};
pub use health::{Generator, Strain, StrainKind};
pub use histogram::{EncodedTimes, Times};
pub use judge::{Judgement, judge, verdict};
pub use merge::{ForeignSnapshot, SnapshotSet};
pub use part::{Part, Region};
pub use phase::phase;
pub use pressure::{Pressure, Ratio};
pub use report::{Input, Report};
pub use server::{ServerAnswer, ServerFigures, ServerReport, ServerStage, ServerUnit};
pub use snapshot::{
    Aborted, EncodedBucket, EndCause, ErrorRecord, GeneratorRecord, LevelRecord, RunnerState, ScenarioProgress,
    Snapshot, StepResult, StopNote,
};
pub use totals::{Bucket, RunnerTotals, ScenarioTotals, Totals};
pub use window::Windows;

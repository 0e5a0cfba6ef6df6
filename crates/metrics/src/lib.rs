//! What Prometheus is told of a runner and of the operator. Pure: no clock, no network.
//!
//! [`catalogue`] describes every metric once: names, labels, words. Whoever is scraped fills an [`Exposition`] with values
//! for them, which [`Format`] writes as the scrape asks: as text, as `OpenMetrics`, or as protobuf, which alone can
//! carry native histograms. docs/metrics.md is the catalogue, too.

pub mod catalogue;
mod docs;
mod exposition;
mod family;
mod format;
mod histogram;
pub mod protobuf;
mod text;

pub use docs::{MOST_TESTS, page};
pub use exposition::{Exposition, Value};
pub use family::{Family, Kind};
pub use format::Format;
pub use histogram::{BOUNDS, Histogram, NATIVE_SCHEMA, ZERO_THRESHOLD};

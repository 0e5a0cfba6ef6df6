//! What follows from a report: conclusions that a reader would otherwise have to draw by hand, each with its evidence.
//!
//! Everything here is computed from the report's own figures, so that a reader can check it there. A conclusion is drawn
//! only from enough requests, and where chance could have made the difference there is none: on a healthy run there is
//! nothing to find but how throughput grew.

mod breaking;
mod capacity;
mod cliff;
mod contention;
mod drift;
mod level;
mod onset;
mod outage;
mod ramp;
mod recovery;
mod saturation;
mod scalability;
mod steps;
#[cfg(test)]
mod tests;
mod trend;

pub(crate) use trend::slope;

use crate::finding::Finding;
use crate::report::Report;

/// Everything that can be concluded from a report, the most important first.
pub(crate) fn findings(report: &Report) -> Vec<Finding> {
    let kinds = [
        breaking::breaking_points,
        cliff::cliffs,
        outage::outages,
        capacity::capacities,
        saturation::saturations,
        steps::broken,
        onset::onsets,
        recovery::recoveries,
        contention::contentions,
        drift::drifts,
        steps::limited,
    ];
    kinds.into_iter().flat_map(|find| find(report)).collect()
}

//! A run held against an earlier one: what came of it is a part of its report, and of its verdict.
//!
//! | what there is | outcome | the verdict |
//! | --- | --- | --- |
//! | nothing is worse by more than is tolerated and by more than chance | `Pass` | as the criteria say |
//! | something is | `Fail` | `Failed` |
//! | one of the two runs is in doubt | `Untrusted` | not `Passed` |
//! | the earlier run is missing, or the two have nothing in common that can be judged | `NoData` | not `Passed` |
//! | there is no earlier run yet, and need not be | none | as the criteria say |

use proofload_api::Verdict;
use proofload_api::status::{BaselineStatus, CriterionOutcome};
use proofload_api::units::Share;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::compare::{Against, Change, Comparison, Figure, PartChanges, Presence, Tendency, Tolerance, compare};
use crate::report::Report;
use crate::words::{rounded, safe, sentence, things};

/// So many regressions are named in a sentence.
const MOST_NAMED: usize = 3;
/// So many parts are kept of a report that has to be small.
const MOST_KEPT: usize = 10;

/// What a run is to be held against.
#[derive(Debug, Clone, PartialEq)]
pub struct Baseline {
    /// What may get worse by how much.
    pub tolerance: Share,
    /// The earlier run.
    pub earlier: Earlier,
}

/// An earlier run, as far as there is one.
#[derive(Debug, Clone, PartialEq)]
pub enum Earlier {
    /// Its report.
    Run(Box<Report>),
    /// There is none, and none is due yet: what is said of it, e.g. `no run of nightly has passed yet`.
    NoneYet(String),
    /// There should be one, and it cannot be read: why, e.g. `there is no LoadTest checkout-1`.
    Missing(String),
}

/// What came of holding a run against its baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BaselineReport {
    /// The run that it was held against; absent where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `Pass`: nothing is worse. `Fail`: something is. `NoData`: there was nothing to hold it against, or nothing alike in
    /// both. `Untrusted`: one of the runs is in doubt. Absent while there is no earlier run, and none is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<CriterionOutcome>,
    /// In a sentence or two. Foreign text: escape it before it is shown.
    pub message: String,
    /// Every change, where there were two runs. Of a report that has to be small only what is worse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
}

/// Holds a run, whose own criteria are judged, against its baseline; its verdict is then of both.
pub(crate) fn hold(report: &mut Report, baseline: &Baseline) {
    let without = |outcome, message: String| BaselineReport { name: None, outcome, message, comparison: None };
    let mut held = match &baseline.earlier {
        Earlier::Run(earlier) => against(report, earlier, baseline.tolerance),
        Earlier::NoneYet(why) => without(None, format!("Held against no earlier run: {}", sentence(&short(why)))),
        Earlier::Missing(why) => {
            let message = format!("There is no earlier run to hold it against: {}", sentence(&short(why)));
            without(Some(CriterionOutcome::NoData), message)
        }
    };
    report.baseline = Some(held.clone());
    report.verdict = report.verdict_from_parts();
    for against in held.comparison.iter_mut().flat_map(|comparison| &mut comparison.others) {
        against.run.verdict = report.verdict;
    }
    report.baseline = Some(held);
}

fn against(report: &Report, earlier: &Report, tolerance: Share) -> BaselineReport {
    let tolerance = Tolerance { relative: tolerance, ..Tolerance::default() };
    let comparison = bounded(compare(earlier, &[report], &tolerance));
    let is_doubtful = !report.doubts.is_empty() || !earlier.doubts.is_empty();
    let outcome = match comparison.verdict() {
        Verdict::Failed => CriterionOutcome::Fail,
        Verdict::Passed => CriterionOutcome::Pass,
        _ if is_doubtful => CriterionOutcome::Untrusted,
        _ => CriterionOutcome::NoData,
    };
    let name = comparison.baseline.path();
    let other = &comparison.others[0];
    let message = match outcome {
        CriterionOutcome::Pass => match other.with(Tendency::Better).count() as u64 {
            0 => format!("Not worse than {name}."),
            better => format!("Not worse than {name}, and better: {}.", things(better, "figure")),
        },
        CriterionOutcome::Fail => worse(other, &name),
        CriterionOutcome::Untrusted if !report.doubts.is_empty() => {
            format!("It cannot be held against {name} while its own figures are in doubt.")
        }
        CriterionOutcome::NoData | CriterionOutcome::Untrusted => {
            let why = other.obstacles.first().map(|why| sentence(why)).unwrap_or_default();
            format!("It cannot be held against {name}. {why}")
        }
    };
    BaselineReport { name: Some(name), outcome: Some(outcome), message, comparison: Some(comparison) }
}

/// The first few of what got worse.
fn worse(against: &Against, name: &str) -> String {
    let all: Vec<String> = against.with(Tendency::Worse).map(told).collect();
    let more = match all.len().saturating_sub(MOST_NAMED) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    let named = all.iter().take(MOST_NAMED).map(String::as_str).collect::<Vec<_>>();
    format!("Worse than {name}: {}{more}.", named.join("; "))
}

fn told((part, change): (&PartChanges, &Change)) -> String {
    format!("{} {}", part.path(), change.told())
}

impl BaselineReport {
    /// What got worse beyond the tolerance and beyond chance, a line each: `main/get p95 20ms -> 26ms, +30% (+25% to +36%)`.
    /// Foreign text.
    pub fn regressions(&self) -> impl Iterator<Item = String> {
        let others = self.comparison.iter().flat_map(|comparison| &comparison.others);
        others.flat_map(|against| against.with(Tendency::Worse)).map(told)
    }

    /// Leaves out what a small report has no room for: all but the first parts that are worse.
    pub(crate) fn shrink(&mut self) {
        for against in self.comparison.iter_mut().flat_map(|comparison| &mut comparison.others) {
            let is_worse = |change: &Change| change.finding == Some(Tendency::Worse);
            // The first is the whole run, whose change is in status and in the metrics.
            let mut index = 0..;
            against.parts.retain(|part| index.next() == Some(0) || part.changes.iter().any(is_worse));
            against.parts.truncate(MOST_KEPT);
        }
    }
}

impl From<&BaselineReport> for BaselineStatus {
    fn from(report: &BaselineReport) -> Self {
        Self {
            name: report.name.clone().unwrap_or_default(),
            outcome: report.outcome,
            regressions: report.regressions().take(Self::MOST_REGRESSIONS).collect(),
            message: short(&report.message),
        }
    }
}

/// A comparison that does not grow with what a foreign report says, nor is more exact than its figures are.
fn bounded(mut comparison: Comparison) -> Comparison {
    /// So many notes of a kind.
    const MOST_NOTES: usize = 20;
    /// So many parts that only the earlier run has: no plan has more of its own.
    const MOST_REMOVED: usize = 200;
    let runs =
        std::iter::once(&mut comparison.baseline).chain(comparison.others.iter_mut().map(|other| &mut other.run));
    for run in runs {
        run.name = name_of(&run.name);
        run.namespace = run.namespace.as_deref().map(name_of);
        run.start = run.start.as_deref().map(name_of);
    }
    for against in &mut comparison.others {
        for notes in [&mut against.obstacles, &mut against.warnings] {
            notes.truncate(MOST_NOTES);
            for note in notes {
                *note = short(note);
            }
        }
        let mut removed = 0;
        against.parts.retain(|part| {
            removed += usize::from(part.presence == Presence::Removed);
            part.presence != Presence::Removed || removed <= MOST_REMOVED
        });
        for part in &mut against.parts {
            part.scenario = part.scenario.as_deref().map(name_of);
            part.step = part.step.as_deref().map(name_of);
            part.changes.iter_mut().for_each(round);
        }
    }
    comparison
}

fn round(change: &mut Change) {
    let decimals = if matches!(change.figure, Figure::Errors) { 6 } else { 4 };
    for share in [&mut change.change, &mut change.low, &mut change.high].into_iter().flatten() {
        *share = rounded(*share, decimals);
    }
}

/// A foreign text that is safe to print, and has an end.
fn short(text: &str) -> String {
    cut(text, 400)
}

/// A foreign name, the same way.
fn name_of(text: &str) -> String {
    cut(text, 100)
}

fn cut(text: &str, most: usize) -> String {
    let mut shown: String = text.chars().take(most).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    safe(&shown)
}

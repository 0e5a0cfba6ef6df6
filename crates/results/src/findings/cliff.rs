//! The cliff: between which scenarios of different load the target stops serving.

use proofload_api::Verdict;
use proofload_api::units::short_share;

use super::level::{FEWEST, in_words, overlap, planned_users, without_wrong};
use crate::figures::Figures;
use crate::finding::{Evidence, Finding, FindingKind};
use crate::report::{Report, ScenarioReport};
use crate::words::{grouped, share, things};

/// More errors than this, and the target does not serve any more.
const BAD: f64 = 0.5;
/// Fewer, and it does.
const GOOD: f64 = 0.05;
/// So many times as slow is another answer.
const SLOWER: u64 = 10;

/// The cliff, if there is one: at most one.
pub(super) fn cliffs(report: &Report) -> Vec<Finding> {
    let is_seen = |scenario: &&ScenarioReport| {
        scenario.figures.requests >= FEWEST && planned_users(scenario).is_some() && scenario.load.began.is_some()
    };
    let mut seen: Vec<&ScenarioReport> = report.scenarios.iter().filter(is_seen).collect();
    seen.sort_by_key(|scenario| scenario.load.planned_users);
    cliff(&seen).into_iter().collect()
}

fn cliff(seen: &[&ScenarioReport]) -> Option<Finding> {
    let place = seen.iter().rposition(|scenario| has_kept(scenario))?;
    let kept = seen[place];
    let is_over = |scenario: &&&ScenarioReport| {
        let has_more = scenario.load.planned_users > kept.load.planned_users;
        has_more && !overlap(scenario, kept) && has_failed_badly(scenario, kept)
    };
    let failed = seen[place..].iter().find(is_over)?;
    // What fails with no more users than were borne fails by something else than their number.
    let is_no_more = |scenario: &&&ScenarioReport| scenario.load.planned_users <= kept.load.planned_users;
    if seen.iter().filter(is_no_more).any(|scenario| has_failed_badly(scenario, kept)) {
        return None;
    }
    let (low, high) = (kept.load.planned_users, failed.load.planned_users);
    let errors = errors_of_load(&failed.figures);
    let how = if errors >= BAD {
        format!("of {} {} failed", failed.name, short_share(failed.figures.error_share().unwrap_or(0.0)))
    } else {
        format!("{} was more than {SLOWER} times as slow", failed.name)
    };
    let (low, high) = (grouped(low.into()), things(high.into(), "user"));
    let text = format!("The cliff lies between {low} and {high}: scenario {} held, {how}.", kept.name);
    let row = |scenario: &&ScenarioReport| {
        let users = things(scenario.load.planned_users.into(), "user");
        Evidence::new(format!("{} with {users}", scenario.name), in_words(&scenario.figures))
    };
    Some(Finding { kind: FindingKind::Cliff, text, evidence: seen.iter().map(row).collect() })
}

fn has_kept(scenario: &ScenarioReport) -> bool {
    match scenario.verdict {
        Verdict::Passed => true,
        Verdict::Failed => false,
        Verdict::Inconclusive | Verdict::Error | Verdict::Unjudged => errors_of_load(&scenario.figures) < GOOD,
    }
}

fn has_failed_badly(scenario: &ScenarioReport, kept: &ScenarioReport) -> bool {
    let p95 = |scenario: &ScenarioReport| scenario.figures.latency.as_ref().map_or(0, |latency| latency.p95);
    // Another scenario may ask for what takes longer: that it is too long only its criteria can tell.
    let is_slower = p95(kept) > 0 && p95(scenario) >= p95(kept).saturating_mul(SLOWER);
    let is_bad = errors_of_load(&scenario.figures) >= BAD;
    scenario.verdict != Verdict::Passed && (is_bad || (is_slower && scenario.verdict == Verdict::Failed))
}

/// The share of requests that failed in a way that load can lead to.
fn errors_of_load(figures: &Figures) -> f64 {
    share(without_wrong(figures), figures.ok.saturating_add(figures.errors))
}

//! Conditions and messages of a status: what each end of a run means for those who wait on a condition.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use proofload_api::{LoadTestStatus, Verdict};

use crate::observe::World;

/// The longest message, in bytes: events take 1,024, and status, which repeats it in every condition, at most 64 KiB.
pub(super) const MAX_MESSAGE: usize = 800;
/// The longest list of problems: all of them, in `status.message` alone, of a status that has nothing else to say.
pub(crate) const MAX_PROBLEMS: usize = 16_000;

/// The condition that says that a report could not be stored at once; a run without that trouble has none.
pub(crate) const REPORT_STORED: &str = "ReportStored";

pub(crate) fn shorten(text: &str) -> String {
    shorten_to(text, MAX_MESSAGE)
}

pub(crate) fn shorten_to(text: &str, most: usize) -> String {
    if text.len() <= most { text.to_owned() } else { format!("{}...", &text[..text.floor_char_boundary(most - 3)]) }
}

pub(super) fn progressing(status: &mut LoadTestStatus, world: &World, reason: &str, message: &str) {
    set(status, world, "Reconciling", "True", reason, message);
    set(status, world, "Finished", "False", reason, message);
    set(status, world, "Succeeded", "Unknown", reason, message);
}

/// The last conditions of a run: `Stalled` says that a person must change something for it ever to work.
pub(super) fn conclude(status: &mut LoadTestStatus, world: &World, verdict: Verdict, reason: &str, message: &str) {
    let succeeded = match verdict {
        Verdict::Passed => "True",
        Verdict::Failed | Verdict::Error => "False",
        Verdict::Inconclusive | Verdict::Unjudged => "Unknown",
    };
    set(status, world, "Finished", "True", reason, message);
    set(status, world, "Succeeded", succeeded, reason, message);
    set(status, world, "Reconciling", "False", reason, message);
    let stalled = if verdict == Verdict::Error { "True" } else { "False" };
    set(status, world, "Stalled", stalled, reason, message);
}

pub(super) fn set(status: &mut LoadTestStatus, world: &World, kind: &str, value: &str, reason: &str, message: &str) {
    let mut condition = Condition {
        type_: kind.to_owned(),
        status: value.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        observed_generation: world.test.metadata.generation,
        last_transition_time: Time(world.now),
    };
    match status.conditions.iter_mut().find(|old| old.type_ == kind) {
        Some(old) => {
            if old.status == condition.status {
                condition.last_transition_time = old.last_transition_time.clone();
            }
            *old = condition;
        }
        None => status.conditions.push(condition),
    }
}

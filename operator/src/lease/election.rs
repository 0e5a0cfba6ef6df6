//! What to do about the Lease, from what is found in it: pure, with the time as a parameter.
//!
//! Clocks of nodes are never compared. That a Lease is kept up is known by its record having changed, and for how long it
//! has not, by the clock of whoever looks at it: so a clock that is wrong, or that is put back, makes nobody lead. A
//! leader counts from the moment in which it *asked* for its last renewal, others from when they *saw* it, which is
//! later; and it gives up after less time than they wait for.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::{SignedDuration, Timestamp};

/// For so long others wait after the last change that they saw.
pub(super) const LASTS: Duration = Duration::from_secs(15);

/// A leader whose last renewal is older than this ends.
pub(super) const RENEWED_WITHIN: Duration = Duration::from_secs(10);

/// One that may lead.
#[derive(Debug)]
pub(super) struct Election {
    name: String,
    identity: String,
    /// The record that was found last, and when it was first found so.
    seen: Option<(LeaseSpec, Instant)>,
    /// When the last renewal that succeeded was asked for.
    renewed: Option<Instant>,
}

/// What is to be done now.
#[derive(Debug, PartialEq)]
pub(super) enum Turn {
    /// Another holds the Lease.
    Wait { holder: String },
    /// Create it.
    Create(Box<Lease>),
    /// Write it, if it is still of the version that was found.
    Replace(Box<Lease>),
    /// It was ours, and another has it.
    Lost { holder: String },
}

impl Election {
    /// For the Lease of this name, by one that no other is called like.
    pub(super) fn new(name: &str, identity: &str) -> Self {
        Self { name: name.to_owned(), identity: identity.to_owned(), seen: None, renewed: None }
    }

    /// What to do with the Lease that is there; `wall` is only ever written.
    pub(super) fn turn(&mut self, found: Option<&Lease>, now: Instant, wall: Timestamp) -> Turn {
        let Some(found) = found else { return self.without(now, wall) };
        let record = found.spec.clone().unwrap_or_default();
        if self.seen.as_ref().is_none_or(|(seen, _)| *seen != record) {
            self.seen = Some((record.clone(), now));
        }
        match holder(&record) {
            Some(other) if other != self.identity && self.renewed.is_some() => Turn::Lost { holder: other.to_owned() },
            Some(other) if other != self.identity && !self.is_over(now) => Turn::Wait { holder: other.to_owned() },
            _ => Turn::Replace(Box::new(Lease {
                metadata: found.metadata.clone(),
                spec: Some(self.ours(&record, wall)),
            })),
        }
    }

    /// A Lease that somebody deletes is no less held than before.
    fn without(&self, now: Instant, wall: Timestamp) -> Turn {
        let known = self.seen.as_ref().map(|(record, _)| record);
        match known.and_then(holder) {
            Some(other) if other != self.identity && !self.is_over(now) => Turn::Wait { holder: other.to_owned() },
            _ => Turn::Create(Box::new(Lease {
                metadata: ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() },
                spec: Some(self.ours(known.unwrap_or(&LeaseSpec::default()), wall)),
            })),
        }
    }

    /// Nothing has changed for as long as the holder itself said.
    fn is_over(&self, now: Instant) -> bool {
        self.seen.as_ref().is_some_and(|(record, since)| {
            let seconds = record.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
            now.duration_since(*since) >= seconds.map_or(LASTS, Duration::from_secs)
        })
    }

    /// The record by which the Lease is ours.
    fn ours(&self, before: &LeaseSpec, wall: Timestamp) -> LeaseSpec {
        let is_ours = holder(before) == Some(&self.identity);
        // A clock that was put back must not write what is there already: nobody would see a change.
        let last = before.renew_time.as_ref().map(|time| time.0).filter(|last| is_ours && *last >= wall);
        let at = last.and_then(|last| last.checked_add(SignedDuration::from_micros(1)).ok()).unwrap_or(wall);
        let transitions = before.lease_transitions.unwrap_or(0);
        let is_first = before.lease_transitions.is_none();
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(LASTS.as_secs()).ok(),
            acquire_time: before.acquire_time.clone().filter(|_| is_ours).or(Some(MicroTime(at))),
            renew_time: Some(MicroTime(at)),
            lease_transitions: Some(if is_ours || is_first { transitions } else { transitions.saturating_add(1) }),
            ..LeaseSpec::default()
        }
    }

    /// What was to be written is written; it was asked for then.
    pub(super) fn wrote(&mut self, asked: Instant) {
        self.renewed = Some(asked);
    }

    /// Until when this one may act; none while it may not.
    pub(super) fn leads_until(&self) -> Option<Instant> {
        Some(self.renewed? + RENEWED_WITHIN)
    }

    /// The Lease as it is let go, where it is ours: who comes next need not wait.
    pub(super) fn released(&self, found: Lease, wall: Timestamp) -> Option<Lease> {
        let record = found.spec.filter(|record| holder(record) == Some(&self.identity))?;
        let spec = LeaseSpec {
            holder_identity: None,
            lease_duration_seconds: Some(1),
            renew_time: Some(MicroTime(wall)),
            ..record
        };
        Some(Lease { metadata: found.metadata, spec: Some(spec) })
    }
}

/// Who holds it.
fn holder(record: &LeaseSpec) -> Option<&str> {
    record.holder_identity.as_deref().filter(|holder| !holder.is_empty())
}

#[cfg(test)]
mod tests;

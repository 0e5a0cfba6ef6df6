//! What status says of the copy of a report, and of nothing else: the verdict stands.

use kube::runtime::events::EventType;
use proofload_api::LoadTest;
use proofload_api::status::{StorePhase, StoreStatus};

use super::conditions::shorten;
use super::{Draft, reason};
use crate::apply::Applied;
use crate::build::store::location;
use crate::decide::{Copying, TRIED_AGAIN};
use crate::observe::World;

/// What is said of a copy that was not begun.
pub(super) fn pending(test: &LoadTest) -> Option<StoreStatus> {
    let store = test.spec.results.store.as_ref()?;
    Some(StoreStatus { phase: StorePhase::Pending, location: location(test, store), message: String::new() })
}

/// What follows from a step of the copy; none if it says nothing.
pub(super) fn copying(world: &World, copying: &Copying, applied: &Applied) -> Option<Draft> {
    let mut new = match (copying, applied) {
        (Copying::Make(status), Applied::Refused(why)) => {
            StoreStatus { phase: StorePhase::Retrying, message: format!("{TRIED_AGAIN}{why}"), ..status.clone() }
        }
        (Copying::Make(status) | Copying::Say(status), _) => status.clone(),
        (Copying::CleanUp, _) => return None,
    };
    new.message = shorten(&new.message);
    let mut status = world.status();
    let report = status.report.as_mut()?;
    let old = report.store.replace(new.clone());
    let is_new = old.is_none_or(|old| old.phase != new.phase);
    let event = match new.phase {
        StorePhase::Pending => None,
        StorePhase::Retrying => Some((EventType::Warning, reason::STORE_RETRYING, new.message)),
        StorePhase::Stored => Some((EventType::Normal, reason::STORED, format!("The report is at {}", new.location))),
        StorePhase::Failed => Some((EventType::Warning, reason::STORE_FAILED, new.message)),
    };
    let events = event.filter(|_| is_new).into_iter().collect();
    Some(Draft { status, events, urgent: true })
}

//! What becomes of a request, whichever protocol it came by: the answer or the action, and its count.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use crate::Shared;
use crate::action::Action;
use crate::counts::RequestInFlight;
use crate::request::Request;
use crate::service::Answer;

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    Answer(Answer),
    Act(Action),
}

impl Shared {
    /// Decides, and counts the request as in flight; then waits for as long as the switch says.
    pub(crate) async fn decide(&self, request: &Request, from: IpAddr) -> (Reply, RequestInFlight<'_>) {
        let Self { ledger, gate, service, .. } = self;
        let session = service.session(request.cookie.as_deref(), ledger);
        let behaviour = gate.behaviour();
        let (reply, name) = if request.full.is_some() && behaviour.status.is_none() {
            let answer = service.answer(request, session, ledger).await;
            let name = name(answer.status);
            (Reply::Answer(answer), name)
        } else {
            let action = match behaviour.status {
                Some(status) => Action::Status(status),
                None => Action::of(&request.path, ledger, gate),
            };
            (Reply::Act(action), action.name())
        };
        let in_flight = ledger.request(&request.path, &request.query, &name, from);
        pause(behaviour.delay).await;
        (reply, in_flight)
    }
}

async fn pause(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

/// The name under which an answer of the service is counted.
fn name(status: u16) -> Cow<'static, str> {
    if (200..300).contains(&status) { Cow::Borrowed("ok") } else { Action::Status(status).name() }
}

//! What becomes of a request, whichever protocol it came by: the answer or the action, and its count.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use crate::Shared;
use crate::action::Action;
use crate::counts::RequestInFlight;
use crate::profile::{self, Visit};
use crate::request::{Full, Request};
use crate::service::Answer;

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    Answer(Answer),
    Act(Action),
}

/// A request is in flight, for the counts and for its profile, for as long as this lives.
pub(crate) type InFlight<'a> = (RequestInFlight<'a>, Option<Visit<'a>>);

impl Shared {
    /// Decides, and counts the request as in flight; then waits for as long as the switch and the request's profile say.
    pub(crate) async fn decide<'a>(&'a self, request: &'a Request, from: IpAddr) -> (Reply, InFlight<'a>) {
        let Self { ledger, gate, service, .. } = self;
        let session = service.session(request.cookie.as_deref(), ledger);
        let behaviour = gate.behaviour();
        if let (Some(full), None) = (&request.full, behaviour.status)
            && profile::answers(&request.path)
        {
            let decided = self.play(request, full, session, from).await;
            pause(behaviour.delay).await;
            return decided;
        }
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
        (reply, (in_flight, None))
    }

    /// What a profile does with a request.
    async fn play<'a>(
        &'a self,
        request: &'a Request,
        full: &'a Full,
        session: Option<u64>,
        from: IpAddr,
    ) -> (Reply, InFlight<'a>) {
        let count = |name: &str| self.ledger.request(&request.path, &request.query, name, from);
        let Some(mut visit) = self.profiles.visit(request, full, from) else {
            return (profile::not_found(), (count(&name(404)), None));
        };
        let in_flight = count(&visit.name());
        visit.wait(&self.ledger).await;
        (visit.reply(request, session, self).await, (in_flight, Some(visit)))
    }
}

async fn pause(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

/// The name under which an answer of the service is counted.
pub(crate) fn name(status: u16) -> Cow<'static, str> {
    if (200..300).contains(&status) { Cow::Borrowed("ok") } else { Action::Status(status).name() }
}

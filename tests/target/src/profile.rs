//! Services that were seen to behave in a certain way under load, to be played again: `/profile/NAME/REST`.
//!
//! A profile is a table of routes and of what they share: workers with a line before them, limits, memory that leaks, a
//! crash. What becomes of a request follows from those that came before it, by calculation; nothing is drawn by chance.
//! So a request is counted, with its end, when it comes, and two runs of the same load get the same answers.
//!
//! | profile | what it is |
//! | --- | --- |
//! | `ambient-api` | one slow endpoint, which a proxy gives up on beyond 30 requests at once |
//! | `deployments` | quick for 200 users; a burst of large deployments takes it down |
//! | `threads-api` | crashes as soon as some users come: every request fails, by a reset or its timeout |
//! | `threads-api-fixed` | the same service when it is well: sessions, and a capacity between 50 and 100 users |
//! | `concurrency-suite` | limits its clients well, and hangs: 60 or 30 requests of a route, 429 for the rest, then no answer |
//! | `suite-soak` | leaks, and gets slower by that |
//! | `suite-rise` | 200 requests a second, whoever asks |
//! | `suite-recovery` | restarts under too many requests, for four seconds |
//! | `suite-sequential` | works on two requests at a time |
//! | `ten-thousand-users` | 250 requests a second, and almost everybody else is turned away, now or later |
//! | `parts` `crashes` | each word of profiles on a route of its own |
//!
//! A profile begins anew when nothing was asked of it and nothing was in flight for 2 seconds (or what it says itself), and
//! when the counts are cleared.

mod ambient_api;
mod deployments;
mod limiter;
mod model;
mod parts;
mod pool;
mod run;
mod suite;
mod ten_thousand_users;
#[cfg(test)]
mod tests;
mod threads_api;

use std::borrow::Cow;
use std::future::pending;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::Shared;
use crate::action::Action;
use crate::counts::Ledger;
use crate::decide::{self, Reply};
use crate::request::{Full, Request};
use crate::service::Answer;
use model::{End, Profile};
use run::{Admitted, Asking, Run};

/// Every profile.
const PROFILES: [&Profile; 12] = [
    &ambient_api::PROFILE,
    &deployments::PROFILE,
    &threads_api::PROFILE,
    &threads_api::FIXED,
    &suite::SUITE,
    &suite::SOAK,
    &suite::RISE,
    &suite::RECOVERY,
    &suite::SEQUENTIAL,
    &ten_thousand_users::PROFILE,
    &parts::PARTS,
    &parts::CRASHES,
];

/// The first word of the paths that profiles answer.
const WORD: &str = "profile";

/// By how much tokio's timers, which are a millisecond coarse, are late in the mean.
const LATE: Duration = Duration::from_micros(500);

/// The profiles of one server.
#[derive(Debug)]
pub(crate) struct Profiles {
    began: Instant,
    runs: Mutex<Vec<Run>>,
}

impl Default for Profiles {
    fn default() -> Self {
        let run = |profile| Run::new(profile, 0, Duration::ZERO);
        Self { began: Instant::now(), runs: Mutex::new(PROFILES.into_iter().map(run).collect()) }
    }
}

/// A request that is in flight for as long as this lives.
#[derive(Debug)]
pub(crate) struct Visit<'a> {
    profiles: &'a Profiles,
    index: usize,
    asking: Asking<'a>,
    admitted: Admitted,
}

/// Whether a path is answered by a profile, which then needs all of the request.
pub(crate) fn answers(path: &str) -> bool {
    name_and_rest(path).is_some()
}

/// The name of a profile, and the path below it.
fn name_and_rest(path: &str) -> Option<(&str, &str)> {
    let below = path.trim_start_matches('/').strip_prefix(WORD)?.strip_prefix('/')?;
    Some(below.find('/').map_or((below, "/"), |slash| below.split_at(slash)))
}

/// The answer where there is no such profile, or no such route.
pub(crate) fn not_found() -> Reply {
    Reply::Answer(Answer::json(404, &json!({"error": "not found"})))
}

impl Profiles {
    fn lock(&self) -> MutexGuard<'_, Vec<Run>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Lets all of them begin anew.
    pub(crate) fn clear(&self) {
        let mut runs = self.lock();
        let now = self.now();
        runs.iter_mut().for_each(|run| run.reset(now));
    }

    /// A request comes; none if there is nothing that it could be for.
    pub(crate) fn visit<'a>(&'a self, request: &'a Request, full: &'a Full, from: IpAddr) -> Option<Visit<'a>> {
        let (name, path) = name_and_rest(&request.path)?;
        let index = PROFILES.iter().position(|profile| profile.name == name)?;
        let asking = Asking { method: &full.method, path, query: &request.query, from };
        let mut runs = self.lock();
        // Within the lock: the times that a run sees never go back.
        let admitted = runs[index].admit(asking, self.now())?;
        Some(Visit { profiles: self, index, asking, admitted })
    }
}

impl Visit<'_> {
    /// The name under which the request is counted.
    pub(crate) fn name(&self) -> Cow<'static, str> {
        name(self.admitted.fate.end)
    }

    /// Waits for the request's end. Where it is another one than when the request came, since the service has crashed,
    /// it is counted as that.
    pub(crate) async fn wait(&mut self, ledger: &Ledger) {
        loop {
            let at = self.profiles.began + self.admitted.fate.at.saturating_sub(LATE);
            if at <= Instant::now() {
                return;
            }
            tokio::select! {
                () = sleep_until(at) => return,
                () = crash(&mut self.admitted.crashes) => {
                    let before = self.name();
                    let mut runs = self.profiles.lock();
                    let now = self.profiles.now();
                    self.admitted.fate = runs[self.index].crash_takes(self.admitted.route, self.asking, now);
                    ledger.instead(&before, &self.name());
                }
            }
        }
    }

    /// What the request's end is for who writes it.
    pub(crate) async fn reply(&self, request: &Request, session: Option<u64>, shared: &Shared) -> Reply {
        let json = |status, body: String| {
            let headers = vec![("Content-Type", "application/json".to_owned())];
            Reply::Answer(Answer { status, headers, body: body.into_bytes() })
        };
        match self.admitted.fate.end {
            End::Answer(status, body) => json(status, body.to_owned()),
            End::Statistics => json(200, self.profiles.lock()[self.index].statistics()),
            End::AsPath(path) => {
                let mut request = request.clone();
                path.clone_into(&mut request.path);
                let answer = shared.service.answer(&request, session, &shared.ledger).await;
                shared.ledger.instead(&self.name(), &decide::name(answer.status));
                Reply::Answer(answer)
            }
            End::Reset => Reply::Act(Action::Reset),
            End::Close => Reply::Act(Action::Close),
            End::Hang => Reply::Act(Action::Hang),
        }
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        let mut runs = self.profiles.lock();
        runs[self.index].leave(self.admitted.generation, self.profiles.now());
    }
}

/// The name under which an end is counted.
fn name(end: End) -> Cow<'static, str> {
    match end {
        End::Statistics | End::AsPath(_) => Cow::Borrowed("ok"),
        End::Answer(status, _) => decide::name(status),
        End::Reset => Action::Reset.name(),
        End::Close => Action::Close.name(),
        End::Hang => Action::Hang.name(),
    }
}

/// Waits for the service to crash. One that has begun anew does not.
async fn crash(crashes: &mut watch::Receiver<u64>) {
    if crashes.changed().await.is_err() {
        pending::<()>().await;
    }
}

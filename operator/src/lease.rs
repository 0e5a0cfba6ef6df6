//! Which of several operators acts: the one that holds the Lease. The others are ready to.
//!
//! It is renewed by a thread with a client of its own, so that neither a long pass nor a connection that is stuck keeps it
//! from being renewed. When it cannot be renewed, the process ends, before another can hold it: what is under way ends
//! with it. Nothing relies on this for being right: every write of a pass may be done twice (see ARCHITECTURE.md), so two
//! operators that act for a moment, because a machine stood still between looking at the clock and writing, come to the
//! same.

mod election;

use std::time::{Duration, Instant};

use anyhow::Context as _;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::sync::{oneshot, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::{error, info, warn};

use self::election::{Election, RENEWED_WITHIN, Turn};

/// Between two looks at the Lease.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The API server is given so long; then it is asked again, by another connection.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// Which Lease, and who wants it.
pub(crate) struct Candidate {
    pub(crate) name: String,
    /// Default: this pod's.
    pub(crate) namespace: Option<String>,
    /// The pod's name: a container that is started again in it holds the Lease still.
    pub(crate) identity: String,
}

/// Where an operator stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The Lease could not be looked at, or written, for this reason.
    Unknown(String),
    /// Another acts.
    Standby { holder: String },
    /// This one acts.
    Leader,
}

/// The thread that contends for the Lease and keeps it.
pub(crate) struct Leadership {
    standing: watch::Receiver<Standing>,
    /// None where there is no election.
    release: Option<oneshot::Sender<oneshot::Sender<()>>>,
    /// Keeps the standing where there is no thread that does.
    _alone: Option<watch::Sender<Standing>>,
}

impl Leadership {
    /// Without an election: the only operator that there is.
    pub(crate) fn alone() -> Self {
        let (alone, standing) = watch::channel(Standing::Leader);
        Self { standing, release: None, _alone: Some(alone) }
    }

    /// Begins to contend.
    pub(crate) fn contend(candidate: Candidate) -> anyhow::Result<Self> {
        let (sender, standing) = watch::channel(Standing::Unknown("it was not looked at yet".to_owned()));
        let (release, released) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let contend = move || {
            if let Err(error) = runtime.block_on(Contender::run(&candidate, sender, released)) {
                error!("cannot contend for the Lease: {error:#}");
            }
        };
        std::thread::Builder::new().name("lease".to_owned()).spawn(contend).context("cannot start a thread")?;
        Ok(Self { standing, release: Some(release), _alone: None })
    }

    /// Where this operator stands, from now on.
    pub(crate) fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.clone()
    }

    /// Waits until this operator is to act.
    pub(crate) async fn won(&self) -> anyhow::Result<()> {
        let mut standing = self.standing();
        standing.wait_for(|standing| *standing == Standing::Leader).await.context("nobody contends for the Lease")?;
        Ok(())
    }

    /// Lets the Lease go, so that another can act at once. Only after the last pass is over.
    pub(crate) async fn release(self) {
        let Some(release) = self.release else { return };
        let (done, is_done) = oneshot::channel();
        // An error says that the thread has ended, which holds nothing then.
        if release.send(done).is_ok() && is_done.await.is_ok() {
            info!("the Lease is let go");
        }
    }
}

/// What the thread works with.
struct Contender {
    api: Api<Lease>,
    name: String,
    election: Election,
    standing: watch::Sender<Standing>,
}

impl Contender {
    async fn run(
        candidate: &Candidate,
        standing: watch::Sender<Standing>,
        mut released: oneshot::Receiver<oneshot::Sender<()>>,
    ) -> anyhow::Result<()> {
        let client = Client::try_default().await.context("cannot find the cluster's API server")?;
        let namespace = candidate.namespace.clone().unwrap_or_else(|| client.default_namespace().to_owned());
        let api = Api::namespaced(client, &namespace);
        let election = Election::new(&candidate.name, &candidate.identity);
        let mut contender = Self { api, name: candidate.name.clone(), election, standing };
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                done = &mut released => {
                    contender.standing.send_replace(Standing::Unknown("it is let go".to_owned()));
                    // Nobody to tell when it is done: the process ends without having asked.
                    if let Ok(done) = done && contender.let_go().await {
                        let _ = done.send(());
                    }
                    return Ok(());
                }
                _ = looks.tick() => contender.look().await,
            }
        }
    }

    /// Looks at the Lease and does what is to be done; ends the process if it may no longer act.
    async fn look(&mut self) {
        let left = self.election.leads_until().map(|until| until.saturating_duration_since(Instant::now()));
        let patience = left.map_or(ANSWER_WITHIN, |left| left.min(ANSWER_WITHIN));
        let standing = match timeout(patience, self.turn()).await {
            Ok(Ok(standing)) => standing,
            Ok(Err(error)) => Standing::Unknown(error.to_string()),
            Err(_) => Standing::Unknown(format!("the API server did not answer within {patience:?}")),
        };
        match (self.election.leads_until(), &standing) {
            (Some(_), Standing::Standby { holder }) => end(&format!("{holder} holds the Lease")),
            (Some(until), Standing::Unknown(why)) if Instant::now() >= until => {
                end(&format!("the Lease could not be renewed for {RENEWED_WITHIN:?}: {why}"));
            }
            (Some(_), Standing::Unknown(why)) => warn!("the Lease is not renewed yet: {why}"),
            _ => self.say(standing),
        }
    }

    /// A leader that has trouble with a renewal is one still: that is not said here.
    fn say(&self, standing: Standing) {
        self.standing.send_if_modified(|known| {
            let is_new = *known != standing;
            if is_new {
                match &standing {
                    Standing::Unknown(why) => warn!("the Lease {} cannot be had: {why}", self.name),
                    Standing::Standby { holder } => info!("standby: {holder} holds the Lease {}", self.name),
                    Standing::Leader => info!("leader: holds the Lease {}", self.name),
                }
                *known = standing;
            }
            is_new
        });
    }

    async fn turn(&mut self) -> kube::Result<Standing> {
        let asked = Instant::now();
        let found = self.api.get_opt(&self.name).await?;
        let written = match self.election.turn(found.as_ref(), asked, Timestamp::now()) {
            Turn::Wait { holder } | Turn::Lost { holder } => return Ok(Standing::Standby { holder }),
            Turn::Create(lease) => self.api.create(&PostParams::default(), &lease).await,
            Turn::Replace(lease) => self.api.replace(&self.name, &PostParams::default(), &lease).await,
        };
        written?;
        self.election.wrote(asked);
        Ok(Standing::Leader)
    }

    async fn let_go(&mut self) -> bool {
        let releasing = async {
            let Some(found) = self.api.get_opt(&self.name).await? else { return Ok(false) };
            let Some(lease) = self.election.released(found, Timestamp::now()) else { return Ok(false) };
            self.api.replace(&self.name, &PostParams::default(), &lease).await.map(|_| true)
        };
        match timeout(ANSWER_WITHIN, releasing).await {
            Ok(Ok(was_ours)) => was_ours,
            Ok(Err(error)) => {
                warn!("the Lease could not be let go, and lasts until it is over: {error}");
                false
            }
            Err(_) => {
                warn!("the Lease could not be let go within {ANSWER_WITHIN:?}, and lasts until it is over");
                false
            }
        }
    }
}

/// The only way to be sure that nothing is written any more: passes may be under way on every thread.
fn end(why: &str) -> ! {
    error!("this operator no longer leads and ends: {why}");
    std::process::exit(1)
}

//! `proofload trigger`: one run of a schedule now.
//!
//! The wish is an annotation of the schedule; the operator makes the run, as it does at a tick.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use proofload_api::schedule::{RunCause, ScheduleState, marks};
use proofload_api::{LoadTest, LoadTestSchedule, LoadTestScheduleStatus, Verdict};
use serde_json::json;

use crate::args::TriggerArgs;
use crate::cluster::connect;
use crate::exit::Exit;
use crate::screen;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);

/// Asks for a run, and waits for its verdict where that is wanted.
pub(crate) fn trigger(args: &TriggerArgs) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(asked(args))
}

async fn asked(args: &TriggerArgs) -> anyhow::Result<Exit> {
    let (client, namespace) = connect(&args.cluster).await?;
    let schedules: Api<LoadTestSchedule> = Api::namespaced(client.clone(), &namespace);
    let name = &args.name;
    let schedule = schedules.get_opt(name).await.context("asking for the LoadTestSchedule")?;
    let schedule = schedule.with_context(|| format!("there is no LoadTestSchedule {name} in namespace {namespace}"))?;
    if let Some(status) = &schedule.status
        && status.state == Some(ScheduleState::Invalid)
        && status.observed_generation == schedule.metadata.generation
    {
        bail!("{namespace}/{name} cannot be run: {}", status.message);
    }
    let tests: Api<LoadTest> = Api::namespaced(client, &namespace);
    let before = if args.wait { on_demand(&tests, &schedule).await? } else { Vec::new() };
    let wish = jiff::Timestamp::now().to_string();
    let patch = json!({"metadata": {"annotations": {marks::TRIGGER: wish}}});
    schedules.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await.context("changing the schedule")?;
    if !args.wait {
        screen::print(&format!(
            "{namespace}/{name}: asked for a run; kubectl get lts {name} -n {namespace} shows it\n"
        ))?;
        return Ok(Exit::Passed);
    }
    let deadline = Instant::now() + Duration::from(args.timeout);
    let mut looks = tokio::time::interval(EVERY);
    // Once it is known: somebody else may ask for another one meanwhile.
    let mut ours: Option<LoadTest> = None;
    loop {
        looks.tick().await;
        let schedule = schedules.get(name).await.context("asking for the LoadTestSchedule")?;
        let status = schedule.status.clone().unwrap_or_default();
        let runs = on_demand(&tests, &schedule).await?;
        let is_dealt_with = status.last_trigger.as_ref() == Some(&wish);
        // Before it is made a run is not to be told from an earlier one.
        if ours.is_none() && is_dealt_with && status.pending.is_none() {
            let is_new = |run: &&LoadTest| before.iter().all(|earlier| earlier.uid() != run.uid());
            let found = runs.iter().find(is_new).cloned();
            ours =
                Some(found.with_context(|| format!("{namespace}/{name}: the run is not there: {}", status.message))?);
        }
        if let Some(ours) = &ours {
            if let Some((verdict, message)) = ended(ours, &runs, &status)? {
                screen::print(&format!("{namespace}/{}: {verdict}: {message}\n", ours.name_any()))?;
                return Ok(verdict.into());
            }
        } else if !is_dealt_with && schedule.annotations().get(marks::TRIGGER) != Some(&wish) {
            bail!("{namespace}/{name}: somebody else asked for a run before this one was begun; ask again");
        }
        if Instant::now() >= deadline {
            bail!("{namespace}/{name}: no verdict within {}: {}", args.timeout, status.message);
        }
    }
}

/// The verdict of a run, and what is said of it; none before there is one.
fn ended(
    ours: &LoadTest,
    runs: &[LoadTest],
    schedule: &LoadTestScheduleStatus,
) -> anyhow::Result<Option<(Verdict, String)>> {
    let name = ours.name_any();
    if let Some(run) = runs.iter().find(|run| run.uid() == ours.uid()) {
        let status = run.status.clone().unwrap_or_default();
        return Ok(status.verdict.map(|verdict| (verdict, status.message)));
    }
    // A schedule may keep none of its finished runs.
    let past = schedule.history.iter().find(|run| run.name == name);
    let past = past.with_context(|| format!("{name} was deleted before it had a verdict"))?;
    Ok(Some((past.verdict, "the schedule did not keep the run".to_owned())))
}

/// The runs that somebody asked for.
async fn on_demand(tests: &Api<LoadTest>, schedule: &LoadTestSchedule) -> anyhow::Result<Vec<LoadTest>> {
    let ours = ListParams::default().labels(&format!("{}={}", marks::SCHEDULE_LABEL, schedule.name_any()));
    let runs = tests.list(&ours).await.context("asking for the runs")?;
    let cause = RunCause::Trigger.to_string();
    let is_one = |run: &LoadTest| run.annotations().get(marks::CAUSE) == Some(&cause);
    Ok(runs.items.into_iter().filter(is_one).collect())
}

//! What the target says of itself: Prometheus is asked once the load is over, by this process.

use proofload_api::Problem;
use proofload_engine::Materials;
use proofload_plan::Plan;
use proofload_results::ServerAnswer;
use proofload_results::server::load_window;
use proofload_server_metrics::Asker;
use tokio::sync::watch;

use super::conduct::Conducted;

/// Who asks, where there is anything to ask; or what is wrong with the questions, as Prometheus itself says where it is
/// there to say it.
pub(super) fn asker(plan: &Plan, materials: &Materials) -> anyhow::Result<Result<Option<Asker>, Vec<Problem>>> {
    let asker = match Asker::new(plan, materials) {
        Ok(Some(asker)) => asker,
        other => return Ok(other),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let problems = runtime.block_on(asker.check());
    Ok(if problems.is_empty() { Ok(Some(asker)) } else { Err(problems) })
}

/// Asks about the time under load, until the answers are there, or the user does not want to wait for them any more.
pub(super) async fn ask(
    asker: &Asker,
    plan: &Plan,
    run: &Conducted,
    stop: &mut watch::Receiver<Option<&'static str>>,
) -> Vec<ServerAnswer> {
    let (Some(began), Some(window)) = (run.began, load_window(plan, run.snapshots.iter())) else { return Vec::new() };
    tokio::select! {
        answers = asker.ask(began, window) => answers,
        Ok(()) = stop.changed() => {
            let queries = plan.server.iter().flat_map(|server| &server.queries);
            let given_up = |name: &str| ServerAnswer {
                name: name.to_owned(),
                error: Some("the user did not wait for it".to_owned()),
                ..ServerAnswer::default()
            };
            queries.map(|query| given_up(&query.name)).collect()
        }
    }
}

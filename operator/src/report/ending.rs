//! Ends of a run: what status says of a verdict, and while the report cannot be stored.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::runtime::events::EventType;
use proofload_api::status::{CriterionOutcome, ReportReference, ScenarioStatus};
use proofload_api::{LoadTestStatus, Phase, Problem, Verdict};
use proofload_plan::Compiled;
use proofload_results::report::ScenarioReport;
use proofload_results::status::searches_of;
use proofload_results::{Report, live};

use super::conditions::{MAX_PROBLEMS, REPORT_STORED, conclude, progressing, set, shorten, shorten_to};
use super::{Draft, began, count, cut, elapsed, plan_status, reason, store};
use crate::build::report_name;
use crate::decide::UNSTORED;
use crate::observe::World;

/// A spec that does not compile.
pub(super) fn reject(world: &World, problems: &[Problem]) -> Draft {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let count = if lines.len() == 1 { "1 problem".to_owned() } else { format!("{} problems", lines.len()) };
    let whole = format!("The spec has {count}, nothing was created: {}", lines.join("; "));
    let message = shorten(&whole);
    let mut status = LoadTestStatus {
        phase: Some(Phase::Finished),
        verdict: Some(Verdict::Error),
        message: shorten_to(&whole, MAX_PROBLEMS),
        completion_time: Some(Time(world.now)),
        ..world.status()
    };
    conclude(&mut status, world, Verdict::Error, reason::INVALID, &message);
    Draft { status, events: vec![(EventType::Warning, reason::INVALID, message)], urgent: true }
}

/// Of what is said of a report that is not taken, so much that what was seen fits beside it.
const MOST_WHY: usize = 300;

/// The run is over and the report is not taken: it is tried again, while the runners keep the figures.
pub(super) fn unstored(world: &World, compiled: &Compiled, why: &str) -> Draft {
    let is_new = world.unstored().is_none();
    let old = world.status();
    let lost = old.runners.map_or(0, |runners| runners.lost);
    let message = shorten(&format!("The run is over; its report cannot be stored and is tried again: {why}"));
    let mut status = LoadTestStatus {
        phase: Some(Phase::Finishing),
        message: message.clone(),
        progress: "99%".to_owned(),
        runners: Some(count(&world.runners, compiled, lost)),
        // Seen from now. From a later pass it would seem later, since the runners' time stands still.
        start_time: old.start_time.clone().or_else(|| elapsed(&world.runners).map(|elapsed| began(world, elapsed))),
        ..old
    };
    progressing(&mut status, world, reason::STORE_RETRYING, &message);
    set(&mut status, world, REPORT_STORED, "False", reason::STORE_RETRYING, &shorten(why));
    let events = if is_new { vec![(EventType::Warning, reason::STORE_RETRYING, message)] } else { Vec::new() };
    Draft { status, events, urgent: is_new }
}

/// The verdict of a report that is stored; or that there is none, since it could not be, and why.
pub(super) fn finished(world: &World, compiled: &Compiled, report: &Report, unstored: Option<&str>) -> Draft {
    let could_not_start = report.verdict == Verdict::Error;
    // A verdict follows from a stored report, or from nothing.
    let verdict = if unstored.is_some() { Verdict::Error } else { report.verdict };
    let message = shorten(&match unstored {
        None => report.reason.clone(),
        // What never began was not kept waiting.
        Some(why) if world.unstored().is_none() => {
            format!("{} The report could not be stored: {}.", report.reason, shorten_to(why, MOST_WHY))
        }
        Some(why) => format!(
            "The report could not be stored within {UNSTORED}: {}. Without it there is no verdict. What was seen: {}",
            shorten_to(why, MOST_WHY),
            report.reason
        ),
    });
    let scenario = |scenario: &ScenarioReport| {
        let status = ScenarioStatus::from(scenario);
        if unstored.is_some() { ScenarioStatus { verdict, ..status } } else { status }
    };
    let lost = report.doubts.iter().filter(|doubt| doubt.kind == proofload_results::DoubtKind::LostRunner).count();
    let old = world.status();
    let mut status = LoadTestStatus {
        phase: Some(Phase::Finished),
        verdict: Some(verdict),
        message: message.clone(),
        progress: if verdict == Verdict::Error { old.progress.clone() } else { "100%".to_owned() },
        plan: Some(plan_status(world, compiled)),
        runners: Some(count(&world.runners, compiled, u32::try_from(lost).unwrap_or(u32::MAX))),
        live: Some(live::at_end(report)),
        summary: Some((&report.summary).into()),
        scenarios: report.scenarios.iter().map(scenario).collect(),
        criteria: report.criteria.iter().map(Into::into).collect(),
        search: cut(searches_of(report)),
        server: report.server.iter().map(|metric| (metric.name.clone(), metric.into())).collect(),
        generator: Some((&report.generator).into()),
        baseline: report.baseline.as_ref().map(Into::into),
        measured: Some(report.into()),
        report: unstored
            .is_none()
            .then(|| ReportReference { config_map: report_name(&world.test), store: store::pending(&world.test) }),
        start_time: report.start.as_ref().and_then(|start| start.parse().ok()).map(Time).or(old.start_time.clone()),
        completion_time: Some(Time(world.now)),
        ..old
    };
    let name = match unstored {
        _ if could_not_start => reason::COULD_NOT_START,
        Some(_) => reason::STORE_FAILED,
        None => verdict_reason(verdict),
    };
    conclude(&mut status, world, verdict, name, &message);
    match unstored {
        Some(why) => set(&mut status, world, REPORT_STORED, "False", reason::STORE_FAILED, &shorten(why)),
        None if world.unstored().is_some() => {
            set(&mut status, world, REPORT_STORED, "True", reason::STORED, "The report is stored");
        }
        None => {}
    }
    let kind = if verdict == Verdict::Passed { EventType::Normal } else { EventType::Warning };
    let mut events = vec![(kind, name, message)];
    let judged = report.baseline.as_ref().filter(|_| unstored.is_none());
    let regression = judged.filter(|baseline| baseline.outcome == Some(CriterionOutcome::Fail));
    events.extend(regression.map(|found| (EventType::Warning, reason::REGRESSION, found.message.clone())));
    Draft { status, events, urgent: true }
}

fn verdict_reason(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "Passed",
        Verdict::Failed => "Failed",
        Verdict::Inconclusive => "Inconclusive",
        Verdict::Unjudged => "Unjudged",
        Verdict::Error => "Error",
    }
}

//! The reason of a verdict, in a sentence or a few that need no knowledge of load tests.

use proofload_api::criterion::{Expr, Value};
use proofload_api::loadtest::Severity;
use proofload_api::status::CriterionOutcome;
use proofload_api::units::{short_share, short_time};
use proofload_api::{Micros, Verdict};

use crate::report::{CriterionReport, Report};
use crate::words::{safe, sentence, things};

/// So many doubts or criteria are named; the report lists them all.
const MOST_NAMED: usize = 3;

/// The reason of a report's verdict.
pub(crate) fn reason(report: &Report) -> String {
    let mut sentences = Vec::new();
    match report.verdict {
        Verdict::Error => sentences.push(error(report)),
        Verdict::Passed => sentences.push(passed(report)),
        Verdict::Failed => sentences.push(failed(report)),
        Verdict::Inconclusive => sentences.extend(no_samples(report)),
        Verdict::Unjudged => {
            sentences.push(format!("There are no criteria to judge by. {}", put_on(report)));
        }
    }
    let doubts = &report.doubts;
    if report.verdict != Verdict::Error && !doubts.is_empty() {
        sentences.push("Not all of the figures can be trusted.".to_owned());
        sentences.extend(doubts.iter().take(MOST_NAMED).map(|doubt| doubt.text.clone()));
        if doubts.len() > MOST_NAMED {
            sentences.push(format!("There are {} doubts in all.", doubts.len()));
        }
    }
    sentences.join(" ")
}

fn error(report: &Report) -> String {
    sentence(&safe(report.error.as_deref().unwrap_or("The run could not be executed")))
}

/// Which criteria a verdict is made from.
fn judged(report: &Report) -> impl Iterator<Item = &CriterionReport> {
    report.criteria.iter().filter(|criterion| criterion.severity == Severity::Fail)
}

fn passed(report: &Report) -> String {
    let held = match judged(report).count() {
        1 => "The criterion held".to_owned(),
        2 => "Both criteria held".to_owned(),
        many => format!("All {many} criteria held"),
    };
    format!("{held}. {}", put_on(report))
}

fn failed(report: &Report) -> String {
    let broken: Vec<_> = judged(report).filter(|criterion| criterion.outcome == CriterionOutcome::Fail).collect();
    let named = broken.iter().take(MOST_NAMED).map(|criterion| {
        let of = criterion.of.as_ref().map(|of| format!(" on {of}")).unwrap_or_default();
        format!("{}{of} was {}", criterion.expr.trim(), observed(criterion))
    });
    let named: Vec<String> = named.collect();
    let more = if broken.len() > MOST_NAMED { "; and others" } else { "" };
    let of = things(judged(report).count() as u64, "criterion").replace("criterions", "criteria");
    format!("{} of {of} did not hold: {}{more}.", broken.len(), named.join("; "))
}

fn no_samples(report: &Report) -> Option<String> {
    if report.summary.requests == 0 {
        return Some("No request was sent, so there is nothing to judge.".to_owned());
    }
    let empty: Vec<_> = judged(report).filter(|criterion| criterion.outcome == CriterionOutcome::NoData).collect();
    let named: Vec<&str> = empty.iter().take(MOST_NAMED).map(|criterion| criterion.expr.trim()).collect();
    (!empty.is_empty()).then(|| {
        let answered = report.summary.latency.is_some();
        let why = if answered { "" } else { " No request got an answer." };
        format!("There were no samples for {}.{why}", named.join("; "))
    })
}

/// What the target was put under: `48,210 requests in 1m, 0.2% failed.`
fn put_on(report: &Report) -> String {
    let summary = &report.summary;
    if summary.requests == 0 {
        return "No request was sent.".to_owned();
    }
    let errors = match summary.error_share() {
        Some(share) if share > 0.0 => format!("{} failed", short_share(share)),
        _ => "none failed".to_owned(),
    };
    format!("{} in {}, {errors}.", things(summary.requests, "request"), short_time(Micros(report.duration).0 as f64))
}

/// What a criterion saw, for people: `812ms`, or `-` without samples.
pub(crate) fn observed(criterion: &CriterionReport) -> String {
    let Some(amount) = criterion.observed else { return "-".to_owned() };
    // A criterion of a later version may not be readable here; its number is.
    match criterion.expr.parse::<Expr>() {
        Ok(expr) => Value { unit: expr.unit(), amount }.to_string(),
        Err(_) => amount.to_string(),
    }
}

//! The reason of a verdict, in a sentence or a few that need no knowledge of load tests.

use proofload_api::criterion::{Expr, Value};
use proofload_api::loadtest::Severity;
use proofload_api::status::CriterionOutcome;
use proofload_api::units::{short_share, short_time};
use proofload_api::{Micros, Verdict};

use crate::doubt::{Doubt, DoubtKind};
use crate::finding::FindingKind;
use crate::report::{CriterionReport, Report, ScenarioReport};
use crate::words::{safe, sentence, things};

/// So many doubts or criteria are named; the report lists them all.
const MOST_NAMED: usize = 3;

/// The reason of a report's verdict.
pub(crate) fn reason(report: &Report) -> String {
    let mut sentences = Vec::new();
    match report.verdict {
        Verdict::Error => sentences.push(error(report)),
        Verdict::Passed => sentences.push(passed(report)),
        Verdict::Failed => sentences.extend(failed(report)),
        Verdict::Inconclusive => sentences.extend(no_samples(report)),
        Verdict::Unjudged => {
            sentences.push(format!("There are no criteria to judge by. {}", put_on(report)));
        }
    }
    if report.verdict != Verdict::Error {
        sentences.extend(report.baseline.iter().map(|baseline| baseline.message.clone()));
        sentences.extend(report.scenarios.iter().filter_map(found));
        sentences.extend(concluded(report));
        let notes = report.findings.iter().filter(|finding| finding.kind == FindingKind::Note);
        sentences.extend(notes.take(MOST_NAMED).map(|note| note.text.clone()));
    }
    // What ended the run is why it failed, and said already.
    let is_said = |doubt: &&Doubt| aborted(report).is_some_and(|said| std::ptr::eq(said, *doubt));
    let doubts: Vec<&Doubt> = report.doubts.iter().filter(|doubt| !is_said(doubt)).collect();
    if report.verdict != Verdict::Error && !doubts.is_empty() {
        sentences.push("Not all of the figures can be trusted.".to_owned());
        sentences.extend(doubts.iter().take(MOST_NAMED).map(|doubt| doubt.text.clone()));
        if doubts.len() > MOST_NAMED {
            sentences.push(format!("There are {} doubts in all.", doubts.len()));
        }
    }
    sentences.join(" ")
}

/// The most important of what can be concluded, where a sentence or two can say it.
fn concluded(report: &Report) -> Option<String> {
    /// What is longer is for the report.
    const LONGEST: usize = 200;
    // Where a search found it, that is said already.
    let is_searched = report.scenarios.iter().any(|scenario| scenario.search.is_some());
    let is_told = |kind: FindingKind| match kind {
        FindingKind::BreakingPoint => !is_searched,
        FindingKind::Cliff | FindingKind::Outage => true,
        _ => false,
    };
    let told = report.findings.iter().find(|finding| is_told(finding.kind))?;
    // What cannot be trusted is not said first.
    let is_open = report.verdict == Verdict::Inconclusive;
    (!is_open && told.text.len() <= LONGEST).then(|| told.text.clone())
}

/// What a search found.
fn found(scenario: &ScenarioReport) -> Option<String> {
    let search = scenario.search.as_ref().filter(|search| !search.steps.is_empty())?;
    let until = search.until.trim();
    Some(match search.answer {
        Some(answer) => format!("{} holds {until} up to {answer}.", scenario.name),
        None => format!("{} holds {until} at no load that was tried.", scenario.name),
    })
}

fn error(report: &Report) -> String {
    sentence(&safe(report.error.as_deref().unwrap_or("The run could not be executed")))
}

/// Which criteria a verdict is made from.
fn judged(report: &Report) -> impl Iterator<Item = &CriterionReport> {
    report.criteria.iter().filter(|criterion| criterion.severity == Severity::Fail)
}

fn passed(report: &Report) -> String {
    if judged(report).next().is_none() {
        // By its baseline alone.
        return put_on(report);
    }
    // Those that only warn are criteria too: all of them are counted where all of them held.
    let warnings: Vec<&CriterionReport> =
        report.criteria.iter().filter(|criterion| criterion.severity == Severity::Warn).collect();
    let broken: Vec<&CriterionReport> =
        warnings.iter().copied().filter(|criterion| criterion.outcome != CriterionOutcome::Pass).collect();
    let judged = judged(report).count();
    let held = match if broken.is_empty() { report.criteria.len() } else { judged } {
        1 => "The criterion held".to_owned(),
        2 => "Both criteria held".to_owned(),
        many => format!("All {many} criteria held"),
    };
    let but = match broken.len() {
        0 => String::new(),
        some => format!("; {some} of {} that only warn did not: {}", warnings.len(), named(&broken)),
    };
    format!("{held}{but}. {}", put_on(report))
}

/// Nothing where only the baseline says so.
fn failed(report: &Report) -> Option<String> {
    // One that ended the run has failed it, whatever its severity.
    let is_judged = |criterion: &&CriterionReport| criterion.severity == Severity::Fail || criterion.aborted;
    let judged = || report.criteria.iter().filter(is_judged);
    let broken: Vec<_> = judged().filter(|criterion| criterion.outcome == CriterionOutcome::Fail).collect();
    if let Some(ended) = aborted(report) {
        let others: Vec<_> = broken.into_iter().filter(|criterion| !criterion.aborted).collect();
        return Some(match others.len() {
            0 => ended.text.clone(),
            1 => format!("{} Another criterion did not hold either: {}.", ended.text, named(&others)),
            more => format!("{} {more} other criteria did not hold either: {}.", ended.text, named(&others)),
        });
    }
    let of = things(judged().count() as u64, "criterion").replace("criterions", "criteria");
    (!broken.is_empty()).then(|| format!("{} of {of} did not hold: {}.", broken.len(), named(&broken)))
}

/// What is said of the criterion that ended the run, if one did.
fn aborted(report: &Report) -> Option<&Doubt> {
    let is_aborted = report.criteria.iter().any(|criterion| criterion.aborted);
    report.doubts.iter().find(|doubt| is_aborted && doubt.kind == DoubtKind::Stopped)
}

/// The first few of some criteria, and what they saw: `rate(errors) < 1% on browse was 4%`.
fn named(criteria: &[&CriterionReport]) -> String {
    let named = criteria.iter().take(MOST_NAMED).map(|criterion| {
        let window = criterion.abort.filter(|_| criterion.aborted);
        let window = window.map(|abort| format!(" over {}", short_time(abort.window as f64))).unwrap_or_default();
        format!("{} was {}{window}", whole(criterion), observed(criterion))
    });
    listed(&named.collect::<Vec<_>>(), criteria.len())
}

/// The first few of what there is to name.
fn listed(named: &[String], all: usize) -> String {
    let more = if all > MOST_NAMED { "; and others" } else { "" };
    named[..named.len().min(MOST_NAMED)].join("; ") + more
}

/// A criterion with what it is judged on: `rate(errors) < 1% on browse during steady`.
fn whole(criterion: &CriterionReport) -> String {
    let of = criterion.of.as_ref().map(|of| format!(" on {of}")).unwrap_or_default();
    let during = criterion.during.as_ref().map(|during| format!(" during {during}")).unwrap_or_default();
    format!("{}{of}{during}", criterion.expr.trim())
}

fn no_samples(report: &Report) -> Option<String> {
    if report.summary.requests == 0 {
        return Some("No request was sent, so there is nothing to judge.".to_owned());
    }
    let empty = || judged(report).filter(|criterion| criterion.outcome == CriterionOutcome::NoData);
    // What several have in common, such as a Prometheus that is away, is said once.
    let mut told: Vec<(&str, Vec<String>)> = Vec::new();
    for criterion in empty() {
        let Some(note) = criterion.note.as_deref() else { continue };
        match told.iter_mut().find(|(told, _)| *told == note) {
            Some((_, criteria)) => criteria.push(whole(criterion)),
            None => told.push((note, vec![whole(criterion)])),
        }
    }
    let told = told.iter().take(MOST_NAMED).map(|(note, criteria)| nothing_to_judge(note, criteria));
    let named: Vec<String> = empty().filter(|one| one.note.is_none()).map(whole).collect();
    let unexplained = (!named.is_empty()).then(|| {
        let answered = report.summary.latency.is_some();
        let why = if answered { "" } else { " No request got an answer." };
        format!("There were no samples for {}.{why}", listed(&named, named.len()))
    });
    let all: Vec<String> = unexplained.into_iter().chain(told).collect();
    (!all.is_empty()).then(|| all.join(" "))
}

/// Why there was nothing to judge some criteria by, where they say so themselves.
fn nothing_to_judge(note: &str, criteria: &[String]) -> String {
    /// Of foreign text, what fits into a sentence.
    const MOST: usize = 200;
    let note: String = safe(note).chars().take(MOST).collect();
    format!("There is nothing to judge {} by: {}", listed(criteria, criteria.len()), sentence(&note))
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

//! Steps that take longer under load than alone.

use proofload_api::units::short_time;

use super::level::{FEWEST, overlap, planned_users};
use crate::finding::{Evidence, Finding, FindingKind};
use crate::report::{Report, ScenarioReport, StepReport};
use crate::words::things;

/// So many times the users are another load.
const MORE: u32 = 10;
/// So many times as long is another answer.
const LONGER: f64 = 5.0;
/// A difference of fewer microseconds may be the machine's.
const LEAST: u64 = 1_000;
/// So many steps are named in a sentence.
const MOST_NAMED: usize = 3;

/// Pairs of scenarios of which the steps take longer with more users: each with the one of the fewest.
pub(super) fn contentions(report: &Report) -> Vec<Finding> {
    let one = |many: &ScenarioReport| {
        let users = planned_users(many)?;
        let is_few = |few: &&ScenarioReport| {
            planned_users(few).is_some_and(|few| few.saturating_mul(MORE) <= users) && !overlap(few, many)
        };
        let mut few: Vec<&ScenarioReport> = report.scenarios.iter().filter(is_few).collect();
        few.sort_by_key(|few| few.load.planned_users);
        few.into_iter().find_map(|few| contention(few, many))
    };
    report.scenarios.iter().filter_map(one).collect()
}

/// Medians of a step alone and under load, in microseconds.
struct Slowed<'a> {
    step: &'a str,
    alone: u64,
    loaded: u64,
}

impl Slowed<'_> {
    fn times(&self) -> f64 {
        self.loaded as f64 / self.alone.max(1) as f64
    }

    fn in_words(&self) -> String {
        let (alone, loaded) = (short_time(self.alone as f64), short_time(self.loaded as f64));
        format!("{alone} to {loaded}, {:.0} times as long", self.times())
    }
}

fn contention(few: &ScenarioReport, many: &ScenarioReport) -> Option<Finding> {
    let same = many.steps.iter().filter_map(|step| Some((few.steps.iter().find(|one| one.name == step.name)?, step)));
    let mut slowed: Vec<Slowed<'_>> = same.filter_map(|(alone, loaded)| compare(alone, loaded)).collect();
    slowed.sort_by(|one, other| other.times().total_cmp(&one.times()));
    if slowed.is_empty() {
        return None;
    }
    let named = slowed.iter().take(MOST_NAMED).map(|one| format!("{} (median {})", one.step, one.in_words()));
    let more = if slowed.len() > MOST_NAMED { " and others" } else { "" };
    let users = |scenario: &ScenarioReport| things(scenario.load.planned_users.into(), "user");
    let text = format!(
        "{} longer with {} (scenario {}) than with {} (scenario {}): {}{more}.",
        if slowed.len() == 1 { "One step takes".to_owned() } else { format!("{} steps take", slowed.len()) },
        users(many),
        many.name,
        users(few),
        few.name,
        named.collect::<Vec<_>>().join(", "),
    );
    let evidence = slowed.iter().map(|one| Evidence::new(format!("median of {}", one.step), one.in_words())).collect();
    Some(Finding { kind: FindingKind::Contention, text, evidence })
}

fn compare<'a>(alone: &StepReport, loaded: &'a StepReport) -> Option<Slowed<'a>> {
    let median = |step: &StepReport| {
        let latency = step.figures.latency.as_ref().filter(|_| step.figures.ok >= FEWEST)?;
        Some(latency.p50)
    };
    let slowed = Slowed { step: &loaded.name, alone: median(alone)?, loaded: median(loaded)? };
    let is_longer = slowed.times() >= LONGER && slowed.loaded >= slowed.alone.saturating_add(LEAST);
    is_longer.then_some(slowed)
}

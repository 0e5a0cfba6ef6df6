//! What Prometheus sees of a runner: its snapshot, and what the plan wants just now.
//!
//! Every counter is there from the begin, at 0: what rates are taken of must have been 0 once. Only answers of the class
//! `1xx`, which hardly anything has, are told of once there are some.

mod now;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use proofload_api::Outcome;
use proofload_metrics::catalogue::runner::{
    CHECKS, CPU, DROPPED, DURATION, ERRORS, INFO, ITERATIONS, LATENESS, PLANNED_RATE, RECEIVED, REQUESTS, SENT,
    SERVICE_TIME, STAGE, TARGET_USERS, THROTTLED, USERS,
};
use proofload_metrics::{Exposition, Histogram};
use proofload_plan::{Plan, Scenario};
use proofload_results::histogram::DIGITS;
use proofload_results::{EncodedCell, EncodedTimes, GeneratorRecord, Ratio, ScenarioProgress, Snapshot, Times};

use self::now::Now;

/// The release of this binary.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A snapshot, and what the plan wants at its moment.
pub(crate) fn exposition(plan: &Plan, snapshot: &Snapshot) -> Exposition {
    // The operator calls a run NAMESPACE/NAME; one that somebody else named has no namespace.
    let (namespace, loadtest) = plan.run.split_once('/').unwrap_or(("", &plan.run));
    let mut scrape = Scrape { plan, snapshot, run: [namespace, loadtest], seen: Exposition::new() };
    scrape.process();
    let mut cells = snapshot.cells.iter();
    for (index, scenario) in plan.scenarios.iter().enumerate() {
        scrape.load(index, scenario);
        let stages = scenario.load.stage_names().len();
        // The order of cells is by scenario, then step, then stage; before the begin there are none.
        for step in 0..scenario.steps.len() {
            let cells: Vec<&EncodedCell> = cells.by_ref().take(stages).collect();
            scrape.step(scenario, step, &cells);
        }
    }
    scrape.seen
}

struct Scrape<'a> {
    plan: &'a Plan,
    snapshot: &'a Snapshot,
    /// Namespace and name of the test.
    run: [&'a str; 2],
    seen: Exposition,
}

impl<'a> Scrape<'a> {
    /// What the process as a whole has.
    fn process(&mut self) {
        let [namespace, loadtest] = self.run;
        let generator = &self.snapshot.generator;
        let of_both = |recent: Ratio, whole: Ratio| if recent.whole > 0 { recent.share() } else { whole.share() };
        let GeneratorRecord { cpu, cpu_available, throttled, elapsed, recent, .. } = generator;
        let cpu = of_both(recent.cpu, Ratio::new(*cpu, *cpu_available));
        let throttled = of_both(recent.throttled, Ratio::new(*throttled, *elapsed));
        let segment = self.snapshot.segment;
        let (index, count) = (segment.index.to_string(), segment.count.to_string());
        self.seen.set(&INFO, [namespace, loadtest, VERSION, &index, &count], 1.0);
        self.seen.set(&CPU, self.run, cpu);
        self.seen.set(&THROTTLED, self.run, throttled);
        self.seen.distribute(&LATENESS, self.run, Histogram::of(&sum([&generator.lateness])));
    }

    /// How much load a scenario puts on, and how much it should.
    fn load(&mut self, index: usize, scenario: &'a Scenario) {
        let [namespace, loadtest] = self.run;
        let labels = [namespace, loadtest, &scenario.name];
        let none = ScenarioProgress::default();
        let progress = self.snapshot.scenarios.get(index).unwrap_or(&none);
        self.seen.set(&USERS, labels, f64::from(progress.users));
        self.seen.count(&ITERATIONS, labels, progress.iterations);
        self.seen.count(&DROPPED, labels, progress.dropped);
        let now = Now::of(scenario, progress, self.snapshot);
        if let Some(users) = now.users {
            self.seen.set(&TARGET_USERS, labels, f64::from(users));
        }
        if let Some(rate) = now.rate {
            self.seen.set(&PLANNED_RATE, labels, rate);
        }
        if let Some(stage) = now.stage {
            self.seen.set(&STAGE, [namespace, loadtest, &scenario.name, &stage], 1.0);
        }
    }

    /// What a step measured, over all of its stages.
    fn step(&mut self, scenario: &'a Scenario, step: usize, cells: &[&EncodedCell]) {
        let [namespace, loadtest] = self.run;
        let step = &scenario.steps[step];
        let labels = [namespace, loadtest, &scenario.name, &step.name];
        let with = |value: &'a str| [namespace, loadtest, &scenario.name, &step.name, value];
        let all = |of: fn(&EncodedCell) -> u64| cells.iter().map(|cell| of(cell)).fold(0, u64::saturating_add);
        for (class, count) in by_class(cells) {
            self.seen.count(&REQUESTS, with(class), count);
        }
        for outcome in Outcome::ALL.into_iter().filter(|outcome| outcome.is_error()) {
            let count = cells.iter().map(|cell| cell.outcomes[outcome.index()]).fold(0, u64::saturating_add);
            self.seen.count(&ERRORS, with(outcome.name()), count);
        }
        self.seen.count(&SENT, labels, all(|cell| cell.bytes_out));
        self.seen.count(&RECEIVED, labels, all(|cell| cell.bytes_in));
        let answered = cells.iter().flat_map(|cell| &cell.latency).filter(|(outcome, _)| outcome.has_latency());
        let latency = answered.map(|(_, times)| times);
        self.seen.distribute(&DURATION, labels, Histogram::of(&sum(latency)));
        self.seen.distribute(&SERVICE_TIME, labels, Histogram::of(&sum(cells.iter().map(|cell| &cell.service_time))));
        for (place, name) in step.check_names(&self.plan.variables).enumerate() {
            let counts = || cells.iter().filter_map(|cell| cell.checks.get(place));
            let passed = counts().map(|count| count.passed).fold(0, u64::saturating_add);
            let failed = counts().map(|count| count.failed).fold(0, u64::saturating_add);
            let check = |result| [namespace, loadtest, &scenario.name, &step.name, &name, result];
            self.seen.count(&CHECKS, check("pass"), passed);
            self.seen.count(&CHECKS, check("fail"), failed);
        }
    }
}

/// Requests by the class of their status. What has no status, or none that HTTP knows, is in `none`, and apart from it what
/// the end of the run cut off, which counts in no share of errors; so that the sum is all requests.
fn by_class(cells: &[&EncodedCell]) -> BTreeMap<&'static str, u64> {
    let mut classes = BTreeMap::from([("2xx", 0), ("3xx", 0), ("4xx", 0), ("5xx", 0)]);
    let mut without = cells.iter().map(|cell| cell.requests()).fold(0, u64::saturating_add);
    let cut = cells.iter().map(|cell| cell.outcomes[Outcome::Interrupted.index()]).fold(0, u64::saturating_add);
    classes.insert("interrupted", cut);
    without = without.saturating_sub(cut);
    for (status, count) in cells.iter().flat_map(|cell| &cell.statuses) {
        let class = match status {
            100..=199 => "1xx",
            200..=299 => "2xx",
            300..=399 => "3xx",
            400..=499 => "4xx",
            500..=599 => "5xx",
            _ => continue,
        };
        *classes.entry(class).or_default() += count;
        without = without.saturating_sub(*count);
    }
    classes.insert("none", without);
    classes
}

/// The sum of distributions that this process has made itself, so that each can be read.
fn sum<'a>(each: impl IntoIterator<Item = &'a EncodedTimes>) -> Times {
    let mut sum = Times::new();
    for times in each.into_iter().filter_map(|encoded| encoded.decode(DIGITS).ok()) {
        sum.add(&times);
    }
    sum
}

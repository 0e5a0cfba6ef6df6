//! What Prometheus said of the target, and what that comes to: over the run, in each stage, and to its criteria.
//!
//! Nothing here asks anybody: whoever did brings the answers, with the times of the samples in microseconds from the
//! run's begin.

use std::borrow::Cow;

use proofload_api::criterion::{Aggregate, Expr, Metric, Unit, Value};
use proofload_plan::{Criterion, Plan, ServerQuery};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::findings::slope;
use crate::part::stage_times;
use crate::snapshot::Snapshot;
use crate::totals::Totals;
use crate::words::safe;

/// The most samples of one metric.
pub const MAX_SAMPLES: usize = 600;
/// A line through fewer samples than this says nothing.
const FEWEST_FOR_A_SLOPE: usize = 5;
/// Microseconds of an hour.
const HOUR: f64 = 3.6e9;
/// The most bytes of an error's text.
const MAX_ERROR: usize = 500;

/// What came of asking for one metric.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ServerAnswer {
    /// The metric's name in the spec.
    pub name: String,
    /// Moments from the run's begin, in microseconds, and the values then; in the order of time.
    pub samples: Vec<(u64, f64)>,
    /// Why there is nothing, if so: foreign text.
    pub error: Option<String>,
}

/// What a metric of the target was while the load was on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServerReport {
    /// Its name.
    pub name: String,
    /// What was asked, in `PromQL`.
    pub query: String,
    /// What its values are.
    pub unit: ServerUnit,
    /// Over the whole time under load; absent without samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub figures: Option<ServerFigures>,
    /// In each stage of each scenario that has samples.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<ServerStage>,
    /// Moments from the run's begin, in microseconds, and the values then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<(u64, f64)>,
    /// Why there is nothing, if so. Foreign text: escape it before it is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What the values of a metric are, as far as criteria or the query tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ServerUnit {
    /// Numbers.
    #[default]
    Number,
    /// Shares, 0..=1.
    Share,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
}

/// What a series comes to, in its own unit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServerFigures {
    /// The smallest.
    pub min: f64,
    /// The mean over time.
    pub avg: f64,
    /// The largest.
    pub max: f64,
    /// The last.
    pub last: f64,
    /// How much it rises in an hour (Theil and Sen: the median of the slopes between all pairs); absent of too few samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slope: Option<f64>,
}

/// What a series comes to in a stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServerStage {
    /// The scenario.
    pub scenario: String,
    /// Its stage.
    pub stage: String,
    /// What it comes to there.
    pub figures: ServerFigures,
}

/// The time under load, from the first begin of a scenario to the last end, in microseconds from the run's begin: what
/// Prometheus is asked about. None if no load began.
pub fn load_window<'a>(plan: &Plan, snapshots: impl IntoIterator<Item = &'a Snapshot>) -> Option<(u64, u64)> {
    let each = snapshots.into_iter().flat_map(|snapshot| {
        let main = snapshot.scenarios.iter().take(plan.main().len());
        main.filter_map(|progress| {
            let began = progress.began?;
            Some((began, progress.ended.unwrap_or(snapshot.generator.elapsed).max(began)))
        })
    });
    each.reduce(|(from, to), (began, ended)| (from.min(began), to.max(ended)))
}

/// Each metric as the report has it.
pub(crate) fn reports(
    plan: &Plan,
    criteria: &[Criterion],
    totals: &Totals,
    answers: &[ServerAnswer],
) -> Vec<ServerReport> {
    let queries = plan.server.iter().flat_map(|server| &server.queries);
    queries.map(|query| report(plan, criteria, totals, query, answer(answers, &query.name))).collect()
}

fn report(
    plan: &Plan,
    criteria: &[Criterion],
    totals: &Totals,
    query: &ServerQuery,
    answer: Option<&ServerAnswer>,
) -> ServerReport {
    let samples = answer.map(samples).unwrap_or_default();
    let stages = plan.main().iter().enumerate().flat_map(|(at, scenario)| {
        let names = scenario.load.stage_names().into_iter().enumerate();
        let samples = &samples;
        names.filter_map(move |(stage, name)| {
            let figures = ServerFigures::of(&within(samples, &stage_times(scenario, &totals.scenarios[at], stage)))?;
            Some(ServerStage { scenario: scenario.name.clone(), stage: name, figures })
        })
    });
    ServerReport {
        name: query.name.clone(),
        query: query.query.clone(),
        unit: ServerUnit::of(query, criteria),
        figures: ServerFigures::of(&samples),
        stages: stages.collect(),
        error: why_empty(answer, &samples),
        samples,
    }
}

fn answer<'a>(answers: &'a [ServerAnswer], name: &str) -> Option<&'a ServerAnswer> {
    answers.iter().find(|answer| answer.name == name)
}

/// What of an answer can be used, whoever made it: bounded, in the order of time, finite.
fn samples(answer: &ServerAnswer) -> Vec<(u64, f64)> {
    let mut samples: Vec<(u64, f64)> = answer.samples.iter().copied().filter(|(_, value)| value.is_finite()).collect();
    samples.sort_by_key(|(at, _)| *at);
    samples.dedup_by_key(|(at, _)| *at);
    samples.truncate(MAX_SAMPLES);
    samples
}

fn why_empty(answer: Option<&ServerAnswer>, samples: &[(u64, f64)]) -> Option<String> {
    let Some(answer) = answer else { return Some("Prometheus was not asked, since no load was put on".to_owned()) };
    let error = answer.error.as_ref().map(|error| safe(error).chars().take(MAX_ERROR).collect());
    error.or_else(|| samples.is_empty().then(|| "Prometheus has no samples of it for the time under load".to_owned()))
}

fn within(samples: &[(u64, f64)], times: &[(u64, u64)]) -> Vec<(u64, f64)> {
    let is_inside = |at: u64| times.iter().any(|(from, until)| (*from..=*until).contains(&at));
    samples.iter().copied().filter(|(at, _)| is_inside(*at)).collect()
}

/// What a criterion sees of its metric, in its unit; or why it sees nothing.
pub(crate) fn observe(
    plan: &Plan,
    criterion: &Criterion,
    totals: &Totals,
    answers: &[ServerAnswer],
) -> Result<f64, String> {
    let Metric::Server(name) = &criterion.expr.metric else { return Err("it is of no server metric".to_owned()) };
    let answer = answer(answers, name);
    let all = answer.map(samples).unwrap_or_default();
    if let Some(why) = why_empty(answer, &all) {
        return Err(why);
    }
    let samples = match &criterion.during {
        None => Cow::Borrowed(&all),
        Some(stages) => {
            let times = stages.iter().filter_map(|(scenario, stage)| {
                Some(stage_times(plan.scenarios.get(*scenario)?, totals.scenarios.get(*scenario)?, *stage))
            });
            Cow::Owned(within(&all, &times.flatten().collect::<Vec<_>>()))
        }
    };
    let figures =
        ServerFigures::of(&samples).ok_or_else(|| "Prometheus has no samples of it for that stage".to_owned())?;
    figures.observe(&criterion.expr).ok_or_else(|| match samples.len() {
        few if few < FEWEST_FOR_A_SLOPE => {
            format!("a slope needs at least {FEWEST_FOR_A_SLOPE} samples, there are {few}")
        }
        _ => "a share of a series needs a mean that is not 0".to_owned(),
    })
}

impl ServerReport {
    /// Keeps fewer samples, for a chart: the figures stay those of all of them.
    pub(crate) fn thin(&mut self) {
        /// As many as a chart shows well.
        const FEW: usize = 60;
        let each = self.samples.len().div_ceil(FEW).max(1);
        self.samples = self.samples.iter().step_by(each).copied().collect();
    }
}

impl ServerFigures {
    /// Of samples in the order of time.
    fn of(samples: &[(u64, f64)]) -> Option<Self> {
        let (_, last) = *samples.last()?;
        let values = || samples.iter().map(|(_, value)| *value);
        // Divided first: the sum of large values may be more than there are numbers for.
        let avg = values().map(|value| value / samples.len() as f64).sum();
        let points: Vec<(f64, f64)> = samples.iter().map(|(at, value)| (*at as f64 / HOUR, *value)).collect();
        let slope = (points.len() >= FEWEST_FOR_A_SLOPE).then(|| slope(&points)).flatten();
        Some(Self {
            min: values().fold(f64::INFINITY, f64::min),
            avg,
            max: values().fold(f64::NEG_INFINITY, f64::max),
            last,
            slope: slope.filter(|slope| slope.is_finite()),
        })
    }

    /// The slope as a share of the mean, in an hour; none where there is no mean to take a share of.
    pub fn relative_slope(&self) -> Option<f64> {
        let slope = self.slope?;
        if slope == 0.0 {
            return Some(0.0);
        }
        Some(slope / self.avg.abs()).filter(|share| share.is_finite())
    }

    /// The value that an expression asks for, in the expression's unit.
    fn observe(&self, expr: &Expr) -> Option<f64> {
        let value = match (expr.aggregate, expr.unit()) {
            (Aggregate::Slope, Unit::SharePerHour) => self.relative_slope()?,
            (Aggregate::Slope, _) => self.slope?,
            (Aggregate::Min, _) => self.min,
            (Aggregate::Max, _) => self.max,
            (Aggregate::Last, _) => self.last,
            _ => self.avg,
        };
        // Prometheus counts time in seconds.
        let is_time = matches!(expr.unit(), Unit::Time | Unit::TimePerHour);
        Some(if is_time { value * 1e6 } else { value }).filter(|value| value.is_finite())
    }

    /// The slope for people: `+0.4%/h`; a dash without one.
    pub fn shown_slope(&self) -> String {
        let sign = |slope: f64| if slope > 0.0 { "+" } else { "" };
        let shown = |amount| format!("{}{}", sign(amount), Value { unit: Unit::SharePerHour, amount });
        self.relative_slope().map_or_else(|| "-".to_owned(), shown)
    }
}

impl ServerUnit {
    /// As the first criterion that says one has it; else bytes where the query asks for bytes.
    fn of(query: &ServerQuery, criteria: &[Criterion]) -> Self {
        let of_criterion = |criterion: &Criterion| match (&criterion.expr.metric, criterion.expr.unit()) {
            (Metric::Server(name), _) if *name != query.name => None,
            (Metric::Server(_), Unit::Bytes | Unit::BytesPerHour) => Some(Self::Bytes),
            (Metric::Server(_), Unit::Time | Unit::TimePerHour) => Some(Self::Seconds),
            (Metric::Server(_), Unit::Share) => Some(Self::Share),
            (Metric::Server(_), Unit::Count | Unit::PerHour) => Some(Self::Number),
            _ => None,
        };
        let is_bytes = query.query.contains("_bytes") && !query.query.contains("rate(");
        let of_query = if is_bytes { Self::Bytes } else { Self::Number };
        criteria.iter().find_map(of_criterion).unwrap_or(of_query)
    }

    /// A value for people.
    pub fn shown(self, value: f64) -> String {
        let (unit, amount) = match self {
            Self::Number => (Unit::Count, value),
            Self::Share => (Unit::Share, value),
            Self::Seconds => (Unit::Time, value * 1e6),
            Self::Bytes => (Unit::Bytes, value),
        };
        Value { unit, amount }.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rising(count: u64, base: f64, per_hour: f64) -> Vec<(u64, f64)> {
        (0..count).map(|at| (at * 1_000_000, base + per_hour * (at as f64 / 3600.0))).collect()
    }

    fn observed(expr: &str, samples: &[(u64, f64)]) -> Option<f64> {
        ServerFigures::of(samples)?.observe(&expr.parse().unwrap())
    }

    #[test]
    fn a_series_comes_to_its_figures_in_the_unit_of_the_limit() {
        let samples = [(0, 0.5), (1_000_000, 0.25), (2_000_000, 0.75)];
        assert_eq!(observed("min(server.x) > 5%", &samples), Some(0.25));
        assert_eq!(observed("max(server.x) < 500ms", &samples), Some(750_000.0));
        assert_eq!(observed("avg(server.x) < 5", &samples), Some(0.5));
        assert_eq!(observed("last(server.x) < 5Mi", &samples), Some(0.75));
        assert_eq!(observed("slope(server.x) < 5/h", &samples), None);
        assert_eq!(ServerFigures::of(&[]), None);
    }

    #[test]
    fn a_leak_is_a_slope_in_an_hour_and_outliers_are_not() {
        let mut samples = rising(120, 100.0, 10.0);
        samples[60].1 = 1e9;
        samples[119].1 = 0.0;
        let near =
            |seen: Option<f64>, expected: f64| assert!((seen.unwrap() / expected - 1.0).abs() < 0.01, "{seen:?}");
        near(observed("slope(server.x) < 1/h", &samples), 10.0);
        near(observed("slope(server.x) < 1/h", &rising(5_000, 100.0, -3.0)[..600]), -3.0);
        near(observed("slope(server.x) < 1%/h", &rising(120, 100.0, 10.0)), 0.1);
        assert_eq!(observed("slope(server.x) < 1%/h", &rising(120, 0.0, 0.0)), Some(0.0));
    }

    #[test]
    fn what_is_not_finite_or_not_in_order_is_put_right() {
        let samples = vec![(3, f64::NAN), (2, 5.0), (1, f64::INFINITY), (0, 4.0), (2, 6.0)];
        let answer = ServerAnswer { name: "x".to_owned(), samples, error: None };
        assert_eq!(super::samples(&answer), [(0, 4.0), (2, 5.0)]);
    }

    #[test]
    fn values_and_slopes_are_shown_to_people() {
        assert_eq!(ServerUnit::Bytes.shown(851_443_712.0), "812Mi");
        assert_eq!(ServerUnit::Share.shown(0.42), "42%");
        assert_eq!(ServerUnit::Seconds.shown(0.25), "250ms");
        let figures = ServerFigures::of(&rising(120, 100.0, 0.4)).unwrap();
        assert_eq!(figures.shown_slope(), "+0.4%/h");
        assert_eq!(ServerFigures::of(&rising(120, 100.0, -2.0)).unwrap().shown_slope(), "-2%/h");
    }

    proptest! {
        #[test]
        fn figures_of_any_series_are_finite_and_in_order(
            values in proptest::collection::vec((0_u64..10_000_000_000, -1e300_f64..1e300), 1..80)
        ) {
            let answer = ServerAnswer { name: String::new(), samples: values, error: None };
            let figures = ServerFigures::of(&super::samples(&answer)).unwrap();
            let slack = figures.max.abs().max(figures.min.abs()) * 1e-9;
            prop_assert!(figures.min <= figures.avg + slack && figures.avg <= figures.max + slack);
            prop_assert!(figures.min <= figures.last && figures.last <= figures.max);
            prop_assert!(figures.slope.is_none_or(f64::is_finite));
            prop_assert!(serde_json::to_string(&figures).is_ok_and(|json| !json.contains("null")));
        }
    }
}

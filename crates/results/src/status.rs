//! Figures as a `LoadTest`'s status shows them: strings for people, no floats.

use std::collections::BTreeMap;

use proofload_api::status::{CriterionStatus, FiguresStatus, GeneratorStatus, ScenarioStatus};
use proofload_api::units::{short_share, short_time};

use crate::figures::Figures;
use crate::health::Generator;
use crate::judge::Judgement;
use crate::reason::observed;
use crate::report::{CriterionReport, ScenarioReport};

impl From<&Figures> for FiguresStatus {
    fn from(figures: &Figures) -> Self {
        let latency = figures.latency.iter().flat_map(|times| {
            [("p50", times.p50), ("p95", times.p95), ("p99", times.p99), ("max", times.max)]
                .map(|(name, micros)| (name.to_owned(), short_time(micros as f64)))
        });
        Self {
            requests: figures.requests,
            errors: figures.errors,
            error_rate: errors(figures),
            rps: figures.rate.round() as u64,
            outcomes: figures.outcomes.clone(),
            latency: latency.collect::<BTreeMap<_, _>>(),
        }
    }
}

/// The share of errors for people, `-` without samples.
pub(crate) fn errors(figures: &Figures) -> String {
    figures.error_share().map_or_else(|| "-".to_owned(), short_share)
}

impl From<&ScenarioReport> for ScenarioStatus {
    fn from(scenario: &ScenarioReport) -> Self {
        Self { name: scenario.name.clone(), verdict: scenario.verdict, figures: (&scenario.figures).into() }
    }
}

impl From<&CriterionReport> for CriterionStatus {
    fn from(criterion: &CriterionReport) -> Self {
        Self {
            expr: criterion.expr.clone(),
            of: criterion.of.clone(),
            severity: criterion.severity,
            observed: observed(criterion),
            outcome: criterion.outcome,
        }
    }
}

impl From<&Judgement> for CriterionStatus {
    fn from(judgement: &Judgement) -> Self {
        Self {
            expr: judgement.text.clone(),
            of: judgement.of.clone(),
            severity: judgement.severity,
            observed: judgement.observed.map_or_else(|| "-".to_owned(), |value| value.to_string()),
            outcome: judgement.outcome,
        }
    }
}

impl From<&Generator> for GeneratorStatus {
    fn from(generator: &Generator) -> Self {
        Self {
            healthy: generator.healthy,
            cpu: short_share(generator.cpu),
            throttled: short_share(generator.throttled),
            lateness_p99: generator
                .lateness
                .as_ref()
                .map_or_else(|| "-".to_owned(), |lateness| short_time(lateness.p99 as f64)),
            skew: short_time(generator.skew as f64),
        }
    }
}

//! Criteria in plain words, for readers who have never seen one.

use proofload_api::Outcome;
use proofload_api::criterion::{Aggregate, Ended, Expr, Metric, Operator};

use super::table::name;

/// What a criterion asks for, as a sentence would say it: `95% of answers take less than 500ms`. None where it is rarely
/// asked, or not to be read by this version: the criterion itself stands beside.
pub(super) fn plain(criterion: &str) -> Option<String> {
    let expr: Expr = criterion.parse().ok()?;
    let amount = format!("{} {}", operator(expr.operator)?, expr.limit);
    match &expr.metric {
        Metric::Latency(ended) => time(&expr, &amount, &answers(*ended)),
        Metric::Server(metric) => server(&expr, metric, &amount),
        Metric::ServiceTime => time(&expr, &amount, "answers, once sent,"),
        _ => share_or_count(&expr, &amount),
    }
}

const fn operator(operator: Operator) -> Option<&'static str> {
    Some(match operator {
        Operator::Less => "less than",
        Operator::LessOrEqual => "at most",
        Operator::Greater => "more than",
        Operator::GreaterOrEqual => "at least",
        Operator::Equal => "exactly",
        Operator::NotEqual => return None,
    })
}

fn answers(ended: Ended) -> String {
    match ended {
        Ended::Answered => "answers".to_owned(),
        Ended::Any => "requests, however they end,".to_owned(),
        Ended::As(Outcome::Ok) => "good answers".to_owned(),
        Ended::As(outcome) => format!("requests that end as {}", outcome.name()),
    }
}

fn time(expr: &Expr, amount: &str, answers: &str) -> Option<String> {
    let is_upper = matches!(expr.operator, Operator::Less | Operator::LessOrEqual);
    match expr.aggregate {
        Aggregate::Percentile(part) if is_upper => Some(format!("{part}% of {answers} take {amount}")),
        Aggregate::Med if is_upper => Some(format!("half of {answers} take {amount}")),
        Aggregate::Avg => Some(format!("{answers} take {amount} on average")),
        Aggregate::Min => Some(format!("the fastest of {answers} takes {amount}")),
        Aggregate::Max => Some(format!("the slowest of {answers} takes {amount}")),
        _ => None,
    }
}

/// What is asked of a metric of the target.
fn server(expr: &Expr, metric: &str, amount: &str) -> Option<String> {
    let metric = name(metric);
    Some(match expr.aggregate {
        Aggregate::Min => format!("the target's {metric} is {amount} at its lowest"),
        Aggregate::Max => format!("the target's {metric} is {amount} at its highest"),
        Aggregate::Avg => format!("the target's {metric} is {amount} on average"),
        Aggregate::Last => format!("the target's {metric} is {amount} at the end"),
        Aggregate::Slope => format!("the target's {metric} rises by {amount}"),
        _ => return None,
    })
}

fn share_or_count(expr: &Expr, amount: &str) -> Option<String> {
    let does = match &expr.metric {
        Metric::Requests => {
            let requests = format!("{} requests", amount.trim_end_matches("/s"));
            return Some(if expr.aggregate == Aggregate::Rate { requests + " per second" } else { requests });
        }
        Metric::Errors(but) => format!("{}fail", without(*but)),
        Metric::Success(but) => format!("{}succeed", without(*but)),
        Metric::Status(status) => format!("are answered with status {status}"),
        Metric::Outcome(outcome) => format!("end as {}", outcome.name()),
        Metric::Dropped => return Some(format!("{amount} of arrivals find no free user")),
        Metric::Check(check) => return Some(format!("{amount} of answers hold {}", name(check))),
        _ => return None,
    };
    let of = if expr.aggregate == Aggregate::Rate { "of requests" } else { "requests" };
    Some(format!("{amount} {of} {does}"))
}

/// The requests that are left out.
fn without(status: Option<u16>) -> String {
    status.map(|status| format!("that are not answered with status {status} ")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn criteria_are_told_in_words() {
        for (criterion, words) in [
            ("p95(latency) < 500ms", "95% of answers take less than 500ms"),
            ("p99.9(latency[ok]) <= 1s", "99.9% of good answers take at most 1s"),
            ("p95(latency[any]) < 5s", "95% of requests, however they end, take less than 5s"),
            ("max(latency[reset]) < 5s", "the slowest of requests that end as reset takes less than 5s"),
            ("avg(latency) < 2s", "answers take less than 2s on average"),
            ("max(latency) < 10s", "the slowest of answers takes less than 10s"),
            ("rate(errors) < 1%", "less than 1% of requests fail"),
            ("rate(success) > 95%", "more than 95% of requests succeed"),
            ("rate(requests) > 50/s", "more than 50 requests per second"),
            ("rate(success[!429]) > 50%", "more than 50% of requests that are not answered with status 429 succeed"),
            ("count(requests) == 2500", "exactly 2500 requests"),
            ("rate(status(429)) <= 10%", "at most 10% of requests are answered with status 429"),
            ("count(errors) == 0", "exactly 0 requests fail"),
        ] {
            assert_eq!(plain(criterion).as_deref(), Some(words), "{criterion}");
        }
        assert_eq!(plain("p95(latency) > 5ms"), None);
        assert_eq!(plain("of a later version"), None);
    }
}

//! What the chart's dashboards and alerts ask Prometheus, as expressions to try.

use anyhow::{Context, Result};
use serde_json::Value;

const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../charts/proofload");
/// As Grafana would make it of scrapes of 15 s: four of them. Kubelets look at their containers that seldom.
const RATE_INTERVAL: &str = "1m";

/// An expression, and where it stands.
#[derive(Debug, Clone)]
pub struct Question {
    /// File and panel, annotation, variable or alert.
    pub place: String,
    /// The expression, without variables.
    pub expression: String,
}

/// What a reader has chosen in a dashboard.
#[derive(Debug, Clone)]
pub struct Choice {
    /// The namespace.
    pub namespace: String,
    /// The load test, or any by a regular expression where a dashboard shows all.
    pub loadtest: String,
}

/// Everything that the dashboard asks: panels, annotations, variables.
pub fn of_dashboard(file: &str, choice: &Choice) -> Result<Vec<Question>> {
    let dashboard: Value = serde_json::from_str(&std::fs::read_to_string(format!("{CHART}/dashboards/{file}"))?)?;
    let mut questions = Vec::new();
    let mut ask = |place: &Value, expression: &str| {
        let place = format!("{file}: {}", place.as_str().unwrap_or_default());
        questions.push(Question { place, expression: replaced(expression, choice) });
    };
    for panel in dashboard["panels"].as_array().context("a dashboard has panels")? {
        for target in panel["targets"].as_array().into_iter().flatten() {
            ask(&panel["title"], target["expr"].as_str().context("a target has an expression")?);
        }
    }
    for annotation in dashboard["annotations"]["list"].as_array().into_iter().flatten() {
        ask(&annotation["name"], annotation["expr"].as_str().context("an annotation has an expression")?);
    }
    for variable in dashboard["templating"]["list"].as_array().into_iter().flatten() {
        let values = variable["definition"].as_str().and_then(|text| text.strip_prefix("label_values("));
        // `label_values(SELECTOR, LABEL)`: the series that the values are taken from.
        if let Some((selector, _)) = values.and_then(|text| text.rsplit_once(',')) {
            ask(&variable["name"], selector);
        }
    }
    Ok(questions)
}

/// The expressions of all alerts.
pub fn of_alerts() -> Result<Vec<Question>> {
    let rules: Value =
        serde_saphyr::from_str(&std::fs::read_to_string(format!("{CHART}/rules/proofload.rules.yaml"))?)?;
    let rules = rules["groups"].as_array().into_iter().flatten().filter_map(|group| group["rules"].as_array());
    let question = |rule: &Value| {
        let place = rule["alert"].as_str().context("an alert has a name")?.to_owned();
        let expression = rule["expr"].as_str().context("an alert has an expression")?.to_owned();
        Ok(Question { place, expression })
    };
    rules.flatten().map(question).collect()
}

impl Question {
    /// What an alert looks at, without the limits that it holds it against: that should have data at any time.
    #[must_use]
    pub fn without_limits(&self) -> Self {
        let mut words = self.expression.split_whitespace().peekable();
        let mut kept = Vec::new();
        while let Some(word) = words.next() {
            let limit = if matches!(word, "==" | ">" | ">=" | "<") { words.peek() } else { None };
            match limit.map(|limit| limit.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.')) {
                // It may close brackets.
                Some(rest) if rest.chars().all(|c| c == ')') => {
                    kept.push(rest);
                    words.next();
                }
                _ => kept.push(word),
            }
        }
        Self { place: self.place.clone(), expression: kept.join(" ").replace("absent(", "(") }
    }
}

fn replaced(expression: &str, choice: &Choice) -> String {
    // What Grafana puts in: names of Kubernetes need no escapes in a regular expression but for dots, which hurt nobody.
    let variables = [
        ("$__rate_interval", RATE_INTERVAL),
        ("$__range", "1h"),
        ("$target_namespace", ".+"),
        ("$target_pod", ".+"),
        ("$namespace", &choice.namespace),
        ("$loadtest", &choice.loadtest),
        ("$scenario", ".*"),
        ("$schedule", ".*"),
        ("$step", ".*"),
    ];
    variables.into_iter().fold(expression.to_owned(), |text, (name, value)| text.replace(name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_without_limits_is_what_it_looks_at() {
        for (expression, seen) in [
            ("absent(a == 1)", "(a )"),
            ("max by (x) (a{b=~\"c\"}) > 0.9\n  or b >= 3", "max by (x) (a{b=~\"c\"})  or b "),
            ("a > b", "a > b"),
        ] {
            let question = Question { place: String::new(), expression: expression.to_owned() };
            assert_eq!(question.without_limits().expression, seen);
        }
    }
}

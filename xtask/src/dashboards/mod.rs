//! The Grafana dashboards of the chart: written once, here, as panels and the expressions in them.
//!
//! `cargo xtask dashboards` writes them as the JSON that Grafana imports; `check` holds that against Grafana's own schema.
//! Percentiles always come from histograms that were summed over runners first.

mod board;
mod expr;
mod panel;
mod run;
mod runs;

use anyhow::Result;
use serde_json::Value;
use xshell::cmd;

use crate::context::Context;
use crate::go;

/// Where the chart keeps them, and people find them to import.
pub(crate) const DIRECTORY: &str = "charts/proofload/dashboards";

/// Each dashboard with the name of its file.
pub(crate) fn all() -> [(&'static str, Value); 2] {
    [("run.json", run::dashboard()), ("runs.json", runs::dashboard())]
}

/// Holds the dashboards, as they are committed, against Grafana's schema.
pub(crate) fn check(context: &Context) -> Result<()> {
    let sh = &context.sh;
    let directory = context.root.join(DIRECTORY);
    let files = all().map(|(name, _)| directory.join(name));
    let program = go::build(context, "tests/grafana", "check-dashboards")?;
    cmd!(sh, "{program} {files...}").quiet().run()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The panels of a dashboard, without the headings.
    fn panels(dashboard: &Value) -> Vec<&Value> {
        let all = dashboard["panels"].as_array().unwrap();
        all.iter().filter(|panel| panel["type"] != "row").collect()
    }

    #[test]
    fn each_panel_says_what_it_shows_and_in_which_unit() {
        for (file, dashboard) in all() {
            for panel in panels(&dashboard) {
                let title = panel["title"].as_str().unwrap();
                assert!(panel["description"].as_str().is_some_and(|text| text.len() > 20), "{file}: {title}");
                let unit = panel["fieldConfig"]["defaults"]["unit"].as_str();
                assert!(unit.is_some_and(|unit| !unit.is_empty()), "{file}: {title}");
                assert!(!panel["targets"].as_array().unwrap().is_empty(), "{file}: {title}");
            }
        }
    }

    #[test]
    fn titles_and_numbers_are_unique_and_no_panels_overlap() {
        for (file, dashboard) in all() {
            let (mut seen, mut cells) = (BTreeSet::new(), BTreeSet::new());
            for panel in dashboard["panels"].as_array().unwrap() {
                assert!(seen.insert(panel["id"].to_string()), "{file}: {}", panel["id"]);
                let title = panel["title"].as_str().unwrap().to_owned();
                // A heading may be called as its first panel is.
                assert!(panel["type"] == "row" || seen.insert(title.clone()), "{file}: {title}");
                let at = |name: &str| panel["gridPos"][name].as_u64().unwrap();
                assert!(at("x") + at("w") <= 24, "{file}: {title}");
                for (x, y) in (0..at("w")).flat_map(|x| (0..at("h")).map(move |y| (x, y))) {
                    assert!(cells.insert((at("x") + x, at("y") + y)), "{file}: {title}");
                }
            }
        }
    }

    #[test]
    fn every_variable_of_an_expression_is_one_of_the_dashboard() {
        for (file, dashboard) in all() {
            let variables = dashboard["templating"]["list"].as_array().unwrap();
            let mut known: BTreeSet<_> = variables.iter().map(|one| one["name"].as_str().unwrap()).collect();
            known.extend(["__rate_interval", "__range"]);
            for panel in panels(&dashboard) {
                for target in panel["targets"].as_array().unwrap() {
                    let expression = target["expr"].as_str().unwrap();
                    for part in expression.split('$').skip(1) {
                        let end = part.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(part.len());
                        assert!(known.contains(&part[..end]), "{file}: {expression}");
                    }
                }
            }
        }
    }

    #[test]
    fn no_percentile_is_averaged_or_taken_before_the_sum() {
        for (file, dashboard) in all() {
            let text = dashboard.to_string();
            for forbidden in ["avg(histogram_quantile", "avg by", "histogram_quantile(0.95, rate("] {
                assert!(!text.contains(forbidden), "{file}: {forbidden}");
            }
        }
    }
}

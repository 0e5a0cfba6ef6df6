//! What the chart brings for Grafana and Prometheus, held against what they read: the dashboards against Grafana's schema,
//! the alert rules against promtool and by their unit tests. And what is scraped, by promtool.

use std::path::Path;

use anyhow::{Result, ensure};
use xshell::cmd;

use crate::context::Context;
use crate::{dashboards, debian, metrics};

/// The alert rules: as a file for any Prometheus, and what the chart's `PrometheusRule` is made of.
const RULES: &str = "charts/proofload/rules/proofload.rules.yaml";
/// Their unit tests.
const RULE_TESTS: &str = "tests/rules";

/// Checks dashboards, rules, and a value of each metric.
pub(crate) fn check(context: &Context) -> Result<()> {
    debian::ensure_prometheus(context)?;
    let sh = &context.sh;
    cmd!(sh, "promtool check rules --lint=all --lint-fatal {RULES}").quiet().run()?;
    let mut tests = sh.read_dir(Path::new(RULE_TESTS))?;
    tests.retain(|path| path.to_string_lossy().ends_with(".test.yaml"));
    tests.sort();
    ensure!(!tests.is_empty(), "{RULE_TESTS} has no tests of the alert rules");
    cmd!(sh, "promtool test rules {tests...}").quiet().run()?;
    metrics::check(context)?;
    dashboards::check(context)
}

//! Expressions that more than one panel is made of.

/// The interval of a rate: Grafana makes it four scrapes long at least.
const RATE: &str = "[$__rate_interval]";

/// What is left of a series that has ended: the last value in the time that is looked at.
pub(super) fn last(selector: &str) -> String {
    format!("last_over_time({selector}[$__range])")
}

/// The rate of a counter, summed by these labels.
pub(super) fn rate(by: &str, selector: &str) -> String {
    format!("sum{}(rate({selector}{RATE}))", grouping(by))
}

/// A percentile of a histogram over all runners, by these labels.
///
/// Prometheus keeps the classic buckets, or the native histogram, or both, as it was set up: the first that is there.
pub(super) fn quantile(share: f64, by: &str, name: &str, matchers: &str) -> String {
    let with_le = if by.is_empty() { "le".to_owned() } else { format!("{by}, le") };
    let classic = rate(&with_le, &format!("{name}_bucket{{{matchers}}}"));
    let native = rate(by, &format!("{name}{{{matchers}}}"));
    format!("histogram_quantile({share}, {classic}) or histogram_quantile({share}, {native})")
}

/// How many requests were in each bucket, over all runners: classic buckets, or else the native histogram.
pub(super) fn buckets(name: &str, matchers: &str) -> String {
    let classic = format!("increase({name}_bucket{{{matchers}}}{RATE})");
    let native = format!("increase({name}{{{matchers}}}{RATE})");
    format!("sum by (le) ({classic}) or (sum({native}) unless on () sum by (le) ({classic}))")
}

/// The last `count` finished runs of each schedule, as something to restrict other series to.
pub(super) fn latest(count: usize, matchers: &str) -> String {
    format!(
        "and on (namespace, loadtest) topk by (namespace, schedule) ({count}, max by (namespace, schedule, loadtest) \
         (proofload_loadtest_completion_timestamp_seconds{{{matchers}}}))"
    )
}

/// What an operator says of something that these labels name: once, though two operators say it.
pub(super) fn once(by: &str, selector: &str) -> String {
    format!("max by ({by}) ({selector})")
}

fn grouping(by: &str) -> String {
    if by.is_empty() { String::new() } else { format!(" by ({by}) ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_taken_after_the_sum_over_runners() {
        let expected = "histogram_quantile(0.95, sum by (step, le) (rate(x_bucket{a=\"b\"}[$__rate_interval]))) \
                        or histogram_quantile(0.95, sum by (step) (rate(x{a=\"b\"}[$__rate_interval])))";
        assert_eq!(quantile(0.95, "step", "x", "a=\"b\""), expected);
        assert!(quantile(0.5, "", "x", "").contains("or histogram_quantile(0.5, sum(rate(x{}[$__rate_interval])))"));
    }
}

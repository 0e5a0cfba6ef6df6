//! The report as the files of Locust: their headers to the letter, and the report's own figures in them.

use std::collections::BTreeMap;

use csv::{ReaderBuilder, StringRecord};
use proofload_results::csv::{exceptions, failures, stats, stats_history};
use proofload_results::{Circumstances, LostRunner, Report};

use crate::fixtures::{Runner, report};
use crate::forms::{failed_run, hostile_run};

const STATS: &str = "Type,Name,Request Count,Failure Count,Median Response Time,Average Response Time,Min Response Time,\
                     Max Response Time,Average Content Size,Requests/s,Failures/s,50%,66%,75%,80%,90%,95%,98%,99%,99.9%,\
                     99.99%,100%";
const HISTORY: &str = "Timestamp,User Count,Type,Name,Requests/s,Failures/s,50%,66%,75%,80%,90%,95%,98%,99%,99.9%,99.99%,\
                       100%,Total Request Count,Total Failure Count,Total Median Response Time,\
                       Total Average Response Time,Total Min Response Time,Total Max Response Time,\
                       Total Average Content Size";
const FAILURES: &str = "Method,Name,Error,Occurrences,First Seen,Last Seen";
const EXCEPTIONS: &str = "Count,Message,Traceback,Nodes";

type Row = BTreeMap<String, String>;

/// The rows of a file under their headers, which are checked.
fn rows(file: &str, header: &str) -> Vec<Row> {
    assert_eq!(file.split("\r\n").next(), Some(header));
    let mut reader = ReaderBuilder::new().from_reader(file.as_bytes());
    let names = reader.headers().unwrap().clone();
    let row = |record: StringRecord| names.iter().zip(&record).map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
    reader.records().map(|record| row(record.unwrap())).collect()
}

fn sum(rows: &[Row], column: &str) -> u64 {
    rows.iter().map(|row| row[column].parse::<u64>().unwrap()).sum()
}

#[test]
fn stats_have_a_line_for_each_step_and_one_for_all() {
    let report = failed_run();
    let mut rows = rows(&stats(&report), STATS);
    let all = rows.pop().unwrap();
    let named: Vec<_> = rows.iter().map(|row| (row["Type"].as_str(), row["Name"].as_str())).collect();
    assert_eq!(named, [("POST", "baseline/create"), ("GET", "baseline/list"), ("WS", "burst/get")]);
    assert_eq!((all["Type"].as_str(), all["Name"].as_str()), ("", "Aggregated"));
    for (column, whole) in [("Request Count", report.summary.requests), ("Failure Count", report.summary.errors)] {
        assert_eq!((sum(&rows, column), all[column].parse()), (whole, Ok(whole)), "{column}");
    }
    let latency = report.summary.latency.as_ref().unwrap();
    let milliseconds = |micros: u64| (micros as f64 / 1000.0).round().to_string();
    for (column, micros) in
        [("50%", latency.p50), ("95%", latency.p95), ("99.9%", latency.p99_9), ("100%", latency.max)]
    {
        assert_eq!(all[column], milliseconds(micros), "{column}");
    }
    assert_eq!((all["Max Response Time"].as_str(), all["Requests/s"].as_str()), ("50.015", "22.439"));
    assert_eq!((rows[0]["Failures/s"].as_str(), rows[0]["Average Content Size"].as_str()), ("0.667", "200"));
}

#[test]
fn percentiles_come_from_the_whole_distribution_or_are_not_there() {
    let mut report = failed_run();
    let of_all = |report: &Report| rows(&stats(report), STATS).pop().unwrap();
    let times = report.summary.distribution.as_ref().unwrap().times().unwrap();
    let told = (times.percentile(66.0).unwrap() as f64 / 1000.0).round().to_string();
    let whole = of_all(&report);
    assert_eq!(whole["66%"], told);
    report.summary.distribution = None;
    let coarse = of_all(&report);
    assert_eq!((coarse["66%"].as_str(), coarse["99.99%"].as_str()), ("N/A", "N/A"));
    assert_eq!((&coarse["50%"], &coarse["100%"]), (&whole["50%"], &whole["100%"]));
    report.summary.latency = None;
    let none = of_all(&report);
    assert_eq!((none["50%"].as_str(), none["Median Response Time"].as_str()), ("N/A", "0"));
}

#[test]
fn history_has_a_line_for_each_part_of_the_timeline_and_counts_on() {
    let report = failed_run();
    let rows = rows(&stats_history(&report), HISTORY);
    assert_eq!(rows.len(), report.timeline.buckets.len());
    // 2026-01-02T03:04:05Z and the first second.
    assert_eq!(rows[0]["Timestamp"], "1767323046");
    let (first, last) = (&rows[20], &rows[rows.len() - 1]);
    assert_eq!((first["Requests/s"].as_str(), first["Failures/s"].as_str()), ("620.000000", "20.000000"));
    assert_eq!((first["User Count"].as_str(), first["66%"].as_str(), first["50%"].as_str()), ("10", "N/A", "20"));
    assert_eq!(last["Total Request Count"], report.summary.requests.to_string());
    assert_eq!(last["Total Failure Count"], report.summary.errors.to_string());
}

#[test]
fn failures_are_every_error_with_when_it_was_seen() {
    let report = failed_run();
    let rows = rows(&failures(&report), FAILURES);
    assert_eq!(sum(&rows, "Occurrences"), report.summary.errors);
    let row = &rows[0];
    assert_eq!((row["Method"].as_str(), row["Name"].as_str()), ("POST", "baseline/create"));
    assert_eq!(row["Error"], "unexpected-status: status 503");
    assert_eq!(row["First Seen"], "2026-01-02T03:04:06Z");
}

#[test]
fn exceptions_are_what_ended_before_its_time() {
    assert_eq!(rows(&exceptions(&failed_run()), EXCEPTIONS), Vec::<Row>::new());
    let lost = LostRunner { index: 1, reason: "evicted".to_owned() };
    let circumstances = Circumstances { lost: vec![lost], ..Circumstances::default() };
    let mut report = report(2, [Runner::new(0, 2).with_load().snapshot()], &[], &circumstances);
    report.scenarios[0].load.broken_iterations = 7;
    let rows = rows(&exceptions(&report), EXCEPTIONS);
    assert_eq!((rows[0]["Message"].as_str(), rows[0]["Nodes"].as_str()), ("the runner was lost: evicted", "1"));
    assert_eq!(rows[1]["Count"], "7");
}

#[test]
fn no_field_is_a_formula_or_more_than_a_line() {
    let report = hostile_run();
    for (file, header) in [
        (stats(&report), STATS),
        (stats_history(&report), HISTORY),
        (failures(&report), FAILURES),
        (exceptions(&report), EXCEPTIONS),
    ] {
        let rows = rows(&file, header);
        assert_eq!(file.split("\r\n").count(), rows.len() + 2, "one line each");
        for value in rows.iter().flat_map(Row::values) {
            assert!(!value.starts_with(['=', '+', '-', '@']) && !value.chars().any(char::is_control), "{value}");
        }
    }
    assert!(stats(&report).contains("'=cmd"));
}

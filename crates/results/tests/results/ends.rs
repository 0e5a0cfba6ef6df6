//! The time to any end: of requests that were reset, closed or answered by what is no response, too.

use proofload_api::Outcome;
use proofload_api::status::CriterionOutcome;
use proofload_plan::Scope;
use proofload_results::text::Style;
use proofload_results::{Circumstances, Report, Sample, csv, html, live, markdown, text};

use crate::fixtures::{Runner, criterion, failed, report};

fn ended(outcome: Outcome, latency: u64) -> Sample {
    Sample { latency, ..failed(outcome, None) }
}

/// 400 good requests within 40 ms, and of one step 80 that failed: 40 after 2 s, 20 after 3 s, 10 with what is no response, and
/// 10 that never had a connection.
fn broken_off() -> Runner {
    Runner::new(0, 1)
        .with_load()
        .add(0, 0, 1, 40, ended(Outcome::Reset, 2_000_000))
        .add(0, 0, 1, 20, ended(Outcome::Closed, 3_000_000))
        .add(0, 0, 1, 10, ended(Outcome::Protocol, 1_000))
        .add(0, 0, 1, 10, ended(Outcome::Connect, 9_000_000))
}

fn told(criteria: &[&str]) -> Report {
    let criteria: Vec<_> = criteria.iter().map(|text| criterion(text, Scope::Run)).collect();
    report(1, [broken_off().snapshot()], &criteria, &Circumstances::default())
}

#[test]
fn the_time_to_any_end_is_of_every_request_that_went_over_a_connection() {
    let report = told(&[]);
    let (latency, ends) = (report.summary.latency.as_ref().unwrap(), report.summary.time_to_end.as_ref().unwrap());
    assert!((50_000..=50_050).contains(&latency.max), "{latency:?}");
    // The 3 s of those that were closed, not the 9 s of those that had no connection.
    assert!((3_000_000..3_003_000).contains(&ends.max) && (1_000..=1_001).contains(&ends.min), "{ends:?}");
    // 10 of 570 are below the fastest answers, 60 above the slowest.
    assert!(ends.p50 >= latency.p50 && ends.p75 <= latency.max, "{ends:?}");
    assert!((2_000_000..2_003_000).contains(&ends.p90) && ends.p99 >= 3_000_000, "{ends:?}");
    // The same figures of requests that have a latency: all of service time, and of distributions.
    assert_eq!(report.summary.service_time.as_ref().unwrap().max, latency.max);
    assert_eq!(report.summary.distribution.as_ref().unwrap().times().unwrap().count(), 500);
}

#[test]
fn it_is_left_out_where_it_is_the_same_as_latency() {
    let report = told(&[]);
    let [baseline, burst] = [&report.scenarios[0], &report.scenarios[1]];
    assert!(baseline.figures.time_to_end.is_some() && baseline.steps[0].figures.time_to_end.is_some());
    let others = [&baseline.steps[1].figures, &burst.figures, &baseline.stages[0].figures];
    for figures in others {
        assert_eq!((&figures.time_to_end, figures.ends()), (&None, figures.latency.as_ref()));
    }
    assert!(baseline.stages[1].figures.time_to_end.is_some());
}

#[test]
fn criteria_are_judged_on_the_ends_that_they_name() {
    let report = told(&[
        "p95(latency) < 100ms",
        "p95(latency[any]) < 100ms",
        "min(latency[reset]) > 1990ms",
        "max(latency[reset]) < 2500ms",
        "med(latency[closed]) > 2500ms",
        "max(latency[protocol]) < 2ms",
        "max(latency[timeout]) < 2s",
    ]);
    let outcomes: Vec<CriterionOutcome> = report.criteria.iter().map(|criterion| criterion.outcome).collect();
    let (pass, fail, nothing) = (CriterionOutcome::Pass, CriterionOutcome::Fail, CriterionOutcome::NoData);
    assert_eq!(outcomes, [pass, fail, pass, pass, pass, pass, nothing]);
}

#[test]
fn figures_that_are_shown_while_a_run_goes_on_are_of_latency_as_those_at_its_end() {
    let plan = crate::fixtures::plan();
    let mut set = proofload_results::SnapshotSet::new(&plan, 1);
    set.insert(broken_off().snapshot()).unwrap();
    let now = live::since(&live::Mark::default(), &set, |_| false);
    assert_eq!((now.p99.as_str(), now.p99.as_str()), ("50ms", live::at_end(&told(&[])).p99.as_str()));
}

#[test]
fn every_form_tells_of_it_where_there_is_one_and_only_there() {
    let (with, without) =
        (told(&[]), report(1, [Runner::new(0, 1).with_load().snapshot()], &[], &Circumstances::default()));
    let forms: [fn(&Report) -> String; 3] =
        [|report| text::render(report, Style::default()), markdown::render, html::render];
    for form in forms {
        assert!(form(&with).contains("Time to any end"), "{}", form(&with));
        assert!(!form(&without).contains("Time to any end"));
    }
    let text = text::render(&with, Style::default());
    let lines: Vec<&str> = text.lines().skip_while(|line| !line.starts_with("Time to any end")).take(5).collect();
    assert!(lines[2].contains("all") && lines[3].contains("baseline "), "{lines:#?}");
    assert!(lines[4].contains("baseline/create") && lines[4].ends_with("3s"), "{lines:#?}");
    // As Locust counts the time of a request that failed.
    let stats = csv::stats(&with);
    let mut rows = stats.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = rows.next().unwrap();
    let place = |name: &str| header.iter().position(|column| *column == name).unwrap();
    let [create, list] = [rows.next().unwrap(), rows.next().unwrap()];
    let seen = |row: &[&str]| ["95%", "66%", "100%"].map(|name| row[place(name)].to_owned());
    assert_eq!(seen(&create), ["3000", "N/A", "3000"]);
    assert_eq!(seen(&list), ["40", "40", "40"]);
}

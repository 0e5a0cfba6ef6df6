//! Pages of runs that went well, badly, or not at all.

use proofload_api::Outcome;
use proofload_api::units::Share;
use proofload_plan::Scope;
use proofload_results::report::{ChangeReport, LoadLevel, SearchReport, SearchStepReport};
use proofload_results::{
    Baseline, Circumstances, Earlier, Evidence, Finding, FindingKind, Input, LostRunner, Report, html,
};

use crate::browser::{Look, open};
use crate::figures::compare;
use crate::fixtures::{Runner, SECOND, criterion, failed, report, with_input};
use crate::long_run;

/// A report with something in every part of it.
pub(crate) fn full() -> Report {
    let criteria =
        [criterion("p95(latency) < 500ms", Scope::Run), criterion("rate(errors) < 1%", Scope::Steps(0, 0, 1))];
    let bad = failed(Outcome::UnexpectedStatus, Some(503));
    let snapshots = [
        Runner::new(0, 3).with_load().add(0, 1, 1, 10, failed(Outcome::Reset, None)).snapshot(),
        Runner::new(1, 3).with_load().add(0, 0, 1, 20, bad).error("status 503", 20).snapshot(),
    ];
    let lost = LostRunner { index: 2, reason: "evicted".to_owned() };
    let circumstances = Circumstances { lost: vec![lost], ..Circumstances::default() };
    let mut report = report(3, snapshots, &criteria, &circumstances);
    report.description = Some("What the shop must bear\non its busiest day.".to_owned());
    report.findings.push(Finding {
        kind: FindingKind::BreakingPoint,
        text: "The criteria stop holding between 30 and 40 users.".to_owned(),
        evidence: vec![Evidence::new("errors with 30 users", "0%"), Evidence::new("errors with 40 users", "60%")],
    });
    let level = |users| LoadLevel { users: Some(users), rate: None };
    let step = |users, held| SearchStepReport {
        level: level(users),
        at: SECOND,
        window_from: 2 * SECOND,
        window_until: 3 * SECOND,
        observed: None,
        dropped: 0,
        held,
        why: "rate(errors) < 1% held".to_owned(),
    };
    report.scenarios[0].search = Some(SearchReport {
        until: "rate(errors) < 1%".to_owned(),
        answer: Some(level(30)),
        finished: false,
        steps: vec![step(30, Some(true)), step(40, Some(false)), step(35, None)],
    });
    let to = LoadLevel { users: None, rate: Some(437.5) };
    report.changes.push(ChangeReport { at: 9 * SECOND, scenario: "burst".to_owned(), from: level(4), to });
    report
}

/// Opens a report's page: it is whole, silent, and its numbers are those of the report.
fn check(report: &Report, look: Look) -> String {
    let opened = open(&html::render(report), look);
    assert_eq!((&opened.console[..], &opened.requests[..]), (&[][..], &[][..]));
    let theme = if look == Look::Dark { "dark" } else { "light" };
    assert!(opened.document.contains(&format!("<html lang=\"en\" data-theme=\"{theme}\">")), "{look:?}");
    compare(&opened.document, report);
    assert_eq!(drawn(&opened.document), expected(report));
    opened.document
}

/// Each chart and how many points it says that it has drawn.
fn drawn(document: &str) -> Vec<(String, Option<usize>)> {
    let chart = |rest: &str| {
        let (name, rest) = rest.split_once('"').unwrap();
        let drawn = rest.split_once('>').unwrap().0.split_once(" data-drawn=\"");
        (name.to_owned(), drawn.map(|(_, rest)| rest.split_once('"').unwrap().0.parse().unwrap()))
    };
    document.split(" data-chart=\"").skip(1).map(chart).collect()
}

/// The charts that a report has, and how many points there are to draw. The plot of percentiles has at least its ends.
fn expected(report: &Report) -> Vec<(String, Option<usize>)> {
    let buckets = &report.timeline.buckets;
    if report.summary.requests == 0 {
        return Vec::new();
    }
    let sum = |of: fn(&proofload_results::report::TimelineBucket) -> usize| buckets.iter().map(of).sum::<usize>();
    let times = |one: &proofload_results::report::TimelineBucket| [one.p50, one.p95, one.p99].iter().flatten().count();
    let mut charts = vec![
        ("users", 2 * buckets.len()),
        ("rate", buckets.len() + sum(|one| usize::from(one.planned_rate.is_some()))),
        ("latency", sum(times)),
        ("failed", buckets.len()),
    ];
    let cells = sum(|one| one.heat.len());
    charts.extend((cells > 0).then_some(("heat", cells)));
    let curves = report.summary.distribution.is_some().then(|| points_of_percentiles(report));
    charts.extend(curves.map(|points| ("percentiles", points)));
    charts.into_iter().map(|(name, points)| (name.to_owned(), Some(points))).collect()
}

/// 20 points for each power of ten of a curve's samples, and one beyond them.
fn points_of_percentiles(report: &Report) -> usize {
    let parts: Vec<_> = match &report.scenarios[..] {
        [only] if only.steps.len() > 1 => only.steps.iter().map(|step| &step.figures).collect(),
        [_] => Vec::new(),
        all => all.iter().map(|scenario| &scenario.figures).collect(),
    };
    let mut parts: Vec<_> = parts.into_iter().filter(|figures| figures.distribution.is_some()).collect();
    parts.sort_by_key(|figures| std::cmp::Reverse(figures.latency.as_ref().unwrap().p99));
    let all = std::iter::once(&report.summary).chain(parts.into_iter().take(7));
    let counts = all.filter_map(|figures| Some(figures.distribution.as_ref()?.times().unwrap().count()));
    counts.map(|count| (20.0 * (count as f64).log10()).ceil() as usize + 1).sum()
}

#[test]
fn a_page_has_the_verdict_first_and_every_part_of_the_report() {
    let document = check(&full(), Look::Light);
    let places = [
        "Failed</p>",
        "1 of 2 criteria did not hold",
        "What the shop must bear<br>on its busiest day.",
        "p95(latency) &lt; 500ms",
        "95% of answers take less than 500ms",
        "The criteria stop holding between 30 and 40 users.",
        "errors with 40 users",
        "Runner lost",
        "The search did not come to its end.",
        ">steady</th>",
        ">burst</h3>",
        "Latency heatmap",
        "Latency by percentile",
        "unexpected-status",
        "status 503",
        "evicted",
        "baseUrl: http://api",
        "How to read this",
    ];
    let mut rest = &document[..];
    for words in places {
        let place = rest.find(words).unwrap_or_else(|| panic!("{words:?} is missing, or not in its place"));
        rest = &rest[place..];
    }
}

#[test]
fn a_page_is_dark_where_the_system_is() {
    check(&full(), Look::Dark);
}

#[test]
fn the_look_can_be_changed_and_paper_is_light() {
    let page = html::render(&full());
    let (before, rest) = page.split_once("Content-Security-Policy\" content=\"").unwrap();
    let (_, after) = rest.split_once('"').unwrap();
    // Without its policy the page takes a script of ours.
    let with = |script: &str| {
        let page = format!("{before}Content-Security-Policy\" content=\"\"{after}<script>{script}</script>");
        let opened = open(&page, Look::Light);
        assert_eq!(opened.console, [""; 0]);
        assert_eq!(drawn(&opened.document), expected(&full()), "drawn again");
        opened.document.contains("<html lang=\"en\" data-theme=\"dark\"")
    };
    let press = "document.getElementById('theme').click();";
    assert!(with(press));
    assert!(!with(&format!("{press}{press}")));
    assert!(!with(&format!("{press}dispatchEvent(new Event('beforeprint'));")));
    assert!(with(&format!("{press}dispatchEvent(new Event('beforeprint'));dispatchEvent(new Event('afterprint'));")));
}

#[test]
fn a_run_that_never_began_has_a_page() {
    let circumstances =
        Circumstances { error: Some("the image does not exist".to_owned()), ..Circumstances::default() };
    let criteria = [criterion("rate(errors) < 1%", Scope::Run)];
    let never =
        |input: &proofload_results::Input<'_>| Report::build(&proofload_results::Input { start: None, ..*input });
    let document = check(&with_input(2, [], &criteria, &circumstances, never), Look::Light);
    for words in ["Error</p>", "the image does not exist.", "the load never began", "not started"] {
        assert!(document.contains(words), "{words}");
    }
}

#[test]
fn a_run_without_samples_has_a_page() {
    let criteria = [criterion("rate(errors) < 1%", Scope::Run)];
    let document = check(&report(2, [], &criteria, &Circumstances::default()), Look::Dark);
    for words in ["Inconclusive</p>", "no samples", "No request was sent, so there is nothing to show over time."] {
        assert!(document.contains(words), "{words}");
    }
}

#[test]
fn a_run_of_which_nothing_was_answered_has_a_page() {
    let refused = failed(Outcome::Connect, None);
    let snapshot = Runner::new(0, 1).add(0, 0, 0, 400, refused).error("connection refused", 400).snapshot();
    let document = check(&report(1, [snapshot], &[], &Circumstances::default()), Look::Dark);
    for words in ["connection refused", "No request was answered, so there is no latency."] {
        assert!(document.contains(words), "{words}");
    }
}

#[test]
fn a_run_held_against_an_earlier_one_has_a_page() {
    let good = report(1, [Runner::new(0, 1).with_load().snapshot()], &[], &Circumstances::default());
    let earlier = Box::new(good);
    let baseline = Baseline { tolerance: Share::from_percent(10), earlier: Earlier::Run(earlier) };
    let held = |input: &Input<'_>| Report::build(&Input { baseline: Some(&baseline), ..*input });
    let snapshot = || Runner::new(0, 1).with_load().add(0, 0, 1, 333, crate::fixtures::ok(2 * SECOND)).snapshot();
    let worse = with_input(1, [snapshot()], &[], &Circumstances::default(), held);
    let document = check(&worse, Look::Light);
    for words in ["id=\"baseline\"", "✗ B against A: Worse: ", "Worse than shop/checkout: "] {
        assert!(document.contains(words), "{words}");
    }
}

#[test]
fn a_run_of_one_request_has_a_page() {
    let snapshot = Runner::new(0, 1).add(1, 0, 0, 1, crate::fixtures::ok(0)).snapshot();
    check(&report(1, [snapshot], &[], &Circumstances::default()), Look::Light);
}

#[test]
fn the_report_of_a_long_run_fits_and_has_a_page() {
    let report = long_run::report();
    let packed = long_run::packed(&report);
    assert!(packed <= 900 << 10, "{packed} bytes");
    assert_eq!((report.runners.len(), report.scenarios[0].steps.len()), (500, 50));
    assert!(report.timeline.buckets.len() >= 100, "{} parts of the timeline", report.timeline.buckets.len());
    assert!(report.spec.is_some() && report.summary.distribution.is_some());
    check(&report, Look::Light);
}

//! Runs held against each other: what is worse, what is not, what cannot be told, and how it is shown.

use fastrand::Rng;
use proofload_api::Verdict;
use proofload_api::units::Share;
use proofload_results::compare::{Against, Comparison, Figure, Presence, Tendency, Tolerance, compare};
use proofload_results::compare::{html, markdown, text};
use proofload_results::report::LoadLevel;
use proofload_results::text::Style;
use proofload_results::{Circumstances, Distribution, Doubt, DoubtKind, Figures, Report, TimeFigures, Times};
use proptest::prelude::*;

use crate::fixtures::{Runner, report};

/// What a run measured of each step.
#[derive(Debug, Clone, Copy)]
struct Measured {
    requests: u64,
    failed: f64,
    factor: f64,
    seed: u64,
}

const GOOD: Measured = Measured { requests: 1000, failed: 0.002, factor: 1.0, seed: 1 };

/// Latencies around 20 ms with a tail, of so many requests.
fn figures(measured: Measured, seconds: f64, rng: &mut Rng) -> Figures {
    let mut times = Times::new();
    for _ in 0..measured.requests {
        let tail = -(1.0 - rng.f64()).ln();
        times.record((measured.factor * (15_000.0 + 5_000.0 * tail)) as u64);
    }
    let errors = (0..measured.requests).filter(|_| rng.f64() < measured.failed).count() as u64;
    Figures {
        requests: measured.requests,
        ok: measured.requests - errors,
        errors,
        rate: measured.requests as f64 / seconds,
        latency: TimeFigures::of(&times),
        distribution: Distribution::of(&times),
        ..Figures::default()
    }
}

/// A run of the fixtures' plan in which every part measured the like.
fn run(measured: Measured) -> Report {
    let mut run = report(1, [Runner::new(0, 1).with_load().snapshot()], &[], &Circumstances::default());
    let rng = &mut Rng::with_seed(measured.seed);
    run.summary = figures(measured, 41.0, rng);
    for scenario in &mut run.scenarios {
        let seconds = scenario.load.duration as f64 / 1e6;
        scenario.figures = figures(measured, seconds, rng);
        for step in &mut scenario.steps {
            step.figures = figures(measured, seconds, rng);
        }
    }
    run
}

fn against(before: &Report, after: &Report) -> Against {
    compare(before, &[after], &Tolerance::default()).others.remove(0)
}

/// Scenario, step, figure, and what was found of it.
type Found = (Option<String>, Option<String>, Figure, Option<Tendency>);

fn findings(against: &Against) -> Vec<Found> {
    let of = |part: &proofload_results::compare::PartChanges| {
        let (scenario, step) = (part.scenario.clone(), part.step.clone());
        let changes = part.changes.clone();
        changes.into_iter().map(move |change| (scenario.clone(), step.clone(), change.figure, change.finding))
    };
    against.parts.iter().flat_map(of).collect()
}

fn count(against: &Against, tendency: Tendency) -> usize {
    against.with(tendency).count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn a_run_against_itself_is_not_worse(
        seed in any::<u64>(), requests in 1_u64..1500, failed in 0.0..1.0, factor in 0.0001..100.0,
    ) {
        let run = run(Measured { requests, failed, factor, seed });
        let against = against(&run, &run);
        prop_assert_eq!((count(&against, Tendency::Worse), count(&against, Tendency::Better)), (0, 0));
        prop_assert_ne!(against.verdict, Verdict::Failed);
    }

    #[test]
    fn the_other_way_round_better_is_worse(
        seeds in any::<(u64, u64)>(), requests in (50_u64..1500, 50_u64..1500), failed in (0.0..0.2, 0.0..0.2), factor in 0.6..1.6,
    ) {
        let before = run(Measured { requests: requests.0, failed: failed.0, factor: 1.0, seed: seeds.0 });
        let after = run(Measured { requests: requests.1, failed: failed.1, factor, seed: seeds.1 });
        let swapped = findings(&against(&after, &before)).into_iter().map(|(scenario, step, figure, finding)| {
            let finding = finding.map(|finding| match finding {
                Tendency::Worse => Tendency::Better,
                Tendency::Better => Tendency::Worse,
                same => same,
            });
            (scenario, step, figure, finding)
        });
        prop_assert_eq!(findings(&against(&before, &after)), swapped.collect::<Vec<_>>());
    }
}

#[test]
fn runs_that_differ_by_chance_alone_are_not_told_apart() {
    let none = Tolerance { relative: Share::default(), errors: Share::default() };
    let mut alarms = 0;
    for seed in 0..50 {
        let (before, after) =
            (run(Measured { seed: 2 * seed + 1, ..GOOD }), run(Measured { seed: 2 * seed + 2, ..GOOD }));
        let comparison = compare(&before, &[&after], &none);
        alarms += usize::from(
            findings(&comparison.others[0])
                .iter()
                .any(|(.., finding)| matches!(finding, Some(Tendency::Worse | Tendency::Better))),
        );
    }
    // One is due at most, with no tolerance to help.
    assert!(alarms <= 3, "{alarms} of 50");
}

#[test]
fn what_is_30_percent_slower_is_worse_and_what_is_5_percent_slower_is_tolerated() {
    let slower = against(&run(GOOD), &run(Measured { factor: 1.3, seed: 2, ..GOOD }));
    assert_eq!(slower.verdict, Verdict::Failed);
    for figure in [Figure::P50, Figure::P95] {
        let worse = slower.with(Tendency::Worse).filter(|(_, change)| change.figure == figure).count();
        assert_eq!(worse, slower.parts.len(), "{figure:?}");
    }
    let (_, median) = slower.with(Tendency::Worse).find(|(_, change)| change.figure == Figure::P50).unwrap();
    let (low, high) = (median.low.unwrap(), median.high.unwrap());
    assert!(low > 0.2 && low < 0.3 && high > 0.3 && high < 0.4, "{median:?}");
    let hardly = against(&run(GOOD), &run(Measured { factor: 1.05, seed: 2, ..GOOD }));
    assert_eq!((hardly.verdict, count(&hardly, Tendency::Worse)), (Verdict::Passed, 0));
    // It is known to be slower all the same.
    assert!(hardly.parts[0].changes[3].low.unwrap() > 0.0);
}

#[test]
fn a_request_that_hung_at_the_end_of_the_baseline_hides_no_lower_rate() {
    let (mut before, after) = (run(GOOD), run(Measured { requests: 700, seed: 2, ..GOOD }));
    let hung = |figures: &mut Figures, took: &mut u64, planned: u64| {
        assert!(*took >= planned && planned > 0, "the plan says how long");
        *took = planned * 3 / 2;
        figures.rate = figures.requests as f64 * 1e6 / *took as f64;
    };
    hung(&mut before.summary, &mut before.duration, before.load.planned_duration);
    for scenario in &mut before.scenarios {
        hung(&mut scenario.figures, &mut scenario.load.duration, scenario.load.planned_duration);
    }
    let found = against(&before, &after);
    let rates = found.parts.iter().flat_map(|part| &part.changes).filter(|change| change.figure == Figure::Rate);
    let judged: Vec<_> = rates.filter(|change| change.finding.is_some()).collect();
    assert!(!judged.is_empty());
    for rate in judged {
        let (low, change, high) = (rate.low.unwrap(), rate.change.unwrap(), rate.high.unwrap());
        assert!(rate.finding == Some(Tendency::Worse) && low <= change && change <= high, "{rate:?}");
    }
}

#[test]
fn a_step_that_is_slower_is_found_by_its_name_among_others() {
    let (before, mut after) = (run(GOOD), run(Measured { seed: 2, ..GOOD }));
    after.scenarios[0].steps[1].figures = figures(Measured { factor: 2.0, ..GOOD }, 30.0, &mut Rng::with_seed(3));
    after.scenarios[0].steps.reverse();
    let found = against(&before, &after);
    let worse: Vec<_> = found.with(Tendency::Worse).map(|(part, _)| part.step.clone().unwrap()).collect();
    assert_eq!((found.verdict, &worse[..]), (Verdict::Failed, &["list", "list", "list"].map(str::to_owned)[..]));
}

#[test]
fn more_errors_are_worse_beyond_their_own_tolerance() {
    let (before, after) = (run(GOOD), run(Measured { failed: 0.06, seed: 2, ..GOOD }));
    let worse = against(&before, &after);
    assert!(worse.with(Tendency::Worse).all(|(_, change)| change.figure == Figure::Errors));
    assert_eq!((worse.verdict, count(&worse, Tendency::Worse)), (Verdict::Failed, worse.parts.len()));
    let tolerance = Tolerance { errors: Share::from_percent(10), ..Tolerance::default() };
    assert_eq!(compare(&before, &[&after], &tolerance).verdict(), Verdict::Passed);
}

#[test]
fn a_rate_is_judged_of_users_and_not_of_arrivals() {
    let (before, mut after) = (run(GOOD), run(Measured { requests: 700, seed: 2, ..GOOD }));
    let rates = |against: &Against| -> Vec<_> {
        findings(against)
            .into_iter()
            .filter(|(.., figure, _)| *figure == Figure::Rate)
            .map(|(.., found)| found)
            .collect()
    };
    assert!(rates(&against(&before, &after)).iter().all(|found| *found == Some(Tendency::Worse)));
    for stage in after.scenarios.iter_mut().flat_map(|scenario| &mut scenario.stages) {
        stage.from = Some(LoadLevel { users: None, rate: Some(50.0) });
    }
    assert!(rates(&against(&before, &after)).iter().all(Option::is_none));
}

#[test]
fn percentiles_of_few_samples_or_without_a_distribution_are_unknown() {
    let few =
        against(&run(Measured { requests: 60, ..GOOD }), &run(Measured { requests: 60, factor: 9.0, seed: 2, ..GOOD }));
    let of = |against: &Against, figure| {
        let part = &against.parts[0].changes;
        part.iter().find(|change| change.figure == figure).unwrap().finding
    };
    assert_eq!(
        [Figure::P50, Figure::P99].map(|figure| of(&few, figure)),
        [Tendency::Worse, Tendency::Unknown].map(Some)
    );
    let (before, mut after) = (run(GOOD), run(Measured { factor: 9.0, ..GOOD }));
    after.summary.distribution = None;
    after.scenarios.iter_mut().for_each(|scenario| scenario.figures.distribution = None);
    let without = against(&before, &after);
    assert_eq!(of(&without, Figure::P50), Some(Tendency::Unknown));
    assert!(without.warnings[0].contains("without the distribution"), "{:?}", without.warnings);
    assert_eq!(without.verdict, Verdict::Failed, "its steps have theirs");
}

#[test]
fn what_cannot_be_compared_is_inconclusive_and_says_why() {
    let (before, slower) = (run(GOOD), run(Measured { factor: 9.0, ..GOOD }));
    let why = |before: &Report, after: &Report| {
        let found = against(before, after);
        assert_eq!(found.verdict, Verdict::Inconclusive);
        found.obstacles.join(" ")
    };
    let mut doubtful = slower.clone();
    let text = "The generator was saturated.".to_owned();
    doubtful.doubts.push(Doubt { kind: DoubtKind::Saturated, runner: None, missing: None, text });
    assert_eq!(why(&before, &doubtful), "The run is in doubt: The generator was saturated.");
    assert_eq!(why(&doubtful, &before), "The baseline is in doubt: The generator was saturated.");
    let mut other = slower.clone();
    other.scenarios.iter_mut().for_each(|scenario| scenario.name.push('x'));
    assert_eq!(why(&before, &other), "The runs have no scenario in common.");
    let few = run(Measured { requests: 2, ..GOOD });
    assert_eq!(why(&few, &few), "There are too few samples to judge any figure.");
    // What can be trusted comes first.
    let both = compare(&before, &[&doubtful, &slower], &Tolerance::default());
    assert_eq!(both.verdict(), Verdict::Failed);
    assert_eq!(compare(&before, &[&before, &doubtful], &Tolerance::default()).verdict(), Verdict::Inconclusive);
}

#[test]
fn parts_of_one_run_only_are_listed_and_what_holds_them_is_not_judged() {
    let (before, mut after) = (run(GOOD), run(Measured { factor: 1.5, ..GOOD }));
    after.scenarios[1].name = "spike".to_owned();
    after.scenarios[0].steps[1].name = "search".to_owned();
    let found = against(&before, &after);
    let parts: Vec<_> = found
        .parts
        .iter()
        .map(|part| (part.scenario.as_deref().unwrap_or(""), part.step.as_deref().unwrap_or(""), part.presence))
        .collect();
    let (both, removed, added) = (Presence::Both, Presence::Removed, Presence::Added);
    let expected = [
        ("", "", both),
        ("baseline", "", both),
        ("baseline", "create", both),
        ("baseline", "list", removed),
        ("baseline", "search", added),
        ("burst", "", removed),
        ("spike", "", added),
    ];
    assert_eq!(parts, expected);
    let worse: Vec<_> = found.with(Tendency::Worse).map(|(part, _)| part.step.as_deref()).collect();
    assert!(!worse.is_empty() && worse.iter().all(|step| *step == Some("create")), "{worse:?}");
    assert!(
        found.warnings.iter().any(|warning| warning == "Scenario burst is gone, so that the whole run is not judged."),
        "{:?}",
        found.warnings
    );
}

#[test]
fn another_load_or_target_is_warned_of() {
    let (before, mut after) = (run(GOOD), run(GOOD));
    assert_eq!(against(&before, &after).warnings, [""; 0]);
    after.scenarios[0].load.planned_users = 20;
    after.spec = Some(serde_json::json!({"target": {"baseUrl": "http://api-2"}}));
    assert_eq!(
        against(&before, &after).warnings,
        ["Another target: http://api-2, was http://api.", "Another load of baseline: 20 users planned, was 10."]
    );
    let (mut before, mut after) = (run(GOOD), run(GOOD));
    let target = |run: &mut Report, url| run.spec = Some(serde_json::json!({"target": {"baseUrl": url}}));
    target(&mut before, "http://127.0.0.1:4000/profile/a");
    target(&mut after, "http://127.0.0.1:51000/profile/a");
    assert_eq!(against(&before, &after).warnings, [""; 0], "a port of a server that lives as long as the run");
    target(&mut after, "http://127.0.0.1:4000/profile/b");
    assert_eq!(against(&before, &after).warnings.len(), 1);
    let (mut before, mut after) = (run(GOOD), run(GOOD));
    before.verdict = Verdict::Failed;
    after.load.planned_users = 11;
    let warnings = against(&before, &after).warnings;
    assert!(warnings[0].starts_with("The baseline did not hold its own criteria"), "{warnings:?}");
    assert_eq!(warnings[1], "Another load: 11 users at once planned, was 10.");
}

/// Counts that no run has, as a file may have them.
#[test]
fn no_counts_take_forever() {
    let mut vast = run(GOOD);
    for figures in [&mut vast.summary, &mut vast.scenarios[0].figures] {
        (figures.requests, figures.ok, figures.errors) = (u64::MAX, u64::MAX / 2, u64::MAX / 2);
    }
    vast.scenarios[0].load.duration = 0;
    assert_eq!(against(&vast, &vast).verdict, Verdict::Passed);
}

#[test]
fn a_comparison_is_the_same_after_json() {
    let (before, after) = (run(Measured { requests: 60, ..GOOD }), run(Measured { factor: 1.3, ..GOOD }));
    let comparison = compare(&before, &[&after, &before], &Tolerance::default());
    assert_eq!(serde_json::from_str::<Comparison>(&comparison.to_json()).unwrap(), comparison);
}

fn plain(comparison: &Comparison) -> String {
    text::render(comparison, Style { color: false, width: 90 })
}

fn a_regression() -> Comparison {
    let mut after = run(Measured { factor: 1.3, failed: 0.0, seed: 2, ..GOOD });
    "spike".clone_into(&mut after.scenarios[1].name);
    after.start = Some("2026-01-03T03:04:05Z".to_owned());
    compare(&run(GOOD), &[&after], &Tolerance::default())
}

#[test]
fn the_text_of_a_regression() {
    assert_eq!(plain(&a_regression()), include_str!("compared.txt"));
}

#[test]
fn the_markdown_of_a_regression() {
    assert_eq!(markdown::render(&a_regression()), include_str!("compared.md"));
}

#[test]
fn the_page_of_a_regression_says_it_and_lets_nothing_be_loaded_or_run() {
    let page = html::render(&a_regression());
    for part in
        ["default-src 'none'; style-src 'sha256-", "B against A: Worse", "<b>baseline/create</b>", "spike (new)"]
    {
        assert!(page.contains(part), "{part} in {page}");
    }
    for part in ["<script", "style=", "http://", "https://"] {
        assert!(!page.contains(part), "{part} in {page}");
    }
}

#[test]
fn hostile_names_break_out_of_no_form() {
    const HOSTILE: &str =
        "</code><script>alert(1)</script>\x1b[2J\u{202e}|\\|`x`\n# a @you https://e.example www.e.example [l](m) &amp;";
    let (mut before, mut after) = (run(GOOD), run(Measured { factor: 2.0, ..GOOD }));
    for run in [&mut before, &mut after] {
        HOSTILE.clone_into(&mut run.name);
        run.namespace = Some(HOSTILE.to_owned());
        run.start = Some(HOSTILE.to_owned());
        HOSTILE.clone_into(&mut run.scenarios[0].name);
        HOSTILE.clone_into(&mut run.scenarios[0].steps[0].name);
        run.doubts.push(Doubt { kind: DoubtKind::Stopped, runner: None, missing: None, text: HOSTILE.to_owned() });
    }
    after.spec = Some(serde_json::json!({"target": {"baseUrl": HOSTILE}}));
    after.scenarios[1].name = format!("{HOSTILE}2");
    let comparison = compare(&before, &[&after], &Tolerance::default());
    let (text, markdown, page) = (plain(&comparison), markdown::render(&comparison), html::render(&comparison));
    for shown in [&text, &markdown, &page] {
        assert!(!shown.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'), "{shown}");
    }
    assert!(page.contains("&lt;script&gt;") && !page.contains("<script"), "{page}");
    for part in ["<script", "@you", "://", "www.", "[l]", "`", "\\", "&amp;"] {
        assert!(!markdown.contains(part), "{part} in {markdown}");
    }
    // No name ends a cell.
    let cells = |line: &str| line.matches('|').count();
    assert!(
        markdown.lines().filter(|line| line.starts_with('|')).all(|line| [4, 8].contains(&cells(line))),
        "{markdown}"
    );
}

//! Every shape of load, from what runners keep to what people read.

use proofload_api::loadtest::Abort;
use proofload_api::units::{Rate, Share};
use proofload_api::{Micros, Outcome, Verdict};
use proofload_plan::{
    Action, CellAddress, Check, CheckKind, Criterion, Extract, ExtractFrom, Level, Load, Plan, RateCurve, RateSpan,
    Role, Scenario, Scope, Search, Segment, Tls, WebSocket,
};
use proofload_results::setup;
use proofload_results::text::{Style, render};
use proofload_results::{
    Aborted, Cell, Circumstances, DoubtKind, EncodedBucket, EndCause, FindingKind, Input, LevelRecord, LostRunner,
    Part, Region, Report, RunnerState, Sample, ScenarioProgress, Snapshot, SnapshotSet, StepResult, live, status,
};

use crate::fixtures::{Runner, SECOND, criterion, failed, ok, plan};

/// A plan with one main scenario with this load and a step `create`, and with setup and teardown if wanted.
pub(crate) fn plan_of(load: Load, framed: bool) -> Plan {
    let mut plan = plan();
    let step = Scenario { steps: vec![plan.scenarios[0].steps[0].clone()], ..plan.scenarios[0].clone() };
    plan.scenarios = vec![Scenario { load, ..step.clone() }];
    if framed {
        let once = Load::Iterations { users: 1, per_user: 1, max_duration: Micros::from_secs(60) };
        for (name, role) in [("setup", Role::Setup), ("teardown", Role::Teardown)] {
            plan.scenarios.push(Scenario { name: name.to_owned(), role, load: once.clone(), ..step.clone() });
        }
    }
    plan
}

pub(crate) fn arrivals() -> Load {
    let span = |name: &str, from, seconds| RateSpan {
        name: name.to_owned(),
        from: Rate::per_second(from),
        to: Rate::per_second(100),
        duration: Micros::from_secs(seconds),
    };
    Load::Arrivals { curve: RateCurve::new(vec![span("ramp", 0, 10), span("steady", 100, 20)]), max_users: 50 }
}

fn search() -> Load {
    Load::Search(Search {
        from: Level::Users(10),
        limit: Level::Users(100),
        factor: 2,
        max_users: 100,
        settle: Micros::from_secs(2),
        window: Micros::from_secs(8),
        until: "rate(errors) < 1%".to_owned(),
        precision: Share::from_percent(50),
        most_steps: 9,
    })
}

/// What the only runner of a plan measured, of samples by scenario and stage; each scenario lasted 30 s.
pub(crate) fn snapshot(plan: &Plan, samples: &[(usize, usize, u64, Sample)]) -> Snapshot {
    let layout = plan.layout();
    let mut cells = vec![Cell::default(); layout.len()];
    for (scenario, stage, count, sample) in samples {
        let cell = &mut cells[layout.index(CellAddress { scenario: *scenario, step: 0, stage: *stage })];
        (0..*count).for_each(|_| cell.record(sample));
    }
    let progress =
        ScenarioProgress { began: Some(0), ended: Some(30 * SECOND), iterations: 1, ..ScenarioProgress::default() };
    Snapshot {
        segment: Segment::WHOLE,
        cells: cells.iter().map(Cell::encode).collect(),
        scenarios: vec![progress; plan.scenarios.len()],
        timeline: Vec::new(),
        ..Runner::new(0, 1).snapshot
    }
}

pub(crate) fn report_of(
    plan: &Plan,
    snapshot: Snapshot,
    criteria: &[Criterion],
    circumstances: &Circumstances,
) -> Report {
    let mut set = SnapshotSet::new(plan, 1);
    set.insert(snapshot).unwrap();
    Report::build(&Input {
        plan,
        criteria,
        spec: &serde_json::json!({}),
        name: "checkout",
        namespace: None,
        start: Some("2026-01-02T03:04:05Z"),
        runners: 1,
        totals: &set.totals(plan),
        circumstances,
        baseline: None,
    })
}

fn observed(plan: &Plan, snapshot: &Snapshot, criterion: Criterion) -> Option<f64> {
    report_of(plan, snapshot.clone(), &[criterion], &Circumstances::default()).criteria[0].observed
}

fn during(text: &str, stages: &[(usize, usize)]) -> Criterion {
    Criterion { during: Some(stages.to_vec()), during_text: Some("steady".to_owned()), ..criterion(text, Scope::Run) }
}

/// What should be known of a run.
fn notes(report: &Report) -> Vec<&str> {
    let notes = report.findings.iter().filter(|finding| finding.kind == FindingKind::Note);
    notes.map(|note| note.text.as_str()).collect()
}

#[test]
fn a_criterion_during_stages_is_judged_on_their_cells_and_their_time() {
    let plan = plan_of(arrivals(), false);
    let bad = failed(Outcome::Reset, None);
    let seen = snapshot(&plan, &[(0, 0, 100, ok(1_000)), (0, 1, 300, ok(9_000)), (0, 1, 100, bad)]);
    assert_eq!(observed(&plan, &seen, during("rate(requests) > 1/s", &[(0, 1)])), Some(20.0));
    assert_eq!(observed(&plan, &seen, during("rate(requests) > 1/s", &[(0, 0)])), Some(10.0));
    assert_eq!(observed(&plan, &seen, during("rate(errors) < 1%", &[(0, 1)])), Some(0.25));
    assert_eq!(observed(&plan, &seen, criterion("rate(errors) < 1%", Scope::Run)), Some(0.2));
    // A run that was cut short had less of the stage.
    let mut short = seen.clone();
    short.scenarios[0].ended = Some(15 * SECOND);
    assert_eq!(observed(&plan, &short, during("rate(requests) > 1/s", &[(0, 1)])), Some(80.0));
}

#[test]
fn dropped_arrivals_are_counted_and_doubted_unless_a_criterion_judges_them() {
    let plan = plan_of(arrivals(), false);
    let mut seen = snapshot(&plan, &[(0, 1, 90, ok(1_000))]);
    (seen.scenarios[0].iterations, seen.scenarios[0].dropped) = (90, 10);
    assert_eq!(observed(&plan, &seen, criterion("count(dropped) == 0", Scope::Run)), Some(10.0));
    assert_eq!(observed(&plan, &seen, criterion("rate(dropped) < 5%", Scope::Run)), Some(0.1));
    let of = |text: &str| report_of(&plan, seen.clone(), &[criterion(text, Scope::Run)], &Circumstances::default());
    let told = of("rate(errors) < 1%");
    assert_eq!((told.verdict, told.doubts[0].kind), (Verdict::Inconclusive, DoubtKind::DroppedArrivals));
    assert_eq!(
        told.doubts[0].text,
        "10 arrivals of scenario baseline (10%) found none of its 50 users free and were not sent: raise \
         arrivals.maxUsers, or the target is too slow for this rate."
    );
    assert_eq!(told.scenarios[0].load.dropped, 10);
    assert_eq!(of("rate(dropped) < 20%").verdict, Verdict::Passed);
    assert_eq!(of("rate(dropped) < 5%").verdict, Verdict::Failed);
}

#[test]
fn a_check_is_judged_by_its_name_over_all_steps() {
    let mut plan = plan();
    plan.variables = vec!["token".to_owned()];
    let check = |name: &str| Check { name: name.to_owned(), kind: CheckKind::Contains("x".to_owned()) };
    plan.scenarios[0].steps[0].checks = vec![check("size"), check("total")];
    plan.scenarios[0].steps[1].checks = vec![check("total")];
    plan.scenarios[0].steps[1].extract = vec![Extract { variable: 0, from: ExtractFrom::Header("x".to_owned()) }];
    let mut snapshot = snapshot(&plan, &[(0, 0, 10, ok(1_000))]);
    let layout = plan.layout();
    let mut count = |step, place, held: u64, not: u64| {
        let index = layout.index(CellAddress { scenario: 0, step, stage: 0 });
        let mut cell = snapshot.cells[index].decode().unwrap();
        (0..held).for_each(|_| cell.check(place, true));
        (0..not).for_each(|_| cell.check(place, false));
        snapshot.cells[index] = cell.encode();
    };
    count(0, 0, 5, 0);
    count(0, 1, 6, 4);
    count(1, 0, 10, 0);
    count(1, 1, 1, 3);
    let seen = |text: &str| observed(&plan, &snapshot, criterion(text, Scope::Run));
    assert_eq!(seen("rate(check(total)) > 99%"), Some(0.8));
    assert_eq!(seen("count(check(size)) == 5"), Some(5.0));
    let told = report_of(&plan, snapshot.clone(), &[], &Circumstances::default());
    let checks = &told.scenarios[0].steps[1].checks;
    assert_eq!((checks[1].name.as_str(), checks[1].passed, checks[1].failed), ("extract token", 1, 3));
    let text = render(&told, Style { color: false, width: 90 });
    let table = "\
Checks that failed
  baseline/create  total          6 held  4 did not
  baseline/list    extract token  1 held  3 did not
";
    assert!(text.contains(table), "{text}");
}

#[test]
fn setup_and_teardown_are_no_load() {
    let plan = plan_of(arrivals(), true);
    let bad = failed(Outcome::UnexpectedStatus, Some(500));
    let mut seen = snapshot(&plan, &[(0, 1, 40, ok(1_000)), (1, 0, 1, ok(1_000)), (2, 0, 2, bad)]);
    seen.scenarios[0].began = Some(10 * SECOND);
    seen.scenarios[2].users = 1;
    let told =
        report_of(&plan, seen.clone(), &[criterion("count(requests) == 40", Scope::Run)], &Circumstances::default());
    assert_eq!((told.verdict, told.summary.requests, told.duration), (Verdict::Passed, 40, 20 * SECOND));
    assert_eq!((told.scenarios.len(), told.runners[0].requests, told.load.planned_users), (1, 40, 50));
    assert_eq!(told.setup.as_ref().map(|setup| setup.figures.requests), Some(1));
    // The load began in the second in which the setup ended: whose users those of that second are, nobody knows.
    let mut framed = seen.clone();
    framed.timeline = vec![EncodedBucket { users: 12, ..EncodedBucket::default() }; 30];
    framed.timeline[0].users = 1;
    (framed.scenarios[0].began, framed.scenarios[1].ended) = (Some(SECOND * 3 / 2), Some(SECOND * 5 / 4));
    let peaks = |framed: Snapshot| {
        let told = report_of(&plan, framed, &[], &Circumstances::default());
        (told.setup.unwrap().load.peak_users, told.scenarios[0].load.peak_users)
    };
    assert_eq!(peaks(framed.clone()), (Some(1), Some(12)));
    framed.scenarios[1].began = Some(SECOND);
    assert_eq!(peaks(framed), (None, Some(12)));
    // A teardown that failed is said, and changes no verdict.
    assert_eq!(notes(&told), ["The teardown failed: the outcome of step create was unexpected-status."]);
    assert!(told.reason.ends_with(notes(&told)[0]), "{}", told.reason);
    // It was to be done by a runner that was heard of, and is gone.
    let mut gone = seen.clone();
    (gone.scenarios[2], gone.cells[3]) = (ScenarioProgress::default(), Cell::default().encode());
    gone.state = RunnerState::Running;
    let lost = vec![LostRunner { index: 0, reason: "evicted".to_owned() }];
    let never = report_of(&plan, gone, &[], &Circumstances { lost, ..Circumstances::default() });
    assert_eq!(notes(&never), ["The teardown was not done: the runner that was to do it is gone."]);
    let text = render(&told, Style::default());
    assert!(text.contains("Setup and teardown\n"), "{text}");
    let mut set = SnapshotSet::new(&plan, 1);
    set.insert(seen).unwrap();
    let shown = live::since(&live::Mark::default(), &set, |_| false);
    assert_eq!((shown.users, shown.errors.as_str()), (0, "0%"));
}

#[test]
fn a_setup_that_failed_is_an_error_and_no_doubt_of_the_load() {
    let plan = plan_of(arrivals(), true);
    let bad = failed(Outcome::UnexpectedStatus, Some(500));
    let mut seen = snapshot(&plan, &[(1, 0, 1, bad)]);
    seen.scenarios[0] = ScenarioProgress::default();
    seen.state = RunnerState::Ended(EndCause::Stopped);
    let why = "setup failed: the outcome of step create was unexpected-status";
    let circumstances = Circumstances { stopped: Some(why.to_owned()), ..Circumstances::default() };
    let told = report_of(&plan, seen, &[criterion("rate(errors) < 1%", Scope::Run)], &circumstances);
    assert_eq!((told.verdict, told.verdict_from_parts()), (Verdict::Error, Verdict::Error));
    assert_eq!(told.reason, format!("{why}."));
}

#[test]
fn the_criterion_that_ended_the_run_has_failed_with_what_was_seen_then() {
    let plan = plan_of(arrivals(), false);
    let mut seen = snapshot(&plan, &[(0, 0, 1_000, ok(1_000)), (0, 0, 5, failed(Outcome::Reset, None))]);
    seen.state = RunnerState::Ended(EndCause::Stopped);
    let abort = Some(Abort { window: Micros::from_secs(5), after: Micros::ZERO });
    let criteria =
        [criterion("max(latency) < 1s", Scope::Run), Criterion { abort, ..criterion("rate(errors) < 1%", Scope::Run) }];
    let aborted = Some(Aborted { criterion: 1, observed: 0.25 });
    let stopped = Some("rate(errors) < 1% did not hold over 5s: 25% (seen 12s after the begin)".to_owned());
    let circumstances = Circumstances { aborted, stopped, ..Circumstances::default() };
    let told = report_of(&plan, seen.clone(), &criteria, &circumstances);
    assert_eq!((told.verdict, told.verdict_from_parts()), (Verdict::Failed, Verdict::Failed));
    assert_eq!((told.criteria[1].observed, told.criteria[1].aborted), (Some(0.25), true));
    let once = "rate(errors) < 1% did not hold over 5s: 25% (seen 12s after the begin), which ended the run.";
    assert_eq!(told.reason, once);
    let others = [criteria[1].clone(), criteria[1].clone(), criterion("rate(errors) < 0.1%", Scope::Run)];
    let of_others = report_of(&plan, seen, &others, &circumstances).reason;
    assert_eq!(of_others, format!("{once} Another criterion did not hold either: rate(errors) < 0.1% was 0.5%."));
    let stored = Report::from_json(told.to_json().as_bytes()).unwrap();
    assert_eq!(stored, told);
}

#[test]
fn a_search_is_told_step_by_step_in_report_text_and_status() {
    let plan = plan_of(search(), false);
    let seen = |held, observed, dropped| Some(StepResult { held, observed, dropped });
    let record = |users, second, before| LevelRecord { level: Level::Users(users), from: second * SECOND, before };
    let mut snapshot = snapshot(&plan, &[(0, 1, 100, ok(1_000)), (0, 2, 50, ok(1_000))]);
    snapshot.scenarios[0].levels = vec![
        record(10, 0, None),
        record(20, 11, seen(true, Some(0.0), 0)),
        record(15, 22, seen(false, Some(0.025), 0)),
    ];
    let mut set = SnapshotSet::new(&plan, 1);
    set.insert(snapshot.clone()).unwrap();
    let shown = &status::searches(&plan, &set)[0];
    assert_eq!((shown.answer.as_str(), shown.steps.len(), shown.steps[2].held), ("10 users", 3, None));
    snapshot.scenarios[0].levels.push(record(0, 33, seen(false, None, 0)));
    let told = report_of(&plan, snapshot, &[], &Circumstances::default());
    let found = told.scenarios[0].search.as_ref().unwrap();
    assert_eq!((found.answer.and_then(|answer| answer.users), found.finished), (Some(10), true));
    let why: Vec<&str> = found.steps.iter().map(|step| step.why.as_str()).collect();
    let held = "rate(errors) < 1% held: 0%";
    assert_eq!(why, [held, "rate(errors) < 1% did not hold: 2.5%", "there were no samples"]);
    assert_eq!((found.steps[1].window_from, found.steps[1].window_until), (13 * SECOND, 21 * SECOND));
    let stages = &told.scenarios[0].stages;
    assert_eq!((stages.len(), stages[1].figures.rate, stages[0].name.as_str()), (4, 12.5, "settling"));
    assert!(told.reason.contains("baseline holds rate(errors) < 1% up to 10 users."), "{}", told.reason);
    let text = render(&told, Style { color: false, width: 90 });
    let table = "\
Search of baseline, capacity: 10 users
  ✓  10 users  2s to 10s   rate(errors) < 1% held: 0%
  ✗  20 users  13s to 21s  rate(errors) < 1% did not hold: 2.5%
  ✗  15 users  24s to 32s  there were no samples
";
    assert!(text.contains(table), "{text}");
    assert_eq!(status::searches_of(&told)[0].answer, "10 users");
}

#[test]
fn a_change_of_load_is_in_the_report_with_what_it_changed() {
    let plan = plan_of(arrivals(), false);
    let mut seen = snapshot(&plan, &[(0, 1, 100, ok(1_000))]);
    let level =
        |rate, second| LevelRecord { level: Level::Rate(Rate::per_second(rate)), from: second * SECOND, before: None };
    seen.scenarios[0].levels = vec![level(250, 12), level(30, 20)];
    seen.timeline = vec![proofload_results::EncodedBucket::default(); 30];
    let told = report_of(&plan, seen, &[], &Circumstances::default());
    let changes: Vec<_> = told.changes.iter().map(|change| (change.at, change.from.rate, change.to.rate)).collect();
    assert_eq!(changes, [(12 * SECOND, Some(100.0), Some(250.0)), (20 * SECOND, Some(250.0), Some(30.0))]);
    let planned = |second: usize| told.timeline.buckets[second].planned_rate;
    assert_eq!([4, 11, 15, 25].map(|second| planned(second).unwrap() as u64), [50, 100, 250, 30]);
    let text = render(&told, Style::default());
    assert!(
        text.contains("Changes of load\n  12s  baseline  100/s to 250/s\n  20s  baseline  250/s to 30/s\n"),
        "{text}"
    );
}

#[test]
fn users_without_data_leave_the_verdict_open_and_broken_iterations_are_told() {
    let plan = plan_of(arrivals(), false);
    let mut seen = snapshot(&plan, &[(0, 1, 100, ok(1_000))]);
    let progress = &mut seen.scenarios[0];
    (progress.starved, progress.dropped, progress.broken_iterations) = (3, 3, 7);
    let told = report_of(&plan, seen, &[criterion("rate(errors) < 1%", Scope::Run)], &Circumstances::default());
    assert_eq!((told.verdict, told.doubts.len()), (Verdict::Inconclusive, 1));
    assert!(
        told.doubts[0].text.starts_with("3 users of scenario baseline found no row left"),
        "{}",
        told.doubts[0].text
    );
    let broke = "7 iterations of scenario baseline broke off, since a step needed a value that an earlier one had not";
    assert!(notes(&told)[0].starts_with(broke), "{}", notes(&told)[0]);
}

#[test]
fn a_web_socket_that_was_not_open_breaks_an_iteration() {
    let mut plan = plan_of(arrivals(), true);
    plan.scenarios[0].steps[0].action = Action::WebSocket(WebSocket::Ping);
    plan.scenarios[1].steps[0].action = Action::WebSocket(WebSocket::Ping);
    let mut seen = snapshot(&plan, &[(0, 1, 100, ok(1_000))]);
    seen.scenarios[0].broken_iterations = 1;
    seen.scenarios[1].broken_iterations = 1;
    let why = "a step needed a web socket that was not open, or a value that an earlier one had not extracted";
    assert_eq!(setup::failure(&plan, 1, &seen).as_deref(), Some(why));
    let told = report_of(&plan, seen, &[], &Circumstances::default());
    assert_eq!(notes(&told)[0], format!("1 iteration of scenario baseline broke off, since {why}."));
}

#[test]
fn a_certificate_that_was_not_checked_is_told() {
    let mut plan = plan_of(arrivals(), false);
    let tls = |verify| Tls { server_name: "api".to_owned(), ca: None, identity: None, resumption: true, verify };
    let told = |plan: &Plan| {
        let seen = snapshot(plan, &[(0, 1, 100, ok(1_000))]);
        report_of(plan, seen, &[criterion("rate(errors) < 1%", Scope::Run)], &Circumstances::default())
    };
    let note = "The target's certificate was not checked (insecureSkipVerify).";
    plan.target.tls = Some(tls(true));
    assert_eq!(notes(&told(&plan)), [""; 0]);
    plan.target.tls = Some(tls(false));
    let told = told(&plan);
    assert_eq!((told.verdict, notes(&told)), (Verdict::Passed, vec![note]));
    assert!(told.reason.ends_with(note), "{}", told.reason);
    assert!(render(&told, Style { color: false, width: 500 }).contains(note));
}

#[test]
fn drops_before_a_stage_are_not_of_it() {
    let plan = plan_of(arrivals(), false);
    let mut seen = snapshot(&plan, &[(0, 0, 50, ok(1_000)), (0, 1, 150, ok(1_000))]);
    (seen.scenarios[0].iterations, seen.scenarios[0].dropped) = (200, 40);
    let mut ramp = seen.cells[0].decode().unwrap();
    ramp.dropped = 40;
    seen.cells[0] = ramp.encode();
    let part = |stage: usize| {
        let during = [(0, stage)];
        let region = Region { scope: Scope::Scenario(0), during: Some(&during), check: None, times: false };
        let part = Part::so_far(&plan, [&seen], region);
        (part.dropped, part.iterations, part.observe(&"rate(dropped) < 1%".parse().unwrap()))
    };
    assert_eq!((part(0), part(1)), ((40, 50, Some(4.0 / 9.0)), (0, 150, Some(0.0))));
}

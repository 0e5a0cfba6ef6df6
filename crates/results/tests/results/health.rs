//! Each kind of saturation is found, while the run is under way and at its end, and nothing else is.

use proofload_api::Verdict;
use proofload_api::status::CriterionOutcome::{Fail, Pass, Untrusted};
use proofload_plan::Scope;
use proofload_results::live::warnings;
use proofload_results::snapshot::{GeneratorRecord, RunnerState};
use proofload_results::{Circumstances, DoubtKind, Pressure, Ratio, StrainKind};

use crate::fixtures::{Runner, SECOND, criterion, failed, report};
use proofload_api::Outcome;

/// As an engine measures it where all is well.
fn comfortable() -> Pressure {
    Pressure {
        cpu: Ratio::new(8 * SECOND, 10 * SECOND),
        thread: Ratio::new(85 * SECOND / 10, 10 * SECOND),
        throttled: Ratio::new(SECOND / 2, 10 * SECOND),
        late: Ratio::new(4 * SECOND, 10 * SECOND),
        files: Ratio::new(900, 1000),
        memory: Ratio::new(90 << 20, 100 << 20),
    }
}

type Change = fn(&mut GeneratorRecord, fn(&mut GeneratorRecord) -> &mut Pressure);

/// What saturates a generator, as what, and what is said of it.
const SIGNS: [(Change, StrainKind, DoubtKind, &str); 7] = [
    (|g, of| of(g).cpu.part = 95 * SECOND / 10, StrainKind::Cpu, DoubtKind::Saturated, "more runner"),
    (|g, of| of(g).thread.part = 95 * SECOND / 10, StrainKind::Cpu, DoubtKind::Saturated, "waited for a CPU"),
    (|g, of| of(g).throttled.part = 2 * SECOND, StrainKind::Cpu, DoubtKind::Saturated, "runners.resources.cpu"),
    (|g, of| of(g).late.part = 6 * SECOND, StrainKind::Cpu, DoubtKind::Saturated, "left 50ms or more after their time"),
    (|g, of| of(g).memory.part = 97 << 20, StrainKind::Memory, DoubtKind::Saturated, "runners.resources.memory"),
    (|g, _| g.without_file = 1, StrainKind::Files, DoubtKind::Exhausted, "ulimit -n), which is 1,000"),
    (
        |g, _| g.without_port = 7,
        StrainKind::Ports,
        DoubtKind::Exhausted,
        "no local port of 28,232 left, which failed 7",
    ),
];

fn runner() -> Runner {
    Runner::new(0, 1).with_load().generator(|generator| {
        (generator.recent, generator.worst, generator.ports) = (comfortable(), comfortable(), 28_232);
    })
}

#[test]
fn each_sign_leaves_a_doubt_with_what_to_do_about_it() {
    for (change, _, kind, words) in SIGNS {
        let runner = runner().generator(|generator| change(generator, |generator| &mut generator.worst));
        let latency = [criterion("p95(latency) < 1s", Scope::Run)];
        let report = report(1, [runner.snapshot()], &latency, &Circumstances::default());
        let doubts: Vec<_> = report.doubts.iter().map(|doubt| (doubt.kind, doubt.runner)).collect();
        assert_eq!(doubts, [(kind, Some(0))], "{words}");
        assert!(report.doubts[0].text.contains(words), "{}", report.doubts[0].text);
        assert_eq!((report.verdict, report.generator.healthy), (Verdict::Inconclusive, false));
        assert!(report.reason.contains(&report.doubts[0].text), "{}", report.reason);
    }
}

#[test]
fn each_sign_is_told_while_the_run_is_under_way_and_not_after_it() {
    for (change, kind, _, words) in SIGNS {
        let under_way = || {
            let runner = runner().generator(|generator| change(generator, |generator| &mut generator.recent));
            runner.state(RunnerState::Running).snapshot()
        };
        let told = warnings(1, [&under_way()]);
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!((told[0].kind, told[0].runner), (kind, 0));
        assert!(told[0].text.contains(words), "{}", told[0].text);
        let over = runner().snapshot();
        assert_eq!(warnings(1, [&over]), []);
    }
}

#[test]
fn a_generator_that_is_busy_but_keeps_up_is_neither_doubted_nor_warned_of() {
    let report = report(1, [runner().snapshot()], &[], &Circumstances::default());
    assert!(report.generator.healthy && report.doubts.is_empty(), "{:?}", report.doubts);
    assert_eq!(report.generator.worst.as_ref().map(|worst| (worst.cpu, worst.files)), Some((0.8, 0.9)));
    assert_eq!(warnings(1, [&runner().state(RunnerState::Running).snapshot()]), []);
}

#[test]
fn at_the_begin_of_a_run_there_is_no_window_to_speak_of_but_there_are_files() {
    let young = |change: fn(&mut Pressure)| {
        let young = runner().generator(|generator| {
            generator.recent.cpu = Ratio::new(4 * SECOND, 4 * SECOND);
            generator.recent.throttled = Ratio::new(0, 4 * SECOND);
            change(&mut generator.recent);
        });
        warnings(1, [&young.state(RunnerState::Running).snapshot()])
    };
    assert_eq!(young(|_| {}), []);
    let told = young(|recent| recent.files.part = 980);
    assert_eq!(told[0].kind, StrainKind::Files);
    assert!(told[0].text.contains("has 980 of 1,000 files open"), "{}", told[0].text);
}

#[test]
fn files_that_were_enough_leave_no_doubt_however_few_were_left() {
    let runner = runner().generator(|generator| generator.worst.files.part = 1000);
    assert_eq!(report(1, [runner.snapshot()], &[], &Circumstances::default()).doubts, []);
}

#[test]
fn more_runners_are_asked_for_by_how_much_is_missing() {
    let busy = Runner::new(0, 6).generator(|generator| {
        generator.recent =
            Pressure { cpu: Ratio::new(99, 100), throttled: Ratio::new(0, 10 * SECOND), ..comfortable() };
    });
    let told = warnings(6, [&busy.state(RunnerState::Running).snapshot()]);
    assert!(told[0].text.contains("Use 4 more runners"), "{}", told[0].text);
}

#[test]
fn errors_of_its_own_are_not_held_against_the_target() {
    let failing = || Runner::new(0, 1).with_load().add(0, 0, 1, 50, failed(Outcome::Connect, None));
    let criteria = [criterion("rate(errors) < 1%", Scope::Run), criterion("p95(latency) < 1s", Scope::Run)];
    let judged = |runner: Runner| {
        let report = report(1, [runner.snapshot()], &criteria, &Circumstances::default());
        (report.verdict, report.criteria.iter().map(|criterion| criterion.outcome).collect::<Vec<_>>())
    };
    assert_eq!(judged(failing()), (Verdict::Failed, vec![Fail, Pass]));
    let own = failing().generator(|generator| generator.without_file = 50);
    assert_eq!(judged(own), (Verdict::Inconclusive, vec![Untrusted, Untrusted]));
}

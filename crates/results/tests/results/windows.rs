//! Windows that end a run.

use proofload_api::loadtest::Abort;
use proofload_api::{Micros, Outcome};
use proofload_plan::{Criterion, Scope};
use proofload_results::{RunnerState, Snapshot, SnapshotSet, Windows};

use crate::fixtures::{Runner, SECOND, criterion, failed, ok, plan};
use crate::shapes::{arrivals, plan_of, snapshot};

/// A run that is looked at each second, with so many good and bad requests in each; when it was ended, and the value.
fn looked_at(abort: Abort, seconds: &[(u64, u64)]) -> Option<(u64, f64)> {
    let plan = plan_of(arrivals(), false);
    let criteria = [Criterion { abort: Some(abort), ..criterion("rate(errors) < 10%", Scope::Run) }];
    let mut windows = Windows::new(&criteria);
    let (mut good, mut bad) = (0, 0);
    for (second, (more_good, more_bad)) in (1..).zip(seconds) {
        (good, bad) = (good + more_good, bad + more_bad);
        let mut seen =
            snapshot(&plan, &[(0, 0, good, ok(1_000)), (0, 0, bad, failed(Outcome::UnexpectedStatus, Some(500)))]);
        (seen.sequence, seen.generator.elapsed) = (second, second * SECOND);
        (seen.state, seen.scenarios[0].ended) = (RunnerState::Running, None);
        let mut set = SnapshotSet::new(&plan, 1);
        set.insert(seen).unwrap();
        if let Some(note) = windows.look(&plan, &criteria, &set) {
            let aborted = note.aborted.unwrap();
            assert_eq!(aborted.criterion, 0);
            assert!(note.reason.starts_with("rate(errors) < 10% did not hold over 4s: "), "{}", note.reason);
            return Some((second, aborted.observed));
        }
    }
    None
}

#[test]
fn a_window_that_does_not_hold_ends_the_run_within_two_windows() {
    let abort = |window, after| Abort { window: Micros::from_secs(window), after: Micros::from_secs(after) };
    // Whatever was good before: the window of the last 4 s is what counts.
    let mut seconds = vec![(1_000, 0); 20];
    seconds.extend([(50, 50); 8]);
    let (at, share) = looked_at(abort(4, 0), &seconds).unwrap();
    assert!((21..=28).contains(&at) && share > 0.1, "{at} {share}");
    // Bad from the begin on: not before a whole window has passed.
    assert_eq!(looked_at(abort(4, 0), &[(0, 10); 9]), Some((4, 1.0)));
    // What is before `after` is in no window.
    let mut early = vec![(0, 10); 3];
    early.extend([(10, 0); 20]);
    assert_eq!(looked_at(abort(4, 5), &early), None);
    assert_eq!(looked_at(abort(4, 5), &[(0, 10); 20]), Some((9, 1.0)));
    // A window without samples says nothing.
    assert_eq!(looked_at(abort(4, 0), &[(0, 0); 20]), None);
}

/// A runner of two after so many seconds, with so many good and bad requests since its begin.
fn runner(index: u32, second: u64, good: u64, bad: u64) -> Snapshot {
    let error = failed(Outcome::UnexpectedStatus, Some(500));
    let mut seen = Runner::new(index, 2).add(0, 0, 0, good, ok(1_000)).add(0, 0, 0, bad, error).snapshot();
    (seen.sequence, seen.generator.elapsed, seen.state) = (second, second * SECOND, RunnerState::Running);
    seen.scenarios[0].ended = None;
    seen.scenarios[1] = proofload_results::ScenarioProgress::default();
    seen
}

/// Looks each second at what there is of two runners; when the run was ended.
fn ended_at(text: &str, seconds: u64, look: impl Fn(u64) -> Vec<Snapshot>) -> Option<u64> {
    let plan = plan();
    let abort = Some(Abort { window: Micros::from_secs(4), after: Micros::ZERO });
    let criteria = [Criterion { abort, ..criterion(text, Scope::Scenario(0)) }];
    let mut windows = Windows::new(&criteria);
    let mut set = SnapshotSet::new(&plan, 2);
    (1..=seconds).find(|second| {
        for snapshot in look(*second) {
            set.insert(snapshot).unwrap();
        }
        windows.look(&plan, &criteria, &set).is_some()
    })
}

#[test]
fn load_that_is_missing_ends_no_run_for_being_too_little() {
    let text = "rate(requests) >= 150/s";
    let both = |second: u64| vec![runner(0, second, 100 * second, 0), runner(1, second, 100 * second, 0)];
    assert_eq!(ended_at(text, 25, both), None);
    // The second one does not answer any more, and may be at work.
    let silent = |second: u64| if second > 10 { both(second)[..1].to_vec() } else { both(second) };
    assert_eq!(ended_at(text, 25, silent), None);
    // Errors of those that are left end it all the same.
    let failing = |second: u64| match second {
        ..=10 => both(second),
        more => vec![runner(0, more, 1_000, 100 * (more - 10))],
    };
    assert_eq!(ended_at("rate(errors) < 1%", 25, failing), Some(11));
    let slow = |second: u64| vec![runner(0, second, 10 * second, 0), runner(1, second, 10 * second, 0)];
    assert_eq!(ended_at(text, 25, slow), Some(4));
}

#[test]
fn a_runner_that_comes_back_brings_no_past_into_a_window() {
    // It failed in its first seconds, which an operator that was started again at 10 s has not seen.
    let look = |second: u64| match second {
        ..=9 => Vec::new(),
        10..=15 => vec![runner(0, second, 100 * second, 0)],
        later => vec![runner(0, later, 100 * later, 0), runner(1, later, 100 * later, 200)],
    };
    assert_eq!(ended_at("rate(errors) < 1%", 25, look), None);
}

#[test]
fn the_last_answers_after_the_load_end_no_run() {
    // Its plan is 30 s long; then four answers come in, two a second.
    let look = |second: u64| {
        let good = 100 * second.min(30) + second.saturating_sub(30);
        vec![runner(0, second, good, 0), runner(1, second, good, 0)]
    };
    assert_eq!(ended_at("rate(requests) >= 150/s", 40, look), None);
}

//! Stories of tests with more than users: setup and teardown, windows that end a run, other loads, searches, data.

use proofload_api::loadtest::Scale;
use proofload_plan::Level;
use proofload_results::EndCause::{Completed, Stopped};
use proofload_results::{Aborted, LevelRecord, RunnerState, ScenarioProgress, StepResult, StopNote};

use super::story::Story;
use super::{TWO_RUNNERS, after_begin, gone, under_load, with};
use crate::decide::{Step, decide};

const SECOND: u64 = 1_000_000;

fn at_work(began: u64) -> ScenarioProgress {
    ScenarioProgress { began: Some(began * SECOND), users: 1, ..ScenarioProgress::default() }
}

fn done(began: u64, ended: u64) -> ScenarioProgress {
    ScenarioProgress { ended: Some(ended * SECOND), users: 0, iterations: 1, ..at_work(began) }
}

fn with_setup() -> Story {
    let setup = "spec:\n  setup: [{name: login, request: {path: /}, extract: {token: {header: X-Token}}}]\n  \
                 teardown: [{name: logout, request: {path: /}}]";
    with(TWO_RUNNERS, "spec:", setup)
}

/// Both runners answer after so many seconds; how far each is with load, setup and teardown.
fn progress(story: &mut Story, seconds: u64, requests: u64, each: [[ScenarioProgress; 3]; 2]) {
    for (index, scenarios) in each.into_iter().enumerate() {
        story.runners[index] = story.runner(index, seconds, requests, RunnerState::Running);
        story.edit(index, |snapshot| snapshot.scenarios = scenarios.to_vec());
    }
}

fn nothing() -> ScenarioProgress {
    ScenarioProgress::default()
}

#[test]
fn setup_comes_first_and_teardown_last_and_once() {
    let mut story = with_setup();
    story.pass(0, "made");
    story.all_wait();
    story.pass(1, "runners are ready");
    progress(&mut story, 0, 0, [[nothing(), at_work(0), nothing()], [nothing(), done(0, 0), nothing()]]);
    story.pass(1, "runner 0 does the setup, the other one has none to do");
    progress(&mut story, 2, 1, [[nothing(), done(0, 2), nothing()], [nothing(), done(0, 0), nothing()]]);
    story.edit(0, |snapshot| snapshot.variables = vec![(0, "canary".to_owned())]);
    story.pass(3, "it is done");
    progress(&mut story, 3, 1, [[at_work(2), done(0, 2), nothing()], [at_work(2), done(0, 0), nothing()]]);
    story.pass(4, "load is on");
    progress(&mut story, 203, 90, [[done(2, 202), done(0, 2), nothing()], [done(2, 202), done(0, 0), nothing()]]);
    story.pass(204, "the load is over");
    story.all_ended(204, Completed);
    story.pass(205, "the teardown too");
    let expected = "\
0s made: create; again in 100ms
    status: Starting: Starting 2 runners
    Normal event: Starting
1s runners are ready: begin [1] on [0, 1]; again in 100ms
1s runner 0 does the setup, the other one has none to do: wait for setup; again in 100ms
    status: Running: 2 runners under load; waiting for setup
    Normal event: Running
3s it is done: begin [0] on [0, 1]; again in 100ms
4s load is on: watch; again in 1s
204s the load is over: begin [2] on [0, 1]; again in 100ms
205s the teardown too: conclude; again when something happens
";
    let told = story.told();
    assert!(told.starts_with(expected), "{told}");
    assert!(!told.contains("canary"));
}

#[test]
fn a_setup_that_fails_is_an_error_and_the_teardown_comes_all_the_same() {
    let mut story = with_setup();
    story.pass(0, "made");
    story.all_wait();
    story.pass(1, "runners are ready");
    let failed = ScenarioProgress { iterations: 0, cut_iterations: 1, ..done(0, 2) };
    progress(&mut story, 2, 1, [[nothing(), failed.clone(), nothing()], [nothing(), done(0, 0), nothing()]]);
    story.pass(3, "the setup has failed");
    let note = StopNote { reason: "setup failed: it did not come to its end".to_owned(), aborted: None };
    for index in [0, 1] {
        story.edit(index, |snapshot| snapshot.stop = Some(note.clone()));
    }
    story.pass(3, "the runners know");
    story.all_ended(4, Stopped);
    for index in [0, 1] {
        story.edit(index, |snapshot| {
            snapshot.stop = Some(note.clone());
            snapshot.scenarios = vec![nothing(), failed.clone(), done(3, 4)];
        });
    }
    story.pass(5, "the teardown is done");
    let told = story.told().split_once("3s the setup ").unwrap().1;
    let expected = "\
has failed: stop [0, 1]: setup failed: it did not come to its end; again in 100ms
    status: Finishing: Stopping: setup failed: it did not come to its end; waiting for 2 runners to stop
    Normal event: Stopping
3s the runners know: begin [2] on [0, 1]; again in 100ms
5s the teardown is done: conclude, stopped: setup failed: it did not come to its end; again when something happens
    status: Finished, Error: ";
    assert!(told.starts_with(expected), "{told}");
}

#[test]
fn a_window_that_does_not_hold_ends_the_run_as_failed() {
    const REASON: &str = "rate(errors) < 1% did not hold over 4s: 50% (seen 30s after the begin)";
    let abort = "{expr: rate(errors) < 1%, abort: {window: 4s}}";
    let mut story = under_load(with(TWO_RUNNERS, "{expr: rate(errors) < 1%}", abort));
    story.all_run(30);
    let aborted = Some(Aborted { criterion: 0, observed: 0.5 });
    let note = StopNote { reason: REASON.to_owned(), aborted };
    story.aborted = Some(note.clone());
    story.pass(31, "half of the requests fail");
    story.all_ended(31, Stopped);
    story.edit(0, |snapshot| snapshot.stop = Some(note.clone()));
    story.pass(32, "all have stopped");
    let told = after_begin(&story);
    let expected = format!(
        "\
31s half of the requests fail: stop [0, 1]: {REASON}; again in 100ms
    status: Finishing: Stopping: {REASON}; waiting for 2 runners to stop
    Normal event: Stopping
32s all have stopped: conclude, stopped: {REASON}; again when something happens
    status: Finished, Failed: {REASON}, which ended the run.
"
    );
    assert!(told.starts_with(&expected), "{told}");
}

#[test]
fn windows_are_looked_at_eight_times_in_each() {
    let abort = "{expr: rate(errors) < 1%, abort: {window: 4s}}";
    let mut story = under_load(with(TWO_RUNNERS, "{expr: rate(errors) < 1%}", abort));
    story.all_run(30);
    story.pass(31, "load is on");
    assert_eq!(after_begin(&story), "31s load is on: watch; again in 500ms\n");
}

fn to(users: u32) -> Scale {
    Scale { scenario: "main".to_owned(), users: Some(users), rate: None }
}

fn level(users: u32, from: u64) -> LevelRecord {
    LevelRecord { level: Level::Users(users), from: from * SECOND, before: None }
}

#[test]
fn another_load_is_put_on_once_and_told_once() {
    let mut story = under_load(Story::new(TWO_RUNNERS));
    story.all_run(30);
    story.test.spec.scale = vec![to(8)];
    story.pass(31, "scaled");
    story.edit(0, |snapshot| snapshot.scenarios[0].levels = vec![level(8, 30)]);
    story.pass(31, "one runner was not reached");
    story.all_run(32);
    for index in [0, 1] {
        story.edit(index, |snapshot| snapshot.scenarios[0].levels = vec![level(8, 30)]);
    }
    story.pass(33, "both know");
    story.test.spec.scale.push(Scale { users: None, rate: Some("5/s".parse().unwrap()), ..to(0) });
    story.test.metadata.generation = Some(2);
    story.pass(34, "a change that makes no sense");
    story.pass(35, "which was told");
    let expected = "\
31s scaled: steer 0 to 8 users on [0, 1]; again in 100ms
    Normal event: Scaled: scenario main goes to 8 users
31s one runner was not reached: steer 0 to 8 users on [1]; again in 100ms
33s both know: watch; again in 1s
34s a change that makes no sense: watch; again in 1s
    Warning event: ScaleRefused: spec.scale[1]: expected users, got rate (the scenario is of a number of users)
35s which was told: watch; again in 1s
";
    assert_eq!(after_begin(&story), expected);
    let message = &story.test.status.as_ref().unwrap().message;
    assert!(message.contains("left out: spec.scale[1]: expected users, got rate"), "{message}");
}

const SEARCH: &str = "search: {users: {from: 2, limit: 8}, stage: 10s, settle: 2s, until: rate(errors) < 1%}";

#[test]
fn a_search_goes_on_in_the_step_in_which_its_operator_was_killed() {
    let mut story = with(TWO_RUNNERS, "users: {stages: [{to: 2, hold: 200s}]}", SEARCH);
    story.pass(0, "made");
    story.all_wait();
    story.pass(1, "runners are ready");
    story.all_run(0);
    story.pass(1, "load may come");
    let mut levels = vec![level(2, 1)];
    let all = |story: &mut Story, seconds: u64, levels: &[LevelRecord]| {
        story.all_run(seconds);
        for index in [0, 1] {
            story.edit(index, |snapshot| snapshot.scenarios[0].levels = levels.to_vec());
        }
    };
    all(&mut story, 5, &levels);
    story.pass(6, "the first step");
    all(&mut story, 11, &levels);
    story.pass(12, "its window is over, and answers are coming in");
    all(&mut story, 12, &levels);
    story.pass(13, "it is judged");
    levels
        .push(LevelRecord { before: Some(StepResult { held: true, observed: Some(0.0), dropped: 0 }), ..level(4, 13) });
    all(&mut story, 14, &levels);
    story.pass(15, "the second step");
    let message = story.test.status.as_ref().unwrap().message.clone();
    assert_eq!(message, "2 runners under load; main: step 2 at 4 users");
    let broken = StepResult { held: false, observed: Some(0.5), dropped: 0 };
    levels.push(LevelRecord { before: Some(broken), ..level(3, 25) });
    all(&mut story, 37, &levels);
    story.pass(38, "the last step");
    let expected = "\
1s load may come: steer 0 to 2 users on [0, 1]; again in 100ms
    status: Running: 2 runners under load
    Normal event: Running
6s the first step: watch; again in 1s
12s its window is over, and answers are coming in: watch; again in 1s
13s it is judged: steer 0 to 4 users on [0, 1]; again in 100ms
15s the second step: watch; again in 1s
38s the last step: steer 0 to 0 users on [0, 1]; again in 100ms
    Normal event: SearchDone: scenario main: 3 users is the highest load found that holds rate(errors) < 1%
";
    let told = story.told().split_once("begin [0] on [0, 1]; again in 100ms\n").unwrap().1;
    assert_eq!(told, expected);
    let search = &story.test.status.as_ref().unwrap().search[0];
    assert_eq!((search.scenario.as_str(), search.steps.len()), ("main", 3), "{search:?}");
    assert_eq!((search.steps[0].held, search.steps[1].held), (Some(true), Some(false)), "{search:?}");
}

#[test]
fn data_that_is_wrong_is_an_error_in_the_words_of_the_runner() {
    let mut story = Story::new(TWO_RUNNERS);
    story.pass(0, "made");
    let words = "spec.data.accounts: expected 2 values in line 3, got 1";
    story.runners = vec![gone(words), story.runner(1, 0, 0, RunnerState::Waiting)];
    story.pass(2, "a runner has ended");
    let expected = format!(
        "    status: Finished, Error: runner 0 ended before the load began: {words}.\n    Warning event: CouldNotStart\n"
    );
    assert!(story.told().ends_with(&expected), "{}", story.told());
}

#[test]
fn what_setup_extracted_is_in_no_words_of_a_decision() {
    let mut story = with_setup();
    story.pass(0, "made");
    progress(&mut story, 2, 1, [[nothing(), done(0, 2), nothing()], [nothing(), done(0, 0), nothing()]]);
    story.edit(0, |snapshot| snapshot.variables = vec![(0, "canary".to_owned())]);
    let (step, _) = decide(&story.world(3));
    assert!(matches!(step, Step::Conduct(_)));
    // As it is logged.
    assert!(!format!("{step:?}").contains("canary"), "{step:?}");
}

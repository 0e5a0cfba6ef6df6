//! The lives of tests as stories: what the operator does, what it then says in status, and when it looks again.
//!
//! Each line is a pass: `TIME WHAT HAPPENED: WHAT IS DONE; again WHEN`. Below it stands what status and events say that
//! is new.

mod copies;
mod shapes;
mod story;
mod unstored;

use proofload_api::Problem;
use proofload_conductor::RunnerView;
use proofload_results::EndCause::{Completed, Stopped, Terminated};
use proofload_results::RunnerState;

use crate::memory::ServerSight;
use crate::observe::JobSight;
use story::Story;

const TWO_RUNNERS: &str = "
apiVersion: proofload.dev/v1alpha1
kind: LoadTest
metadata: {name: tale, namespace: shop}
spec:
  target: {baseUrl: http://shop.svc}
  scenarios:
  - name: main
    users: {stages: [{to: 2, hold: 200s}]}
    steps: [{name: get, request: {path: /}}]
  criteria: [{expr: rate(errors) < 1%}]
  runners: {count: 2}
";

fn with(yaml: &str, from: &str, to: &str) -> Story {
    assert!(yaml.contains(from));
    Story::new(&yaml.replace(from, to))
}

fn one_runner() -> Story {
    with(TWO_RUNNERS, "count: 2", "count: 1")
}

/// A story that has come to where all runners are under load.
fn under_load(mut story: Story) -> Story {
    story.pass(0, "made");
    story.all_wait();
    story.pass(1, "runners are ready");
    story.all_run(0);
    story.pass(1, "load is on");
    story
}

/// What is told after the begin.
fn after_begin(story: &Story) -> &str {
    story.told().split_once("event: Running\n").unwrap().1
}

fn silent(seconds: u64) -> RunnerView {
    RunnerView::Silent { lasting: proofload_api::Micros::from_secs(seconds) }
}

fn gone(reason: &str) -> RunnerView {
    RunnerView::Gone { reason: reason.to_owned() }
}

const SETTLED: JobSight = JobSight::Present { age: proofload_api::Micros::ZERO, settled: true };

#[test]
fn a_healthy_run() {
    let mut story = Story::new(TWO_RUNNERS);
    story.pass(0, "made").pass(0, "pods are pending");
    story.runners[0] = story.runner(0, 0, 0, RunnerState::Waiting);
    story.pass(1, "one runner is ready");
    story.all_wait();
    story.pass(2, "both are");
    story.all_run(0);
    story.pass(2, "load is on");
    story.all_run(100);
    story.pass(102, "half of it is done");
    story.all_run(199);
    story.pass(201, "the end is near");
    story.all_ended(200, Completed);
    story.pass(202, "all have ended").pass(202, "pods are there").pass(207, "still");
    story.job = SETTLED;
    story.pass(208, "the pods have ended").pass(9_999, "nothing happens");
    let expected = "\
0s made: create; again in 100ms
    status: Starting: Starting 2 runners
    Normal event: Starting
0s pods are pending: wait for 2 of 2 runners; again in 100ms
1s one runner is ready: wait for 1 of 2 runners; again in 100ms
2s both are: begin [0] on [0, 1]; again in 100ms
2s load is on: watch; again in 1s
    status: Running: 2 runners under load
    Normal event: Running
102s half of it is done: watch; again in 1s
201s the end is near: watch; again in 1s
202s all have ended: conclude; again when something happens
    status: Finished, Passed: The criterion held. 200 requests in 3m20s, none failed.
    Normal event: Passed
202s pods are there: acknowledge; again in 2s
207s still: acknowledge; again in 2s
208s the pods have ended: rest; again when something happens
9999s nothing happens: rest; again when something happens
";
    assert_eq!(story.told(), expected);
}

#[test]
fn pods_that_do_not_go_are_deleted_with_their_job_after_15_s() {
    let mut story = under_load(one_runner());
    story.all_ended(200, Completed);
    story.pass(201, "it has ended").pass(201, "its pod is there").pass(215, "still").pass(216, "still");
    story.job = JobSight::Absent;
    story.pass(217, "the Job is gone");
    let expected = "\
201s it has ended: conclude; again when something happens
    status: Finished, Passed: The criterion held. 100 requests in 3m20s, none failed.
    Normal event: Passed
201s its pod is there: acknowledge; again in 2s
215s still: acknowledge; again in 2s
216s still: delete the Job; again in 2s
217s the Job is gone: rest; again when something happens
";
    assert_eq!(after_begin(&story), expected);
}

#[test]
fn an_invalid_spec_creates_nothing() {
    let mut story = with(&TWO_RUNNERS.replace("to: 2", "to: 0"), "rate(errors) < 1%", "rate(errors) < 1ms");
    story.pass(0, "made").pass(1, "nothing happens");
    let expected = "\
0s made: reject for 2 problems; again when something happens
    status: Finished, Error: The spec has 2 problems, nothing was created: spec.scenarios[0].users.stages: expected at least one user, got 0 users (begin with {to: 10, over: 10s}); spec.criteria[0].expr: expected a share such as 1% at column 16, got `1ms` in \"rate(errors) < 1ms\"
    Warning event: Invalid
1s nothing happens: rest; again when something happens
";
    assert_eq!(story.told(), expected);
}

#[test]
fn a_suspended_test_waits_until_it_is_resumed() {
    let mut story = with(TWO_RUNNERS, "runners: {count: 2}", "suspend: true");
    story.pass(0, "made").pass(500, "nothing happens");
    story.test.spec.suspend = false;
    story.pass(600, "resumed").pass(601, "its pod is pending");
    let expected = "\
0s made: hold; again when something happens
    status: Pending: Not started: it is suspended: set spec.suspend to false to start it
    Normal event: Suspended
500s nothing happens: hold; again when something happens
600s resumed: create; again in 100ms
    status: Starting: Starting 1 runner
    Normal event: Starting
601s its pod is pending: wait for 1 of 1 runners; again in 100ms
";
    assert_eq!(story.told(), expected);
}

#[test]
fn a_test_that_is_suspended_under_load_is_stopped_for_good() {
    let mut story = under_load(Story::new(TWO_RUNNERS));
    story.all_run(30);
    story.test.spec.suspend = true;
    story.pass(31, "suspended");
    story.all_ended(30, Stopped);
    story.pass(31, "all have stopped");
    story.test.spec.suspend = false;
    story.pass(31, "resumed");
    let expected = "\
31s suspended: stop [0, 1]: spec.suspend was set to true; again in 100ms
    status: Finishing: Stopping: spec.suspend was set to true; waiting for 2 runners to stop
    Normal event: Stopping
31s all have stopped: conclude, stopped: spec.suspend was set to true; again when something happens
    status: Finished, Inconclusive: Not all of the figures can be trusted. The run was stopped after 30s: spec.suspend was set to true.
    Warning event: Inconclusive
31s resumed: acknowledge; again in 2s
";
    assert_eq!(after_begin(&story), expected);
}

#[test]
fn a_test_that_is_suspended_before_its_load_began_never_begins() {
    let mut story = one_runner();
    story.pass(0, "made");
    story.test.spec.suspend = true;
    story.pass(1, "suspended").pass(1, "its pod is pending");
    let expected = "\
0s made: create; again in 100ms
    status: Starting: Starting 1 runner
    Normal event: Starting
1s suspended: conclude as cancelled: spec.suspend was set to true; again when something happens
    status: Finished, Inconclusive: No request was sent, so there is nothing to judge. Not all of the figures can be trusted. The run was stopped before its load began: spec.suspend was set to true.
    Warning event: Inconclusive
1s its pod is pending: acknowledge; again in 2s
";
    assert_eq!(story.told(), expected);
}

#[test]
fn a_job_that_is_deleted_under_load_ends_the_run() {
    let mut story = under_load(Story::new(TWO_RUNNERS));
    story.job = JobSight::Absent;
    story.all_run(10);
    story.pass(11, "the Job is deleted");
    story.runners = vec![story.runner(0, 10, 50, RunnerState::Ended(Terminated)), gone("its Job was deleted")];
    story.pass(12, "its pods are ending").pass(13, "they are gone");
    let expected = "\
11s the Job is deleted: watch; again in 1s
12s its pods are ending: conclude, without runner 0: its pod was told to end, without runner 1: its Job was deleted; again when something happens
    status: Finished, Inconclusive: Not all of the figures can be trusted. Runner 0 was lost 10s into the run (its pod was told to end): 47.5% of the load is missing. Runner 1 was lost (its Job was deleted): 50% of the load is missing.
    Warning event: Inconclusive
13s they are gone: rest; again when something happens
";
    assert_eq!(after_begin(&story), expected);
}

#[test]
fn a_job_that_is_deleted_before_the_load_began_ends_the_run() {
    let mut story = Story::new(TWO_RUNNERS);
    story.pass(0, "made");
    story.job = JobSight::Absent;
    story.pass(5, "the Job is deleted").pass(6, "nothing happens");
    let expected = "\
0s made: create; again in 100ms
    status: Starting: Starting 2 runners
    Normal event: Starting
5s the Job is deleted: conclude as impossible: the Job was deleted before the load began; again when something happens
    status: Finished, Error: the Job was deleted before the load began.
    Warning event: CouldNotStart
6s nothing happens: rest; again when something happens
";
    assert_eq!(story.told(), expected);
}

#[test]
fn runners_that_are_not_ready_in_time_end_the_run() {
    let mut story = Story::new(TWO_RUNNERS);
    story.pass(0, "made");
    story.runners[0] = story.runner(0, 0, 0, RunnerState::Waiting);
    story.runners[1] = RunnerView::Pending { reason: Some("ImagePullBackOff: no such image".to_owned()) };
    story.pass(119, "one is not ready").pass(120, "one is not ready").pass(120, "pods are there");
    story.job = JobSight::Absent;
    story.pass(121, "the Job is gone");
    let expected = "\
0s made: create; again in 100ms
    status: Starting: Starting 2 runners
    Normal event: Starting
119s one is not ready: wait for 1 of 2 runners: 1x ImagePullBackOff: no such image; again in 100ms
120s one is not ready: conclude as impossible: 1 of 2 runners were ready within 2m: 1x ImagePullBackOff: no such image; again when something happens
    status: Finished, Error: 1 of 2 runners were ready within 2m: 1x ImagePullBackOff: no such image.
    Warning event: CouldNotStart
120s pods are there: delete the Job; again in 2s
121s the Job is gone: rest; again when something happens
";
    assert_eq!(story.told(), expected);
}

#[test]
fn a_runner_that_is_lost_makes_the_run_inconclusive() {
    let mut story = under_load(Story::new(TWO_RUNNERS));
    story.all_run(50);
    story.runners[1] = silent(3);
    story.pass(51, "a runner does not answer");
    story.runners[1] = silent(20);
    story.pass(68, "nor later");
    story.all_ended(200, Completed);
    story.runners[1] = silent(150);
    story.pass(201, "the other one has ended");
    let expected = "\
51s a runner does not answer: wait for a runner that does not answer; again in 1s
68s nor later: watch, without runner 1: it has not answered for 20s; again in 1s
    Warning event: RunnerLost: runner 1 is lost: it has not answered for 20s
201s the other one has ended: conclude, without runner 1: it has not answered for 2m30s; again when something happens
    status: Finished, Inconclusive: Not all of the figures can be trusted. Runner 1 was lost (it has not answered for 2m30s): 50% of the load is missing.
    Warning event: Inconclusive
";
    assert_eq!(after_begin(&story), expected);
}

#[test]
fn a_run_whose_only_runner_does_not_answer_for_a_while_goes_on() {
    let mut story = under_load(one_runner());
    story.runners = vec![silent(3)];
    story.pass(150, "it does not answer");
    story.all_run(150);
    story.pass(151, "it answers again");
    let expected = "\
150s it does not answer: wait for a runner that does not answer; again in 1s
151s it answers again: watch; again in 1s
";
    assert_eq!(after_begin(&story), expected);
}

#[test]
fn a_run_that_loses_every_runner_has_no_figures_rather_than_no_begin() {
    let mut story = under_load(Story::new(TWO_RUNNERS));
    story.runners = vec![gone("OOMKilled, exit code 137"), silent(19)];
    story.pass(50, "one is killed, one does not answer");
    story.runners[1] = silent(20);
    story.pass(51, "nor later");
    let expected = "\
50s one is killed, one does not answer: wait for a runner that does not answer, without runner 0: OOMKilled, exit code 137; again in 1s
    Warning event: RunnerLost: runner 0 is lost: OOMKilled, exit code 137
51s nor later: conclude, without runner 0: OOMKilled, exit code 137, without runner 1: it has not answered for 20s; again when something happens
    status: Finished, Inconclusive: No request was sent, so there is nothing to judge. Not all of the figures can be trusted. Runner 0 was lost (OOMKilled, exit code 137): 50% of the load is missing. Runner 1 was lost (it has not answered for 20s): 50% of the load is missing.
    Warning event: Inconclusive
";
    assert_eq!(after_begin(&story), expected);
}

#[test]
fn objects_that_are_refused_are_tried_again_until_the_start_deadline() {
    let mut story = one_runner();
    story.refuses = Some("the API server refused the Job: jobs.batch is forbidden: exceeded quota");
    story.pass(0, "made").pass(5, "still").pass(119, "still").pass(120, "still").pass(121, "nothing happens");
    let expected = "\
0s made: create; again in 100ms
    status: Pending: Not started, to be tried again: the API server refused the Job: jobs.batch is forbidden: exceeded quota
    Warning event: Refused: the API server refused the Job: jobs.batch is forbidden: exceeded quota
5s still: create; again in 100ms
119s still: create; again in 100ms
120s still: conclude as impossible: the objects could not be made within 2m: the API server refused the Job: jobs.batch is forbidden: exceeded quota; again when something happens
    status: Finished, Error: the objects could not be made within 2m: the API server refused the Job: jobs.batch is forbidden: exceeded quota.
    Warning event: CouldNotStart
121s nothing happens: rest; again when something happens
";
    assert_eq!(story.told(), expected);
    let mut story = one_runner();
    story.refuses = Some("the API server refused the Job: jobs.batch is forbidden: exceeded quota");
    story.pass(0, "made");
    story.refuses = None;
    story.pass(5, "there is room now");
    assert!(story.told().ends_with("    status: Starting: Starting 1 runner\n    Normal event: Starting\n"));
}

#[test]
fn a_test_with_a_time_to_live_is_deleted_after_it() {
    let mut story = under_load(with(TWO_RUNNERS, "runners: {count: 2}", "results: {ttl: 1h}"));
    story.all_ended(200, Completed);
    story.pass(200, "it has ended");
    story.job = SETTLED;
    story.pass(201, "its pod has ended").pass(3_799, "nothing happens").pass(3_800, "its time is over");
    let expected = "\
200s it has ended: conclude; again when something happens
    status: Finished, Passed: The criterion held. 100 requests in 3m20s, none failed.
    Normal event: Passed
201s its pod has ended: rest; again in 59m59s100ms
3799s nothing happens: rest; again in 1s100ms
3800s its time is over: delete the test; again when something happens
";
    assert_eq!(after_begin(&story), expected);
}

#[test]
fn a_test_that_is_being_deleted_is_left_alone() {
    let mut story = under_load(one_runner());
    story.test.metadata.deletion_timestamp =
        Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time("2026-03-01T09:00:30Z".parse().unwrap()));
    story.all_run(30);
    story.pass(31, "deleted, its Job last");
    assert_eq!(after_begin(&story), "31s deleted, its Job last: rest; again when something happens\n");
}

#[test]
fn a_run_whose_end_is_overdue_is_looked_at_less_and_less_often() {
    let mut story = under_load(one_runner());
    for second in [200, 201, 203, 230] {
        story.all_run(second);
        story.pass(second + 1, "requests are under way");
    }
    let expected = "\
201s requests are under way: watch; again in 100ms
202s requests are under way: watch; again in 125ms
204s requests are under way: watch; again in 375ms
231s requests are under way: watch; again in 1s
";
    assert_eq!(after_begin(&story), expected);
}

#[test]
fn a_baseline_that_is_not_there_ends_the_test_before_any_load() {
    let mut story = one_runner();
    story.baseline =
        Some(Problem::new("spec.baseline.loadTest", "a run that is over", "there is no LoadTest checkout-1"));
    story.pass(0, "made").pass(9, "it may still come").pass(10, "it does not come").pass(11, "nothing happens");
    let expected = "\
0s made: rest; again in 1s
9s it may still come: rest; again in 1s
10s it does not come: reject for 1 problems; again when something happens
    status: Finished, Error: The spec has 1 problem, nothing was created: spec.baseline.loadTest: expected a run that is over, got there is no LoadTest checkout-1
    Warning event: Invalid
11s nothing happens: rest; again when something happens
";
    assert_eq!(story.told(), expected);
    let mut story = one_runner();
    story.baseline =
        Some(Problem::new("spec.baseline.loadTest", "a run that is over", "there is no LoadTest checkout-1"));
    story.pass(0, "made");
    story.baseline = None;
    story.pass(1, "it was applied a moment later");
    assert!(story.told().contains("1s it was applied a moment later: create"), "{}", story.told());
}

/// A run of one runner that asks Prometheus, under load.
fn asking() -> Story {
    let metrics = "criteria: [{expr: rate(errors) < 1%}, {expr: max(server.memory) < 1Gi}]
  prometheus: {url: http://prometheus, wait: 30s}
  serverMetrics: {memory: {query: sum(up)}}";
    let yaml = TWO_RUNNERS.replace("criteria: [{expr: rate(errors) < 1%}]", metrics);
    under_load(with(&yaml, "count: 2", "count: 1"))
}

#[test]
fn prometheus_is_asked_once_the_load_is_over_and_waited_for_with_a_bound() {
    let mut story = asking();
    story.all_ended(200, Completed);
    story.pass(201, "it has ended");
    story.server = ServerSight::Asked { lasting: proofload_api::Micros::from_secs(2) };
    story.pass(203, "Prometheus is awaited");
    story.server = ServerSight::Asked { lasting: proofload_api::Micros::from_secs(65) };
    story.pass(266, "there is no answer");
    let expected = "\
201s it has ended: ask about 0 to 200000000; again in 500ms
    status: Finishing: The load is over; waiting for what Prometheus says of the target
    Normal event: AskingPrometheus
203s Prometheus is awaited: ask about 0 to 200000000; again in 500ms
266s there is no answer: conclude; again when something happens
    status: Finished, Inconclusive: There is nothing to judge max(server.memory) < 1Gi by: Prometheus was not asked, since no load was put on.
    Warning event: Inconclusive
";
    assert_eq!(after_begin(&story), expected);
}

#[test]
fn nobody_waits_for_an_answer_that_is_there_or_will_not_come() {
    let mut story = asking();
    story.all_ended(200, Completed);
    story.server = ServerSight::Answered;
    story.pass(201, "it has ended, and answered");
    assert!(after_begin(&story).contains("answered: conclude"), "{}", story.told());
    let mut story = asking();
    story.runners[0] = gone("evicted");
    story.pass(90, "the only runner is gone");
    assert!(after_begin(&story).contains("gone: conclude"), "{}", story.told());
}

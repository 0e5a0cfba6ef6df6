//! Reports that the API server does not take.

use proofload_api::Verdict;
use proofload_results::EndCause::Completed;

use super::story::Story;
use super::{after_begin, one_runner, under_load};

#[test]
fn a_report_that_is_refused_is_tried_again_and_stored_once_there_is_room() {
    let mut story = under_load(one_runner());
    story.all_ended(200, Completed);
    story.refuses_report = Some("the API server refused the report: configmaps is forbidden: exceeded quota");
    story.pass(201, "it has ended").pass(206, "still");
    story.refuses_report = None;
    story.pass(290, "there is room now");
    let expected = "\
201s it has ended: conclude; again when something happens
    status: Finishing: The run is over; its report cannot be stored and is tried again: the API server refused the report: configmaps is forbidden: exceeded quota
    Warning event: ReportNotStoredYet
206s still: conclude; again when something happens
290s there is room now: conclude; again when something happens
    status: Finished, Passed: The criterion held. 100 requests in 3m20s, none failed.
    Normal event: Passed
";
    assert_eq!(after_begin(&story), expected);
    let status = story.test.status.as_ref().unwrap();
    let stored = status.conditions.iter().find(|condition| condition.type_ == "ReportStored").unwrap();
    assert_eq!((&*stored.status, status.report.is_some()), ("True", true));
}

#[test]
fn a_run_whose_report_is_refused_for_90_s_ends_without_a_verdict_and_says_what_was_seen() {
    let mut story = under_load(one_runner());
    story.all_ended(200, Completed);
    story.refuses_report = Some("the API server refused the report: configmaps is forbidden: exceeded quota");
    story.pass(201, "it has ended").pass(290, "still").pass(291, "still").pass(292, "its pod is there");
    let told = after_begin(&story).split_once("291s").unwrap().1;
    let expected = " still: conclude; again when something happens
    status: Finished, Error: The report could not be stored within 1m30s: the API server refused the report: configmaps is forbidden: exceeded quota. Without it there is no verdict. What was seen: The criterion held. 100 requests in 3m20s, none failed.
    Warning event: ReportNotStored
292s its pod is there: delete the Job; again in 2s
";
    assert_eq!(told, expected);
    // Nothing is named that is not there.
    let status = story.test.status.as_ref().unwrap();
    assert_eq!(status.report, None);
    assert!(status.scenarios.iter().all(|scenario| scenario.verdict == Verdict::Error), "{:?}", status.scenarios);
}

#[test]
fn a_run_that_was_over_before_it_was_seen_to_begin_does_not_begin_later_the_longer_its_report_waits() {
    let mut story = one_runner();
    story.pass(0, "made");
    story.all_ended(2, Completed);
    story.refuses_report = Some("the API server refused the report: configmaps is forbidden: exceeded quota");
    story.pass(3, "it has ended").pass(60, "still");
    let began = |story: &Story| story.test.status.as_ref().unwrap().start_time.clone().map(|start| start.0);
    let first = began(&story);
    story.refuses_report = None;
    story.pass(80, "there is room now");
    assert!(first.is_some() && began(&story) == first, "{first:?}, then {:?}", began(&story));
}

#[test]
fn what_was_seen_is_told_however_much_is_said_of_the_refusal() {
    let mut story = under_load(one_runner());
    story.all_ended(200, Completed);
    let long: &'static str = Box::leak(format!("denied by policy: {}", "x".repeat(2000)).into_boxed_str());
    story.refuses_report = Some(long);
    story.pass(201, "it has ended").pass(291, "still");
    let message = &story.test.status.as_ref().unwrap().message;
    assert!(
        message.contains("denied by policy") && message.contains("What was seen: The criterion held."),
        "{message}"
    );
}

#[test]
fn a_run_that_was_cancelled_does_not_wait_with_what_could_still_begin() {
    let mut story = one_runner();
    story.pass(0, "made");
    story.test.spec.suspend = true;
    story.refuses_report = Some("the API server refused the report: configmaps is forbidden: exceeded quota");
    story.pass(1, "suspended");
    let told = story.told().split_once("\n    status: Finished, ").unwrap().1;
    let expected = "\
Error: No request was sent, so there is nothing to judge. Not all of the figures can be trusted. The run was stopped before \
its load began: spec.suspend was set to true. The report could not be stored: the API server refused the report: configmaps \
is forbidden: exceeded quota.
    Warning event: ReportNotStored
";
    assert_eq!(told, expected);
}

#[test]
fn what_could_not_begin_waits_for_no_report() {
    let mut story = one_runner();
    story.refuses = Some("the API server refused the plan: configmaps is forbidden: exceeded quota");
    story.refuses_report = Some("the API server refused the report: configmaps is forbidden: exceeded quota");
    story.pass(0, "made").pass(120, "still").pass(121, "nothing happens");
    assert!(
        story.told().contains("status: Finished, Error: the objects could not be made within 2m"),
        "{}",
        story.told()
    );
    assert!(story.told().ends_with("121s nothing happens: rest; again when something happens\n"), "{}", story.told());
}

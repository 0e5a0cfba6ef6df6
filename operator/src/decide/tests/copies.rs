//! The lives of copies of reports: made after the verdict, told while they are tried, and never in the verdict's way.

use proofload_results::EndCause::Completed;

use super::story::Story;
use super::{SETTLED, TWO_RUNNERS, after_begin, one_runner, under_load, with};
use crate::observe::{JobSight, StoreSight};

const STORE: &str = "results: {ttl: 1h, store: {s3: {bucket: reports, prefix: soak, secret: reports-s3}}}";

/// A story that has come to its verdict, at 200 s; its runners are gone.
fn judged(results: &str) -> Story {
    let mut story = under_load(with(TWO_RUNNERS, "runners: {count: 2}", results));
    story.all_ended(200, Completed);
    story.pass(200, "it has ended").pass(200, "its pod is there");
    story.job = SETTLED;
    story
}

/// What is told after the verdict.
fn after_verdict(story: &Story) -> &str {
    after_begin(story).split_once("its pod is there: acknowledge; again in 2s\n").unwrap().1
}

fn failing(words: &str) -> StoreSight {
    StoreSight::UnderWay { failure: Some(words.to_owned()), waiting: Some("CrashLoopBackOff".to_owned()), made: None }
}

const AT_WORK: StoreSight = StoreSight::UnderWay { failure: None, waiting: None, made: None };

#[test]
fn a_report_is_copied_once_the_runners_are_gone() {
    let mut story = judged(STORE);
    story.pass(201, "its pod has ended");
    story.store = AT_WORK;
    story.pass(202, "the copy is under way");
    story.store = StoreSight::Done;
    story.pass(204, "it is there").pass(204, "its Job is there");
    story.store = StoreSight::Absent;
    story.pass(205, "the Job is gone").pass(3_800, "its time is over");
    let expected = "\
201s its pod has ended: make the Job that copies the report; again in 30s
202s the copy is under way: look at the copy; again in 30s
204s it is there: look at the copy; again in 30s
    store: Stored s3://reports/soak/shop/tale-1f0c9
    Normal event: ReportStored: The report is at s3://reports/soak/shop/tale-1f0c9
204s its Job is there: delete the Job that copied the report; again in 2s
205s the Job is gone: rest; again in 59m55s100ms
3800s its time is over: delete the test; again when something happens
";
    assert_eq!(after_verdict(&story), expected);
}

#[test]
fn a_store_that_is_down_is_told_once_and_a_time_to_live_waits_for_it() {
    let mut story = judged(&STORE.replace("1h", "10s"));
    story.pass(201, "its pod has ended");
    story.store =
        StoreSight::UnderWay { failure: None, waiting: Some("not scheduled: no room".to_owned()), made: None };
    story.pass(202, "there is no room for it");
    story.store = failing("cannot reach http://minio:9000: connection refused");
    story.pass(230, "the store is down").pass(260, "still");
    story.store = failing("bucket reports does not exist at http://minio:9000: make it");
    story.pass(300, "it is up, without a bucket");
    story.store = StoreSight::Done;
    story.pass(320, "someone has made it").pass(320, "its Job is there");
    story.store = StoreSight::Absent;
    story.pass(321, "the Job is gone");
    let expected = "\
201s its pod has ended: make the Job that copies the report; again in 30s
202s there is no room for it: look at the copy; again in 30s
    store: Pending s3://reports/soak/shop/tale-1f0c9: Waiting: not scheduled: no room
230s the store is down: look at the copy; again in 30s
    store: Retrying s3://reports/soak/shop/tale-1f0c9: Tried again: cannot reach http://minio:9000: connection refused
    Warning event: ReportNotStoredYet: Tried again: cannot reach http://minio:9000: connection refused
260s still: look at the copy; again in 30s
300s it is up, without a bucket: look at the copy; again in 30s
    store: Retrying s3://reports/soak/shop/tale-1f0c9: Tried again: bucket reports does not exist at http://minio:9000: make it
320s someone has made it: look at the copy; again in 30s
    store: Stored s3://reports/soak/shop/tale-1f0c9
    Normal event: ReportStored: The report is at s3://reports/soak/shop/tale-1f0c9
320s its Job is there: delete the Job that copied the report; again in 2s
321s the Job is gone: delete the test; again when something happens
";
    assert_eq!(after_verdict(&story), expected);
}

#[test]
fn a_report_that_is_given_up_stays_in_its_config_map_whatever_the_time_to_live() {
    let mut story = judged(STORE);
    story.pass(201, "its pod has ended");
    story.store = failing("cannot reach http://minio:9000: connection refused");
    story.pass(230, "the store is down");
    // The Job's controller deletes the pod with what it said.
    story.store = StoreSight::GivenUp { failure: None };
    story.pass(3_802, "the Job's time is over").pass(3_802, "the Job is there");
    story.store = StoreSight::Absent;
    story.pass(3_803, "it is gone").pass(90_000, "nothing happens");
    let expected = "\
201s its pod has ended: make the Job that copies the report; again in 30s
230s the store is down: look at the copy; again in 30s
    store: Retrying s3://reports/soak/shop/tale-1f0c9: Tried again: cannot reach http://minio:9000: connection refused
    Warning event: ReportNotStoredYet: Tried again: cannot reach http://minio:9000: connection refused
3802s the Job's time is over: look at the copy; again in 30s
    store: Failed s3://reports/soak/shop/tale-1f0c9: Given up after 1h: cannot reach http://minio:9000: connection refused; the report stays in its ConfigMap, and results.ttl does not delete it
    Warning event: ReportNotStored: Given up after 1h: cannot reach http://minio:9000: connection refused; the report stays in its ConfigMap, and results.ttl does not delete it
3802s the Job is there: delete the Job that copied the report; again in 2s
3803s it is gone: rest; again when something happens
90000s nothing happens: rest; again when something happens
";
    assert_eq!(after_verdict(&story), expected);
}

#[test]
fn a_copy_that_nobody_was_there_to_begin_has_its_whole_time_once_somebody_is() {
    let mut story = judged(STORE);
    story.pass(9_000, "the operator is back");
    let made = story.world(9_000).now;
    story.store = StoreSight::UnderWay { failure: None, waiting: None, made: Some(made) };
    story.pass(9_001, "its pod is at work").pass(12_599, "still");
    story.store = StoreSight::Done;
    story.pass(12_600, "it is done");
    assert!(!story.told().contains("ReportNotStored:"), "{}", story.told());
    assert!(story.told().contains("ReportStored: The report is at"), "{}", story.told());
}

#[test]
fn a_job_that_cannot_be_made_or_does_not_end_is_given_up_all_the_same() {
    let given_up = |story: &Story| after_verdict(story).contains("ReportNotStored: Given up after 1h: ");
    let mut story = judged(STORE);
    story.refuses = Some("the API server refused the Job: jobs.batch is forbidden: exceeded quota");
    story.pass(201, "its pod has ended").pass(206, "still").pass(4_099, "still");
    let expected = "\
201s its pod has ended: make the Job that copies the report; again in 30s
    store: Retrying s3://reports/soak/shop/tale-1f0c9: Tried again: the API server refused the Job: jobs.batch is forbidden: exceeded quota
    Warning event: ReportNotStoredYet: Tried again: the API server refused the Job: jobs.batch is forbidden: exceeded quota
206s still: make the Job that copies the report; again in 30s
4099s still: make the Job that copies the report; again in 30s
";
    assert_eq!(after_verdict(&story), expected);
    story.pass(4_100, "still");
    assert!(given_up(&story) && story.told().contains("exceeded quota; the report stays"), "{}", story.told());
    let mut story = judged(STORE);
    story.pass(201, "its pod has ended");
    story.store = AT_WORK;
    story.pass(4_099, "nobody ends the Job");
    assert!(!given_up(&story), "{}", story.told());
    story.pass(4_100, "still");
    assert!(given_up(&story), "{}", story.told());
}

/// An operator that is killed after any write sees the world as it was left, and comes to the same end.
#[test]
fn a_copy_goes_on_where_it_was_and_what_came_of_it_is_not_undone() {
    let mut story = judged(STORE);
    // Killed after it made the Job: nobody was told.
    story.store = AT_WORK;
    story.pass(210, "the Job is there");
    // Someone deletes it.
    story.store = StoreSight::Absent;
    story.pass(220, "the Job is deleted");
    story.store = StoreSight::Done;
    story.pass(230, "the report is there");
    // Killed before it deleted the Job; then the Job is made by an operator that had seen an old status.
    story.store = AT_WORK;
    story.pass(240, "it is there again");
    story.store = StoreSight::Absent;
    story.pass(250, "it is gone");
    let expected = "\
210s the Job is there: look at the copy; again in 30s
220s the Job is deleted: make the Job that copies the report; again in 30s
230s the report is there: look at the copy; again in 30s
    store: Stored s3://reports/soak/shop/tale-1f0c9
    Normal event: ReportStored: The report is at s3://reports/soak/shop/tale-1f0c9
240s it is there again: delete the Job that copied the report; again in 2s
250s it is gone: rest; again in 59m10s100ms
";
    assert_eq!(after_verdict(&story), expected);
}

#[test]
fn a_test_that_never_ran_has_its_report_copied_and_one_without_a_report_has_none() {
    let mut story = with(TWO_RUNNERS, "runners: {count: 2}", STORE);
    story.pass(0, "made");
    story.job = JobSight::Absent;
    story.pass(5, "the Job is deleted").pass(6, "the verdict is there");
    assert!(story.told().ends_with("make the Job that copies the report; again in 30s\n"), "{}", story.told());
    let wrong = TWO_RUNNERS.replace("to: 2", "to: 0");
    let mut story = with(&wrong, "runners: {count: 2}", STORE);
    story.pass(0, "made").pass(1, "nothing happens");
    assert!(story.told().ends_with("1s nothing happens: rest; again in 59m59s100ms\n"), "{}", story.told());
    let mut story = under_load(one_runner());
    story.all_ended(200, Completed);
    story.pass(200, "it has ended");
    (story.job, story.store) = (SETTLED, AT_WORK);
    story.pass(201, "someone's Job has the name of a copy");
    assert!(story.told().ends_with("rest; again when something happens\n"), "{}", story.told());
}

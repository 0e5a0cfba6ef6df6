//! The lives of schedules as stories, and that a tick has one run whatever happens.
//!
//! Each line is a pass: `DAY TIME WHAT HAPPENED: WHAT IS DONE; again WHEN`. Below it stands what status and events say
//! that is new.

mod story;

use k8s_openapi::jiff::SignedDuration;
use proofload_api::Verdict;
use proofload_api::schedule::{ConcurrencyPolicy, HistoryLimits, ScheduleState};
use proptest::prelude::*;

use crate::schedule::observe::RolloutSight;
use story::{Killed, Story, at};

const NIGHTLY: &str = "
apiVersion: proofload.dev/v1alpha1
kind: LoadTestSchedule
metadata: {name: nightly, namespace: shop}
spec:
  schedule: 0 3 * * *
  timeZone: Europe/Berlin
  template:
    spec:
      target: {baseUrl: http://shop.svc}
      scenarios:
      - name: main
        users: {stages: [{to: 2, hold: 200s}]}
        steps: [{name: get, request: {path: /}}]
";

fn nightly() -> Story {
    Story::new(NIGHTLY, "2026-03-01T12:00:00Z")
}

fn minutely() -> Story {
    Story::new(&NIGHTLY.replace("0 3 * * *", "'* * * * *'"), "2026-03-01T12:00:30Z")
}

fn told(story: &Story, expected: &str) {
    assert_eq!(story.told(), expected, "\n{}", story.told());
}

#[test]
fn a_schedule_runs_its_test_at_each_tick() {
    let mut story = nightly();
    story.pass("01 12:00:00", "made").pass("02 02:00:00", "its time has come");
    story.end("02 02:05:00", Verdict::Passed, "180ms");
    story.pass("02 02:05:00", "it has a verdict").pass("03 02:00:01", "its time has come");
    assert_eq!(story.made, ["nightly-29540280", "nightly-29541720"]);
    let status = story.status();
    assert_eq!((status.last_verdict, status.last_passed.as_deref()), (Some(Verdict::Passed), Some("nightly-29540280")));
    assert_eq!((status.skipped, status.missed, status.active_runs), (0, 0, 1));
    assert_eq!(status.next_schedule_time.unwrap().0, at("04 02:00:00"));
    assert_eq!(status.history[0].p95, "180ms");
    told(
        &story,
        "\
01 12:00:00 made: rest; again in 1m
    Active: Next run at 2026-03-02 03:00 Europe/Berlin
02 02:00:00 its time has come: rest; again in 1s
    Active: Next run at 2026-03-03 03:00 Europe/Berlin
02 02:00:00 then: make nightly-29540280 (Schedule); again in 1s
    Normal event: Fired: nightly-29540280, due at 2026-03-02T02:00:00Z
02 02:05:00 it has a verdict: rest; again in 1m
03 02:00:01 its time has come: rest; again in 1s
    Active: Next run at 2026-03-04 03:00 Europe/Berlin
03 02:00:01 then: make nightly-29541720 (Schedule); again in 1s
    Normal event: Fired: nightly-29541720, due at 2026-03-03T02:00:00Z
",
    );
}

#[test]
fn an_overlap_is_skipped_run_beside_or_replaces_as_the_policy_says() {
    let after_two_ticks = |policy: ConcurrencyPolicy| {
        let mut story = minutely();
        story.schedule.spec.concurrency_policy = policy;
        story.pass("01 12:01:00", "first").pass("01 12:02:00", "second");
        story
    };
    let skipped = after_two_ticks(ConcurrencyPolicy::Forbid);
    assert_eq!((skipped.made.len(), skipped.status().skipped), (1, 1));
    assert!(
        skipped.told().contains(
            "Warning event: Skipped: the run of 2026-03-01 13:02 Europe/Berlin is skipped: \
                                     nightly-29539441 has no verdict yet\n"
        ),
        "{}",
        skipped.told()
    );
    let both = after_two_ticks(ConcurrencyPolicy::Allow);
    assert_eq!((both.runs.len(), both.status().active_runs), (2, 2));
    let replaced = after_two_ticks(ConcurrencyPolicy::Replace);
    assert_eq!((replaced.made.len(), replaced.runs.len(), replaced.status().skipped), (2, 1, 0));
    assert_eq!(replaced.status().active, ["nightly-29539442"]);
}

#[test]
fn of_ticks_that_nobody_saw_only_the_last_is_run_if_it_is_not_too_late() {
    let mut story = minutely();
    story.pass("01 12:00:40", "made").pass("01 12:09:30", "the operator was away");
    assert_eq!((story.made.len(), story.status().missed), (1, 8));
    assert_eq!(story.made, ["nightly-29539449"]);
    let mut story = nightly();
    story.pass("01 12:00:00", "made").pass("02 02:10:01", "the operator was away for too long");
    assert_eq!((story.made.len(), story.status().missed), (0, 1));
    story.pass("02 02:20:00", "nothing happens").pass("03 02:00:00", "the next");
    assert_eq!(story.made, ["nightly-29541720"]);
}

#[test]
fn a_clock_that_is_set_back_runs_nothing_again() {
    let mut story = minutely();
    story.pass("01 12:05:00", "a tick");
    story.end("01 12:05:10", Verdict::Passed, "1ms");
    for moment in ["01 12:05:30", "01 12:02:00", "01 12:03:00", "01 12:04:59", "01 12:05:00"] {
        story.pass(moment, "the clock is elsewhere");
    }
    assert_eq!(story.made.len(), 1);
    story.pass("01 12:06:00", "the clock is right");
    assert_eq!(story.made.len(), 2);
}

#[test]
fn a_schedule_that_is_suspended_or_changed_does_not_make_up_for_what_was() {
    let mut story = minutely();
    story.schedule.spec.suspend = true;
    story.pass("01 12:01:00", "suspended from the begin").pass("01 12:05:00", "still");
    story.edit(|schedule| schedule.spec.suspend = false);
    story.pass("01 12:05:30", "resumed");
    assert_eq!((story.made.len(), story.status().missed), (0, 0));
    story.edit(|schedule| schedule.spec.schedule = Some("5 * * * *".to_owned()));
    story.pass("01 12:05:40", "another cron, of a tick just before");
    story.pass("01 13:05:00", "its time has come");
    assert_eq!(story.made, ["nightly-29539505"]);
}

#[test]
fn it_pauses_after_so_many_failures_and_goes_on_after_a_change_or_a_run_that_passed() {
    let mut story = minutely();
    story.schedule.spec.pause_after = Some(2);
    for minute in 1..=3 {
        story.pass(&format!("01 12:0{minute}:00"), "a tick");
        story.end(&format!("01 12:0{minute}:20"), Verdict::Failed, "812ms");
        story.pass(&format!("01 12:0{minute}:20"), "it failed");
    }
    let status = story.status();
    assert_eq!((story.made.len(), status.state), (2, Some(ScheduleState::Paused)));
    assert_eq!((status.next_schedule_time, status.failures_in_a_row), (None, 2));
    assert!(story.told().ends_with("\
01 12:02:20 it failed: rest; again in 1m
    Paused: Paused: 2 runs in a row did not pass, the last was nightly-29539442 (Failed): p95(latency) < 500ms was 812ms; a \
change of its spec, or a run on demand that passes, ends the pause
    Warning event: Paused: 2 runs in a row did not pass, the last was nightly-29539442 (Failed): p95(latency) < 500ms was \
812ms
01 12:03:00 a tick: rest; again in 1m
01 12:03:20 it failed: rest; again in 1m
"), "{}", story.told());

    story.annotate("once more");
    story.pass("01 12:04:00", "asked for");
    story.end("01 12:04:20", Verdict::Passed, "100ms");
    story.pass("01 12:04:20", "it passed").pass("01 12:05:00", "a tick");
    assert_eq!(story.status().state, Some(ScheduleState::Active));
    assert_eq!(story.made.len(), 4);

    let mut story = minutely();
    story.schedule.spec.pause_after = Some(1);
    story.pass("01 12:01:00", "a tick");
    story.end("01 12:01:20", Verdict::Error, "");
    story.pass("01 12:01:20", "it failed").pass("01 12:02:00", "a tick");
    assert_eq!(story.made.len(), 1);
    story.edit(|schedule| schedule.spec.pause_after = Some(3));
    story.pass("01 12:02:20", "changed").pass("01 12:03:00", "a tick");
    assert_eq!((story.made.len(), story.status().failures_in_a_row), (2, 0));
}

#[test]
fn finished_runs_are_kept_by_verdict_and_the_last_that_passed_always() {
    let mut story = minutely();
    story.schedule.spec.history = HistoryLimits { passed: 1, failed: 1, other: 0 };
    let verdicts = [Verdict::Passed, Verdict::Unjudged, Verdict::Failed, Verdict::Failed, Verdict::Inconclusive];
    for (minute, verdict) in (1..).zip(verdicts) {
        story.pass(&format!("01 12:0{minute}:00"), "a tick");
        story.end(&format!("01 12:0{minute}:20"), verdict, "1ms");
        story.pass(&format!("01 12:0{minute}:20"), "it ended");
    }
    story.pass("01 12:06:00", "a tick");
    let kept: Vec<_> = story.runs.iter().map(|run| run.verdict).collect();
    let expected = [Some(Verdict::Passed), Some(Verdict::Unjudged), Some(Verdict::Failed), None];
    assert_eq!(kept, expected, "the last passed, the last of its kind, the last failed, the one under way");
    assert_eq!(story.runs[2].name, "nightly-29539444");
    assert_eq!(story.status().history.len(), 5);
    // A report that is still on its way is not deleted.
    story.end("01 12:06:20", Verdict::Error, "");
    story.runs[3].is_storing = true;
    story.pass("01 12:06:20", "it ended");
    assert_eq!(story.runs.len(), 4);
    story.runs[3].is_storing = false;
    story.pass("01 12:06:30", "it is stored");
    assert_eq!(story.runs.len(), 3);
}

#[test]
fn each_wish_for_a_run_now_is_one_run_and_waits_for_the_one_under_way() {
    let mut story = nightly();
    story.schedule.spec.suspend = true;
    story.annotate("a");
    story.pass("01 12:00:00", "asked for").pass("01 12:00:10", "nothing happens");
    assert_eq!(story.made, ["nightly-29539440t"]);
    story.annotate("b");
    story.pass("01 12:00:20", "asked for again");
    assert_eq!((story.made.len(), story.status().last_trigger.as_deref()), (1, Some("a")));
    assert!(story.status().message.ends_with("; the run that was asked for waits for nightly-29539440t"));
    story.end("01 12:00:30", Verdict::Passed, "1ms");
    story.pass("01 12:00:30", "the first has ended");
    assert_eq!(story.made, ["nightly-29539440t", "nightly-29539440u"]);
    assert_eq!(story.status().last_trigger.as_deref(), Some("b"));
}

#[test]
fn a_rollout_of_other_images_is_run_once_it_is_done() {
    let mut story = Story::new(
        &NIGHTLY.replace("  schedule: 0 3 * * *\n", "  onRollout: {deployment: checkout}\n"),
        "2026-03-01T12:00:00Z",
    );
    let done = |images: &str| Some(RolloutSight::Done(images.to_owned()));
    story.rollout = done("v1");
    story.pass("01 12:00:00", "made").pass("01 12:00:15", "nothing happens");
    story.rollout = Some(RolloutSight::UnderWay);
    story.pass("01 12:00:30", "it is being rolled out");
    assert_eq!(story.made.len(), 0);
    story.rollout = done("v2");
    story.pass("01 12:00:45", "it is done").pass("01 12:01:00", "nothing happens");
    assert_eq!(story.made, ["nightly-29539440r"]);
    story.rollout = Some(RolloutSight::Unseen("there is no Deployment checkout".to_owned()));
    story.pass("01 12:02:00", "it is gone");
    assert!(story.status().message.ends_with("; there is no Deployment checkout"), "{}", story.told());
    story.end("01 12:03:00", Verdict::Passed, "1ms");
    story.rollout = done("v2");
    story.pass("01 12:03:00", "it is back as it was");
    assert_eq!(story.made.len(), 1);
}

#[test]
fn a_spec_that_cannot_be_run_says_so_and_runs_nothing() {
    let mut story = Story::new(
        &NIGHTLY.replace("0 3 * * *", "61 3 * * *").replace("Europe/Berlin", "Europe/Belin").replace("to: 2", "to: 0"),
        "2026-03-01T12:00:00Z",
    );
    story.annotate("now");
    story.pass("01 12:00:00", "made").pass("02 02:00:00", "nothing happens");
    assert_eq!(story.status().conditions[0].reason, "Invalid");
    let expected = [
        "The spec has 3 problems, nothing is run: spec.schedule: expected minutes from 0 to 59",
        "spec.timeZone: expected the name of a zone",
        "did you mean Europe/Berlin?",
        "spec.template.spec.scenarios[0].users.stages: expected at least one user",
    ];
    let message = story.status().message;
    assert!(expected.iter().all(|part| message.contains(part)), "{message}");
    assert_eq!(story.told().matches("Warning event: Invalid: The spec has").count(), 1, "{}", story.told());
    story.edit(|schedule| {
        schedule.spec.schedule = Some("0 3 * * *".to_owned());
        schedule.spec.time_zone = "Europe/Berlin".to_owned();
        schedule.spec.template.spec.scenarios[0].users.as_mut().unwrap().stages[0].to = Some(2);
    });
    story.pass("02 02:05:00", "mended").pass("03 02:00:00", "its time has come");
    assert_eq!(story.made, ["nightly-29541720"]);
}

#[test]
fn a_run_that_is_refused_is_tried_again_until_its_deadline() {
    let mut story = nightly();
    story.pass("01 12:00:00", "made");
    story.refuses = Some("exceeded quota");
    for second in [0, 1, 2, 3] {
        story.pass(&format!("02 02:00:0{second}"), "its time has come");
    }
    assert_eq!(story.told().matches("event: Refused: nightly-29540280 cannot be made").count(), 1, "{}", story.told());
    story.refuses = None;
    story.pass("02 02:09:00", "there is room");
    assert_eq!(story.made, ["nightly-29540280"]);

    let mut story = nightly();
    story.pass("01 12:00:00", "made");
    story.refuses = Some("exceeded quota");
    story.pass("02 02:00:00", "its time has come").pass("02 02:00:01", "then").pass("02 02:10:01", "still");
    story.refuses = None;
    story.pass("02 02:10:02", "too late");
    assert_eq!((story.made.len(), story.status().missed, story.status().pending), (0, 1, None));
}

#[test]
fn an_operator_that_is_killed_after_any_write_goes_on_with_the_same_run() {
    // Between the intent and the run.
    let mut story = nightly();
    story.pass("01 12:00:00", "made");
    story.one(at("02 02:00:00"), "its time has come", Killed::Never);
    story.restart();
    story.pass("02 02:04:00", "another process goes on");
    assert_eq!(story.made, ["nightly-29540280"]);
    // Between the run and its record; it even has a verdict by then.
    let mut story = nightly();
    story.pass("01 12:00:00", "made");
    story.one(at("02 02:00:00"), "its time has come", Killed::Never);
    story.one(at("02 02:00:01"), "it is made", Killed::AfterApply);
    story.end("02 02:05:00", Verdict::Passed, "1ms");
    story.pass("02 02:06:00", "another process goes on");
    assert_eq!((story.made.len(), story.status().history.len()), (1, 1));
    // Before the intent was written.
    let mut story = nightly();
    story.pass("01 12:00:00", "made");
    story.one(at("02 02:00:00"), "its time has come", Killed::AfterApply);
    story.pass("02 02:06:00", "another process goes on");
    assert_eq!(story.made, ["nightly-29540280"]);
}

#[test]
fn no_run_is_deleted_before_its_verdict_is_written_down() {
    let mut story = nightly();
    story.edit(|schedule| schedule.spec.history = HistoryLimits { passed: 0, failed: 0, other: 0 });
    story.pass("01 12:00:00", "made").pass("02 02:00:00", "its time has come");
    story.end("02 02:05:00", Verdict::Failed, "1ms");
    story.one(at("02 02:05:00"), "it has a verdict", Killed::AfterApply);
    story.pass("02 02:06:00", "another process goes on");
    let status = story.status();
    assert_eq!((status.history.len(), status.last_verdict, status.failures_in_a_row), (1, Some(Verdict::Failed), 1));
    assert!(story.runs.is_empty(), "{}", story.told());
}

#[test]
fn what_a_clock_that_was_ahead_made_of_the_future_ends_when_the_schedule_is_resumed() {
    let mut story = nightly();
    story.pass("01 12:00:00", "made").pass("2027-03-01T12:00:00Z", "by a wrong clock");
    story.edit(|schedule| schedule.spec.suspend = true);
    story.pass("01 12:05:00", "suspended");
    story.edit(|schedule| schedule.spec.suspend = false);
    story.pass("01 12:06:00", "resumed").pass("02 02:00:00", "its time has come");
    assert_eq!(story.made.last().unwrap(), "nightly-29540280", "{}", story.told());
}

#[test]
fn a_wish_in_the_minute_of_one_whose_run_was_deleted_is_a_run_of_its_own() {
    let mut story = nightly();
    story.pass("01 12:00:00", "made");
    story.annotate("a");
    story.pass("01 12:00:05", "asked for");
    story.runs.clear();
    story.pass("01 12:00:20", "deleted");
    story.annotate("b");
    story.pass("01 12:00:40", "asked for again");
    assert_eq!(story.made, ["nightly-29539440t", "nightly-29539440u"], "{}", story.told());
}

#[test]
fn a_run_that_is_deleted_before_it_was_written_down_is_not_made_again() {
    let mut story = nightly();
    story.pass("01 12:00:00", "made");
    story.one(at("02 02:00:00"), "its time has come", Killed::Never);
    // The write of the status is refused, again and again; meanwhile the run ends and its time to live is over.
    let before = story.status();
    story.one(at("02 02:00:01"), "it is made", Killed::Never);
    story.schedule.status = Some(before);
    story.runs.clear();
    story.pass("02 02:05:00", "it is gone");
    assert_eq!((story.made.len(), story.status().active_runs, story.status().pending), (1, 0, None));
}

#[derive(Debug, Clone)]
enum Happens {
    Clock(i64),
    Pass,
    KilledAfterApply,
    Restart,
    Refuses(bool),
    Ends(bool),
    Wish(u8),
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        4 => (1_i64..90).prop_map(Happens::Clock),
        1 => (-400_i64..900).prop_map(Happens::Clock),
        6 => Just(Happens::Pass),
        2 => Just(Happens::KilledAfterApply),
        1 => Just(Happens::Restart),
        1 => any::<bool>().prop_map(Happens::Refuses),
        2 => any::<bool>().prop_map(Happens::Ends),
        1 => (0_u8..3).prop_map(Happens::Wish),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_tick_has_at_most_one_run_and_each_is_dealt_with(all in proptest::collection::vec(happens(), 1..60)) {
        let mut story = minutely();
        let mut now = at("01 12:00:30");
        let mut most_at_once = 0;
        story.one(now, "made", Killed::Never);
        for what in all {
            match what {
                Happens::Clock(seconds) => now += SignedDuration::from_secs(seconds),
                Happens::Pass => story.one(now, "", Killed::Never),
                Happens::KilledAfterApply => story.one(now, "", Killed::AfterApply),
                Happens::Restart => story.restart(),
                Happens::Refuses(refuses) => story.refuses = refuses.then_some("quota"),
                Happens::Ends(passes) => {
                    story.end(&now.to_string(), if passes { Verdict::Passed } else { Verdict::Failed }, "1ms");
                }
                Happens::Wish(wish) => story.annotate(&wish.to_string()),
            }
            most_at_once = most_at_once.max(story.runs.iter().filter(|run| run.verdict.is_none()).count());
        }
        // What is left is brought to its end: a run that is there, a tick, a wish, each in a few passes.
        story.refuses = None;
        for _ in 0..9 {
            story.end(&now.to_string(), Verdict::Passed, "1ms");
            story.one(now, "", Killed::Never);
        }
        let mut names = story.made.clone();
        names.sort();
        names.dedup();
        prop_assert_eq!(names.len(), story.made.len(), "no run is made twice");
        prop_assert!(most_at_once <= 1, "no two are under way");
        // Every tick up to the last is one of: run, skipped, missed.
        let status = story.status();
        let ticks = status.last_schedule_time.map_or(0, |last| (last.0.as_second() - at("01 12:00:00").as_second()) / 60);
        let runs = story.made.iter().filter(|name| name.ends_with(|c: char| c.is_ascii_digit())).count() as u64;
        prop_assert_eq!(runs + status.skipped + status.missed, ticks as u64);
        prop_assert_eq!(status.pending, None);
    }
}

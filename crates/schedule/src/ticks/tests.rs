//! When clocks are changed, and when not.

use std::collections::BTreeSet;

use jiff::tz::TimeZoneDatabase;
use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The first ticks after a moment.
fn ticks(cron: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let ticks = Ticks::new(cron, zone).unwrap();
    let next = |moment: &Timestamp| ticks.after(*moment);
    std::iter::successors(next(&at(after)), next).take(count).map(|tick| tick.to_string()).collect()
}

#[test]
fn a_time_that_is_left_out_is_run_once_at_the_first_moment_after() {
    // 02:00 to 03:00 do not exist on 29 March.
    assert_eq!(
        ticks("30 2 * * *", "Europe/Berlin", "2026-03-27T12:00:00Z", 3),
        ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]
    );
    assert_eq!(
        ticks("0 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 2),
        ["2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"]
    );
    assert_eq!(
        ticks("30 2 * * *", "America/New_York", "2026-03-07T12:00:00Z", 2),
        ["2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z"]
    );
    // Half an hour: 02:00 to 02:30.
    assert_eq!(
        ticks("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00Z", 2),
        ["2026-10-03T15:30:00Z", "2026-10-04T15:15:00Z"]
    );
    // Every ten minutes: all those of the hour that is left out are one, and 03:00 is the same.
    assert_eq!(
        ticks("*/20 * * * *", "Europe/Berlin", "2026-03-29T00:30:00Z", 3),
        ["2026-03-29T00:40:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:20:00Z"]
    );
}

#[test]
fn a_time_that_comes_twice_is_run_once_the_first_time() {
    assert_eq!(
        ticks("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2),
        ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]
    );
    assert_eq!(
        ticks("30 1 * * *", "America/New_York", "2026-10-31T12:00:00Z", 2),
        ["2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"]
    );
    assert_eq!(
        ticks("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T12:00:00Z", 2),
        ["2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"]
    );
    // From within the second time on.
    assert_eq!(ticks("30 2 * * *", "Europe/Berlin", "2026-10-25T01:10:00Z", 1), ["2026-10-26T01:30:00Z"]);
    assert_eq!(
        ticks("0 * * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", 2),
        ["2026-10-25T02:00:00Z", "2026-10-25T03:00:00Z"]
    );
}

#[test]
fn cron_means_what_people_mean() {
    assert_eq!(ticks("@hourly", "Etc/UTC", "2026-01-01T00:00:00Z", 1), ["2026-01-01T01:00:00Z"]);
    assert_eq!(ticks("@midnight", "Asia/Kolkata", "2026-01-01T00:00:00Z", 1), ["2026-01-01T18:30:00Z"]);
    assert_eq!(ticks(" 0  3 * * MON-fri ", "UTC", "2026-01-02T12:00:00Z", 1), ["2026-01-05T03:00:00Z"]);
    // A day of the month or a day of the week, where both are named.
    assert_eq!(
        ticks("0 0 13 * 5", "UTC", "2026-02-01T00:00:00Z", 3),
        ["2026-02-06T00:00:00Z", "2026-02-13T00:00:00Z", "2026-02-20T00:00:00Z"]
    );
    assert_eq!(ticks("0 0 29 2 *", "UTC", "2026-02-01T00:00:00Z", 1), ["2028-02-29T00:00:00Z"]);
    assert_eq!(ticks("0 0 L * *", "UTC", "2026-12-01T00:00:00Z", 1), ["2026-12-31T00:00:00Z"]);
    let ticks = Ticks::new("0 3 * * *", "Europe/Berlin").unwrap();
    assert_eq!(ticks.local(at("2026-03-29T01:00:00Z")), "2026-03-29 03:00 Europe/Berlin");
}

#[test]
fn what_is_wrong_says_where_and_what_would_be_right() {
    let said = |cron: &str, zone: &str| {
        let problems = Ticks::new(cron, zone).unwrap_err();
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(said("61 * * * *", "UTC"), "spec.schedule: expected minutes from 0 to 59, got \"61\" in \"61 * * * *\"");
    assert!(said("0 24 * * *", "UTC").contains("expected hours from 0 to 23, got \"24\""));
    assert!(said("0 0 * * * *", "UTC").contains("got 6 fields in"));
    assert!(said("@howrly", "UTC").ends_with("(did you mean @hourly?)"));
    assert!(said("CRON_TZ=UTC 0 0 * * *", "UTC").ends_with("(the zone stands in spec.timeZone)"));
    assert!(said("0 0 30 2 *", "UTC").contains("expected a day that exists in some year"));
    assert_eq!(
        said("* * * * *", "Europe/Belin"),
        "spec.timeZone: expected the name of a zone in the IANA database, such as Europe/Berlin or Etc/UTC, got \
         \"Europe/Belin\" (did you mean Europe/Berlin?)"
    );
    assert!(said("* * * * *", "berlin").ends_with("(did you mean Europe/Berlin?)"));
    assert_eq!(said("*/61 x * * *", "Nowhere/At_All_Ever").lines().count(), 2);
}

#[test]
fn many_ticks_are_counted_to_a_limit_and_the_last_is_found_all_the_same() {
    let (from, until) = (at("2020-01-01T00:00:00Z"), at("2026-05-05T05:05:30Z"));
    let due = |cron: &str| Ticks::new(cron, "UTC").unwrap().between(from, until);
    let minutely = Due { last: at("2026-05-05T05:05:00Z"), count: Due::MOST };
    assert_eq!(due("* * * * *"), Some(minutely));
    assert_eq!(due("* * * 1 *"), Some(Due { last: at("2026-01-31T23:59:00Z"), count: Due::MOST }));
    assert_eq!(due("0 0 5 5 *"), Some(Due { last: at("2026-05-05T00:00:00Z"), count: 7 }));
    let none = Ticks::new("0 0 * * *", "UTC").unwrap().between(at("2026-05-05T00:00:00Z"), until);
    assert_eq!(none, None);
}

/// A field of cron as text, and the values that it stands for.
fn field(least: u32, most: u32) -> impl Strategy<Value = (String, BTreeSet<u32>)> {
    let all = move || (least..=most).collect::<BTreeSet<u32>>();
    prop_oneof![
        2 => Just(("*".to_owned(), all())),
        1 => (1..=most).prop_map(move |step| (format!("*/{step}"), (least..=most).step_by(step as usize).collect())),
        2 => proptest::collection::btree_set(least..=most, 1..4).prop_map(|values| {
            (values.iter().map(ToString::to_string).collect::<Vec<_>>().join(","), values)
        }),
        1 => (least..=most, least..=most).prop_map(|(a, b)| (format!("{}-{}", a.min(b), a.max(b)), (a.min(b)..=a.max(b)).collect())),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Walks through every minute, and says by itself what each of them means.
    #[test]
    fn none_is_lost_and_none_comes_twice(
        (minutes, ms) in field(0, 59), (hours, hs) in field(0, 23), (days, ds) in field(1, 31),
        place in prop_oneof![
            Just(("Europe/Berlin", "2026-03-28T00:00:00Z")), Just(("Europe/Berlin", "2026-10-24T00:00:00Z")),
            Just(("America/New_York", "2026-03-07T00:00:00Z")), Just(("America/New_York", "2026-10-31T00:00:00Z")),
            Just(("Australia/Lord_Howe", "2026-04-04T00:00:00Z")), Just(("Australia/Lord_Howe", "2026-10-03T00:00:00Z")),
            Just(("Etc/UTC", "2026-02-27T00:00:00Z")),
        ],
    ) {
        let (zone, from) = (place.0, at(place.1));
        let until = from + SignedDuration::from_hours(60);
        let ticks = Ticks::new(&format!("{minutes} {hours} {days} * *"), zone).unwrap();
        let found: Vec<Timestamp> = std::iter::successors(ticks.after(from), |tick| ticks.after(*tick))
            .take_while(|tick| *tick <= until).collect();
        prop_assert!(found.windows(2).all(|pair| pair[0] < pair[1]));

        let zone = TimeZoneDatabase::bundled().get(zone).unwrap();
        let wanted = |wall: DateTime| {
            ms.contains(&(wall.minute() as u32)) && hs.contains(&(wall.hour() as u32)) && ds.contains(&(wall.day() as u32))
        };
        let (mut expected, mut shown) = (BTreeSet::new(), BTreeSet::new());
        let mut before = zone.to_datetime(from);
        shown.insert(before);
        let minute = SignedDuration::from_mins(1);
        let mut moment = from + minute;
        while moment <= until {
            let wall = zone.to_datetime(moment);
            // What the clock jumped over belongs to this moment, and what it showed before does not count again.
            let mut passed = before + minute;
            while passed <= wall {
                if shown.insert(passed) && wanted(passed) {
                    expected.insert(moment);
                }
                passed += minute;
            }
            (before, moment) = (wall, moment + minute);
        }
        prop_assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn reading_never_panics(cron in "\\PC{0,40}", zone in "\\PC{0,20}") {
        if let Ok(ticks) = Ticks::new(&cron, &zone) {
            let _ = ticks.after(at("2026-01-01T00:00:00Z"));
        }
    }

    #[test]
    fn reading_what_looks_like_cron_never_panics(cron in "[0-9*,/LW#?+A-Z@-]{1,6}( [0-9*,/LW#?+A-Z-]{1,6}){4}") {
        if let Ok(ticks) = Ticks::new(&cron, "Europe/Berlin") {
            let _ = ticks.after(at("2026-01-01T00:00:00Z"));
        }
    }
}

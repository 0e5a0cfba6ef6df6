//! The invariants of merging: numbers 4 and 5 of the design, and what a set refuses.

use proofload_api::Outcome;
use proofload_api::criterion::Ended;
use proofload_plan::{Scope, Segment};
use proofload_results::{ForeignSnapshot, Snapshot, SnapshotSet, Times, live};
use proptest::prelude::*;

use crate::fixtures::{Runner, SECOND, failed, ok, plan};

const RUNNERS: u32 = 3;

/// What runner `index` had measured at its snapshot number `sequence`: more with each.
fn measured(index: u32, sequence: u64) -> Snapshot {
    let latency = |n: u64| 1_000 * (1 + u64::from(index)) * (1 + n);
    let mut runner = Runner::new(index, RUNNERS).error("status 503", sequence).error(&format!("of {index}"), 1);
    for n in 0..sequence {
        let outcome = Outcome::ALL[(n as usize + index as usize) % Outcome::COUNT];
        runner = runner.add(0, 0, (n % 2) as usize, 1 + n, ok(latency(n))).add(1, 0, 0, 1, failed(outcome, None));
    }
    runner.snapshot.sequence = sequence;
    runner.snapshot()
}

fn sets() -> impl Strategy<Value = SnapshotSet> {
    proptest::collection::vec((0..RUNNERS, 0_u64..6), 0..6).prop_map(|snapshots| {
        let mut set = SnapshotSet::new(&plan(), RUNNERS);
        for (index, sequence) in snapshots {
            set.insert(measured(index, sequence)).unwrap();
        }
        set
    })
}

fn merged(a: &SnapshotSet, b: &SnapshotSet) -> SnapshotSet {
    let mut sum = a.clone();
    sum.merge(b).unwrap();
    sum
}

proptest! {
    // Each case is several runs: fewer of them find as much.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn merge_is_commutative_associative_idempotent(a in sets(), b in sets(), c in sets()) {
        prop_assert_eq!(merged(&a, &b), merged(&b, &a));
        prop_assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
        prop_assert_eq!(merged(&merged(&a, &b), &b), merged(&a, &b));
        prop_assert_eq!(merged(&a, &b).totals(&plan()), merged(&b, &a).totals(&plan()));
    }

    #[test]
    fn each_request_sent_is_counted_once_in_one_outcome(sequences in proptest::array::uniform3(0_u64..8)) {
        let mut set = SnapshotSet::new(&plan(), RUNNERS);
        let mut sent = 0;
        for (index, last) in (0..RUNNERS).zip(sequences) {
            // Late and repeated answers are counted once all the same.
            for sequence in [last, last / 2, last] {
                set.insert(measured(index, sequence)).unwrap();
            }
            sent += (0..last).map(|n| 2 + n).sum::<u64>();
        }
        let totals = set.totals(&plan());
        let all = totals.scope(Scope::Run);
        prop_assert_eq!(totals.requests(), sent);
        prop_assert_eq!(Outcome::ALL.into_iter().map(|outcome| all.count(outcome)).sum::<u64>(), sent);
        prop_assert_eq!(totals.timeline.iter().map(|bucket| bucket.requests).sum::<u64>(), sent);
        prop_assert_eq!(totals.runners.values().map(|runner| runner.requests).sum::<u64>(), sent);
        prop_assert_eq!(all.count(Outcome::Ok) + all.errors() + all.count(Outcome::Interrupted), sent);
    }

    #[test]
    fn percentiles_come_from_merged_histograms(
        samples in proptest::collection::vec(proptest::collection::vec(1_u64..10_000_000, 1..40), RUNNERS as usize),
    ) {
        let mut set = SnapshotSet::new(&plan(), RUNNERS);
        let mut truth = Times::new();
        for (index, samples) in (0..RUNNERS).zip(&samples) {
            let mut runner = Runner::new(index, RUNNERS);
            for micros in samples {
                runner = runner.add(0, 1, 1, 1, ok(*micros));
                truth.record(*micros);
            }
            set.insert(runner.snapshot()).unwrap();
        }
        let merged = set.totals(&plan()).scope(Scope::Steps(0, 1, 1)).latency(Ended::Answered);
        for percentile in [50.0, 90.0, 99.0, 99.9] {
            prop_assert_eq!(merged.percentile(percentile), truth.percentile(percentile));
        }
    }
}

#[test]
fn a_set_refuses_what_is_of_another_run_or_plan() {
    let mut set = SnapshotSet::new(&plan(), RUNNERS);
    let with = |change: fn(&mut Snapshot)| {
        let mut snapshot = measured(0, 1);
        change(&mut snapshot);
        snapshot
    };
    let refused = |set: &mut SnapshotSet, snapshot| set.insert(snapshot).unwrap_err().to_string();
    let run = refused(&mut set, with(|snapshot| snapshot.run = "shop/other".to_owned()));
    assert_eq!(run, "expected a snapshot of run \"shop/checkout\", got one of \"shop/other\"");
    let segment = refused(&mut set, with(|snapshot| snapshot.segment = Segment::new(0, 2)));
    assert_eq!(segment, "expected a snapshot of one of 3 runners, got one of share 0 of 2");
    let index = set.insert(with(|snapshot| snapshot.segment = Segment { index: 3, count: 3 }));
    assert!(matches!(index, Err(ForeignSnapshot::Segment { index: 3, .. })));
    let cells = refused(&mut set, with(|snapshot| snapshot.cells.truncate(2)));
    assert!(cells.starts_with("expected a snapshot with 5 cells, got 2"), "{cells}");
    assert!(set.insert(with(|snapshot| (snapshot.cells, snapshot.began) = (Vec::new(), None))).is_ok());
    assert!(!set.insert(measured(0, 1)).unwrap(), "the same number is no news");
    assert!(set.insert(measured(0, 2)).unwrap());
    assert!(!set.is_complete());
}

#[test]
fn a_snapshot_that_cannot_be_read_is_left_out_as_a_whole_and_named() {
    let mut damaged = measured(1, 3);
    // A histogram with other digits than a cell has, in the last place that is read.
    damaged.generator.lateness = damaged.timeline[5].latency.clone();
    let mut set = SnapshotSet::new(&plan(), RUNNERS);
    set.insert(measured(0, 3)).unwrap();
    set.insert(damaged).unwrap();
    let totals = set.totals(&plan());
    assert_eq!(totals.unreadable.keys().collect::<Vec<_>>(), [&1]);
    assert_eq!(totals.requests(), 2 + 3 + 4);
}

#[test]
fn errors_are_merged_by_what_they_say() {
    let mut set = SnapshotSet::new(&plan(), RUNNERS);
    set.insert(measured(0, 2)).unwrap();
    set.insert(measured(1, 5)).unwrap();
    let totals = set.totals(&plan());
    let said: Vec<_> = totals.errors.iter().map(|error| (error.message.as_str(), error.count)).collect();
    assert_eq!(said, [("status 503", 7), ("of 0", 1), ("of 1", 1)]);
}

#[test]
fn live_figures_are_of_the_interval_and_of_those_who_are_left() {
    let at = |index: u32, seconds: u64, requests: u64| {
        let mut runner =
            Runner::new(index, 2).add(0, 0, 0, requests, ok(14_000)).add(0, 0, 0, 1, failed(Outcome::Reset, None));
        runner.snapshot.sequence = seconds;
        runner.snapshot.generator.elapsed = seconds * SECOND;
        runner.snapshot.scenarios[0].users = 5;
        runner.snapshot()
    };
    let plan = plan();
    let mut set = SnapshotSet::new(&plan, 2);
    set.insert(at(0, 2, 100)).unwrap();
    set.insert(at(1, 2, 100)).unwrap();
    let earlier = live::Mark::of(&set);
    set.insert(at(0, 4, 300)).unwrap();
    let live = live::since(&earlier, &set, |_| false);
    assert_eq!((live.users, live.rps, live.p99.as_str(), live.errors.as_str()), (10, 100, "14ms", "0.5%"));
    assert_eq!(live::since(&earlier, &set, |runner| runner == 1).users, 5);
    let live = live::since(&live::Mark::default(), &SnapshotSet::new(&plan, 2), |_| false);
    assert_eq!((live.users, live.rps, live.p99.as_str(), live.errors.as_str()), (0, 0, "-", "-"));
}

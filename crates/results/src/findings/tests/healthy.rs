//! Nothing is found where nothing is wrong, whatever chance does.

use proptest::prelude::*;

use super::fixtures::{Seen, criterion, error, report_with_noise};
use crate::finding::FindingKind;
use crate::findings::findings;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_healthy_run_has_nothing_to_find_but_that_throughput_grew(
        noise in proptest::collection::vec(-0.15_f64..0.15, 97),
        users in 5_u32..50,
        rate in 20_f64..200.0,
        median in 1_f64..1_000.0,
        errors in prop_oneof![Just(0.0), Just(0.004)],
    ) {
        let level = |times: u32| Seen {
            held: Some(true),
            errors,
            ..Seen::well(users * times, 40, rate * f64::from(times), median)
        };
        let ramp = Seen { users: (0, users), held: Some(true), ..Seen::well(0, 20, rate / 2.0, median) };
        let stages = [ramp, level(1), level(2), level(4), level(8), level(1)];
        let mut run = report_with_noise(&[("shop", &stages), ("burst", &[level(10)])], &noise);
        run.criteria = vec![criterion("rate(errors) < 1%"), criterion("p95(latency) < 10s")];
        // An error here and there, the first of them not at once.
        run.errors = vec![error("get", "reset", "reset by the target", 30, 3)];
        let found = findings(&run);
        let is_growth = |kind: FindingKind, text: &str| {
            kind == FindingKind::Capacity && text.ends_with("the knee was not reached.")
        };
        prop_assert!(found.iter().all(|one| is_growth(one.kind, &one.text)), "{:?}", found);
    }

    #[test]
    fn no_report_makes_it_panic(
        stages in proptest::collection::vec(
            (0_u32..3, 0_u32..1_000_000, 0_u64..8, 0.0_f64..1e6, 0.0_f64..=1.0, 0.0_f64..1e9, any::<Option<bool>>()), 0..6,
        ),
        cut in 0_usize..20,
        width in 0_u64..3,
    ) {
        let seen = stages.iter().map(|&(from, to, seconds, rate, errors, median, held)| Seen {
            users: (if from == 0 { to } else { from }, to), seconds, rate, errors, median, held,
        });
        let seen: Vec<Seen> = seen.collect();
        let mut run = report_with_noise(&[("shop", &seen), ("burst", &seen)], &[]);
        run.criteria = vec![criterion("rate(errors) < 1%"), criterion("no criterion")];
        run.errors = vec![error("get", "reset", "reset", u64::MAX, 3), error("get", "reset", "reset", 50, u64::MAX / 10_000_000)];
        run.timeline.buckets.truncate(cut);
        run.timeline.width *= width;
        let found = findings(&run);
        prop_assert!(found.iter().all(|one| !one.text.contains("NaN") && !one.text.contains("inf")), "{:?}", found);
    }
}

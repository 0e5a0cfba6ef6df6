//! Searches for the highest load that holds.

use proofload_api::Micros;
use proofload_plan::{Level, Load, Plan};
use proofload_results::search::{answer, steps};
use proptest::prelude::*;

use crate::fleet::{Fault, Simulation};
use crate::plans::search;
use crate::story::{Outside, story};

fn found(plan: &Plan, simulation: &Simulation) -> Option<Level> {
    let Load::Search(search) = &plan.scenarios[0].load else { panic!("a plan that searches") };
    answer(search, &simulation.runners[0].levels[0])
}

/// Levels and whether each held: the same whenever they were judged.
fn walk(simulation: &Simulation) -> Vec<(Level, Option<bool>)> {
    let steps = steps(&simulation.runners[0].levels[0]);
    steps.iter().map(|step| (step.level, step.result.map(|result| result.held))).collect()
}

#[test]
fn transcript_of_a_search_for_forty_users() {
    let mut simulation = Simulation::new(search(), &[Fault::None, Fault::None]);
    let told = story(&mut simulation, &Outside::default());
    let expected = "\
0s begin [0] on [0, 1] together
1s level 1 of 4 users from 1304ms on [0, 1]
2s watch
9s level 2 of 8 users from 9304ms on [0, 1], the one before held
10s watch
17s level 3 of 16 users from 17304ms on [0, 1], the one before held
18s watch
25s level 4 of 32 users from 25304ms on [0, 1], the one before held
26s watch
33s level 5 of 64 users from 33304ms on [0, 1], the one before held
34s watch
41s level 6 of 48 users from 41304ms on [0, 1], the one before broke
42s watch
49s level 7 of 40 users from 49304ms on [0, 1], the one before broke
50s watch
57s level 8 of 44 users from 57304ms on [0, 1], the one before held
58s watch
65s level 9 of 42 users from 65304ms on [0, 1], the one before broke
66s watch
73s level 10 of 0 users from 73304ms on [0, 1], the one before broke
74s finish
";
    assert_eq!(told, expected);
    assert_eq!(found(&search(), &simulation), Some(Level::Users(40)));
}

#[test]
fn a_search_waits_for_a_silent_runner_and_goes_on_without_a_lost_one() {
    let faults = [Fault::None, Fault::Silent(Micros::from_secs(5), Micros::from_secs(9999))];
    let mut simulation = Simulation::new(search(), &faults);
    let told = story(&mut simulation, &Outside::default());
    assert!(told.contains("5s wait for a runner that does not answer\n25s level 2"), "{told}");
    assert_eq!(found(&search(), &simulation), Some(Level::Users(40)));
}

proptest! {
    // Each case is a whole run: fewer of them find as much.
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// A conductor that is killed between any two passes, or while it gives a command that only some runners hear, goes
    /// on in the step where the search was.
    #[test]
    fn a_search_with_a_conductor_that_is_killed_finds_the_same(
        capacity in 0_u32..600,
        kills in proptest::collection::vec((0_u64..120, 0_usize..4, 0_u64..4), 0..12),
    ) {
        let mut once = Simulation::new(search(), &[Fault::None; 3]);
        once.capacity = capacity;
        let mut again = once.clone();
        story(&mut once, &Outside::default());
        story(&mut again, &Outside { kills, ..Outside::default() });
        prop_assert_eq!(walk(&once), walk(&again));
        prop_assert_eq!(found(&once.plan, &once), found(&again.plan, &again));
        prop_assert!(again.runners.iter().all(|runner| runner.levels == again.runners[0].levels));
    }
}

//! Stories of runs that go well and of runs that do not.

use proofload_api::Micros;
use proptest::prelude::*;

use crate::fleet::{Fault, Simulation};
use crate::plans::{plan, search, with_setup_and_teardown};
use crate::story::{Outside, story};

fn told(afters: &[Option<usize>], faults: &[Fault]) -> String {
    story(&mut Simulation::new(plan(afters), faults), &Outside::default())
}

#[test]
fn transcript_of_a_healthy_run_of_two_scenarios() {
    let expected = "\
0s begin [0] on [0, 1] together
1s watch
10s begin [1] on [0, 1] together
11s watch
20s finish
";
    assert_eq!(told(&[None, Some(0)], &[Fault::None, Fault::None]), expected);
}

#[test]
fn transcript_of_a_runner_that_dies() {
    let faults = [Fault::None, Fault::Dies(Micros::from_secs(4)), Fault::None];
    let expected = "\
0s begin [0] on [0, 1, 2] together
1s watch
10s finish, lost 1: OOMKilled, exit code 137
";
    assert_eq!(told(&[None], &faults), expected);
    let abort =
        story(&mut Simulation::new(plan(&[None]), &faults), &Outside { abort_on_loss: true, ..Outside::default() });
    assert!(abort.contains("4s stop [0, 2]: runner 1 was lost"), "{abort}");
    assert!(abort.contains("5s finish, lost 1"), "{abort}");
}

#[test]
fn transcript_of_a_run_that_loses_every_runner() {
    let faults = [Fault::Dies(Micros::from_secs(4)), Fault::Dies(Micros::from_secs(4))];
    let expected = "\
0s begin [0] on [0, 1] together
1s watch
4s finish, lost 0: OOMKilled, exit code 137, lost 1: OOMKilled, exit code 137
";
    assert_eq!(told(&[None], &faults), expected);
}

#[test]
fn transcript_of_a_runner_that_is_told_to_end() {
    let faults = [Fault::Terminated(Micros::from_secs(3)), Fault::None];
    let expected = "\
0s begin [0] on [0, 1] together
1s watch
10s finish, lost 0: its pod was told to end
";
    assert_eq!(told(&[None], &faults), expected);
}

#[test]
fn transcript_of_runners_that_never_get_ready() {
    let expected = "\
0s wait for 2 of 3 runners: 2x ImagePullBackOff: no such image
120s give up: 1 of 3 runners were ready within 2m: 2x ImagePullBackOff: no such image
";
    assert_eq!(told(&[None], &[Fault::None, Fault::NeverReady, Fault::NeverReady]), expected);
}

#[test]
fn transcript_of_a_runner_that_missed_the_begin() {
    let expected = "\
0s begin [0] on [0, 1] together
1s begin [0] on [1] at once
2s watch
11s finish
";
    assert_eq!(told(&[None], &[Fault::None, Fault::MissesBegin]), expected);
}

#[test]
fn transcript_of_a_runner_that_is_out_of_reach_and_comes_back() {
    let back = [Fault::None, Fault::Silent(Micros::from_secs(5), Micros::from_secs(9))];
    let expected = "\
0s begin [0] on [0, 1] together
1s watch
5s wait for a runner that does not answer
14s finish
";
    assert_eq!(told(&[None], &back), expected);
    let never = [Fault::None, Fault::Silent(Micros::from_secs(5), Micros::from_secs(9999))];
    assert!(told(&[None], &never).contains("25s finish, lost 1: it has not answered for 20s"));
}

#[test]
fn a_follower_waits_for_a_silent_runner_and_begins_without_a_lost_one() {
    let faults = [Fault::None, Fault::Silent(Micros::from_secs(5), Micros::from_secs(9999))];
    let told = told(&[None, Some(0)], &faults);
    assert!(told.contains("5s wait for a runner that does not answer\n25s begin [1] on [0] together"), "{told}");
}

#[test]
fn a_run_that_hangs_is_stopped_and_given_up() {
    let told = told(&[None], &[Fault::None, Fault::Hangs]);
    assert!(told.contains("stop [1]: the run took longer than the 1m15s that its plan can take"), "{told}");
    assert!(told.contains("finish, lost 1: it did not stop"), "{told}");
}

#[test]
fn a_person_can_stop_a_run_before_and_after_its_begin() {
    let outside = Outside { stop_at: Some(Micros::from_secs(3)), ..Outside::default() };
    let late = story(&mut Simulation::new(plan(&[None]), &[Fault::None]), &outside);
    assert!(late.ends_with("3s stop [0]: a person said so\n4s finish, stopped: a person said so\n"), "{late}");
    let early = story(&mut Simulation::new(plan(&[None]), &[Fault::NeverReady]), &outside);
    assert!(early.ends_with("3s give up: a person said so\n"), "{early}");
}

fn faults() -> impl Strategy<Value = Fault> {
    let seconds = || (0_u64..60).prop_map(Micros::from_secs);
    prop_oneof![
        4 => Just(Fault::None),
        1 => Just(Fault::NeverReady),
        1 => seconds().prop_map(Fault::Dies),
        1 => seconds().prop_map(Fault::Terminated),
        1 => (seconds(), seconds()).prop_map(|(from, lasting)| Fault::Silent(from, lasting)),
        1 => Just(Fault::MissesBegin),
        1 => Just(Fault::Hangs),
    ]
}

fn plans() -> impl Strategy<Value = proofload_plan::Plan> {
    let afters = prop_oneof![Just(vec![None]), Just(vec![None, Some(0)]), Just(vec![None, None, Some(1)])];
    (afters, any::<bool>(), any::<bool>()).prop_map(|(afters, is_search, is_framed)| {
        let plan = if is_search { search() } else { plan(&afters) };
        if is_framed { with_setup_and_teardown(plan) } else { plan }
    })
}

proptest! {
    // Each case is a whole run: fewer of them find as much.
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Invariant 1: every run ends, within its deadlines and two minutes, whatever happens to its runners.
    #[test]
    fn every_run_ends(
        faults in proptest::collection::vec(faults(), 1..6),
        abort_on_loss in any::<bool>(),
        stop_at in proptest::option::of(0_u64..100),
        kills in proptest::collection::vec((0_u64..100, 0_usize..3, 0_u64..20), 0..3),
        plan in plans(),
        setup_fails in proptest::bool::weighted(0.2),
    ) {
        let mut simulation = Simulation::new(plan, &faults);
        simulation.setup_fails = setup_fails;
        let longest = simulation.plan.longest();
        let stop_at = stop_at.map(Micros::from_secs);
        let told = story(&mut simulation, &Outside { abort_on_loss, stop_at, kills, ..Outside::default() });
        prop_assert!(simulation.now <= Micros::from_secs(120) + longest + Micros::from_secs(200), "{}", told);
    }

    /// Invariant 8: a conductor that forgets everything between two passes decides the same.
    #[test]
    fn a_decision_depends_on_nothing_but_what_is_seen(
        faults in proptest::collection::vec(faults(), 1..6),
        kills in proptest::collection::vec((0_u64..60, Just(usize::MAX), Just(0)), 0..9),
        plan in plans(),
    ) {
        let mut once = Simulation::new(plan, &faults);
        let mut again = once.clone();
        let forgetful = Outside { kills, ..Outside::default() };
        prop_assert_eq!(story(&mut once, &Outside::default()), story(&mut again, &forgetful));
    }
}

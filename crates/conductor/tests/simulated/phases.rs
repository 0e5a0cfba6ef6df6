//! Setup, load, teardown; live changes.

use proofload_api::Micros;
use proofload_plan::Level;

use crate::fleet::{Fault, Simulation};
use crate::plans::{plan, with_setup_and_teardown};
use crate::story::{Outside, story};

fn framed(afters: &[Option<usize>], faults: &[Fault]) -> Simulation {
    Simulation::new(with_setup_and_teardown(plan(afters)), faults)
}

fn told(simulation: &mut Simulation) -> String {
    story(simulation, &Outside::default())
}

#[test]
fn transcript_of_setup_then_load_then_teardown() {
    let mut simulation = framed(&[None, Some(0)], &[Fault::None, Fault::None]);
    let expected = "\
0s begin [2] on [0, 1] together
1s begin [0] on [0, 1] together, with what setup extracted
2s watch
11s begin [1] on [0, 1] together, with what setup extracted
12s watch
21s begin [3] on [0, 1] at once, with what setup extracted
22s finish
";
    assert_eq!(told(&mut simulation), expected);
    let knows = |runner: &crate::fleet::Runner| runner.variables == [(0, "canary".to_owned())];
    assert!(simulation.runners.iter().all(knows), "every runner has what setup extracted");
}

#[test]
fn transcript_of_a_setup_that_fails() {
    let mut simulation = framed(&[None], &[Fault::None, Fault::None]);
    simulation.setup_fails = true;
    let expected = "\
0s begin [1] on [0, 1] together
1s stop [0, 1]: setup failed: the outcome of step get was unexpected-status
2s begin [2] on [0, 1] at once
3s finish, stopped: setup failed: the outcome of step get was unexpected-status
";
    assert_eq!(told(&mut simulation), expected);
}

#[test]
fn transcript_of_a_stop_with_its_teardown() {
    let outside = Outside { stop_at: Some(Micros::from_secs(5)), ..Outside::default() };
    let told = story(&mut framed(&[None], &[Fault::None, Fault::None]), &outside);
    let expected = "\
0s begin [1] on [0, 1] together
1s begin [0] on [0, 1] together, with what setup extracted
2s watch
5s stop [0, 1]: a person said so
6s begin [2] on [0, 1] at once, with what setup extracted
7s finish, stopped: a person said so
";
    assert_eq!(told, expected);
}

#[test]
fn a_stop_during_setup_begins_no_load_and_has_the_teardown_done() {
    let outside = Outside { stop_at: Some(Micros::from_secs(1)), ..Outside::default() };
    let told = story(&mut framed(&[None], &[Fault::None, Fault::None]), &outside);
    let expected = "\
0s begin [1] on [0, 1] together
1s stop [0, 1]: a person said so
2s begin [2] on [0, 1] at once, with what setup extracted
3s finish, stopped: a person said so
";
    assert_eq!(told, expected);
}

#[test]
fn an_abort_that_only_one_runner_heard_of_is_gone_through_with_and_remembered() {
    let outside = Outside { abort_at: Some(Micros::from_secs(5)), kills: vec![(5, 1, 2)], ..Outside::default() };
    let told = story(&mut framed(&[None], &[Fault::None; 3]), &outside);
    let expected = "\
5s stop [0, 1, 2]: rate(errors) < 1% did not hold
8s stop [1, 2]: rate(errors) < 1% did not hold
9s begin [2] on [0, 1, 2] at once, with what setup extracted
10s finish, aborted: rate(errors) < 1% did not hold
";
    assert!(told.ends_with(expected), "{told}");
}

#[test]
fn transcripts_of_a_runner_that_is_lost_in_each_phase() {
    let of = |index: usize, second: f64| {
        let mut faults = [Fault::None; 2];
        faults[index] = Fault::Dies(Micros((second * 1e6) as u64));
        told(&mut framed(&[None], &faults))
    };
    let died = "OOMKilled, exit code 137";
    // The runner of the setup, during it: no load begins.
    let expected = format!(
        "0s begin [1] on [0, 1] together\n\
         1s stop [1]: setup failed: runner 0 was lost ({died})\n\
         2s begin [2] on [1] at once\n\
         3s finish, lost 0: {died}, stopped: setup failed: runner 0 was lost ({died})\n"
    );
    assert_eq!(of(0, 0.5), expected);
    // Another runner, during the setup: the others go on.
    let expected = format!(
        "0s begin [1] on [0, 1] together\n\
         1s begin [0] on [0] together, with what setup extracted\n\
         2s watch\n\
         11s begin [2] on [0] at once, with what setup extracted\n\
         12s finish, lost 1: {died}\n"
    );
    assert_eq!(of(1, 0.5), expected);
    // The runner of the teardown, during the load: the others end with its begin.
    let expected = format!(
        "0s begin [1] on [0, 1] together\n\
         1s begin [0] on [0, 1] together, with what setup extracted\n\
         2s watch\n\
         11s begin [2] on [1] at once, with what setup extracted\n\
         12s finish, lost 0: {died}\n"
    );
    assert_eq!(of(0, 5.0), expected);
    // The runner of the teardown, during it.
    assert!(of(0, 11.5).ends_with(&format!("12s finish, lost 0: {died}\n")), "{}", of(0, 11.5));
}

#[test]
fn a_silent_runner_is_waited_for_before_load_and_before_teardown() {
    let silent = |from, lasting| [Fault::None, Fault::Silent(Micros::from_secs(from), Micros::from_secs(lasting))];
    let before_load = told(&mut framed(&[None], &silent(1, 5)));
    assert!(before_load.contains("1s wait for a runner that does not answer\n6s begin [0] on [0, 1]"), "{before_load}");
    let before_teardown = told(&mut framed(&[None], &silent(5, 9)));
    assert!(before_teardown.contains("5s wait for a runner that does not answer\n14s begin [2]"), "{before_teardown}");
}

#[test]
fn a_change_of_load_is_recorded_once() {
    let users = |second, users| (Micros::from_secs(second), Level::Users(users));
    let outside = Outside { scale: vec![users(2, 9), users(4, 12), users(6, 9)], ..Outside::default() };
    let mut simulation = Simulation::new(plan(&[None]), &[Fault::None, Fault::None]);
    let told = story(&mut simulation, &outside);
    let expected = "\
0s begin [0] on [0, 1] together
1s watch
2s level 1 of 9 users from 2304ms on [0, 1]
3s watch
4s level 2 of 12 users from 4304ms on [0, 1]
5s watch
6s level 3 of 9 users from 6304ms on [0, 1]
7s watch
10s finish
";
    assert_eq!(told, expected);
    // A level of another kind than the load model's is not taken up.
    let rate = Level::Rate(proofload_api::units::Rate::per_second(5));
    let outside = Outside { scale: vec![(Micros::ZERO, rate)], ..Outside::default() };
    assert!(!story(&mut Simulation::new(plan(&[None]), &[Fault::None]), &outside).contains("level"));
}

#[test]
fn a_runner_that_missed_a_level_is_brought_up_to_date() {
    let users = |second, users| (Micros::from_secs(second), Level::Users(users));
    let outside = Outside { scale: vec![users(2, 9)], kills: vec![(2, 1, 2)], ..Outside::default() };
    let mut simulation = Simulation::new(plan(&[None]), &[Fault::None, Fault::None]);
    let told = story(&mut simulation, &outside);
    assert!(told.contains("5s level 1 of 9 users from 2304ms on [1]\n6s watch\n"), "{told}");
    assert_eq!(simulation.runners[0].levels, simulation.runners[1].levels);
}

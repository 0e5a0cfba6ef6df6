//! A simulated fleet in simulated time, with faults from a seed: every run ends, and its transcript is a story.
#![allow(clippy::unwrap_used)] // in helpers of tests too

use std::fmt::Write as _;

use proofload_api::Micros;
use proofload_api::loadtest::OnLost;
use proofload_conductor::{Action, Begin, Conditions, Fleet, RunnerView, pass};
use proofload_plan::{Connections, Load, PLAN_VERSION, Plan, Scenario, Segment, Span, Target, UserCurve};
use proofload_results::{EndCause, GeneratorRecord, RunnerState, ScenarioProgress, Snapshot};
use proptest::prelude::*;

fn plan(afters: &[Option<usize>]) -> Plan {
    let scenario = |(i, after): (usize, &Option<usize>)| Scenario {
        name: format!("s{i}"),
        after: *after,
        load: Load::Users(UserCurve::new(vec![Span {
            name: "1".into(),
            from: 6,
            to: 6,
            duration: Micros::from_secs(10),
        }])),
        think_time: None,
        flow: proofload_api::scenario::Flow::Sequence,
        steps: Vec::new(),
    };
    Plan {
        version: PLAN_VERSION,
        run: "simulated".into(),
        seed: 1,
        target: Target {
            host: "t".into(),
            port: 80,
            authority: "t".into(),
            timeout: Micros::from_secs(5),
            connections: Connections::PerUser(1),
        },
        scenarios: afters.iter().enumerate().map(scenario).collect(),
        heartbeat_timeout: Micros::from_secs(120),
        timeline_width: Micros::from_secs(1),
    }
}

/// What goes wrong with a runner, and when.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    None,
    NeverReady,
    /// Killed at a time: gone for good.
    Dies(Micros),
    /// Told to end at a time: its last snapshot is still there.
    Terminated(Micros),
    /// Does not answer from a time on, for so long; works on meanwhile.
    Silent(Micros, Micros),
    /// Does not hear the first begin.
    MissesBegin,
    /// Never gets to its end by itself.
    Hangs,
}

#[derive(Clone)]
struct Runner {
    fault: Fault,
    begun: Vec<Option<Micros>>,
    stopped: Option<Micros>,
    missed: bool,
}

#[derive(Clone)]
struct Simulation {
    plan: Plan,
    now: Micros,
    runners: Vec<Runner>,
}

impl Simulation {
    fn new(plan: Plan, faults: &[Fault]) -> Self {
        let runner = |fault: &Fault| Runner {
            fault: *fault,
            begun: vec![None; plan.scenarios.len()],
            stopped: None,
            missed: false,
        };
        Self { runners: faults.iter().map(runner).collect(), plan, now: Micros::ZERO }
    }

    fn end_of(&self, runner: &Runner, scenario: usize) -> Option<Micros> {
        let natural = runner.begun[scenario]? + self.plan.scenarios[scenario].load.duration();
        let natural = if runner.fault == Fault::Hangs { Micros(u64::MAX) } else { natural };
        Some(runner.stopped.map_or(natural, |stopped| natural.min(stopped)))
    }

    fn snapshot(&self, index: usize, runner: &Runner) -> Snapshot {
        let began = runner.begun.iter().flatten().min().copied();
        let scenarios = (0..runner.begun.len()).map(|i| ScenarioProgress {
            began: runner.begun[i].map(|at| at.0),
            ended: self.end_of(runner, i).filter(|end| *end <= self.now).map(|at| at.0),
            ..ScenarioProgress::default()
        });
        let scenarios: Vec<_> = scenarios.collect();
        let ended = scenarios.iter().all(|scenario| scenario.ended.is_some());
        let state = match (began, runner.stopped) {
            (_, Some(at)) if at <= self.now => match runner.fault {
                Fault::Terminated(_) => RunnerState::Ended(EndCause::Terminated),
                _ => RunnerState::Ended(EndCause::Stopped),
            },
            (None, _) => RunnerState::Waiting,
            _ if ended => RunnerState::Ended(EndCause::Completed),
            _ => RunnerState::Running,
        };
        Snapshot {
            run: self.plan.run.clone(),
            segment: Segment::new(index as u32, self.runners.len() as u32),
            sequence: self.now.0,
            state,
            clock: self.now.0,
            began: began.map(|at| at.0),
            scenarios,
            cells: Vec::new(),
            timeline: Vec::new(),
            errors: Vec::new(),
            generator: GeneratorRecord::default(),
        }
    }
}

impl Fleet for Simulation {
    async fn observe(&mut self) -> Vec<RunnerView> {
        let now = self.now;
        for runner in &mut self.runners {
            if let Fault::Terminated(at) = runner.fault
                && now >= at
                && runner.begun.iter().any(Option::is_some)
            {
                runner.stopped.get_or_insert(at);
            }
        }
        let view = |(index, runner): (usize, &Runner)| match runner.fault {
            Fault::NeverReady => RunnerView::Pending { reason: Some("ImagePullBackOff: no such image".into()) },
            Fault::Dies(at) if now >= at => RunnerView::Gone { reason: "OOMKilled, exit code 137".into() },
            Fault::Silent(from, lasting) if now >= from && now < from + lasting => {
                RunnerView::Silent { lasting: now - from }
            }
            _ => RunnerView::Present { snapshot: Box::new(self.snapshot(index, runner)), began_at: None },
        };
        self.runners.iter().enumerate().map(view).collect()
    }

    async fn begin(&mut self, begin: &Begin) {
        for index in &begin.runners {
            let runner = &mut self.runners[*index as usize];
            if runner.fault == Fault::MissesBegin && !runner.missed {
                runner.missed = true;
                continue;
            }
            for scenario in &begin.scenarios {
                runner.begun[*scenario].get_or_insert(self.now);
            }
        }
    }

    async fn stop(&mut self, runners: &[u32]) {
        for index in runners {
            let runner = &mut self.runners[*index as usize];
            if runner.fault != Fault::Hangs {
                runner.stopped.get_or_insert(self.now);
            }
        }
    }
}

/// Runs to the end, a pass a second. Returns the story, one line for each pass that did or said something new.
fn story(simulation: &mut Simulation, on_lost: OnLost, stop_at: Option<Micros>) -> String {
    let plan = simulation.plan.clone();
    let (mut told, mut last) = (String::new(), String::new());
    for second in 0..3600 {
        simulation.now = Micros::from_secs(second);
        let stop = stop_at.filter(|at| simulation.now >= *at).map(|_| "a person said so".to_owned());
        let conditions = Conditions {
            plan: &plan,
            begun: simulation.runners.iter().any(|runner| runner.begun.iter().any(Option::is_some)),
            waited: simulation.now,
            start_deadline: Micros::from_secs(120),
            lost_after: Micros::from_secs(20),
            on_lost,
            stop,
        };
        let (_, decision) = futures::executor::block_on(pass(simulation, &conditions));
        let line = match &decision.action {
            Action::Wait if decision.waiting_for.is_empty() => "watch".to_owned(),
            Action::Wait => format!("wait for {}", decision.waiting_for),
            Action::Begin(begins) => {
                let begins = begins.iter().map(|begin| {
                    let how = if begin.together { "together" } else { "at once" };
                    format!("begin {:?} on {:?} {how}", begin.scenarios, begin.runners)
                });
                begins.collect::<Vec<_>>().join(", ")
            }
            Action::Stop { runners, reason } => format!("stop {runners:?}: {reason}"),
            Action::GiveUp { reason, .. } => format!("give up: {reason}"),
            Action::Finish(ending) => {
                let missing = ending.lost.iter().map(|runner| format!(", lost {}: {}", runner.index, runner.reason));
                let stopped = ending.stopped.iter().map(|why| format!(", stopped: {why}"));
                format!("finish{}{}", missing.collect::<String>(), stopped.collect::<String>())
            }
        };
        if line != last {
            writeln!(told, "{second}s {line}").unwrap();
            last = line;
        }
        if matches!(decision.action, Action::Finish(_) | Action::GiveUp { .. }) {
            return told;
        }
    }
    panic!("the run did not end:\n{told}");
}

fn told(afters: &[Option<usize>], faults: &[Fault]) -> String {
    story(&mut Simulation::new(plan(afters), faults), OnLost::Inconclusive, None)
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
    let abort = story(&mut Simulation::new(plan(&[None]), &faults), OnLost::Abort, None);
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
    let late =
        story(&mut Simulation::new(plan(&[None]), &[Fault::None]), OnLost::Inconclusive, Some(Micros::from_secs(3)));
    assert!(late.ends_with("3s stop [0]: a person said so\n4s finish, stopped: a person said so\n"), "{late}");
    let faults = [Fault::NeverReady];
    let early = story(&mut Simulation::new(plan(&[None]), &faults), OnLost::Inconclusive, Some(Micros::from_secs(3)));
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

proptest! {
    /// Invariant 1: every run ends, within its deadlines and two minutes, whatever happens to its runners.
    #[test]
    fn every_run_ends(
        faults in proptest::collection::vec(faults(), 1..6),
        abort in any::<bool>(),
        stop_at in proptest::option::of(0_u64..100),
        afters in prop_oneof![Just(vec![None]), Just(vec![None, Some(0)]), Just(vec![None, None, Some(1)])],
    ) {
        let on_lost = if abort { OnLost::Abort } else { OnLost::Inconclusive };
        let mut simulation = Simulation::new(plan(&afters), &faults);
        let longest = simulation.plan.longest();
        let told = story(&mut simulation, on_lost, stop_at.map(Micros::from_secs));
        prop_assert!(simulation.now <= Micros::from_secs(120) + longest + Micros::from_secs(120), "{}", told);
    }

    /// Invariant 8: a conductor that forgets everything between two passes decides the same.
    #[test]
    fn a_decision_depends_on_nothing_but_what_is_seen(faults in proptest::collection::vec(faults(), 1..6)) {
        let mut once = Simulation::new(plan(&[None, Some(0)]), &faults);
        let mut again = once.clone();
        prop_assert_eq!(story(&mut once, OnLost::Inconclusive, None), story(&mut again, OnLost::Inconclusive, None));
    }
}

//! What is shown while a run is under way: a bar on a terminal, a plain line now and then elsewhere.

use std::collections::BTreeSet;
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use proofload_api::Micros;
use proofload_api::status::LiveStatus;
use proofload_plan::Plan;
use proofload_results::live::{self, Mark};
use proofload_results::{SnapshotSet, StrainKind, phase};

/// Between two lines where there is no terminal.
const LINE: Duration = Duration::from_secs(10);
/// Over how long a rate is measured.
const INTERVAL: Duration = Duration::from_secs(1);

/// Shows how far a run is, on standard error.
pub(super) struct Progress {
    plan: Plan,
    output: Output,
    shown: Instant,
    earlier: Mark,
    /// Of what was warned, so that it is once.
    warned: BTreeSet<(StrainKind, u32)>,
}

enum Output {
    Nothing,
    Bar(ProgressBar),
    Lines { next: Instant },
}

impl Progress {
    pub(super) fn new(plan: &Plan, is_quiet: bool) -> Self {
        let output = if is_quiet {
            Output::Nothing
        } else if io::stderr().is_terminal() {
            Output::Bar(bar(plan))
        } else {
            Output::Lines { next: Instant::now() + LINE }
        };
        Self { plan: plan.clone(), output, shown: Instant::now(), earlier: Mark::default(), warned: BTreeSet::new() }
    }

    /// Says at once what the generator has too little of, but of each kind and runner only once.
    fn warn(&mut self, snapshots: &SnapshotSet) {
        for strain in live::warnings(snapshots.runners(), snapshots.iter()) {
            if !self.warned.insert((strain.kind, strain.runner)) {
                continue;
            }
            match &self.output {
                Output::Nothing => {}
                Output::Bar(bar) => bar.suspend(|| eprintln!("warning: {}", strain.text)),
                Output::Lines { .. } => eprintln!("warning: {}", strain.text),
            }
        }
    }

    /// Shows the latest figures, where it is time to.
    pub(super) fn show(&mut self, snapshots: &SnapshotSet) {
        self.warn(snapshots);
        let now = Instant::now();
        if matches!(self.output, Output::Nothing) || now.duration_since(self.shown) < INTERVAL {
            return;
        }
        // An engine of this process is never lost.
        let live = live::since(&self.earlier, snapshots, |_| false);
        let lasted = snapshots.iter().filter_map(|snapshot| Some(snapshot.clock.saturating_sub(snapshot.began?)));
        let elapsed = Micros(lasted.max().unwrap_or(0));
        match &mut self.output {
            Output::Nothing => {}
            Output::Bar(bar) => {
                bar.set_message(format!("{}  {}", so_far(elapsed, &self.plan), figures(&self.plan, &live, snapshots)));
                bar.set_position(elapsed.0.min(bar.length().unwrap_or(u64::MAX)));
            }
            Output::Lines { next } if now < *next => return,
            Output::Lines { next } => {
                *next = now + LINE;
                eprintln!("{}: {}", so_far(elapsed, &self.plan), figures(&self.plan, &live, snapshots));
            }
        }
        self.shown = now;
        self.earlier = Mark::of(snapshots);
    }

    /// Says what is done once the load is over.
    pub(super) fn say(&mut self, words: &str) {
        match &self.output {
            Output::Nothing => {}
            Output::Bar(bar) => bar.set_message(words.to_owned()),
            Output::Lines { .. } => eprintln!("{words}"),
        }
    }

    /// Takes the bar away: the report follows.
    pub(super) fn finish(self) {
        if let Output::Bar(bar) = self.output {
            bar.finish_and_clear();
        }
    }
}

/// What the run is doing, and how it looks.
fn figures(plan: &Plan, live: &LiveStatus, snapshots: &SnapshotSet) -> String {
    let phase = phase(plan, snapshots.iter()).map(|phase| format!("{phase}  ")).unwrap_or_default();
    let progress = snapshots.iter().flat_map(|snapshot| &snapshot.scenarios);
    let dropped = match progress.map(|scenario| scenario.dropped).fold(0, u64::saturating_add) {
        0 => String::new(),
        dropped => format!("  dropped {dropped}"),
    };
    format!("{phase}{} users  {}/s  p99 {}  errors {}{dropped}", live.users, live.rps, live.p99, live.errors)
}

/// `12s of 1m`, in whole seconds.
fn so_far(elapsed: Micros, plan: &Plan) -> String {
    let seconds = |time: Micros| Micros(time.0 / 1_000_000 * 1_000_000);
    format!("{} of {}", seconds(elapsed), seconds(plan.planned()))
}

fn bar(plan: &Plan) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {percent:>3}%  {msg}").expect("the template is valid");
    let bar = ProgressBar::new(plan.planned().0.max(1)).with_style(style);
    bar.set_message("starting");
    bar
}

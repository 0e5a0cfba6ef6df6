//! What follows from a plan as a whole: its parts, its users, its times.

use proofload_api::units::Micros;

use super::{Plan, Role, Scenario, Step};
use crate::layout::Layout;
use crate::segment::Segment;

/// Between the end of a scenario and the begin of its follower: a silent runner may have to be given up first, or the
/// operator to be started again.
const HANDOVER: Micros = Micros::from_secs(60);

impl Plan {
    /// Scenarios that are load, in the order of the spec: neither setup nor teardown.
    pub fn main(&self) -> &[Scenario] {
        let main = self.scenarios.iter().take_while(|scenario| scenario.role == Role::Main).count();
        &self.scenarios[..main]
    }

    /// The index of the scenario with this role, for setup and teardown.
    pub fn index_of(&self, role: Role) -> Option<usize> {
        self.scenarios.iter().position(|scenario| scenario.role == role)
    }

    /// Where each figure is kept.
    pub fn layout(&self) -> Layout {
        Layout::new(self)
    }

    /// Users of one segment that are ever at work, over all scenarios that are load.
    pub fn users_of(&self, segment: Segment) -> u32 {
        self.main().iter().map(|scenario| segment.share(scenario.load.users())).fold(0, u32::saturating_add)
    }

    /// The most users that can be at work at once, over all runners: those of scenarios that may overlap. Setup and
    /// teardown do not overlap with any, and are not load.
    pub fn peak_users(&self) -> u32 {
        // Chains of `after` do not overlap. A chain's peak is its largest scenario; chains run side by side.
        let scenarios = self.main();
        let mut peaks: Vec<u32> = scenarios.iter().map(|scenario| scenario.load.users()).collect();
        let is_followed = |i: usize| scenarios.iter().any(|s| s.after == Some(i));
        let mut claimed = vec![false; peaks.len()];
        let mut total = 0_u32;
        for leaf in (0..scenarios.len()).filter(|i| !is_followed(*i)) {
            // Where chains branch, the trunk is counted with the first branch only.
            let mut peak = 0;
            let mut at = Some(leaf);
            while let Some(i) = at.filter(|i| !claimed[*i]) {
                claimed[i] = true;
                peak = peak.max(std::mem::take(&mut peaks[i]));
                at = scenarios[i].after;
            }
            total = total.saturating_add(peak);
        }
        total
    }

    /// When no request can be under way any more, from the run's begin: setup, all load, teardown, and every wait
    /// between them.
    pub fn longest(&self) -> Micros {
        let load = (0..self.main().len())
            .map(|i| self.chain(i).map(|i| self.longest_of(&self.scenarios[i])).fold(Micros::ZERO, std::ops::Add::add));
        let once = [Role::Setup, Role::Teardown].into_iter().filter_map(|role| self.index_of(role));
        let once = once.map(|i| self.longest_of(&self.scenarios[i])).fold(Micros::ZERO, std::ops::Add::add);
        load.max().unwrap_or_default() + once
    }

    /// How long the load lasts where no more than one request of each scenario takes all of its time: for the timeline,
    /// whose last bucket takes what comes after.
    pub(crate) fn likely(&self) -> Micros {
        let one = |i: usize| {
            let scenario = &self.scenarios[i];
            scenario.at + scenario.load.duration() + scenario.graceful_stop + self.target.timeout + HANDOVER
        };
        let until = |i: usize| self.chain(i).map(one).fold(Micros::ZERO, std::ops::Add::add);
        (0..self.main().len()).map(until).max().unwrap_or_default()
    }

    /// How long the load is planned to last, were every follower to begin at once. For progress.
    pub fn planned(&self) -> Micros {
        let one = |i: usize| self.scenarios[i].at + self.scenarios[i].load.duration();
        let until = |i: usize| self.chain(i).map(one).fold(Micros::ZERO, std::ops::Add::add);
        (0..self.main().len()).map(until).max().unwrap_or_default()
    }

    /// From when a scenario may begin to when its last request has ended, and its follower begins.
    fn longest_of(&self, scenario: &Scenario) -> Micros {
        let longest = |steps: &[Step]| steps.iter().map(|step| step.longest(self.target.timeout)).collect::<Vec<_>>();
        // After the load: one step that is under way, then what each user does at its end.
        let last = longest(&scenario.steps).into_iter().max().unwrap_or(self.target.timeout);
        let stop = &scenario.steps[scenario.steps.len() - scenario.on_stop.min(scenario.steps.len())..];
        let stop = longest(stop).into_iter().fold(Micros::ZERO, std::ops::Add::add);
        let think = scenario.think_time.map_or(Micros::ZERO, |think| think.longest());
        let ending = last + stop + Micros(think.0.saturating_mul(scenario.on_stop as u64));
        scenario.at + scenario.load.duration() + scenario.graceful_stop + ending + HANDOVER
    }

    /// A scenario, the one before it, and so on. It ends even in a plan that was made wrong.
    fn chain(&self, scenario: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(scenario), |i| self.scenarios[*i].after).take(self.scenarios.len())
    }
}

//! What became of the runs: verdicts, failures in a row, the trend, and which finished runs are kept.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::runtime::events::EventType;
use proofload_api::schedule::{PastRun, Pause, RunCause};
use proofload_api::{LoadTestScheduleStatus, Verdict};

use super::{Deletion, Pass};
use crate::schedule::observe::RunSight;
use crate::schedule::report::reason;

/// The fewest runs that make a trend.
const FEWEST: usize = 3;
/// The longest reason of a pause that comes from a run, in characters.
const LONGEST_REASON: usize = 300;

impl Pass<'_> {
    /// Takes the runs that have a verdict now into the history.
    pub(super) fn record(&mut self) {
        let mut names = std::mem::take(&mut self.status.active);
        if self.status.observed_generation.is_none() {
            // The status is new, or was lost: all runs that are there are news.
            let others = self.world.runs.iter().map(|run| &run.name).filter(|name| !names.contains(name));
            names.extend(others.cloned().collect::<Vec<_>>());
        }
        let mut ended = Vec::new();
        for name in names {
            match self.world.run(&name) {
                Some(run) => match run.verdict {
                    Some(verdict) => ended.push((run, verdict)),
                    None => self.status.active.push(name),
                },
                // Somebody deleted it; the one that this process made a moment ago may not be in sight yet.
                None if self.world.made.as_ref() == Some(&name) && self.is_new(&name) => self.status.active.push(name),
                None => {}
            }
        }
        ended.sort_by_key(|(run, _)| (run.completed, run.due));
        for (run, verdict) in &ended {
            self.record_one(run, *verdict);
        }
        self.status.active_runs = u32::try_from(self.status.active.len()).unwrap_or(u32::MAX);
        if !ended.is_empty() {
            self.status.trend = trend(&self.status.history);
        }
    }

    /// Whether a run was only now found to be made.
    fn is_new(&self, name: &str) -> bool {
        let known = self.world.schedule.status.as_ref();
        known.and_then(|status| status.pending.as_ref()).is_some_and(|pending| pending.name == name)
    }

    fn record_one(&mut self, run: &RunSight, verdict: Verdict) {
        let status = &mut self.status;
        let cause = run.cause.unwrap_or(RunCause::Schedule);
        status.history.insert(0, past(run, verdict, cause, self.world.now));
        status.history.truncate(LoadTestScheduleStatus::MOST_RUNS);
        status.last_verdict = Some(verdict);
        if matches!(verdict, Verdict::Passed | Verdict::Unjudged) {
            status.failures_in_a_row = 0;
            if verdict == Verdict::Passed {
                status.last_passed = Some(run.name.clone());
            }
            if cause != RunCause::Schedule && status.paused.take().is_some() {
                let said = format!("{} was run on demand and ended as {verdict}: it pauses no longer", run.name);
                self.events.push((EventType::Normal, reason::RESUMED, said));
            }
            return;
        }
        status.failures_in_a_row += 1;
        let failures = status.failures_in_a_row;
        let is_enough = self.world.schedule.spec.pause_after.is_some_and(|most| failures >= most);
        if is_enough && status.paused.is_none() {
            let runs = if failures == 1 { "1 run".to_owned() } else { format!("{failures} runs in a row") };
            let why: String = run.message.chars().take(LONGEST_REASON).collect();
            let reason = format!("{runs} did not pass, the last was {} ({verdict}): {why}", run.name);
            let generation = self.world.schedule.metadata.generation.unwrap_or_default();
            self.events.push((EventType::Warning, reason::PAUSED, reason.clone()));
            status.paused = Some(Pause { since: Time(self.world.now), reason, generation });
        }
    }

    /// Deletes the finished runs that are too many of their kind: never one without a verdict, never the last that
    /// passed, none whose report is still on its way elsewhere, and none before its verdict is in the status that is stored.
    pub(super) fn keep(&mut self) {
        let stored = self.world.status();
        if stored.observed_generation.is_none() {
            return;
        }
        let is_news = |name: &String| {
            stored.active.contains(name) || stored.pending.as_ref().is_some_and(|pending| pending.name == *name)
        };
        let limits = self.world.schedule.spec.history;
        let kinds: [(u32, &[Verdict]); 3] = [
            (limits.passed, &[Verdict::Passed, Verdict::Unjudged]),
            (limits.failed, &[Verdict::Failed]),
            (limits.other, &[Verdict::Inconclusive, Verdict::Error]),
        ];
        for (most, verdicts) in kinds {
            let is_one = |run: &&RunSight| run.verdict.is_some_and(|verdict| verdicts.contains(&verdict));
            let mut runs: Vec<&RunSight> =
                self.world.runs.iter().filter(is_one).filter(|run| !run.is_leaving).collect();
            runs.sort_by_key(|run| std::cmp::Reverse((run.completed, run.due)));
            let others = runs.into_iter().skip(most as usize).filter(|run| {
                let is_last_passed = self.status.last_passed.as_ref() == Some(&run.name);
                !is_last_passed && !run.is_storing && !self.status.active.contains(&run.name) && !is_news(&run.name)
            });
            let deletions =
                others.map(|run| Deletion { name: run.name.clone(), uid: run.uid.clone(), with_load: false });
            self.delete.extend(deletions.collect::<Vec<_>>());
        }
    }
}

fn past(run: &RunSight, verdict: Verdict, cause: RunCause, now: k8s_openapi::jiff::Timestamp) -> PastRun {
    PastRun {
        name: run.name.clone(),
        verdict,
        cause,
        due: Time(run.due.or(run.completed).unwrap_or(now)),
        completion_time: run.completed.map(Time),
        rps: run.rps,
        p95: run.p95.clone(),
        errors: run.errors.clone(),
    }
}

/// How p95 went on over the runs that passed: from the first to the last that is remembered, and the slope of the line
/// that fits best, as a share of the mean.
fn trend(history: &[PastRun]) -> String {
    let passed = history.iter().rev().filter(|run| run.verdict == Verdict::Passed);
    let runs: Vec<(&str, f64)> = passed.filter_map(|run| Some((run.p95.as_str(), micros(&run.p95)?))).collect();
    let ([(first, _), .., (last, _)], true) = (&runs[..], runs.len() >= FEWEST) else { return String::new() };
    let count = runs.len() as f64;
    let (middle, mean) = ((count - 1.0) / 2.0, runs.iter().map(|(_, value)| value).sum::<f64>() / count);
    let away = |index: usize| index as f64 - middle;
    let product: f64 = runs.iter().enumerate().map(|(index, (_, value))| away(index) * (value - mean)).sum();
    let square: f64 = (0..runs.len()).map(|index| away(index).powi(2)).sum();
    let share = if mean > 0.0 { product / square / mean * 100.0 } else { 0.0 };
    format!("p95 {first} to {last} over {} runs ({share:+.1}% a run)", runs.len())
}

/// A time as status has it, such as `1.23s` or `1m40s`.
fn micros(text: &str) -> Option<f64> {
    let (mut rest, mut sum) = (text, None);
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let unit = &rest[number..];
        let end = unit.find(|c: char| c.is_ascii_digit()).unwrap_or(unit.len());
        let factor = match &unit[..end] {
            "us" => 1.0,
            "ms" => 1e3,
            "s" => 1e6,
            "m" => 60e6,
            "h" => 3600e6,
            "d" => 86_400e6,
            _ => return None,
        };
        sum = Some(sum.unwrap_or(0.0) + rest[..number].parse::<f64>().ok()? * factor);
        rest = &unit[end..];
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_status_are_read_back() {
        let read = ["180ms", "1.23s", "250us", "1m40s", "0us"].map(micros);
        assert_eq!(read, [Some(180e3), Some(1.23e6), Some(250.0), Some(100e6), Some(0.0)]);
        assert_eq!(["-", "", "12", "ms", "1.2.3s", "5x"].map(micros), [None; 6]);
    }

    #[test]
    fn a_trend_is_that_of_the_runs_that_passed_and_needs_three() {
        let run = |p95: &str, verdict| PastRun {
            name: "a".to_owned(),
            verdict,
            cause: RunCause::Schedule,
            due: Time(k8s_openapi::jiff::Timestamp::UNIX_EPOCH),
            completion_time: None,
            rps: 0,
            p95: p95.to_owned(),
            errors: String::new(),
        };
        let mut history =
            vec![run("220ms", Verdict::Passed), run("9s", Verdict::Failed), run("180ms", Verdict::Passed)];
        assert_eq!(trend(&history), "");
        history.insert(1, run("200ms", Verdict::Passed));
        assert_eq!(trend(&history), "p95 180ms to 220ms over 3 runs (+10.0% a run)");
    }
}

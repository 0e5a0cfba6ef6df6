//! `proofload scale`: another load for a scenario that is under way, on this machine or in a cluster.

mod cluster;
pub(crate) mod local;

use anyhow::{Context, bail};
use proofload_api::loadtest::Scale;
use proofload_api::units::Rate;
use proofload_plan::{Level, Plan, level_of};
use serde::{Deserialize, Serialize};

use crate::args::ScaleArgs;
use crate::exit::Exit;
use crate::screen;

/// What someone wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wanted {
    /// Of which scenario; of the only one, where none is named.
    scenario: Option<String>,
    users: Option<u32>,
    rate: Option<Rate>,
}

/// What becomes of `spec.scale`, and what there is to say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// The whole list.
    pub(crate) scale: Vec<Scale>,
    /// The scenario, by its index.
    pub(crate) scenario: usize,
    /// From what to what.
    pub(crate) said: String,
}

/// Changes the load of a run on this machine of that name, or else of the one in the cluster.
pub(crate) fn scale(args: &ScaleArgs) -> anyhow::Result<Exit> {
    let wanted = Wanted { scenario: args.scenario.clone(), users: args.to, rate: args.rate };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let said = runtime.block_on(async {
        let is_remote = args.cluster.is_given();
        let here = if is_remote { None } else { local::ask(&args.name, &wanted).await? };
        match here {
            Some(said) => anyhow::Ok(format!("{} on this machine: {said}", args.name)),
            None => cluster::patch(args, &wanted).await.with_context(|| {
                if is_remote { "in the cluster" } else { "no run of that name on this machine, and in the cluster" }
            }),
        }
    })?;
    screen::print(&(said + "\n"))
}

impl Wanted {
    /// What follows from this for a test with changes so far, or why nothing does.
    pub(crate) fn apply(&self, plan: &Plan, scale: &[Scale]) -> anyhow::Result<Change> {
        let scenario = match (&self.scenario, plan.main()) {
            (Some(name), _) => name.clone(),
            (None, [only]) => only.name.clone(),
            (None, several) => {
                let names: Vec<&str> = several.iter().map(|scenario| scenario.name.as_str()).collect();
                bail!("expected --scenario with one of {}, since the test has several scenarios", names.join(", "));
            }
        };
        let wanted = Scale { scenario, users: self.users, rate: self.rate };
        let (index, level) = level_of(&wanted, 0, plan).map_err(|problem| {
            let hint = problem.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
            let flag = match &problem.expected[..] {
                "users" => "--to with a number of users".to_owned(),
                "rate" => "--rate with a rate such as 500/s".to_owned(),
                other => other.to_owned(),
            };
            anyhow::anyhow!("scenario {}: expected {flag}, got {}{hint}", wanted.scenario, problem.came)
        })?;
        // Of several words on a scenario the last one counts.
        let before = scale.iter().rev().find(|known| known.scenario == wanted.scenario);
        let before = before.and_then(|known| level_of(known, 0, plan).ok()).map(|(_, level)| level);
        let said = said(&wanted.scenario, before, level);
        let others = scale.iter().filter(|known| known.scenario != wanted.scenario).cloned();
        let scale = others.chain([wanted.clone()]).collect();
        Ok(Change { scale, scenario: index, said })
    }
}

fn said(scenario: &str, before: Option<Level>, now: Level) -> String {
    match before {
        Some(before) if before == now => format!("scenario {scenario} stays at {now}"),
        Some(before) => format!("scenario {scenario} goes from {before} to {now}"),
        None => format!("scenario {scenario} goes from what its plan says to {now}"),
    }
}

#[cfg(test)]
mod tests {
    use proofload_plan::compile;
    use serde_json::json;

    use super::*;

    fn plan(names: &[&str]) -> Plan {
        let scenario = |name: &&str| {
            json!({"name": name, "users": {"stages": [{"to": 5, "hold": "1m"}]},
                   "steps": [{"name": "get", "request": {"path": "/"}}]})
        };
        let scenarios: Vec<_> = names.iter().map(scenario).collect();
        let spec = json!({"target": {"baseUrl": "http://t"}, "scenarios": scenarios});
        compile(&serde_json::from_value(spec).unwrap(), "test").unwrap().plan
    }

    fn to(users: u32, scenario: Option<&str>) -> Wanted {
        Wanted { scenario: scenario.map(str::to_owned), users: Some(users), rate: None }
    }

    #[test]
    fn the_last_word_on_a_scenario_replaces_those_before_and_leaves_the_others() {
        let plan = plan(&["browse", "buy"]);
        let first = to(7, Some("browse")).apply(&plan, &[]).unwrap();
        assert_eq!(first.said, "scenario browse goes from what its plan says to 7 users");
        let second = to(1, Some("buy")).apply(&plan, &first.scale).unwrap();
        let third = to(9, Some("browse")).apply(&plan, &second.scale).unwrap();
        assert_eq!((third.said.as_str(), third.scenario), ("scenario browse goes from 7 users to 9 users", 0));
        let told: Vec<_> = third.scale.iter().map(|scale| (scale.scenario.as_str(), scale.users)).collect();
        assert_eq!(told, [("buy", Some(1)), ("browse", Some(9))]);
    }

    #[test]
    fn a_change_that_makes_no_sense_is_refused_with_what_would() {
        let several = plan(&["browse", "buy"]);
        let refused = |plan: &Plan, wanted: &Wanted| wanted.apply(plan, &[]).unwrap_err().to_string();
        assert_eq!(
            refused(&several, &to(7, None)),
            "expected --scenario with one of browse, buy, since the test has several scenarios"
        );
        let text = refused(&several, &to(7, Some("brows")));
        assert!(text.contains("did you mean browse?"), "{text}");
        let one = plan(&["browse"]);
        assert_eq!(to(7, None).apply(&one, &[]).unwrap().scenario, 0);
        let rate = Wanted { scenario: None, users: None, rate: Some("5/s".parse().unwrap()) };
        let text = refused(&one, &rate);
        assert!(text.contains("expected --to with a number of users, got rate"), "{text}");
    }
}

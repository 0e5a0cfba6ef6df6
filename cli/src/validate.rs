//! `proofload validate`.

use proofload_api::Micros;

use crate::args::ValidateArgs;
use crate::exit::Exit;
use crate::file::{Loaded, load, shown};
use crate::screen;

/// Checks each file, says every problem to standard error and a line on each valid file to standard output.
pub(crate) fn validate(args: &ValidateArgs) -> anyhow::Result<Exit> {
    let mut exit = Exit::Passed;
    for path in &args.files {
        match load(path, None)? {
            Ok(loaded) => {
                screen::print(&format!("{}: valid: {}\n", shown(path), summary(&loaded)))?;
            }
            Err(invalid) => {
                eprint!("{}", invalid.0);
                exit = Exit::Invalid;
            }
        }
    }
    Ok(exit)
}

fn summary(loaded: &Loaded) -> String {
    let plan = &loaded.compiled.plan;
    let things = |count: usize, one: &str, many: &str| format!("{count} {}", if count == 1 { one } else { many });
    // To the second: what is planned is not more exact for people.
    let planned = Micros(plan.planned().0.next_multiple_of(1_000_000));
    format!(
        "{}, at most {} for {planned}, {}; in a cluster {} ({})",
        things(plan.scenarios.len(), "scenario", "scenarios"),
        things(plan.peak_users() as usize, "user", "users"),
        things(loaded.compiled.criteria.len(), "criterion", "criteria"),
        things(loaded.compiled.sizing.runners as usize, "runner", "runners"),
        loaded.compiled.sizing.reason,
    )
}

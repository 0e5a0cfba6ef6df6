//! `proofload validate`.

use proofload_api::{LoadTestSchedule, Micros};
use proofload_engine::Materials;

use crate::args::ValidateArgs;
use crate::baseline;
use crate::exit::Exit;
use crate::file::{Asked, Invalid, Loaded, load};
use crate::screen;
use crate::shelf::Directory;

/// Checks each file, says every problem to standard error and a line on each valid file to standard output.
pub(crate) fn validate(args: &ValidateArgs) -> anyhow::Result<Exit> {
    let mut exit = Exit::Passed;
    for path in &args.tests {
        let shelf = Directory::of(path, args.files.as_deref());
        match load(path, None, Asked::Named)?.and_then(|loaded| with_materials(loaded, &shelf)) {
            Ok(loaded) => {
                screen::print(&format!("{}: valid: {}\n", loaded.shown(), summary(&loaded)))?;
            }
            Err(invalid) => {
                eprint!("{}", invalid.0);
                exit = Exit::Invalid;
            }
        }
    }
    Ok(exit)
}

/// Checks what the requests are made of, as far as it is here, and says what is not.
fn with_materials(loaded: Loaded, shelf: &Directory) -> Result<Loaded, Invalid> {
    let (plan, notes) = shelf.without_what_is_elsewhere(&loaded.compiled.plan);
    for note in notes {
        eprintln!("{}: note: {note}", loaded.shown());
    }
    let mut problems = Materials::load(&plan, shelf).err().unwrap_or_default();
    match baseline::check(&loaded.test.spec, shelf) {
        Ok(note) => note.iter().for_each(|note| eprintln!("{}: note: {note}", loaded.shown())),
        Err(problem) => problems.push(problem),
    }
    if problems.is_empty() { Ok(loaded) } else { Err(loaded.invalid(problems)) }
}

fn summary(loaded: &Loaded) -> String {
    let plan = &loaded.compiled.plan;
    let things = |count: usize, one: &str, many: &str| format!("{count} {}", if count == 1 { one } else { many });
    // To the second: what is planned is not more exact for people.
    let planned = Micros(plan.planned().0.next_multiple_of(1_000_000));
    let when = loaded.schedule.as_ref().map(|schedule| format!("{}; each run: ", when(schedule))).unwrap_or_default();
    format!(
        "{when}{}, at most {} for {planned}, {}; in a cluster {} ({})",
        things(plan.main().len(), "scenario", "scenarios"),
        things(plan.peak_users() as usize, "user", "users"),
        things(loaded.compiled.criteria.len(), "criterion", "criteria"),
        things(loaded.compiled.sizing.runners as usize, "runner", "runners"),
        loaded.compiled.sizing.reason,
    )
}

/// When a schedule runs, in its own words.
fn when(schedule: &LoadTestSchedule) -> String {
    let spec = &schedule.spec;
    let cron = spec.schedule.as_ref().map(|cron| format!("runs at {cron} {}", spec.time_zone));
    let rollout =
        spec.on_rollout.as_ref().map(|rollout| format!("when Deployment {} has rolled out", rollout.deployment));
    cron.into_iter().chain(rollout).collect::<Vec<_>>().join(" and ")
}

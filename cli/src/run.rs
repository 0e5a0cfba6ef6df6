//! `proofload run`: the whole life of a run, from a file to a report, in this process.

mod conduct;
mod fleet;
mod progress;
mod target;

use anyhow::Context;
use jiff::Timestamp;
use proofload_api::Problem;
use proofload_api::loadtest::RunnerCount;
use proofload_engine::{Materials, raise_file_limit};
use proofload_plan::level_of;
use proofload_results::{Baseline, Input, Report};
use proofload_server_metrics::Asker;

use crate::args::RunArgs;
use crate::demo::{DemoShelf, DemoTarget};
use crate::exit::Exit;
use crate::file::{Asked, Instead, Loaded, load};
use crate::form::ReportFile;
use crate::scale::local::Socket;
use crate::shelf::Directory;
use crate::{baseline, screen, signals};
use conduct::{Conducted, Wishes, conduct};
use fleet::LocalFleet;
use progress::Progress;

/// Runs a load test and reports. Its exit code is the verdict's.
pub(crate) fn run(args: &RunArgs) -> anyhow::Result<Exit> {
    // Before the demo target, which needs as many.
    raise_file_limit();
    let demo = args.demo_target.then(DemoTarget::start).transpose()?;
    let target = demo.as_ref().map(DemoTarget::instead).or(args.target.as_deref().map(Instead::Url));
    let loaded = match load(&args.file, target, Asked::Really(args.prometheus.as_deref()))? {
        Ok(loaded) => loaded,
        Err(invalid) => {
            eprint!("{}", invalid.0);
            return Ok(Exit::Invalid);
        }
    };
    if loaded.test.spec.suspend {
        eprintln!("{}: spec.suspend: expected false, since it is to be run now, got true", args.file.display());
        return Ok(Exit::Invalid);
    }
    let changes = loaded.test.spec.scale.iter().enumerate();
    let problems: Vec<Problem> =
        changes.filter_map(|(index, scale)| level_of(scale, index, &loaded.compiled.plan).err()).collect();
    if !problems.is_empty() {
        eprint!("{}", loaded.invalid(problems).0);
        return Ok(Exit::Invalid);
    }
    if loaded.test.spec.results.store.is_some() {
        eprintln!("note: spec.results.store is for clusters and is left out here; --report writes files");
    }
    let directory = Directory::of(&args.file, args.files.as_deref());
    let shelf = DemoShelf::new(&directory, demo.as_ref(), &loaded.compiled.plan);
    let materials = match Materials::load(&loaded.compiled.plan, &shelf) {
        Ok(materials) => materials,
        Err(problems) => {
            eprint!("{}", loaded.invalid(problems).0);
            return Ok(Exit::Invalid);
        }
    };
    let asker = match target::asker(&loaded.compiled.plan, &materials)? {
        Ok(asker) => asker,
        Err(problems) => {
            eprint!("{}", loaded.invalid(problems).0);
            return Ok(Exit::Invalid);
        }
    };
    let baseline = match baseline::find(args, &loaded, &directory)? {
        Ok(baseline) => baseline,
        Err(invalid) => {
            eprint!("{}", invalid.0);
            return Ok(Exit::Invalid);
        }
    };
    // Before the load: to find out after it that the report cannot be written would be a pity.
    let files = args.report.iter().map(ReportFile::create).collect::<anyhow::Result<Vec<_>>>()?;
    let report = execute(&loaded, materials, asker.as_ref(), baseline.as_ref(), args.quiet)?;
    for file in files {
        file.write(&report.report)?;
    }
    screen::print_report(&report.report, args.output)?;
    if let Some(demo) = demo {
        let counts = demo.finish()?;
        if !args.quiet {
            eprintln!("\nThe demo target counted {} requests.", counts.requests);
        }
    }
    Ok(if report.is_aborted { Exit::Aborted } else { report.report.verdict.into() })
}

/// A run that is over.
struct Executed {
    report: Report,
    is_aborted: bool,
}

fn execute(
    loaded: &Loaded,
    materials: Materials,
    asker: Option<&Asker>,
    baseline: Option<&Baseline>,
    is_quiet: bool,
) -> anyhow::Result<Executed> {
    let runners = match loaded.test.spec.runners.count {
        RunnerCount::Fixed(count) => count,
        // The cost model is for pods of one CPU; one process here uses all there are.
        RunnerCount::Auto => 1,
    };
    let plan = &loaded.compiled.plan;
    let mut stop = signals::listen().context("listening for signals")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut fleet = LocalFleet::launch(plan, runners, materials)?;
    let mut progress = Progress::new(plan, is_quiet);
    let (conducted, is_aborted) = runtime.block_on(async {
        let socket = socket(&loaded.name, is_quiet).await;
        let wishes = Wishes { stop: &mut stop, scale: loaded.test.spec.scale.clone() };
        let mut conducted = conduct(&mut fleet, loaded, wishes, socket.as_ref(), &mut progress).await;
        // What comes later ends no load, and changes no verdict.
        let is_aborted = stop.borrow().is_some();
        if let Some(asker) = asker {
            progress.say("Waiting for what Prometheus says of the target (Ctrl-C: do without it)");
            conducted.circumstances.server = target::ask(asker, plan, &conducted, &mut stop).await;
        }
        (conducted, is_aborted)
    });
    progress.finish();
    let Conducted { snapshots, circumstances, began } = conducted;
    let start = began.map(rfc3339).transpose()?;
    let report = Report::build(&Input {
        plan,
        criteria: &loaded.compiled.criteria,
        spec: &serde_json::to_value(&loaded.test.spec)?,
        name: &loaded.name,
        namespace: None,
        start: start.as_deref(),
        runners,
        totals: &snapshots.totals(plan),
        circumstances: &circumstances,
        baseline,
    });
    Ok(Executed { report, is_aborted })
}

/// The socket for `proofload scale`. A run is worth having without it.
async fn socket(name: &str, is_quiet: bool) -> Option<Socket> {
    let opened = Socket::open(name).await;
    if let (Err(error), false) = (&opened, is_quiet) {
        eprintln!("note: proofload scale does not reach this run: {error:#}");
    }
    opened.ok()
}

fn rfc3339(began: std::time::SystemTime) -> anyhow::Result<String> {
    let began = Timestamp::try_from(began).context("reading the clock")?;
    Ok(began.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

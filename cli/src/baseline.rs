//! The earlier run that `proofload run` holds a run against: a report on this machine.

use std::path::Path;

use proofload_api::history::Baseline as Asked;
use proofload_api::{LoadTestSpec, Problem};
use proofload_engine::Shelf;
use proofload_plan::Place;
use proofload_results::{Baseline, Earlier, Report};

use crate::args::{ClusterArgs, RunArgs};
use crate::file::{Invalid, Loaded};
use crate::report::{parse_report, read_report};
use crate::shelf::Directory;

/// What a run is held against: what the command line names, or else what the test does. It is read before the load, so
/// that no load is wasted.
pub(crate) fn find(
    args: &RunArgs,
    loaded: &Loaded,
    directory: &Directory,
) -> anyhow::Result<Result<Option<Baseline>, Invalid>> {
    let asked = loaded.test.spec.baseline.as_ref();
    let tolerance = asked.map_or(Asked::default_tolerance(), |asked| asked.tolerance);
    let of = |report| Some(Baseline { tolerance, earlier: Earlier::Run(Box::new(report)) });
    if args.no_baseline {
        return Ok(Ok(None));
    }
    if let Some(path) = &args.baseline {
        return read_report(path, &ClusterArgs::default()).map(|report| Ok(of(report)));
    }
    let Some(asked) = asked else { return Ok(Ok(None)) };
    let report = match place(asked) {
        Ok(place) => read(&place, directory),
        Err((field, what)) => {
            let problem = Problem::new(format!("spec.baseline.{field}"), "a report on this machine", what);
            Err(problem.hint("name one with --baseline, or hold the run against none with --no-baseline"))
        }
    };
    Ok(report.map(of).map_err(|problem| loaded.invalid(vec![problem])))
}

/// Checks the baseline of a test as far as it is here; or says why it was not checked.
pub(crate) fn check(spec: &LoadTestSpec, directory: &Directory) -> Result<Option<String>, Problem> {
    let Some(asked) = &spec.baseline else { return Ok(None) };
    match place(asked) {
        Ok(place @ Place::ConfigMap(_)) if !directory.has(&place) => {
            Ok(Some("spec.baseline.configMap: not checked: it is not here".to_owned()))
        }
        Ok(place) => read(&place, directory).map(|_| None),
        Err((field, what)) => Ok(Some(format!("spec.baseline.{field}: not checked: it is {what}"))),
    }
}

/// Where a baseline is on this machine; or the field that says that it is in a cluster, and what is there.
fn place(asked: &Asked) -> Result<Place, (&'static str, String)> {
    match (&asked.load_test, &asked.schedule, &asked.config_map, &asked.file) {
        (Some(name), ..) => Err(("loadTest", format!("LoadTest {name:?} of a cluster"))),
        (_, Some(name), ..) => Err(("schedule", format!("the last run of {name:?} in a cluster"))),
        (.., Some(key), _) => Ok(Place::ConfigMap(key.clone())),
        (.., file) => Ok(Place::File(file.clone().unwrap_or_default())),
    }
}

fn read(place: &Place, directory: &Directory) -> Result<Report, Problem> {
    let (path, name) = match place {
        Place::File(name) => ("spec.baseline.file", name),
        Place::ConfigMap(key) | Place::Secret(key) => ("spec.baseline.configMap", &key.key),
    };
    let problem = |why: String| Problem::new(path, "a report of Proofload, as JSON or compressed by gzip", why);
    let bytes = directory.read("baseline", place).map_err(problem)?;
    parse_report(&bytes).map_err(|error| problem(format!("{}: {error:#}", Path::new(name).display())))
}

//! From a file to a load test that is ready to run, or to every problem in it, each with its line.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::{Context, bail};
use kube::ResourceExt;
use proofload_api::admission::{admit, admit_schedule};
use proofload_api::{LoadTest, LoadTestSchedule, LoadTestSpec, Problem};
use proofload_plan::{Compiled, compile};
use proofload_schedule::{Ticks, within_template};
use serde::Deserialize;
use serde_json::Value;

use crate::yaml::Lines;

/// The kind of a schedule.
const SCHEDULE: &str = "LoadTestSchedule";

/// The most bytes of a file: what a cluster could store.
const MAX_BYTES: u64 = 1 << 20;

/// A valid load test.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// Its name.
    pub(crate) name: String,
    /// What the file says, with defaults.
    pub(crate) test: LoadTest,
    /// The schedule that the test is the template of, if it is one.
    pub(crate) schedule: Option<LoadTestSchedule>,
    /// What it compiles to.
    pub(crate) compiled: Compiled,
    /// Where everything in it is.
    source: Source,
}

impl Loaded {
    /// Problems that were found later: as those of the file itself, each with its line.
    pub(crate) fn invalid(&self, problems: Vec<Problem>) -> Invalid {
        let is_template = self.schedule.is_some();
        self.source.invalid(if is_template { within_template(problems) } else { problems })
    }

    /// The file's name as it is shown.
    pub(crate) fn shown(&self) -> &str {
        &self.source.shown
    }
}

/// A document and its file, to say where a problem is.
#[derive(Debug, Default)]
struct Source {
    shown: String,
    lines: Lines,
}

impl Source {
    fn invalid(&self, problems: Vec<Problem>) -> Invalid {
        let line = |problem: &Problem| self.lines.find(&problem.path);
        let mut problems: Vec<_> = problems.into_iter().map(|problem| (line(&problem), problem)).collect();
        problems.sort();
        problems.dedup();
        let mut text = String::new();
        for (line, problem) in problems {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{}:{line}: {problem}", self.shown);
        }
        Invalid(text)
    }
}

/// A file that is not a valid load test: each problem, as one line of text.
#[derive(Debug)]
pub(crate) struct Invalid(pub(crate) String);

/// What takes the place of `spec.target.baseUrl`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Instead<'a> {
    /// All of it.
    Url(&'a str),
    /// Its scheme, host and port, as it is plain or not. Its path stays: it says what the demo target is to be.
    Server { http: &'a str, https: &'a str },
}

impl Instead<'_> {
    fn of_base_url(self, base_url: Option<&Value>) -> String {
        let (http, https) = match self {
            Self::Url(url) => return url.to_owned(),
            Self::Server { http, https } => (http, https),
        };
        let known = base_url.and_then(Value::as_str).unwrap_or_default();
        let server = if known.starts_with("https://") { https } else { http };
        let path = known.split_once("://").and_then(|(_, rest)| rest.split_once('/'));
        path.map_or_else(|| server.to_owned(), |(_, path)| format!("{server}/{path}"))
    }
}

/// Who is asked for the target's own metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked<'a> {
    /// Whom the file names, or else this one: a cluster may have one that is known only there.
    Named,
    /// This one, whomever the file names; without one whom the file names.
    Really(Option<&'a str>),
}

/// Stands for the Prometheus of the cluster where nobody is asked.
const ANY_PROMETHEUS: &str = "http://prometheus";

/// Reads a load test. `target` replaces `spec.target.baseUrl`. An error is what keeps the file from being read at all.
pub(crate) fn load(
    path: &Path,
    target: Option<Instead<'_>>,
    asked: Asked<'_>,
) -> anyhow::Result<Result<Loaded, Invalid>> {
    let shown = shown(path);
    let text = match read(path, &shown)? {
        Ok(text) => text,
        Err(invalid) => return Ok(Err(invalid)),
    };
    let documents: Vec<Value> = match serde_saphyr::from_multiple(&text) {
        Ok(documents) => documents,
        Err(error) => return Ok(Err(Invalid(format!("{shown}: not YAML: {}\n", error.without_snippet())))),
    };
    let index = match the_load_test(&documents) {
        Ok(index) => index,
        Err(why) => return Ok(Err(Invalid(format!("{shown}: {why}\n")))),
    };
    let mut value = documents[index].clone();
    let place = if is_schedule(&value) { "/spec/template/spec" } else { "/spec" };
    let known = value.pointer_mut(&format!("{place}/target")).and_then(Value::as_object_mut);
    if let (Some(instead), Some(known)) = (target, known) {
        let url = instead.of_base_url(known.get("baseUrl"));
        known.insert("baseUrl".to_owned(), url.into());
    }
    if let (Asked::Really(Some(url)), Some(spec)) = (asked, value.pointer_mut(place).and_then(Value::as_object_mut)) {
        let known = spec.entry("prometheus").or_insert_with(|| Value::Object(serde_json::Map::new()));
        if let Some(known) = known.as_object_mut() {
            known.insert("url".to_owned(), url.into());
        }
    }
    let default = matches!(asked, Asked::Named).then_some(ANY_PROMETHEUS);
    let lines = Lines::of(&text).into_iter().nth(index).unwrap_or_default();
    Ok(ready(&value, default, Source { shown, lines }))
}

fn ready(value: &Value, prometheus: Option<&str>, source: Source) -> Result<Loaded, Invalid> {
    if is_schedule(value) {
        return schedule_ready(value, prometheus, source);
    }
    let test = admit(value).map_err(|problems| source.invalid(with_those_of_the_plan(problems, value, prometheus)))?;
    let generated = || test.metadata.generate_name.as_ref().map(|name| name.trim_end_matches('-').to_owned());
    let name = test.metadata.name.clone().or_else(generated).unwrap_or_else(|| "loadtest".to_owned());
    let compiled = compile(&test.spec.or_prometheus(prometheus), &name).map_err(|problems| source.invalid(problems))?;
    Ok(Loaded { name, test, schedule: None, compiled, source })
}

fn is_schedule(value: &Value) -> bool {
    value.get("kind").and_then(Value::as_str) == Some(SCHEDULE)
}

/// A schedule and the test that it runs; it is run as if its time had come.
fn schedule_ready(value: &Value, prometheus: Option<&str>, source: Source) -> Result<Loaded, Invalid> {
    let schedule = match admit_schedule(value) {
        Ok(schedule) => schedule,
        Err(mut problems) => {
            // What the template's own problems are is told at once, where it can be read at all.
            let spec = value.pointer("/spec/template/spec").and_then(|spec| LoadTestSpec::deserialize(spec).ok());
            let others = spec
                .and_then(|spec| compile(&spec.or_prometheus(prometheus), "").err())
                .map(within_template)
                .unwrap_or_default();
            let is_new = |other: &Problem| problems.iter().all(|problem| problem.path != other.path);
            let others: Vec<Problem> = others.into_iter().filter(is_new).collect();
            problems.extend(others);
            return Err(source.invalid(problems));
        }
    };
    let name = schedule.name_any();
    let spec = &schedule.spec;
    let mut problems = match spec.schedule.as_ref().map(|cron| Ticks::new(cron, &spec.time_zone)) {
        Some(Err(problems)) => problems,
        _ => Vec::new(),
    };
    if spec.template.spec.suspend {
        let problem = Problem::new("spec.template.spec.suspend", "false, since each run is to begin", "true");
        problems.push(problem.hint("the schedule's own is spec.suspend"));
    }
    let compiled = match compile(&spec.template.spec.or_prometheus(prometheus), &name) {
        Ok(compiled) if problems.is_empty() => compiled,
        compiled => {
            problems.extend(compiled.err().map(within_template).unwrap_or_default());
            return Err(source.invalid(problems));
        }
    };
    let test = LoadTest::new(&name, spec.template.spec.clone());
    Ok(Loaded { name, test, schedule: Some(schedule), compiled, source })
}

/// A file that is not admitted may have problems beyond the schema too: those that can be told are told at once.
fn with_those_of_the_plan(mut problems: Vec<Problem>, value: &Value, prometheus: Option<&str>) -> Vec<Problem> {
    let read = serde_json::from_value::<LoadTest>(value.clone());
    let others = read.ok().and_then(|test| compile(&test.spec.or_prometheus(prometheus), "").err()).unwrap_or_default();
    for other in others {
        if problems.iter().all(|problem| problem.path != other.path) {
            problems.push(other);
        }
    }
    problems
}

/// A path as it is shown in messages.
pub(crate) fn shown(path: &Path) -> String {
    if path.as_os_str() == "-" { "standard input".to_owned() } else { path.display().to_string() }
}

/// Opens a file, or standard input as `-`.
pub(crate) fn open(path: &Path) -> anyhow::Result<Box<dyn Read>> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(io::stdin()));
    }
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    Ok(Box::new(file))
}

fn read(path: &Path, shown: &str) -> anyhow::Result<Result<String, Invalid>> {
    let mut bytes = Vec::new();
    open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes).with_context(|| format!("reading {shown}"))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Ok(Err(Invalid(format!(
            "{shown}: expected at most 1 MiB, which is what a cluster can store, got more\n"
        ))));
    }
    Ok(String::from_utf8(bytes).map_err(|_| Invalid(format!("{shown}: expected text in UTF-8, got something else\n"))))
}

/// The index of the only load test, or schedule of one, among documents.
fn the_load_test(documents: &[Value]) -> anyhow::Result<usize> {
    let kind = |document: &Value| {
        document.get("kind").and_then(Value::as_str).unwrap_or("a document without a kind").to_owned()
    };
    let tests: Vec<usize> =
        (0..documents.len()).filter(|i| ["LoadTest", SCHEDULE].contains(&&*kind(&documents[*i]))).collect();
    match (&tests[..], documents) {
        ([index], _) => Ok(*index),
        // What is wrong with the only document is said as any other problem is.
        ([], [_]) => Ok(0),
        ([], []) => bail!("expected one LoadTest, got nothing"),
        ([], others) => {
            let found: Vec<String> = others.iter().map(kind).collect();
            bail!("expected one LoadTest, got {}", found.join(", "))
        }
        (several, _) => bail!("expected one LoadTest, got {}: put each into a file of its own", several.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_base_url_stays_when_only_its_server_is_replaced() {
        let server = Instead::Server { http: "http://here:1", https: "https://here:2" };
        for (known, expected) in [
            ("http://shop.svc:8080/profile/shop", "http://here:1/profile/shop"),
            ("https://shop.svc/v1/", "https://here:2/v1/"),
            ("http://shop", "http://here:1"),
        ] {
            assert_eq!(server.of_base_url(Some(&known.into())), expected);
            assert_eq!(Instead::Url("http://there/x").of_base_url(Some(&known.into())), "http://there/x");
        }
        assert_eq!(server.of_base_url(None), "http://here:1");
    }
}

//! Our own generator: the examples that are measured, and the specs that they are given.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use xshell::cmd;

use super::run::Generator;
use crate::context::Context;

/// What is built for measurements.
pub(super) struct Programs {
    /// Executes a spec.
    load: PathBuf,
    pub(super) server: PathBuf,
    pub(super) merge: PathBuf,
    /// Sleeps at an even rate, and does nothing else.
    pub(super) sleeper: PathBuf,
    pub(super) target: PathBuf,
}

impl Programs {
    pub(super) fn build(context: &Context) -> Result<Self> {
        let names = [
            "--example=load",
            "--example=bench_server",
            "--example=merge",
            "--example=sleeper",
            "--bin=proofload-target",
        ];
        let [load, server, merge, sleeper, target] = build(context, names)?;
        Ok(Self { load, server, merge, sleeper, target })
    }

    /// Our generator with a spec. It is written to a file of the name.
    pub(super) fn generator(&self, context: &Context, name: &str, spec: &Value) -> Result<Generator> {
        let file = context.home.join("bench").join(format!("{}.json", name.replace(' ', "-")));
        context.sh.write_file(&file, spec.to_string())?;
        Ok(Generator::new(name, &[&self.load.to_string_lossy(), &file.to_string_lossy(), "1"]))
    }
}

/// Builds examples of the engine, or the target of its tests, as they would be released; where cargo put them.
pub(crate) fn build<const N: usize>(context: &Context, names: [&str; N]) -> Result<[PathBuf; N]> {
    eprintln!("building {}", names.join(" "));
    let sh = &context.sh;
    let packages = ["--package=proofload-engine", "--package=proofload-target"];
    let command = cmd!(sh, "cargo build --quiet --release {packages...} {names...} --message-format json");
    let messages = command.quiet().read()?;
    let messages: Vec<Value> = messages.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let find = |name: &str| {
        let (_, name) = name.split_once('=')?;
        let mut built = messages.iter().filter(|message| message["target"]["name"] == name);
        built.find_map(|message| message["executable"].as_str().map(PathBuf::from))
    };
    let mut built = Vec::new();
    for name in names {
        built.push(find(name).with_context(|| format!("cargo built no {name}"))?);
    }
    built.try_into().map_err(|_| anyhow::anyhow!("as many are built as are named"))
}

/// A target by its URL, which is trusted whatever it is, and more about it.
pub(crate) fn target(url: &str, more: &Value) -> Value {
    let mut target = json!({"baseUrl": url.trim_end_matches('/'), "timeout": "30s"});
    if url.starts_with("https:") {
        target["tls"] = json!({"insecureSkipVerify": true});
    }
    for (name, value) in more.as_object().into_iter().flatten() {
        target[name] = value.clone();
    }
    target
}

/// A spec of one scenario.
pub(crate) fn spec(target: &Value, load: &Value, steps: &Value) -> Value {
    let mut scenario = load.clone();
    scenario["name"] = "measured".into();
    scenario["steps"] = steps.clone();
    json!({"target": target, "scenarios": [scenario], "seed": 1})
}

/// So many users at once, for so long.
pub(super) fn users(users: u32, seconds: u32) -> Value {
    json!({"users": {"stages": [{"to": users, "hold": format!("{seconds}s")}]}, "gracefulStop": "1s"})
}

/// Iterations that begin at a rate.
pub(super) fn arrivals(rate: u32, most_users: u32, seconds: u32) -> Value {
    json!({"arrivals": {"stages": [{"to": format!("{rate}/s"), "hold": format!("{seconds}s")}], "maxUsers": most_users}})
}

/// A GET.
pub(crate) fn get(path: &str) -> Value {
    json!([{"name": "get", "request": {"path": path}, "expect": {"status": ["2xx"]}}])
}

/// A POST of a JSON body that is made anew each time; of the answer something is kept, and two things are checked.
pub(crate) fn order() -> Value {
    json!([{
        "name": "order",
        "request": {
            "method": "POST",
            "path": "/order",
            "json": {"item": "{{random.int(1,500) | json}}", "user": "{{user.id}}", "note": "{{uuid}}",
                     "at": "{{timestamp}}", "kind": "{{random.choice(book,music,film)}}"},
        },
        "expect": {"status": ["2xx"], "json": {"$.state": "queued"}, "body": {"contains": "total"}},
        "extract": {"id": {"json": "$.id"}},
    }])
}

/// What our generator says of a run: the line of JSON that it prints.
pub(crate) fn report(said: &str) -> Result<Value> {
    let line = said.lines().find(|line| line.starts_with('{')).with_context(|| format!("expected JSON, got {said}"))?;
    Ok(serde_json::from_str(line)?)
}

/// 50th, 90th, 99th and 99.9th percentile in milliseconds, of `latency` or `lateness`.
pub(super) fn percentiles(report: &Value, what: &str) -> [Option<f64>; 4] {
    ["p50", "p90", "p99", "p99.9"].map(|name| Some(report[what][name].as_f64()? / 1e3))
}

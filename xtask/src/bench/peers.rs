//! Other load generators: how each is told to put a load on, and what it says of latency afterwards.

use anyhow::Result;
use serde_json::{Value, json};

use super::machine::percentile;
use super::run::Generator;
use crate::context::Context;
use crate::debian;

/// How much load, and how.
#[derive(Debug, Clone)]
pub(super) struct Load {
    pub(super) url: String,
    pub(super) connections: u32,
    pub(super) seconds: u32,
    pub(super) pace: Pace,
    pub(super) protocol: Protocol,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// As fast as it goes.
    Closed,
    /// So many requests a second, whatever the answers do.
    Rate(u32),
    /// Each connection pauses for a second between an answer and its next request.
    Think,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    /// So many streams on each connection.
    Http2(u32),
}

/// A tool, and where it comes from where it is missing.
pub(super) struct Peer {
    pub(super) name: &'static str,
    pub(super) from: &'static str,
    /// Whether it can put this load on.
    can: fn(&Load) -> bool,
    tell: fn(&Load) -> Told,
    said: fn(&Context, &str) -> Latency,
}

/// How a tool is told to put a load on.
struct Told {
    command: Vec<String>,
    /// A script that it reads: the file's name and text.
    script: Option<(&'static str, String)>,
}

impl Told {
    fn by(command: Vec<String>) -> Self {
        Self { command, script: None }
    }
}

/// 50th, 90th, 99th and 99.9th percentile in milliseconds, as far as they are known.
pub(super) type Latency = [Option<f64>; 4];

const OWN: &str = "cargo xtask bench peers";

/// In the order of the tables.
pub(super) const PEERS: &[Peer] = &[
    Peer { name: "wrk", from: "apt-get install wrk", can: over_http1_without_rate, tell: wrk, said: nothing_said },
    Peer { name: "h2load", from: "apt-get install nghttp2-client", can: |_| true, tell: h2load, said: h2load_said },
    Peer { name: "fortio", from: OWN, can: over_http1, tell: fortio, said: fortio_said },
    Peer { name: "oha", from: OWN, can: |_| true, tell: oha, said: oha_said },
    Peer { name: "hey", from: OWN, can: over_http1, tell: hey, said: hey_said },
    Peer { name: "k6", from: OWN, can: over_http1, tell: k6, said: k6_said },
    Peer { name: "locust", from: "pip install locust", can: closed_in_plain_text, tell: locust, said: nothing_said },
];

fn over_http1(load: &Load) -> bool {
    load.protocol == Protocol::Http1
}

fn over_http1_without_rate(load: &Load) -> bool {
    over_http1(load) && !matches!(load.pace, Pace::Rate(_))
}

fn closed_in_plain_text(load: &Load) -> bool {
    over_http1(load) && load.pace == Pace::Closed && load.url.starts_with("http:")
}

fn nothing_said(_: &Context, _: &str) -> Latency {
    [None; 4]
}

/// Those that are here, are wanted, and can put this load on; those of them that are missing are named.
pub(super) fn generators(context: &Context, load: &Load, wanted: &dyn Fn(&str) -> bool) -> Result<Vec<Generator>> {
    let mut found = Vec::new();
    for peer in PEERS.iter().filter(|peer| wanted(peer.name) && (peer.can)(load)) {
        if !debian::present(context, peer.name) {
            println!("Missing here: {} ({}).\n", peer.name, peer.from);
            continue;
        }
        let told = (peer.tell)(load);
        if let Some((file, text)) = told.script {
            context.sh.write_file(context.home.join("bench").join(file), text)?;
        }
        found.push(Generator { name: peer.name.to_owned(), command: told.command });
    }
    Ok(found)
}

/// What a peer says of latency.
pub(super) fn latency(context: &Context, name: &str, said: &str) -> Latency {
    PEERS.iter().find(|peer| peer.name == name).map_or([None; 4], |peer| (peer.said)(context, said))
}

fn words(command: &[&str]) -> Vec<String> {
    command.iter().map(|&word| word.to_owned()).collect()
}

impl Load {
    /// For a tool that cannot pause: a page of the server's that takes a second does the pausing.
    fn url(&self) -> String {
        match self.pace {
            Pace::Think => format!("{}sleep/1000", self.url),
            _ => self.url.clone(),
        }
    }
}

fn wrk(load: &Load) -> Told {
    let (connections, seconds) = (format!("-c{}", load.connections), format!("-d{}s", load.seconds));
    Told::by(words(&["wrk", "-t1", "--timeout", "10s", &connections, &seconds, &load.url()]))
}

fn h2load(load: &Load) -> Told {
    let (connections, seconds) = (load.connections.to_string(), load.seconds.to_string());
    let mut command = words(&["h2load", "-t1", "-c", &connections, "-D", &seconds]);
    match load.protocol {
        Protocol::Http1 => command.push("--h1".to_owned()),
        Protocol::Http2(streams) => command.extend(["-m".to_owned(), streams.to_string()]),
    }
    if let Pace::Rate(rate) = load.pace {
        // It says no percentiles: its log holds what is needed for them.
        let each = f64::from(rate) / f64::from(load.connections);
        command.extend(words(&["--rps", &each.to_string(), "--log-file=h2load.log"]));
    }
    command.push(load.url());
    Told::by(command)
}

fn h2load_said(context: &Context, _: &str) -> Latency {
    let log = std::fs::read_to_string(context.home.join("bench/h2load.log")).unwrap_or_default();
    // When it began, the status, and how long it took in microseconds.
    let column = |line: &str| line.split_whitespace().nth(2)?.parse::<f64>().ok();
    let mut millis: Vec<f64> = log.lines().filter_map(column).map(|micros| micros / 1e3).collect();
    millis.sort_by(f64::total_cmp);
    [50.0, 90.0, 99.0, 99.9].map(|p| percentile(&millis, p))
}

fn fortio(load: &Load) -> Told {
    let rate = if let Pace::Rate(rate) = load.pace { rate } else { 0 };
    let (rate, connections, seconds) = (rate.to_string(), load.connections.to_string(), format!("{}s", load.seconds));
    let mut command =
        words(&["fortio", "load", "-quiet", "-json", "-", "-allow-initial-errors", "-k", "-timeout", "10s"]);
    command.extend(words(&["-p", "50,90,99,99.9", "-c", &connections, "-qps", &rate, "-t", &seconds]));
    if matches!(load.pace, Pace::Rate(_)) {
        command.push("-uniform".to_owned());
    }
    command.push(load.url());
    Told::by(command)
}

/// The JSON in what a tool printed beside other things; null without any.
fn json_in(said: &str) -> Value {
    let from = said.find("\n{").map_or_else(|| said.find('{'), |at| Some(at + 1)).unwrap_or(said.len());
    serde_json::Deserializer::from_str(&said[from..]).into_iter().next().and_then(Result::ok).unwrap_or_default()
}

fn fortio_said(_: &Context, said: &str) -> Latency {
    let summary = json_in(said);
    let list = summary["DurationHistogram"]["Percentiles"].as_array();
    let find = |p: f64| {
        let entry = list?.iter().find(|entry| entry["Percentile"].as_f64() == Some(p))?;
        Some(entry["Value"].as_f64()? * 1e3)
    };
    [50.0, 90.0, 99.0, 99.9].map(find)
}

fn oha(load: &Load) -> Told {
    let (connections, seconds) = (load.connections.to_string(), format!("{}s", load.seconds));
    let mut command = words(&["oha", "--no-tui", "--output-format", "json", "--insecure", "-t", "10s"]);
    command.extend(words(&["-c", &connections, "-z", &seconds]));
    if let Protocol::Http2(streams) = load.protocol {
        command.extend(words(&["--http-version", "2", "-p", &streams.to_string()]));
    }
    if let Pace::Rate(rate) = load.pace {
        command.extend(words(&["-q", &rate.to_string(), "--latency-correction"]));
    }
    command.push(load.url());
    Told::by(command)
}

fn oha_said(_: &Context, said: &str) -> Latency {
    let summary = json_in(said);
    ["p50", "p90", "p99", "p99.9"].map(|name| Some(summary["latencyPercentiles"][name].as_f64()? * 1e3))
}

fn hey(load: &Load) -> Told {
    let (connections, seconds) = (load.connections.to_string(), format!("{}s", load.seconds));
    let mut command = words(&["hey", "-cpus", "1", "-t", "10", "-c", &connections, "-z", &seconds]);
    if let Pace::Rate(rate) = load.pace {
        command.extend(words(&["-q", &(f64::from(rate) / f64::from(load.connections)).to_string()]));
    }
    command.push(load.url());
    Told::by(command)
}

fn hey_said(_: &Context, said: &str) -> Latency {
    let find = |name: &str| {
        let line = said.lines().map(str::trim).find(|line| line.starts_with(name))?;
        Some(line.split(" in ").nth(1)?.split_whitespace().next()?.parse::<f64>().ok()? * 1e3)
    };
    [find("50%"), find("90%"), find("99%"), None]
}

fn k6(load: &Load) -> Told {
    let (connections, seconds) = (load.connections, format!("{}s", load.seconds));
    let scenario = match load.pace {
        Pace::Closed => json!({"executor": "constant-vus", "vus": connections, "duration": seconds}),
        Pace::Rate(rate) => json!({"executor": "constant-arrival-rate", "rate": rate, "timeUnit": "1s",
            "duration": seconds, "preAllocatedVUs": connections, "maxVUs": connections}),
        Pace::Think => json!({"executor": "ramping-vus", "startVUs": 0, "gracefulStop": "3s", "stages": [
            {"duration": "5s", "target": connections},
            {"duration": format!("{}s", load.seconds.saturating_sub(5)), "target": connections}]}),
    };
    let options = json!({"scenarios": {"s": scenario}, "discardResponseBodies": true, "insecureSkipTLSVerify": true,
        "summaryTrendStats": ["med", "p(90)", "p(99)", "p(99.9)", "max"]});
    let pause = if load.pace == Pace::Think { "sleep(1);" } else { "" };
    let script = format!(
        "import http from 'k6/http';\nimport {{ sleep }} from 'k6';\nexport const options = {options};\n\
         export default function () {{ http.get({}); {pause} }}\n\
         export function handleSummary(data) {{ return {{ 'k6.json': JSON.stringify(data) }}; }}\n",
        Value::from(load.url.as_str())
    );
    let command = words(&["k6", "run", "--quiet", "--no-usage-report", "--log-output=none", "k6.js"]);
    Told { command, script: Some(("k6.js", script)) }
}

fn k6_said(context: &Context, _: &str) -> Latency {
    let summary = std::fs::read(context.home.join("bench/k6.json")).unwrap_or_default();
    let summary: Value = serde_json::from_slice(&summary).unwrap_or_default();
    let values = &summary["metrics"]["http_req_duration"]["values"];
    ["med", "p(90)", "p(99)", "p(99.9)"].map(|name| values[name].as_f64())
}

fn locust(load: &Load) -> Told {
    let script = format!(
        "from locust import FastHttpUser, task\n\nclass Visitor(FastHttpUser):\n    host = {}\n\n    @task\n    \
         def get(self):\n        self.client.get('/')\n",
        Value::from(load.url.trim_end_matches('/'))
    );
    let (connections, seconds) = (load.connections.to_string(), format!("{}s", load.seconds));
    let mut command = words(&["locust", "-f", "locustfile.py", "--headless", "--only-summary", "-u", &connections]);
    command.extend(words(&["-r", &connections, "-t", &seconds]));
    Told { command, script: Some(("locustfile.py", script)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_read_as_the_tools_print_them() {
        let hey = "  10%% in 0.0001 secs\n  50%% in 0.0002 secs\n  90% in 0.5000 secs\n  99%% in 0.9000 secs\n";
        let context = Context::new().unwrap();
        assert_eq!(hey_said(&context, hey), [Some(0.2), Some(500.0), Some(900.0), None]);
        let fortio = "log\n{\"DurationHistogram\": {\"Percentiles\": [{\"Percentile\": 50, \"Value\": 0.001},\
                      {\"Percentile\": 99.9, \"Value\": 0.5}]}}\ntail";
        assert_eq!(fortio_said(&context, fortio), [Some(1.0), None, None, Some(500.0)]);
        let oha = "{\"latencyPercentiles\": {\"p50\": 0.25, \"p99.9\": null}}";
        assert_eq!(oha_said(&context, oha), [Some(250.0), None, None, None]);
    }
}

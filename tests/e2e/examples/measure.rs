//! Figures of whole runs on a real cluster, as Markdown: how soon load begins and the verdict comes, how far apart the
//! runners begin, what the operator costs. `cargo xtask bench cluster` runs it and says where the cluster is.
//!
//! Times are compared between the target's clock and this process's: on the test cluster they are one clock. Writes are
//! counted in the API server's audit log, memory is read in /proc; where there is no such thing, the cell is `-`.
//!
//! `--timeline` also prints what happened when in the last run of each kind, to see where the time goes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::pin::pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::runtime::watcher::{self, Event, watcher};
use proofload_api::{LoadTest, Verdict};
use proofload_e2e::{Run, Site, faults, load_test};
use serde_json::{Value, json};

/// Runs of each kind; the median of them counts.
const ROUNDS: usize = 3;
/// Runs to measure how far apart the runners begin: a figure with a long tail.
const SKEW_ROUNDS: usize = 5;
/// How long the load of a run lasts that is measured for its begin and end, in seconds.
const SHORT: u64 = 4;
/// And of the run whose writes are counted: long enough for several reports of progress.
const LONG: u64 = 45;
/// A run takes at most so long, beside its load.
const PATIENCE: Duration = Duration::from_mins(2);
/// Whose writes are the operator's.
const OPERATOR: &str = "system:serviceaccount:proofload-system:";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let timeline = std::env::args().any(|argument| argument == "--timeline");
    let bench =
        Bench { site: Site::new("measure").await?, http: reqwest::Client::new(), audit: Audit::find(), timeline };
    let mut memory = vec![Memory::now("before the runs")];
    let mut starts = Vec::new();
    for runners in [1, 4, 10] {
        starts.push((runners, bench.rounds(runners, ROUNDS, SHORT).await?));
    }
    let together = bench.rounds(8, SKEW_ROUNDS, SHORT).await?;
    let long = bench.rounds(8, 1, LONG).await?;
    memory.push(Memory::now("after them"));
    bench.run_wide().await?;
    memory.push(Memory::now("after one more, of 64 steps in 3 stages and 4 runners"));
    print_starts(&starts);
    print_skew(&together);
    print_writes(&long);
    print_memory(&memory.into_iter().flatten().collect::<Vec<_>>());
    bench.site.close().await
}

struct Bench {
    site: Site,
    http: reqwest::Client,
    audit: Option<Audit>,
    timeline: bool,
}

/// One run; times in microseconds of Unix time.
struct Round {
    applied: u64,
    /// When the watch told that the last runner was ready.
    last_ready: u64,
    first_request: u64,
    last_request: u64,
    /// When the watch told the verdict.
    verdict: u64,
    /// The first request of each runner.
    begins: Vec<u64>,
    /// What the operator wrote until the last pod was gone; none without an audit log.
    writes: Option<Vec<Entry>>,
}

impl Bench {
    async fn rounds(&self, runners: u32, count: usize, seconds: u64) -> Result<Vec<Round>> {
        let mut rounds = Vec::new();
        for number in 1..=count {
            let name = format!("measure-{runners}-{seconds}-{number}");
            let show = self.timeline && number == count;
            let round = self.round(&name, runners, seconds, show).await.with_context(|| name.clone())?;
            eprintln!(
                "{name}: first request after {:.3} s, {:+.3} s from Ready, skew {:.1} ms, verdict after {:.3} s",
                seconds_between(round.applied, round.first_request),
                seconds_between(round.last_ready, round.first_request),
                round.skew(),
                seconds_between(round.last_request, round.verdict),
            );
            rounds.push(round);
        }
        Ok(rounds)
    }

    /// A run with many cells: what the operator keeps depends on their number, and on the longest time in each.
    async fn run_wide(&self) -> Result<()> {
        let mut test = load_test(&self.site, "measure-wide", 4, 400, 5);
        test["spec"]["runners"] = json!({"count": 4});
        let scenario = &mut test["spec"]["scenarios"][0];
        scenario["users"]["stages"] = json!([{"to": 400, "hold": "5s"}, {"hold": "5s"}, {"hold": "5s"}]);
        scenario["flow"] = json!("Weighted");
        let step = |i| json!({"name": format!("step-{i}"), "request": {"path": format!("/delay/{}", 300 + i)}});
        scenario["steps"] = (0..64).map(step).collect();
        let run = Run::create(&self.site, &test).await?;
        run.finishes(120).await?;
        run.leaves_no_pod(60).await
    }

    async fn round(&self, name: &str, runners: u32, seconds: u64, show: bool) -> Result<Round> {
        let clear = self.site.target_url().replace(":8080", ":8081/clear");
        self.http.post(clear).send().await?.error_for_status()?;
        // All users begin at once, so that what is seen of a runner first is its begin; and there are enough of them
        // that what is seen last is its end.
        let mut test = load_test(&self.site, name, runners, 10 * runners, seconds);
        // Resources by the cost model, as users get them.
        test["spec"]["runners"] = json!({"count": runners});
        let mark = self.audit.as_ref().and_then(Audit::mark);
        let mut seen = Seen::default();
        let pods = watcher::Config::default().labels(&format!("proofload.dev/loadtest={name}"));
        let tests = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let mut pods = pin!(watcher(self.site.api::<Pod>(), pods));
        let mut tests = pin!(watcher(self.site.api::<LoadTest>(), tests));
        while !matches!(pods.next().await.context("the watch of pods ended")??, Event::InitDone) {}
        while !matches!(tests.next().await.context("the watch of tests ended")??, Event::InitDone) {}
        let applied = now();
        let run = Run::create(&self.site, &test).await?;
        let watching = async {
            while seen.verdict.is_none() {
                tokio::select! {
                    event = pods.next() => if let Event::Apply(pod) = event.context("the watch of pods ended")?? {
                        seen.pod(&pod);
                    },
                    event = tests.next() => if let Event::Apply(test) = event.context("the watch of tests ended")?? {
                        seen.test(&test);
                    },
                }
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(PATIENCE + Duration::from_secs(seconds), watching).await.context("no verdict came")??;
        let counts = self.site.counts().await?;
        run.leaves_no_pod(60).await?;
        let entries = mark.and_then(|mark| self.audit.as_ref()?.since(mark, &self.site.namespace));
        if show {
            seen.print_timeline(
                name,
                applied,
                counts.first_request_unix_micros,
                counts.last_request_unix_micros,
                entries.as_deref(),
            );
        }
        let begins: Vec<u64> = counts.peers.values().map(|peer| peer.first_unix_micros).collect();
        ensure!(begins.len() == runners as usize, "{} runners sent, of {runners}", begins.len());
        Ok(Round {
            applied,
            last_ready: seen.last_ready(runners)?,
            first_request: counts.first_request_unix_micros.context("no request came")?,
            last_request: counts.last_request_unix_micros.context("no request came")?,
            verdict: seen.verdict.context("a verdict was seen")?,
            begins,
            writes: entries
                .map(|entries| entries.into_iter().filter(|entry| entry.user.starts_with(OPERATOR)).collect()),
        })
    }
}

impl Round {
    /// How far apart the runners' first requests were, in milliseconds.
    fn skew(&self) -> f64 {
        let (first, last) = (self.begins.iter().min(), self.begins.iter().max());
        first.zip(last).map_or(0.0, |(first, last)| (last - first) as f64 / 1e3)
    }

    fn writes(&self, of: impl Fn(&Entry) -> bool) -> Option<f64> {
        Some(self.writes.as_ref()?.iter().filter(|entry| of(entry)).count() as f64)
    }
}

/// What the watches told, and when they first did.
#[derive(Default)]
struct Seen {
    told: BTreeSet<String>,
    moments: Vec<(u64, String)>,
    ready: BTreeMap<String, u64>,
    verdict: Option<u64>,
}

impl Seen {
    fn note(&mut self, what: String) {
        if self.told.insert(what.clone()) {
            self.moments.push((now(), what));
        }
    }

    fn pod(&mut self, pod: &Pod) {
        let name = pod.name_any();
        self.note(format!("{name} exists"));
        if pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some()) {
            self.note(format!("{name} is scheduled"));
        }
        let Some(status) = &pod.status else { return };
        if status.pod_ip.is_some() {
            self.note(format!("{name} has an address"));
        }
        if status.conditions.iter().flatten().any(|c| c.type_ == "Ready" && c.status == "True") {
            self.ready.entry(name.clone()).or_insert_with(now);
            self.note(format!("{name} is Ready"));
        }
    }

    fn test(&mut self, test: &LoadTest) {
        let Some(status) = &test.status else { return };
        let phase = status.phase.map(|phase| phase.to_string()).unwrap_or_default();
        self.note(format!("phase {phase}: {}", status.message));
        if let Some(verdict) = status.verdict {
            self.verdict.get_or_insert_with(now);
            if verdict != Verdict::Passed {
                eprintln!("{}: {verdict}: {}", test.name_any(), status.message);
            }
        }
    }

    fn last_ready(&self, runners: u32) -> Result<u64> {
        ensure!(self.ready.len() == runners as usize, "{} of {runners} runners were seen Ready", self.ready.len());
        self.ready.values().max().copied().context("there is a runner")
    }

    fn print_timeline(
        &self,
        name: &str,
        applied: u64,
        first: Option<u64>,
        last: Option<u64>,
        entries: Option<&[Entry]>,
    ) {
        let mut lines: Vec<(u64, String)> =
            self.moments.iter().map(|(at, what)| (*at, format!("seen: {what}"))).collect();
        lines.extend(first.map(|at| (at, "target: first request".to_owned())));
        lines.extend(last.map(|at| (at, "target: last request".to_owned())));
        lines
            .extend(entries.into_iter().flatten().map(|entry| (entry.at, format!("{}: {}", entry.user, entry.what()))));
        lines.sort();
        eprintln!("\n{name}, seconds since it was applied:");
        for (at, what) in lines {
            eprintln!("{:8.3} {what}", seconds_between(applied, at));
        }
        eprintln!();
    }
}

/// The API server's log of requests.
struct Audit(PathBuf);

/// A write that the API server answered.
struct Entry {
    /// When it came.
    at: u64,
    user: String,
    verb: String,
    /// With the subresource, e.g. `loadtests/status`.
    resource: String,
    name: String,
    code: u64,
}

impl Audit {
    fn find() -> Option<Self> {
        let path = faults::cluster_directory()?.join("log/audit.log");
        path.exists().then_some(Self(path))
    }

    /// Where the log ends now.
    fn mark(&self) -> Option<u64> {
        std::fs::metadata(&self.0).ok().map(|metadata| metadata.len())
    }

    /// Writes in a namespace since then; none if the log cannot be read or was begun anew meanwhile.
    fn since(&self, mark: u64, namespace: &str) -> Option<Vec<Entry>> {
        let mut file = std::fs::File::open(&self.0).ok()?;
        if file.metadata().ok()?.len() < mark {
            return None;
        }
        file.seek(SeekFrom::Start(mark)).ok()?;
        let mut text = String::new();
        file.read_to_string(&mut text).ok()?;
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        Some(
            lines
                .filter(|line| line["objectRef"]["namespace"] == namespace)
                .filter_map(|line| Entry::read(&line))
                .collect(),
        )
    }
}

impl Entry {
    fn read(line: &Value) -> Option<Self> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let object = &line["objectRef"];
        let verb = text(&line["verb"]);
        if !["create", "update", "patch", "delete", "deletecollection"].contains(&verb.as_str()) {
            return None;
        }
        let resource = match object["subresource"].as_str() {
            Some(subresource) => format!("{}/{subresource}", text(&object["resource"])),
            None => text(&object["resource"]),
        };
        let at: Timestamp = text(&line["requestReceivedTimestamp"]).parse().ok()?;
        Some(Self {
            at: u64::try_from(at.as_microsecond()).ok()?,
            user: text(&line["user"]["username"]),
            verb,
            resource,
            name: text(&object["name"]),
            code: line["responseStatus"]["code"].as_u64().unwrap_or_default(),
        })
    }

    fn what(&self) -> String {
        format!("{} {} {} ({})", self.verb, self.resource, self.name, self.code)
    }

    fn is_status(&self) -> bool {
        self.resource == "loadtests/status"
    }
}

fn print_starts(starts: &[(u32, Vec<Round>)]) {
    println!("\nMedian of {ROUNDS} runs of {SHORT} s (least to most):\n");
    println!(
        "| runners | apply -> first request, s | last pod Ready -> first request, s | last request -> verdict, s | status writes | all writes of the operator |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    for (runners, rounds) in starts {
        let column = |of: &dyn Fn(&Round) -> f64| spread(rounds.iter().map(of).collect(), 2);
        let writes = |of: fn(&Entry) -> bool| {
            let counts: Option<Vec<f64>> = rounds.iter().map(|round| round.writes(of)).collect();
            counts.map_or("-".to_owned(), |counts| spread(counts, 0))
        };
        println!(
            "| {runners} | {} | {} | {} | {} | {} |",
            column(&|round| seconds_between(round.applied, round.first_request)),
            column(&|round| seconds_between(round.last_ready, round.first_request)),
            column(&|round| seconds_between(round.last_request, round.verdict)),
            writes(Entry::is_status),
            writes(|_| true),
        );
    }
}

fn print_skew(rounds: &[Round]) {
    let runners = rounds.first().map_or(0, |round| round.begins.len());
    println!("\nFirst requests of {runners} runners at the target, {} runs:\n", rounds.len());
    println!("| runners | first to last begin, ms: median (least to most) |\n| --- | --- |");
    println!("| {runners} | {} |", spread(rounds.iter().map(Round::skew).collect(), 1));
}

fn print_writes(rounds: &[Round]) {
    let Some((round, writes)) = rounds.first().and_then(|round| Some((round, round.writes.as_ref()?))) else { return };
    println!("\nWrites of the operator in a run of {LONG} s with {} runners:\n", round.begins.len());
    println!("| what | writes |\n| --- | --- |");
    let mut kinds: BTreeMap<String, u32> = BTreeMap::new();
    for write in writes {
        *kinds.entry(format!("{} {}", write.verb, write.resource)).or_default() += 1;
    }
    for (kind, count) in kinds {
        println!("| {kind} | {count} |");
    }
    println!("| all | {} |", writes.len());
}

fn print_memory(moments: &[Memory]) {
    if moments.is_empty() {
        println!("\nThe operator's process is not on this machine: its memory was not measured.");
        return;
    }
    println!("\n| the operator's memory, MiB | resident | the most since the row above |\n| --- | --- | --- |");
    for Memory { when, resident, most } in moments {
        println!("| {when} | {resident:.1} | {most:.1} |");
    }
}

/// Of the operator's process, in MiB.
struct Memory {
    when: &'static str,
    resident: f64,
    /// Since the last measurement.
    most: f64,
}

impl Memory {
    /// Pods of the test cluster are processes of this machine.
    fn now(when: &'static str) -> Option<Self> {
        let processes = std::fs::read_dir("/proc").ok()?.filter_map(Result::ok);
        let operator = processes.map(|process| process.path()).find(|path| {
            // The kernel keeps 15 characters of a name.
            std::fs::read_to_string(path.join("comm")).is_ok_and(|name| name.trim() == "proofload-opera")
        })?;
        let status = std::fs::read_to_string(operator.join("status")).ok()?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            Some(line.trim().trim_end_matches(" kB").parse::<f64>().ok()? / 1024.0)
        };
        // 5 forgets the peak. Where that is not allowed, what is told is the most since the operator was started.
        let _ = std::fs::write(operator.join("clear_refs"), "5");
        Some(Self { when, resident: field("VmRSS:")?, most: field("VmHWM:")? })
    }
}

/// The median, and the range where there is one.
fn spread(mut values: Vec<f64>, digits: usize) -> String {
    values.sort_by(f64::total_cmp);
    let (Some(least), Some(most)) = (values.first(), values.last()) else { return "-".to_owned() };
    let mut text = format!("{:.digits$}", values[values.len() / 2]);
    if least < most {
        // Writing to a string cannot fail.
        let _ = write!(text, " ({least:.digits$} to {most:.digits$})");
    }
    text
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

fn seconds_between(from: u64, to: u64) -> f64 {
    (to as f64 - from as f64) / 1e6
}

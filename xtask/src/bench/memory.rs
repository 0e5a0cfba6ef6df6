//! Memory of users at rest: ten thousand that pause between requests, and ten thousand open web sockets.

use anyhow::Result;
use serde_json::{Value, json};

use super::machine::median;
use super::ours::{self, get, spec, target};
use super::peers::{self, Load, Pace, Protocol};
use super::run;
use super::servers::{Target, Watchful};
use super::{Bench, PROOFLOAD, cell};

const USERS: u32 = 10_000;
/// How long users take to come, and how long they stay.
const RAMP: u32 = 5;
const STAY: u32 = 25;
/// Memory hardly varies.
const ROUNDS: u32 = 3;
/// Each web socket's pause between messages, in seconds.
const BETWEEN_MESSAGES: u32 = 10;

/// Users with a pause of a second.
pub(super) fn users(bench: &Bench) -> Result<()> {
    println!("\n## Memory of users\n");
    let server = Watchful::start(bench.context, &bench.programs.server)?;
    let (seconds, rounds) = (RAMP + STAY, ROUNDS.min(bench.rounds));
    let url = server.url("/");
    let load = Load { url: url.clone(), connections: USERS, seconds, pace: Pace::Think, protocol: Protocol::Http1 };
    let mut generators = peers::generators(bench.context, &load, &|name| bench.wants(name))?;
    let ours = |name: &str, users: u32| {
        let load = coming(users, &json!({"min": "0s", "max": "2s"}));
        bench.programs.generator(bench.context, name, &spec(&target(&url, &json!({})), &load, &get("/")))
    };
    generators.push(ours(PROOFLOAD, USERS)?);
    println!(
        "{USERS} users, a second between an answer and the next request; {rounds} rounds of {seconds} s, medians.\n"
    );
    println!("| generator | resident, MiB | kB for each user | most connections at once | requests/s |");
    println!("| --- | --- | --- | --- | --- |");
    for generator in &generators {
        let mut samples = Vec::new();
        for round in 1..=rounds {
            server.clear()?;
            match run::run(bench.context, generator, &server, seconds) {
                Ok(sample) => {
                    let (connections, rate) = (server.counts()?.most_connections, steady_rate(&server.arrivals()?));
                    samples.push((sample.memory, connections as f64, rate));
                }
                Err(error) => eprintln!("round {round}: {}: {error:#}", generator.name),
            }
        }
        let column = |of: fn(&(f64, f64, f64)) -> f64| median(samples.iter().map(of));
        let (memory, connections) = (column(|sample| sample.0), column(|sample| sample.1));
        let each = memory.zip(connections).map(|(memory, connections)| memory / 1e3 / connections.max(1.0));
        let rate = column(|sample| sample.2);
        let mib = memory.map(|memory| memory / f64::from(1 << 20));
        println!(
            "| {} | {} | {} | {} | {} |",
            generator.name,
            cell(mib, 1),
            cell(each, 1),
            cell(connections, 0),
            cell(rate, 0)
        );
    }
    let alone = run::unobserved(bench.context, &ours("one user", 1)?, seconds)?;
    println!("\nFor comparison, our process with one user: {:.1} MiB.", alone.memory / f64::from(1 << 20));
    Ok(())
}

/// Requests in a second once all users are there, by the times of their arrivals in microseconds.
fn steady_rate(arrivals: &[f64]) -> f64 {
    let begin = arrivals.first().copied().unwrap_or_default();
    let (from, to) = (f64::from(RAMP + 2), f64::from(RAMP + STAY - 2));
    let within = arrivals.iter().map(|at| (at - begin) / 1e6).filter(|second| (from..to).contains(second));
    within.count() as f64 / (to - from)
}

/// Web sockets that wait most of the time.
pub(super) fn web_sockets(bench: &Bench) -> Result<()> {
    println!("\n## Memory of web sockets\n");
    let server = Target::start(bench.context, &bench.programs.target)?;
    let generator = |name: &str, sockets: u32| {
        let pause = 2 * BETWEEN_MESSAGES;
        let mut load = coming(sockets, &json!({"min": "0s", "max": format!("{pause}s")}));
        load["onStart"] = json!([{"name": "connect", "webSocket": {"connect": {"path": "/ws"}}}]);
        let steps = json!([{"name": "message", "webSocket": {"send": "hello", "receive": "Next"}}]);
        bench.programs.generator(bench.context, name, &spec(&target(&server.url(), &json!({})), &load, &steps))
    };
    let (seconds, rounds) = (RAMP + STAY, ROUNDS.min(bench.rounds));
    println!(
        "{USERS} web sockets, a message each {BETWEEN_MESSAGES} s and its echo; {rounds} rounds of {seconds} s, medians.\n"
    );
    let (many, one) = (generator("web sockets", USERS)?, generator("one web socket", 1)?);
    let mut samples = Vec::new();
    for round in 1..=rounds {
        match run::unobserved(bench.context, &many, seconds)
            .and_then(|sample| Ok((ours::report(&sample.said)?, sample)))
        {
            Ok(sample) => samples.push(sample),
            Err(error) => eprintln!("round {round}: {error:#}"),
        }
    }
    let memory = median(samples.iter().map(|(_, sample)| sample.memory));
    let count = |what: &'static str| {
        median(samples.iter().map(move |(report, _): &(Value, run::Sample)| report[what].as_f64().unwrap_or_default()))
    };
    println!("| resident, MiB | kB for each | messages and connects | errors |");
    println!("| --- | --- | --- | --- |");
    println!(
        "| {} | {} | {} | {} |",
        cell(memory.map(|memory| memory / f64::from(1 << 20)), 1),
        cell(memory.map(|memory| memory / 1e3 / f64::from(USERS)), 1),
        cell(count("requests"), 0),
        cell(count("errors"), 0)
    );
    let sample = run::unobserved(bench.context, &one, seconds)?;
    println!("\nThe same with one web socket: {:.1} MiB.", sample.memory / f64::from(1 << 20));
    Ok(())
}

/// Users that come one after the other, so that no server's queue of connections overflows.
fn coming(users: u32, pause: &Value) -> Value {
    json!({
        "users": {"stages": [{"to": users, "over": format!("{RAMP}s")}, {"hold": format!("{STAY}s")}]},
        "thinkTime": pause,
        "gracefulStop": "1s",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_time_when_all_users_are_there() {
        let second =
            |second: u32| (0..if second < RAMP { 10 } else { 100 }).map(move |at| f64::from(second * 100 + at) * 1e4);
        let arrivals: Vec<f64> = (0..RAMP + STAY).flat_map(second).collect();
        assert!((steady_rate(&arrivals) - 100.0).abs() < 1.0, "{}", steady_rate(&arrivals));
        assert!(steady_rate(&[]) < 0.1);
    }
}

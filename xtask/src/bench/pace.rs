//! Whether load comes when it should: lateness at a rate, and what a stall of the target looks like.

use anyhow::Result;
use serde_json::json;

use super::machine::{median, percentile};
use super::ours::{self, arrivals, get, percentiles, spec, target};
use super::peers::{self, Load, Pace, Protocol};
use super::run::{self, Generator};
use super::servers::Watchful;
use super::{Bench, PROOFLOAD, cell};

/// Requests a second whose lateness is measured, and the connections that peers get for it.
const RATE: u32 = 5000;
const CONNECTIONS: u32 = 50;
/// Against the stalls: so many a second, for so long, which is six of them.
const STALL_RATE: u32 = 500;
const STALL_SECONDS: u32 = 30;
/// Enough for all that are due while nothing is answered.
const STALL_USERS: u32 = 1000;
/// What is true: a fifth of the requests fall evenly into the silence of a second.
const TRUTH: [(f64, f64); 4] = [(50.0, 0.1), (90.0, 500.0), (99.0, 950.0), (99.9, 995.0)];

/// Lateness as a generator tells it of itself: p50, p90, p99 and p99.9, in milliseconds.
type Late = [Option<f64>; 4];

/// What is known of one round.
type Round = (Option<Off>, Late);

/// How far from the schedule requests came, in microseconds.
struct Off {
    p50: f64,
    p99: f64,
    p999: f64,
    rate: f64,
}

pub(super) fn lateness(bench: &Bench) -> Result<()> {
    println!("\n## Lateness\n");
    let server = Watchful::start(bench.context, &bench.programs.server)?;
    let (url, seconds) = (server.url("/"), bench.seconds.max(4));
    let pace = Pace::Rate(RATE);
    let load = Load { url: url.clone(), connections: CONNECTIONS, seconds, pace, protocol: Protocol::Http1 };
    let mut generators = peers::generators(bench.context, &load, &|name| bench.wants(name))?;
    let own = spec(&target(&url, &json!({})), &arrivals(RATE, 1000, seconds), &get("/"));
    generators.push(bench.programs.generator(bench.context, PROOFLOAD, &own)?);
    println!(
        "{RATE} requests/s on one core, {} rounds of {seconds} s, medians. Off schedule: how far from an even rate requests \
         were read by the server, whose own delay is in it; the first and the last second are left out.\n",
        bench.rounds
    );
    let sleeper = bench.programs.sleeper.to_string_lossy();
    let sleeper = Generator::new("(a loop that only sleeps)", &[&sleeper, &RATE.to_string(), &seconds.to_string()]);
    println!("| generator | requests/s | off schedule us: p50 | p99 | p99.9 | own lateness us: p50 | p99 | p99.9 |");
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    let late = |said: &str| ours::report(said).map_or([None; 4], |report| percentiles(&report, "lateness"));
    // In turns, since a machine that others use too has better and worse minutes.
    let mut all: Vec<(&str, Vec<Round>)> =
        generators.iter().map(|generator| (generator.name.as_str(), Vec::new())).collect();
    let mut slept = Vec::new();
    for round in 1..=bench.rounds {
        for (generator, (name, rounds)) in generators.iter().zip(&mut all) {
            server.clear()?;
            match run::run(bench.context, generator, &server, seconds) {
                Ok(sample) => rounds.push((off_schedule(&server.arrivals()?, seconds), late(&sample.said))),
                Err(error) => eprintln!("round {round}: {name}: {error:#}"),
            }
        }
        slept.push((None, late(&run::unobserved(bench.context, &sleeper, seconds)?.said)));
    }
    all.push((&sleeper.name, slept));
    for (name, rounds) in all {
        let seen = || rounds.iter().filter_map(|(off, _)| off.as_ref());
        let column = |of: fn(&Off) -> f64, digits| cell(median(seen().map(of)), digits);
        let own = |at: usize| cell(median(rounds.iter().filter_map(|(_, late)| late[at].map(|ms| ms * 1e3))), 0);
        println!(
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            name,
            column(|off| off.rate, 0),
            column(|off| off.p50, 0),
            column(|off| off.p99, 0),
            column(|off| off.p999, 0),
            own(0),
            own(2),
            own(3)
        );
    }
    Ok(())
}

/// Compares arrivals, in microseconds, with the even rate that lies best between them.
fn off_schedule(arrivals: &[f64], seconds: u32) -> Option<Off> {
    let begin = *arrivals.first()?;
    let (from, to) = (begin + 1e6, begin + f64::from(seconds - 1) * 1e6);
    let within: Vec<f64> = arrivals.iter().copied().filter(|at| (from..to).contains(at)).collect();
    let step = 1e6 / f64::from(RATE);
    let off = |(at, time): (usize, &f64)| time - within[0] - at as f64 * step;
    let middle = median(within.iter().enumerate().map(off))?;
    let mut distances: Vec<f64> = within.iter().enumerate().map(|arrival| (off(arrival) - middle).abs()).collect();
    distances.sort_by(f64::total_cmp);
    Some(Off {
        p50: percentile(&distances, 50.0)?,
        p99: percentile(&distances, 99.0)?,
        p999: percentile(&distances, 99.9)?,
        rate: within.len() as f64 / f64::from(seconds - 2),
    })
}

pub(super) fn stall(bench: &Bench) -> Result<()> {
    println!("\n## A target that stalls\n");
    let server = Watchful::start(bench.context, &bench.programs.server)?;
    let url = server.url("/stall");
    let pace = Pace::Rate(STALL_RATE);
    let (connections, seconds) = (CONNECTIONS, STALL_SECONDS);
    let load = Load { url: url.clone(), connections, seconds, pace, protocol: Protocol::Http1 };
    let mut generators = peers::generators(bench.context, &load, &|name| bench.wants(name))?;
    let own =
        spec(&target(&server.url(""), &json!({})), &arrivals(STALL_RATE, STALL_USERS, STALL_SECONDS), &get("/stall"));
    generators.push(bench.programs.generator(bench.context, PROOFLOAD, &own)?);
    println!(
        "{STALL_RATE} requests/s for {STALL_SECONDS} s; the server is silent for 1 s of every 5 s. Of ours, what is off \
         the truth in parentheses.\n"
    );
    println!("| generator | requests | of them in a silence | p50 ms | p90 ms | p99 ms | p99.9 ms |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    let due = STALL_RATE * STALL_SECONDS;
    println!("| (the truth) | {due} | {} | 0.1 | 500 | 950 | 995 |", due / 5);
    for generator in &generators {
        if let Err(error) = one_stall(bench, &server, generator) {
            eprintln!("{}: {error:#}", generator.name);
        }
    }
    Ok(())
}

fn one_stall(bench: &Bench, server: &Watchful, generator: &Generator) -> Result<()> {
    server.clear()?;
    let sample = run::run(bench.context, generator, server, STALL_SECONDS)?;
    let counts = server.counts()?;
    let own = generator.name == PROOFLOAD;
    let said = if own {
        percentiles(&ours::report(&sample.said)?, "latency")
    } else {
        peers::latency(bench.context, &generator.name, &sample.said)
    };
    let figures = said.iter().zip(TRUTH).map(|(said, (_, truth))| {
        let off = said.filter(|_| own && truth > 1.0).map(|said| format!(" ({:+.1}%)", (said / truth - 1.0) * 100.0));
        let digits = if truth > 1.0 { 0 } else { 2 };
        format!("{}{}", cell(*said, digits), off.unwrap_or_default())
    });
    let figures = figures.collect::<Vec<_>>().join(" | ");
    println!("| {} | {} | {} | {figures} |", generator.name, counts.requests, counts.silenced);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_even_rate_is_on_schedule_and_a_late_one_is_seen() {
        let even: Vec<f64> = (0..20_000).map(|at| f64::from(at) * 200.0).collect();
        let off = off_schedule(&even, 4).unwrap();
        assert!(off.p999 < 0.001 && (off.rate - 5000.0).abs() < 1.0, "{} {}", off.p999, off.rate);
        // Each 20th is a millisecond late.
        let late: Vec<f64> = even.iter().enumerate().map(|(at, time)| time + f64::from(at % 20 == 0) * 1e3).collect();
        let off = off_schedule(&late, 4).unwrap();
        assert!(off.p50 < 1.0 && (off.p99 - 1000.0).abs() < 1.0, "{} {}", off.p50, off.p99);
    }
}

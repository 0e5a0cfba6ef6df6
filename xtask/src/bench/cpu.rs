//! CPU per request: closed loops as fast as they go, ours beside the peers in turns.

use anyhow::Result;
use serde_json::json;

use super::machine::{self, GENERATOR_CORE, SERVER_CORE, median, spread};
use super::ours::{self, get, order, spec, target, users};
use super::peers::{self, Load, Pace, Protocol};
use super::run::{self, Generator, Sample};
use super::servers::Nginx;
use super::{Bench, PROOFLOAD};

const CONNECTIONS: u32 = 64;
/// Of HTTP/2, and streams on each.
const H2: (u32, u32) = (10, 10);

/// Tiny GETs over plain HTTP/1.1.
pub(super) fn get_closed(bench: &Bench) -> Result<()> {
    let server = Nginx::start(bench.context)?;
    println!("\n## CPU per request\n");
    against_peers(bench, &server, &server.plain(), Protocol::Http1, "wrk")
}

/// The same over TLS, connections kept.
pub(super) fn get_tls(bench: &Bench) -> Result<()> {
    let server = Nginx::start(bench.context)?;
    println!("\n## CPU per request over TLS\n");
    against_peers(bench, &server, &server.tls(), Protocol::Http1, "wrk")
}

/// HTTP/2, by prior knowledge and over TLS.
pub(super) fn get_http2(bench: &Bench) -> Result<()> {
    let server = Nginx::start(bench.context)?;
    println!("\n## CPU per request over HTTP/2\n\nPrior knowledge:\n");
    against_peers(bench, &server, &server.h2(), Protocol::Http2(H2.1), "h2load")?;
    println!("\nOver TLS:\n");
    against_peers(bench, &server, &server.h2_tls(), Protocol::Http2(H2.1), "h2load")
}

/// A POST with all that is done about it, beside our own plain GET.
pub(super) fn post(bench: &Bench) -> Result<()> {
    let server = Nginx::start(bench.context)?;
    println!("\n## CPU per request with a body, an extract and checks\n");
    let target = target(&server.plain(), &json!({}));
    let load = users(CONNECTIONS, bench.seconds);
    let generator = |name: &str, steps| bench.programs.generator(bench.context, name, &spec(&target, &load, &steps));
    let generators = [generator("GET", get("/"))?, generator("POST", order())?];
    compare(bench, &server, &generators, "GET", &format!("{CONNECTIONS} connections"))
}

fn against_peers(bench: &Bench, server: &Nginx, url: &str, protocol: Protocol, first: &str) -> Result<()> {
    let (connections, more, shape) = match protocol {
        Protocol::Http1 => (CONNECTIONS, json!({}), format!("{CONNECTIONS} connections")),
        Protocol::Http2(streams) => (
            H2.0,
            json!({"protocol": "Http2", "connections": {"shared": H2.0, "streams": streams}}),
            format!("{} connections x {streams} streams", H2.0),
        ),
    };
    let load = Load { url: url.to_owned(), connections, seconds: bench.seconds, pace: Pace::Closed, protocol };
    let mut generators = peers::generators(bench.context, &load, &|name| bench.wants(name))?;
    let at_once = match protocol {
        Protocol::Http1 => connections,
        Protocol::Http2(streams) => connections * streams,
    };
    let ours = spec(&target(url, &more), &users(at_once, bench.seconds), &get("/"));
    generators.push(bench.programs.generator(bench.context, PROOFLOAD, &ours)?);
    compare(bench, server, &generators, first, &shape)
}

/// Runs each generator once in each round, and prints what it cost beside the one that is named first.
fn compare(bench: &Bench, server: &Nginx, generators: &[Generator], first: &str, shape: &str) -> Result<()> {
    let before = machine::load_average()?;
    let mut samples: Vec<Vec<Option<Sample>>> = generators.iter().map(|_| Vec::new()).collect();
    for round in 1..=bench.rounds {
        for (generator, samples) in generators.iter().zip(&mut samples) {
            let sample = run::run(bench.context, generator, server, bench.seconds).and_then(without_errors);
            match &sample {
                Ok(sample) => {
                    let (cpu, rate) = (sample.cpu(), sample.requests / sample.elapsed);
                    eprintln!("round {round}: {}: {cpu:.2} us, {rate:.0}/s", generator.name);
                }
                Err(error) => eprintln!("round {round}: {}: {error:#}", generator.name),
            }
            samples.push(sample.ok());
        }
    }
    println!(
        "nginx on core {SERVER_CORE}, generators on core {GENERATOR_CORE}, {shape}, {} rounds of {} s each, medians. Load \
         average {before} before and {} after.\n",
        bench.rounds,
        bench.seconds,
        machine::load_average()?
    );
    print_table(generators, &samples, first);
    Ok(())
}

/// A run of ours that met errors measured something else.
fn without_errors(sample: Sample) -> Result<Sample> {
    if let Ok(report) = ours::report(&sample.said)
        && let Some(errors) = report["errors"].as_u64()
    {
        let most = report["requests"].as_u64().unwrap_or(0) / 1000;
        anyhow::ensure!(errors <= most, "{errors} errors: {}", report["first_errors"]);
    }
    Ok(sample)
}

fn print_table(generators: &[Generator], samples: &[Vec<Option<Sample>>], first: &str) {
    let base = generators.iter().position(|generator| generator.name == first).unwrap_or(0);
    println!(
        "| generator | CPU us/request | of that in the kernel | ratio to {} (least to most) | requests/s | cores used by others |",
        generators[base].name
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    for (generator, own) in generators.iter().zip(samples) {
        let column = |of: fn(&Sample) -> f64| median(own.iter().flatten().map(of));
        // Each beside the base of its own round.
        let pairs = own.iter().zip(&samples[base]).filter_map(|(own, base)| Some((own.as_ref()?, base.as_ref()?)));
        let ratio = spread(pairs.map(|(own, base)| own.cpu() / base.cpu()));
        let ratio = ratio
            .map_or_else(|| "-".to_owned(), |(least, median, most)| format!("{median:.2} ({least:.2} to {most:.2})"));
        println!(
            "| {} | {} | {} | {ratio} | {} | {} |",
            generator.name,
            super::cell(column(Sample::cpu), 2),
            super::cell(column(Sample::in_kernel), 2),
            super::cell(column(|sample| sample.requests / sample.elapsed), 0),
            super::cell(column(|sample| sample.others), 2),
        );
    }
}

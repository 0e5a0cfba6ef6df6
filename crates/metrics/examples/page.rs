//! Prints the page of all metrics: what `docs/metrics.md` is generated from.

fn main() {
    print!("{}", proofload_metrics::page());
}

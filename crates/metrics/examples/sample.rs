//! Prints a value of each metric there is, as text, or with `open` as `OpenMetrics`: what `cargo xtask monitoring` has
//! Prometheus's own tools read.

use proofload_metrics::catalogue::{operator, runner};
use proofload_metrics::{Exposition, Format};

fn main() {
    let format =
        if std::env::args().nth(1).is_some_and(|said| said == "open") { Format::OpenMetrics } else { Format::Text };
    let each: Vec<_> = runner::ALL.iter().chain(operator::ALL).copied().collect();
    print!("{}", String::from_utf8_lossy(&format.write(&Exposition::of_each(&each))));
}

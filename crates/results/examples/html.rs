//! Prints the report of a file as a page of HTML: `cargo run -p proofload-results --example html FILE > page.html`.

use std::process::ExitCode;

use proofload_results::{Report, html};

fn main() -> ExitCode {
    let said = std::env::args().nth(1).ok_or_else(|| "expected the file of a report as JSON".to_owned());
    let bytes = said.and_then(|file| std::fs::read(&file).map_err(|error| format!("{file}: {error}")));
    match bytes.and_then(|bytes| Report::from_json(&bytes).map_err(|error| error.to_string())) {
        Ok(report) => {
            println!("{}", html::render(&report));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

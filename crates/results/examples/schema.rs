//! Prints the JSON Schema of a report: what `docs/report.schema.json` is generated from.

fn main() {
    let schema = serde_json::to_string_pretty(&proofload_results::Report::schema()).expect("a schema is JSON");
    println!("{schema}");
}

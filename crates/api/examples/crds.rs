//! Prints every custom resource definition as one YAML stream of JSON documents: what `cargo xtask crds` commits.

fn main() -> Result<(), serde_json::Error> {
    for crd in proofload_api::crds() {
        println!("{}", serde_json::to_string_pretty(&crd)?);
    }
    Ok(())
}

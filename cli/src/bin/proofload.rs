//! `proofload`.

fn main() -> std::process::ExitCode {
    proofload_cli::main("proofload")
}

//! `kubectl proofload`: the same command as a plugin of kubectl.

fn main() -> std::process::ExitCode {
    proofload_cli::main("kubectl proofload")
}

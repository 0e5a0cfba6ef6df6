//! The command line: `proofload`, also as a plugin of kubectl.
//!
//! Thin: it reads files, drives the conductor over engines in this process, and shows what comes. What is valid is said
//! by `proofload-api` and `proofload-plan`, what it means by `proofload-results`.

mod args;
mod baseline;
mod cluster;
mod compare;
mod demo;
mod exit;
mod file;
mod form;
mod new;
mod report;
mod run;
mod scale;
mod screen;
mod shelf;
mod signals;
mod trigger;
mod validate;
mod yaml;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use args::{Args, Command};
use exit::Exit;

/// Runs the command line of this process. `name` is how it was called, for help texts.
pub fn main(name: &'static str) -> ExitCode {
    let exit = match parse(name) {
        Ok(args) => execute(args.command, name).unwrap_or_else(|error| {
            eprintln!("error: {error:#}");
            Exit::Error
        }),
        Err(error) => {
            // Help and version are asked for, and end well.
            let exit = if error.use_stderr() { Exit::Error } else { Exit::Passed };
            // Where nobody reads the message any more, nothing is left to do about it.
            let _ = error.print();
            exit
        }
    };
    exit.into()
}

fn parse(name: &'static str) -> Result<Args, clap::Error> {
    let matches = Args::command().bin_name(name).try_get_matches()?;
    Args::from_arg_matches(&matches)
}

fn execute(command: Command, name: &'static str) -> anyhow::Result<Exit> {
    match command {
        Command::Run(args) => run::run(&args),
        Command::Validate(args) => validate::validate(&args),
        Command::New(args) => new::new(&args),
        Command::Report(args) => report::report(&args),
        Command::Compare(args) => compare::compare(&args),
        Command::Scale(args) => scale::scale(&args),
        Command::Trigger(args) => trigger::trigger(&args),
        Command::Version => screen::print(&format!("proofload {}\n", env!("CARGO_PKG_VERSION"))),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            let file = name.replace(' ', "-");
            clap_complete::generate(shell, &mut Args::command(), file, &mut script);
            screen::print(&String::from_utf8_lossy(&script))
        }
        Command::DemoTarget => demo::serve(),
    }
}

//! The command line, and nothing else: see [`happierwork::command`].

use std::process::ExitCode;

use clap::Parser;
use happierwork::config::Cli;

fn main() -> ExitCode {
    happierwork::command::run(Cli::parse())
}

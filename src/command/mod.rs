//! The commands of the program: what they do, what they print, how they end.
//!
//! Nothing here is used by a running server's surfaces; a command that works on a document's file locks it as the server
//! does, or only reads it.

mod check;
mod document;
mod export;
#[cfg(feature = "legacy")]
mod import;
mod key;
mod logging;
mod output;
mod serve;
mod token;
mod user;

use std::process::ExitCode;

use crate::config::{Cli, Command};

/// Something failed.
const FAILED: u8 = 1;
/// A checked file is not whole. (2 is a wrong flag: clap's.)
const NOT_WHOLE: u8 = 3;

/// Runs what was asked for.
#[must_use]
pub fn run(cli: Cli) -> ExitCode {
    match cli.command {
        None => serve::run(&cli.serve),
        Some(Command::Serve(args)) => serve::run(&args),
        Some(Command::Export(args)) => export::run(&args),
        #[cfg(feature = "legacy")]
        Some(Command::Import(args)) => import::run(&args),
        Some(Command::Check(args)) => check::run(&args),
        Some(Command::Document(args)) => document::run(&args),
        Some(Command::Key(args)) => key::run(&args),
        Some(Command::Token(args)) => token::run(&args),
        Some(Command::User(args)) => user::run(&args),
    }
}

/// Says what went wrong and how to go on, and gives the exit code for it.
fn fail(error: impl std::fmt::Display) -> ExitCode {
    output::note(format_args!("happierwork: {error}"));
    ExitCode::from(FAILED)
}

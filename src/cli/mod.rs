//! The command line: [`config`] parses flags and environment, and one module per subcommand runs it.
//!
//! `serve` runs the server. The other commands work on files, whose locks they take unless they only read, or on a database,
//! also while servers use it.

pub mod config;

mod access;
mod backup;
mod check;
mod copy_report;
mod document;
mod document_list;
mod export;
mod generate;
mod health;
#[cfg(feature = "legacy")]
mod import;
mod import_folder;
mod key;
mod logging;
mod migrate;
mod output;
mod progress;
mod restore;
mod serve;
mod storage;
mod token;
mod traces;
mod user;
mod webhook;

use std::process::ExitCode;

use config::{Cli, Command};

/// Exit code: the command failed.
const FAILED: u8 = 1;
/// Exit code of `check`: the file is not intact. (clap exits with 2 for invalid flags.)
const NOT_WHOLE: u8 = 3;

/// Runs the command and returns the exit code of the process.
#[must_use]
pub fn run(cli: Cli) -> ExitCode {
    match cli.command {
        None => serve::run(&cli.serve),
        Some(Command::Serve(args)) => serve::run(&args),
        Some(Command::Export(args)) => export::run(&args),
        Some(Command::Health(args)) => health::run(&args),
        Some(Command::Import(args)) if args.file.is_dir() => import_folder::run(&args),
        #[cfg(feature = "legacy")]
        Some(Command::Import(args)) => import::run(&args),
        #[cfg(not(feature = "legacy"))]
        Some(Command::Import(args)) => fail(format_args!("{} is not a folder", args.file.display())),
        Some(Command::Check(args)) => check::run(&args),
        Some(Command::Backup(args)) => backup::run(&args),
        Some(Command::Restore(args)) => restore::run(&args),
        Some(Command::Migrate(args)) => migrate::run(&args),
        Some(Command::Document(args)) => document::run(&args),
        Some(Command::Key(args)) => key::run(&args),
        Some(Command::Token(args)) => token::run(&args),
        Some(Command::User(args)) => user::run(&args),
        Some(Command::Webhook(args)) => webhook::run(&args),
        Some(Command::Generate(args)) => generate::run(&args),
    }
}

/// Prints an error to standard error and returns the exit code.
fn fail(error: impl std::fmt::Display) -> ExitCode {
    output::note(format_args!("happierwork: {error}"));
    ExitCode::from(FAILED)
}

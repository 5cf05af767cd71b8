//! `check`: reports whether a document file is intact.

use std::process::ExitCode;

use store::check::check;

use super::output::print;
use super::{NOT_WHOLE, fail};
use crate::cli::config::CheckArgs;

/// Exit codes: 0 intact, 3 not intact, 1 the file cannot be read.
pub(super) fn run(args: &CheckArgs) -> ExitCode {
    match check(&args.file) {
        Err(error) => fail(format!("{}: {error}", args.file.display())),
        Ok(report) => {
            if let Err(error) = print(&report) {
                return fail(error);
            }
            if report.is_intact() { ExitCode::SUCCESS } else { ExitCode::from(NOT_WHOLE) }
        }
    }
}

//! `check`: is this file whole?

use std::process::ExitCode;

use store::check::check;

use super::output::print;
use super::{NOT_WHOLE, fail};
use crate::config::CheckArgs;

/// 0: whole. 3: not whole. 1: it cannot be read.
pub(super) fn run(args: &CheckArgs) -> ExitCode {
    match check(&args.file) {
        Err(error) => fail(format!("{}: {error}", args.file.display())),
        Ok(report) => {
            if let Err(error) = print(&report) {
                return fail(error);
            }
            if report.is_whole() { ExitCode::SUCCESS } else { ExitCode::from(NOT_WHOLE) }
        }
    }
}

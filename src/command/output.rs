//! What a command prints.
//!
//! Standard output and standard error may be a full disk or a pipe that nobody reads any more. `println!` and `eprintln!` panic
//! then, which would end a server that only wanted to say where it listens. The functions here report the failure or ignore it.

use std::fmt::Display;
use std::io::{self, Write};

/// Standard output could not be written.
#[derive(Debug, thiserror::Error)]
#[error("standard output could not be written: {0}")]
pub(super) struct OutputError(#[from] io::Error);

/// Writes a line to standard output, and flushes it: what a program reads from a pipe is there at once.
///
/// # Errors
/// When it cannot be written. Some of it may have been.
pub(super) fn print(line: impl Display) -> Result<(), OutputError> {
    print_bytes(format!("{line}\n").as_bytes())
}

/// Writes bytes to standard output as they are.
///
/// # Errors
/// As for [`print`].
pub(super) fn print_bytes(bytes: &[u8]) -> Result<(), OutputError> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    Ok(out.flush()?)
}

/// Writes a line for people to standard error. A failure is ignored: there is no other place to report it.
pub(super) fn note(line: impl Display) {
    // One write, so that lines of several processes in one file do not run into each other.
    let _ = io::stderr().lock().write_all(format!("{line}\n").as_bytes());
}

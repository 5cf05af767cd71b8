//! Printing to standard output and standard error without panics.
//!
//! Both may be a full disk or a closed pipe. `println!` and `eprintln!` panic then, which would end a server that only prints
//! its addresses. The functions here return the error or ignore it.

use std::fmt::Display;
use std::io::{self, Write};

use serde::Serialize;

/// Most characters of a text that clients have written, in a line for people.
const MAX_SHOWN: usize = 200;

/// Writing to standard output failed.
#[derive(Debug, thiserror::Error)]
#[error("standard output could not be written: {0}")]
pub(super) struct OutputError(#[from] io::Error);

/// Writes a line to standard output and flushes it, so that a reader of a pipe gets it immediately.
///
/// # Errors
/// If the write fails. Part of the line may have been written.
pub(super) fn print(line: impl Display) -> Result<(), OutputError> {
    print_bytes(format!("{line}\n").as_bytes())
}

/// Writes a value as indented JSON to standard output.
///
/// # Errors
/// As for [`print`].
pub(super) fn print_json(value: &impl Serialize) -> Result<(), OutputError> {
    print(serde_json::to_string_pretty(value).map_err(io::Error::from)?)
}

/// A text that clients have written, for a line on a terminal: control characters could change what other lines show.
pub(super) fn printable(text: &str) -> String {
    let shown = text.chars().take(MAX_SHOWN).map(|letter| if letter.is_control() { '\u{fffd}' } else { letter });
    let rest = if text.chars().nth(MAX_SHOWN).is_some() { "…" } else { "" };
    shown.collect::<String>() + rest
}

/// Writes bytes to standard output unchanged.
///
/// # Errors
/// As for [`print`].
pub(super) fn print_bytes(bytes: &[u8]) -> Result<(), OutputError> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    Ok(out.flush()?)
}

/// Writes a line for people to standard error. Ignores errors, because they could be reported on standard error only.
pub(super) fn note(line: impl Display) {
    // One write per line, so that lines of several processes in one file do not interleave.
    let _ = io::stderr().lock().write_all(format!("{line}\n").as_bytes());
}

/// A number with its noun, in the singular or the plural.
pub(super) fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_clients_stay_on_their_line() {
        assert_eq!(printable("Growth 2027 ₹"), "Growth 2027 ₹");
        assert_eq!(printable("a\n\u{1b}[2Jb"), "a\u{fffd}\u{fffd}[2Jb");
        assert_eq!(printable(&"x".repeat(201)), format!("{}…", "x".repeat(200)));
    }
}

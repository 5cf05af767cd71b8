//! Progress of long work, as a bar on a terminal. Nothing is drawn if standard error is not one.

use std::fmt::Display;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output::{OutputError, note, print};

/// Interval at which the bar is drawn while nothing finishes.
const TICK: Duration = Duration::from_millis(500);

/// A bar that disappears when it is dropped.
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// `noun`: what is counted, in the plural. The total may be set later.
    pub(super) fn new(noun: &'static str, total: usize) -> Self {
        let bar = ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::stderr());
        // The template is constant, so it is valid.
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos} of {len} {msg}  {eta}") {
            bar.set_style(style);
        }
        bar.set_message(noun);
        if !bar.is_hidden() {
            bar.tick();
            bar.enable_steady_tick(TICK);
        }
        Self(bar)
    }

    /// One more is finished.
    pub(super) fn step(&self) {
        self.0.inc(1);
    }

    /// So many of so many are finished.
    pub(super) fn set(&self, done: usize, total: usize) {
        self.0.set_length(total as u64);
        self.0.set_position(done as u64);
    }

    /// Prints a line to standard output, above the bar.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub(super) fn print(&self, line: impl Display) -> Result<(), OutputError> {
        self.0.suspend(|| print(line))
    }

    /// Removes the bar.
    pub(super) fn end(&self) {
        self.0.finish_and_clear();
    }

    /// Prints a line for people to standard error, above the bar.
    pub(super) fn note(&self, line: impl Display) {
        self.0.suspend(|| note(line));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}

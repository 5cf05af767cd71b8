//! What is measured.

mod fan_out;
mod stage;

use crate::Fallible;
use crate::run::Run;

/// A scenario by its name.
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// What it shows.
    pub about: &'static str,
    /// Runs it.
    pub run: fn(&mut Run) -> Fallible<()>,
}

/// All scenarios, in the order in which they are run.
pub const ALL: &[Scenario] =
    &[Scenario { name: "fan-out", about: "one document, few writers, many viewers", run: fan_out::run }];

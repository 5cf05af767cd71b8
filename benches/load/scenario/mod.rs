//! What is measured.

mod cold_start;
mod documents;
mod export;
mod fan_out;
mod join;
mod legacy;
mod memory;
mod reconnect;
mod sequential;
mod stage;
mod stalled;

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
pub const ALL: &[Scenario] = &[
    Scenario { name: "fan-out", about: "one document, few writers, many viewers", run: fan_out::run },
    Scenario { name: "history", about: "fan-out of documents with a long history", run: fan_out::history },
    Scenario { name: "documents", about: "1,000 documents at once", run: documents::run },
    Scenario { name: "cold-join", about: "newcomers to a large document", run: join::cold },
    Scenario { name: "join-storm", about: "everybody comes back after a restart", run: join::storm },
    Scenario { name: "reconnect", about: "offline edits come in at once", run: reconnect::run },
    Scenario { name: "sequential", about: "each edit waits for the last", run: sequential::run },
    Scenario { name: "legacy", about: "many legacy sockets", run: legacy::run },
    Scenario { name: "export", about: "the document as JSON", run: export::run },
    Scenario { name: "memory", about: "what connections and documents take", run: memory::run },
    Scenario { name: "cold-start", about: "a long history is read", run: cold_start::run },
    Scenario { name: "stalled", about: "some viewers stop reading", run: stalled::run },
];

//! The measured scenarios.

pub mod attack;
mod cluster;
mod cold_start;
mod documents;
mod export;
mod fan_out;
mod feed;
mod join;
mod large;
mod legacy;
mod memory;
mod reconnect;
mod revocation;
mod sequential;
mod soak;
mod stage;
mod stalled;

use crate::Fallible;
use crate::run::Run;

/// A named scenario.
pub struct Scenario {
    /// Name on the command line.
    pub name: &'static str,
    /// What it measures.
    pub about: &'static str,
    /// Whether it runs only on request.
    pub only_if_named: bool,
    /// Runs it.
    pub run: fn(&mut Run) -> Fallible<()>,
}

/// All scenarios, in the order in which they are run.
pub const ALL: &[Scenario] = &[
    Scenario {
        name: "fan-out",
        about: "one document, few writers, many viewers",
        only_if_named: false,
        run: fan_out::run,
    },
    Scenario {
        name: "history",
        about: "fan-out of documents with a long history",
        only_if_named: false,
        run: fan_out::history,
    },
    Scenario { name: "users", about: "fan-out to clients with tokens", only_if_named: false, run: fan_out::users },
    Scenario {
        name: "revocation",
        about: "revoked clients are disconnected at once",
        only_if_named: false,
        run: revocation::run,
    },
    Scenario { name: "documents", about: "1,000 documents at once", only_if_named: false, run: documents::run },
    Scenario { name: "cold-join", about: "new clients of a large document", only_if_named: false, run: join::cold },
    Scenario {
        name: "join-storm",
        about: "all clients reconnect after a restart",
        only_if_named: false,
        run: join::storm,
    },
    Scenario {
        name: "reconnect",
        about: "clients reconnect with offline edits",
        only_if_named: false,
        run: reconnect::run,
    },
    Scenario { name: "sequential", about: "each edit waits for the last", only_if_named: false, run: sequential::run },
    Scenario { name: "legacy", about: "many legacy sockets", only_if_named: false, run: legacy::run },
    Scenario {
        name: "feed",
        about: "subscribers of the change feed beside viewers",
        only_if_named: false,
        run: feed::run,
    },
    Scenario { name: "export", about: "the document as JSON", only_if_named: false, run: export::run },
    Scenario { name: "large-plan", about: "plans of up to 100,000 positions", only_if_named: false, run: large::run },
    Scenario { name: "memory", about: "memory of connections and documents", only_if_named: false, run: memory::run },
    Scenario { name: "cold-start", about: "start with a long history", only_if_named: false, run: cold_start::run },
    Scenario { name: "cluster", about: "several servers on one database", only_if_named: false, run: cluster::run },
    Scenario { name: "stalled", about: "some viewers stop reading", only_if_named: false, run: stalled::run },
    Scenario {
        name: "attack",
        about: "fifty honest clients and thousands of attackers",
        only_if_named: false,
        run: attack::run,
    },
    Scenario {
        name: "hostile-user",
        about: "fifty clients of one user, attacked by another user",
        only_if_named: false,
        run: attack::hostile_user::run,
    },
    Scenario {
        name: "attacks",
        about: "the same, one attack after the other",
        only_if_named: true,
        run: attack::hostile_user::one_by_one,
    },
    Scenario {
        name: "soak",
        about: "clients connect and disconnect for a long time",
        only_if_named: true,
        run: soak::run,
    },
];

//! Order of the servers, and notes about them.

use crate::results::Results;

/// In the order of the report, each with a note for comparisons.
const KNOWN: [(&str, &str); 8] = [
    ("happierwork", "this server; a change is on disk (`fdatasync`) before it is acknowledged or relayed"),
    ("floor", "an axum WebSocket server that hands bytes to everybody: no documents, no disk"),
    (
        "sync-server",
        "the published Node.js reference server, as it is; it relays and saves a document at most every 100 ms, and \
         does not wait for the disk before it acknowledges",
    ),
    (
        "automerge-repo",
        "the smallest server of today's automerge-repo packages on Node.js; it relays and saves like sync-server",
    ),
    (
        "samod",
        "the smallest server of samod, with its own axum integration; it writes at once, and does not wait for the disk",
    ),
    (
        "1 on PostgreSQL",
        "this server with a PostgreSQL database; a change is committed (`fsync`) before it is acknowledged or relayed",
    ),
    ("3 on PostgreSQL", "three of these servers on one PostgreSQL database, with the same promise"),
    (
        "hocuspocus",
        "three Hocuspocus servers on Node.js that exchange Yjs updates through Redis; nothing is stored before it is \
         acknowledged or relayed, and what Redis does not deliver is missing until the next edit",
    ),
];

/// All servers of a run, known ones first, in their order.
pub fn of(results: &Results) -> Vec<&str> {
    let mut names: Vec<&str> = results.measurements.iter().map(|measurement| measurement.server.as_str()).collect();
    names.sort_unstable_by_key(|name| (place(name), *name));
    names.dedup();
    names
}

/// Position of a server, which also selects its colour. Unknown servers come last and share a colour.
pub fn place(name: &str) -> usize {
    KNOWN.iter().position(|(known, _)| *known == name).unwrap_or(KNOWN.len())
}

/// The note about a server.
pub fn about(name: &str) -> Option<&'static str> {
    KNOWN.get(place(name)).map(|(_, about)| *about)
}

/// Whether the name is in the list above.
pub fn is_known(name: &str) -> bool {
    place(name) < KNOWN.len()
}

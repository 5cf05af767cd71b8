//! The upper bound of the server's memory under any load: the one place where the sum of docs/operations.md is
//! calculated, from the defaults of the flags and on two processors.

use happierwork::server::MESSAGE_MEMORY;
use sync_engine::DOCUMENT_OPERATIONS;

use super::number::{exact, thousands};

const KIB: f64 = 1024.0;
const MIB: f64 = 1024.0 * KIB;

/// The process without documents and connections, in MiB.
const PROCESS_MIB: u32 = 20;
/// A connection, in KiB.
const CONNECTION_KIB: u32 = 24;
/// A small document that is open, in KiB; more than the target for one, as the hostile ones are not small.
const DOCUMENT_KIB: u32 = 128;
/// What Automerge takes for each operation while it applies a message that holds a whole document, in bytes. Such
/// messages are applied one at a time.
const OPERATION: u32 = 500;
/// How often `--max-message-memory` may be taken.
const TIMES: u32 = 2;

/// The bound with so many connections and small open documents, in MiB. `operations`: those of the largest message that
/// anybody sends, at most `--max-document-operations`.
pub fn mib(connections: u64, documents: u64, operations: u64) -> f64 {
    f64::from(PROCESS_MIB)
        + connections as f64 * f64::from(CONNECTION_KIB) / KIB
        + documents as f64 * f64::from(DOCUMENT_KIB) / KIB
        + f64::from(TIMES) * MESSAGE_MEMORY as f64 / MIB
        + f64::from(OPERATION) * operations as f64 / MIB
}

/// The bound with this number of connections under any load, in MiB.
pub fn upper_bound_mib(connections: u64) -> f64 {
    mib(connections, 0, DOCUMENT_OPERATIONS)
}

/// How [`upper_bound_mib`] is calculated.
pub fn words(connections: u64) -> String {
    format!(
        "{} MiB, its bound: {PROCESS_MIB} MiB + {CONNECTION_KIB} KiB × {} + {TIMES} × {} MiB (`--max-message-memory`) + {OPERATION} B \
         × {} (`--max-document-operations`: one message that holds a whole document)",
        thousands(upper_bound_mib(connections)),
        thousands(connections as f64),
        exact(MESSAGE_MEMORY as f64 / MIB),
        thousands(DOCUMENT_OPERATIONS as f64),
    )
}

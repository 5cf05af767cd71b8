//! Upper bound of the server's memory under any load: computes the sum in docs/operations.md from the defaults of the
//! flags, for two processors.

use happierwork::server::MESSAGE_MEMORY;
use sync_engine::DOCUMENT_OPERATIONS;

use super::number::{exact, thousands};

const KIB: f64 = 1024.0;
const MIB: f64 = 1024.0 * KIB;

/// The process without documents and connections, in MiB.
const PROCESS_MIB: u32 = 20;
/// A connection, in KiB.
const CONNECTION_KIB: u32 = 24;
/// An open small document, in KiB. Larger than the target for one, as hostile documents are not small.
const DOCUMENT_KIB: u32 = 128;
/// Bytes that Automerge uses per operation while it applies a message with a whole document. Such messages are
/// applied one at a time.
const OPERATION: u32 = 500;
/// Multiples of `--max-message-memory` that may be in use.
const TIMES: u32 = 2;

/// The bound with this number of connections and open small documents, in MiB. `operations`: those of the largest
/// message that any client sends, at most `--max-document-operations`.
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

/// Explains the computation of [`upper_bound_mib`].
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

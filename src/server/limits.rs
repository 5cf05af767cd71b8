//! Limits per client, per address and in total. docs/operations.md describes what happens at each limit.

use std::net::IpAddr;
use std::time::Duration;

use store::OpenFileLimits;
use sync_engine::{DOCUMENT_ACTOR_CHANGES, DOCUMENT_BYTES, DOCUMENT_CHANGES, DOCUMENT_OPERATIONS};

/// The limits of a server. For numbers of connections and for rates, 0 disables the limit.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Maximum number of connections in total.
    pub connections: usize,
    /// File descriptors for the store.
    pub open_files: OpenFileLimits,
    /// Maximum number of connections per client address. A /64 network of IPv6 counts as one address.
    pub connections_per_address: usize,
    /// Proxies whose forwarding headers are trusted.
    pub trusted_proxies: Vec<IpAddr>,
    /// Time limit for the head of an HTTP request, and for the `join` message of automerge-repo.
    pub handshake: Duration,
    /// Messages per second on one socket. The burst is two seconds of the rate.
    pub messages_per_second: u32,
    /// Bytes per second on one socket, and of all sockets of one user. The burst is eight seconds of the rate.
    pub bytes_per_second: u32,
    /// Maximum number of documents that one socket may sync.
    pub documents_per_connection: usize,
    /// Maximum size of a document in the store, in bytes.
    pub document_bytes: u64,
    /// Maximum number of operations in a document.
    pub document_operations: u64,
    /// Maximum number of changes in a document.
    pub document_changes: u64,
    /// Maximum of a document's number of changes times its number of actors.
    pub document_actor_changes: u64,
    /// Maximum number of missing documents that one connection may wait for.
    pub pending_per_connection: usize,
    /// Documents that may be created per minute, by all clients together. 0 disables the limit.
    pub new_documents_per_minute: u32,
    /// Burst of new documents, so that a first upload of many documents is not throttled.
    pub new_documents_at_once: u32,
    /// Maximum memory for large messages of all connections together, in bytes. 0 disables the limit.
    pub message_memory: u64,
    /// Maximum size of the data of an ephemeral message, in bytes.
    pub ephemeral_bytes: usize,
    /// Ephemeral messages per second on one socket. The burst is two seconds of the rate.
    pub ephemerals_per_second: u32,
}

/// Burst of messages, in seconds of the rate.
pub const MESSAGES_BURST: f64 = 2.0;
/// Burst of bytes, in seconds of the rate: the first sync of a large document is not throttled.
pub const BYTES_BURST: f64 = 8.0;
/// Burst of new documents, in minutes of the rate.
pub const NEW_DOCUMENTS_BURST: u32 = 10;
/// Burst of ephemeral messages, in seconds of the rate.
pub const EPHEMERALS_BURST: f64 = 2.0;
/// Default of [`Limits::message_memory`]: fits one message with a whole document, and more.
pub const MESSAGE_MEMORY: u64 = 320 << 20;
/// Maximum size of a message in addition to the document that it contains: heads, filters, lengths of changes.
const ENVELOPE: u64 = 8 << 20;
/// Size of the largest message if neither documents nor memory are bounded.
const LARGEST_MESSAGE: u64 = 1 << 30;

impl Limits {
    /// Size of the largest message that is useful: it contains a whole document.
    #[must_use]
    pub fn largest_message(&self) -> u64 {
        let memory = if self.message_memory == 0 { u64::MAX } else { self.message_memory };
        self.document_bytes.saturating_add(ENVELOPE).min(memory).min(LARGEST_MESSAGE)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            open_files: OpenFileLimits::default(),
            connections_per_address: 2_000,
            trusted_proxies: Vec::new(),
            handshake: Duration::from_secs(10),
            messages_per_second: 10_000,
            bytes_per_second: 32 << 20,
            documents_per_connection: 10_000,
            document_bytes: DOCUMENT_BYTES,
            document_operations: DOCUMENT_OPERATIONS,
            document_changes: DOCUMENT_CHANGES,
            document_actor_changes: DOCUMENT_ACTOR_CHANGES,
            pending_per_connection: 1_000,
            new_documents_per_minute: 1_200,
            new_documents_at_once: 1_200 * NEW_DOCUMENTS_BURST,
            message_memory: MESSAGE_MEMORY,
            ephemeral_bytes: 64 << 10,
            ephemerals_per_second: 200,
        }
    }
}

/// File descriptors in addition to those of connections and of the store: standard streams, listeners, timers, signals, and files
/// that are read occasionally (keys, accounts, certificates).
const OTHER_FILES: usize = 32;

/// Divides the file descriptors of the process between connections and the store. Returns the limit of connections: at most
/// `wanted` (0: as many as possible). Even if clients open all connections, documents can be written.
#[must_use]
pub fn within_open_files(wanted: usize, open_files: u64) -> (usize, OpenFileLimits) {
    let open_files = usize::try_from(open_files).unwrap_or(usize::MAX);
    let store = OpenFileLimits::for_descriptor_limit(open_files);
    let rest = open_files.saturating_sub(OTHER_FILES + store.max_descriptors());
    // An eighth more, and at least 8, are open while they are rejected.
    let max = (rest / 9 * 8).min(rest.saturating_sub(8)).min(open_files / 4 * 3).max(1);
    (if wanted == 0 { max } else { wanted.min(max) }, store)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn largest_message_fits_a_document_and_the_memory_limit() {
        let limits = Limits::default();
        assert!(limits.largest_message() > limits.document_bytes && limits.largest_message() < limits.message_memory);
        let unbounded = Limits { document_bytes: u64::MAX, message_memory: 0, ..Limits::default() };
        assert_eq!(unbounded.largest_message(), LARGEST_MESSAGE);
        assert_eq!(Limits { document_bytes: u64::MAX, ..limits }.largest_message(), MESSAGE_MEMORY);
    }

    #[test]
    fn connections_leave_files_for_the_store() {
        let connections = |wanted, open_files| within_open_files(wanted, open_files).0;
        assert_eq!(connections(10_000, 1_048_576), 10_000);
        assert_eq!(connections(10_000, 1_024), 680);
        assert_eq!(connections(0, 1_024), 680, "open files are a limit as well");
        assert_eq!(connections(5, u64::MAX), 5);
        assert_eq!(connections(5, 0), 1);
    }

    #[test]
    fn connections_and_store_stay_within_the_open_files() {
        for open_files in [128, 256, 1_024, 4_096, 65_536, 1_048_576] {
            let (connections, store) = within_open_files(0, open_files);
            let rejected = (connections / 8).clamp(8, 512);
            let all = connections + rejected + store.max_descriptors() + OTHER_FILES;
            assert!(all as u64 <= open_files, "{all} of {open_files}");
            assert!(connections as u64 >= open_files / 4, "{connections} of {open_files}");
        }
    }
}

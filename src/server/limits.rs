//! What one client, one address and all of them together may take of the server. docs/operations.md says what happens at
//! each limit.

use std::net::IpAddr;
use std::time::Duration;

use store::OpenFileLimits;
use sync_engine::{DOCUMENT_ACTOR_CHANGES, DOCUMENT_BYTES, DOCUMENT_CHANGES, DOCUMENT_OPERATIONS};

/// The limits of a server. For connections, and for what may come in a second, 0 is no limit.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections in total.
    pub connections: usize,
    /// Descriptors that the store may have.
    pub open_files: OpenFileLimits,
    /// Connections from one address; a /64 of IPv6 is one address.
    pub connections_per_address: usize,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// How long a client may take to say what it wants: the head of an HTTP request, the `join` of automerge-repo.
    pub handshake: Duration,
    /// Messages a second of one socket; it may send [`MESSAGES_BURST`] seconds' worth at once.
    pub messages_per_second: u32,
    /// Bytes a second of one socket; it may send [`BYTES_BURST`] seconds' worth at once.
    pub bytes_per_second: u32,
    /// Documents that one socket may sync.
    pub documents_per_connection: usize,
    /// Bytes that a document may take in the store.
    pub document_bytes: u64,
    /// Operations that a document may have.
    pub document_operations: u64,
    /// Changes that a document may have.
    pub document_changes: u64,
    /// Its changes times its actors.
    pub document_actor_changes: u64,
    /// Documents that do not exist and that one connection may wait for.
    pub pending_per_connection: usize,
    /// Documents that may be created per minute, by all clients together. 0 disables the limit.
    pub new_documents_per_minute: u32,
    /// Documents that may be created at once after a quiet time: a first upload is not slowed down.
    pub new_documents_at_once: u32,
    /// Bytes that large messages may take, all connections together. 0: any number.
    pub message_memory: u64,
    /// Bytes that an ephemeral message may carry.
    pub ephemeral_bytes: usize,
    /// Ephemeral messages a second of one socket; it may send [`EPHEMERALS_BURST`] seconds' worth at once.
    pub ephemerals_per_second: u32,
}

/// Seconds' worth of messages that may come at once.
pub const MESSAGES_BURST: f64 = 2.0;
/// Burst of bytes, in seconds of the rate: the first sync of a large document is not throttled.
pub const BYTES_BURST: f64 = 8.0;
/// Minutes' worth of new documents that may be created at once.
pub const NEW_DOCUMENTS_BURST: u32 = 10;
/// Seconds' worth of ephemeral messages that may come at once.
pub const EPHEMERALS_BURST: f64 = 2.0;
/// Bytes that large messages may take unless told otherwise: one that brings a whole document, and some.
pub const MESSAGE_MEMORY: u64 = 320 << 20;
/// Bytes of a message beside the document that it brings: heads, filters, the lengths of changes.
const ENVELOPE: u64 = 8 << 20;
/// The largest message where neither documents nor memory are bounded.
const LARGEST_MESSAGE: u64 = 1 << 30;

impl Limits {
    /// Bytes of the largest message that is of any use: it brings a whole document.
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

/// Descriptors beside those of connections and of the store: standard streams, listeners, timers and signals, and what is read now
/// and then (keys, accounts, certificates).
const OTHER_FILES: usize = 32;

/// The connections that a process may take which may have so many files open, and what is left to its store. All together
/// never need more, so that a client who takes all the connections that there may be leaves the documents writable. `wanted`: the limit of
/// connections otherwise; 0 for none.
#[must_use]
pub fn within_open_files(wanted: usize, open_files: u64) -> (usize, OpenFileLimits) {
    let open_files = usize::try_from(open_files).unwrap_or(usize::MAX);
    let store = OpenFileLimits::for_descriptor_limit(open_files);
    let rest = open_files.saturating_sub(OTHER_FILES + store.max_descriptors());
    // Some more connections are told that there is no room: an eighth, and 8 at the least.
    let most = (rest / 9 * 8).min(rest.saturating_sub(8)).min(open_files / 4 * 3).max(1);
    (if wanted == 0 { most } else { wanted.min(most) }, store)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_document_fits_into_a_message_and_into_memory() {
        let limits = Limits::default();
        assert!(limits.largest_message() > limits.document_bytes && limits.largest_message() < limits.message_memory);
        let unbounded = Limits { document_bytes: u64::MAX, message_memory: 0, ..Limits::default() };
        assert_eq!(unbounded.largest_message(), LARGEST_MESSAGE);
        assert_eq!(Limits { document_bytes: u64::MAX, ..limits }.largest_message(), MESSAGE_MEMORY);
    }

    #[test]
    fn a_process_keeps_some_files_for_its_documents() {
        let connections = |wanted, open_files| within_open_files(wanted, open_files).0;
        assert_eq!(connections(10_000, 1_048_576), 10_000);
        assert_eq!(connections(10_000, 1_024), 680);
        assert_eq!(connections(0, 1_024), 680, "the files are a limit, too");
        assert_eq!(connections(5, u64::MAX), 5);
        assert_eq!(connections(5, 0), 1);
    }

    #[test]
    fn all_that_may_be_open_fits_into_the_limit() {
        for open_files in [128, 256, 1_024, 4_096, 65_536, 1_048_576] {
            let (connections, store) = within_open_files(0, open_files);
            let last_words = (connections / 8).clamp(8, 512);
            let all = connections + last_words + store.max_descriptors() + OTHER_FILES;
            assert!(all as u64 <= open_files, "{all} of {open_files}");
            assert!(connections as u64 >= open_files / 4, "{connections} of {open_files}");
        }
    }
}

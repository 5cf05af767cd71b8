//! Flags that bound what clients may use of the server's resources.

use std::net::IpAddr;
use std::time::Duration;

use clap::Args;
use store::OpenFileLimits;
use sync_engine::{DOCUMENT_ACTOR_CHANGES, DOCUMENT_BYTES, DOCUMENT_CHANGES, DOCUMENT_OPERATIONS};

use crate::server::{Limits, MESSAGE_MEMORY, NEW_DOCUMENTS_BURST};

/// Limit flags. docs/operations.md describes what happens when each limit is exceeded.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits (0 disables a limit)")]
pub struct LimitArgs {
    /// Maximum number of connections (lower if the system's open file limit requires it)
    #[arg(long, value_name = "COUNT", env = "HAPPIERWORK_MAX_CONNECTIONS", default_value_t = 10_000)]
    pub max_connections: usize,
    /// Maximum number of connections from one address
    #[arg(long, value_name = "COUNT", env = "HAPPIERWORK_MAX_CONNECTIONS_PER_ADDRESS", default_value_t = 2_000)]
    pub max_connections_per_address: usize,
    /// Proxy whose X-Forwarded-For header is trusted for client addresses; repeatable
    #[arg(long, value_name = "ADDR", env = "HAPPIERWORK_TRUSTED_PROXY", value_delimiter = ',')]
    pub trusted_proxy: Vec<IpAddr>,
    /// Time limit for the head of an HTTP request and for the join message of a WebSocket client, in seconds
    #[arg(long, value_name = "SECONDS", env = "HAPPIERWORK_HANDSHAKE_TIMEOUT", default_value_t = 10,
          value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub handshake_timeout: u64,
    /// Messages per second on one WebSocket; clients that exceed the limit are throttled
    #[arg(long, value_name = "COUNT", env = "HAPPIERWORK_MESSAGES_PER_SECOND", default_value_t = 10_000)]
    pub messages_per_second: u32,
    /// Bytes per second on one WebSocket, and on all WebSockets of one user; clients that exceed the limit are throttled
    #[arg(long, value_name = "BYTES", env = "HAPPIERWORK_BYTES_PER_SECOND", default_value_t = 32 << 20)]
    pub bytes_per_second: u32,
    /// Maximum number of documents that one WebSocket may sync
    #[arg(long, value_name = "COUNT", env = "HAPPIERWORK_MAX_DOCUMENTS_PER_CONNECTION", default_value_t = 10_000)]
    pub max_documents_per_connection: usize,
    /// Maximum size of a document on disk, in bytes; a document at its limit is read-only
    #[arg(long, value_name = "BYTES", env = "HAPPIERWORK_MAX_DOCUMENT_BYTES", default_value_t = DOCUMENT_BYTES)]
    pub max_document_bytes: u64,
    /// Maximum number of changes in a document; a document at its limit is read-only
    #[arg(long, value_name = "COUNT", env = "HAPPIERWORK_MAX_DOCUMENT_CHANGES", default_value_t = DOCUMENT_CHANGES)]
    pub max_document_changes: u64,
    /// Maximum number of operations (keys set, characters typed) in a document; a document at its limit is read-only
    #[arg(long, value_name = "COUNT", env = "HAPPIERWORK_MAX_DOCUMENT_OPERATIONS", default_value_t = DOCUMENT_OPERATIONS)]
    pub max_document_operations: u64,
    /// Maximum number of changes times actors in a document; a document at its limit is read-only. Every client session that
    /// writes is an actor. A million take about 0.3 MB of memory. Capped at 2,000,000,000, also if disabled
    #[arg(long, value_name = "COUNT", env = "HAPPIERWORK_MAX_DOCUMENT_ACTOR_CHANGES", default_value_t = DOCUMENT_ACTOR_CHANGES)]
    pub max_document_actor_changes: u64,
    /// Maximum number of missing documents that one WebSocket may wait for
    #[arg(long, value_name = "COUNT", env = "HAPPIERWORK_MAX_PENDING_PER_CONNECTION", default_value_t = 1_000)]
    pub max_pending_per_connection: usize,
    /// New documents per minute, by all clients together, with a burst of ten minutes' worth; sync clients that exceed the
    /// limit wait
    #[arg(long, value_name = "COUNT", env = "HAPPIERWORK_NEW_DOCUMENTS_PER_MINUTE", default_value_t = 1_200)]
    pub new_documents_per_minute: u32,
    /// Memory for messages over 64 KiB of all clients together, in bytes, while they are received and queued; raised to
    /// --max-message if that is larger
    #[arg(long, value_name = "BYTES", env = "HAPPIERWORK_MAX_MESSAGE_MEMORY", default_value_t = MESSAGE_MEMORY)]
    pub max_message_memory: u64,
    /// Maximum size of an ephemeral message (presence, cursors), in bytes; larger messages are dropped
    #[arg(long, value_name = "BYTES", env = "HAPPIERWORK_MAX_EPHEMERAL", default_value_t = 64 << 10)]
    pub max_ephemeral: usize,
    /// Ephemeral messages per second on one WebSocket; messages that exceed the limit are dropped
    #[arg(long, value_name = "COUNT", env = "HAPPIERWORK_EPHEMERAL_PER_SECOND", default_value_t = 200)]
    pub ephemeral_per_second: u32,
}

impl LimitArgs {
    /// Converts the flags to the server's limits.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            connections: self.max_connections,
            open_files: OpenFileLimits::default(),
            connections_per_address: self.max_connections_per_address,
            trusted_proxies: self.trusted_proxy.clone(),
            handshake: Duration::from_secs(self.handshake_timeout),
            messages_per_second: self.messages_per_second,
            bytes_per_second: self.bytes_per_second,
            documents_per_connection: none_if_zero(self.max_documents_per_connection, usize::MAX),
            document_bytes: none_if_zero(self.max_document_bytes, u64::MAX),
            document_changes: none_if_zero(self.max_document_changes, u64::MAX),
            document_operations: none_if_zero(self.max_document_operations, u64::MAX),
            document_actor_changes: none_if_zero(self.max_document_actor_changes, u64::MAX),
            pending_per_connection: none_if_zero(self.max_pending_per_connection, usize::MAX),
            new_documents_per_minute: self.new_documents_per_minute,
            new_documents_at_once: self.new_documents_per_minute.saturating_mul(NEW_DOCUMENTS_BURST),
            message_memory: self.max_message_memory,
            ephemeral_bytes: none_if_zero(self.max_ephemeral, usize::MAX),
            ephemerals_per_second: self.ephemeral_per_second,
        }
    }
}

/// Maps 0, which disables a limit, to the maximum.
fn none_if_zero<N: From<u8> + PartialEq>(limit: N, max: N) -> N {
    if limit == N::from(0) { max } else { limit }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::config::Cli;

    #[test]
    fn flags_default_to_default_limits() {
        let flags = Cli::try_parse_from(["happierwork"]).expect("parses").serve.limits;
        assert_eq!(format!("{:?}", flags.limits()), format!("{:?}", Limits::default()));
    }

    #[test]
    fn zero_disables_a_limit() {
        let flags = ["happierwork", "--max-documents-per-connection=0", "--max-ephemeral=0"];
        let limits = Cli::try_parse_from(flags).expect("parses").serve.limits.limits();
        assert_eq!((limits.documents_per_connection, limits.ephemeral_bytes), (usize::MAX, usize::MAX));
    }
}

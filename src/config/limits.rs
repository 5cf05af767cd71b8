//! The flags of what clients may take of a server.

use std::net::IpAddr;
use std::time::Duration;

use clap::Args;
use store::OpenFiles;
use sync_engine::{DOCUMENT_ACTOR_CHANGES, DOCUMENT_BYTES, DOCUMENT_CHANGES, DOCUMENT_OPERATIONS};

use crate::server::{Limits, MESSAGE_MEMORY, NEW_DOCUMENTS_BURST};

/// Flags of the limits. What happens at each of them is in docs/operations.md.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits (0: none)")]
pub struct LimitArgs {
    /// Connections in total (fewer where the system allows too few open files)
    #[arg(long, value_name = "COUNT", env = "HAPPIERWORK_MAX_CONNECTIONS", default_value_t = 10_000)]
    pub max_connections: usize,
    /// Connections from one address
    #[arg(long, value_name = "COUNT", env = "HAPPIERWORK_MAX_CONNECTIONS_PER_ADDRESS", default_value_t = 2_000)]
    pub max_connections_per_address: usize,
    /// A proxy whose X-Forwarded-For says from where its clients come; may be given several times
    #[arg(long, value_name = "ADDR", env = "HAPPIERWORK_TRUSTED_PROXY", value_delimiter = ',')]
    pub trusted_proxy: Vec<IpAddr>,
    /// Seconds for the head of an HTTP request, and for the join of a WebSocket client
    #[arg(long, value_name = "SECONDS", env = "HAPPIERWORK_HANDSHAKE_TIMEOUT", default_value_t = 10,
          value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub handshake_timeout: u64,
    /// Messages a second of one WebSocket; whoever is faster is slowed down
    #[arg(long, value_name = "COUNT", env = "HAPPIERWORK_MESSAGES_PER_SECOND", default_value_t = 10_000)]
    pub messages_per_second: u32,
    /// Bytes a second of one WebSocket, and of all those of one user; whoever is faster is slowed down
    #[arg(long, value_name = "BYTES", env = "HAPPIERWORK_BYTES_PER_SECOND", default_value_t = 32 << 20)]
    pub bytes_per_second: u32,
    /// Documents that one WebSocket may sync
    #[arg(long, value_name = "COUNT", env = "HAPPIERWORK_MAX_DOCUMENTS_PER_CONNECTION", default_value_t = 10_000)]
    pub max_documents_per_connection: usize,
    /// Bytes that a document may take on disk; it can be read, but nothing more is added
    #[arg(long, value_name = "BYTES", env = "HAPPIERWORK_MAX_DOCUMENT_BYTES", default_value_t = DOCUMENT_BYTES)]
    pub max_document_bytes: u64,
    /// Changes that a document may have; it can be read, but nothing more is added
    #[arg(long, value_name = "COUNT", env = "HAPPIERWORK_MAX_DOCUMENT_CHANGES", default_value_t = DOCUMENT_CHANGES)]
    pub max_document_changes: u64,
    /// Operations that a document may have: keys set, letters typed; it can be read, but nothing more is added
    #[arg(long, value_name = "COUNT", env = "HAPPIERWORK_MAX_DOCUMENT_OPERATIONS", default_value_t = DOCUMENT_OPERATIONS)]
    pub max_document_operations: u64,
    /// Changes of a document times its actors (every session of a client that writes is one): a million take some 0.3 MB
    /// of memory. It can be read, but nothing more is added. At most, and without a limit, 2,000,000,000
    #[arg(long, value_name = "COUNT", env = "HAPPIERWORK_MAX_DOCUMENT_ACTOR_CHANGES", default_value_t = DOCUMENT_ACTOR_CHANGES)]
    pub max_document_actor_changes: u64,
    /// Documents that do not exist and that one WebSocket may wait for
    #[arg(long, value_name = "COUNT", env = "HAPPIERWORK_MAX_PENDING_PER_CONNECTION", default_value_t = 1_000)]
    pub max_pending_per_connection: usize,
    /// Documents created per minute, by all clients together (ten minutes' worth at once); faster sync clients wait
    #[arg(long, value_name = "COUNT", env = "HAPPIERWORK_NEW_DOCUMENTS_PER_MINUTE", default_value_t = 1_200)]
    pub new_documents_per_minute: u32,
    /// Bytes that messages of more than 64 KiB may take, those of all clients together, while they are read and wait; at
    /// least --max-message, if that is given
    #[arg(long, value_name = "BYTES", env = "HAPPIERWORK_MAX_MESSAGE_MEMORY", default_value_t = MESSAGE_MEMORY)]
    pub max_message_memory: u64,
    /// Bytes of one ephemeral message (presence, cursors); larger ones are dropped
    #[arg(long, value_name = "BYTES", env = "HAPPIERWORK_MAX_EPHEMERAL", default_value_t = 64 << 10)]
    pub max_ephemeral: usize,
    /// Ephemeral messages a second of one WebSocket; those beyond are dropped
    #[arg(long, value_name = "COUNT", env = "HAPPIERWORK_EPHEMERAL_PER_SECOND", default_value_t = 200)]
    pub ephemeral_per_second: u32,
}

impl LimitArgs {
    /// As the server takes them.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            connections: self.max_connections,
            open_files: OpenFiles::default(),
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

fn none_if_zero<N: From<u8> + PartialEq>(limit: N, most: N) -> N {
    if limit == N::from(0) { most } else { limit }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::config::Cli;

    #[test]
    fn without_flags_the_limits_are_the_default_ones() {
        let flags = Cli::try_parse_from(["happierwork"]).expect("parses").serve.limits;
        assert_eq!(format!("{:?}", flags.limits()), format!("{:?}", Limits::default()));
    }

    #[test]
    fn zero_is_no_limit() {
        let flags = ["happierwork", "--max-documents-per-connection=0", "--max-ephemeral=0"];
        let limits = Cli::try_parse_from(flags).expect("parses").serve.limits.limits();
        assert_eq!((limits.documents_per_connection, limits.ephemeral_bytes), (usize::MAX, usize::MAX));
    }
}

//! Metrics for operators. This module only holds the handles; the code that does the work counts.
//!
//! Each server has a set of its own, so that servers in one process (in tests) do not count for each other.

mod unknown_messages;

use std::sync::Arc;

use metrics::{Counter, Gauge, Histogram, Unit};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use unknown_messages::UnknownMessages;

/// Upper bounds of the latency histograms, in seconds.
const LATENCY_BUCKETS: [f64; 14] =
    [0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
/// Upper bounds of the batch size histogram, in messages.
const BATCH_BUCKETS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 64.0, 256.0, 1_024.0, 4_096.0];

/// Protocols of connections that stay open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionKind {
    /// automerge-repo.
    Repo,
    /// Plain Automerge sync.
    Plain,
    /// Legacy JSON.
    Legacy,
    /// automerge-repo, to a server that this server has dialled.
    Peering,
    /// The change feed over HTTP: a stream, or a request that waits.
    Feed,
}

/// Why a request, message or connection was refused: the label of a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalReason {
    /// A foreign `Origin` or `Host` header.
    Origin,
    /// Undecodable bytes.
    Undecodable,
    /// An invalid sync message.
    BadSyncMessage,
    /// No `join` first or in time, or an unknown protocol version.
    Handshake,
    /// A failed or slow TLS handshake.
    TlsHandshake,
    /// A frame larger than the limit.
    TooLarge,
    /// An unknown message type (ignored).
    UnknownType,
    /// A `senderId` other than the joined peer's (ignored).
    ForeignSender,
    /// A missing right, or a hidden document.
    Denied,
    /// A missing, expired or revoked token.
    Unauthorized,
    /// An invalid edit.
    InvalidEdit,
    /// The store failed.
    Storage,
    /// Too many missing documents are waited for.
    TooManyPending,
    /// Changes that took too long, or were sent to a quarantined document.
    TooSlow,
    /// No progress, or no answer to pings.
    Stalled,
    /// The limit of connections.
    TooManyConnections,
    /// The limit of connections per address.
    TooManyFromAddress,
    /// The limit of documents per connection.
    TooManyDocuments,
    /// A change to a document that has reached its size limit.
    DocumentFull,
    /// A message about a document that rejects this connection (dropped).
    RefusedDocument,
    /// The rate limit of new documents.
    TooManyNewDocuments,
    /// A URL or request header that is too large.
    LargeRequest,
    /// A client over its rate limit, which is throttled.
    Slowed,
    /// The memory budget of large messages.
    Memory,
    /// An ephemeral message that is too large or over the rate limit (dropped).
    Ephemeral,
    /// A WebSocket request for an unknown path.
    UnknownPath,
    /// The limit of waiting logins.
    TooManyLogins,
    /// The limit of connections per user.
    TooManyFromUser,
}

/// All counters, gauges and histograms.
pub struct Metrics {
    handle: PrometheusHandle,
    /// Registers metrics with labels that are known later.
    recorder: Arc<PrometheusRecorder>,
    connections: [Gauge; 5],
    refusals: Vec<Counter>,
    unknown_messages: UnknownMessages,
    /// Documents in memory.
    pub documents_open: Gauge,
    /// Documents in memory that have used four fifths of a limit.
    pub documents_nearly_full: Gauge,
    /// Values that do not fit the plan's schema, in the documents that have a view.
    pub schema_problems: Gauge,
    /// Changes stored.
    pub changes: Counter,
    /// Commands per batch.
    pub batch_size: Histogram,
    /// Seconds per append, including the fsync.
    pub append_seconds: Histogram,
    /// Seconds to publish a batch: peer states, messages, view.
    pub publish_seconds: Histogram,
    /// Sync messages handed to sockets.
    pub deliveries: Counter,
    /// Bytes read from sockets, without framing.
    pub bytes_received: Counter,
    /// Bytes written to sockets, without framing.
    pub bytes_sent: Counter,
    /// Bytes appended to documents.
    pub bytes_stored: Counter,
    /// Logs replaced by a snapshot.
    pub compactions: Counter,
    /// Documents reloaded from disk after a failure.
    pub reloads: Counter,
    /// Appends that found that another process had appended first.
    pub appends_behind: Counter,
    /// Published changes that were stored again because a failover of the database had lost them.
    pub healed_changes: Counter,
    /// Times that the log of an open document had moved on without a hint.
    pub hints_missed: Counter,
    /// 1 while the store cannot notify this server of changes by others, 0 otherwise.
    pub store_polling: Gauge,
    /// Seconds since a shared store last said what has changed.
    pub store_silence: Gauge,
    /// Messages to other servers that were too large to send.
    pub cluster_messages_dropped: Counter,
    /// Events handed to change feeds.
    pub feed_events: Counter,
    /// Those of them that told a client to read a document again.
    pub feed_resets: Counter,
    /// Messages of webhooks that were delivered.
    pub webhook_messages: Counter,
    /// Failed attempts to deliver them.
    pub webhook_failures: Counter,
    /// Changes processed for histories: once each, however often the history is read.
    pub history_changes: Counter,
    /// Compressed portions of large HTTP answers, of up to 64 KiB each.
    pub compressed_portions: Counter,
    /// Large HTTP answers sent uncompressed, because the compression threads were busy.
    pub uncompressed: Counter,
    /// Reloads that were delayed after repeated failures.
    pub reloads_put_off: Counter,
    /// When the last backup of everything began, in seconds since 1970. 0 if there is none.
    pub last_backup: Gauge,
    /// Seconds that the last backup took.
    pub backup_duration: Gauge,
    /// Backups that failed, or lack documents as they are now.
    pub backup_failures: Counter,
}

/// The metrics of one peering.
#[derive(Clone)]
pub struct PeeringMetrics {
    /// 1 while the other server is connected and has answered the handshake, else 0.
    pub connected: Gauge,
    /// Documents that both servers exchange messages about.
    pub documents: Gauge,
    /// Attempts to connect again, after an attempt has failed or the connection was lost.
    pub reconnects: Counter,
}

const REFUSALS: [(RefusalReason, &str); 28] = [
    (RefusalReason::Origin, "origin"),
    (RefusalReason::Undecodable, "undecodable"),
    (RefusalReason::BadSyncMessage, "bad_sync_message"),
    (RefusalReason::Handshake, "handshake"),
    (RefusalReason::TlsHandshake, "tls_handshake"),
    (RefusalReason::TooLarge, "too_large"),
    (RefusalReason::UnknownType, "unknown_type"),
    (RefusalReason::ForeignSender, "foreign_sender"),
    (RefusalReason::Denied, "denied"),
    (RefusalReason::Unauthorized, "unauthorized"),
    (RefusalReason::InvalidEdit, "invalid_edit"),
    (RefusalReason::Storage, "storage"),
    (RefusalReason::TooManyPending, "too_many_pending"),
    (RefusalReason::TooSlow, "too_slow"),
    (RefusalReason::Stalled, "stalled"),
    (RefusalReason::TooManyConnections, "too_many_connections"),
    (RefusalReason::TooManyFromAddress, "too_many_from_address"),
    (RefusalReason::TooManyDocuments, "too_many_documents"),
    (RefusalReason::DocumentFull, "document_full"),
    (RefusalReason::RefusedDocument, "refused_document"),
    (RefusalReason::TooManyNewDocuments, "too_many_new_documents"),
    (RefusalReason::LargeRequest, "large_request"),
    (RefusalReason::Slowed, "slowed"),
    (RefusalReason::Memory, "memory"),
    (RefusalReason::Ephemeral, "ephemeral"),
    (RefusalReason::UnknownPath, "unknown_path"),
    (RefusalReason::TooManyLogins, "too_many_logins"),
    (RefusalReason::TooManyFromUser, "too_many_from_user"),
];

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Registers all metrics, at zero.
    #[must_use]
    pub fn new() -> Self {
        let suffix = |name: &str| Matcher::Suffix(name.to_owned());
        // Fails only for empty bucket lists.
        let builder = PrometheusBuilder::new()
            .set_buckets_for_metric(suffix("_seconds"), &LATENCY_BUCKETS)
            .and_then(|builder| builder.set_buckets_for_metric(suffix("_size"), &BATCH_BUCKETS))
            .unwrap_or_else(|_| PrometheusBuilder::new());
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        let recorder = Arc::new(recorder);
        metrics::with_local_recorder(&*recorder, || Self::register(handle, Arc::clone(&recorder)))
    }

    fn register(handle: PrometheusHandle, recorder: Arc<PrometheusRecorder>) -> Self {
        use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
        describe_gauge!("happierwork_connections", "Open WebSocket connections and change feeds, by kind");
        describe_counter!("happierwork_refusals_total", "Refused or ignored requests and messages, by reason");
        describe_counter!(
            "happierwork_unknown_messages_total",
            "Ignored messages of types that the server does not know, by type"
        );
        describe_gauge!("happierwork_documents_open", "Documents in memory");
        describe_gauge!("happierwork_documents_nearly_full", "Documents in memory that have used most of a limit");
        describe_gauge!(
            "happierwork_schema_problems",
            "Values that do not fit the plan's schema, in documents that are read as positions"
        );
        describe_counter!("happierwork_changes_total", "Changes made durable");
        describe_histogram!("happierwork_batch_size", Unit::Count, "Commands per batch of a document");
        describe_histogram!(
            "happierwork_append_seconds",
            Unit::Seconds,
            "Duration of an append to a document, including the fsync"
        );
        describe_histogram!("happierwork_publish_seconds", Unit::Seconds, "Duration of publishing a batch");
        describe_counter!("happierwork_deliveries_total", "Sync messages handed to sockets");
        describe_counter!("happierwork_received_bytes_total", "Bytes read from sockets, without framing");
        describe_counter!("happierwork_sent_bytes_total", "Bytes written to sockets, without framing");
        describe_counter!("happierwork_stored_bytes_total", "Bytes appended to documents");
        describe_counter!("happierwork_compactions_total", "Logs replaced by a snapshot");
        describe_counter!(
            "happierwork_appends_behind_total",
            "Appends that were repeated because another server had appended to the document first"
        );
        describe_counter!(
            "happierwork_healed_changes_total",
            "Changes stored again because the database had lost them in a failover"
        );
        describe_counter!(
            "happierwork_hints_missed_total",
            "Times that another server's changes were found by comparing, because no notification had arrived"
        );
        describe_gauge!(
            "happierwork_database_polling",
            "1 while the database does not notify this server, which then asks it several times a second"
        );
        describe_gauge!(
            "happierwork_database_silence_seconds",
            "Time since the database last said what other servers have changed"
        );
        describe_counter!(
            "happierwork_cluster_messages_dropped_total",
            "Ephemeral messages that were too large to reach the clients of other servers"
        );
        describe_counter!("happierwork_reloads_total", "Documents reloaded from disk after a failure");
        describe_counter!("happierwork_reloads_put_off_total", "Reloads delayed after repeated failures");
        describe_counter!("happierwork_feed_events_total", "Events handed to change feeds");
        describe_counter!(
            "happierwork_feed_resets_total",
            "Events that told a client of a feed to read a document again"
        );
        describe_counter!("happierwork_webhook_messages_total", "Delivered messages of webhooks");
        describe_counter!("happierwork_webhook_failures_total", "Failed attempts to deliver messages of webhooks");
        describe_gauge!(
            "happierwork_last_backup_timestamp_seconds",
            "When the last backup of everything began, in seconds since 1970; 0 if there is none"
        );
        describe_gauge!("happierwork_last_backup_duration_seconds", "Duration of the last backup");
        describe_counter!("happierwork_backup_failures_total", "Backups that failed or are not complete");
        describe_counter!("happierwork_history_changes_total", "Changes processed for histories of documents");
        describe_counter!("happierwork_compressed_portions_total", "Compressed portions of large HTTP answers");
        describe_counter!(
            "happierwork_uncompressed_answers_total",
            "Large HTTP answers sent uncompressed because the compression threads were busy"
        );
        describe_gauge!(
            "happierwork_peering_connected",
            "Whether another server that is dialled is connected, by peer"
        );
        describe_gauge!("happierwork_peering_documents", "Documents exchanged with another server, by peer");
        describe_counter!("happierwork_peering_reconnects_total", "Repeated attempts to dial another server, by peer");
        Self {
            handle,
            recorder,
            connections: ["repo", "plain", "legacy", "peering", "feed"]
                .map(|kind| gauge!("happierwork_connections", "kind" => kind)),
            refusals: REFUSALS
                .iter()
                .map(|(_, reason)| counter!("happierwork_refusals_total", "reason" => *reason))
                .collect(),
            unknown_messages: UnknownMessages::default(),
            documents_open: gauge!("happierwork_documents_open"),
            documents_nearly_full: gauge!("happierwork_documents_nearly_full"),
            schema_problems: gauge!("happierwork_schema_problems"),
            changes: counter!("happierwork_changes_total"),
            batch_size: histogram!("happierwork_batch_size"),
            append_seconds: histogram!("happierwork_append_seconds"),
            publish_seconds: histogram!("happierwork_publish_seconds"),
            deliveries: counter!("happierwork_deliveries_total"),
            bytes_received: counter!("happierwork_received_bytes_total"),
            bytes_sent: counter!("happierwork_sent_bytes_total"),
            bytes_stored: counter!("happierwork_stored_bytes_total"),
            compactions: counter!("happierwork_compactions_total"),
            reloads: counter!("happierwork_reloads_total"),
            appends_behind: counter!("happierwork_appends_behind_total"),
            healed_changes: counter!("happierwork_healed_changes_total"),
            hints_missed: counter!("happierwork_hints_missed_total"),
            store_polling: gauge!("happierwork_database_polling"),
            store_silence: gauge!("happierwork_database_silence_seconds"),
            cluster_messages_dropped: counter!("happierwork_cluster_messages_dropped_total"),
            reloads_put_off: counter!("happierwork_reloads_put_off_total"),
            feed_events: counter!("happierwork_feed_events_total"),
            feed_resets: counter!("happierwork_feed_resets_total"),
            webhook_messages: counter!("happierwork_webhook_messages_total"),
            webhook_failures: counter!("happierwork_webhook_failures_total"),
            last_backup: gauge!("happierwork_last_backup_timestamp_seconds"),
            backup_duration: gauge!("happierwork_last_backup_duration_seconds"),
            backup_failures: counter!("happierwork_backup_failures_total"),
            history_changes: counter!("happierwork_history_changes_total"),
            compressed_portions: counter!("happierwork_compressed_portions_total"),
            uncompressed: counter!("happierwork_uncompressed_answers_total"),
        }
    }

    /// The gauge of open connections of one kind.
    pub fn connections(&self, kind: ConnectionKind) -> &Gauge {
        &self.connections[kind as usize]
    }

    /// Runs a function whose metrics belong to this set.
    pub fn within<T>(&self, register: impl FnOnce() -> T) -> T {
        metrics::with_local_recorder(&*self.recorder, register)
    }

    /// Counts an ignored message of an unknown type.
    pub fn record_unknown_message(&self, name: &str) {
        self.record_refusal(RefusalReason::UnknownType);
        self.unknown_messages.record(name, |name| {
            self.within(|| metrics::counter!("happierwork_unknown_messages_total", "type" => name.to_owned()))
        });
    }

    /// Registers the metrics of a peering with this name, at zero.
    #[must_use]
    pub fn peering(&self, name: &str) -> PeeringMetrics {
        use metrics::{counter, gauge};
        self.within(|| {
            let name = name.to_owned();
            let connected = gauge!("happierwork_peering_connected", "peer" => name.clone());
            let documents = gauge!("happierwork_peering_documents", "peer" => name.clone());
            connected.set(0.0);
            documents.set(0.0);
            PeeringMetrics {
                connected,
                documents,
                reconnects: counter!("happierwork_peering_reconnects_total", "peer" => name),
            }
        })
    }

    /// Counts one refusal.
    pub fn record_refusal(&self, refusal: RefusalReason) {
        if let Some(index) = REFUSALS.iter().position(|(known, _)| *known == refusal) {
            self.refusals[index].increment(1);
        }
    }

    /// Aggregates recorded samples. Call it regularly: until then every sample is kept, so a server that is not
    /// scraped would grow without bound.
    pub fn run_upkeep(&self) {
        self.handle.run_upkeep();
    }

    /// All metrics in Prometheus' text format.
    #[must_use]
    pub fn render(&self) -> String {
        self.run_upkeep();
        self.handle.render()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_rendered_and_separate_per_set() {
        let (one, two) = (Metrics::new(), Metrics::new());
        one.record_refusal(RefusalReason::TooLarge);
        one.connections(ConnectionKind::Plain).increment(1.0);
        one.append_seconds.record(0.002);
        let text = one.render();
        assert!(text.contains("happierwork_refusals_total{reason=\"too_large\"} 1"), "{text}");
        assert!(text.contains("happierwork_connections{kind=\"plain\"} 1"), "{text}");
        assert!(text.contains("happierwork_append_seconds_bucket{le=\"0.0025\"} 1"), "{text}");
        let peering = one.peering("hq.example.com");
        peering.connected.set(1.0);
        let text = one.render();
        assert!(text.contains("happierwork_peering_connected{peer=\"hq.example.com\"} 1"), "{text}");
        assert!(text.contains("happierwork_peering_reconnects_total{peer=\"hq.example.com\"} 0"), "{text}");
        assert!(!two.render().contains("too_large\"} 1"));
    }
}

//! Metrics for operators. This module only holds the handles; the code that does the work counts.
//!
//! One set per server, not one per process, so that servers in one process (tests) do not count for each other.

use metrics::{Counter, Gauge, Histogram, Unit};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Upper bounds of the latency histograms, in seconds.
const LATENCY_BUCKETS: [f64; 14] =
    [0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
/// Upper bounds of the batch size histogram, in messages.
const BATCH_BUCKETS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 64.0, 256.0, 1_024.0, 4_096.0];

/// Kinds of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionKind {
    /// automerge-repo.
    Repo,
    /// Plain Automerge sync.
    Plain,
    /// Legacy JSON.
    Legacy,
}

/// Why something was refused: the label of one counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Another origin, or a foreign Host.
    Origin,
    /// Bytes that do not decode.
    Undecodable,
    /// A sync message with something wrong in it.
    BadSyncMessage,
    /// No `join` first or in time, or an unknown version.
    Handshake,
    /// A TLS handshake that failed, or took too long.
    TlsHandshake,
    /// Over the limit of frame size.
    TooLarge,
    /// A message type that this server does not know (ignored).
    UnknownType,
    /// A `senderId` that is not the joined peer's (ignored).
    ForeignSender,
    /// Something that this user may not do, or a document that is not for them.
    Denied,
    /// Nobody, or somebody whose token does not count (any more).
    Unauthorized,
    /// An edit that is not acceptable.
    InvalidEdit,
    /// The store could not write.
    Storage,
    /// Too many documents that do not exist.
    TooManyPending,
    /// Changes that took too long, or came to a document that takes none since such came.
    TooSlow,
    /// No progress for too long, or no answer to pings.
    Stalled,
    /// As many connections as may be.
    TooManyConnections,
    /// As many connections from one address as may be.
    TooManyFromAddress,
    /// Over the limit of documents on one connection.
    TooManyDocuments,
    /// A change to a document that is as large as it may be.
    DocumentFull,
    /// A message about a document that takes nothing more from this connection (dropped).
    RefusedDocument,
    /// More new documents a minute than may be.
    TooManyNewDocuments,
    /// A URL or a head of a request that is too large.
    LargeRequest,
    /// Too fast: not read from for a while.
    Slowed,
    /// Large messages take as much memory as they may.
    Memory,
    /// An ephemeral message that is too large, or one too many (dropped).
    Ephemeral,
    /// A WebSocket at a path that has none.
    UnknownPath,
    /// As many passwords wait to be looked at as may.
    TooManyLogins,
    /// As many connections of one user as may be.
    TooManyFromUser,
}

/// All counters, gauges and histograms.
pub struct Metrics {
    handle: PrometheusHandle,
    connections: [Gauge; 3],
    refusals: Vec<Counter>,
    /// Documents in memory.
    pub documents_open: Gauge,
    /// Those of them that have used four fifths of a limit.
    pub documents_nearly_full: Gauge,
    /// Changes made durable.
    pub changes: Counter,
    /// Commands in one batch of a document.
    pub batch_size: Histogram,
    /// Seconds for one append with its fsync.
    pub append_seconds: Histogram,
    /// Seconds to publish one batch: states, messages, view.
    pub publish_seconds: Histogram,
    /// Sync messages handed to sockets.
    pub deliveries: Counter,
    /// Bytes read from sockets, without framing.
    pub bytes_received: Counter,
    /// Bytes written to sockets, without framing.
    pub bytes_sent: Counter,
    /// Bytes appended to documents.
    pub bytes_stored: Counter,
    /// Times a document was replaced by its snapshot.
    pub compactions: Counter,
    /// Times a document was dropped from memory and read again.
    pub reloads: Counter,
    /// Appends that found that another process had appended first.
    pub appends_behind: Counter,
    /// Changes that were looked at for a history: once each, however often it is read.
    pub history_changes: Counter,
    /// Portions of large HTTP answers that were compressed, of up to 64 KiB each.
    pub compressed_portions: Counter,
    /// Large HTTP answers that went out uncompressed, as many others were being compressed.
    pub uncompressed: Counter,
    /// Times a document was not read again, or not at once, since that had failed or been for nothing before.
    pub reloads_put_off: Counter,
}

const REFUSALS: [(Refusal, &str); 28] = [
    (Refusal::Origin, "origin"),
    (Refusal::Undecodable, "undecodable"),
    (Refusal::BadSyncMessage, "bad_sync_message"),
    (Refusal::Handshake, "handshake"),
    (Refusal::TlsHandshake, "tls_handshake"),
    (Refusal::TooLarge, "too_large"),
    (Refusal::UnknownType, "unknown_type"),
    (Refusal::ForeignSender, "foreign_sender"),
    (Refusal::Denied, "denied"),
    (Refusal::Unauthorized, "unauthorized"),
    (Refusal::InvalidEdit, "invalid_edit"),
    (Refusal::Storage, "storage"),
    (Refusal::TooManyPending, "too_many_pending"),
    (Refusal::TooSlow, "too_slow"),
    (Refusal::Stalled, "stalled"),
    (Refusal::TooManyConnections, "too_many_connections"),
    (Refusal::TooManyFromAddress, "too_many_from_address"),
    (Refusal::TooManyDocuments, "too_many_documents"),
    (Refusal::DocumentFull, "document_full"),
    (Refusal::RefusedDocument, "refused_document"),
    (Refusal::TooManyNewDocuments, "too_many_new_documents"),
    (Refusal::LargeRequest, "large_request"),
    (Refusal::Slowed, "slowed"),
    (Refusal::Memory, "memory"),
    (Refusal::Ephemeral, "ephemeral"),
    (Refusal::UnknownPath, "unknown_path"),
    (Refusal::TooManyLogins, "too_many_logins"),
    (Refusal::TooManyFromUser, "too_many_from_user"),
];

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Registers everything, at zero.
    #[must_use]
    pub fn new() -> Self {
        let suffix = |name: &str| Matcher::Suffix(name.to_owned());
        // The bucket lists are not empty, which is all that can be wrong with them.
        let builder = PrometheusBuilder::new()
            .set_buckets_for_metric(suffix("_seconds"), &LATENCY_BUCKETS)
            .and_then(|builder| builder.set_buckets_for_metric(suffix("_size"), &BATCH_BUCKETS))
            .unwrap_or_else(|_| PrometheusBuilder::new());
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || Self::register(handle))
    }

    fn register(handle: PrometheusHandle) -> Self {
        use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
        describe_gauge!("happierwork_connections", "Open WebSocket connections, by kind");
        describe_counter!("happierwork_refusals_total", "What was refused or ignored, by reason");
        describe_gauge!("happierwork_documents_open", "Documents in memory");
        describe_gauge!("happierwork_documents_nearly_full", "Documents in memory that are near a limit, or at it");
        describe_counter!("happierwork_changes_total", "Changes made durable");
        describe_histogram!("happierwork_batch_size", Unit::Count, "Commands in one batch of a document");
        describe_histogram!("happierwork_append_seconds", Unit::Seconds, "One append to a document, fsync included");
        describe_histogram!("happierwork_publish_seconds", Unit::Seconds, "Publishing one batch");
        describe_counter!("happierwork_deliveries_total", "Sync messages handed to sockets");
        describe_counter!("happierwork_received_bytes_total", "Bytes read from sockets, without framing");
        describe_counter!("happierwork_sent_bytes_total", "Bytes written to sockets, without framing");
        describe_counter!("happierwork_stored_bytes_total", "Bytes appended to documents");
        describe_counter!("happierwork_compactions_total", "Logs replaced by a snapshot");
        describe_counter!("happierwork_reloads_total", "Documents dropped from memory and read again after a failure");
        describe_counter!(
            "happierwork_appends_behind_total",
            "Appends that another server's append to the same document came before, and that were made again"
        );
        describe_counter!("happierwork_reloads_put_off_total", "Documents not read again at once, as it keeps failing");
        describe_counter!("happierwork_history_changes_total", "Changes looked at to tell the history of documents");
        describe_counter!("happierwork_compressed_portions_total", "Portions of large HTTP answers compressed");
        describe_counter!(
            "happierwork_uncompressed_answers_total",
            "Large HTTP answers not compressed, as many others were"
        );
        Self {
            handle,
            connections: ["repo", "plain", "legacy"].map(|kind| gauge!("happierwork_connections", "kind" => kind)),
            refusals: REFUSALS
                .iter()
                .map(|(_, reason)| counter!("happierwork_refusals_total", "reason" => *reason))
                .collect(),
            documents_open: gauge!("happierwork_documents_open"),
            documents_nearly_full: gauge!("happierwork_documents_nearly_full"),
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
            reloads_put_off: counter!("happierwork_reloads_put_off_total"),
            history_changes: counter!("happierwork_history_changes_total"),
            compressed_portions: counter!("happierwork_compressed_portions_total"),
            uncompressed: counter!("happierwork_uncompressed_answers_total"),
        }
    }

    /// The gauge of open connections of one kind.
    pub fn connections(&self, kind: ConnectionKind) -> &Gauge {
        &self.connections[kind as usize]
    }

    /// Counts one refusal.
    pub fn refuse(&self, refusal: Refusal) {
        if let Some(index) = REFUSALS.iter().position(|(known, _)| *known == refusal) {
            self.refusals[index].increment(1);
        }
    }

    /// Adds up what was recorded. To be called every now and then: until then every single sample is kept, and a server
    /// that nobody scrapes would grow for ever.
    pub fn add_up(&self) {
        self.handle.run_upkeep();
    }

    /// Everything in Prometheus' text format.
    #[must_use]
    pub fn render(&self) -> String {
        self.add_up();
        self.handle.render()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_rendered_and_two_sets_do_not_mix() {
        let (one, two) = (Metrics::new(), Metrics::new());
        one.refuse(Refusal::TooLarge);
        one.connections(ConnectionKind::Plain).increment(1.0);
        one.append_seconds.record(0.002);
        let text = one.render();
        assert!(text.contains("happierwork_refusals_total{reason=\"too_large\"} 1"), "{text}");
        assert!(text.contains("happierwork_connections{kind=\"plain\"} 1"), "{text}");
        assert!(text.contains("happierwork_append_seconds_bucket{le=\"0.0025\"} 1"), "{text}");
        assert!(!two.render().contains("too_large\"} 1"));
    }
}

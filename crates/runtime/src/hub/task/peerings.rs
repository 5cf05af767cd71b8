//! Peerings as subscribers of a document.

use std::time::Duration;

use sync_engine::carries_chunks;
use tokio::time::Instant;

use super::DocumentTask;
use super::commit::Batch;
use super::lifecycle::MAINTENANCE_INTERVAL;
use crate::document::Document;
use crate::hub::command::Command;
use crate::hub::outbox::ConnectionKey;

/// A document's state of the connected peerings.
#[derive(Debug, Default)]
pub(super) struct PeeringState {
    /// The version of the list of peerings that were added.
    seen: Option<u64>,
    /// Whether the document was used since it was opened, other than to compare it with a peering.
    is_used: bool,
}

impl DocumentTask {
    /// Adds the peerings that have connected since the last batch.
    pub(super) fn admit_peerings(&mut self, document: &mut Document, batch: &mut Batch) {
        let version = self.hub.inner.peerings.version();
        if self.subscribers.peerings.seen.replace(version) == Some(version) {
            return;
        }
        for peer in self.hub.inner.peerings.connected() {
            let key = peer.key;
            if self.subscribers.peers.contains_key(&key)
                || self.is_denied(document, &peer)
                || !self.admit(document, peer)
            {
                continue;
            }
            if !document.engine.exists() {
                self.creation.pending_requests.record_question(key, Instant::now());
            }
            batch.new_peers.push(key);
        }
    }

    /// Notes whether a command uses the document, other than to compare it with a peering.
    pub(super) fn note_use(&mut self, command: &Command) {
        self.subscribers.peerings.is_used |= match command {
            Command::Sync { peer, bytes, .. } => !peer.requester.is_peering() || carries_chunks(bytes),
            Command::StartSync(peer) | Command::Postpone(peer) => !peer.requester.is_peering(),
            Command::Follow { .. } | Command::PeerLacks(_) | Command::Leave(_) | Command::Drained(_) => false,
            _ => true,
        };
    }

    /// Whether a peer other than a peering is subscribed, or a message is due to a peering.
    pub(super) fn is_followed(&self, document: &Document) -> bool {
        // A message about a missing document is due once it exists. Then it is open.
        let is_due = |key: &ConnectionKey| document.engine.exists() && document.engine.is_behind(*key);
        let mut peers = self.subscribers.peers.iter();
        peers.any(|(key, subscription)| !subscription.peer.requester.is_peering() || is_due(key))
    }

    /// How long the document stays open without use. It is short if it was only compared with peerings: a server with many documents
    /// opens each of them for a new peering.
    pub(super) fn idle_after(&self) -> Duration {
        let idle_after = self.hub.inner.settings.idle_after;
        if self.subscribers.peerings.is_used { idle_after } else { idle_after.min(MAINTENANCE_INTERVAL) }
    }

    /// Removes the peerings before the document is unloaded. The shared heads are recorded. If the document stays open, the next
    /// batch adds them again.
    pub(super) fn release_peerings(&mut self, document: &mut Document) {
        let keys: Vec<ConnectionKey> = self.subscribers.peers.keys().copied().collect();
        for key in keys {
            self.remove_connection(document, key);
        }
        self.subscribers.peerings.seen = None;
    }
}

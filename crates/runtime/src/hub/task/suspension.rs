//! Suspended peers, whose changes are temporarily rejected.
//!
//! A suspended peer is read-only: it receives the changes of others, and keeps its own. When the cause is over, the
//! peer may write again; its sync state is reset, which asks it for everything that the document lacks.

use std::collections::BTreeMap;
use std::time::Duration;

use sync_engine::{BadMessage, PeerRole};
use tokio::time::{Instant, timeout};

use super::{DocumentTask, PeerSubscription};
use crate::document::Document;
use crate::hub::access::Right;
use crate::hub::outbox::ConnectionKey;
use crate::hub::refusals::RefusalDuration;

/// Duration of a suspension after a message that did not fit into the memory budget, or that exceeded the rate limit
/// of new documents.
const TEMPORARY_SUSPENSION: Duration = Duration::from_secs(5);
/// Time that the document waits for a probe of the store.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// Why a peer is suspended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SuspensionCause {
    /// The store cannot write, or the stored document cannot be read.
    Storage,
    /// The peer's user or the document is quarantined.
    Quarantine,
    /// A transient cause: memory, or the rate limit of new documents.
    Temporary { until: Instant },
    /// The document is full. `stored` is its size in the store at that time, in bytes. (Its history never shrinks,
    /// but a snapshot is smaller than a log.)
    Full { stored: u64 },
}

/// The suspended peers of one document, with the cause.
pub(super) type SuspendedPeers = BTreeMap<ConnectionKey, SuspensionCause>;

impl SuspensionCause {
    /// A cause that passes in a few seconds.
    pub(super) fn temporary() -> Self {
        Self::Temporary { until: Instant::now() + TEMPORARY_SUSPENSION }
    }
}

impl DocumentTask {
    /// Suspends a peer, and tells it the reason once.
    pub(super) fn refuse_temporarily(
        &mut self,
        document: &mut Document,
        key: ConnectionKey,
        cause: SuspensionCause,
        message: &str,
    ) {
        let Some(subscription) = self.subscribers.peers.get(&key) else { return };
        subscription.peer.refuse(&self.id, RefusalDuration::Temporary, message);
        self.suspend(document, key, cause);
    }

    fn suspend(&mut self, document: &mut Document, key: ConnectionKey, cause: SuspensionCause) {
        self.recovery.suspended.insert(key, cause);
        let Some(subscription) = self.subscribers.peers.get(&key) else { return };
        document.engine.introduce(key, self.peer_role(subscription));
        self.subscribers.role_changed.push(key);
    }

    /// Rejects an invalid message: its sender is told, and suspended or removed.
    pub(super) fn refuse_peer(&mut self, document: &mut Document, key: ConnectionKey, error: &BadMessage) {
        let Some(subscription) = self.subscribers.peers.get(&key) else { return };
        match self.hub.refuse_message(&self.id, &subscription.peer, error) {
            RefusalDuration::Connection => self.subscribers.disconnected.push(key),
            RefusalDuration::Temporary => self.suspend(document, key, SuspensionCause::Full { stored: self.stored() }),
        }
    }

    /// The current role of a peer, which is read-only while suspended.
    pub(super) fn peer_role(&self, PeerSubscription { peer, right, .. }: &PeerSubscription) -> PeerRole {
        let peer_role = peer.requester.peer_role(*right);
        PeerRole { read_only: peer_role.read_only || self.recovery.suspended.contains_key(&peer.key), ..peer_role }
    }

    fn stored(&self) -> u64 {
        let lengths = self.pipeline.log.lengths();
        lengths.snapshot + lengths.log
    }

    /// Ends the suspensions whose cause is over, and asks these peers for their changes.
    pub(super) async fn resume_suspended(&mut self, document: &mut Document) {
        if self.recovery.suspended.is_empty() || self.pipeline.log.needs_reload() {
            return;
        }
        let waits_for_store = self.recovery.suspended.values().any(|cause| *cause == SuspensionCause::Storage);
        let store_works = waits_for_store && self.store_works().await;
        let (now, stored) = (Instant::now(), self.stored());
        let is_revoked = |key: &ConnectionKey, cause: &SuspensionCause| match *cause {
            SuspensionCause::Storage => store_works,
            SuspensionCause::Quarantine => !self.is_peer_quarantined(*key),
            SuspensionCause::Temporary { until } => until <= now,
            SuspensionCause::Full { stored: then } => stored < then,
        };
        let over: Vec<ConnectionKey> =
            self.recovery.suspended.iter().filter(|(key, cause)| is_revoked(key, cause)).map(|(key, _)| *key).collect();
        for key in over {
            self.recovery.suspended.remove(&key);
            let Some(subscription) = self.subscribers.peers.get(&key) else { continue };
            subscription.peer.refusals.lift(&self.id);
            let (peer_role, may_write) = (self.peer_role(subscription), subscription.right >= Right::Write);
            document.engine.introduce(key, peer_role);
            if may_write {
                self.send_first_message(document, key);
            }
        }
    }

    /// Whether changes could be stored now.
    async fn store_works(&self) -> bool {
        if self.pipeline.log.needs_recovery() || !self.recovery.append_gate.delay(Instant::now()).is_zero() {
            return false;
        }
        let probe = self.hub.inner.readiness.check(&self.hub.inner.store);
        matches!(timeout(PROBE_TIMEOUT, probe).await, Ok(Ok(())))
    }
}

//! Peers whose changes are not accepted for now.
//!
//! A suspended peer is read-only: it goes on to be told what others write, and keeps its own changes. Once the trouble is
//! over it may write again; its sync state is reset, which asks it for everything that the document lacks.

use std::collections::BTreeMap;
use std::time::Duration;

use sync_engine::{BadMessage, PeerRole};
use tokio::time::{Instant, timeout};

use super::{DocumentTask, Member};
use crate::document::Document;
use crate::hub::access::Right;
use crate::hub::outbox::ConnectionKey;
use crate::hub::refusals::Lasting;

/// How long a peer waits whose message found no room, or that was to make one document too many.
const PAUSE: Duration = Duration::from_secs(5);
/// How long the document waits to hear whether the store works.
const PROBE: Duration = Duration::from_secs(1);

/// Why a peer is suspended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// The store could not write, or what is stored could not be read.
    Storage,
    /// Changes of its user, or of several to the document, took too long.
    Quarantine,
    /// Something that changes by itself: memory, the rate at which documents are made.
    Passing { until: Instant },
    /// The document is full; `stored`: what it took in the store then. (Its history never gets shorter, but a snapshot
    /// takes less room than a log.)
    Full { stored: u64 },
}

/// The suspended peers of one document.
pub(super) type Suspended = BTreeMap<ConnectionKey, Cause>;

impl Cause {
    /// Something that passes in a few seconds.
    pub(super) fn passing() -> Self {
        Self::Passing { until: Instant::now() + PAUSE }
    }
}

impl DocumentTask {
    /// Tells a peer, once, that its changes are not accepted for now, and suspends it.
    pub(super) fn refuse_for_now(&mut self, document: &mut Document, key: ConnectionKey, cause: Cause, message: &str) {
        let Some(member) = self.subscribers.peers.get(&key) else { return };
        member.peer.refuse(&self.id, Lasting::ForNow, message);
        self.suspend(document, key, cause);
    }

    fn suspend(&mut self, document: &mut Document, key: ConnectionKey, cause: Cause) {
        self.rescue.suspended.insert(key, cause);
        let Some(member) = self.subscribers.peers.get(&key) else { return };
        document.engine.introduce(key, self.standing(member));
        self.subscribers.moved.push(key);
    }

    /// A peer sent something that cannot be accepted. It is told, and suspended, or is no peer of this document any more.
    pub(super) fn dismiss(&mut self, document: &mut Document, key: ConnectionKey, error: &BadMessage) {
        let Some(member) = self.subscribers.peers.get(&key) else { return };
        match self.hub.refuse(&self.id, &member.peer, error) {
            Lasting::Connection => self.subscribers.gone.push(key),
            Lasting::ForNow => self.suspend(document, key, Cause::Full { stored: self.stored() }),
        }
    }

    /// Who a peer is to the document, and whether it may write now.
    pub(super) fn standing(&self, Member { peer, right, .. }: &Member) -> PeerRole {
        let standing = peer.caller.standing(*right);
        PeerRole { read_only: standing.read_only || self.rescue.suspended.contains_key(&peer.key), ..standing }
    }

    fn stored(&self) -> u64 {
        let lengths = self.pipeline.log.lengths();
        lengths.snapshot + lengths.log
    }

    /// Asks those suspended peers for their changes of which the trouble is over.
    pub(super) async fn resume_suspended(&mut self, document: &mut Document) {
        if self.rescue.suspended.is_empty() || self.pipeline.log.is_lost() {
            return;
        }
        let waits_for_store = self.rescue.suspended.values().any(|cause| *cause == Cause::Storage);
        let store_works = waits_for_store && self.store_works().await;
        let (now, stored) = (Instant::now(), self.stored());
        let is_over = |key: &ConnectionKey, cause: &Cause| match *cause {
            Cause::Storage => store_works,
            Cause::Quarantine => !self.is_peer_quarantined(*key),
            Cause::Passing { until } => until <= now,
            Cause::Full { stored: then } => stored < then,
        };
        let over: Vec<ConnectionKey> =
            self.rescue.suspended.iter().filter(|(key, cause)| is_over(key, cause)).map(|(key, _)| *key).collect();
        for key in over {
            self.rescue.suspended.remove(&key);
            let Some(member) = self.subscribers.peers.get(&key) else { continue };
            member.peer.refusals.lift(&self.id);
            let (standing, may_write) = (self.standing(member), member.right >= Right::Write);
            document.engine.introduce(key, standing);
            if may_write {
                self.greet(document, key);
            }
        }
    }

    /// Whether changes would be stored now.
    async fn store_works(&self) -> bool {
        if self.pipeline.log.is_broken() || !self.rescue.failing.pause(Instant::now()).is_zero() {
            return false;
        }
        let probe = self.hub.inner.readiness.of(&self.hub.inner.store);
        matches!(timeout(PROBE, probe).await, Ok(Ok(())))
    }
}

//! Large sync messages, applied in portions so that other peers' edits need not wait for all of one.
//!
//! A batch takes one portion; while other commands wait, only every other batch does. After a portion there is a pause of the
//! same length, so that one document uses at most half a processor. A message's changes are applied in causal order, so the
//! stored document is complete after any portion. Its sender's later messages wait until it is done, as they build on it. The
//! acknowledgement follows the last portion: a client that hears nothing sends again what is not there yet.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use sync_engine::Incoming;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};

use super::DocumentTask;
use super::commit::{Batch, Sender};
use crate::document::{Document, Item};
use crate::hub::allowance::Allowed;
use crate::hub::command::Command;
use crate::hub::outbox::ConnectionKey;

/// Messages of more changes are applied in portions.
const WHOLE: usize = 2_000;
/// What a portion costs, in changes of known actors: some milliseconds.
const PORTION: usize = 150;
/// The most portions of a message of known actors: applying one costs something for each object of the document, too.
const MAX_PORTIONS: usize = 256;
/// The longest pause between two portions.
const MAX_PAUSE: Duration = Duration::from_millis(100);

/// The large messages of one document, the first of which is being applied.
#[derive(Default)]
pub(super) struct Portions {
    messages: VecDeque<Large>,
    /// Commands that have waited for a message that is complete now.
    released: VecDeque<Command>,
    /// Whether the last batch left out its portion because other commands were waiting.
    gave_way: bool,
    /// When the current portion began.
    begun: Option<Instant>,
    /// When the next portion may be applied.
    next: Option<Instant>,
}

struct Large {
    peer: ConnectionKey,
    /// The message as it came.
    bytes: Bytes,
    /// What of it is not applied yet.
    rest: Incoming,
    /// What each portion costs.
    portion: usize,
    allowed: Option<Allowed>,
    /// Later messages of the same peer.
    behind: VecDeque<Command>,
}

impl Portions {
    /// Whether there is anything to apply.
    pub(super) fn are_waiting(&self) -> bool {
        !self.messages.is_empty() || !self.released.is_empty()
    }

    /// Whether the next batch takes a portion. While other commands wait, every other batch is theirs alone.
    pub(super) fn are_due(&mut self, others_wait: bool) -> bool {
        if self.messages.is_empty() || self.next.is_some_and(|next| Instant::now() < next) {
            return false;
        }
        self.gave_way = others_wait && !self.gave_way;
        !self.gave_way
    }

    /// Ends a portion: a pause of the same length follows, for other documents.
    pub(super) fn pause(&mut self) {
        if let Some(begun) = self.begun.take() {
            let now = Instant::now();
            self.next = Some(now + (now - begun).min(MAX_PAUSE));
        }
    }

    /// Waits until a portion or a released command is due.
    pub(super) async fn ready(&self) {
        match self.next.filter(|_| self.released.is_empty()) {
            Some(next) => sleep_until(next).await,
            None => yield_now().await,
        }
    }

    /// Whether a message of so many changes is applied in portions.
    pub(super) fn are_for(incoming: &Incoming) -> bool {
        incoming.changes.len() > WHOLE
    }

    /// Whether a message of this peer is being applied.
    pub(super) fn are_from(&self, peer: ConnectionKey) -> bool {
        self.messages.iter().any(|large| large.peer == peer)
    }

    /// Queues a message.
    pub(super) fn begin(&mut self, peer: ConnectionKey, bytes: Bytes, mut rest: Incoming, allowed: Option<Allowed>) {
        rest.prepare_for_portions();
        let portion = rest.changes.len().div_ceil(MAX_PORTIONS).max(PORTION);
        self.messages.push_back(Large { peer, bytes, rest, portion, allowed, behind: VecDeque::new() });
    }

    /// Keeps a command that has to wait until an earlier message of its peer is complete; gives back any other one.
    pub(super) fn hold(&mut self, command: Command) -> Option<Command> {
        let Command::Sync { peer, .. } = &command else { return Some(command) };
        match self.messages.iter_mut().find(|large| large.peer == peer.key) {
            Some(large) => large.behind.push_back(command),
            None => return Some(command),
        }
        None
    }

    /// Drops what is left of a peer that leaves: a later command of it would make it a peer again.
    pub(super) fn forget(&mut self, key: ConnectionKey) {
        self.messages.retain(|large| large.peer != key);
        self.released.retain(|command| !matches!(command, Command::Sync { peer, .. } if peer.key == key));
    }

    /// The next command that has waited for a message.
    pub(super) fn release(&mut self) -> Option<Command> {
        self.released.pop_front()
    }
}

impl DocumentTask {
    /// Adds the next portion to a batch in which nothing else is yet.
    pub(super) fn add_portion(&mut self, document: &Document, batch: &mut Batch) {
        let Some(mut large) = self.pipeline.portions.messages.pop_front() else { return };
        let key = large.peer;
        self.pipeline.portions.begun = Some(Instant::now());
        // Its changes were refused meanwhile, or nobody waits for them any more.
        if self.is_leaving(key) || self.rescue.suspended.contains_key(&key) || self.is_peer_quarantined(key) {
            self.pipeline.portions.released.append(&mut large.behind);
            batch.drained.push(key);
            return;
        }
        self.usage.last_use = Instant::now();
        let item = Item::Sync { peer: key, bytes: large.bytes.clone() };
        let prepared = if let Some(part) = document.engine.prepare_part(key, &mut large.rest, large.portion) {
            self.pipeline.portions.messages.push_front(large);
            part
        } else {
            let Large { bytes, rest, allowed, mut behind, .. } = large;
            batch.allowed.extend(allowed);
            self.pipeline.portions.released.append(&mut behind);
            // It was told nothing meanwhile.
            batch.drained.push(key);
            document.engine.prepare_sync(key, bytes, rest)
        };
        batch.weight += prepared.memory_estimate();
        batch.commands += 1;
        batch.items.push(item);
        batch.incoming.push(None);
        batch.prepared.push(prepared);
        batch.senders.push(Sender::Peer(key));
    }
}

//! Large sync messages, applied in portions so that edits of other peers are not delayed by the whole message.
//!
//! A batch takes one portion; while other commands wait, only every other batch does. Each portion is followed by a
//! pause of the same length, so one document uses at most half a processor. The changes of a message are applied in
//! causal order, so the stored document is complete after each portion. Later messages of the sender wait, as they
//! build on it. The acknowledgement follows the last portion: a client without one sends the missing changes again.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use sync_engine::Incoming;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};

use super::DocumentTask;
use super::commit::{Batch, ItemSource};
use crate::document::{Document, Item};
use crate::hub::command::Command;
use crate::hub::mailbox_quota::MailboxPermit;
use crate::hub::outbox::ConnectionKey;

/// Messages with more changes are applied in portions.
const MAX_WHOLE_CHANGES: usize = 2_000;
/// The cost of a portion, in changes of known actors: some milliseconds.
const PORTION_COST: usize = 150;
/// Maximum number of portions of a message of known actors: each one has a cost per object of the document.
const MAX_PORTIONS: usize = 256;
/// The longest pause between two portions.
const MAX_PAUSE: Duration = Duration::from_millis(100);

/// The large messages of one document. The first one is being applied.
#[derive(Default)]
pub(super) struct Portions {
    messages: VecDeque<LargeMessage>,
    /// Deferred commands whose message is complete.
    released: VecDeque<Command>,
    /// Whether the last batch took no portion because other commands were waiting.
    skipped_last: bool,
    /// When the current portion started.
    started: Option<Instant>,
    /// Earliest time of the next portion.
    next: Option<Instant>,
}

struct LargeMessage {
    peer: ConnectionKey,
    /// The encoded message.
    bytes: Bytes,
    /// The part that is not applied yet.
    rest: Incoming,
    /// The cost of one portion.
    portion: usize,
    mailbox_permit: Option<MailboxPermit>,
    /// Later messages of the same peer.
    deferred: VecDeque<Command>,
}

impl Portions {
    /// Whether there are portions or released commands.
    pub(super) fn has_work(&self) -> bool {
        !self.messages.is_empty() || !self.released.is_empty()
    }

    /// Whether the next batch takes a portion. While other commands wait, every other batch takes none.
    pub(super) fn is_due(&mut self, others_wait: bool) -> bool {
        if self.messages.is_empty() || self.next.is_some_and(|next| Instant::now() < next) {
            return false;
        }
        self.skipped_last = others_wait && !self.skipped_last;
        !self.skipped_last
    }

    /// Ends a portion. A pause of the same length follows, for other documents.
    pub(super) fn pause(&mut self) {
        if let Some(started) = self.started.take() {
            let now = Instant::now();
            self.next = Some(now + (now - started).min(MAX_PAUSE));
        }
    }

    /// Waits until a portion or a released command is due.
    pub(super) async fn wait_until_due(&self) {
        match self.next.filter(|_| self.released.is_empty()) {
            Some(next) => sleep_until(next).await,
            None => yield_now().await,
        }
    }

    /// Whether a message is large enough for portions.
    pub(super) fn needs_portions(incoming: &Incoming) -> bool {
        incoming.changes.len() > MAX_WHOLE_CHANGES
    }

    /// Whether a message of this peer is being applied.
    pub(super) fn has_message_from(&self, peer: ConnectionKey) -> bool {
        self.messages.iter().any(|message| message.peer == peer)
    }

    /// Queues a large message.
    pub(super) fn push(
        &mut self,
        peer: ConnectionKey,
        bytes: Bytes,
        mut rest: Incoming,
        mailbox_permit: Option<MailboxPermit>,
    ) {
        rest.prepare_for_portions();
        let portion = rest.changes.len().div_ceil(MAX_PORTIONS).max(PORTION_COST);
        self.messages.push_back(LargeMessage { peer, bytes, rest, portion, mailbox_permit, deferred: VecDeque::new() });
    }

    /// Keeps a command that has to wait for an earlier message of its peer; returns any other.
    pub(super) fn defer(&mut self, command: Command) -> Option<Command> {
        let Command::Sync { peer, .. } = &command else { return Some(command) };
        match self.messages.iter_mut().find(|message| message.peer == peer.key) {
            Some(message) => message.deferred.push_back(command),
            None => return Some(command),
        }
        None
    }

    /// Drops the messages and commands of a peer that leaves: a later command would add it again.
    pub(super) fn remove_peer(&mut self, key: ConnectionKey) {
        self.messages.retain(|message| message.peer != key);
        self.released.retain(|command| !matches!(command, Command::Sync { peer, .. } if peer.key == key));
    }

    /// Returns the next released command.
    pub(super) fn pop_released(&mut self) -> Option<Command> {
        self.released.pop_front()
    }
}

impl DocumentTask {
    /// Adds the next portion to an empty batch.
    pub(super) fn add_portion(&mut self, document: &Document, batch: &mut Batch) {
        let Some(mut message) = self.pipeline.portions.messages.pop_front() else { return };
        let key = message.peer;
        self.pipeline.portions.started = Some(Instant::now());
        // Its changes were rejected meanwhile, or the peer has left.
        if self.is_leaving(key) || self.recovery.suspended.contains_key(&key) || self.is_peer_quarantined(key) {
            self.pipeline.portions.released.append(&mut message.deferred);
            batch.drained.push(key);
            return;
        }
        self.usage.last_use = Instant::now();
        let item = Item::Sync { peer: key, bytes: message.bytes.clone() };
        let prepared = if let Some(part) = document.engine.prepare_part(key, &mut message.rest, message.portion) {
            self.pipeline.portions.messages.push_front(message);
            part
        } else {
            let LargeMessage { bytes, rest, mailbox_permit, mut deferred, .. } = message;
            batch.mailbox_permits.extend(mailbox_permit);
            self.pipeline.portions.released.append(&mut deferred);
            // The peer received no messages meanwhile.
            batch.drained.push(key);
            document.engine.prepare_sync(key, bytes, rest)
        };
        batch.memory_estimate += prepared.memory_estimate();
        batch.commands += 1;
        batch.items.push(item);
        batch.incoming.push(None);
        batch.prepared.push(prepared);
        batch.senders.push(ItemSource::Peer(key));
    }
}

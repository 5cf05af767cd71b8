//! Applies a received sync message to the state of its sender.
//!
//! The library's `receive_sync_message` applies the changes and updates the state in one step. Here the changes of a whole batch
//! go through one `apply_changes`, so the state is updated separately, by the rules of
//! `Automerge::receive_sync_message_inner` (automerge 0.12) on the public fields of [`sync::State`]. There are four
//! differences, all compatible with the protocol:
//!
//! - `shared_heads` is never advanced by guessing which new heads a message added (in a batch they come from several peers). It
//!   advances when the peer names heads that we have, which it does in every message.
//! - `sent_hashes` holds the heads of what was sent (see [`generate`](super::generate)), so there is no history to walk.
//! - If we have all heads that the peer names, the peer has exactly these and their ancestors. That is recorded in place of its
//!   last shared heads and its Bloom filter. So no change is withheld by a false positive of the filter, the next message need
//!   not consider all changes since then, and equivalent messages lead to equal states.
//! - If the peer names exactly our heads, it is not assumed to know that we have them. The library assumes so, because it
//!   answers every message before it reads the next. Here one answer may cover two messages, the first with a change and the
//!   second without, and the second must not cancel the answer to the first: the peer would wait forever for the
//!   acknowledgement of its change. The cost is an occasional message without news, which is not answered.

use automerge::sync::{self, BloomFilter, Capability, Have, MessageFlags};
use automerge::{Automerge, ChangeHash, ReadDoc};

/// The state of a peer after its `message`. The changes were removed from the message, and applied to `doc`.
#[must_use]
pub(crate) fn receive(doc: &Automerge, state: &sync::State, message: sync::Message) -> sync::State {
    let mut next = state.clone();
    next.in_flight = false;
    if let Some(flags) = message.flags {
        let mut capabilities = vec![Capability::MessageV2];
        if flags.contains(MessageFlags::SUPPORTS_SYNC_RESET) {
            capabilities.push(Capability::SyncReset);
        }
        next.their_capabilities = Some(capabilities);
        if flags.contains(MessageFlags::SYNC_RESET) {
            next.sent_hashes.clear();
        }
        next.peer_read_only = flags.contains(MessageFlags::READ_ONLY);
    } else {
        // It was assumed to know the flags until its first message.
        next.their_capabilities = None;
    }

    let our_heads = doc.get_heads();
    if message.have.as_slice() == [Have::default()] && !message.heads.is_empty() {
        // The peer lacks changes that we presumed to be shared: a message to it was lost, and the peer starts again.
        next.sent_hashes.clear();
    }
    if message.heads == our_heads {
        // The peer has our heads, so everything that was sent has arrived.
        next.sent_hashes.clear();
    } else {
        next.sent_hashes.retain(|sent| !message.heads.contains(sent));
    }

    let known: Vec<ChangeHash> = message.heads.iter().filter(|head| has(doc, head)).copied().collect();
    let all_known = known.len() == message.heads.len();
    if all_known {
        next.shared_heads.clone_from(&message.heads);
        if message.heads.is_empty() {
            // The peer has lost its document: start again.
            next.last_sent_heads.clear();
            next.sent_hashes.clear();
        }
    } else {
        next.shared_heads.extend(known);
        next.shared_heads.sort_unstable();
        next.shared_heads.dedup();
    }

    next.their_have = Some(if all_known {
        vec![Have { last_sync: message.heads.clone(), bloom: BloomFilter::default() }]
    } else {
        message.have
    });
    next.their_heads = Some(message.heads);
    next.their_need = Some(message.need);
    next
}

/// Whether a change is part of the document's history, and not orphaned.
pub(crate) fn has(doc: &Automerge, hash: &ChangeHash) -> bool {
    doc.get_change_meta_by_hash(hash).is_some()
}

/// [`has`] in a tenth of the time, for documents without orphaned changes. With orphaned changes it is slow, because the library
/// goes through all of them each time.
pub(crate) fn has_without_orphans(doc: &Automerge, hash: &ChangeHash) -> bool {
    // The library's table lookup is private, but the public `get_missing_deps` uses it.
    doc.get_missing_deps(std::slice::from_ref(hash)).is_empty() || has(doc, hash)
}

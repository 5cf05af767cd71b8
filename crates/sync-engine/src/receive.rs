//! What a sync message does to the state of the peer that sent it.
//!
//! The library's `receive_sync_message` applies the changes and moves the state in one step. Here the changes of a
//! whole batch go through one `apply_changes`, so the state is moved apart, by the rules of
//! `Automerge::receive_sync_message_inner` (automerge 0.12) on the public fields of [`sync::State`]. Four things
//! differ, all harmless to the other side:
//!
//! - `shared_heads` is never advanced by guessing which new heads a message brought (in a batch they come from
//!   several peers); it moves when the peer names heads that we have, which it does in every message;
//! - `sent_hashes` holds the heads of what was sent (see [`generate`](super::generate)), so there is no history to walk;
//! - of a peer whose heads are all known here it is known exactly what it has: they and all before them. That is noted in
//!   the place of what it last shared with us and its Bloom filter. So nothing is withheld by a false hit of the filter,
//!   the next message does not cost a look at all changes since then, and peers who say the same differently are one;
//! - a peer that names the very heads that we have is not taken for one that knows that we have them. The library does
//!   so, and may: it answers every message before it reads the next. Here one answer may cover two messages, the first
//!   with a change and the second without, and the answer to the first must not be cancelled by the second: the peer
//!   would wait for ever to hear that its change has arrived. The price is a message now and then that tells nothing
//!   new, and is not answered.

use automerge::sync::{self, BloomFilter, Capability, Have, MessageFlags};
use automerge::{Automerge, ChangeHash, ReadDoc};

/// The state of a peer after its `message`; `doc` has the message's changes already (they were taken out of it).
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
    }

    let our_heads = doc.get_heads();
    if message.have.as_slice() == [Have::default()] && !message.heads.is_empty() {
        // It does not know what we took for shared: something on its way to it was lost, and it begins anew.
        next.sent_hashes.clear();
    }
    if message.heads == our_heads {
        // Everything sent is ours, so it is among the ancestors of our heads.
        next.sent_hashes.clear();
    } else {
        next.sent_hashes.retain(|sent| !message.heads.contains(sent));
    }

    let known: Vec<ChangeHash> = message.heads.iter().filter(|head| has(doc, head)).copied().collect();
    let all_known = known.len() == message.heads.len();
    if all_known {
        next.shared_heads.clone_from(&message.heads);
        if message.heads.is_empty() {
            // The peer has lost all that it had: start anew with it.
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

/// Whether a change is part of the document's history (and does not wait for others).
pub(crate) fn has(doc: &Automerge, hash: &ChangeHash) -> bool {
    doc.get_change_meta_by_hash(hash).is_some()
}

/// The same in a tenth of the time, for documents in which no change waits for others: else the library goes through all that
/// wait, each time.
pub(crate) fn has_at_once(doc: &Automerge, hash: &ChangeHash) -> bool {
    // It tells this by a look into its table only to itself. What is missing for a head it tells everybody.
    doc.get_missing_deps(std::slice::from_ref(hash)).is_empty() || has(doc, hash)
}

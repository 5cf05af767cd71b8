//! The outside of a sync message, looked at before the library makes anything of it.
//!
//! A message begins with lists: heads, needs, what the sender has (with a Bloom filter each), chunks. An entry can take one
//! byte on the wire and a hundred in memory. And a Bloom filter says itself how often to look into it: the library takes
//! it at its word, for each change it thinks of sending, and divides by the filter's length.
//!
//! What does not parse here is left to the library, which stops at the same place and has the words for it.

use automerge_chunks::reader::Reader;

use crate::bad_message::BadMessage;
use crate::message_limits::MessageLimits;

/// Times that a Bloom filter wants to be looked into. Everybody uses 7.
const MAX_PROBES: u64 = 64;
/// Filters that a message may hold. Everybody sends one.
const MAX_FILTERS: u64 = 1_000;

/// Checks how many of what a message lists.
///
/// # Errors
/// When it lists too many, or a Bloom filter cannot be used.
pub(crate) fn check(bytes: &[u8], limits: &MessageLimits) -> Result<(), BadMessage> {
    walk(Reader::new(bytes), limits).unwrap_or(Ok(()))
}

/// Whether a sync message carries changes, or may (as far as can be told without taking it apart).
#[must_use]
pub fn carries_chunks(bytes: &[u8]) -> bool {
    chunks(Reader::new(bytes)).is_none_or(|count| count > 0)
}

/// A sync message without the changes that it carries: its lists and its flags. The changes are passed over, not looked at.
/// `None` if the message does not parse.
#[must_use]
pub fn without_chunks(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut rest = Reader::new(bytes);
    pass_lists(&mut rest)?;
    let lists = &bytes[..bytes.len() - rest.len()];
    for _ in 0..rest.unsigned()? {
        rest.counted()?;
    }
    let flags = &bytes[bytes.len() - rest.len()..];
    Some([lists, &[0], flags].concat())
}

/// How many bytes of a sync message are lists, which stay with its sender's state until it sends the next.
#[must_use]
pub fn listed(bytes: &[u8]) -> usize {
    let mut rest = Reader::new(bytes);
    match pass_lists(&mut rest) {
        Some(()) => bytes.len() - rest.len(),
        None => bytes.len(),
    }
}

fn chunks(mut rest: Reader<'_>) -> Option<u64> {
    pass_lists(&mut rest)?;
    rest.unsigned()
}

fn pass_lists(rest: &mut Reader<'_>) -> Option<()> {
    rest.byte()?;
    hashes(rest)?;
    hashes(rest)?;
    for _ in 0..rest.unsigned()? {
        hashes(rest)?;
        rest.counted()?;
    }
    Some(())
}

fn walk(mut rest: Reader<'_>, limits: &MessageLimits) -> Option<Result<(), BadMessage>> {
    rest.byte()?;
    for _heads_and_needs in 0..2 {
        let found = hashes(&mut rest)?;
        if found > limits.heads as u64 {
            return Some(Err(BadMessage::TooManyHeads { found, limit: limits.heads }));
        }
    }
    let filters = rest.unsigned()?;
    if filters > MAX_FILTERS {
        return Some(Err(BadMessage::BadFilter));
    }
    let (mut found, mut filtered) = (0, 0);
    for _ in 0..filters {
        found += hashes(&mut rest)?;
        let filter = rest.counted()?;
        filtered += filter.len() as u64;
        if !is_usable(Reader::new(filter))? || filtered > limits.filters {
            return Some(Err(BadMessage::BadFilter));
        }
    }
    if found > limits.heads as u64 {
        return Some(Err(BadMessage::TooManyHeads { found, limit: limits.heads }));
    }
    let chunks = rest.unsigned()?;
    if chunks > limits.chunks {
        return Some(Err(BadMessage::TooManyChunks { found: chunks, limit: limits.chunks }));
    }
    Some(Ok(()))
}

/// Passes over hashes with their number in front, and tells it.
fn hashes(rest: &mut Reader<'_>) -> Option<u64> {
    let count = rest.unsigned()?;
    rest.take(count.checked_mul(32)?)?;
    Some(count)
}

fn is_usable(mut filter: Reader<'_>) -> Option<bool> {
    if filter.is_empty() {
        return Some(true);
    }
    let (entries, bits, probes) = (filter.unsigned()?, filter.unsigned()?, filter.unsigned()?);
    // One without entries is not looked into.
    Some(entries == 0 || (bits > 0 && probes <= MAX_PROBES))
}

/// Whether the sender of a sync message has changes of the document: it names heads. False if the message does not parse.
#[must_use]
pub fn names_heads(bytes: &[u8]) -> bool {
    let mut rest = Reader::new(bytes);
    rest.byte().and_then(|_| rest.unsigned()).is_some_and(|heads| heads > 0)
}

#[cfg(test)]
mod tests {
    use automerge::sync::{self, SyncDoc};
    use automerge::transaction::Transactable;
    use automerge::{AutoCommit, ROOT};

    use super::*;

    /// What a client with one edit sends to one that has nothing.
    fn message() -> Vec<u8> {
        let (mut doc, mut empty) = (AutoCommit::new(), AutoCommit::new());
        doc.put(ROOT, "value", 1).unwrap();
        let (mut ours, mut theirs) = (sync::State::new(), sync::State::new());
        let hello = empty.sync().generate_sync_message(&mut theirs).unwrap();
        doc.sync().receive_sync_message(&mut ours, hello).unwrap();
        doc.sync().generate_sync_message(&mut ours).unwrap().encode()
    }

    #[test]
    fn message_without_chunks_says_the_rest() {
        let whole = message();
        let bare = without_chunks(&whole).unwrap();
        assert!(carries_chunks(&whole) && !carries_chunks(&bare));
        let mut whole = sync::Message::decode(&whole).unwrap();
        whole.changes = sync::ChunkList::empty();
        assert_eq!(sync::Message::decode(&bare).unwrap(), whole);
    }

    #[test]
    fn message_cut_anywhere_has_no_rest() {
        let whole = message();
        let flags = 3;
        for length in 0..whole.len() - flags {
            assert_eq!(without_chunks(&whole[..length]), None, "{length}");
        }
    }
}

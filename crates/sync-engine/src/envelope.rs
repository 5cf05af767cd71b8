//! Checks the envelope of an encoded sync message before the library decodes it.
//!
//! The envelope consists of lists: heads, needs, what the sender has (each entry with a Bloom filter), and chunks. An entry can
//! take one byte on the wire and a hundred in memory. A Bloom filter states its own number of probes and its length; the
//! library trusts both for every change that it considers, and divides by the length.
//!
//! A message that does not parse here passes the check: the library fails at the same place, with an error that says why.

use automerge_chunks::reader::Reader;

use crate::bad_message::BadMessage;
use crate::message_limits::MessageLimits;

/// Probes of a Bloom filter. All implementations use 7.
const MAX_PROBES: u64 = 64;
/// Bloom filters in a message. All implementations send one.
const MAX_FILTERS: u64 = 1_000;

/// Checks the lengths of the lists and the Bloom filters.
///
/// # Errors
/// When a list is too long, or a Bloom filter is unusable.
pub(crate) fn check(bytes: &[u8], limits: &MessageLimits) -> Result<(), BadMessage> {
    check_lists(Reader::new(bytes), limits).unwrap_or(Ok(()))
}

/// Whether a sync message carries changes. True if it does not parse.
#[must_use]
pub fn carries_chunks(bytes: &[u8]) -> bool {
    chunks(Reader::new(bytes)).is_none_or(|count| count > 0)
}

/// A sync message with its lists and flags but without its changes, which are skipped and not decoded. `None` if the message
/// does not parse.
#[must_use]
pub fn without_chunks(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut rest = Reader::new(bytes);
    skip_lists(&mut rest)?;
    let lists = &bytes[..bytes.len() - rest.len()];
    for _ in 0..rest.unsigned()? {
        rest.length_prefixed()?;
    }
    let flags = &bytes[bytes.len() - rest.len()..];
    Some([lists, &[0], flags].concat())
}

/// Size in bytes of the lists of a sync message before its chunks. They are kept in the sender's state until its next message.
/// The size of the whole message if it does not parse.
#[must_use]
pub fn envelope_size(bytes: &[u8]) -> usize {
    let mut rest = Reader::new(bytes);
    match skip_lists(&mut rest) {
        Some(()) => bytes.len() - rest.len(),
        None => bytes.len(),
    }
}

fn chunks(mut rest: Reader<'_>) -> Option<u64> {
    skip_lists(&mut rest)?;
    rest.unsigned()
}

fn skip_lists(rest: &mut Reader<'_>) -> Option<()> {
    rest.byte()?;
    skip_hashes(rest)?;
    skip_hashes(rest)?;
    for _ in 0..rest.unsigned()? {
        skip_hashes(rest)?;
        rest.length_prefixed()?;
    }
    Some(())
}

fn check_lists(mut rest: Reader<'_>, limits: &MessageLimits) -> Option<Result<(), BadMessage>> {
    rest.byte()?;
    for _heads_and_needs in 0..2 {
        let found = skip_hashes(&mut rest)?;
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
        found += skip_hashes(&mut rest)?;
        let filter = rest.length_prefixed()?;
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

/// Skips a list of hashes, and returns its length.
fn skip_hashes(rest: &mut Reader<'_>) -> Option<u64> {
    let count = rest.unsigned()?;
    rest.take(count.checked_mul(32)?)?;
    Some(count)
}

fn is_usable(mut filter: Reader<'_>) -> Option<bool> {
    if filter.is_empty() {
        return Some(true);
    }
    let (entries, bits, probes) = (filter.unsigned()?, filter.unsigned()?, filter.unsigned()?);
    // A filter without entries is never probed.
    Some(entries == 0 || (bits > 0 && probes <= MAX_PROBES))
}

/// Whether a sync message names heads, so that its sender has changes of the document. False if the message does not parse.
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

    /// The message of a client with one edit to a client without the document.
    fn message() -> Vec<u8> {
        let (mut doc, mut empty) = (AutoCommit::new(), AutoCommit::new());
        doc.put(ROOT, "value", 1).unwrap();
        let (mut ours, mut theirs) = (sync::State::new(), sync::State::new());
        let hello = empty.sync().generate_sync_message(&mut theirs).unwrap();
        doc.sync().receive_sync_message(&mut ours, hello).unwrap();
        doc.sync().generate_sync_message(&mut ours).unwrap().encode()
    }

    #[test]
    fn message_without_chunks_keeps_lists_and_flags() {
        let whole = message();
        let bare = without_chunks(&whole).unwrap();
        assert!(carries_chunks(&whole) && !carries_chunks(&bare));
        let mut whole = sync::Message::decode(&whole).unwrap();
        whole.changes = sync::ChunkList::empty();
        assert_eq!(sync::Message::decode(&bare).unwrap(), whole);
    }

    #[test]
    fn truncated_message_does_not_parse() {
        let whole = message();
        let flags = 3;
        for length in 0..whole.len() - flags {
            assert_eq!(without_chunks(&whole[..length]), None, "{length}");
        }
    }
}

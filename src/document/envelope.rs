//! The outside of a sync message, looked at before the library makes anything of it.
//!
//! A message begins with lists: heads, needs, what the sender has (with a Bloom filter each), chunks. An entry can take one
//! byte on the wire and a hundred in memory. And a Bloom filter says itself how often to look into it: the library takes
//! it at its word, for each change it thinks of sending, and divides by the filter's length.
//!
//! What does not parse here is left to the library, which stops at the same place and has the words for it.

use super::incoming::{BadMessage, MessageLimits};
use crate::format::reader::Reader;

/// Times that a Bloom filter wants to be looked into. Everybody uses 7.
const MAX_PROBES: u64 = 64;
/// Filters that a message may hold. Everybody sends one.
const MAX_FILTERS: u64 = 1_000;

/// Checks how many of what a message lists.
///
/// # Errors
/// When it lists too many, or a Bloom filter cannot be used.
pub(super) fn check(bytes: &[u8], limits: &MessageLimits) -> Result<(), BadMessage> {
    walk(Reader::new(bytes), limits).unwrap_or(Ok(()))
}

/// Whether a sync message carries changes, or may (as far as can be told without taking it apart).
#[must_use]
pub fn carries_chunks(bytes: &[u8]) -> bool {
    chunks(Reader::new(bytes)).is_none_or(|count| count > 0)
}

fn chunks(mut rest: Reader<'_>) -> Option<u64> {
    rest.byte()?;
    hashes(&mut rest)?;
    hashes(&mut rest)?;
    for _ in 0..rest.unsigned()? {
        hashes(&mut rest)?;
        rest.counted()?;
    }
    rest.unsigned()
}

fn walk(mut rest: Reader<'_>, limits: &MessageLimits) -> Option<Result<(), BadMessage>> {
    rest.byte()?;
    let heads = hashes(&mut rest)?;
    if heads > limits.heads as u64 {
        return Some(Err(BadMessage::TooManyHeads { found: heads, limit: limits.heads }));
    }
    hashes(&mut rest)?;
    let filters = rest.unsigned()?;
    if filters > MAX_FILTERS {
        return Some(Err(BadMessage::BadFilter));
    }
    for _ in 0..filters {
        hashes(&mut rest)?;
        if !is_usable(Reader::new(rest.counted()?))? {
            return Some(Err(BadMessage::BadFilter));
        }
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

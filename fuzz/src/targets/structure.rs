//! Structured inputs: the fuzzer varies counts, orders and links of changes, not their bytes.

use std::num::NonZeroU64;

use arbitrary::{Arbitrary, Result, Unstructured};
use automerge::legacy::Op;
use automerge::{ActorId, Change, ChangeHash, ExpandedChange, sync};

/// Bits of the largest count.
const BITS: u8 = 13;

/// A count. Mostly small, so that most inputs take little time.
#[derive(Debug, Clone, Copy)]
pub struct Count(pub usize);

impl<'a> Arbitrary<'a> for Count {
    fn arbitrary(input: &mut Unstructured<'a>) -> Result<Self> {
        let byte = u8::arbitrary(input)?;
        let bits = (byte % BITS).min(byte >> 4);
        let number = usize::from(u16::arbitrary(input)?);
        Ok(Self(number & ((1 << bits) - 1)))
    }
}

/// Builds a structured value from the fuzzer's bytes. Missing bytes count as zero.
pub fn structured<'a, T: Arbitrary<'a>>(bytes: &'a [u8]) -> Option<T> {
    T::arbitrary_take_rest(Unstructured::new(bytes)).ok()
}

/// The changes that an actor has made so far.
#[derive(Debug, Clone, Default)]
pub struct Made {
    seq: u64,
    last: Option<ChangeHash>,
    max_op: u64,
}

impl Made {
    /// The actor's next change, which depends on its own last one and on these. `None` if the library cannot encode it.
    pub fn next(
        &mut self,
        actor: usize,
        after: &[(ChangeHash, u64)],
        operations: Vec<Op>,
        message: Option<String>,
    ) -> Option<Change> {
        let own = self.last.map(|last| (last, self.max_op));
        let max_op = after.iter().chain(&own).map(|(_, max_op)| *max_op).max().unwrap_or(0);
        let mut deps: Vec<ChangeHash> = after.iter().chain(&own).map(|(hash, _)| *hash).collect();
        deps.sort_unstable();
        deps.dedup();
        let count = operations.len() as u64;
        let expanded = ExpandedChange {
            operations,
            actor_id: ActorId::from(&(actor as u32).to_be_bytes()[..]),
            hash: None,
            seq: self.seq + 1,
            start_op: NonZeroU64::new(max_op + 1)?,
            time: 0,
            message,
            deps,
            extra_bytes: Vec::new(),
            author: None,
        };
        let change = std::panic::catch_unwind(|| Change::from(expanded)).ok()?;
        *self = Self { seq: self.seq + 1, last: Some(change.hash()), max_op: max_op + count };
        Some(change)
    }

    /// The actor's last change, and the number of its last operation.
    pub fn last(&self) -> Option<(ChangeHash, u64)> {
        self.last.map(|last| (last, self.max_op))
    }
}

/// A sync message with these heads and chunks.
pub fn message(mut heads: Vec<ChangeHash>, chunks: Vec<Vec<u8>>) -> Vec<u8> {
    heads.sort_unstable();
    heads.dedup();
    let message = sync::Message {
        heads,
        need: Vec::new(),
        have: Vec::new(),
        changes: chunks.into(),
        flags: None,
        version: sync::MessageVersion::V1,
    };
    message.encode()
}

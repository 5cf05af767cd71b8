//! [`Typed`]: the content of a text that a change created and filled. Mostly every operation appends; other texts are read from the
//! document.

use automerge::ScalarValue;
use automerge::legacy::{ElementId, Key, Op, OpId, OpType};

use super::ledger::Operation;

/// A text as written by the operations so far.
#[derive(Default)]
pub(super) struct Typed {
    text: String,
    /// The number of the operation that wrote the last character.
    last: Option<u64>,
    /// An operation did not append.
    jumps: bool,
}

impl Typed {
    /// Applies an operation of the actor `own`.
    pub(super) fn take(&mut self, counter: u64, own: u32, op: &Op, operation: impl Fn(&OpId) -> Option<Operation>) {
        let follows = match &op.key {
            Key::Seq(ElementId::Head) => self.last.is_none(),
            Key::Seq(ElementId::Id(id)) => self.last.is_some_and(|last| operation(id) == Some((last, own))),
            Key::Map(_) => false,
        };
        match &op.action {
            OpType::Put(ScalarValue::Str(letters)) if op.insert && follows => {
                self.text.push_str(letters);
                self.last = Some(counter);
            }
            _ => self.jumps = true,
        }
    }

    /// The text. `None` if it must be read from the document.
    pub(super) fn text(&self) -> Option<&str> {
        (!self.jumps).then_some(&self.text)
    }
}

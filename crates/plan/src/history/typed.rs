//! A text that a change has made and written. Nearly always its letters follow each other; what is written in another way is
//! read from the document.

use automerge::ScalarValue;
use automerge::legacy::{ElementId, Key, Op, OpId, OpType};

use super::ledger::Operation;

/// What was written so far.
#[derive(Default)]
pub(super) struct Typed {
    text: String,
    /// The number of the operation that wrote the last letter.
    last: Option<u64>,
    /// Something was not written at the end.
    jumps: bool,
}

impl Typed {
    /// An operation on the text, by the actor `own`.
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

    /// The text; None: it is to be read.
    pub(super) fn text(&self) -> Option<&str> {
        (!self.jumps).then_some(&self.text)
    }
}

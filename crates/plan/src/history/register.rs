//! [`Register`]: a field of a position, a setting of the plan or a position, while the operations of a change are read. A change that adds
//! many positions has many, so they are small.

use super::ledger::Operation;
use super::write::{FieldNumber, NewValue};

/// A register of the document, with the effect of the operations so far.
pub(super) struct Register {
    pub position: u32,
    pub field: FieldNumber,
    /// The number of the last operation.
    pub counter: u32,
    /// The object that contains it; `None` for the root.
    pub object: Option<Operation>,
    /// The values before, in ascending order: the last is the winner. Boxed, because a new register has none.
    #[expect(clippy::box_collection, reason = "a third of the size, and mostly absent")]
    pub before: Option<Box<Vec<Operation>>>,
    pub new_value: Draft,
}

impl Register {
    pub(super) fn new(
        object: Option<Operation>,
        position: u32,
        field: FieldNumber,
        counter: u32,
        new_value: Draft,
    ) -> Self {
        Self { position, field, counter, object, before: None, new_value }
    }

    pub(super) fn before(&self) -> &[Operation] {
        self.before.as_deref().map_or(&[], Vec::as_slice)
    }
}

/// The value of a register after the last operation.
pub(super) enum Draft {
    Gone,
    Made,
    /// The map of a position.
    Row,
    Scalar(NewValue),
    /// The number of a text.
    Text(u32),
    Counter,
    /// A map, a list or bytes. The number of its place.
    Nested(u32),
    /// The content of a map or list of an earlier change was edited. The number of its place.
    Inside(u32),
    /// A text of an earlier change was edited in place. The number of its write.
    Splice(u32),
}

/// What an object that the change created is.
#[derive(Clone, Copy)]
pub(super) enum Made {
    Map,
    /// The map of a position. The index of its register.
    Row(u32),
    Text(u32),
    /// An object in this place, or inside of the value in this place.
    Nested(u32),
}

/// An object that the change created.
pub(super) struct MadeObject {
    pub counter: u32,
    pub made: Made,
    /// Number of operations in it.
    pub operations: u32,
}

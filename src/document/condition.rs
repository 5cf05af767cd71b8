//! What must still be so for an edit to be made: how two people who edit what they both read learn of each other.

use automerge::{Automerge, ChangeHash};

use super::position::{Position, position_maps, read_position};

/// Something that whoever edits has read, and relies on.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// Nothing at all has changed since the document had these heads.
    Heads(Vec<ChangeHash>),
    /// This position stands as it was read.
    Row(Box<Position>),
}

impl Condition {
    pub(super) fn holds(&self, doc: &Automerge) -> bool {
        match self {
            Self::Heads(heads) => doc.get_heads() == *heads,
            Self::Row(position) => read_position(doc, &position_maps(doc), &position.id)
                .is_some_and(|reading| reading.position == **position),
        }
    }
}
